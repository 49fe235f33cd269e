// The rival server of the benchmarks and the service open each other's messages, so that both are measured with the
// same work.
package interop

import (
	"bufio"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"aa-redirect/tests/interop/go/wire"
	redirectv1 "aa/redirect/v1"
)

func TestRivalAndServiceOpenWhatTheOtherSeals(t *testing.T) {
	shared := map[string]*pairing{"hkdf-iv": iv, "pbkdf2": v12}
	rival := startRival(t, shared)
	for scheme, p := range shared {
		t.Run(scheme, func(t *testing.T) {
			for number := range 10 {
				members := newRandom(t.Name(), number).redirect(p)
				requestor := redirectv1.RequestorType(number % 3)
				for _, way := range []struct {
					name       string
					from, to   redirectv1.RedirectServiceClient
					openSecret string
				}{{"rival to service", rival, client, secretID(0)}, {"service to rival", client, rival, "primary"}} {
					sealed, err := way.from.EncodeRedirect(patient(t), &redirectv1.EncodeRedirectRequest{
						FiuId: p.fiu, AaId: p.aa, Redirect: members, RequestorType: requestor,
					})
					if err != nil {
						t.Fatalf("%s, INTEROP_SEED=%d: %v", way.name, seed, err)
					}
					if got, want := sealed.ExpireTime.AsTime().Sub(sealed.IssueTime.AsTime()), window; got != want {
						t.Errorf("%s: expires after %v, want %v", way.name, got, want)
					}
					request := &redirectv1.DecodeRedirectRequest{
						AaId: p.aa, Source: &redirectv1.DecodeRedirectRequest_Url{Url: sealed.Url},
					}
					opened, err := way.to.DecodeRedirect(patient(t), request)
					if err != nil {
						t.Fatalf("%s, INTEROP_SEED=%d: %v", way.name, seed, err)
					}
					if err := differ(members, opened.Redirect); err != nil {
						t.Errorf("%s, INTEROP_SEED=%d: %v", way.name, seed, err)
					}
					if opened.FiuId != p.fiu || opened.AaId != p.aa || opened.RequestorType != requestor ||
						opened.SecretId != way.openSecret || !opened.PrimarySecret || (len(opened.Deviations) > 0) != (len(members.Extra) > 0) {
						t.Errorf("%s: opened as %v", way.name, opened)
					}
				}
			}
			// Its refusals: a message of another secret, and calls that it does not offer.
			foreign, err := wire.Seal(p.scheme, newSecret(), now(), p.fiu, "", cleanRequestText())
			if err != nil {
				t.Fatal(err)
			}
			_, err = rival.DecodeRedirect(patient(t), &redirectv1.DecodeRedirectRequest{
				AaId: p.aa, Source: &redirectv1.DecodeRedirectRequest_Url{Url: foreign.Query(wire.Request)},
			})
			if status.Code(err) != codes.InvalidArgument {
				t.Errorf("a message of another secret: %v", err)
			}
			if _, err := rival.ListPairings(patient(t), nil); status.Code(err) != codes.Unimplemented {
				t.Errorf("ListPairings: %v", err)
			}
		})
	}
}

// startRival builds and starts the rival with pairings by scheme; it ends with the test.
func startRival(t *testing.T, shared map[string]*pairing) redirectv1.RedirectServiceClient {
	t.Helper()
	folder := t.TempDir()
	binary, keyring := filepath.Join(folder, "rival"), filepath.Join(folder, "keyring.json")
	if output, err := exec.Command("go", "build", "-o", binary, "./rival").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	var listed []map[string]any
	for scheme, p := range shared {
		listed = append(listed, map[string]any{
			"fiu": p.fiu, "aa": p.aa, "scheme": scheme, "secret": p.secrets[0], "webview": p.webview,
			"max_age_seconds": int(window.Seconds()),
		})
	}
	text, err := json.Marshal(listed)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keyring, text, 0o600); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	process := exec.Command(binary, "--listen", free.Addr().String(), "--keyring", keyring)
	process.Stderr = os.Stderr
	output, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		process.Process.Kill()
		process.Wait()
	})
	if lines := bufio.NewScanner(output); !lines.Scan() || lines.Text() != "serving" {
		t.Fatalf("the rival says %q", lines.Text())
	}
	connection, err := dial(free.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return redirectv1.NewRedirectServiceClient(connection)
}
