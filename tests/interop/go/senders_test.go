// Messages as real senders write them, mostly Go programs: typical mistakes with time.Format, url.Values, fmt.Sprintf
// and encoding/base64. The service opens each to the intended members, and reports exactly the named deviations.
package interop

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aa-redirect/tests/interop/go/wire"
	redirectv1 "aa/redirect/v1"
)

const (
	base64Alphabet     = redirectv1.Deviation_DEVIATION_BASE64_ALPHABET
	base64Unpadded     = redirectv1.Deviation_DEVIATION_BASE64_UNPADDED
	plusAsSpace        = redirectv1.Deviation_DEVIATION_PLUS_AS_SPACE
	doubleEncoded      = redirectv1.Deviation_DEVIATION_DOUBLE_ENCODED
	whitespace         = redirectv1.Deviation_DEVIATION_WHITESPACE
	dateDigits         = redirectv1.Deviation_DEVIATION_DATE_DIGITS
	secondQuestionMark = redirectv1.Deviation_DEVIATION_SECOND_QUESTION_MARK
	listSyntax         = redirectv1.Deviation_DEVIATION_LIST_SYNTAX
	redirectUnescaped  = redirectv1.Deviation_DEVIATION_REDIRECT_UNESCAPED
	txnidNotUUID       = redirectv1.Deviation_DEVIATION_TXNID_NOT_UUID
	extraMember        = redirectv1.Deviation_DEVIATION_EXTRA_MEMBER
	blankOptional      = redirectv1.Deviation_DEVIATION_BLANK_OPTIONAL
	statusMismatch     = redirectv1.Deviation_DEVIATION_STATUS_MISMATCH
	strayCharacters    = redirectv1.Deviation_DEVIATION_STRAY_CHARACTERS
	nameCase           = redirectv1.Deviation_DEVIATION_NAME_CASE
	invalidEscape      = redirectv1.Deviation_DEVIATION_INVALID_ESCAPE
	repeated           = redirectv1.Deviation_DEVIATION_REPEATED
	htmlEscaped        = redirectv1.Deviation_DEVIATION_HTML_ESCAPED
	inFragment         = redirectv1.Deviation_DEVIATION_IN_FRAGMENT
	requestorTypeOdd   = redirectv1.Deviation_DEVIATION_REQUESTOR_TYPE
	dateZeroLost       = redirectv1.Deviation_DEVIATION_DATE_ZERO_LOST
	rawNonASCII        = redirectv1.Deviation_DEVIATION_RAW_NON_ASCII
)

// A request as it was sent. A field that is left out is as a clean sender writes it.
type sentRequest struct {
	name string
	p    *pairing // default: iv
	date func(time.Time) string
	// plain is the plaintext.
	plain string
	// fits says whether a message suits the case. Messages are sealed until one does.
	fits func(wire.Envelope) bool
	// url has the parameters; params, if given, replaces it.
	url    func(wire.Envelope) string
	params func(wire.Envelope) *redirectv1.RedirectParams

	deviations []redirectv1.Deviation
	requestor  redirectv1.RequestorType
	// differs changes cleanRedirect's members to the expected ones.
	differs func(*redirectv1.Redirect)
}

const (
	sentTxnid  = "2d04747e-21c6-4c23-955b-d46c2f820140"
	sentHandle = "c1a0bd12-5e4b-4a0a-8a2e-0f1d2c3b4a59"
	other      = "0a7c2f1e-93b4-4f6d-8f37-64a1d2b8c5e0"
	third      = "5b1f0c9a-27de-4e19-b0a3-7d8e6f5c4b32"

	sentMembers  = "txnid=" + sentTxnid + "&sessionid=s&userid=9999988888@at-aa-iv&redirect=https://fiu.example/cb"
	sentPlain    = sentMembers + "&srcref=" + sentHandle
	sentCallback = "txnid=" + sentTxnid + "&sessionid=s&userid=9999988888@at-aa-iv&status=S&errorcode=0&srcref=" + sentHandle
)

func layout(layout string) func(time.Time) string {
	return func(now time.Time) string { return strings.ReplaceAll(now.UTC().Format(layout), ".", "") }
}

func handles(handles ...string) func(*redirectv1.Redirect) {
	return func(m *redirectv1.Redirect) { m.Srcref = handles }
}

func returnTo(url string) func(*redirectv1.Redirect) {
	return func(m *redirectv1.Redirect) { m.Redirect = url }
}

// standard re-writes URL-safe Base64 in the standard alphabet, and urlSafe the other way round.
var (
	standard = strings.NewReplacer("-", "+", "_", "/").Replace
	urlSafe  = strings.NewReplacer("+", "-", "/", "_").Replace
)

func masked(text, date string) string {
	return base64.StdEncoding.EncodeToString([]byte(wire.Mask(text, date)))
}

func unpadded(text string) string { return strings.TrimRight(text, "=") }

// mime breaks lines as RFC 2045 does.
func mime(text string) string {
	var lines []string
	for len(text) > 76 {
		lines, text = append(lines, text[:76]), text[76:]
	}
	return strings.Join(append(lines, text), "\r\n")
}

// edit changes the parameters before they are percent-encoded.
func edit(edit func(*wire.Envelope)) func(wire.Envelope) string {
	return func(e wire.Envelope) string {
		edit(&e)
		return "https://aa.example/webview?" + e.Query(wire.Request)
	}
}

// sprintf makes a URL without any escaping.
func sprintf(e wire.Envelope) string {
	url := fmt.Sprintf("https://aa.example/webview?fi=%s&reqdate=%s&ecreq=%s", e.FI, e.Date, e.Message)
	if e.IV != "" {
		url += "&iv=" + e.IV
	}
	return url
}

// hasPlusAndSlash: the message needs both characters that differ between the two alphabets, and has `+` nowhere else.
func hasPlusAndSlash(e wire.Envelope) bool {
	return strings.Contains(e.Message, "-") && strings.Contains(e.Message, "_") && !strings.Contains(e.FI+e.IV, "+")
}

func TestRequestsOfRealSenders(t *testing.T) {
	jsonList, err := json.Marshal([]string{sentHandle, other, third})
	if err != nil {
		t.Fatal(err)
	}
	cases := []sentRequest{
		// Dates.
		{name: "date in milliseconds", date: layout("020120061504.000")},
		{name: "date in seconds", date: layout("02012006150405"), deviations: []redirectv1.Deviation{dateDigits}},
		{name: "date in seconds and milliseconds", date: layout("02012006150405.000"), deviations: []redirectv1.Deviation{dateDigits}},
		{name: "date in seconds, pbkdf2", p: v12, date: layout("02012006150405"), deviations: []redirectv1.Deviation{dateDigits}},
		{
			name: "date in seconds and milliseconds, pbkdf2", p: v12, date: layout("02012006150405.000"),
			deviations: []redirectv1.Deviation{dateDigits},
		},
		{name: "date in seconds and milliseconds, as the pairing writes it", p: ivFull, date: layout("02012006150405.000")},
		{
			name: "date in padded seconds",
			date: func(now time.Time) string { return wire.FormatDate(now, wire.PaddedSeconds) },
		},
		{
			name: "date in seconds and tenths",
			date: func(now time.Time) string { return wire.FormatDate(now, wire.Tenths) },
		},
		{
			name: "date with blanks around it", deviations: []redirectv1.Deviation{whitespace},
			url: func(e wire.Envelope) string {
				return "?" + strings.Replace(e.Query(wire.Request), e.Date, "%20"+e.Date+"%0A", 1)
			},
		},

		// Base64.
		{
			name: "RawURLEncoding", deviations: []redirectv1.Deviation{base64Unpadded},
			url: edit(func(e *wire.Envelope) {
				e.FI, e.Message, e.IV = unpadded(e.FI), unpadded(e.Message), unpadded(e.IV)
			}),
		},
		{
			name: "RawURLEncoding of ecreq only, pbkdf2", p: v12, deviations: []redirectv1.Deviation{base64Unpadded},
			fits: func(e wire.Envelope) bool { return strings.HasSuffix(e.Message, "=") },
			url:  edit(func(e *wire.Envelope) { e.Message = unpadded(e.Message) }),
		},
		{
			name: "StdEncoding of ecreq", fits: hasPlusAndSlash, deviations: []redirectv1.Deviation{base64Alphabet},
			url: edit(func(e *wire.Envelope) { e.Message = standard(e.Message) }),
		},
		{
			name: "URLEncoding of fi", p: plusIV, deviations: []redirectv1.Deviation{base64Alphabet},
			url: edit(func(e *wire.Envelope) { e.FI = urlSafe(e.FI) }),
		},
		{
			name: "URLEncoding of iv", deviations: []redirectv1.Deviation{base64Alphabet},
			fits: func(e wire.Envelope) bool { return strings.ContainsAny(e.IV, "+/") },
			url:  edit(func(e *wire.Envelope) { e.IV = urlSafe(e.IV) }),
		},
		{
			name: "StdEncoding and fmt.Sprintf", fits: hasPlusAndSlash, deviations: []redirectv1.Deviation{base64Alphabet, plusAsSpace},
			url: func(e wire.Envelope) string {
				e.Message = standard(e.Message)
				return sprintf(e)
			},
		},
		{
			name: "StdEncoding and fmt.Sprintf, pbkdf2", p: v12, fits: hasPlusAndSlash,
			deviations: []redirectv1.Deviation{base64Alphabet, plusAsSpace},
			url: func(e wire.Envelope) string {
				e.Message = standard(e.Message)
				return sprintf(e)
			},
		},
		{
			name: "StdEncoding whose plus signs became %20", fits: hasPlusAndSlash,
			deviations: []redirectv1.Deviation{base64Alphabet, plusAsSpace},
			url: func(e wire.Envelope) string {
				e.Message = strings.ReplaceAll(standard(e.Message), "+", "%20")
				return sprintf(e)
			},
		},
		{
			name: "StdEncoding whose plus signs became blanks before the parameters were handed over", fits: hasPlusAndSlash,
			deviations: []redirectv1.Deviation{base64Alphabet, plusAsSpace},
			params: func(e wire.Envelope) *redirectv1.RedirectParams {
				e.Message = strings.ReplaceAll(standard(e.Message), "+", " ")
				return redirectParams(e)
			},
		},
		{
			name: "StdEncoding in parameters, where a plus sign is itself", fits: hasPlusAndSlash,
			deviations: []redirectv1.Deviation{base64Alphabet},
			params: func(e wire.Envelope) *redirectv1.RedirectParams {
				e.Message = standard(e.Message)
				return redirectParams(e)
			},
		},
		{name: "fmt.Sprintf with a plus sign in fi", p: plusIV, url: sprintf, deviations: []redirectv1.Deviation{plusAsSpace}},
		{name: "fmt.Sprintf with a plus sign in fi, pbkdf2", p: plusV12, url: sprintf, deviations: []redirectv1.Deviation{plusAsSpace}},
		{
			name: "a plus sign of fi became a blank", p: plusIV, deviations: []redirectv1.Deviation{plusAsSpace},
			params: func(e wire.Envelope) *redirectv1.RedirectParams {
				e.FI = strings.ReplaceAll(e.FI, "+", " ")
				return redirectParams(e)
			},
		},
		{
			name: "QueryEscape twice", deviations: []redirectv1.Deviation{doubleEncoded},
			url: edit(func(e *wire.Envelope) {
				e.FI, e.Message, e.IV = url.QueryEscape(e.FI), url.QueryEscape(e.Message), url.QueryEscape(e.IV)
			}),
		},
		{
			name: "MIME lines", deviations: []redirectv1.Deviation{whitespace},
			url: edit(func(e *wire.Envelope) { e.Message = mime(e.Message) }),
		},
		{
			name: "MIME lines of the standard alphabet", fits: hasPlusAndSlash,
			deviations: []redirectv1.Deviation{base64Alphabet, whitespace},
			url:        edit(func(e *wire.Envelope) { e.Message = mime(standard(e.Message)) }),
		},
		{
			name: "a line end after every value", p: v12, deviations: []redirectv1.Deviation{whitespace},
			url: edit(func(e *wire.Envelope) { e.FI, e.Message = e.FI+"\n", e.Message+"\n" }),
		},

		// The URL.
		{
			name: "a second question mark", deviations: []redirectv1.Deviation{secondQuestionMark},
			url: func(e wire.Envelope) string { return "https://aa.example/webview?theme=dark?" + e.Query(wire.Request) },
		},
		{
			name: "every parameter twice, with the same value", deviations: []redirectv1.Deviation{repeated},
			url: func(e wire.Envelope) string { return "?" + e.Query(wire.Request) + "&" + e.Query(wire.Request) },
		},
		{
			name: "html.EscapeString of the URL", deviations: []redirectv1.Deviation{htmlEscaped},
			url: func(e wire.Envelope) string {
				return html.EscapeString("https://aa.example/w?" + e.Query(wire.Request))
			},
		},
		{
			name: "parameters behind the route of a page", deviations: []redirectv1.Deviation{inFragment},
			url: func(e wire.Envelope) string { return "https://aa.example/#/consent?" + e.Query(wire.Request) },
		},
		{
			name: "parameters' names in other cases", deviations: []redirectv1.Deviation{nameCase},
			url: func(e wire.Envelope) string {
				return "?" + strings.NewReplacer("reqdate=", "reqDate=", "ecreq=", "ecReq=").Replace(e.Query(wire.Request))
			},
		},
		{
			name: "a masked requestorType", requestor: redirectv1.RequestorType_REQUESTOR_TYPE_LSP,
			url: edit(func(e *wire.Envelope) { e.RequestorType = masked("LSP", e.Date) }),
		},
		{
			name: "an unknown requestorType", deviations: []redirectv1.Deviation{requestorTypeOdd},
			url: edit(func(e *wire.Envelope) { e.RequestorType = masked("AA", e.Date) }),
		},
		{
			name: "a requestorType that is not masked", deviations: []redirectv1.Deviation{requestorTypeOdd},
			requestor: redirectv1.RequestorType_REQUESTOR_TYPE_FIU,
			url:       edit(func(e *wire.Envelope) { e.RequestorType = "FIU" }),
		},
		{
			name: "a requestorType that is no Base64", deviations: []redirectv1.Deviation{requestorTypeOdd},
			url: edit(func(e *wire.Envelope) { e.RequestorType = "***" }),
		},
		{
			name: "unknown parameters and a fragment",
			url: func(e wire.Envelope) string {
				return "https://aa.example/webview?fip=a%20b&" + e.Query(wire.Request) + "&aaVersion=2#/consent?x=1"
			},
		},

		// Lists.
		{
			name: "list joined by commas", plain: sentMembers + "&srcref=" + strings.Join([]string{sentHandle, other, third}, ","),
			deviations: []redirectv1.Deviation{listSyntax}, differs: handles(sentHandle, other, third),
		},
		{
			name: "list joined by commas and blanks", plain: sentMembers + "&srcref=" + sentHandle + ",%20" + other,
			deviations: []redirectv1.Deviation{listSyntax}, differs: handles(sentHandle, other),
		},
		{
			name: "list in braces", plain: sentMembers + "&srcref={" + sentHandle + "," + other + "}",
			deviations: []redirectv1.Deviation{listSyntax}, differs: handles(sentHandle, other),
		},
		{
			name: "list in braces, escaped", p: v12,
			plain:      sentMembers + "&srcref=" + url.QueryEscape("{"+sentHandle+","+other+"}"),
			deviations: []redirectv1.Deviation{listSyntax}, differs: handles(sentHandle, other),
		},
		{
			name: "list by json.Marshal", plain: sentMembers + "&srcref=" + string(jsonList),
			deviations: []redirectv1.Deviation{listSyntax}, differs: handles(sentHandle, other, third),
		},
		{
			name: "list by json.Marshal, escaped", plain: sentMembers + "&srcref=" + url.QueryEscape(string(jsonList)),
			deviations: []redirectv1.Deviation{listSyntax}, differs: handles(sentHandle, other, third),
		},
		{
			name: "list in brackets", plain: sentMembers + "&srcref=[" + sentHandle + "," + other + "]",
			deviations: []redirectv1.Deviation{listSyntax}, differs: handles(sentHandle, other),
		},
		{
			name: "list whose repetition was escaped", plain: sentMembers + "&srcref=" + url.QueryEscape(sentHandle+"&srcref="+other),
			deviations: []redirectv1.Deviation{listSyntax}, differs: handles(sentHandle, other),
		},
		{
			name: "list repeated, as everyone may", p: ivComma, plain: sentPlain + "&srcref=" + other,
			differs: handles(sentHandle, other),
		},
		{
			name: "list of FIPs in braces", plain: sentPlain + "&fipid={FIP-1,FIP-2}", deviations: []redirectv1.Deviation{listSyntax},
			differs: func(m *redirectv1.Redirect) { m.Fipid = []string{"FIP-1", "FIP-2"} },
		},

		// The redirect.
		{
			name: "redirect with a query, unescaped",
			plain: "txnid=" + sentTxnid + "&sessionid=s&userid=9999988888@at-aa-iv&redirect=https://fiu.example/cb?a=1&b=2&srcref=" +
				sentHandle,
			deviations: []redirectv1.Deviation{redirectUnescaped}, differs: returnTo("https://fiu.example/cb?a=1&b=2"),
		},
		{
			name: "redirect with one parameter, unescaped, at the end",
			plain: "userid=9999988888@at-aa-iv&srcref=" + sentHandle + "&txnid=" + sentTxnid +
				"&sessionid=s&redirect=https://fiu.example/cb?a=1",
			deviations: []redirectv1.Deviation{redirectUnescaped}, differs: returnTo("https://fiu.example/cb?a=1"),
		},
		{
			name: "redirect escaped twice",
			plain: "txnid=" + sentTxnid + "&sessionid=s&userid=9999988888@at-aa-iv&srcref=" + sentHandle + "&redirect=" +
				url.QueryEscape(url.QueryEscape("https://fiu.example/cb?a=1&b=2")),
			deviations: []redirectv1.Deviation{doubleEncoded}, differs: returnTo("https://fiu.example/cb?a=1&b=2"),
		},

		// Other members.
		{
			name: "url.Values sorts by name and escapes the @",
			plain: url.Values{
				"txnid": {sentTxnid}, "sessionid": {"s"}, "userid": {"9999988888@at-aa-iv"},
				"redirect": {"https://fiu.example/cb?x=1&y=2#z"}, "srcref": {sentHandle, other}, "dob": {"1990-02-28"}, "pan": {"ABCPE1234Z"},
			}.Encode(),
			differs: func(m *redirectv1.Redirect) {
				m.Redirect, m.Srcref = "https://fiu.example/cb?x=1&y=2#z", []string{sentHandle, other}
				m.Dob, m.Pan = "1990-02-28", "ABCPE1234Z"
			},
		},
		{
			name: "txnid that is no UUID", plain: strings.Replace(sentPlain, sentTxnid, "T1234", 1),
			deviations: []redirectv1.Deviation{txnidNotUUID}, differs: func(m *redirectv1.Redirect) { m.Txnid = "T1234" },
		},
		{
			name: "extra members", plain: sentPlain + "&fi=FIU-1&account=XX12%2634&mobile=9999988888",
			deviations: []redirectv1.Deviation{extraMember},
			differs: func(m *redirectv1.Redirect) {
				m.Extra = map[string]string{"fi": "FIU-1", "account": "XX12&34", "mobile": "9999988888"}
			},
		},
		{
			name: "blank optional members", plain: sentPlain + "&pan=&dob=&email=&isoLanguageCode=",
			deviations: []redirectv1.Deviation{blankOptional},
		},
		{
			name: "no sessionid", plain: strings.Replace(sentPlain, "&sessionid=s", "", 1),
			differs: func(m *redirectv1.Redirect) { m.Sessionid = "" },
		},
		{
			name: "escapes that are none", plain: strings.Replace(sentPlain, "sessionid=s", "sessionid=100%-%zz-%4", 1),
			deviations: []redirectv1.Deviation{invalidEscape},
			differs:    func(m *redirectv1.Redirect) { m.Sessionid = "100%-%zz-%4" },
		},
		{
			name: "stray ampersands", plain: "&" + strings.Replace(sentPlain, "&", "&&", 1) + "&",
			deviations: []redirectv1.Deviation{strayCharacters},
		},
		{
			name: "names in other cases", plain: strings.Replace(sentPlain, "srcref=", "srcRef=", 1) + "&isolanguagecode=hi-IN",
			deviations: []redirectv1.Deviation{nameCase}, differs: func(m *redirectv1.Redirect) { m.IsoLanguageCode = "hi-IN" },
		},
		{
			name: "members twice, with the same value", plain: sentPlain + "&sessionid=s&txnid=" + sentTxnid,
			deviations: []redirectv1.Deviation{repeated},
		},
		{
			name: "members in raw Devanagari", plain: strings.Replace(sentPlain, "sessionid=s", "sessionid=सत्र-😀", 1),
			deviations: []redirectv1.Deviation{rawNonASCII},
			differs:    func(m *redirectv1.Redirect) { m.Sessionid = "सत्र-😀" },
		},

		// Everything at once, in the order in which deviations are reported.
		{
			name: "all of it", date: layout("02012006150405"), fits: hasPlusAndSlash,
			plain: "txnid=T1234&userid=9999988888@at-aa-iv&redirect=https://fiu.example/cb?a=1&b=2&srcref={" + sentHandle + "," + other +
				"}&pan=&account=1&sessionid=s",
			url: func(e wire.Envelope) string {
				return "https://aa.example/webview?x=1?fi=" + url.QueryEscape(url.QueryEscape(e.FI)) + "&reqdate=" + e.Date + "%0A&ecreq=" +
					unpadded(standard(e.Message)) + "&iv=" + unpadded(e.IV)
			},
			deviations: []redirectv1.Deviation{
				base64Alphabet, base64Unpadded, plusAsSpace, doubleEncoded, whitespace, dateDigits, secondQuestionMark, listSyntax,
				redirectUnescaped, txnidNotUUID, extraMember, blankOptional,
			},
			differs: func(m *redirectv1.Redirect) {
				m.Txnid, m.Redirect, m.Srcref = "T1234", "https://fiu.example/cb?a=1&b=2", []string{sentHandle, other}
				m.Extra = map[string]string{"account": "1"}
			},
		},
	}
	// A raw `+` in a value is a plus. It is a blank only if the escaped `@` of the user id shows a form encoder. The
	// profile does not matter.
	for _, p := range []*pairing{iv, v10, v11, v12, v13, v14, v15} {
		raw := strings.Replace(sentPlain, "sessionid=s", "sessionid=a+b%2Bc", 1)
		session := func(session string) func(*redirectv1.Redirect) {
			return func(m *redirectv1.Redirect) { m.Sessionid = session }
		}
		cases = append(cases,
			sentRequest{name: "plus sign of no form encoder, " + p.profile, p: p, plain: raw, differs: session("a+b+c")},
			sentRequest{
				name: "plus sign of a form encoder, " + p.profile, p: p, plain: strings.Replace(raw, "@", "%40", 1),
				differs: session("a b+c"),
			},
		)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := c.p
			if p == nil {
				p = iv
			}
			envelope := sealUntil(t, c.fits, func() (wire.Envelope, error) {
				date, plain := now(), sentPlain
				if c.date != nil {
					date = c.date(time.Now())
				}
				if c.plain != "" {
					plain = c.plain
				}
				return wire.Seal(p.scheme, p.secrets[0], date, p.fiu, "", plain)
			})
			request := &redirectv1.DecodeRedirectRequest{AaId: p.aa}
			switch {
			case c.params != nil:
				request.Source = &redirectv1.DecodeRedirectRequest_Params{Params: c.params(envelope)}
			case c.url != nil:
				request.Source = &redirectv1.DecodeRedirectRequest_Url{Url: c.url(envelope)}
			default:
				request.Source = &redirectv1.DecodeRedirectRequest_Url{Url: p.webview + "?" + envelope.Query(wire.Request)}
			}
			opened, err := client.DecodeRedirect(patient(t), request)
			if err != nil {
				t.Fatalf("%v\nof %v", err, request)
			}
			if diff := cmp.Diff(c.deviations, opened.Deviations); diff != "" {
				t.Errorf("deviations (-want +got):\n%s", diff)
			}
			want := cleanRedirect()
			if c.differs != nil {
				c.differs(want)
			}
			if err := differ(want, opened.Redirect); err != nil {
				t.Error(err)
			}
			if opened.FiuId != p.fiu || opened.RequestorType != c.requestor {
				t.Errorf("from %q, %v", opened.FiuId, opened.RequestorType)
			}
		})
	}
}

// sealUntil seals until a message suits the case; each has another IV and date.
func sealUntil(t *testing.T, fits func(wire.Envelope) bool, seal func() (wire.Envelope, error)) wire.Envelope {
	t.Helper()
	for range 1000 {
		envelope, err := seal()
		if err != nil {
			t.Fatal(err)
		}
		if fits == nil || fits(envelope) {
			return envelope
		}
	}
	t.Fatal("no message fits")
	return wire.Envelope{}
}

func TestCallbacksOfRealSenders(t *testing.T) {
	for _, c := range []struct {
		name       string
		p          *pairing
		date       func(time.Time) string
		plain      string
		fits       func(wire.Envelope) bool
		url        func(query string) string
		deviations []redirectv1.Deviation
		differs    func(*redirectv1.Callback)
	}{
		{name: "clean"},
		{name: "clean, pbkdf2", p: v12},
		{name: "date in seconds and milliseconds", date: layout("02012006150405.000"), deviations: []redirectv1.Deviation{dateDigits}},
		{
			name: "a second question mark", deviations: []redirectv1.Deviation{secondQuestionMark},
			url: func(query string) string { return "https://fiu.example/cb?x=1?" + query },
		},
		{
			name: "a question mark in a parameter of the FIU's own",
			url:  func(query string) string { return "https://fiu.example/cb?next=/?a=1&" + query },
		},
		{
			name: "fi unescaped, with a plus sign", p: plusIV, deviations: []redirectv1.Deviation{plusAsSpace},
			fits: func(e wire.Envelope) bool { return strings.Contains(e.FI, "+") },
			url:  func(query string) string { return "https://fiu.example/cb?" + strings.ReplaceAll(query, "%2B", "+") },
		},
		{
			name: "padding stripped", deviations: []redirectv1.Deviation{base64Unpadded},
			url: func(query string) string { return "https://fiu.example/cb?" + strings.ReplaceAll(query, "%3D", "") },
		},
		{
			name: "S with a code", plain: strings.Replace(sentCallback, "errorcode=0", "errorcode=5", 1),
			deviations: []redirectv1.Deviation{statusMismatch}, differs: func(m *redirectv1.Callback) { m.Errorcode = 5 },
		},
		{
			name: "F without a code", plain: strings.Replace(sentCallback, "status=S", "status=F", 1),
			deviations: []redirectv1.Deviation{statusMismatch},
			differs: func(m *redirectv1.Callback) {
				m.Status = redirectv1.CallbackStatus_CALLBACK_STATUS_FAILURE
			},
		},
		{
			name: "txnid that is no UUID", plain: strings.Replace(sentCallback, sentTxnid, "T1234", 1),
			deviations: []redirectv1.Deviation{txnidNotUUID}, differs: func(m *redirectv1.Callback) { m.Txnid = "T1234" },
		},
		{
			name: "handles joined by commas", plain: sentCallback + "," + other, deviations: []redirectv1.Deviation{listSyntax},
			differs: func(m *redirectv1.Callback) { m.Srcref = []string{sentHandle, other} },
		},
		{
			name: "status first, and the redirect echoed", p: v12,
			plain: "status=S&errorcode=0&txnid=" + sentTxnid + "&sessionid=s&srcref=" + sentHandle +
				"&userid=9999988888%40at-aa-iv&account=1",
			deviations: []redirectv1.Deviation{extraMember},
			differs:    func(m *redirectv1.Callback) { m.Extra = map[string]string{"account": "1"} },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := c.p
			if p == nil {
				p = iv
			}
			envelope := sealUntil(t, c.fits, func() (wire.Envelope, error) {
				date, plain := now(), sentCallback
				if c.date != nil {
					date = c.date(time.Now())
				}
				if c.plain != "" {
					plain = c.plain
				}
				return wire.Seal(p.scheme, p.secrets[0], date, p.aa, "", plain)
			})
			callbackURL := "https://fiu.example/cb?" + envelope.Query(wire.Callback)
			if c.url != nil {
				callbackURL = c.url(envelope.Query(wire.Callback))
			}
			opened, err := decodeCallbackURL(t, p.fiu, callbackURL)
			if err != nil {
				t.Fatalf("%v\nof %s", err, callbackURL)
			}
			if diff := cmp.Diff(c.deviations, opened.Deviations); diff != "" {
				t.Errorf("deviations (-want +got):\n%s", diff)
			}
			want := cleanCallback()
			if c.differs != nil {
				c.differs(want)
			}
			if err := differ(want, opened.Callback); err != nil {
				t.Error(err)
			}
			if opened.AaId != p.aa {
				t.Errorf("from %q", opened.AaId)
			}
		})
	}
}

func TestErrorCodesHaveTheGuidelinesText(t *testing.T) {
	for code, want := range map[uint32]string{
		0: "Success: the user accepted", 1: "Consent is rejected", 4: "User authentication failed",
		5: "Consent in pending state", 6: "Session timeout", 7: "Account not discovered: the FIP given has no account",
		9: "Account not discovered: nothing at any FIP", 11: "Account not linked: cancelled", 16: "Account link failed",
		19: "Account link failed for some accounts", 20: "Unknown error", 21: "Unlisted error code 21",
		99: "Unlisted error code 99", 4294967295: "Unlisted error code 4294967295",
	} {
		t.Run(want, func(t *testing.T) {
			members := outcomeToWire(cleanCallback())
			members.ErrorCode, members.Success = code, code == 0
			opened, err := decodeCallbackURL(t, iv.fiu, sealCallback(t, iv, now(), members.Write(wire.Repeated)).Query(wire.Callback))
			if err != nil {
				t.Fatal(err)
			}
			if opened.ErrorMessage != want || opened.Callback.Errorcode != code {
				t.Errorf("code %d: %q, want %q", opened.Callback.Errorcode, opened.ErrorMessage, want)
			}
		})
	}
}

// A real `fi` of OneMoney, without its padding. Its date is in the past and its pairing unknown, so the error shows the
// id.
func TestRealUnpaddedFIIsRead(t *testing.T) {
	_, err := decodeCallbackURL(t, iv.fiu, "fi=Xl5VWl1eV0odWVQ&resdate=100720230858407&ecres="+
		base64.URLEncoding.EncodeToString(make([]byte, 16)))
	want := map[string]string{"fiu_id": iv.fiu, "aa_id": "onemoney-aa", "hint": "NO_SUCH_AA"}
	expectMetadata(t, refusalOf(t, err).metadata, want)
}
