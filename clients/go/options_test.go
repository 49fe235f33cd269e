package redirect_test

// Every option, at the release binary; what does not fit together is refused before anything is sent.

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"aa/redirect"
)

func TestOptionsThatDoNotFitAreRefused(t *testing.T) {
	for _, c := range []struct {
		name    string
		options redirect.Options
		says    string // empty: they fit
	}{
		{"no address", redirect.Options{}, "Addresses is empty"},
		{"no port", redirect.Options{Addresses: []string{"redirect.internal"}}, "neither host:port nor unix:path"},
		{"a URL", redirect.Options{Addresses: []string{"https://redirect.internal:443"}}, "neither host:port nor unix:path"},
		{"no host", redirect.Options{Addresses: []string{":50051"}}, "neither host:port nor unix:path"},
		{"no path", redirect.Options{Addresses: []string{"unix:"}}, "neither host:port nor unix:path"},
		{"TLS and plain text", redirect.Options{Addresses: []string{"a:1"}, TLS: &tls.Config{}, Plaintext: true}, "exclude each other"},
		{"TLS on a socket", redirect.Options{Addresses: []string{"unix:/a"}, TLS: &tls.Config{}}, "no TLS on a Unix socket"},
		{"a socket beside another host", redirect.Options{Addresses: []string{"unix:/a", "b:1"}}, "no TLS on a Unix socket"},
		{"a token in plain text", redirect.Options{Addresses: []string{"a:1"}, Plaintext: true, Token: "t"}, "in plain text"},
		{"a token in plain text to one of two",
			redirect.Options{Addresses: []string{"localhost:1", "10.0.0.1:1"}, Plaintext: true, Token: "t"}, "in plain text"},
		{"a token of a file, line end and all", redirect.Options{Addresses: []string{"localhost:1"}, Token: "t\n"}, "line end"},
		{"two tokens", redirect.Options{Addresses: []string{"localhost:1"}, Token: "t", TokenSource: tokens("u")}, "exclude each other"},
		{"tokens in plain text", redirect.Options{Addresses: []string{"a:1"}, Plaintext: true, TokenSource: tokens("t")}, "in plain text"},
		{"a negative timeout", redirect.Options{Addresses: []string{"localhost:1"}, Timeout: -1}, "negative"},
		{"a token in plain text, insisted on",
			redirect.Options{Addresses: []string{"a:1"}, Plaintext: true, Token: "t", TokenOverPlaintext: true}, ""},
		{"a token over TLS", redirect.Options{Addresses: []string{"a:1"}, Token: "t"}, ""},
		{"a token to this machine", redirect.Options{Addresses: []string{"127.0.0.2:1", "[::1]:1", "localhost:1", "unix:/a"}, Token: "t"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, err := redirect.NewClient(c.options)
			if client != nil {
				_ = client.Close()
			}
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("says %v, want %q", err, c.says)
			}
		})
	}
}

func TestAUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	serve(t, "--listen", "unix:"+path)
	seal(t, connect(t, to("unix:"+path)))
}

func TestSeveralAddressesAreUsedInTurnAndOneMayFail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	serve(t, "--listen", "unix:"+path)
	first, second := serve(t), serve(t)
	options := to(first.address)
	options.Addresses = append(options.Addresses, second.address, "unix:"+path, "127.0.0.1:1")
	client := connect(t, options)
	for range 30 {
		seal(t, client)
	}
	first.kill()
	for range 30 {
		seal(t, client)
	}
}

func TestSeveralAddressesShareTheCalls(t *testing.T) {
	one, two := fakeService(t), fakeService(t)
	options := to(one.address)
	options.Addresses = append(options.Addresses, two.address)
	client := connect(t, options)
	both := func() bool {
		_, atOne := one.calls()
		_, atTwo := two.calls()
		return len(atOne) > 0 && len(atTwo) > 0
	}
	for start := time.Now(); !both(); {
		if _, err := client.EncodeRedirect(t.Context(), encodeRequest()); err != nil || time.Since(start) > 20*time.Second {
			t.Fatalf("one address gets no call: %v", err)
		}
	}
	for i, f := range []*fake{one, two} {
		if _, headers := f.calls(); headers[0].Get(":authority")[0] != f.address {
			t.Errorf("address %d is called as %v", i, headers[0].Get(":authority"))
		}
	}
}

func TestATokenReachesTheServiceBelowTheInterceptors(t *testing.T) {
	f := fakeService(t)
	options := to(f.address)
	options.Token = "t0ken.~+/=="
	if _, err := connect(t, options).EncodeRedirect(t.Context(), encodeRequest()); err != nil {
		t.Fatal(err)
	}
	_, headers := f.calls()
	if got := headers[0].Get("authorization"); len(got) != 1 || got[0] != "Bearer t0ken.~+/==" {
		t.Errorf("sent as %q", got)
	}
	if agent := headers[0].Get("user-agent")[0]; !strings.HasPrefix(agent, "aa-redirect-go/") {
		t.Errorf("the user agent is %q", agent)
	}
}

// tokens returns a source that gives these tokens in turn, and then an error.
func tokens(all ...string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		if len(all) == 0 {
			return "", io.ErrUnexpectedEOF
		}
		token := all[0]
		all = all[1:]
		return token, nil
	}
}

func TestEachTryHasTheTokenOfItsTime(t *testing.T) {
	f := fakeService(t, fail(codes.Unavailable, "reset"), nil)
	options := to(f.address)
	options.TokenSource = tokens("first", "second", "third\n")
	client := connect(t, options)
	if _, err := client.EncodeRedirect(t.Context(), encodeRequest()); err != nil {
		t.Fatal(err)
	}
	_, headers := f.calls()
	if got := []string{headers[0].Get("authorization")[0], headers[1].Get("authorization")[0]}; got[0] != "Bearer first" || got[1] != "Bearer second" {
		t.Errorf("sent as %q", got)
	}
	if _, err := client.EncodeRedirect(t.Context(), encodeRequest()); err == nil || !strings.Contains(err.Error(), "no bearer token") {
		t.Errorf("a line end: %v", err)
	}
	if _, err := client.EncodeRedirect(t.Context(), encodeRequest()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("no token: %v", err)
	}
	if _, headers = f.calls(); len(headers) != 2 {
		t.Errorf("%d calls were sent", len(headers))
	}
}

// An authority issues certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	template := certificate(func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	})
	key, der := sign(t, template, nil)
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{parsed, key}
}

// certificate is for a server here and for a client, unless changed.
func certificate(change func(*x509.Certificate)) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: rand.Text()},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		DNSNames: []string{"localhost", "lending.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(template)
	}
	return template
}

func sign(t *testing.T, template *x509.Certificate, by *authority) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}

// folder has ca.pem, tls.crt and tls.key of a new certificate.
func (a *authority) folder(t *testing.T, change func(*x509.Certificate)) string {
	t.Helper()
	key, der := sign(t, certificate(change), a)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return files(t, map[string]string{
		"ca.pem": text("CERTIFICATE", a.certificate.Raw), "tls.crt": text("CERTIFICATE", der), "tls.key": text("PRIVATE KEY", private),
	})
}

func tlsFrom(t *testing.T, roots, own string) *tls.Config {
	t.Helper()
	crt, key := "", ""
	if own != "" {
		crt, key = own+"/tls.crt", own+"/tls.key"
	}
	config, err := redirect.TLSFromFiles(roots+"/ca.pem", crt, key)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func TestTLSWithRightAndWrongCertificates(t *testing.T) {
	ca, clients, stranger := newAuthority(t), newAuthority(t), newAuthority(t)
	late := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) }
	start := func(change func(*x509.Certificate)) (string, *server) {
		own, theirs := ca.folder(t, change), clients.folder(t, nil)
		return own, serve(t, "--keyring", sandbox(t), "--tls-cert", own+"/tls.crt", "--tls-key", own+"/tls.key",
			"--tls-client-ca", theirs+"/ca.pem")
	}
	roots, right := start(nil)
	// The service does not start with an expired certificate, so a plain TLS listener presents it here.
	expired := &server{address: listenTLS(t, ca.folder(t, late))}
	_, misnamed := start(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"other.example"}, nil })
	own, old, unknown := clients.folder(t, nil), clients.folder(t, late), stranger.folder(t, nil)
	named := tlsFrom(t, roots, own)
	named.ServerName = "other.example"
	for _, c := range []struct {
		name   string
		server *server
		tls    *tls.Config // nil: of the system
		right  bool
	}{
		{"mutual TLS", right, tlsFrom(t, roots, own), true},
		{"no certificate of the client's", right, tlsFrom(t, roots, ""), false},
		{"an expired one", right, tlsFrom(t, roots, old), false},
		{"one of another CA", right, tlsFrom(t, roots, unknown), false},
		{"a server of an unknown CA", right, tlsFrom(t, unknown, own), false},
		{"a server whose certificate has expired", expired, tlsFrom(t, roots, own), false},
		{"a server of another name", misnamed, tlsFrom(t, roots, own), false},
		{"a server of another name, expected", misnamed, named, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			options := to(c.server.address)
			options.TLS = c.tls
			_, err := connect(t, options).EncodeRedirect(t.Context(), encodeRequest())
			if c.right && err != nil {
				t.Error(err)
			} else if !c.right && failure(t, err, redirect.ReasonUnreachable).Code != codes.Unavailable {
				t.Error(err)
			}
		})
	}
	t.Run("plain text to a server of TLS", func(t *testing.T) {
		_, err := connect(t, to(right.address)).EncodeRedirect(t.Context(), encodeRequest())
		failure(t, err, redirect.ReasonUnreachable)
	})
	t.Run("two servers, each checked by its own name", func(t *testing.T) {
		_, second := start(nil)
		options := to(right.address)
		options.TLS = tlsFrom(t, roots, own)
		options.Addresses = append(options.Addresses, strings.Replace(second.address, "127.0.0.1", "localhost", 1))
		client := connect(t, options)
		for range 20 {
			seal(t, client)
		}
		right.kill()
		seal(t, client)
	})
}

// listenTLS makes TLS handshakes and does nothing else.
func listenTLS(t *testing.T, folder string) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(folder+"/tls.crt", folder+"/tls.key")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			_ = connection.(*tls.Conn).HandshakeContext(context.Background())
			_ = connection.Close()
		}
	}()
	return listener.Addr().String()
}

func TestFilesThatHoldNoCertificateAreRefused(t *testing.T) {
	folder := files(t, map[string]string{"none.pem": "none"})
	for _, c := range [][3]string{
		{folder + "/none.pem", "", ""}, {folder + "/missing.pem", "", ""}, {"", folder + "/none.pem", folder + "/none.pem"},
		{"", folder + "/none.pem", ""},
	} {
		if _, err := redirect.TLSFromFiles(c[0], c[1], c[2]); err == nil {
			t.Errorf("%q are taken", c)
		}
	}
}
