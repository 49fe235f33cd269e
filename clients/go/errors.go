package redirect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// domain is the domain of every ErrorInfo of the service.
const domain = "aa.redirect.v1"

// Reason says why a call failed. Reasons never change. A reason that this package does not know yet is kept as its text.
type Reason string

// Reasons of the service; proto/aa/redirect/v1/redirect.proto says when each is given and whose side is at fault.
const (
	ReasonFieldInvalid       Reason = "FIELD_INVALID"
	ReasonURLMalformed       Reason = "URL_MALFORMED"
	ReasonParameterMalformed Reason = "PARAMETER_MALFORMED"
	ReasonDateMalformed      Reason = "DATE_MALFORMED"
	ReasonDateExpired        Reason = "DATE_EXPIRED"
	ReasonDateInFuture       Reason = "DATE_IN_FUTURE"
	ReasonPairingUnknown     Reason = "PAIRING_UNKNOWN"
	ReasonPairingAmbiguous   Reason = "PAIRING_AMBIGUOUS"
	ReasonSchemeMismatch     Reason = "SCHEME_MISMATCH"
	ReasonRedirectForbidden  Reason = "REDIRECT_FORBIDDEN"
	ReasonUndecipherable     Reason = "UNDECIPHERABLE"
	ReasonCallerForbidden    Reason = "CALLER_FORBIDDEN"
	ReasonCallerUnknown      Reason = "CALLER_UNKNOWN"
	ReasonOverloaded         Reason = "OVERLOADED"
	ReasonNotReady           Reason = "NOT_READY"
	ReasonTimedOut           Reason = "TIMED_OUT"
	ReasonInternalFault      Reason = "INTERNAL_FAULT"
	ReasonRequestTooLarge    Reason = "REQUEST_TOO_LARGE"
	ReasonAlreadyOpened      Reason = "ALREADY_OPENED"
	ReasonNotExpected        Reason = "NOT_EXPECTED"
	ReasonStoreUnavailable   Reason = "STORE_UNAVAILABLE"
)

// Reasons of this package, for failures about which the service said nothing.
const (
	// ReasonDeadlineExceeded: no answer within the call's deadline. errors.Is finds context.DeadlineExceeded too.
	ReasonDeadlineExceeded Reason = "LOCAL_DEADLINE_EXCEEDED"
	// ReasonUnreachable: no connection, or it was lost before the answer.
	ReasonUnreachable Reason = "LOCAL_UNREACHABLE"
	// ReasonCancelled: the context was cancelled, or the client closed. errors.Is finds context.Canceled too.
	ReasonCancelled Reason = "LOCAL_CANCELLED"
	// ReasonUnexpectedAnswer: something other than aa-redirect answered.
	ReasonUnexpectedAnswer Reason = "LOCAL_UNEXPECTED_ANSWER"
	// ReasonWebviewMissing: the pairing has no web view, so there is no URL.
	ReasonWebviewMissing Reason = "LOCAL_WEBVIEW_MISSING"
)

// A Violation is a field of the request that is missing or malformed.
type Violation struct {
	// Field is its path in the proto: redirect.userid.
	Field string
	// Description says what it must be.
	Description string
}

// Error is why a call failed. Find it with errors.As, decide by Reason, and log the error as it is: its text is one line
// without any payload, user id or secret.
type Error struct {
	// Reason is the value to decide by.
	Reason Reason
	// Code is the gRPC status.
	Code codes.Code
	// Message is for people and may change.
	Message string
	// Method is the RPC: DecodeCallback.
	Method string
	// Metadata has the values that the message names.
	Metadata map[string]string
	// Violations are all fields that are wrong, for ReasonFieldInvalid.
	Violations []Violation
	// Hint names the likely cause, such as LOCAL_TIME for a date; empty if there is none.
	Hint string
	// RequestID finds the call in the service's log.
	RequestID string
	// RetryDelay is how long the service asks to wait; 0 if it names no time.
	RetryDelay time.Duration
	// Tries is the number of tries that were made.
	Tries int

	status   *status.Status
	local    error // context.DeadlineExceeded or context.Canceled, for errors.Is
	pushback string
}

// ReasonOf is the reason of an error of this package, wrapped or not; empty for any other.
func ReasonOf(err error) Reason {
	var failure *Error
	if errors.As(err, &failure) {
		return failure.Reason
	}
	return ""
}

// Error is one line for a log: reason, message, violations, and in brackets method, metadata, request id and tries.
func (e *Error) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s", e.Reason, e.Message)
	for _, violation := range e.Violations {
		if e.Message != violation.Field+" "+violation.Description { // the message of a single one says it already
			fmt.Fprintf(&text, "; %s: %s", violation.Field, violation.Description)
		}
	}
	text.WriteString(" [" + e.Method)
	for _, name := range slices.Sorted(maps.Keys(e.Metadata)) {
		if name != "fields" { // the violations say it
			fmt.Fprintf(&text, " %s=%s", name, e.Metadata[name])
		}
	}
	if e.RequestID != "" {
		fmt.Fprintf(&text, " request_id=%s", e.RequestID)
	}
	fmt.Fprintf(&text, " tries=%d]", e.Tries)
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) { // a proxy's message may have them; the error stays one line
			return ' '
		}
		return r
	}, text.String())
}

// Unwrap gives context.DeadlineExceeded or context.Canceled if that is the cause.
func (e *Error) Unwrap() error { return e.local }

// GRPCStatus is the status as it came, for google.golang.org/grpc/status.
func (e *Error) GRPCStatus() *status.Status {
	if e.status == nil {
		return status.New(e.Code, e.Message)
	}
	return e.status
}

// newError reads what a try failed with. header and trailer are what came with it.
func newError(method string, err error, header, trailer metadata.MD, tries int) *Error {
	from := status.Convert(err)
	e := &Error{Method: method, Code: from.Code(), Message: from.Message(), Tries: tries, status: from}
	for _, detail := range from.Details() {
		e.read(detail)
	}
	for _, came := range []metadata.MD{header, trailer} {
		if value := came.Get("grpc-retry-pushback-ms"); len(value) > 0 {
			e.pushback = value[0]
		}
		if value := came.Get("x-request-id"); len(value) > 0 && e.RequestID == "" {
			e.RequestID = value[0]
		}
	}
	if millis, err := strconv.ParseUint(e.pushback, 10, 31); err == nil {
		e.RetryDelay = time.Duration(millis) * time.Millisecond
	}
	if e.Reason == "" {
		e.nameLocal()
	}
	return e
}

func (e *Error) read(detail any) {
	switch detail := detail.(type) {
	case *errdetails.ErrorInfo:
		if detail.GetDomain() == domain {
			e.Reason, e.Metadata, e.Hint = Reason(detail.GetReason()), detail.GetMetadata(), detail.GetMetadata()["hint"]
		}
	case *errdetails.BadRequest:
		for _, violation := range detail.GetFieldViolations() {
			e.Violations = append(e.Violations, Violation{violation.GetField(), violation.GetDescription()})
		}
	case *errdetails.RetryInfo:
		e.RetryDelay = detail.GetRetryDelay().AsDuration()
	case *errdetails.RequestInfo:
		e.RequestID = detail.GetRequestId()
	}
}

// nameLocal sets the reason of an error that the service did not make.
func (e *Error) nameLocal() {
	switch e.Code {
	case codes.DeadlineExceeded:
		e.Reason, e.local = ReasonDeadlineExceeded, context.DeadlineExceeded
	case codes.Canceled:
		e.Reason, e.local = ReasonCancelled, context.Canceled
	case codes.Unavailable:
		e.Reason = ReasonUnreachable
		e.Message = "no connection to the service, or it was lost: " + e.Message
	default:
		e.Reason = ReasonUnexpectedAnswer
		e.Message = fmt.Sprintf("not an answer of aa-redirect, so look at what is between: %s: %s", e.Code, e.Message)
	}
}
