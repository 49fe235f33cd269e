package redirect

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	"google.golang.org/grpc/codes"

	redirectv1 "aa/redirect/v1"
)

// SealedRedirect is a redirect for the user's browser. It does not change and prints without the URL.
type SealedRedirect struct {
	m    kept[redirectv1.EncodeRedirectResponse]
	sent kept[Expected]
}

// Location is the URL of the AA's web view with the sealed parameters, as exact text for the Location header. Keep it out
// of logs: it leads to the user's data. For a pairing without a web view it gives an [*Error] with ReasonWebviewMissing:
// build the URL from [SealedRedirect.Query].
func (r SealedRedirect) Location() (string, error) {
	if location := r.m.get().GetUrl(); location != "" {
		return location, nil
	}
	return "", &Error{
		Reason: ReasonWebviewMissing, Code: codes.FailedPrecondition, Method: "EncodeRedirect", Tries: 1,
		Message: "the pairing has no web view URL: name one in the keyring, or build the URL from the query",
	}
}

// URL is [SealedRedirect.Location] parsed.
func (r SealedRedirect) URL() (*url.URL, error) {
	location, err := r.Location()
	if err != nil {
		return nil, err
	}
	return parse(location)
}

// Query has the parameters as a query without ?, percent-encoded.
func (r SealedRedirect) Query() string { return r.m.get().GetQuery() }

// Params are the parameters before percent-encoding.
func (r SealedRedirect) Params() RedirectParams {
	p := r.m.get().GetParams()
	return RedirectParams{
		FI: p.GetFi(), ReqDate: p.GetReqdate(), ECReq: p.GetEcreq(), IV: p.GetIv(), RequestorType: p.GetRequestorType(),
	}
}

// TxnID is the txnid that was given or made.
func (r SealedRedirect) TxnID() string { return r.m.get().GetTxnid() }

// Expected is what the callback must match: keep it with the user's session for [Client.DecodeCallback]. Its AA is the one
// that the request named.
func (r SealedRedirect) Expected() Expected {
	if sent := r.sent.get(); sent != nil {
		return *sent
	}
	return Expected{}
}

// SecretID names the secret that sealed.
func (r SealedRedirect) SecretID() string { return r.m.get().GetSecretId() }

// IssueTime is the instant that reqdate was written from.
func (r SealedRedirect) IssueTime() time.Time { return timeOf(r.m.get().GetIssueTime()) }

// ExpireTime is the end of the pairing's window. Send the browser before it.
func (r SealedRedirect) ExpireTime() time.Time { return timeOf(r.m.get().GetExpireTime()) }

// Format writes the same text for every verb, without the user's data.
func (r SealedRedirect) Format(state fmt.State, _ rune) { show(state, r.text()) }

// MarshalText gives what Format writes.
func (r SealedRedirect) MarshalText() ([]byte, error) { return []byte(r.text()), nil }

func (r SealedRedirect) text() string {
	return fmt.Sprintf("redirect.SealedRedirect(secret_id=%s)", r.SecretID())
}

// OpenedRedirect is what an FIU asks for. It does not change and prints without the members.
type OpenedRedirect struct {
	m kept[redirectv1.DecodeRedirectResponse]
}

// FIU is the FIU's id.
func (r OpenedRedirect) FIU() string { return r.m.get().GetFiuId() }

// AA is the AA's id.
func (r OpenedRedirect) AA() string { return r.m.get().GetAaId() }

// Redirect has the members. Return TxnID, SessionID and UserID unchanged.
func (r OpenedRedirect) Redirect() Redirect { return redirectOf(r.m.get().GetRedirect()) }

// Accept is the callback to seal if the user accepted: it has the ids, members, return URL and secret of the request. Set
// Callback.SrcRef if the user accepted only some handles.
func (r OpenedRedirect) Accept() EncodeCallbackRequest {
	answer := r.Reject(0)
	answer.Callback.Status, answer.Callback.SrcRef = Success, r.Redirect().SrcRef
	return answer
}

// Reject is the callback to seal if the user did not accept, or could not: the guideline's code says why.
func (r OpenedRedirect) Reject(errorCode uint32) EncodeCallbackRequest {
	members := r.Redirect()
	return EncodeCallbackRequest{
		FIU: r.FIU(), AA: r.AA(), RedirectURL: members.Redirect,
		Callback: Callback{
			TxnID: members.TxnID, SessionID: members.SessionID, UserID: members.UserID, Status: Failure, ErrorCode: errorCode,
		},
		// While a secret is being replaced, the FIU may have only the old one.
		SecretID: r.SecretID(),
	}
}

// RequestorType is empty if the parameter was absent.
func (r OpenedRedirect) RequestorType() RequestorType {
	return nameOf[RequestorType](r.m.get().GetRequestorType(), "REQUESTOR_TYPE_")
}

// IssueTime is the instant that the date names; unknown seconds are 0.
func (r OpenedRedirect) IssueTime() time.Time { return timeOf(r.m.get().GetIssueTime()) }

// Age is now minus IssueTime, negative for a date ahead.
func (r OpenedRedirect) Age() time.Duration { return r.m.get().GetAge().AsDuration() }

// SecretID names the secret that opened the message. Give it to EncodeCallback.
func (r OpenedRedirect) SecretID() string { return r.m.get().GetSecretId() }

// PrimarySecret is false if the FIU still seals with an old secret.
func (r OpenedRedirect) PrimarySecret() bool { return r.m.get().GetPrimarySecret() }

// Deviations are the repairs, each with its place; none for a clean message.
func (r OpenedRedirect) Deviations() []DeviationDetail {
	return details(r.m.get().GetDeviations(), r.m.get().GetDeviationDetails())
}

// Reopened says whether this message was opened before, as far as the service remembers. A reload of the page opens it
// again, too.
func (r OpenedRedirect) Reopened() bool { return r.m.get().GetReopened() }

// FirstOpenTime is when this message was first opened, as far as the service remembers.
func (r OpenedRedirect) FirstOpenTime() time.Time { return timeOf(r.m.get().GetFirstOpenTime()) }

// ReplayKey is the same for every message that an attacker could make from this one. To act only once, store it until
// ReplayUntil and refuse a second use.
func (r OpenedRedirect) ReplayKey() string { return r.m.get().GetReplayKey() }

// ReplayUntil is the last instant at which a message with this date could still be accepted.
func (r OpenedRedirect) ReplayUntil() time.Time { return timeOf(r.m.get().GetReplayUntil()) }

// Authenticated says whether the message carried a right tag (the pairing's setting authentication).
func (r OpenedRedirect) Authenticated() bool { return r.m.get().GetAuthenticated() }

// Format writes the same text for every verb, without the user's data.
func (r OpenedRedirect) Format(state fmt.State, _ rune) { show(state, r.text()) }

// MarshalText gives what Format writes.
func (r OpenedRedirect) MarshalText() ([]byte, error) { return []byte(r.text()), nil }

func (r OpenedRedirect) text() string {
	return openedText("OpenedRedirect", r.FIU(), r.AA(), r.SecretID(), r.Reopened())
}

// SealedCallback is the way back for the user's browser. It does not change and prints without the URL.
type SealedCallback struct {
	m kept[redirectv1.EncodeCallbackResponse]
}

// Location is the FIU's URL with the sealed parameters, as exact text for the Location header. Keep it out of logs: it
// leads to the user's data.
func (r SealedCallback) Location() string { return r.m.get().GetUrl() }

// URL is [SealedCallback.Location] parsed.
func (r SealedCallback) URL() (*url.URL, error) { return parse(r.m.get().GetUrl()) }

// Query has the parameters as a query without ?, percent-encoded.
func (r SealedCallback) Query() string { return r.m.get().GetQuery() }

// Params are the parameters before percent-encoding.
func (r SealedCallback) Params() CallbackParams {
	p := r.m.get().GetParams()
	return CallbackParams{FI: p.GetFi(), ResDate: p.GetResdate(), ECRes: p.GetEcres(), IV: p.GetIv()}
}

// SecretID names the secret that sealed.
func (r SealedCallback) SecretID() string { return r.m.get().GetSecretId() }

// IssueTime is the instant that resdate was written from.
func (r SealedCallback) IssueTime() time.Time { return timeOf(r.m.get().GetIssueTime()) }

// ExpireTime is the end of the pairing's window.
func (r SealedCallback) ExpireTime() time.Time { return timeOf(r.m.get().GetExpireTime()) }

// Format writes the same text for every verb, without the user's data.
func (r SealedCallback) Format(state fmt.State, _ rune) { show(state, r.text()) }

// MarshalText gives what Format writes.
func (r SealedCallback) MarshalText() ([]byte, error) { return []byte(r.text()), nil }

func (r SealedCallback) text() string {
	return fmt.Sprintf("redirect.SealedCallback(secret_id=%s)", r.SecretID())
}

// OpenedCallback is the outcome of a request. It does not change and prints without the members.
type OpenedCallback struct {
	m kept[redirectv1.DecodeCallbackResponse]
}

// FIU is the FIU's id.
func (r OpenedCallback) FIU() string { return r.m.get().GetFiuId() }

// AA is the AA's id.
func (r OpenedCallback) AA() string { return r.m.get().GetAaId() }

// Callback has the outcome. Ask the AA for the consent before you act: only the secret shows where the callback comes from.
func (r OpenedCallback) Callback() Callback { return callbackOf(r.m.get().GetCallback()) }

// Accepted is whether the status is Success and the error code is 0. An AA may contradict itself (StatusMismatch).
func (r OpenedCallback) Accepted() bool {
	callback := r.m.get().GetCallback()
	return callback.GetStatus() == redirectv1.CallbackStatus_CALLBACK_STATUS_SUCCESS && callback.GetErrorcode() == 0
}

// ErrorMessage is the guideline's text for the error code.
func (r OpenedCallback) ErrorMessage() string { return r.m.get().GetErrorMessage() }

// IssueTime is the instant that the date names; unknown seconds are 0.
func (r OpenedCallback) IssueTime() time.Time { return timeOf(r.m.get().GetIssueTime()) }

// Age is now minus IssueTime, negative for a date ahead.
func (r OpenedCallback) Age() time.Duration { return r.m.get().GetAge().AsDuration() }

// SecretID names the secret that opened the message.
func (r OpenedCallback) SecretID() string { return r.m.get().GetSecretId() }

// PrimarySecret is false if the AA still seals with an old secret.
func (r OpenedCallback) PrimarySecret() bool { return r.m.get().GetPrimarySecret() }

// Deviations are the repairs, each with its place; none for a clean message.
func (r OpenedCallback) Deviations() []DeviationDetail {
	return details(r.m.get().GetDeviations(), r.m.get().GetDeviationDetails())
}

// Reopened says whether this message was opened before, as far as the service remembers. A reload of the page opens it
// again, too.
func (r OpenedCallback) Reopened() bool { return r.m.get().GetReopened() }

// FirstOpenTime is when this message was first opened, as far as the service remembers.
func (r OpenedCallback) FirstOpenTime() time.Time { return timeOf(r.m.get().GetFirstOpenTime()) }

// ReplayKey is the same for every message that an attacker could make from this one. To act only once, store it until
// ReplayUntil and refuse a second use.
func (r OpenedCallback) ReplayKey() string { return r.m.get().GetReplayKey() }

// ReplayUntil is the last instant at which a message with this date could still be accepted; the zero time if the pairing
// does not check resdate, because then a message never expires.
func (r OpenedCallback) ReplayUntil() time.Time { return timeOf(r.m.get().GetReplayUntil()) }

// Authenticated says whether the message carried a right tag (the pairing's setting authentication).
func (r OpenedCallback) Authenticated() bool { return r.m.get().GetAuthenticated() }

// Format writes the same text for every verb, without the user's data.
func (r OpenedCallback) Format(state fmt.State, _ rune) { show(state, r.text()) }

// MarshalText gives what Format writes.
func (r OpenedCallback) MarshalText() ([]byte, error) { return []byte(r.text()), nil }

func (r OpenedCallback) text() string {
	return openedText("OpenedCallback", r.FIU(), r.AA(), r.SecretID(), r.Reopened())
}

func openedText(name, fiu, aa, secret string, reopened bool) string {
	return fmt.Sprintf("redirect.%s(fiu_id=%s aa_id=%s secret_id=%s reopened=%t)", name, fiu, aa, secret, reopened)
}

// parse does not return the error of net/url, because that error quotes the URL.
func parse(location string) (*url.URL, error) {
	parsed, err := url.Parse(location)
	if err != nil {
		return nil, &Error{
			Reason: ReasonUnexpectedAnswer, Code: codes.Internal, Tries: 1,
			Message: "net/url cannot read the URL: use Location, which is the exact text",
		}
	}
	return parsed, nil
}

// details returns the deviations with their places. An older server sends only the kinds.
func details(kinds []redirectv1.Deviation, places []*redirectv1.DeviationDetail) []DeviationDetail {
	var all []DeviationDetail
	for _, detail := range places {
		all = append(all, DeviationDetail{deviationOf(detail.GetDeviation()), detail.GetPlace()})
	}
	for _, kind := range kinds {
		told := slices.ContainsFunc(places, func(d *redirectv1.DeviationDetail) bool { return d.GetDeviation() == kind })
		if !told {
			all = append(all, DeviationDetail{Deviation: deviationOf(kind)})
		}
	}
	return all
}
