// Random members: realistic ones, and ones that break careless code.
package interop

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"

	"aa-redirect/tests/interop/go/wire"
	redirectv1 "aa/redirect/v1"
)

// random gives the same members for the same seed, test and number.
type random struct{ *rand.Rand }

func newRandom(test string, number int) random {
	salt := fnv.New64a()
	fmt.Fprint(salt, test, number)
	return random{rand.New(rand.NewPCG(seed, salt.Sum64()))}
}

var (
	letters   = strings.Split("a b c x y z A M Z 0 1 9 - _ . ~", " ")
	scripts   = []string{"स", "त्र", "उपयोगकर्ता", "१", "é", "e\u0301", "😀", "🇮🇳", "👩‍👩‍👧", "\U0010FFFD"}
	syntax    = []string{"&", "=", "%", "+", "%2B", "%zz", "?", "#", "/", ":", "@", "|", ";", "$", "'", "<", "&a=b"}
	lists     = []string{",", "{", "}", "[", "]", `"`, `\`}
	blanks    = []string{" ", "\r\n", "\n", "\t", "\u00a0"}
	controls  = []string{"\x00", "\x01", "\x1b", "\x7f"}
	languages = strings.Fields("en-IN hi-IN bn-IN mr-IN te-IN ta-IN gu-IN ur-IN kn-IN or-IN ml-IN pa-IN as-IN")
)

func pick[T any](r random, from []T) T { return from[r.IntN(len(from))] }

func (r random) chance(percent int) bool { return r.IntN(100) < percent }

// text joins up to length pieces of the kinds.
func (r random) text(length int, kinds ...[]string) string {
	var text strings.Builder
	for range r.IntN(length + 1) {
		text.WriteString(pick(r, pick(r, kinds)))
	}
	return text.String()
}

func (r random) anyText() string {
	return r.text(24, letters, scripts, syntax, lists, blanks, controls)
}

func (r random) uuid() string {
	a, b := r.Uint64(), r.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>52, b&0xffff_ffff_ffff)
}

func (r random) userID(handle string) string {
	if r.chance(50) {
		return fmt.Sprintf("%010d@%s", r.IntN(10_000_000_000), handle)
	}
	// A user id has at most 128 bytes.
	return pick(r, letters) + r.text(3, letters, scripts, []string{"&", "=", "%", "+", "%2B", "#", "/"}) + "@" + handle
}

// url returns an absolute URL without blanks, with or without a query and a fragment.
func (r random) url() string {
	url := pick(r, []string{"https://fiu.example", "https://app.fiu.example:8443", "myapp://done", "https://सत्र.example"}) +
		"/cb" + r.text(4, letters, scripts, []string{"/", "%2F", "+", "=", "%20", ";", "|"})
	inside := []string{"=", "%", "+", "%26", "%3D", "/", "?", ":", "@"}
	if r.chance(50) {
		url += "?a=" + r.text(6, letters, scripts, inside) + "&next=https://x.example/?b=1" + r.text(3, letters, inside)
	}
	if r.chance(25) {
		url += "#top" + r.text(4, letters, scripts, inside)
	}
	return url
}

// handles returns consent handles, most of them UUIDs.
func (r random) handles(least, most int) []string {
	handles := make([]string, least+r.IntN(most-least+1))
	for i := range handles {
		if handles[i] = r.uuid(); r.chance(20) {
			handles[i] = "h" + r.text(6, letters, scripts, []string{"=", "%", "+", "|", "#", "/", " ", "%2C"}) + "h"
		}
	}
	return handles
}

func (r random) extra() map[string]string {
	extra := map[string]string{}
	if r.chance(25) {
		for range 1 + r.IntN(3) {
			extra["x"+r.text(5, letters[:14])+pick(r, []string{"", "-y", "_z", ".0"})] = "v" + r.anyText()
		}
	}
	return extra
}

func (r random) redirect(p *pairing) *redirectv1.Redirect {
	redirect := &redirectv1.Redirect{
		Txnid: r.uuid(), Sessionid: r.anyText(), Userid: r.userID(p.handle), Redirect: r.url(), Srcref: r.handles(r.least(p), 50),
		Extra: r.extra(),
	}
	if r.chance(15) {
		redirect.Sessionid = ""
	}
	if r.chance(40) {
		redirect.Fipid = r.handles(r.least(p), 5)
	}
	if r.chance(40) {
		redirect.Email = "ऋषि" + r.anyText() + "+tag@fiu.example"
	}
	if r.chance(40) {
		redirect.Pan = fmt.Sprintf("ABCPE%04dZ", r.IntN(10_000))
	}
	if r.chance(40) {
		redirect.Dob = time.Date(1930, 1, 1+r.IntN(30_000), 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
	}
	if r.chance(40) {
		redirect.IsoLanguageCode = pick(r, languages)
	}
	return redirect
}

func (r random) callback(p *pairing) *redirectv1.Callback {
	callback := &redirectv1.Callback{
		Txnid: r.uuid(), Sessionid: r.anyText(), Userid: r.userID(p.handle),
		Status: redirectv1.CallbackStatus_CALLBACK_STATUS_SUCCESS, Srcref: r.handles(r.least(p), 50), Extra: r.extra(),
	}
	if r.chance(40) {
		callback.Status, callback.Errorcode = redirectv1.CallbackStatus_CALLBACK_STATUS_FAILURE, 1+uint32(r.IntN(30))
		if r.chance(50) {
			callback.Srcref = nil
		}
	}
	return callback
}

// least is the smallest number of items in a list. The documents do not say how braces or JSON write a single item.
func (r random) least(p *pairing) int {
	if p.lists == wire.Repeated {
		return 1
	}
	return 2
}

func (r random) requestorType() redirectv1.RequestorType { return redirectv1.RequestorType(r.IntN(3)) }

// toWire and fromWire convert between the API's members and those of the codec, which does not know protobuf.
func toWire(m *redirectv1.Redirect) wire.Redirect {
	return wire.Redirect{
		TxnID: m.Txnid, SessionID: m.Sessionid, UserID: m.Userid, Redirect: m.Redirect, SrcRef: m.Srcref, FIPID: m.Fipid,
		Email: m.Email, PAN: m.Pan, DOB: m.Dob, ISOLanguageCode: m.IsoLanguageCode, Extra: m.Extra,
	}
}

func fromWire(m wire.Redirect) *redirectv1.Redirect {
	return &redirectv1.Redirect{
		Txnid: m.TxnID, Sessionid: m.SessionID, Userid: m.UserID, Redirect: m.Redirect, Srcref: m.SrcRef, Fipid: m.FIPID,
		Email: m.Email, Pan: m.PAN, Dob: m.DOB, IsoLanguageCode: m.ISOLanguageCode, Extra: m.Extra,
	}
}

func outcomeToWire(m *redirectv1.Callback) wire.Outcome {
	return wire.Outcome{
		TxnID: m.Txnid, SessionID: m.Sessionid, UserID: m.Userid,
		Success:   m.Status == redirectv1.CallbackStatus_CALLBACK_STATUS_SUCCESS,
		ErrorCode: m.Errorcode, SrcRef: m.Srcref, Extra: m.Extra,
	}
}

func outcomeFromWire(m wire.Outcome) *redirectv1.Callback {
	status := redirectv1.CallbackStatus_CALLBACK_STATUS_FAILURE
	if m.Success {
		status = redirectv1.CallbackStatus_CALLBACK_STATUS_SUCCESS
	}
	return &redirectv1.Callback{
		Txnid: m.TxnID, Sessionid: m.SessionID, Userid: m.UserID,
		Status: status, Errorcode: m.ErrorCode, Srcref: m.SrcRef, Extra: m.Extra,
	}
}
