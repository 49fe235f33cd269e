package redirect_test

// Every reason for which the service refuses a call, provoked at the release binary.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	"aa/redirect"
)

func TestReasonsOfTheService(t *testing.T) {
	client := connect(t, to(serve(t).address))
	sealed := seal(t, client)
	decode := func(request redirect.DecodeRedirectRequest) error {
		_, err := client.DecodeRedirect(t.Context(), request)
		return err
	}
	encode := func(change func(*redirect.EncodeRedirectRequest)) error {
		request := encodeRequest()
		change(&request)
		_, err := client.EncodeRedirect(t.Context(), request)
		return err
	}
	withParams := func(change func(*redirect.RedirectParams)) error {
		params := sealed.Params()
		change(&params)
		return decode(redirect.DecodeRedirectRequest{AA: aa, Params: &params})
	}
	for _, c := range []struct {
		reason redirect.Reason
		hint   string // "*": any hint is right
		err    error
	}{
		{redirect.ReasonFieldInvalid, "", encode(func(r *redirect.EncodeRedirectRequest) { r.Redirect.UserID = "nobody" })},
		{redirect.ReasonFieldInvalid, "", decode(redirect.DecodeRedirectRequest{})},
		{redirect.ReasonURLMalformed, "", decode(redirect.DecodeRedirectRequest{URL: "https://x/?fi=AAAA"})},
		{redirect.ReasonParameterMalformed, "*", withParams(func(p *redirect.RedirectParams) { p.ECReq = "!" })},
		{redirect.ReasonDateMalformed, "*", withParams(func(p *redirect.RedirectParams) { p.ReqDate = "310220260000000" })},
		{redirect.ReasonDateExpired, "*", decode(redirect.DecodeRedirectRequest{AA: aa, Params: forged(fiu, "010120200000000")})},
		{redirect.ReasonDateInFuture, "*", decode(redirect.DecodeRedirectRequest{AA: aa, Params: forged(fiu, "010129990000000")})},
		{redirect.ReasonPairingUnknown, "*", decode(redirect.DecodeRedirectRequest{AA: "no-aa", Params: forged(fiu, today())})},
		{redirect.ReasonPairingAmbiguous, "", decode(redirect.DecodeRedirectRequest{Params: forged(fiu, today())})},
		{redirect.ReasonSchemeMismatch, "", withParams(func(p *redirect.RedirectParams) { p.IV = "" })},
		{redirect.ReasonRedirectForbidden, "", encode(func(r *redirect.EncodeRedirectRequest) { r.Redirect.Redirect = "https://evil.example/" })},
		{redirect.ReasonUndecipherable, "", decode(redirect.DecodeRedirectRequest{AA: aa, Params: forged(fiu, today())})},
		{redirect.ReasonRequestTooLarge, "", encode(func(r *redirect.EncodeRedirectRequest) { r.Redirect.Email = strings.Repeat("x", 1<<16) })},
	} {
		t.Run(string(c.reason), func(t *testing.T) {
			e := failure(t, c.err, c.reason)
			if e.Tries != 1 || e.RequestID == "" || e.Message == "" || e.Hint != c.hint && c.hint != "*" {
				t.Errorf("is %#v", *e)
			}
			if e.Reason == redirect.ReasonFieldInvalid && (len(e.Violations) == 0 || !strings.Contains(e.Error(), e.Violations[0].Field)) {
				t.Errorf("has no violation: %v", e)
			}
		})
	}
}

func TestAllWrongFieldsAreReported(t *testing.T) {
	client := connect(t, to(serve(t).address))
	_, err := client.EncodeRedirect(t.Context(), redirect.EncodeRedirectRequest{})
	var fields []string
	for _, violation := range failure(t, err, redirect.ReasonFieldInvalid).Violations {
		fields = append(fields, violation.Field)
	}
	slices.Sort(fields)
	if want := []string{"fiu_id", "redirect.redirect", "redirect.srcref", "redirect.userid"}; !slices.Equal(fields, want) {
		t.Errorf("told are %v", fields)
	}
}

func TestASingleWrongFieldIsSaidOnce(t *testing.T) {
	request := encodeRequest()
	request.Redirect.UserID = "nobody"
	_, err := connect(t, to(serve(t).address)).EncodeRedirect(t.Context(), request)
	e := failure(t, err, redirect.ReasonFieldInvalid)
	if len(e.Violations) != 1 || strings.Count(e.Error(), e.Violations[0].Description) != 1 ||
		!strings.HasPrefix(e.Error(), "FIELD_INVALID: "+e.Message+" [EncodeRedirect ") {
		t.Errorf("reads %q", e)
	}
}

func TestReasonsOfCallers(t *testing.T) {
	// printf %s lender | sha256sum
	folder := files(t, map[string]string{"callers.toml": `[[caller]]
name = "lender"
token_sha256 = "8e429e75314dd8cc5d27e8d9ffab2d4912297525efcdfa93a0d047ec374081e9"
methods = ["ListPairings"]
`})
	s := serve(t, "--keyring", sandbox(t), "--callers", folder+"/callers.toml")
	_, err := connect(t, to(s.address)).EncodeRedirect(t.Context(), encodeRequest())
	failure(t, err, redirect.ReasonCallerUnknown)

	options := to(s.address)
	options.Token = "lender"
	client := connect(t, options)
	for _, err := range client.Pairings(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err = client.EncodeRedirect(t.Context(), encodeRequest())
	if e := failure(t, err, redirect.ReasonCallerForbidden); e.Metadata["method"] != "EncodeRedirect" {
		t.Errorf("metadata is %v", e.Metadata)
	}
}

// slow makes the request number n. Each number has its own date, so that each call costs the server one key derivation.
func slow(n int) redirect.EncodeRedirectRequest {
	request := encodeRequest()
	request.AA, request.Redirect.UserID = "beta-aa", "9876501234@beta"
	request.IssueTime = time.Now().Truncate(time.Minute).Add(time.Duration(n/1000-1)*time.Minute + time.Duration(n%1000)*time.Millisecond)
	return request
}

// watched counts the reason of each try, before the client decides about another try.
func watched(options redirect.Options, counts *sync.Map) redirect.Options {
	options.DialOptions = append(options.DialOptions, grpc.WithUnaryInterceptor(func(
		ctx context.Context, method string, request, reply any, connection *grpc.ClientConn, invoke grpc.UnaryInvoker,
		callOptions ...grpc.CallOption,
	) error {
		err := invoke(ctx, method, request, reply, connection, callOptions...)
		if err != nil {
			count, _ := counts.LoadOrStore(reasonIn(err), new(atomic.Int32))
			count.(*atomic.Int32).Add(1)
		}
		return err
	}))
	return options
}

func seen(counts *sync.Map, reason redirect.Reason) int {
	count, ok := counts.Load(reason)
	if !ok {
		return 0
	}
	return int(count.(*atomic.Int32).Load())
}

func TestAnOverloadedServiceIsAskedAgainAfterItsDelay(t *testing.T) {
	s := serve(t, "--kdf-threads", "1")
	var counts sync.Map
	var served atomic.Int32
	var calls sync.WaitGroup
	for n := range 10 { // several connections, because the server limits the calls on each
		client := connect(t, watched(to(s.address), &counts))
		for m := range 180 {
			calls.Add(1)
			go func() {
				defer calls.Done()
				_, err := client.EncodeRedirect(t.Context(), slow(n*180+m))
				if err == nil {
					served.Add(1)
				} else if e := asError(err); e == nil || e.Reason != redirect.ReasonOverloaded || e.RetryDelay <= 0 || e.Tries != 3 {
					t.Errorf("gave up with %v", err)
				}
			}()
		}
	}
	calls.Wait()
	if shed := seen(&counts, redirect.ReasonOverloaded); shed == 0 || int(served.Load()) <= 1800-shed {
		t.Errorf("of 1,800 calls at once %d tries were shed and %d calls served", shed, served.Load())
	}
}

func TestACallThatADrainCutsSucceedsElsewhere(t *testing.T) {
	// A drain that begins after the last call cuts no call. The test then tries again.
	for range 10 {
		if drainUnderCalls(t) > 0 || t.Failed() {
			return
		}
	}
	t.Error("no try was cut")
}

// drainUnderCalls ends one of two servers when the first of many calls has its answer, and returns how many tries that
// cut. Every call must succeed.
func drainUnderCalls(t *testing.T) int {
	ends, stays := serve(t, "--kdf-threads", "1", "--drain-timeout", "0"), serve(t)
	var counts sync.Map
	options := to(ends.address)
	options.Addresses = append(options.Addresses, stays.address)
	client := connect(t, watched(options, &counts))
	seal(t, client)
	var calls sync.WaitGroup
	answered := make(chan struct{}, 200)
	for n := range cap(answered) {
		calls.Add(1)
		go func() {
			defer calls.Done()
			if _, err := client.EncodeRedirect(t.Context(), slow(n)); err != nil {
				t.Error(err)
			}
			answered <- struct{}{}
		}()
	}
	<-answered
	if err := ends.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	calls.Wait()
	return seen(&counts, redirect.ReasonNotReady) + seen(&counts, redirect.ReasonUnreachable)
}

// A fault of the service itself cannot be provoked from outside.
func TestAnInternalFaultIsFinal(t *testing.T) {
	f := fakeService(t, refuse(13, "INTERNAL_FAULT"))
	if e := failure(t, encode(t, f), redirect.ReasonInternalFault); e.Tries != 1 {
		t.Errorf("is %#v", *e)
	}
}

// asError is for goroutines other than the test's own, because only that one may end the test.
func asError(err error) *redirect.Error {
	var e *redirect.Error
	errors.As(err, &e)
	return e
}

func reasonIn(err error) redirect.Reason {
	client := redirect.NewClientOn(failing{err}, redirect.Options{})
	ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond) // one try
	defer cancel()
	_, err = client.EncodeRedirect(ctx, redirect.EncodeRedirectRequest{})
	return redirect.ReasonOf(err)
}

// failing is a connection on which every call fails with the same error.
type failing struct{ err error }

func (f failing) Invoke(context.Context, string, any, any, ...grpc.CallOption) error { return f.err }

func (f failing) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, f.err
}

func TestEveryDeviationIsHandedOverWithItsPlace(t *testing.T) {
	var reports []redirect.DeviationReport
	options := to(serve(t).address)
	options.OnDeviations = func(_ context.Context, report redirect.DeviationReport) { reports = append(reports, report) }
	client := connect(t, options)
	sealed := seal(t, client)
	back := answer(t, client, sealed, 1)
	url := strings.ReplaceAll(back.Location(), "%3D", "")
	opened, err := client.DecodeCallback(t.Context(), redirect.DecodeCallbackRequest{FIU: fiu, URL: url}, record(sealed))
	if err != nil {
		t.Fatal(err)
	}
	if len(reports) != 1 || reports[0].Method != "DecodeCallback" || reports[0].FIU != fiu || reports[0].AA != aa ||
		!slices.Equal(reports[0].Deviations, opened.Deviations()) || len(opened.Deviations()) == 0 {
		t.Errorf("told were %v", reports)
	}
	for _, detail := range opened.Deviations() {
		if detail.Deviation != redirect.DeviationBase64Unpadded {
			t.Errorf("told was %v", detail)
		}
	}
	clean := redirect.DecodeCallbackRequest{FIU: fiu, URL: answer(t, client, sealed, 0).Location()}
	if _, err := client.DecodeCallback(t.Context(), clean, record(sealed)); err != nil || len(reports) != 1 {
		t.Errorf("a clean message: %v, %v", err, reports)
	}
}

func TestAnUnknownDeviationIsKeptAndReportedOnce(t *testing.T) {
	client := connect(t, to(fakeService(t).address))
	opened, err := client.DecodeCallback(t.Context(), redirect.DecodeCallbackRequest{URL: "/"}, redirect.NotCompared{})
	if want := "[BASE64_ALPHABET at ecres UNKNOWN_99]"; err != nil || fmt.Sprint(opened.Deviations()) != want {
		t.Errorf("told are %v, %v", opened.Deviations(), err)
	}
}
