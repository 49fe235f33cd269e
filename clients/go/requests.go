package redirect

import (
	"time"

	"google.golang.org/protobuf/proto"

	redirectv1 "aa/redirect/v1"
)

// Redirect is what an FIU asks an AA for: the members of ecreq. The service checks their forms; proto/ describes them.
type Redirect struct {
	Hidden

	// TxnID is a UUID that names this redirect. Empty on encode: the service makes one.
	TxnID string
	// SessionID is any text of the FIU. It comes back byte for byte, and may be empty.
	SessionID string
	// UserID is a name or mobile number, @ and the AA's handle: 9999988888@aa.
	UserID string
	// Redirect is the absolute URL to return to.
	Redirect string
	// SrcRef has the consent handles, at least one.
	SrcRef []string
	// FIPID has FIP ids, if any.
	FIPID []string
	// Email, PAN, DOB (YYYY-MM-DD) and ISOLanguageCode (en-IN) are optional.
	Email, PAN, DOB, ISOLanguageCode string
	// Extra has members beyond the guideline's, by name.
	Extra map[string]string
}

// Callback is the outcome of a request: the members of ecres.
type Callback struct {
	Hidden

	// TxnID, SessionID and UserID are the request's, unchanged.
	TxnID, SessionID, UserID string
	// Status and ErrorCode must fit: 0 with Success, the guideline's code with Failure.
	Status CallbackStatus
	// ErrorCode is the guideline's, 0 for Success.
	ErrorCode uint32
	// SrcRef has the accepted consent handles, at least one for Success.
	SrcRef []string
	// Extra has members beyond the guideline's, by name.
	Extra map[string]string
}

// RedirectParams are the parameters of a request URL, each as it is before percent-encoding.
type RedirectParams struct {
	Hidden

	// FI, ReqDate, ECReq and IV are the parameters fi, reqdate, ecreq and iv; RequestorType is masked, as it travels.
	FI, ReqDate, ECReq, IV, RequestorType string
}

// CallbackParams are the parameters of a callback URL, each as it is before percent-encoding.
type CallbackParams struct {
	Hidden

	// FI, ResDate, ECRes and IV are the parameters fi, resdate, ecres and iv.
	FI, ResDate, ECRes, IV string
}

// EncodeRedirectRequest is what an FIU asks the service to seal.
type EncodeRedirectRequest struct {
	Hidden

	// FIU is the FIU's id.
	FIU string
	// AA is the AA's id. If it is empty, the handle of Redirect.UserID selects the AA.
	AA string
	// Redirect has the members.
	Redirect Redirect
	// RequestorType may be empty.
	RequestorType RequestorType
	// IssueTime is the instant that reqdate names. The zero time means now.
	IssueTime time.Time
}

// DecodeRedirectRequest is what a browser brought to an AA.
type DecodeRedirectRequest struct {
	Hidden

	// AA is the AA's id. It may be empty if only one pairing of the server fits.
	AA string
	// URL is the whole URL or its query, as received: r.URL.String() in an HTTP handler. Give this or Params.
	URL string
	// Params are the parameters, already percent-decoded.
	Params *RedirectParams
	// AttemptID names this call for the service. If it is empty, the client makes one. Set it only if you repeat calls
	// yourself.
	AttemptID string
}

// EncodeCallbackRequest is what an AA asks the service to seal.
type EncodeCallbackRequest struct {
	Hidden

	// FIU and AA name the pairing.
	FIU, AA string
	// Callback has the outcome.
	Callback Callback
	// RedirectURL is the URL to return to: Redirect.Redirect of the request.
	RedirectURL string
	// IssueTime is the instant that resdate names. The zero time means now.
	IssueTime time.Time
	// SecretID names the secret that opened the request, so that an FIU that still has the old one can read the answer. If
	// it is empty, the primary secret seals.
	SecretID string
}

// DecodeCallbackRequest is what a browser brought back to an FIU.
type DecodeCallbackRequest struct {
	Hidden

	// FIU is the FIU's id. It may be empty if only one pairing of the server fits.
	FIU string
	// URL is the whole URL or its query, as received: r.URL.String() in an HTTP handler. Give this or Params.
	URL string
	// Params are the parameters, already percent-decoded.
	Params *CallbackParams
	// AttemptID names this call for the service. If it is empty, the client makes one. Set it only if you repeat calls
	// yourself.
	AttemptID string
}

// Expectation is what the FIU's record says about a callback: an [Expected], or [NotCompared].
type Expectation interface{ expectation() }

// Expected is the FIU's own record of the redirect that a callback must answer. A callback that differs is refused
// (ReasonNotExpected). Nothing else detects a spliced callback. A session store keeps the bytes of
// [Expected.MarshalBinary], which encoding/gob uses by itself; JSON hides them.
type Expected struct {
	Hidden

	// TxnID, SessionID and UserID are what the FIU sent: [SealedRedirect.Expected] has them.
	TxnID, SessionID, UserID string
	// AA is the AA to which the user was sent. If it is empty, any AA matches.
	AA string
}

func (Expected) expectation() {}

func (e Expected) proto() *redirectv1.ExpectedCallback {
	return &redirectv1.ExpectedCallback{Txnid: e.TxnID, Sessionid: e.SessionID, Userid: e.UserID, AaId: e.AA}
}

// MarshalBinary gives bytes for a session store. The user id is in them.
func (e Expected) MarshalBinary() ([]byte, error) { return proto.Marshal(e.proto()) }

// UnmarshalBinary reads the bytes of [Expected.MarshalBinary].
func (e *Expected) UnmarshalBinary(data []byte) error {
	var message redirectv1.ExpectedCallback
	if err := proto.Unmarshal(data, &message); err != nil {
		return err
	}
	*e = Expected{TxnID: message.Txnid, SessionID: message.Sessionid, UserID: message.Userid, AA: message.AaId}
	return nil
}

// NotCompared opens a callback without comparing it. The caller then compares it with its record by itself.
type NotCompared struct{}

func (NotCompared) expectation() {}
