// What an operator does to servers in use, as their callers see it. Under a steady load no call may fail. The callers
// do not retry; only HTTP/2 itself sends a stream again that the server says it has not processed.
package interop

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"aa-redirect/tests/interop/go/wire"
	redirectv1 "aa/redirect/v1"
)

const (
	loadConnections = 4
	// About three hundred calls a second over all connections: every worker encodes and decodes once in this time.
	loadPace    = 50 * time.Millisecond
	loadWorkers = 2 * loadConnections
	// PBKDF2 costs the server a hundred times as much.
	slowPace = 250 * time.Millisecond
)

// A load is a steady stream of calls over several connections: encode, then decode what came.
type load struct {
	calls  atomic.Int64
	cancel context.CancelFunc
	ended  sync.WaitGroup

	mutex    sync.Mutex
	failures []error
	secrets  map[string]int         // the number of encoding calls, by the secret that they used
	served   [loadConnections]tally // calls of each connection by the server's address
}

type tally map[string]int

// startLoad runs until the test ends it.
func startLoad(t *testing.T, dial func() (*grpc.ClientConn, error)) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel, secrets: map[string]int{}}
	t.Cleanup(func() { cancel(); l.ended.Wait() })
	var connections []*grpc.ClientConn
	for n := range loadConnections {
		l.served[n] = tally{}
		connection, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { connection.Close() })
		connections = append(connections, connection)
	}
	for worker := range loadWorkers {
		l.ended.Go(func() { l.work(ctx, connections, worker%loadConnections, iv, loadPace) })
	}
	l.ended.Go(func() { l.work(ctx, connections, 0, v12, slowPace) })
	return l
}

func (l *load) work(ctx context.Context, connections []*grpc.ClientConn, n int, p *pairing, pace time.Duration) {
	ticks := time.NewTicker(pace)
	defer ticks.Stop()
	for ctx.Err() == nil {
		if err := l.roundTrip(redirectv1.NewRedirectServiceClient(connections[n]), n, p); err != nil {
			l.mutex.Lock()
			l.failures = append(l.failures, fmt.Errorf("%s: %w", time.Now().Format("15:04:05.000"), err))
			l.mutex.Unlock()
		}
		<-ticks.C
	}
}

func (l *load) roundTrip(service redirectv1.RedirectServiceClient, n int, p *pairing) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var server peer.Peer
	sealed, err := service.EncodeRedirect(ctx, &redirectv1.EncodeRedirectRequest{
		FiuId: p.fiu, AaId: p.aa, Redirect: cleanRedirect(),
	}, grpc.Peer(&server))
	if err != nil {
		return fmt.Errorf("encode, %s: %w", p.profile, err)
	}
	l.calls.Add(1)
	l.mutex.Lock()
	l.secrets[sealed.SecretId]++
	l.served[n][server.Addr.String()]++
	l.mutex.Unlock()
	opened, err := service.DecodeRedirect(ctx, &redirectv1.DecodeRedirectRequest{
		AaId: p.aa, Source: &redirectv1.DecodeRedirectRequest_Url{Url: sealed.Url},
	})
	if err != nil {
		return fmt.Errorf("decode, %s: %w", p.profile, err)
	}
	l.calls.Add(1)
	if opened.SecretId != sealed.SecretId || opened.Redirect.GetTxnid() != sealed.Txnid {
		return errors.New("what was decoded is not what was encoded")
	}
	return nil
}

// end stops the load and fails the test if a call failed, or if there were too few calls.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.cancel()
	l.ended.Wait()
	t.Logf("%d calls", l.calls.Load())
	if l.calls.Load() < 100 {
		t.Errorf("only %d calls were made", l.calls.Load())
	}
	for n, err := range l.failures {
		if n == 10 {
			t.Errorf("and %d more", len(l.failures)-n)
			break
		}
		t.Error(err)
	}
}

// until waits until the condition holds for what the load has seen.
func (l *load) until(t *testing.T, what string, right func() bool) {
	t.Helper()
	for late := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		l.mutex.Lock()
		done := right()
		l.mutex.Unlock()
		if done {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// untilServedBy waits until every connection has had another answer from address.
func (l *load) untilServedBy(t *testing.T, address string) {
	t.Helper()
	var before [loadConnections]tally
	l.mutex.Lock()
	for n := range before {
		before[n] = maps.Clone(l.served[n])
	}
	l.mutex.Unlock()
	l.until(t, "every connection uses "+address, func() bool {
		for n := range before {
			if l.served[n][address] == before[n][address] {
				return false
			}
		}
		return true
	})
}

func plainly(address string) func() (*grpc.ClientConn, error) {
	return func() (*grpc.ClientConn, error) { return dial(address) }
}

// startForLoad starts a server with the pairings of the load, and returns it and the path of its keyring.
func startForLoad(t *testing.T, arguments ...string) (*server, string) {
	t.Helper()
	keyring, err := writeKeyring(t.TempDir(), []*pairing{iv, v12})
	if err != nil {
		t.Fatal(err)
	}
	return startTestServer(t, append([]string{"--keyring", keyring}, arguments...)...), keyring
}

func TestRollingRestartFailsNoCall(t *testing.T) {
	t.Parallel()
	keyring, err := writeKeyring(t.TempDir(), []*pairing{iv, v12})
	if err != nil {
		t.Fatal(err)
	}
	arguments := []string{"--keyring", keyring, "--drain-delay", "2", "--drain-timeout", "10"}
	replicas := []*server{startTestServer(t, arguments...), startTestServer(t, arguments...)}
	l := startLoad(t, func() (*grpc.ClientConn, error) {
		addresses := manual.NewBuilderWithScheme("replicas")
		var state resolver.State
		for _, replica := range replicas {
			state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: replica.address}}})
		}
		addresses.InitialState(state)
		return grpc.NewClient("replicas:///all", grpc.WithResolvers(addresses),
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin": {}}]}`),
			// With this the client soon tries a restarted server again.
			grpc.WithConnectParams(grpc.ConnectParams{
				Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1, MaxDelay: 100 * time.Millisecond},
				MinConnectTimeout: 5 * time.Second,
			}))
	})
	for _, replica := range replicas {
		l.untilServedBy(t, replica.address)
	}
	for _, replica := range replicas {
		replica.signal(t, syscall.SIGTERM)
		replica.expectEnd(t)
		startTestServerAt(t, replica.address, arguments...)
		l.untilServedBy(t, replica.address)
	}
	l.end(t)
}

func TestCertificateRotationFailsNoCall(t *testing.T) {
	t.Parallel()
	ca, folder := newAuthority(t), t.TempDir()
	first, second := ca.issue(t, serverCertificate), ca.issue(t, serverCertificate)
	write(t, folder, "tls.crt", first.certificate)
	write(t, folder, "tls.key", first.key)
	// Connections that last a second, so that many begin while the files change.
	s, _ := startForLoad(t, "--tls-cert", filepath.Join(folder, "tls.crt"), "--tls-key", filepath.Join(folder, "tls.key"),
		"--max-connection-age", "1")
	config := &tls.Config{RootCAs: ca.pool(), NextProtos: []string{"h2"}}
	l := startLoad(t, func() (*grpc.ClientConn, error) {
		return grpc.NewClient(s.address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	})
	shown := func() string {
		connection, err := tls.Dial("tcp", s.address, config)
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		return connection.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	if serial := shown(); serial != first.serial {
		t.Fatalf("shown is certificate %s", serial)
	}
	for _, pair := range []issued{second, first} {
		time.Sleep(time.Second)
		// The key comes last: for a moment certificate and key do not fit.
		write(t, folder, "tls.crt", pair.certificate)
		write(t, folder, "tls.key", pair.key)
		s.signal(t, syscall.SIGHUP)
		s.expectLog(t, "reloaded")
		if serial := shown(); serial != pair.serial {
			t.Errorf("after the rotation certificate %s is shown", serial)
		}
	}
	time.Sleep(time.Second)
	l.end(t)
}

// rotate gives p's keyring a new primary secret, keeps the former one for decoding, and returns the new one.
func rotate(t *testing.T, keyring string, p *pairing, id string) string {
	t.Helper()
	text, err := os.ReadFile(keyring)
	if err != nil {
		t.Fatal(err)
	}
	secret := newSecret()
	write(t, filepath.Dir(keyring), p.aa+"-"+id, []byte(secret))
	lines := strings.Split(string(text), "\n")
	var found, done bool
	for n, line := range lines {
		if found = found || line == fmt.Sprintf("aa = %q", p.aa); found && !done && strings.Contains(line, "{ id = ") {
			lines[n] = fmt.Sprintf("  { id = %q, file = %q },\n%s", id, p.aa+"-"+id, strings.Replace(line, " }", `, use = "decode" }`, 1))
			done = true
		}
	}
	if !done {
		t.Fatalf("%s has no secret of %s", keyring, p.aa)
	}
	write(t, filepath.Dir(keyring), filepath.Base(keyring), []byte(strings.Join(lines, "\n")))
	return secret
}

func TestKeyringRotationFailsNoCall(t *testing.T) {
	t.Parallel()
	s, keyring := startForLoad(t)
	l := startLoad(t, plainly(s.address))
	connection, err := dial(s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	service := redirectv1.NewRedirectServiceClient(connection)
	encode := func(p *pairing) *redirectv1.EncodeRedirectResponse {
		sealed, err := service.EncodeRedirect(patient(t), &redirectv1.EncodeRedirectRequest{
			FiuId: p.fiu, AaId: p.aa, Redirect: cleanRedirect(),
		})
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	former := []*redirectv1.EncodeRedirectResponse{encode(iv), encode(v12)}
	secrets := []string{rotate(t, keyring, iv, "next"), rotate(t, keyring, v12, "next")}
	s.signal(t, syscall.SIGHUP)
	s.expectLog(t, "reloaded")
	for n, p := range []*pairing{iv, v12} {
		opened, err := service.DecodeRedirect(patient(t), &redirectv1.DecodeRedirectRequest{
			AaId: p.aa, Source: &redirectv1.DecodeRedirectRequest_Url{Url: former[n].Url},
		})
		if err != nil {
			t.Fatalf("%s: sealed before the rotation: %v", p.profile, err)
		}
		if opened.SecretId != secretID(0) || opened.PrimarySecret {
			t.Errorf("%s: opened with %q, primary: %v", p.profile, opened.SecretId, opened.PrimarySecret)
		}
		sealed := encode(p)
		envelope, err := wire.ParseQuery(wire.Request, sealed.Query)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := envelope.Open(p.scheme, secrets[n]); err != nil || sealed.SecretId != "next" {
			t.Errorf("%s: sealed with %q: %v", p.profile, sealed.SecretId, err)
		}
	}
	before := l.secrets["next"]
	l.until(t, "the load gets the new secret", func() bool { return l.secrets["next"] > before+20 })
	l.end(t)
}

func TestBrokenKeyringChangesNothingAndFailsNoCall(t *testing.T) {
	t.Parallel()
	s, keyring := startForLoad(t)
	good, err := os.ReadFile(keyring)
	if err != nil {
		t.Fatal(err)
	}
	l := startLoad(t, plainly(s.address))
	for _, broken := range []string{"", "[[pairing]]\nfiu = ", string(good[:len(good)/2]), string(good) + "surprise = true\n"} {
		write(t, filepath.Dir(keyring), filepath.Base(keyring), []byte(broken))
		s.signal(t, syscall.SIGHUP)
		s.expectLog(t, "not reloaded")
		served := l.calls.Load()
		l.until(t, "calls go on", func() bool { return l.calls.Load() > served+50 })
	}
	write(t, filepath.Dir(keyring), filepath.Base(keyring), good)
	rotate(t, keyring, iv, "next")
	s.signal(t, syscall.SIGHUP)
	s.expectLog(t, "reloaded")
	l.until(t, "the mended keyring is served", func() bool { return l.secrets["next"] > 0 })
	l.end(t)
}

func TestAgeOfConnectionsFailsNoCall(t *testing.T) {
	t.Parallel()
	s, _ := startForLoad(t, "--max-connection-age", "1")
	var dialled atomic.Int64
	l := startLoad(t, func() (*grpc.ClientConn, error) {
		return grpc.NewClient(s.address, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
				dialled.Add(1)
				return (&net.Dialer{}).DialContext(ctx, "tcp", address)
			}))
	})
	l.until(t, "connections are renewed", func() bool { return dialled.Load() >= 6*loadConnections })
	l.end(t)
}

func write(t *testing.T, folder, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}
