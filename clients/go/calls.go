package redirect

import (
	"context"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const (
	maxTries     = 3
	firstBackoff = 50 * time.Millisecond
	maxBackoff   = 500 * time.Millisecond
)

// call makes the tries of one call. gRPC's own retry is off: it knows codes, not reasons.
func call[Request proto.Message, Answer any](
	ctx context.Context, c *Client, method string, request Request,
	rpc func(context.Context, Request, ...grpc.CallOption) (Answer, error),
) (Answer, error) {
	if _, own := ctx.Deadline(); !own {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	ctx = withHeaders(ctx)
	for try := 1; ; try++ {
		var header, trailer metadata.MD
		var answer Answer
		trying, err := c.withToken(ctx)
		if err != nil {
			return answer, err
		}
		answer, err = rpc(trying, request, grpc.Header(&header), grpc.Trailer(&trailer))
		if err == nil {
			return answer, nil
		}
		if _, invalid := proto.Marshal(request); invalid != nil {
			return answer, &Error{
				Reason: ReasonFieldInvalid, Code: codes.InvalidArgument, Method: method, Tries: try,
				Message: "a string of the request is not UTF-8, so that it cannot be sent",
			}
		}
		failure := newError(method, err, header, trailer, try)
		wait, again := failure.wait(try)
		if !again || try == maxTries || outlasts(ctx, wait) {
			return answer, failure
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return answer, newError(method, status.FromContextError(ctx.Err()).Err(), nil, nil, try)
		}
	}
}

// wait returns how long to wait after a try, and whether another try makes sense.
func (e *Error) wait(try int) (time.Duration, bool) {
	if strings.HasPrefix(e.pushback, "-") {
		return 0, false
	}
	switch {
	case e.Reason == ReasonOverloaded:
		return scale(e.RetryDelay, 1, 1.2), e.RetryDelay > 0
	case e.Code == codes.Unavailable && e.RetryDelay > 0:
		return scale(e.RetryDelay, 1, 1.2), true
	case e.Code == codes.Unavailable:
		return scale(min(firstBackoff<<(try-1), maxBackoff), 0.8, 1.2), true
	default:
		return 0, false
	}
}

func scale(wait time.Duration, from, to float64) time.Duration {
	return time.Duration(float64(wait) * (from + (to-from)*rand.Float64()))
}

func outlasts(ctx context.Context, wait time.Duration) bool {
	deadline, _ := ctx.Deadline()
	return time.Until(deadline) <= wait
}

// attemptID makes an id if the caller gave none. With it, the next try after a lost answer does not count as a second
// opening.
func attemptID(given string) string {
	if given != "" {
		return given
	}
	return uuid.NewString()
}

type headersKey struct{}

type headers struct{ requestID, traceparent string }

var (
	requestIDForm   = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	traceparentForm = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$`)
)

// WithRequestID passes an x-request-id on to the service, which logs the call under it. One that is not of the form
// [A-Za-z0-9._-]{1,64} is left out.
func WithRequestID(ctx context.Context, id string) context.Context {
	h, _ := ctx.Value(headersKey{}).(headers)
	h.requestID = id
	return context.WithValue(ctx, headersKey{}, h)
}

// WithTraceparent passes the traceparent of a trace on to the service (W3C Trace Context). One of another form is left
// out. OpenTelemetry's stats handler, if it is among the options, does this by itself.
func WithTraceparent(ctx context.Context, traceparent string) context.Context {
	h, _ := ctx.Value(headersKey{}).(headers)
	h.traceparent = traceparent
	return context.WithValue(ctx, headersKey{}, h)
}

func withHeaders(ctx context.Context) context.Context {
	h, _ := ctx.Value(headersKey{}).(headers)
	if requestIDForm.MatchString(h.requestID) {
		ctx = metadata.AppendToOutgoingContext(ctx, "x-request-id", h.requestID)
	}
	if traceparentForm.MatchString(h.traceparent) {
		ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", h.traceparent)
	}
	return ctx
}
