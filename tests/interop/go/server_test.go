// Package interop tests the service from the side of a Go client. A codec that shares no code with it seals what the
// service opens, and opens what the service seals. The tests also provoke and read every refusal.
//
// This file has the servers and pairings that the tests share: the release binary with a keyring and random secrets
// made for this run.
package interop

import (
	"bufio"
	"context"
	crand "crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"aa-redirect/tests/interop/go/wire"
	redirectv1 "aa/redirect/v1"
)

const (
	fiu = "fiu@go.example"
	// window is the keyring's default for max_age_seconds, before and after now.
	window = 180 * time.Second
)

// A pairing of the keyring, with its secrets.
type pairing struct {
	fiu, aa  string
	profile  string
	scheme   wire.Scheme
	webview  string
	handle   string
	date     wire.DateStyle // what the service writes
	pinned   bool           // the service reads 15 digits as seconds and tenths only
	lists    wire.Lists
	hosts    []string // redirect_hosts; nil: any
	maxAge   time.Duration
	settings string   // more lines of its entry in the keyring
	secrets  []string // the first is primary, the others open only
}

var (
	iv      = pair("iv", "aa-iv")
	v10     = pair("v1.0", "aa-v1.0")
	v11     = pair("v1.1", "aa-v1.1")
	v12     = pair("v1.2", "aa-v1.2")
	v13     = pair("v1.3", "aa-v1.3")
	v14     = pair("v1.4", "aa-v1.4")
	v15     = pair("v1.5", "aa-v1.5", func(p *pairing) { p.date = wire.Tenths })
	ivTenth = pair("iv", "aa-tenths", func(p *pairing) { p.date, p.settings = wire.Tenths, `date = "tenths"` })
	// Without the setting `date`, 15 digits may be any instant of their minute.
	ivPinned = pair("iv", "aa-pinned", func(p *pairing) {
		p.date, p.pinned, p.settings = wire.Tenths, true, "date = \"tenths\"\nread_date = \"tenths\""
	})
	ivFull  = pair("iv", "aa-full", func(p *pairing) { p.date, p.settings = wire.Full, `date = "full"` })
	ivComma = pair("iv", "aa-comma", func(p *pairing) { p.lists, p.settings = wire.Comma, `lists = "comma"` })
	ivBrace = pair("iv", "aa-braces", func(p *pairing) { p.lists, p.settings = wire.Braces, `lists = "braces"` })
	ivJSON  = pair("iv", "aa-json", func(p *pairing) { p.lists, p.settings = wire.JSON, `lists = "json"` })
	ivQuery = pair("iv", "aa-query", func(p *pairing) { p.webview += "?theme=dark" })
	// Opens dates of about 31 years before and after now.
	ivWide  = pair("iv", "aa-wide", func(p *pairing) { p.maxAge = 1_000_000_000 * time.Second })
	ivNoWeb = pair("iv", "aa-nowebview", func(p *pairing) { p.webview = "" })
	// An FIU of one AA and an AA of one FIU: either id may be left out.
	alone = pair("iv", "aa-alone", func(p *pairing) { p.fiu = "alone@go.example" })
	// Two FIUs at one AA: a callback without an FIU fits both.
	shared1 = pair("iv", "aa-shared", func(p *pairing) { p.fiu = "shared-1@go.example" })
	shared2 = pair("iv", "aa-shared", func(p *pairing) { p.fiu = "shared-2@go.example" })
	hosts   = pair("iv", "aa-hosts", func(p *pairing) { p.hosts = []string{"fiu.example", "*.fiu.example"} })
	// Ids whose masks bring `+` and `/` into `fi`: an N under the digit 0, an O under the 1 and the 0.
	plusIV  = pair("iv", "INK-INK-INK-INK", func(p *pairing) { p.fiu = "INO-INO-INO-INO" })
	plusV12 = pair("v1.2", "INK-INK-INK-INK-2", func(p *pairing) { p.fiu = "INO-INO-INO-INO" })
	// Two secrets: the second only opens.
	rotatedIV  = pair("iv", "aa-rotated-iv", func(p *pairing) { p.secrets = append(p.secrets, newSecret()) })
	rotatedV12 = pair("v1.2", "aa-rotated-v1.2", func(p *pairing) { p.secrets = append(p.secrets, newSecret()) })

	pairings = []*pairing{
		iv, v10, v11, v12, v13, v14, v15, ivTenth, ivPinned, ivFull, ivComma, ivBrace, ivJSON, ivQuery, ivNoWeb, ivWide, alone,
		shared1, shared2, hosts, plusIV, plusV12, rotatedIV, rotatedV12,
	}
)

func pair(profile, aa string, settings ...func(*pairing)) *pairing {
	p := &pairing{
		fiu: fiu, aa: aa, profile: profile, scheme: wire.PBKDF2, webview: "https://" + aa + ".example/webview",
		handle: "at-" + aa, secrets: []string{newSecret()}, maxAge: window,
	}
	if profile == "iv" {
		p.scheme = wire.HKDFIV
	} else if profile == "v1.3" {
		p.secrets = []string{"गुप्त वाक्य-é-🔑" + newSecret()} // a passphrase with characters beyond ASCII
	}
	for _, set := range settings {
		set(p)
	}
	return p
}

// secretID names a secret in the keyring.
func secretID(place int) string { return []string{"new", "old"}[place] }

// newSecret has 32 characters of the specification's alphabet.
func newSecret() string {
	const alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_!#$%&*?@^~"
	var secret strings.Builder
	for secret.Len() < 32 {
		var b [1]byte
		crand.Read(b[:])
		if int(b[0]) < 256-256%len(alphabet) {
			secret.WriteByte(alphabet[int(b[0])%len(alphabet)])
		}
	}
	return secret.String()
}

// writeKeyring writes the keyring and its secrets into folder and returns the keyring's path.
func writeKeyring(folder string, pairings []*pairing) (string, error) {
	var toml strings.Builder
	for i, p := range pairings {
		fmt.Fprintf(&toml, "[[pairing]]\nfiu = %q\naa = %q\nprofile = %q\nhandles = [%q]\n", p.fiu, p.aa, p.profile, p.handle)
		if p.webview != "" {
			fmt.Fprintf(&toml, "webview = %q\n", p.webview)
		}
		if p.hosts != nil {
			fmt.Fprintf(&toml, "redirect_hosts = [\"%s\"]\n", strings.Join(p.hosts, `", "`))
		}
		if p.maxAge != window {
			fmt.Fprintf(&toml, "max_age_seconds = %d\n", int(p.maxAge.Seconds()))
		}
		fmt.Fprintf(&toml, "%s\nsecrets = [\n", p.settings)
		for place, secret := range p.secrets {
			file := fmt.Sprintf("secret-%d-%s", i, secretID(place))
			if err := os.WriteFile(filepath.Join(folder, file), []byte(secret+"\n"), 0o600); err != nil {
				return "", err
			}
			use := ""
			if place > 0 {
				use = `, use = "decode"`
			}
			fmt.Fprintf(&toml, "  { id = %q, file = %q%s },\n", secretID(place), file, use)
		}
		toml.WriteString("]\n\n")
	}
	path := filepath.Join(folder, "keyring.toml")
	return path, os.WriteFile(path, []byte(toml.String()), 0o600)
}

// A server is a process of the release binary on a port of its own.
type server struct {
	process *exec.Cmd
	address string
	trusted string        // without TLS, if the test asks for it
	admin   string        // its admin port, if the test asks for it
	log     chan logEntry // what it logs of itself after it serves, not of calls; in tests that do not read it, the first ones
}

type logEntry struct {
	Message       string
	Listen        string
	TrustedListen string `json:"trusted_listen"`
	AdminListen   string `json:"admin_listen"`
}

func startServer(arguments ...string) (*server, error) {
	return startServerAt("127.0.0.1:0", arguments...)
}

func startServerAt(listen string, arguments ...string) (*server, error) {
	binary := os.Getenv("AA_REDIRECT_BIN")
	if binary == "" {
		binary = "../../../target/release/aa-redirect"
	}
	process := exec.Command(binary, append([]string{"--listen", listen, "--log", "json"}, arguments...)...)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "AA_REDIRECT_") { // only the test's settings count
			process.Env = append(process.Env, variable)
		}
	}
	log, err := process.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := process.Start(); err != nil {
		return nil, err
	}
	s := &server{process: process, log: make(chan logEntry, 1000)}
	var seen strings.Builder
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		var line logEntry
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == "serving" {
			s.address, s.trusted, s.admin = line.Listen, line.TrustedListen, line.AdminListen
			go s.follow(lines)
			return s, nil
		}
		seen.WriteString(lines.Text() + "\n")
	}
	return nil, fmt.Errorf("%s ended before it served: %v\n%s", binary, process.Wait(), seen.String())
}

// follow reads the log to its end, so that the server never blocks on a full pipe.
func (s *server) follow(lines *bufio.Scanner) {
	for lines.Scan() {
		var line logEntry
		if json.Unmarshal(lines.Bytes(), &line) != nil || line.Message == "call" {
			continue
		}
		select {
		case s.log <- line:
		default:
		}
	}
}

// expectLog waits for a line that begins with message, and returns the rest of it.
func (s *server) expectLog(t *testing.T, message string) string {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		select {
		case line := <-s.log:
			if rest, ok := strings.CutPrefix(line.Message, message); ok {
				return rest
			}
		case <-late:
			t.Fatalf("no %q in the log", message)
		}
	}
}

func (s *server) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := s.process.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// expectEnd waits for the process, which must exit with 0.
func (s *server) expectEnd(t *testing.T) {
	t.Helper()
	late := time.AfterFunc(30*time.Second, func() { s.process.Process.Kill() })
	defer late.Stop()
	if err := s.process.Wait(); err != nil {
		t.Fatalf("the server ended with %v", err)
	}
}

func (s *server) stop() {
	if s.process.ProcessState != nil {
		return // ended and waited for
	}
	s.process.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(5*time.Second, func() { s.process.Process.Kill() })
	defer late.Stop()
	s.process.Wait()
}

// startTestServer is a server that ends with the test.
func startTestServer(t *testing.T, arguments ...string) *server {
	t.Helper()
	return startTestServerAt(t, "127.0.0.1:0", arguments...)
}

func startTestServerAt(t *testing.T, listen string, arguments ...string) *server {
	t.Helper()
	s, err := startServerAt(listen, arguments...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

func dial(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

var (
	// client calls the server that holds pairings; it listens on address.
	client  redirectv1.RedirectServiceClient
	address string
	// seed decides all random members. With it, a failed run can be repeated.
	seed uint64
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	seed = rand.Uint64()
	if text := os.Getenv("INTEROP_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			fmt.Fprintln(os.Stderr, "INTEROP_SEED is no number:", err)
			return 1
		}
	}
	fmt.Printf("INTEROP_SEED=%d\n", seed)
	folder, err := os.MkdirTemp("", "aa-redirect-interop-go-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	keyring, err := writeKeyring(folder, pairings)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	s, err := startServer("--keyring", keyring)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer s.stop()
	connection, err := dial(s.address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer connection.Close()
	client, address = newPackaged(connection), s.address
	return m.Run()
}

// patient returns a context with a deadline that is long enough for a slow machine.
func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
