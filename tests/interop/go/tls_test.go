// TLS, clients' certificates and health as Go clients and probes see them.
package interop

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	redirectv1 "aa/redirect/v1"
)

// An authority issues certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// issued is a certificate with its key, both in PEM.
type issued struct {
	certificate, key []byte
	serial           string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	template := template(t)
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	key := newKey(t)
	der, err := x509.CreateCertificate(crand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{certificate, key}
}

func serverCertificate(c *x509.Certificate) {
	c.DNSNames, c.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
}

func clientCertificate(c *x509.Certificate) {
	c.DNSNames, c.ExtKeyUsage = []string{"lending.example"}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
}

func (a *authority) issue(t *testing.T, settings ...func(*x509.Certificate)) issued {
	t.Helper()
	template := template(t)
	for _, set := range settings {
		set(template)
	}
	key := newKey(t)
	der, err := x509.CreateCertificate(crand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return issued{
		certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		serial:      template.SerialNumber.String(),
	}
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func template(t *testing.T) *x509.Certificate {
	t.Helper()
	serial, err := crand.Int(crand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		t.Fatal(err)
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: serial.String()},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

// startWithTLS starts a server that requires certificates of the authority `clients`. It has an admin port, and accepts
// plain TCP on its trusted address.
func startWithTLS(t *testing.T, ca, clients *authority, arguments ...string) *server {
	t.Helper()
	folder, pair := t.TempDir(), ca.issue(t, serverCertificate)
	write(t, folder, "tls.crt", pair.certificate)
	write(t, folder, "tls.key", pair.key)
	write(t, folder, "clients.pem", clients.pem())
	s, _ := startForLoad(t, append([]string{
		"--tls-cert", filepath.Join(folder, "tls.crt"), "--tls-key", filepath.Join(folder, "tls.key"),
		"--tls-client-ca", filepath.Join(folder, "clients.pem"), "--admin-listen", "127.0.0.1:0", "--trusted-listen", "127.0.0.1:0",
	}, arguments...)...)
	return s
}

// withCertificate trusts ca and presents the certificate, if there is one.
func withCertificate(t *testing.T, ca *authority, shown *issued) grpc.DialOption {
	t.Helper()
	config := &tls.Config{RootCAs: ca.pool()}
	if shown != nil {
		pair, err := tls.X509KeyPair(shown.certificate, shown.key)
		if err != nil {
			t.Fatal(err)
		}
		// The client presents it even if the server did not name its issuer.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return grpc.WithTransportCredentials(credentials.NewTLS(config))
}

func TestOnlyAValidCertificateOfTheClientsCAMayCall(t *testing.T) {
	t.Parallel()
	ca, clients := newAuthority(t), newAuthority(t)
	s := startWithTLS(t, ca, clients)
	right, stranger := clients.issue(t, clientCertificate), newAuthority(t).issue(t, clientCertificate)
	expired := clients.issue(t, clientCertificate, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) })
	ofServers := clients.issue(t, serverCertificate)
	for _, c := range []struct {
		name  string
		shown *issued
		want  codes.Code
	}{
		{"none", nil, codes.Unavailable},
		{"of another CA", &stranger, codes.Unavailable},
		{"expired", &expired, codes.Unavailable},
		{"of a server", &ofServers, codes.Unavailable},
		{"right", &right, codes.OK},
	} {
		t.Run(c.name, func(t *testing.T) {
			connection, err := grpc.NewClient(s.address, withCertificate(t, ca, c.shown))
			if err != nil {
				t.Fatal(err)
			}
			defer connection.Close()
			_, err = redirectv1.NewRedirectServiceClient(connection).EncodeRedirect(patient(t), &redirectv1.EncodeRedirectRequest{
				FiuId: iv.fiu, AaId: iv.aa, Redirect: cleanRedirect(),
			})
			// Go reports the TLS alert only if it reads before it writes.
			if status.Code(err) != c.want {
				t.Errorf("answered %v, want %v", err, c.want)
			}
		})
	}
}

// check asks for a service's health as a probe does: a new connection for one call.
func check(t *testing.T, address, service string, options ...grpc.DialOption) grpc_health_v1.HealthCheckResponse_ServingStatus {
	t.Helper()
	connection, err := grpc.NewClient(address, options...)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	answer, err := grpc_health_v1.NewHealthClient(connection).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status
}

// A watch of health and the answers to probes while the server drains: it says so first, goes on answering, and ends.
func TestHealthAcrossADrain(t *testing.T) {
	t.Parallel()
	const serving, notServing = grpc_health_v1.HealthCheckResponse_SERVING, grpc_health_v1.HealthCheckResponse_NOT_SERVING
	ca, clients := newAuthority(t), newAuthority(t)
	s := startWithTLS(t, ca, clients, "--drain-delay", "2", "--drain-timeout", "10")
	own := clients.issue(t, clientCertificate)
	probes := func(want grpc_health_v1.HealthCheckResponse_ServingStatus) {
		t.Helper()
		for _, service := range []string{"", redirectv1.RedirectService_ServiceDesc.ServiceName} {
			if got := check(t, s.address, service, withCertificate(t, ca, &own)); got != want {
				t.Errorf("over TLS %q is %v", service, got)
			}
			if got := check(t, s.admin, service, grpc.WithTransportCredentials(insecure.NewCredentials())); got != want {
				t.Errorf("on the admin port %q is %v", service, got)
			}
		}
	}
	connection, err := grpc.NewClient(s.address, withCertificate(t, ca, &own))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	watch, err := grpc_health_v1.NewHealthClient(connection).Watch(patient(t), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	expect := func(want grpc_health_v1.HealthCheckResponse_ServingStatus) {
		t.Helper()
		if answer, err := watch.Recv(); err != nil || answer.Status != want {
			t.Fatalf("the watch tells %v, %v, want %v", answer, err, want)
		}
	}
	expect(serving)
	probes(serving)
	s.signal(t, syscall.SIGTERM)
	expect(notServing)
	probes(notServing)
	if answer, err := watch.Recv(); err == nil {
		t.Errorf("after the drain the watch tells %v", answer)
	} else {
		t.Logf("the watch ended with %v", err)
	}
	s.expectEnd(t)
}
