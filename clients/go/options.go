package redirect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
)

// Options say where the service is and how to talk to it.
type Options struct {
	Hidden

	// Addresses are host:port or unix:path. Several, or several hosts behind one name, are used in turn. Required.
	Addresses []string
	// TLS has the roots, a certificate for mutual TLS, and the expected name; see [TLSFromFiles]. If it is nil, the client
	// uses plain text to loopback and Unix sockets, and TLS with the roots of the system to other addresses.
	TLS *tls.Config
	// Plaintext allows plain text to addresses that are neither loopback nor Unix sockets, for use behind a mesh that adds
	// TLS.
	Plaintext bool
	// Token is sent as `authorization: Bearer …`.
	Token string
	// TokenSource replaces Token if the token changes, such as one from a file that is renewed: it gives the token of each
	// try. An error of it ends the call, wrapped.
	TokenSource func(context.Context) (string, error)
	// TokenOverPlaintext allows the token without TLS to addresses that are neither loopback nor Unix sockets.
	TokenOverPlaintext bool
	// Timeout is for a call as a whole, if its context has no deadline. 0 means 2 seconds.
	Timeout time.Duration
	// OnDeviations is called once for each opened message that the service repaired, before the call returns.
	OnDeviations func(context.Context, DeviationReport)
	// DialOptions are gRPC's own: interceptors (each try passes through them), stats handlers, keepalive.
	DialOptions []grpc.DialOption
}

// DeviationReport says what the service repaired in a message. Log it and tell the sender. It has no secret.
type DeviationReport struct {
	// Method is DecodeRedirect or DecodeCallback.
	Method string
	// FIU and AA name the pairing. The sender is the FIU of a redirect and the AA of a callback.
	FIU, AA string
	// Deviations are the repairs, each with its place.
	Deviations []DeviationDetail
}

// TLSFromFiles reads PEM files: the roots that sign the server's certificate (empty: the system's) and, for mutual TLS, the
// client's certificate and key (empty: none). The certificate is read again for each new connection, so that a renewed one
// is used.
func TLSFromFiles(roots, certificate, key string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if roots != "" {
		pem, err := os.ReadFile(roots)
		if err != nil {
			return nil, fmt.Errorf("redirect: roots: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("redirect: roots: %s has no PEM certificate", roots)
		}
	}
	if certificate != "" || key != "" {
		load := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(certificate, key)
			return &pair, err
		}
		if _, err := load(nil); err != nil {
			return nil, fmt.Errorf("redirect: certificate and key: %w", err)
		}
		config.GetClientCertificate = load
	}
	return config, nil
}

const (
	defaultTimeout = 2 * time.Second
	userAgent      = "aa-redirect-go/" + Version
	// Round robin, and no retry: the calls of this package retry by reason.
	serviceConfig = `{"loadBalancingConfig": [{"round_robin": {}}]}`
)

// bearerForm is RFC 6750's: no blank and no line end.
var bearerForm = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// check refuses what does not fit together, before anything is sent.
func (o *Options) check() error {
	if len(o.Addresses) == 0 {
		return errors.New("redirect: Addresses is empty: name at least one host:port or unix:path")
	}
	for _, address := range o.Addresses {
		if path, socket := strings.CutPrefix(address, "unix:"); socket && path != "" {
			continue
		}
		if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" || strings.Contains(address, "/") {
			return fmt.Errorf("redirect: address %q is neither host:port nor unix:path", address)
		}
	}
	if o.TLS != nil && o.Plaintext {
		return errors.New("redirect: TLS and Plaintext exclude each other")
	}
	if !o.plain() && slices.ContainsFunc(o.Addresses, isSocket) {
		return errors.New("redirect: the service speaks no TLS on a Unix socket: name Unix sockets without TLS, apart from other hosts")
	}
	if o.Token != "" && o.TokenSource != nil {
		return errors.New("redirect: Token and TokenSource exclude each other")
	}
	if o.Token != "" && !bearerForm.MatchString(o.Token) {
		return errNoToken
	}
	if o.hasToken() && o.plain() && !o.allLocal() && !o.TokenOverPlaintext {
		return errors.New("redirect: the token would travel in plain text: use TLS, or insist with TokenOverPlaintext")
	}
	if o.Timeout < 0 {
		return errors.New("redirect: Timeout is negative")
	}
	return nil
}

var errNoToken = errors.New("redirect: the token is empty or has characters that no bearer token has, such as a blank or a line end")

func (o *Options) hasToken() bool { return o.Token != "" || o.TokenSource != nil }

// plain says whether the addresses are called without TLS.
func (o *Options) plain() bool { return o.TLS == nil && (o.Plaintext || o.allLocal()) }

func (o *Options) allLocal() bool {
	return !slices.ContainsFunc(o.Addresses, func(address string) bool { return !isSocket(address) && !isLoopback(address) })
}

func isSocket(address string) bool { return strings.HasPrefix(address, "unix:") }

func isLoopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// dial opens no connection yet: the first call does.
func (o *Options) dial() (*grpc.ClientConn, error) {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(o.transport()),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDisableServiceConfig(), // a service config in DNS would change the tries
		grpc.WithDisableRetry(),
		grpc.WithUserAgent(userAgent),
		// A server that is back is found within a second.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: firstBackoff, Multiplier: 2, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		// The client notices a connection that a firewall has dropped before a user waits for it.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true}),
	}
	if o.hasToken() {
		options = append(options, grpc.WithPerRPCCredentials(bearer{}))
	}
	target, several := o.target()
	if several != nil {
		options = append(options, grpc.WithResolvers(several))
	}
	return grpc.NewClient(target, append(options, o.DialOptions...)...)
}

func (o *Options) transport() credentials.TransportCredentials {
	if o.plain() {
		return insecure.NewCredentials()
	}
	return credentials.NewTLS(o.TLS)
}

// target is what gRPC connects to: one address as it is, or a list with a resolver of its own, which belongs to this
// client alone. In a list each address keeps its own name, which TLS expects in the certificate and which is sent as
// :authority: servers refuse a list there.
func (o *Options) target() (string, resolver.Builder) {
	if len(o.Addresses) == 1 {
		if isSocket(o.Addresses[0]) {
			return o.Addresses[0], nil
		}
		return "dns:///" + o.Addresses[0], nil
	}
	var state resolver.State
	for _, address := range o.Addresses {
		name := address
		if isSocket(address) {
			name = "localhost"
		}
		one := resolver.Address{Addr: address, ServerName: name}
		state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{one}})
	}
	list := manual.NewBuilderWithScheme("aa-redirect")
	list.InitialState(state)
	return "aa-redirect:///list", list
}

type tokenKey struct{}

// withToken has the token of a try for bearer.
func (c *Client) withToken(ctx context.Context) (context.Context, error) {
	if c.token == nil {
		return ctx, nil
	}
	token, err := c.token(ctx)
	if err != nil {
		return nil, fmt.Errorf("redirect: token: %w", err)
	}
	if !bearerForm.MatchString(token) {
		return nil, errNoToken
	}
	return context.WithValue(ctx, tokenKey{}, secretText{&token}), nil
}

// secretText is a text that does not show if a context is printed.
type secretText struct{ text *string }

// bearer adds the token below the interceptors, so that none of them sees it. Options.check has decided where it may
// travel.
type bearer struct{}

func (bearer) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token, ok := ctx.Value(tokenKey{}).(secretText)
	if !ok {
		return nil, nil // a caller's own service on this connection
	}
	return map[string]string{"authorization": "Bearer " + *token.text}, nil
}

func (bearer) RequireTransportSecurity() bool { return false }
