package redirect_test

// Starts the release binary as the server under test, and holds what all tests share.

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"aa/redirect"
)

// repository is this repository's root, from this folder.
const repository = "../.."

func program(t *testing.T) string {
	t.Helper()
	candidates := []string{
		os.Getenv("AA_REDIRECT_BIN"), repository + "/target/release/aa-redirect", repository + "/target/debug/aa-redirect",
	}
	for _, path := range candidates {
		if _, err := os.Stat(path); path != "" && err == nil {
			return path
		}
	}
	t.Fatalf("no server in %q: cargo build --release, or set AA_REDIRECT_BIN", candidates)
	return ""
}

// A server is a process of the binary.
type server struct {
	process *exec.Cmd
	address string
	ended   chan struct{}
}

// serve starts the binary on a free port, unless arguments name another address; it ends with the test.
func serve(t *testing.T, arguments ...string) *server {
	t.Helper()
	if !strings.Contains(strings.Join(arguments, " "), "--listen ") {
		arguments = append(arguments, "--listen", "127.0.0.1:0")
	}
	process := exec.Command(program(t), append(arguments, "--log", "json")...)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "AA_REDIRECT_") {
			process.Env = append(process.Env, variable)
		}
	}
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := process.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	s := &server{process: process, ended: make(chan struct{})}
	t.Cleanup(s.kill)
	lines, said := bufio.NewScanner(log), strings.Builder{}
	for lines.Scan() {
		var line struct{ Message, Listen string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == "serving" {
			s.address = line.Listen
			go func() {
				for lines.Scan() { // a full pipe would stop the server
				}
				_ = process.Wait()
				close(s.ended)
			}()
			return s
		}
		said.WriteString(lines.Text() + "\n")
	}
	_ = process.Wait()
	close(s.ended)
	t.Fatalf("the server ended before it served:\n%s", said.String())
	return nil
}

func (s *server) kill() {
	_ = s.process.Process.Kill()
	<-s.ended
}

// connect returns a client that closes when the test ends.
func connect(t *testing.T, options redirect.Options) *redirect.Client {
	t.Helper()
	client, err := redirect.NewClient(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// to returns the options for one address, with a deadline that is long enough for a slow machine.
func to(address string) redirect.Options {
	return redirect.Options{Addresses: []string{address}, Timeout: time.Minute}
}

// files writes files into a folder of the test.
func files(t *testing.T, contents map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, content := range contents {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// sandbox is the keyring that the binary serves without settings.
func sandbox(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(repository + "/sandbox/keyring.toml")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	fiu = "fiu@sandbox"
	aa  = "alpha-aa"
	// user stands for the data that no printed text may contain.
	user = "9876501234@alpha"
)

func members() redirect.Redirect {
	return redirect.Redirect{
		SessionID: "basket-42", UserID: user, Redirect: "https://fiu.example/cb?lead=42",
		SrcRef: []string{"0b054f6a-a0b3-4424-a668-2b53090bad6f"},
	}
}

func encodeRequest() redirect.EncodeRedirectRequest {
	return redirect.EncodeRedirectRequest{FIU: fiu, Redirect: members()}
}

func seal(t *testing.T, client *redirect.Client) redirect.SealedRedirect {
	t.Helper()
	sealed, err := client.EncodeRedirect(t.Context(), encodeRequest())
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func location(t *testing.T, sealed redirect.SealedRedirect) string {
	t.Helper()
	text, err := sealed.Location()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// answer returns the callback with which the AA sends the user of a sealed redirect back.
func answer(t *testing.T, client *redirect.Client, sealed redirect.SealedRedirect, errorCode uint32) redirect.SealedCallback {
	t.Helper()
	outcome := redirect.Callback{TxnID: sealed.TxnID(), SessionID: "basket-42", UserID: user, Status: redirect.Success}
	if outcome.SrcRef = members().SrcRef; errorCode > 0 {
		outcome.Status, outcome.ErrorCode, outcome.SrcRef = redirect.Failure, errorCode, nil
	}
	back, err := client.EncodeCallback(t.Context(), redirect.EncodeCallbackRequest{
		FIU: fiu, AA: aa, Callback: outcome, RedirectURL: members().Redirect,
	})
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// record is what the FIU remembers of a sealed redirect.
func record(sealed redirect.SealedRedirect) redirect.Expected {
	return redirect.Expected{TxnID: sealed.TxnID(), SessionID: "basket-42", UserID: user, AA: aa}
}

// forged makes parameters in the right form that nobody sealed. The server gets as far with them as it can without a
// key.
func forged(sender, date string) *redirect.RedirectParams {
	masked := []byte(sender)
	for i := range masked {
		masked[i] ^= date[i%len(date)]
	}
	return &redirect.RedirectParams{
		FI: base64.StdEncoding.EncodeToString(masked), ReqDate: date,
		ECReq: base64.URLEncoding.EncodeToString(make([]byte, 160)), IV: base64.StdEncoding.EncodeToString(make([]byte, 16)),
	}
}

func today() string {
	now := time.Now().UTC()
	return now.Format("020120061504") + fmt.Sprintf("%03d", now.Nanosecond()/1e6)
}

func background(t *testing.T, timeout time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	t.Cleanup(cancel)
	return ctx
}
