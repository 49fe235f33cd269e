package redirect_test

// A service whose answers a test chooses.

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	redirectv1 "aa/redirect/v1"
)

// fake gives its answers in turn, then repeats the last one, and keeps the requests that came.
type fake struct {
	redirectv1.UnimplementedRedirectServiceServer

	address  string
	callback *redirectv1.Callback          // what a decode returns
	answers  []func(context.Context) error // nil: an empty response

	mutex    sync.Mutex
	requests []proto.Message
	headers  []metadata.MD
	server   *grpc.Server
}

func fakeService(t *testing.T, answers ...func(context.Context) error) *fake {
	t.Helper()
	return fakeServiceAt(t, "127.0.0.1:0", answers...)
}

func fakeServiceAt(t *testing.T, listen string, answers ...func(context.Context) error) *fake {
	t.Helper()
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{address: listener.Addr().String(), answers: answers, server: grpc.NewServer()}
	redirectv1.RegisterRedirectServiceServer(f.server, f)
	go func() { _ = f.server.Serve(listener) }()
	t.Cleanup(f.server.Stop)
	return f
}

// take keeps a request and gives its answer.
func (f *fake) take(ctx context.Context, request proto.Message) error {
	f.mutex.Lock()
	came, _ := metadata.FromIncomingContext(ctx)
	f.requests, f.headers = append(f.requests, request), append(f.headers, came)
	n := len(f.requests) - 1
	f.mutex.Unlock()
	if len(f.answers) == 0 || f.answers[min(n, len(f.answers)-1)] == nil {
		return nil
	}
	return f.answers[min(n, len(f.answers)-1)](ctx)
}

// calls returns the requests and headers that came so far.
func (f *fake) calls() ([]proto.Message, []metadata.MD) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.requests, f.headers
}

func (f *fake) EncodeRedirect(
	ctx context.Context, request *redirectv1.EncodeRedirectRequest,
) (*redirectv1.EncodeRedirectResponse, error) {
	return &redirectv1.EncodeRedirectResponse{}, f.take(ctx, request)
}

func (f *fake) DecodeRedirect(
	ctx context.Context, request *redirectv1.DecodeRedirectRequest,
) (*redirectv1.DecodeRedirectResponse, error) {
	return &redirectv1.DecodeRedirectResponse{}, f.take(ctx, request)
}

func (f *fake) EncodeCallback(
	ctx context.Context, request *redirectv1.EncodeCallbackRequest,
) (*redirectv1.EncodeCallbackResponse, error) {
	return &redirectv1.EncodeCallbackResponse{}, f.take(ctx, request)
}

func (f *fake) DecodeCallback(
	ctx context.Context, request *redirectv1.DecodeCallbackRequest,
) (*redirectv1.DecodeCallbackResponse, error) {
	return &redirectv1.DecodeCallbackResponse{
		FiuId: fiu, AaId: aa, Callback: f.callback, Deviations: []redirectv1.Deviation{1, 99},
		DeviationDetails: []*redirectv1.DeviationDetail{{Deviation: 1, Place: "ecres"}},
	}, f.take(ctx, request)
}

// refuse answers with a reason of the service.
func refuse(code codes.Code, reason string, details ...protoadapt.MessageV1) func(context.Context) error {
	return refuseAs("aa.redirect.v1", code, reason, details...)
}

func refuseAs(domain string, code codes.Code, reason string, details ...protoadapt.MessageV1) func(context.Context) error {
	info := &errdetails.ErrorInfo{Domain: domain, Reason: reason, Metadata: map[string]string{"hint": "LOCAL_TIME", "fields": "a, b"}}
	with, err := status.New(code, "what went wrong").WithDetails(append([]protoadapt.MessageV1{info}, details...)...)
	return func(context.Context) error {
		if err != nil {
			return err
		}
		return with.Err()
	}
}

func retryAfter(delay time.Duration) *errdetails.RetryInfo {
	return &errdetails.RetryInfo{RetryDelay: durationpb.New(delay)}
}

// fail answers without any detail, as a proxy does.
func fail(code codes.Code, message string) func(context.Context) error {
	return func(context.Context) error { return status.Error(code, message) }
}

// pushBack answers with a delay in the trailer.
func pushBack(code codes.Code, reason, millis string) func(context.Context) error {
	return func(ctx context.Context) error {
		_ = grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", millis))
		return refuse(code, reason)(ctx)
	}
}

// hang answers when the call's deadline has passed.
func hang(ctx context.Context) error {
	<-ctx.Done()
	return status.FromContextError(ctx.Err()).Err()
}
