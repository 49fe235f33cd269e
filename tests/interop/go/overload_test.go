// The answers of a server with too much work: OVERLOADED with a delay, and TIMED_OUT if the caller's deadline passes.
// Each test has its own server, so that no other test waits behind its queue.
package interop

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	redirectv1 "aa/redirect/v1"
)

func startSlowServer(t *testing.T) *server {
	t.Helper()
	keyring, err := writeKeyring(t.TempDir(), []*pairing{v12})
	if err != nil {
		t.Fatal(err)
	}
	return startTestServer(t, "--keyring", keyring, "--kdf-threads", "1")
}

func slowRequest() *redirectv1.EncodeRedirectRequest {
	return &redirectv1.EncodeRedirectRequest{FiuId: v12.fiu, AaId: v12.aa, Redirect: cleanRedirect()}
}

// slowRequestAt makes a request with its own date, because calls with the same date share one derivation. A date in
// milliseconds has 1,000 values a minute, and the window reaches over several minutes.
func slowRequestAt(n int) *redirectv1.EncodeRedirectRequest {
	request := slowRequest()
	minute := time.Now().Truncate(time.Minute).Add(time.Duration(n/1000-1) * time.Minute)
	request.IssueTime = timestamppb.New(minute.Add(time.Duration(n%1000) * time.Millisecond))
	return request
}

func TestOverloadedSaysWhenToTryAgain(t *testing.T) {
	s := startSlowServer(t)
	ctx, cancel := context.WithCancel(patient(t))
	defer cancel()
	overloaded := make(chan error, 1)
	var calls sync.WaitGroup
	// Several connections, because the server limits the calls on each.
	for dialled := range 15 {
		connection, err := dial(s.address)
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		for call := range 120 {
			calls.Go(func() {
				_, err := redirectv1.NewRedirectServiceClient(connection).EncodeRedirect(ctx, slowRequestAt(120*dialled+call))
				if status.Code(err) == codes.ResourceExhausted {
					select {
					case overloaded <- err:
						cancel() // the others need not wait for their turn
					default:
					}
				}
			})
		}
	}
	calls.Wait()
	select {
	case err := <-overloaded:
		expectRefusal(t, err, codes.ResourceExhausted, "OVERLOADED")
		if got := refusalOf(t, err); got.retry == nil || got.retry.RetryDelay.AsDuration() <= 0 {
			t.Errorf("RetryInfo is %v", got.retry)
		}
	default:
		t.Error("1,800 calls at once, and none was refused")
	}
}

func TestDeadlineOfTheCallerPasses(t *testing.T) {
	s := startSlowServer(t)
	connection, err := dial(s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	slow := redirectv1.NewRedirectServiceClient(connection)
	ctx, cancel := context.WithTimeout(patient(t), time.Millisecond)
	defer cancel()
	if _, err := slow.EncodeRedirect(ctx, slowRequest()); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("answered %v", err)
	}
}

// grpc-go gives up at its own deadline, and always sends it as grpc-timeout. So this test uses plain HTTP/2 to see the
// server's answer.
func TestTimedOut(t *testing.T) {
	s := startSlowServer(t)
	message, err := proto.Marshal(slowRequest())
	if err != nil {
		t.Fatal(err)
	}
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	request, err := http.NewRequestWithContext(patient(t), http.MethodPost,
		"http://"+s.address+redirectv1.RedirectService_EncodeRedirect_FullMethodName, bytes.NewReader(append(frame, message...)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/grpc")
	request.Header.Set("TE", "trailers")
	request.Header.Set("Grpc-Timeout", "1m") // a millisecond: a derivation takes several
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil { // trailers come after the body
		t.Fatal(err)
	}
	encoded := response.Trailer.Get("Grpc-Status-Details-Bin")
	if encoded == "" { // a response without a body has the trailers in its header
		encoded = response.Header.Get("Grpc-Status-Details-Bin")
	}
	details, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil {
		t.Fatal(err)
	}
	var answered spb.Status
	if err := proto.Unmarshal(details, &answered); err != nil {
		t.Fatal(err)
	}
	expectMetadata(t, expectRefusal(t, status.FromProto(&answered).Err(), codes.DeadlineExceeded, "TIMED_OUT"), nil)
}
