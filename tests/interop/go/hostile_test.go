// Hostile or broken peers below the level of gRPC. While they attack, an honest client's calls succeed and the server's
// memory stays within bounds. When they have gone, the server has released their memory and file descriptors.
package interop

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"

	redirectv1 "aa/redirect/v1"
)

const mebibyte = 1 << 20

// memory reads the value of this name from the kernel's status of the process, in bytes: VmRSS is the resident memory,
// VmHWM its peak.
func (s *server) memory(t *testing.T, name string) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); fields[0] == name+":" {
			kibibytes, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			return kibibytes * 1024
		}
	}
	t.Fatalf("no %s in\n%s", name, status)
	return 0
}

func (s *server) files(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.process.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// under starts a server that an honest client loads.
type under struct {
	*server
	load          *load
	files, memory int // before the attack
}

func startUnderAttack(t *testing.T, arguments ...string) *under {
	t.Helper()
	s, _ := startForLoad(t, arguments...)
	address := s.address
	if s.trusted != "" {
		address = s.trusted // the load's connections speak no TLS
	}
	u := &under{server: s, load: startLoad(t, plainly(address))}
	u.load.until(t, "calls are answered", func() bool { return u.load.calls.Load() > 100 })
	u.files, u.memory = s.files(t), s.memory(t, "VmRSS")
	return u
}

// expectRecovery ends the load, and waits until the server has released all that the attack took.
func (u *under) expectRecovery(t *testing.T, most int) {
	t.Helper()
	served := u.load.calls.Load()
	u.load.until(t, "calls go on after the attack", func() bool { return u.load.calls.Load() > served+50 })
	began := time.Now()
	var files, resident int
	for late := began.Add(30 * time.Second); time.Now().Before(late); time.Sleep(100 * time.Millisecond) {
		files, resident = u.server.files(t), u.server.memory(t, "VmRSS")
		if files <= u.files && resident < 100*mebibyte {
			break
		}
	}
	if files > u.files {
		t.Errorf("%d files are open, %d before", files, u.files)
	}
	if resident >= 100*mebibyte {
		t.Errorf("%d MiB are resident, %d before", resident/mebibyte, u.memory/mebibyte)
	}
	peak := u.server.memory(t, "VmHWM")
	if peak > most {
		t.Errorf("%d MiB were resident at the peak, more than %d", peak/mebibyte, most/mebibyte)
	}
	t.Logf("resident: before %d MiB, peak %d MiB, %.1f s after %d MiB", u.memory/mebibyte, peak/mebibyte,
		time.Since(began).Seconds(), resident/mebibyte)
	u.load.end(t)
}

// A raw HTTP/2 connection that sends and reads frames.
type raw struct {
	net.Conn
	*http2.Framer
	headers bytes.Buffer
	encoder *hpack.Encoder
	stream  uint32
}

func connect(address string, settings ...http2.Setting) (*raw, error) {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	r := &raw{Conn: connection, Framer: http2.NewFramer(connection, connection), stream: 1}
	r.encoder = hpack.NewEncoder(&r.headers)
	r.AllowIllegalWrites = true
	if _, err := io.WriteString(connection, http2.ClientPreface); err == nil {
		err = r.WriteSettings(settings...)
	}
	if err != nil {
		connection.Close()
		return nil, err
	}
	return r, nil
}

// block returns the header block of a call, with more fields.
func (r *raw) block(further ...hpack.HeaderField) []byte {
	r.headers.Reset()
	for _, field := range append([]hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":authority", Value: "localhost"},
		{Name: ":path", Value: redirectv1.RedirectService_EncodeRedirect_FullMethodName},
		{Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"},
	}, further...) {
		r.encoder.WriteField(field)
	}
	return r.headers.Bytes()
}

// open begins a call.
func (r *raw) open(further ...hpack.HeaderField) (stream uint32, err error) {
	stream, r.stream = r.stream, r.stream+2
	return stream, r.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: r.block(further...), EndHeaders: true})
}

// grpcFrame puts a message into a gRPC frame.
func grpcFrame(t *testing.T, message proto.Message) []byte {
	t.Helper()
	encoded, err := proto.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(encoded))), encoded...)
}

// expectClosed fails the test if the server does not close the connection in time.
func expectClosed(t *testing.T, connection net.Conn, within time.Duration) {
	t.Helper()
	connection.SetReadDeadline(time.Now().Add(within))
	if _, err := io.Copy(io.Discard, connection); err != nil && os.IsTimeout(err) {
		t.Error("the connection is still open")
	}
}

// forEach runs work for numbers below count, some at a time.
func forEach(count int, work func(n int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range 64 {
		workers.Go(func() {
			for n := int(next.Add(1)) - 1; n < count; n = int(next.Add(1)) - 1 {
				work(n)
			}
		})
	}
	workers.Wait()
}

func TestTenThousandIdleConnections(t *testing.T) {
	const count = 10_000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Max < count+1000 {
		t.Skipf("a process may open %d files here, too few for %d connections (%v)", limit.Max, count, err)
	}
	raised := syscall.Rlimit{Cur: limit.Max, Max: limit.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err != nil {
		t.Skip("the limit of open files cannot be raised: ", err)
	}
	t.Cleanup(func() { syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) })
	u := startUnderAttack(t, "--max-connections", strconv.Itoa(count+100))
	idle := make([]*raw, count)
	forEach(count, func(n int) {
		r, err := connect(u.address)
		if err == nil {
			_, err = r.ReadFrame() // the server's settings have come, so it has accepted the connection
			idle[n] = r
		}
		if err != nil {
			t.Errorf("connection %d: %v", n, err)
		}
	})
	if files := u.server.files(t); files < u.files+count {
		t.Errorf("%d files are open with %d more connections than with %d", files, count, u.files)
	}
	served := u.load.calls.Load()
	u.load.until(t, "calls go on", func() bool { return u.load.calls.Load() > served+300 })
	resident := u.server.memory(t, "VmRSS")
	t.Logf("with %d idle connections %d MiB are resident: %d bytes for each", count, resident/mebibyte,
		(resident-u.memory)/count)
	for _, r := range idle {
		if r != nil {
			r.Close()
		}
	}
	u.expectRecovery(t, 500*mebibyte)
}

// A peer that sends one byte a second cannot hold its connection for longer than a handshake may take.
func TestSlowHandshakesAreCut(t *testing.T) {
	ca := newAuthority(t)
	folder, pair := t.TempDir(), ca.issue(t, serverCertificate)
	write(t, folder, "tls.crt", pair.certificate)
	write(t, folder, "tls.key", pair.key)
	u := startUnderAttack(t, "--trusted-listen", "127.0.0.1:0",
		"--tls-cert", filepath.Join(folder, "tls.crt"), "--tls-key", filepath.Join(folder, "tls.key"))
	// The beginning of a TLS record with a ClientHello of 512 bytes.
	hello := append([]byte{22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3}, make([]byte, 500)...)
	var connections sync.WaitGroup
	for n := range 500 {
		connections.Go(func() {
			address, bytes := u.address, hello
			if n%2 == 1 {
				address, bytes = u.trusted, []byte(http2.ClientPreface)
			}
			connection, err := net.Dial("tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			defer connection.Close()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				expectClosed(t, connection, 20*time.Second)
			}()
			for at := 0; at < len(bytes); at++ {
				connection.Write(bytes[at : at+1])
				select {
				case <-ended:
					return
				case <-time.After(time.Second):
				}
			}
			<-ended
		})
	}
	connections.Wait()
	u.expectRecovery(t, 100*mebibyte)
}

// Each attack is made over many connections at a time, again and again for a while.
func TestFloods(t *testing.T) {
	const (
		attackers = 20
		lasting   = time.Second
	)
	big := strings.Repeat("x", 4000)
	garbage := func(r *raw) error {
		var bytes [4096]byte
		for n := range bytes {
			bytes[n] = byte(rand.Uint32())
		}
		_, err := r.Write(bytes[:])
		return err
	}
	forever := func(once func(r *raw) error) func(*raw) error {
		return func(r *raw) error {
			for {
				if err := once(r); err != nil {
					return err
				}
			}
		}
	}
	for _, attack := range []struct {
		name string
		run  func(r *raw) error
		// Whether the server ends the connection because of it. Otherwise it sends the answers that HTTP/2 requires, no
		// faster than the peer reads.
		ends bool
	}{
		{"rapid resets", forever(func(r *raw) error {
			stream, err := r.open()
			if err != nil {
				return err
			}
			return r.WriteRSTStream(stream, http2.ErrCodeCancel)
		}), true},
		{"streams that are never finished", forever(func(r *raw) error {
			_, err := r.open()
			return err
		}), true},
		{"a header list over the limit", func(r *raw) error {
			_, err := r.open(hpack.HeaderField{Name: "x", Value: strings.Repeat("x", 16_000)})
			return err
		}, false},
		{"a small block of large headers", forever(func(r *raw) error {
			fields := []hpack.HeaderField{{Name: "x", Value: big}}
			for range 2000 { // a byte each: an index of the dynamic table
				fields = append(fields, fields[0])
			}
			_, err := r.open(fields...)
			return err
		}), false},
		{"continuations without end", func(r *raw) error {
			block := r.block()
			err := r.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block})
			for err == nil {
				r.headers.Reset()
				r.encoder.WriteField(hpack.HeaderField{Name: "x", Value: big, Sensitive: true})
				err = r.WriteContinuation(1, false, r.headers.Bytes())
			}
			return err
		}, true},
		{"empty continuations without end", func(r *raw) error {
			err := r.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: r.block()})
			for err == nil {
				err = r.WriteContinuation(1, false, nil)
			}
			return err
		}, true},
		{"garbage", garbage, true},
		{"settings", forever(func(r *raw) error {
			return r.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: rand.Uint32N(1 << 16)})
		}), false},
		{"pings", forever(func(r *raw) error { return r.WritePing(false, [8]byte{}) }), false},
		{"answers to no ping", forever(func(r *raw) error { return r.WritePing(true, [8]byte{}) }), false},
		{"empty data", func(r *raw) error {
			stream, err := r.open()
			for err == nil {
				err = r.WriteData(stream, false, nil)
			}
			return err
		}, false},
		{"priorities", forever(func(r *raw) error {
			return r.WritePriority(rand.Uint32N(1<<30)*2+1, http2.PriorityParam{Weight: 1})
		}), false},
		{"a window update of nothing", func(r *raw) error { return r.WriteWindowUpdate(0, 0) }, true},
		{"a window beyond its bound", func(r *raw) error {
			if err := r.WriteWindowUpdate(0, math.MaxInt32); err != nil {
				return err
			}
			return r.WriteWindowUpdate(0, math.MaxInt32)
		}, true},
		{"a stream's window update of nothing", forever(func(r *raw) error {
			stream, err := r.open()
			if err != nil {
				return err
			}
			return r.WriteWindowUpdate(stream, 0)
		}), true},
		{"more data than the window", func(r *raw) error {
			stream, err := r.open()
			for err == nil {
				err = r.WriteData(stream, false, make([]byte, 16_384))
			}
			return err
		}, true},
		{"a frame over the limit", func(r *raw) error { return r.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, 100_000)) }, true},
	} {
		t.Run(attack.name, func(t *testing.T) {
			u := startUnderAttack(t)
			ctx, cancel := context.WithTimeout(t.Context(), lasting)
			defer cancel()
			var workers sync.WaitGroup
			var made, ended atomic.Int64
			for worker := range attackers {
				workers.Go(func() {
					for ctx.Err() == nil {
						r, err := connect(u.address)
						if err != nil {
							t.Error(err)
							return
						}
						stop := context.AfterFunc(ctx, func() { r.Close() })
						closed := make(chan struct{})
						if worker%2 == 0 { // the other clients never read
							go func() {
								defer close(closed)
								io.Copy(io.Discard, r.Conn)
							}()
						}
						attack.run(r)
						if worker%2 == 0 && attack.ends {
							<-closed
						}
						if stop() {
							ended.Add(1)
						}
						made.Add(1)
						r.Close()
					}
				})
			}
			workers.Wait()
			if attack.ends && ended.Load() == 0 {
				t.Error("the server ended no connection")
			}
			t.Logf("%d connections", made.Load())
			u.expectRecovery(t, 200*mebibyte)
		})
	}
}

// Peers that call and never read the answers, which the server must keep meanwhile.
func TestReadersThatNeverRead(t *testing.T) {
	const connections, streams = 40, 200
	large := cleanRedirect()
	large.Extra = map[string]string{}
	for n := range 4 {
		large.Extra[fmt.Sprintf("x%d", n)] = strings.Repeat("x", 8000)
	}
	request := &redirectv1.EncodeRedirectRequest{FiuId: iv.fiu, AaId: iv.aa, Redirect: large}
	if answer, err := client.EncodeRedirect(patient(t), request); err != nil || proto.Size(answer) < 100_000 {
		t.Fatalf("the answer has %d bytes, %v: no large one", proto.Size(answer), err)
	}
	message := grpcFrame(t, request)
	for _, c := range []struct {
		name   string
		window uint32 // of each stream, for answers
	}{{"no window", 0}, {"a window of a byte", 1}, {"a large window", math.MaxInt32}} {
		t.Run(c.name, func(t *testing.T) {
			u := startUnderAttack(t)
			attackers := make([]*raw, connections)
			forEach(connections, func(n int) {
				r, err := connect(u.address, http2.Setting{ID: http2.SettingInitialWindowSize, Val: c.window})
				if err != nil {
					t.Error(err)
					return
				}
				attackers[n] = r
				r.callAndNeverRead(t, message, streams)
			})
			time.Sleep(time.Second)
			t.Logf("%d MiB are resident with %d answers that nobody takes", u.server.memory(t, "VmRSS")/mebibyte, connections*streams)
			for _, r := range attackers {
				if r != nil {
					r.Close()
				}
			}
			u.expectRecovery(t, 400*mebibyte)
		})
	}
}

// Calls whose requests never end must not take the places of other calls.
func TestRequestsThatNeverEnd(t *testing.T) {
	u := startUnderAttack(t)
	var attackers []*raw
	for range 50 {
		r, err := connect(u.address)
		if err != nil {
			t.Fatal(err)
		}
		attackers = append(attackers, r)
		for range 200 { // the server's limit of calls for one connection
			stream, err := r.open()
			if err == nil {
				err = r.WriteData(stream, false, []byte{0, 0, 0, 1, 0, 1})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	served := u.load.calls.Load()
	u.load.until(t, "calls go on", func() bool { return u.load.calls.Load() > served+100 })
	t.Logf("%d MiB are resident with 10,000 requests that do not end", u.server.memory(t, "VmRSS")/mebibyte)
	for _, r := range attackers {
		r.Close()
	}
	u.expectRecovery(t, 400*mebibyte)
}

// A caller may be stopped at the moment when the server says that the connection ends. It may then call before it has
// read that.
func TestCallOfACallerThatStoodStillIsAnswered(t *testing.T) {
	s, _ := startForLoad(t, "--max-connection-age", "1")
	r, err := connect(s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.SetDeadline(time.Now().Add(20 * time.Second))
	for frame := http2.Frame(nil); ; {
		if frame, err = r.ReadFrame(); err != nil {
			t.Fatal(err)
		}
		if _, ok := frame.(*http2.GoAwayFrame); ok {
			break
		}
	}
	time.Sleep(time.Second)
	stream, err := r.open()
	if err == nil {
		err = r.WriteData(stream, true, grpcFrame(t, &redirectv1.EncodeRedirectRequest{
			FiuId: iv.fiu, AaId: iv.aa, Redirect: cleanRedirect(),
		}))
	}
	if err != nil {
		t.Fatal(err)
	}
	for {
		frame, err := r.ReadFrame()
		if err != nil {
			t.Fatal("no answer: ", err)
		}
		switch frame := frame.(type) {
		case *http2.PingFrame:
			if err := r.WritePing(true, frame.Data); err != nil {
				t.Fatal(err)
			}
		case *http2.DataFrame:
			if frame.StreamID == stream && frame.Length > 100 {
				return
			}
		}
	}
}

// callAndNeverRead makes calls and never reads the answers. It makes as many as the server's flow control allows: it
// reads the server's window updates, and sends none itself.
func (r *raw) callAndNeverRead(t *testing.T, message []byte, streams int) {
	t.Helper()
	window := make(chan int, 10_000)
	window <- 65_535
	go func() {
		defer close(window)
		for {
			frame, err := r.ReadFrame()
			if err != nil {
				return
			}
			if update, ok := frame.(*http2.WindowUpdateFrame); ok && update.StreamID == 0 {
				window <- int(update.Increment)
			}
		}
	}()
	available := 0
	for range streams {
		stream, err := r.open()
		if err != nil {
			t.Log(err)
			return
		}
		for rest := message; len(rest) > 0; {
			part := rest[:min(len(rest), 16_384)]
			for available < len(part) {
				select {
				case more, open := <-window:
					if !open {
						return
					}
					available += more
				case <-time.After(5 * time.Second):
					return // the server takes no more
				}
			}
			available, rest = available-len(part), rest[len(part):]
			if err := r.WriteData(stream, len(rest) == 0, part); err != nil {
				t.Log(err)
				return
			}
		}
	}
}
