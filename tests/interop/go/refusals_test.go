// Provokes every reason for which the service refuses a call, and reads it with the rich error model: code, reason,
// domain, metadata and field violations. Messages are for people, so the tests do not compare them.
package interop

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"aa-redirect/tests/interop/go/wire"
	redirectv1 "aa/redirect/v1"
)

// A refusal is an error of the service, in its parts.
type refusal struct {
	code     codes.Code
	reason   string
	metadata map[string]string
	fields   []string // paths of the violations, sorted
	retry    *errdetails.RetryInfo
}

// refusalOf fails the test if err is not an error of the service with exactly one ErrorInfo of its domain.
func refusalOf(t *testing.T, err error) refusal {
	t.Helper()
	s := status.Convert(err)
	r := refusal{code: s.Code()}
	infos := 0
	for _, detail := range s.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			infos++
			r.reason, r.metadata = detail.Reason, detail.Metadata
			if detail.Domain != "aa.redirect.v1" {
				t.Errorf("domain is %q", detail.Domain)
			}
		case *errdetails.BadRequest:
			for _, violation := range detail.FieldViolations {
				r.fields = append(r.fields, violation.Field)
				if violation.Description == "" {
					t.Errorf("nothing said about %s", violation.Field)
				}
			}
		case *errdetails.RetryInfo:
			r.retry = detail
		case *errdetails.RequestInfo:
			if detail.RequestId == "" {
				t.Error("the request id is empty")
			}
		default:
			t.Errorf("unexpected detail %v", detail)
		}
	}
	if infos != 1 {
		t.Fatalf("%d ErrorInfo in %v", infos, err)
	}
	slices.Sort(r.fields)
	return r
}

// expectRefusal compares everything except the metadata, which it returns.
func expectRefusal(t *testing.T, err error, code codes.Code, reason string, fields ...string) map[string]string {
	t.Helper()
	got := refusalOf(t, err)
	if got.code != code || got.reason != reason {
		t.Errorf("refused with %v %s, want %v %s", got.code, got.reason, code, reason)
	}
	slices.Sort(fields)
	if diff := cmp.Diff(fields, got.fields); diff != "" {
		t.Errorf("field violations (-want +got):\n%s", diff)
	}
	return got.metadata
}

func expectMetadata(t *testing.T, got, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
}

// expectParameter checks the metadata of a parameter that cannot be read. An empty hint is an absent one.
func expectParameter(t *testing.T, metadata map[string]string, parameter, hint string) {
	t.Helper()
	want := map[string]string{"parameter": parameter, "problem": metadata["problem"]}
	if hint != "" {
		want["hint"] = hint
	}
	expectMetadata(t, metadata, want)
	if metadata["problem"] == "" {
		t.Error("nothing said about the problem")
	}
}

// of adds the ids of the pairing to metadata; an error has them if the pairing is known.
func of(p *pairing, names ...string) map[string]string {
	metadata := map[string]string{"fiu_id": p.fiu, "aa_id": p.aa}
	for pair := range slices.Chunk(names, 2) {
		metadata[pair[0]] = pair[1]
	}
	return metadata
}

func cleanRedirect() *redirectv1.Redirect {
	return &redirectv1.Redirect{
		Txnid: "2d04747e-21c6-4c23-955b-d46c2f820140", Sessionid: "s", Userid: "9999988888@at-aa-iv", Redirect: "https://fiu.example/cb",
		Srcref: []string{"c1a0bd12-5e4b-4a0a-8a2e-0f1d2c3b4a59"},
	}
}

func cleanCallback() *redirectv1.Callback {
	return &redirectv1.Callback{
		Txnid: "2d04747e-21c6-4c23-955b-d46c2f820140", Sessionid: "s", Userid: "9999988888@at-aa-iv",
		Status: redirectv1.CallbackStatus_CALLBACK_STATUS_SUCCESS, Srcref: []string{"c1a0bd12-5e4b-4a0a-8a2e-0f1d2c3b4a59"},
	}
}

func cleanRequestText() string { return toWire(cleanRedirect()).Write(wire.Repeated) }

func cleanCallbackText() string { return outcomeToWire(cleanCallback()).Write(wire.Repeated) }

func sealRequest(t *testing.T, p *pairing, date, plaintext string) wire.Envelope {
	t.Helper()
	envelope, err := wire.Seal(p.scheme, p.secrets[0], date, p.fiu, "", plaintext)
	if err != nil {
		t.Fatal(err)
	}
	return envelope
}

func sealCallback(t *testing.T, p *pairing, date, plaintext string) wire.Envelope {
	t.Helper()
	envelope, err := wire.Seal(p.scheme, p.secrets[0], date, p.aa, "", plaintext)
	if err != nil {
		t.Fatal(err)
	}
	return envelope
}

func now() string { return wire.FormatDate(time.Now(), wire.Millis) }

func decodeURL(t *testing.T, aa, url string) (*redirectv1.DecodeRedirectResponse, error) {
	return client.DecodeRedirect(patient(t), &redirectv1.DecodeRedirectRequest{
		AaId: aa, Source: &redirectv1.DecodeRedirectRequest_Url{Url: url},
	})
}

func decodeCallbackURL(t *testing.T, fiu, url string) (*redirectv1.DecodeCallbackResponse, error) {
	return client.DecodeCallback(patient(t), &redirectv1.DecodeCallbackRequest{
		FiuId: fiu, Source: &redirectv1.DecodeCallbackRequest_Url{Url: url},
	})
}

func TestFieldInvalidReportsAllFieldsAtOnce(t *testing.T) {
	ctx := patient(t)
	long := strings.Repeat("x", 8193)
	malformedTime := &timestamppb.Timestamp{Seconds: 1, Nanos: -1}
	for _, c := range []struct {
		name   string
		call   func() error
		fields []string
	}{
		{"EncodeRedirect with nothing", func() error {
			_, err := client.EncodeRedirect(ctx, &redirectv1.EncodeRedirectRequest{})
			return err
		}, []string{"fiu_id", "redirect.userid", "redirect.redirect", "redirect.srcref"}},
		{"EncodeRedirect with everything wrong", func() error {
			_, err := client.EncodeRedirect(ctx, &redirectv1.EncodeRedirectRequest{
				FiuId: strings.Repeat("x", 129), AaId: strings.Repeat("x", 129), RequestorType: 7, IssueTime: malformedTime,
				Redirect: &redirectv1.Redirect{
					Txnid: "T1234", Sessionid: long, Userid: "two words@aa", Redirect: "https://fiu.example\\@evil.test",
					Srcref: []string{"good", "a,b"}, Fipid: []string{""}, Email: long, Pan: "ABC", Dob: "1990-02-30",
					IsoLanguageCode: "fr-FR", Extra: map[string]string{"txnid": "x"},
				},
			})
			return err
		}, []string{
			"fiu_id", "aa_id", "requestor_type", "issue_time", "redirect.txnid", "redirect.sessionid", "redirect.userid",
			"redirect.redirect", "redirect.srcref", "redirect.fipid", "redirect.email", "redirect.pan", "redirect.dob",
			"redirect.iso_language_code", "redirect.extra",
		}},
		{"EncodeRedirect outside the window", func() error {
			_, err := client.EncodeRedirect(ctx, &redirectv1.EncodeRedirectRequest{
				FiuId: iv.fiu, AaId: iv.aa, Redirect: cleanRedirect(), IssueTime: timestamppb.New(time.Now().Add(-10 * time.Minute)),
			})
			return err
		}, []string{"issue_time"}},
		{"EncodeCallback with nothing", func() error {
			_, err := client.EncodeCallback(ctx, &redirectv1.EncodeCallbackRequest{})
			return err
		}, []string{"fiu_id", "aa_id", "callback.txnid", "callback.userid", "callback.status", "redirect_url"}},
		{"EncodeCallback with a success that is none", func() error {
			members := cleanCallback()
			members.Errorcode, members.Srcref, members.Extra = 5, nil, map[string]string{"1x": "y"}
			_, err := client.EncodeCallback(ctx, &redirectv1.EncodeCallbackRequest{
				FiuId: iv.fiu, AaId: iv.aa, Callback: members, RedirectUrl: "https://fiu.example/cb?a=1&ecres=x",
			})
			return err
		}, []string{"callback.errorcode", "callback.srcref", "callback.extra", "redirect_url"}},
		{"EncodeCallback with a failure without code", func() error {
			members := cleanCallback()
			members.Status = redirectv1.CallbackStatus_CALLBACK_STATUS_FAILURE
			_, err := client.EncodeCallback(ctx, &redirectv1.EncodeCallbackRequest{
				FiuId: iv.fiu, AaId: iv.aa, Callback: members, RedirectUrl: "javascript://x",
			})
			return err
		}, []string{"callback.errorcode", "redirect_url"}},
		{"EncodeCallback under a secret that is none", func() error {
			_, err := client.EncodeCallback(ctx, &redirectv1.EncodeCallbackRequest{
				FiuId: iv.fiu, AaId: iv.aa, Callback: cleanCallback(), RedirectUrl: "https://fiu.example/cb", SecretId: "none",
			})
			return err
		}, []string{"secret_id"}},
		{"DecodeRedirect of nothing", func() error {
			_, err := client.DecodeRedirect(ctx, &redirectv1.DecodeRedirectRequest{AaId: strings.Repeat("x", 129)})
			return err
		}, []string{"aa_id", "url"}},
		{"DecodeCallback of nothing", func() error {
			_, err := client.DecodeCallback(ctx, &redirectv1.DecodeCallbackRequest{FiuId: strings.Repeat("x", 129)})
			return err
		}, []string{"fiu_id", "url"}},
		{"DecodeRedirect of a URL over 48 KiB", func() error {
			_, err := decodeURL(t, iv.aa, "https://x/?a="+strings.Repeat("x", 49_152))
			return err
		}, []string{"url"}},
		{"ListPairings of a page that is none", func() error {
			_, err := client.ListPairings(ctx, &redirectv1.ListPairingsRequest{PageSize: -1, PageToken: "none"})
			return err
		}, []string{"page_size", "page_token"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			expectRefusal(t, c.call(), codes.InvalidArgument, "FIELD_INVALID", c.fields...)
		})
	}
}

// The documents do not say which field is at fault, so only the reason is compared.
func TestFieldInvalidForAMessageOver48KiB(t *testing.T) {
	members := cleanRedirect()
	members.Extra = map[string]string{}
	for i := range 6 {
		members.Extra[fmt.Sprint("x", i)] = strings.Repeat("x", 8000)
	}
	_, err := client.EncodeRedirect(patient(t), &redirectv1.EncodeRedirectRequest{
		FiuId: iv.fiu, AaId: iv.aa, Redirect: members,
	})
	if got := refusalOf(t, err); got.reason != "FIELD_INVALID" || len(got.fields) == 0 {
		t.Errorf("refused with %+v", got)
	}
}

func TestURLMalformedNamesTheParameter(t *testing.T) {
	query := sealRequest(t, iv, now(), cleanRequestText()).Query(wire.Request)
	for _, name := range []string{"fi", "reqdate", "ecreq"} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name+" twice, with different values", func(t *testing.T) {
			_, err := decodeURL(t, iv.aa, query+"&"+name+"=x"+url.QueryEscape(values.Get(name)))
			expectParameter(t, expectRefusal(t, err, codes.InvalidArgument, "URL_MALFORMED"), name, "")
		})
		t.Run("missing "+name, func(t *testing.T) {
			values.Del(name)
			_, err := decodeURL(t, iv.aa, iv.webview+"?"+values.Encode())
			expectParameter(t, expectRefusal(t, err, codes.InvalidArgument, "URL_MALFORMED"), name, "")
		})
	}
	t.Run("all missing", func(t *testing.T) {
		_, err := decodeURL(t, iv.aa, iv.webview)
		metadata := expectRefusal(t, err, codes.InvalidArgument, "URL_MALFORMED")
		expectParameter(t, metadata, "fi, reqdate, ecreq", "")
	})
	t.Run("missing ecres", func(t *testing.T) {
		_, err := decodeCallbackURL(t, iv.fiu, "https://fiu.example/cb?fi=AAAA&resdate="+now())
		expectParameter(t, expectRefusal(t, err, codes.InvalidArgument, "URL_MALFORMED"), "ecres", "")
	})
}

func TestParameterMalformedNamesTheParameter(t *testing.T) {
	date := now()
	clean := sealRequest(t, iv, date, cleanRequestText())
	std := base64.StdEncoding.EncodeToString
	for _, c := range []struct {
		name, parameter, hint string
		spoil                 func(*redirectv1.RedirectParams)
	}{
		{"fi not masked", "fi", "NOT_MASKED", func(p *redirectv1.RedirectParams) { p.Fi = std([]byte(iv.fiu)) }},
		{"fi neither masked nor Base64", "fi", "NOT_MASKED", func(p *redirectv1.RedirectParams) { p.Fi = iv.fiu }},
		{"ecreq in hexadecimal", "ecreq", "HEXADECIMAL", func(p *redirectv1.RedirectParams) {
			p.Ecreq = fmt.Sprintf("%x", p.Ecreq)
		}},
		{"iv in hexadecimal", "iv", "HEXADECIMAL", func(p *redirectv1.RedirectParams) { p.Iv = strings.Repeat("a7", 16) }},
		{"fi no Base64", "fi", "", func(p *redirectv1.RedirectParams) { p.Fi = "!!!!" }},
		{"fi no UTF-8", "fi", "", func(p *redirectv1.RedirectParams) { p.Fi = std([]byte(wire.Mask("a\xff\xfeb", date))) }},
		{"fi with control characters", "fi", "", func(p *redirectv1.RedirectParams) { p.Fi = std([]byte(wire.Mask("fiu\n", date))) }},
		{"fi over 128 bytes", "fi", "", func(p *redirectv1.RedirectParams) {
			p.Fi = std([]byte(wire.Mask(strings.Repeat("x", 129), date)))
		}},
		{"ecreq no Base64", "ecreq", "", func(p *redirectv1.RedirectParams) { p.Ecreq = "*" + p.Ecreq[1:] }},
		{"ecreq no whole block", "ecreq", "CUT_SHORT", func(p *redirectv1.RedirectParams) {
			p.Ecreq = base64.URLEncoding.EncodeToString(make([]byte, 31))
		}},
		{"iv no Base64", "iv", "", func(p *redirectv1.RedirectParams) { p.Iv = "*" + p.Iv[1:] }},
		{"iv of 15 bytes", "iv", "CUT_SHORT", func(p *redirectv1.RedirectParams) { p.Iv = std(make([]byte, 15)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			params := redirectParams(clean)
			c.spoil(params)
			_, err := client.DecodeRedirect(patient(t), &redirectv1.DecodeRedirectRequest{
				AaId: iv.aa, Source: &redirectv1.DecodeRedirectRequest_Params{Params: params},
			})
			expectParameter(t, expectRefusal(t, err, codes.InvalidArgument, "PARAMETER_MALFORMED"), c.parameter, c.hint)
		})
	}
	t.Run("ecres no whole block", func(t *testing.T) {
		spoiled := clean
		spoiled.Message = "AAAA"
		_, err := decodeCallbackURL(t, iv.fiu, spoiled.Query(wire.Callback))
		expectParameter(t, expectRefusal(t, err, codes.InvalidArgument, "PARAMETER_MALFORMED"), "ecres", "CUT_SHORT")
	})
}

func TestDateMalformed(t *testing.T) {
	clean := sealRequest(t, iv, now(), cleanRequestText())
	for _, date := range []string{
		"310220260000000", "011320260000000", "010120262400000", "010120260060000", "010119990000000", "010130000000000",
		"0101202600000", "010120260000000000", "01012026000000x", "０１０１２０２６０００００００", "-10120260000000",
	} {
		t.Run(date, func(t *testing.T) {
			spoiled := clean
			spoiled.Date = date
			_, err := decodeURL(t, iv.aa, spoiled.Query(wire.Request))
			expectParameter(t, expectRefusal(t, err, codes.InvalidArgument, "DATE_MALFORMED"), "reqdate", "")
			_, err = decodeCallbackURL(t, iv.fiu, spoiled.Query(wire.Callback))
			expectParameter(t, expectRefusal(t, err, codes.InvalidArgument, "DATE_MALFORMED"), "resdate", "")
		})
	}
}

func TestDateOutsideTheWindow(t *testing.T) {
	for _, c := range []struct {
		reason string
		age    time.Duration
	}{{"DATE_EXPIRED", 200 * time.Second}, {"DATE_IN_FUTURE", -200 * time.Second}} {
		for _, p := range []*pairing{iv, v12} {
			t.Run(c.reason+"/"+p.profile, func(t *testing.T) {
				date := wire.FormatDate(time.Now().Add(-c.age), wire.Full)
				request := sealRequest(t, p, date, cleanRequestText())
				callback := sealCallback(t, p, date, cleanCallbackText())
				_, onRequest := decodeURL(t, p.aa, request.Query(wire.Request))
				_, onCallback := decodeCallbackURL(t, p.fiu, callback.Query(wire.Callback))
				for _, err := range []error{onRequest, onCallback} {
					metadata := expectRefusal(t, err, codes.FailedPrecondition, c.reason)
					age, err := strconv.Atoi(metadata["age_seconds"])
					if want := int(c.age.Seconds()); err != nil || age < want-2 || age > want+30 {
						t.Errorf("age_seconds is %q, want about %d", metadata["age_seconds"], want)
					}
					delete(metadata, "age_seconds")
					delete(metadata, "hint") // in November, a sender that writes the month in place of the minute writes :11
					expectMetadata(t, metadata, of(p, "max_age_seconds", "180"))
				}
			})
		}
	}
}

func TestPairingUnknownNamesTheIDs(t *testing.T) {
	encode := func(fiu, aa, userid string) error {
		members := cleanRedirect()
		members.Userid = userid
		_, err := client.EncodeRedirect(patient(t), &redirectv1.EncodeRedirectRequest{FiuId: fiu, AaId: aa, Redirect: members})
		return err
	}
	stranger := *iv
	stranger.fiu, stranger.aa = "stranger@go.example", "stranger-aa"
	request := sealRequest(t, &stranger, now(), cleanRequestText())
	callback := sealCallback(t, &stranger, now(), cleanCallbackText())
	_, onCallback := client.EncodeCallback(patient(t), &redirectv1.EncodeCallbackRequest{
		FiuId: iv.fiu, AaId: "stranger-aa", Callback: cleanCallback(), RedirectUrl: "https://fiu.example/cb",
	})
	_, onDecode := decodeURL(t, iv.aa, request.Query(wire.Request))
	_, onDecodeCallback := decodeCallbackURL(t, iv.fiu, callback.Query(wire.Callback))
	for _, c := range []struct {
		name     string
		err      error
		metadata map[string]string
	}{
		{
			"EncodeRedirect to an AA", encode(iv.fiu, "stranger-aa", "9@at-aa-iv"),
			map[string]string{"fiu_id": iv.fiu, "aa_id": "stranger-aa", "hint": "NO_SUCH_AA"},
		},
		{
			"EncodeRedirect of an FIU", encode("stranger", iv.aa, "9@at-aa-iv"),
			map[string]string{"fiu_id": "stranger", "aa_id": iv.aa, "hint": "NO_SUCH_FIU"},
		},
		{
			"EncodeRedirect to another FIU's AA", encode(iv.fiu, alone.aa, "9@at-aa-alone"),
			map[string]string{"fiu_id": iv.fiu, "aa_id": alone.aa, "hint": "NO_SUCH_PAIR"},
		},
		{
			"EncodeRedirect to a handle", encode(iv.fiu, "", "9@nowhere"),
			map[string]string{"fiu_id": iv.fiu, "hint": "NO_SUCH_HANDLE"},
		},
		{"EncodeCallback", onCallback, map[string]string{"fiu_id": iv.fiu, "aa_id": "stranger-aa", "hint": "NO_SUCH_AA"}},
		{
			"DecodeRedirect", onDecode,
			map[string]string{"fiu_id": "stranger@go.example", "aa_id": iv.aa, "hint": "NO_SUCH_FIU"},
		},
		{
			"DecodeCallback", onDecodeCallback,
			map[string]string{"fiu_id": iv.fiu, "aa_id": "stranger-aa", "hint": "NO_SUCH_AA"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			expectMetadata(t, expectRefusal(t, c.err, codes.NotFound, "PAIRING_UNKNOWN"), c.metadata)
		})
	}
}

func TestPairingAmbiguousNamesTheKnownParty(t *testing.T) {
	request := sealRequest(t, iv, now(), cleanRequestText())
	_, err := decodeURL(t, "", request.Query(wire.Request))
	expectMetadata(t, expectRefusal(t, err, codes.InvalidArgument, "PAIRING_AMBIGUOUS"), map[string]string{"fiu_id": iv.fiu})

	callback := sealCallback(t, shared1, now(), cleanCallbackText())
	_, err = decodeCallbackURL(t, "", callback.Query(wire.Callback))
	expectMetadata(t, expectRefusal(t, err, codes.InvalidArgument, "PAIRING_AMBIGUOUS"), map[string]string{"aa_id": shared1.aa})
}

func TestSchemeMismatchNamesTheScheme(t *testing.T) {
	for _, c := range []struct {
		p      *pairing
		scheme string
	}{{iv, "hkdf-iv"}, {v12, "pbkdf2"}} {
		t.Run(c.scheme, func(t *testing.T) {
			swapIV := func(e wire.Envelope) wire.Envelope {
				if e.IV = ""; c.p == v12 {
					e.IV = base64.StdEncoding.EncodeToString(make([]byte, 16))
				}
				return e
			}
			request := swapIV(sealRequest(t, c.p, now(), cleanRequestText()))
			want := of(c.p, "scheme", c.scheme)
			_, err := decodeURL(t, c.p.aa, request.Query(wire.Request))
			expectMetadata(t, expectRefusal(t, err, codes.FailedPrecondition, "SCHEME_MISMATCH"), want)

			callback := swapIV(sealCallback(t, c.p, now(), cleanCallbackText()))
			_, err = decodeCallbackURL(t, c.p.fiu, callback.Query(wire.Callback))
			expectMetadata(t, expectRefusal(t, err, codes.FailedPrecondition, "SCHEME_MISMATCH"), want)
		})
	}
}

func TestRedirectForbiddenNamesTheField(t *testing.T) {
	for _, host := range []string{
		"evil.test", "fiu.example.evil.test", "notfiu.example", "fiu.example@evil.test", "fiu.example:x@evil.test:443",
	} {
		t.Run(host, func(t *testing.T) {
			members := cleanRedirect()
			members.Redirect = "https://" + host + "/cb?a=1"
			_, err := client.EncodeRedirect(patient(t), &redirectv1.EncodeRedirectRequest{
				FiuId: hosts.fiu, AaId: hosts.aa, Redirect: members,
			})
			metadata := expectRefusal(t, err, codes.PermissionDenied, "REDIRECT_FORBIDDEN")
			expectMetadata(t, metadata, of(hosts, "field", "redirect.redirect"))

			_, err = client.EncodeCallback(patient(t), &redirectv1.EncodeCallbackRequest{
				FiuId: hosts.fiu, AaId: hosts.aa, Callback: cleanCallback(), RedirectUrl: "https://" + host + "/cb?a=1",
			})
			metadata = expectRefusal(t, err, codes.PermissionDenied, "REDIRECT_FORBIDDEN")
			expectMetadata(t, metadata, of(hosts, "field", "redirect_url"))
		})
	}
	for _, host := range []string{"fiu.example", "FIU.example:8443", "app.fiu.example"} {
		t.Run(host+" is allowed", func(t *testing.T) {
			members := cleanRedirect()
			members.Redirect = "https://" + host + "/cb?a=1"
			_, err := client.EncodeRedirect(patient(t), &redirectv1.EncodeRedirectRequest{
				FiuId: hosts.fiu, AaId: hosts.aa, Redirect: members,
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// An attacker who can distinguish one failure after decryption from another can decrypt messages with many calls. So
// not one byte may differ.
func TestUndecipherableIsTheSameAnswerWhateverTheCause(t *testing.T) {
	good := cleanRequestText()
	without := func(member string) string {
		var kept []string
		for segment := range strings.SplitSeq(good, "&") {
			if !strings.HasPrefix(segment, member+"=") {
				kept = append(kept, segment)
			}
		}
		return strings.Join(kept, "&")
	}
	with := func(member, value string) string { return without(member) + "&" + member + "=" + value }
	callback := "txnid=T&sessionid=&userid=u@aa&status=S&errorcode=0&srcref=a"
	for _, p := range []*pairing{iv, v12, hosts} {
		var first []byte // the answers of another pairing name that one
		date := now()
		wrongSecret := *p
		wrongSecret.secrets = []string{newSecret()}
		badPadding := func(last byte) wire.Envelope {
			return sealRaw(t, p, date, append(bytes.Repeat([]byte("x"), 31), last))
		}
		requests := map[string]wire.Envelope{
			"wrong secret":           sealRequest(t, &wrongSecret, date, good),
			"padding 0":              badPadding(0),
			"padding 17":             badPadding(17),
			"padding of other bytes": badPadding(2),
			"no member":              sealRequest(t, p, date, ""),
			"no members":             sealRequest(t, p, date, "hello"),
			"no UTF-8":               sealRequest(t, p, date, with("sessionid", "\xff\xfe")),
			"escaped no UTF-8":       sealRequest(t, p, date, with("sessionid", "%ff%fe")),
			"raw control character":  sealRequest(t, p, date, with("sessionid", "a\x01b")),
			"empty name":             sealRequest(t, p, date, good+"&=x"),
			"member without =":       sealRequest(t, p, date, good+"&flag"),
			"repeated txnid":         sealRequest(t, p, date, good+"&txnid=x"),
			"repeated extra":         sealRequest(t, p, date, good+"&x=1&x=2"),
			"no txnid":               sealRequest(t, p, date, without("txnid")),
			"no userid":              sealRequest(t, p, date, without("userid")),
			"no redirect":            sealRequest(t, p, date, without("redirect")),
			"no srcref":              sealRequest(t, p, date, without("srcref")),
			"userid without handle":  sealRequest(t, p, date, with("userid", "9999988888")),
			"redirect of no scheme":  sealRequest(t, p, date, with("redirect", "fiu.example/cb")),
			"redirect to a script":   sealRequest(t, p, date, with("redirect", "javascript://x")),
			"redirect with backslash": sealRequest(t, p, date,
				with("redirect", `https://evil.test\@fiu.example`)),
		}
		if p == hosts {
			requests["redirect to a forbidden host"] = sealRequest(t, p, date, with("redirect", "https://evil.test/cb"))
		}
		callbacks := map[string]wire.Envelope{
			"wrong secret":      sealCallback(t, &wrongSecret, date, callback),
			"status X":          sealCallback(t, p, date, strings.Replace(callback, "status=S", "status=X", 1)),
			"no status":         sealCallback(t, p, date, strings.Replace(callback, "&status=S", "", 1)),
			"no errorcode":      sealCallback(t, p, date, strings.Replace(callback, "&errorcode=0", "", 1)),
			"errorcode of text": sealCallback(t, p, date, strings.Replace(callback, "errorcode=0", "errorcode=none", 1)),
			"errorcode of over 32 bits": sealCallback(t, p, date,
				strings.Replace(callback, "errorcode=0", "errorcode=4294967296", 1)),
		}
		answers := map[string][]byte{}
		for name, envelope := range requests {
			answers[p.profile+"/"+name] = answer(t, func(ctx context.Context, options ...grpc.CallOption) error {
				_, err := client.DecodeRedirect(ctx, &redirectv1.DecodeRedirectRequest{
					AaId: p.aa, Source: &redirectv1.DecodeRedirectRequest_Params{Params: redirectParams(envelope)},
				}, options...)
				if err == nil {
					t.Errorf("%s: %s was opened", p.aa, name)
					return nil
				}
				expectMetadata(t, expectRefusal(t, err, codes.InvalidArgument, "UNDECIPHERABLE"), of(p))
				return err
			})
		}
		for name, envelope := range callbacks {
			answers[p.profile+"/callback/"+name] = answer(t, func(ctx context.Context, options ...grpc.CallOption) error {
				_, err := client.DecodeCallback(ctx, &redirectv1.DecodeCallbackRequest{
					FiuId: p.fiu, Source: &redirectv1.DecodeCallbackRequest_Params{Params: callbackParams(envelope)},
				}, options...)
				if err == nil {
					t.Errorf("%s: callback with %s was opened", p.aa, name)
					return nil
				}
				expectMetadata(t, expectRefusal(t, err, codes.InvalidArgument, "UNDECIPHERABLE"), of(p))
				return err
			})
		}
		for name, bytesOf := range answers {
			if first == nil {
				first = bytesOf
			}
			if !bytes.Equal(first, bytesOf) {
				t.Errorf("%s: answered %q, another %q", name, bytesOf, first)
			}
		}
	}
}

// answer returns what a caller sees of an error, byte for byte: message, details and the names of the trailers.
func answer(t *testing.T, call func(context.Context, ...grpc.CallOption) error) []byte {
	t.Helper()
	var header, trailer metadata.MD
	ctx := metadata.AppendToOutgoingContext(patient(t), "x-request-id", "the-same") // the bytes are part of the answer
	err := call(ctx, grpc.Header(&header), grpc.Trailer(&trailer))
	details := trailer.Get("grpc-status-details-bin")
	if len(details) != 1 || details[0] == "" {
		t.Fatalf("no details in the trailer %v", trailer)
	}
	return fmt.Appendf(nil, "%s|%q|%v|%v", status.Convert(err).Message(), details,
		slices.Sorted(maps.Keys(header)), slices.Sorted(maps.Keys(trailer)))
}

// sealRaw encrypts blocks that already have padding, or none.
func sealRaw(t *testing.T, p *pairing, date string, blocks []byte) wire.Envelope {
	t.Helper()
	envelope := sealRequest(t, p, date, "")
	key, err := wire.DeriveKey(p.scheme, p.secrets[0], date)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	vector := make([]byte, aes.BlockSize)
	if envelope.IV != "" {
		if vector, err = base64.StdEncoding.DecodeString(envelope.IV); err != nil {
			t.Fatal(err)
		}
	}
	ciphertext := make([]byte, len(blocks))
	cipher.NewCBCEncrypter(block, vector).CryptBlocks(ciphertext, blocks)
	envelope.Message = base64.URLEncoding.EncodeToString(ciphertext)
	return envelope
}

func TestRequestTooLarge(t *testing.T) {
	members := cleanRedirect()
	members.Sessionid = strings.Repeat("x", 70_000)
	_, err := client.EncodeRedirect(patient(t), &redirectv1.EncodeRedirectRequest{
		FiuId: iv.fiu, AaId: iv.aa, Redirect: members,
	})
	expectRefusal(t, err, codes.ResourceExhausted, "REQUEST_TOO_LARGE")
}

func TestFirstReasonInOrderIsGiven(t *testing.T) {
	old := wire.FormatDate(time.Now().Add(-time.Hour), wire.Full)
	sealed := func(fiu string, scheme wire.Scheme) string {
		sender := &pairing{fiu: fiu, scheme: scheme, secrets: []string{"another"}}
		return sealRequest(t, sender, old, "").Query(wire.Request)
	}
	for _, c := range []struct {
		name, url, reason string
		code              codes.Code
	}{
		{"a bad URL before a bad date", "fi=AAAA&reqdate=x", "URL_MALFORMED", codes.InvalidArgument},
		{"a bad date before a bad parameter", "fi=*&reqdate=x&ecreq=*", "DATE_MALFORMED", codes.InvalidArgument},
		{"a bad parameter before a date expired", "fi=*&reqdate=" + old + "&ecreq=A", "PARAMETER_MALFORMED", codes.InvalidArgument},
		{"the pairing before the scheme", sealed("stranger", wire.PBKDF2), "PAIRING_UNKNOWN", codes.NotFound},
		{"the scheme before the date", sealed(iv.fiu, wire.PBKDF2), "SCHEME_MISMATCH", codes.FailedPrecondition},
		{"the date before the message", sealed(iv.fiu, wire.HKDFIV), "DATE_EXPIRED", codes.FailedPrecondition},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := decodeURL(t, iv.aa, c.url)
			expectRefusal(t, err, c.code, c.reason)
		})
	}
}
