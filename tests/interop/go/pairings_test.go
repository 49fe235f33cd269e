// Pairings as the service lists them, and a pairing whose secret is being replaced.
package interop

import (
	"cmp"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"aa-redirect/tests/interop/go/wire"
	redirectv1 "aa/redirect/v1"
)

func TestPairingsAreListedByPages(t *testing.T) {
	var want []*redirectv1.Pairing
	for _, p := range pairings {
		listed := &redirectv1.Pairing{
			FiuId: p.fiu, AaId: p.aa, Profile: p.profile, Scheme: redirectv1.Scheme(p.scheme), WebviewUrl: p.webview,
			Handles: []string{p.handle}, RedirectHosts: p.hosts, MaxAge: durationpb.New(p.maxAge), DateStyle: p.date.String(),
			ListSyntax: p.lists.String(), CheckResdate: true, Reopen: redirectv1.Reopen_REOPEN_REPORT,
			Authentication: redirectv1.Authentication_AUTHENTICATION_OFF,
		}
		for place := range p.secrets {
			listed.Secrets = append(listed.Secrets, &redirectv1.Pairing_Secret{
				Id: secretID(place), State: redirectv1.SecretState(place + 1),
			})
		}
		want = append(want, listed)
	}
	slices.SortFunc(want, func(a, b *redirectv1.Pairing) int {
		return cmp.Or(cmp.Compare(a.FiuId, b.FiuId), cmp.Compare(a.AaId, b.AaId))
	})
	for _, size := range []int32{0, 1, 5, 1000} {
		var got []*redirectv1.Pairing
		for token, first := "", true; first || token != ""; first = false {
			page, err := client.ListPairings(patient(t), &redirectv1.ListPairingsRequest{PageSize: size, PageToken: token})
			if err != nil {
				t.Fatal(err)
			}
			if size > 0 && len(page.Pairings) > int(size) || len(page.Pairings) == 0 {
				t.Fatalf("a page of %d has %d pairings", size, len(page.Pairings))
			}
			got, token = append(got, page.Pairings...), page.NextPageToken
		}
		if diff := gocmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("pages of %d (-want +got):\n%s", size, diff)
		}
	}
}

func TestOldSecretStillOpensAndAnswers(t *testing.T) {
	for _, p := range []*pairing{rotatedIV, rotatedV12} {
		for place, secret := range p.secrets {
			t.Run(p.profile+"/"+secretID(place), func(t *testing.T) {
				request, err := wire.Seal(p.scheme, secret, now(), p.fiu, "", cleanRequestText())
				if err != nil {
					t.Fatal(err)
				}
				opened, err := decodeURL(t, p.aa, request.Query(wire.Request))
				if err != nil {
					t.Fatal(err)
				}
				if opened.SecretId != secretID(place) || opened.PrimarySecret != (place == 0) {
					t.Errorf("opened with %q, primary: %v", opened.SecretId, opened.PrimarySecret)
				}
				if err := differ(cleanRedirect(), opened.Redirect); err != nil {
					t.Error(err)
				}

				// The answer is sealed with the secret that the FIU still has.
				answered, err := client.EncodeCallback(patient(t), &redirectv1.EncodeCallbackRequest{
					FiuId: p.fiu, AaId: p.aa, Callback: cleanCallback(), RedirectUrl: opened.Redirect.Redirect, SecretId: opened.SecretId,
				})
				if err != nil {
					t.Fatal(err)
				}
				if answered.SecretId != secretID(place) {
					t.Errorf("answered with %q", answered.SecretId)
				}
				envelope, err := wire.ParseQuery(wire.Callback, answered.Query)
				if err != nil {
					t.Fatal(err)
				}
				plaintext, err := envelope.Open(p.scheme, secret)
				if want := cleanCallbackText(); err != nil || plaintext != want {
					t.Errorf("under that secret the answer is %q (%v), want %q", plaintext, err, want)
				}
				back, err := decodeCallbackURL(t, p.fiu, answered.Url)
				if err != nil {
					t.Fatal(err)
				}
				if back.SecretId != secretID(place) || back.PrimarySecret != (place == 0) {
					t.Errorf("the answer opened with %q, primary: %v", back.SecretId, back.PrimarySecret)
				}
			})
		}
		t.Run(p.profile+"/seals with the primary one", func(t *testing.T) {
			sealed, err := client.EncodeRedirect(patient(t), &redirectv1.EncodeRedirectRequest{
				FiuId: p.fiu, AaId: p.aa, Redirect: cleanRedirect(),
			})
			if err != nil {
				t.Fatal(err)
			}
			envelope, err := wire.ParseQuery(wire.Request, sealed.Query)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := envelope.Open(p.scheme, p.secrets[0]); err != nil || sealed.SecretId != secretID(0) {
				t.Errorf("secret %q: %v", sealed.SecretId, err)
			}
		})
	}
}
