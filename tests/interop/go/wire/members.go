package wire

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Redirect has the members of `ecreq`.
type Redirect struct {
	TxnID, SessionID, UserID, Redirect string
	SrcRef, FIPID                      []string
	Email, PAN, DOB, ISOLanguageCode   string
	Extra                              map[string]string
}

// Outcome has the members of `ecres`.
type Outcome struct {
	TxnID, SessionID, UserID string
	Success                  bool
	ErrorCode                uint32
	SrcRef                   []string
	Extra                    map[string]string
}

// Lists is how a list is written.
type Lists int

const (
	// Repeated writes srcref=a&srcref=b.
	Repeated Lists = iota
	// Comma writes srcref=a,b.
	Comma
	// Braces writes srcref={a,b}.
	Braces
	// JSON writes srcref=["a","b"].
	JSON
)

// String is the service's name of the syntax.
func (l Lists) String() string { return [...]string{"repeated", "comma", "braces", "json"}[l] }

// Write is the plaintext of `ecreq`.
func (r Redirect) Write(lists Lists) string {
	var w writer
	w.member("txnid", r.TxnID)
	w.member("sessionid", r.SessionID)
	w.member("userid", r.UserID)
	w.redirect(r.Redirect)
	w.list("srcref", r.SrcRef, lists)
	w.list("fipid", r.FIPID, lists)
	w.optional("email", r.Email)
	w.optional("pan", r.PAN)
	w.optional("dob", r.DOB)
	w.optional("isoLanguageCode", r.ISOLanguageCode)
	w.extra(r.Extra)
	return w.String()
}

// Write is the plaintext of `ecres`.
func (o Outcome) Write(lists Lists) string {
	var w writer
	w.member("txnid", o.TxnID)
	w.member("sessionid", o.SessionID)
	w.member("userid", o.UserID)
	w.member("status", map[bool]string{true: "S", false: "F"}[o.Success])
	w.member("errorcode", strconv.FormatUint(uint64(o.ErrorCode), 10))
	w.list("srcref", o.SrcRef, lists)
	w.extra(o.Extra)
	return w.String()
}

// ReadRedirect reads the plaintext of `ecreq`.
func ReadRedirect(plaintext string, lists Lists) (Redirect, error) {
	var r Redirect
	extra, err := read(plaintext, lists, map[string]any{
		"txnid": &r.TxnID, "sessionid": &r.SessionID, "userid": &r.UserID, "redirect": &r.Redirect,
		"srcref": &r.SrcRef, "fipid": &r.FIPID,
		"email": &r.Email, "pan": &r.PAN, "dob": &r.DOB, "isoLanguageCode": &r.ISOLanguageCode,
	})
	r.Extra = extra
	if err == nil && (r.TxnID == "" || r.UserID == "" || r.Redirect == "" || len(r.SrcRef) == 0) {
		err = fmt.Errorf("a member is missing")
	}
	return r, err
}

// ReadOutcome reads the plaintext of `ecres`.
func ReadOutcome(plaintext string, lists Lists) (Outcome, error) {
	var o Outcome
	var status, code string
	extra, err := read(plaintext, lists, map[string]any{
		"txnid": &o.TxnID, "sessionid": &o.SessionID, "userid": &o.UserID,
		"status": &status, "errorcode": &code, "srcref": &o.SrcRef,
	})
	if err != nil {
		return o, err
	}
	if o.TxnID == "" || o.UserID == "" || status != "S" && status != "F" {
		return o, fmt.Errorf("a member is missing")
	}
	number, err := strconv.ParseUint(code, 10, 32)
	o.Success, o.ErrorCode, o.Extra = status == "S", uint32(number), extra
	return o, err
}

type writer struct{ strings.Builder }

func (w *writer) raw(name, value string) {
	if w.Len() > 0 {
		w.WriteByte('&')
	}
	w.WriteString(name + "=" + value)
}

func (w *writer) member(name, value string) { w.raw(name, escape(value, needsEscape)) }

func (w *writer) optional(name, value string) {
	if value != "" {
		w.member(name, value)
	}
}

// redirect escapes the whole URL if any part needs an escape. Otherwise a reader would take it for a URL that is not
// escaped.
func (w *writer) redirect(value string) {
	needs := func(b byte) bool { return reserved(rune(b)) || b == '%' }
	raw := func(b byte) bool { return !needs(b) || strings.IndexByte(":/@", b) >= 0 }
	for i := range len(value) {
		if !raw(value[i]) {
			value = escape(value, needs)
			break
		}
	}
	w.raw("redirect", value)
}

func (w *writer) list(name string, items []string, lists Lists) {
	if len(items) == 0 {
		return
	}
	escaped := make([]string, len(items))
	for i, item := range items {
		escaped[i] = escape(item, needsEscape)
	}
	switch lists {
	case Comma:
		w.raw(name, strings.Join(escaped, ","))
	case Braces:
		w.raw(name, "{"+strings.Join(escaped, ",")+"}")
	case JSON:
		w.raw(name, `["`+strings.Join(escaped, `","`)+`"]`)
	default:
		for _, item := range escaped {
			w.raw(name, item)
		}
	}
}

func (w *writer) extra(extra map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		w.member(name, extra[name])
	}
}

// needsEscape says whether a value must escape this byte.
func needsEscape(b byte) bool { return b <= ' ' || b > 0x7E || strings.IndexByte("%&=+#", b) >= 0 }

func escape(value string, needs func(byte) bool) string {
	var escaped strings.Builder
	for i := range len(value) {
		if needs(value[i]) {
			fmt.Fprintf(&escaped, "%%%02X", value[i])
		} else {
			escaped.WriteByte(value[i])
		}
	}
	return escaped.String()
}

// read stores members in slots, a *string or *[]string for each name, and returns the other members.
func read(plaintext string, lists Lists, slots map[string]any) (map[string]string, error) {
	extra := map[string]string{}
	seen := map[string]bool{}
	for segment := range strings.SplitSeq(plaintext, "&") {
		name, raw, ok := strings.Cut(segment, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("a member without name or value")
		}
		value, err := url.PathUnescape(raw)
		if err != nil || !utf8.ValidString(value) {
			return nil, fmt.Errorf("member %q: no text", name)
		}
		if list, ok := slots[name].(*[]string); ok {
			*list = append(*list, split(value, lists)...)
			continue
		}
		if seen[name] {
			return nil, fmt.Errorf("member %q is repeated", name)
		}
		seen[name] = true
		if text, ok := slots[name].(*string); ok {
			*text = value
		} else {
			extra[name] = value
		}
	}
	return extra, nil
}

// split takes a list apart. An item holds no comma, brace, bracket or quote.
func split(value string, lists Lists) []string {
	switch lists {
	case Comma:
		return strings.Split(value, ",")
	case Braces:
		return strings.Split(strings.TrimSuffix(strings.TrimPrefix(value, "{"), "}"), ",")
	case JSON:
		return strings.Split(strings.TrimSuffix(strings.TrimPrefix(value, `["`), `"]`), `","`)
	default:
		return []string{value}
	}
}
