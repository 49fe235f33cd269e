// Package redirects is what an FIU's and an AA's backend share: a connection to the redirect service, a call with the one
// retry that makes sense, and a refusal made readable.
package redirects

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// The service config that comes with the proto: a timeout, and gRPC's own retry while no server can be reached.
//
//go:embed service_config.json
var serviceConfig string

// Dial connects lazily. One connection is enough for a process; it is safe for concurrent use.
func Dial(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient(address,
		// The service listens on loopback, or a mesh brings TLS; otherwise use credentials.NewTLS.
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(serviceConfig))
}

// Call makes a call, and makes it again only where the service says that this helps: OVERLOADED, after the delay that it
// names, while the deadline of ctx leaves room. Every other refusal is final: the same call would be refused again.
func Call[Request, Response any](
	ctx context.Context, method func(context.Context, Request, ...grpc.CallOption) (Response, error), request Request,
) (Response, error) {
	for {
		response, err := method(ctx, request)
		delay, again := retryDelay(err)
		if deadline, ok := ctx.Deadline(); !again || ok && time.Until(deadline) < delay {
			return response, err
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return response, err
		}
	}
}

func retryDelay(err error) (time.Duration, bool) {
	var reason string
	var delay time.Duration
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			reason = detail.Reason
		case *errdetails.RetryInfo:
			delay = detail.RetryDelay.AsDuration()
		}
	}
	return delay, reason == "OVERLOADED" && delay > 0
}

// Explain puts an error into words for a log: the reason is what code and alerts should look at, the message may change.
func Explain(err error) string {
	refused := status.Convert(err)
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %s", refused.Code(), refused.Message())
	for _, detail := range refused.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			fmt.Fprintf(&text, "\n  reason: %s", detail.Reason)
			for _, name := range slices.Sorted(maps.Keys(detail.Metadata)) {
				fmt.Fprintf(&text, "\n  %s: %s", name, detail.Metadata[name])
			}
		case *errdetails.BadRequest: // all wrong fields at once
			for _, violation := range detail.FieldViolations {
				fmt.Fprintf(&text, "\n  field %s %s", violation.Field, violation.Description)
			}
		}
	}
	return text.String()
}
