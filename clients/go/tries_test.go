package redirect_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"aa/redirect"
	redirectv1 "aa/redirect/v1"
)

func TestOnlyWhatCanHelpIsTriedAgain(t *testing.T) {
	overloaded := func(delay time.Duration) func(context.Context) error {
		return refuse(codes.ResourceExhausted, "OVERLOADED", retryAfter(delay))
	}
	for _, c := range []struct {
		name    string
		answers []func(context.Context) error
		reason  redirect.Reason // empty: it succeeds
		tries   int
	}{
		{"not ready", []func(context.Context) error{refuse(codes.Unavailable, "NOT_READY"), nil}, "", 2},
		{"store unavailable", []func(context.Context) error{refuse(codes.Unavailable, "STORE_UNAVAILABLE"), nil}, "", 2},
		{"connection lost", []func(context.Context) error{fail(codes.Unavailable, "reset"), nil}, "", 2},
		{"connection lost twice", []func(context.Context) error{
			fail(codes.Unavailable, "reset"), fail(codes.Unavailable, "reset"), nil,
		}, "", 3},
		{"never ready", []func(context.Context) error{refuse(codes.Unavailable, "NOT_READY")}, redirect.ReasonNotReady, 3},
		{"overloaded", []func(context.Context) error{overloaded(20 * time.Millisecond), nil}, "", 2},
		{"overloaded, as the trailer says", []func(context.Context) error{pushBack(codes.ResourceExhausted, "OVERLOADED", "20"), nil}, "", 2},
		{"overloaded without a delay", []func(context.Context) error{refuse(codes.ResourceExhausted, "OVERLOADED"), nil},
			redirect.ReasonOverloaded, 1},
		{"overloaded for longer than the deadline", []func(context.Context) error{overloaded(time.Hour), nil},
			redirect.ReasonOverloaded, 1},
		{"overloaded, never again", []func(context.Context) error{pushBack(codes.ResourceExhausted, "OVERLOADED", "-1"), nil},
			redirect.ReasonOverloaded, 1},
		{"not ready, never again", []func(context.Context) error{pushBack(codes.Unavailable, "NOT_READY", "-1"), nil},
			redirect.ReasonNotReady, 1},
		{"too large", []func(context.Context) error{refuse(codes.ResourceExhausted, "REQUEST_TOO_LARGE", retryAfter(1)), nil},
			redirect.ReasonRequestTooLarge, 1},
		{"timed out", []func(context.Context) error{refuse(codes.DeadlineExceeded, "TIMED_OUT"), nil}, redirect.ReasonTimedOut, 1},
		{"undecipherable", []func(context.Context) error{refuse(codes.InvalidArgument, "UNDECIPHERABLE"), nil},
			redirect.ReasonUndecipherable, 1},
		{"already opened", []func(context.Context) error{refuse(codes.FailedPrecondition, "ALREADY_OPENED"), nil},
			redirect.ReasonAlreadyOpened, 1},
		{"internal fault", []func(context.Context) error{refuse(codes.Internal, "INTERNAL_FAULT"), nil},
			redirect.ReasonInternalFault, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := fakeService(t, c.answers...)
			_, err := connect(t, to(f.address)).DecodeRedirect(t.Context(), redirect.DecodeRedirectRequest{URL: "/"})
			came, _ := f.calls()
			if len(came) != c.tries || redirect.ReasonOf(err) != c.reason || (err == nil) != (c.reason == "") {
				t.Errorf("%d tries, then %v; want %d, %q", len(came), err, c.tries, c.reason)
			}
			if err != nil && failure(t, err, c.reason).Tries != c.tries {
				t.Errorf("the error counts otherwise: %v", err)
			}
		})
	}
}

func TestADecodeHasOneAttemptIDForAllItsTries(t *testing.T) {
	f := fakeService(t, fail(codes.Unavailable, "reset"), fail(codes.Unavailable, "reset"), nil)
	client := connect(t, to(f.address))
	for range 2 {
		if _, err := client.DecodeRedirect(t.Context(), redirect.DecodeRedirectRequest{URL: "/"}); err != nil {
			t.Fatal(err)
		}
		request := redirect.DecodeCallbackRequest{URL: "/"}
		if _, err := client.DecodeCallback(t.Context(), request, redirect.NotCompared{}); err != nil {
			t.Fatal(err)
		}
	}
	came, _ := f.calls() // three tries of the first call, one of each other
	ids := map[string]int{}
	for _, request := range came {
		ids[request.(interface{ GetAttemptId() string }).GetAttemptId()]++
	}
	first := came[0].(*redirectv1.DecodeRedirectRequest).AttemptId
	if len(came) != 6 || len(ids) != 4 || ids[first] != 3 || len(first) != 36 {
		t.Errorf("%d requests with the ids %v", len(came), ids)
	}
}

func TestACallersOwnAttemptIDIsSent(t *testing.T) {
	f := fakeService(t)
	client := connect(t, to(f.address))
	request := redirect.DecodeCallbackRequest{URL: "/", AttemptID: "job-7"}
	if _, err := client.DecodeCallback(t.Context(), request, redirect.Expected{TxnID: "t", SessionID: "s", UserID: "u", AA: "a"}); redirect.ReasonOf(err) != redirect.ReasonNotExpected {
		t.Errorf("a service that compares nothing is believed: %v", err)
	}
	came, _ := f.calls()
	want := &redirectv1.DecodeCallbackRequest{
		AttemptId: "job-7", Source: &redirectv1.DecodeCallbackRequest_Url{Url: "/"},
		Expected: &redirectv1.ExpectedCallback{Txnid: "t", Sessionid: "s", Userid: "u", AaId: "a"},
	}
	if !proto.Equal(came[0], want) {
		t.Error("the request differs")
	}
}

func TestHeadersAreOfTheirFormOrLeftOut(t *testing.T) {
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, c := range []struct {
		id, trace string
		sent      bool
	}{
		{"req-1.a_B", trace, true}, {"a b", "00-xyz", false}, {"line\nend", "line\nend", false}, {"", "", false},
	} {
		f := fakeService(t)
		ctx := redirect.WithTraceparent(redirect.WithRequestID(t.Context(), c.id), c.trace)
		ctx = metadata.AppendToOutgoingContext(ctx, "x-own", "kept")
		if _, err := connect(t, to(f.address)).EncodeRedirect(ctx, encodeRequest()); err != nil {
			t.Fatal(err)
		}
		_, headers := f.calls()
		id, traceparent, own := headers[0].Get("x-request-id"), headers[0].Get("traceparent"), headers[0].Get("x-own")
		if len(own) != 1 || c.sent && (id[0] != c.id || traceparent[0] != c.trace) || !c.sent && len(id)+len(traceparent) > 0 {
			t.Errorf("%q and %q are sent as %q and %q", c.id, c.trace, id, traceparent)
		}
	}
}
