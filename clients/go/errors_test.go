package redirect_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"aa/redirect"
	redirectv1 "aa/redirect/v1"
)

// failure is the error of a call, which must be an *Error with this reason.
func failure(t *testing.T, err error, reason redirect.Reason) *redirect.Error {
	t.Helper()
	var e *redirect.Error
	if !errors.As(err, &e) || e.Reason != reason || redirect.ReasonOf(fmt.Errorf("wrapped: %w", err)) != reason {
		t.Fatalf("failed with %v, want %s", err, reason)
	}
	return e
}

func encode(t *testing.T, f *fake) error {
	t.Helper()
	_, err := connect(t, to(f.address)).EncodeRedirect(t.Context(), encodeRequest())
	return err
}

func TestEveryReasonOfTheProtoHasAConstant(t *testing.T) {
	known := []redirect.Reason{
		redirect.ReasonFieldInvalid, redirect.ReasonURLMalformed, redirect.ReasonParameterMalformed, redirect.ReasonDateMalformed,
		redirect.ReasonDateExpired, redirect.ReasonDateInFuture, redirect.ReasonPairingUnknown, redirect.ReasonPairingAmbiguous,
		redirect.ReasonSchemeMismatch, redirect.ReasonRedirectForbidden, redirect.ReasonUndecipherable,
		redirect.ReasonCallerForbidden, redirect.ReasonCallerUnknown, redirect.ReasonOverloaded, redirect.ReasonNotReady,
		redirect.ReasonTimedOut, redirect.ReasonInternalFault, redirect.ReasonRequestTooLarge, redirect.ReasonAlreadyOpened,
		redirect.ReasonNotExpected, redirect.ReasonStoreUnavailable,
	}
	for number, name := range redirectv1.ErrorReason_name {
		if reason := redirect.Reason(strings.TrimPrefix(name, "ERROR_REASON_")); number > 0 && !slices.Contains(known, reason) {
			t.Errorf("%s has no constant", name)
		}
	}
	if len(known) != len(redirectv1.ErrorReason_name)-1 {
		t.Error("a constant is not in the proto")
	}
}

func TestEveryDeviationOfTheProtoHasAConstant(t *testing.T) {
	known := []redirect.Deviation{
		redirect.DeviationBase64Alphabet, redirect.DeviationBase64Unpadded, redirect.DeviationPlusAsSpace,
		redirect.DeviationDoubleEncoded, redirect.DeviationWhitespace, redirect.DeviationDateDigits,
		redirect.DeviationSecondQuestionMark, redirect.DeviationListSyntax, redirect.DeviationRedirectUnescaped,
		redirect.DeviationTxnIDNotUUID, redirect.DeviationExtraMember, redirect.DeviationBlankOptional,
		redirect.DeviationStatusMismatch, redirect.DeviationStrayCharacters, redirect.DeviationNameCase,
		redirect.DeviationInvalidEscape, redirect.DeviationRepeated, redirect.DeviationHTMLEscaped,
		redirect.DeviationInFragment, redirect.DeviationRequestorType, redirect.DeviationDateZeroLost,
		redirect.DeviationRawNonASCII,
	}
	for number, name := range redirectv1.Deviation_name {
		if number > 0 && !slices.Contains(known, redirect.Deviation(strings.TrimPrefix(name, "DEVIATION_"))) {
			t.Errorf("%s has no constant", name)
		}
	}
	if len(known) != len(redirectv1.Deviation_name)-1 {
		t.Error("a constant is not in the proto")
	}
}

func TestAnErrorHasEverythingThatTheServiceSends(t *testing.T) {
	f := fakeService(t, refuse(codes.InvalidArgument, "FIELD_INVALID",
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: "redirect.userid", Description: "is required"}, {Field: "redirect.pan", Description: "must be a PAN"},
		}},
		&errdetails.RequestInfo{RequestId: "r-1"}, retryAfter(1500*time.Millisecond)))
	e := failure(t, encode(t, f), redirect.ReasonFieldInvalid)
	want := "FIELD_INVALID: what went wrong; redirect.userid: is required; redirect.pan: must be a PAN " +
		"[EncodeRedirect hint=LOCAL_TIME request_id=r-1 tries=1]"
	if e.Error() != want {
		t.Errorf("reads %q,\nwant  %q", e, want)
	}
	if e.Code != codes.InvalidArgument || e.Method != "EncodeRedirect" || e.Hint != "LOCAL_TIME" || e.RequestID != "r-1" ||
		e.RetryDelay != 1500*time.Millisecond || e.Metadata["fields"] != "a, b" || e.Tries != 1 || e.Message != "what went wrong" {
		t.Errorf("has %#v", *e)
	}
	if len(e.Violations) != 2 || e.Violations[1] != (redirect.Violation{Field: "redirect.pan", Description: "must be a PAN"}) {
		t.Errorf("violations are %v", e.Violations)
	}
	if s, ok := status.FromError(e); !ok || s.Code() != codes.InvalidArgument || len(s.Details()) != 4 {
		t.Errorf("as a status it is %v", s)
	}
}

func TestAReasonThatThePackageDoesNotKnowIsKept(t *testing.T) {
	e := failure(t, encode(t, fakeService(t, refuse(codes.FailedPrecondition, "MOON_TOO_FULL"))), "MOON_TOO_FULL")
	if !strings.HasPrefix(e.Error(), "MOON_TOO_FULL: ") {
		t.Errorf("reads %q", e)
	}
}

func TestAnErrorOfAnotherDomainIsNotTheServices(t *testing.T) {
	e := failure(t, encode(t, fakeService(t, refuseAs("proxy.example", codes.PermissionDenied, "FIELD_INVALID"))),
		redirect.ReasonUnexpectedAnswer)
	if e.Metadata != nil || e.Code != codes.PermissionDenied || !strings.Contains(e.Error(), "not an answer of aa-redirect") {
		t.Errorf("reads %q", e)
	}
}

func TestAnErrorWithoutDetailsIsNotTheServices(t *testing.T) {
	e := failure(t, encode(t, fakeService(t, fail(codes.ResourceExhausted, "quota\nof the proxy"))), redirect.ReasonUnexpectedAnswer)
	if e.Tries != 1 || strings.Contains(e.Error(), "\n") {
		t.Errorf("reads %q", e)
	}
}

func TestTheCallsOwnDeadlineHasItsReason(t *testing.T) {
	f := fakeService(t, hang)
	client := connect(t, redirect.Options{Addresses: []string{f.address}, Timeout: 50 * time.Millisecond})
	_, err := client.EncodeRedirect(t.Context(), encodeRequest())
	e := failure(t, err, redirect.ReasonDeadlineExceeded)
	if !errors.Is(err, context.DeadlineExceeded) || e.Code != codes.DeadlineExceeded || e.Tries != 1 {
		t.Errorf("is %#v", *e)
	}
}

func TestTheContextsDeadlineCountsInPlaceOfTheDefault(t *testing.T) {
	f := fakeService(t, hang)
	_, err := connect(t, to(f.address)).EncodeRedirect(background(t, 50*time.Millisecond), encodeRequest())
	failure(t, err, redirect.ReasonDeadlineExceeded)
}

func TestACancelledCallHasItsReason(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := fakeService(t, func(answering context.Context) error { cancel(); return hang(answering) })
	_, err := connect(t, to(f.address)).EncodeRedirect(ctx, encodeRequest())
	if failure(t, err, redirect.ReasonCancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("is %v", err)
	}
}

func TestACallThatIsCancelledBetweenTriesEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := fakeService(t, func(context.Context) error {
		time.AfterFunc(100*time.Millisecond, cancel)
		return refuse(codes.ResourceExhausted, "OVERLOADED", retryAfter(20*time.Second))(ctx)
	})
	_, err := connect(t, to(f.address)).EncodeRedirect(ctx, encodeRequest())
	failure(t, err, redirect.ReasonCancelled)
}

func TestAClosedClientHasItsReason(t *testing.T) {
	client := connect(t, to(fakeService(t).address))
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := client.EncodeRedirect(t.Context(), encodeRequest())
	failure(t, err, redirect.ReasonCancelled)
}

func TestIfNothingListensTheReasonIsUnreachable(t *testing.T) {
	f := fakeService(t)
	f.server.Stop()
	e := failure(t, encode(t, f), redirect.ReasonUnreachable)
	if e.Code != codes.Unavailable || e.Tries != 3 || !strings.HasPrefix(e.Message, "no connection to the service, or it was lost: ") {
		t.Errorf("is %#v", *e)
	}
}

func TestAStringThatIsNoUTF8IsAnInvalidField(t *testing.T) {
	f := fakeService(t)
	request := encodeRequest()
	request.Redirect.SessionID = "\xff"
	_, err := connect(t, to(f.address)).EncodeRedirect(t.Context(), request)
	failure(t, err, redirect.ReasonFieldInvalid)
	if came, _ := f.calls(); len(came) > 0 {
		t.Error("it was sent")
	}
}

func TestABrowsersURLThatIsNoUTF8IsEscaped(t *testing.T) {
	f := fakeService(t)
	_, err := connect(t, to(f.address)).DecodeRedirect(t.Context(), redirect.DecodeRedirectRequest{URL: "/?x=\xe9\ufffdए"})
	if err != nil {
		t.Fatal(err)
	}
	came, _ := f.calls()
	if url := came[0].(*redirectv1.DecodeRedirectRequest).GetUrl(); url != "/?x=%E9\ufffdए" {
		t.Errorf("sent as %q", url)
	}
}
