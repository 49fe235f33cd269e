package redirects

import (
	"context"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

func refusal(t *testing.T, reason string, delay time.Duration) error {
	t.Helper()
	refused, err := status.New(codes.ResourceExhausted, "").WithDetails(
		&errdetails.ErrorInfo{Reason: reason, Domain: "aa.redirect.v1"}, &errdetails.RetryInfo{RetryDelay: durationpb.New(delay)})
	if err != nil {
		t.Fatal(err)
	}
	return refused.Err()
}

func TestCallIsRepeatedOnlyWhileOverloadedAndInTime(t *testing.T) {
	for _, c := range []struct {
		name  string
		first error
		calls int
	}{
		{"overloaded", refusal(t, "OVERLOADED", 20*time.Millisecond), 3},
		{"overloaded for longer than the deadline", refusal(t, "OVERLOADED", time.Hour), 1},
		{"too large", refusal(t, "REQUEST_TOO_LARGE", time.Millisecond), 1},
		{"no answer of the service", status.Error(codes.ResourceExhausted, ""), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			begin, calls := time.Now(), 0
			_, err := Call(ctx, func(context.Context, int, ...grpc.CallOption) (int, error) {
				if calls++; calls < 3 {
					return 0, c.first
				}
				return 0, nil
			}, 0)
			if calls != c.calls || (err == nil) != (c.calls == 3) {
				t.Errorf("%d calls, then %v", calls, err)
			}
			if waited := time.Since(begin); c.calls == 3 && waited < 40*time.Millisecond {
				t.Errorf("waited %v only", waited)
			}
		})
	}
}
