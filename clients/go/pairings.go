package redirect

import (
	"slices"
	"time"

	redirectv1 "aa/redirect/v1"
)

// Pairing is one FIU and one AA that share secrets. It holds no secret.
type Pairing struct {
	// FIU and AA are the ids.
	FIU, AA string
	// Profile is that of the keyring: iv, or v1.0 to v1.5.
	Profile string
	// Scheme comes with the profile.
	Scheme Scheme
	// WebviewURL is where the AA's web view is; empty if the keyring has none.
	WebviewURL string
	// Handles are the user-id handles that this AA serves.
	Handles []string
	// Secrets are in the order in which decoding tries them.
	Secrets []Secret
	// RedirectHosts are the hosts that redirects may lead to. If the list is empty, all hosts are allowed.
	RedirectHosts []string
	// MaxAge is the window: how far a date may lie from now, in the past and in the future.
	MaxAge time.Duration
	// DateStyle and ListSyntax are what is written: millis, tenths or full; repeated, comma, braces or json.
	DateStyle, ListSyntax string
	// CheckResDate is whether the date of a callback is checked.
	CheckResDate bool
	// Reopen is what happens to a message that was opened before.
	Reopen Reopen
	// Authentication says whether messages carry a tag.
	Authentication Authentication
}

// Secret is one of a pairing's, by name.
type Secret struct {
	// ID is its name in the keyring.
	ID string
	// State is what it is used for.
	State SecretState
}

func pairingOf(p *redirectv1.Pairing) Pairing {
	pairing := Pairing{
		FIU: p.GetFiuId(), AA: p.GetAaId(), Profile: p.GetProfile(), Scheme: nameOf[Scheme](p.GetScheme(), "SCHEME_"),
		WebviewURL: p.GetWebviewUrl(), Handles: slices.Clone(p.GetHandles()),
		RedirectHosts: slices.Clone(p.GetRedirectHosts()), MaxAge: p.GetMaxAge().AsDuration(),
		DateStyle: p.GetDateStyle(), ListSyntax: p.GetListSyntax(), CheckResDate: p.GetCheckResdate(),
		Reopen:         nameOf[Reopen](p.GetReopen(), "REOPEN_"),
		Authentication: nameOf[Authentication](p.GetAuthentication(), "AUTHENTICATION_"),
	}
	for _, secret := range p.GetSecrets() {
		pairing.Secrets = append(pairing.Secrets, Secret{secret.GetId(), nameOf[SecretState](secret.GetState(), "SECRET_STATE_")})
	}
	return pairing
}
