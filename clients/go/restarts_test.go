package redirect_test

// What the network and operators do to a call.

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"aa/redirect"
)

func TestAClientFindsAServerThatIsBack(t *testing.T) {
	first := serve(t)
	client := connect(t, to(first.address))
	seal(t, client)
	first.kill()
	_, err := client.EncodeRedirect(t.Context(), encodeRequest())
	failure(t, err, redirect.ReasonUnreachable)
	serve(t, "--listen", first.address)
	for start := time.Now(); err != nil; time.Sleep(20 * time.Millisecond) {
		if _, err = client.EncodeRedirect(t.Context(), encodeRequest()); err != nil && time.Since(start) > 20*time.Second {
			t.Fatal(err)
		}
	}
}

// If the answer to a decode is lost on the way, the server has made the decode nevertheless.
func TestADecodeWhoseAnswerIsLostIsTriedAgain(t *testing.T) {
	proxy := newProxy(t, serve(t).address)
	client := connect(t, to(proxy.address))
	sealed := seal(t, client)
	proxy.cut.Store(true)
	opened, err := client.DecodeRedirect(t.Context(), redirect.DecodeRedirectRequest{AA: aa, URL: location(t, sealed)})
	if err != nil {
		t.Fatal(err)
	}
	if proxy.cut.Load() {
		t.Error("no answer was lost")
	}
	if opened.Redirect().TxnID != sealed.TxnID() || opened.Reopened() {
		t.Errorf("opened as %v", opened)
	}
}

// The client cannot know whether the server received the request. If the server never comes back, the call reports
// that.
func TestAServerThatGoesAwayInTheMiddle(t *testing.T) {
	s := serve(t, "--kdf-threads", "1")
	client := connect(t, to(s.address))
	seal(t, client)
	failed := make(chan error, 100)
	for n := range 100 {
		go func() {
			_, err := client.EncodeRedirect(context.Background(), slow(n))
			failed <- err
		}()
	}
	time.Sleep(20 * time.Millisecond)
	s.kill()
	unreachable := 0
	for range 100 {
		if err := <-failed; err != nil {
			failure(t, err, redirect.ReasonUnreachable)
			unreachable++
		}
	}
	if unreachable == 0 {
		t.Error("all calls were answered before the server went away")
	}
}

func TestAServerThatNeverAnswersEndsAtTheDeadline(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // accepts connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	client := connect(t, redirect.Options{Addresses: []string{listener.Addr().String()}, Timeout: 100 * time.Millisecond})
	_, err = client.EncodeRedirect(t.Context(), encodeRequest())
	failure(t, err, redirect.ReasonDeadlineExceeded)
}

// proxy stands between client and server, and can lose an answer: it ends the connection in place of the trailers.
type proxy struct {
	address string
	cut     atomic.Bool
}

func newProxy(t *testing.T, server string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	p := &proxy{address: listener.Addr().String()}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			go func() { _, _ = io.Copy(upstream, client); _ = upstream.Close() }()
			go func() { p.answers(client, upstream); _ = client.Close(); _ = upstream.Close() }()
		}
	}()
	return p
}

// answers passes on HTTP/2 frames (RFC 9113, section 4.1) up to the trailers of an answer that is to be lost.
func (p *proxy) answers(client io.Writer, upstream io.Reader) {
	for {
		header := make([]byte, 9)
		if _, err := io.ReadFull(upstream, header); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(append([]byte{0}, header[:3]...)))
		if _, err := io.ReadFull(upstream, body); err != nil {
			return
		}
		const headers, endStream = 1, 1
		if header[3] == headers && header[4]&endStream != 0 && p.cut.CompareAndSwap(true, false) {
			return
		}
		if _, err := client.Write(append(header, body...)); err != nil {
			return
		}
	}
}
