// The examples against the sandbox: a browser's way from the FIU to the AA and back, and what they say of a refusal.
package interop

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aa-redirect/tests/interop/go/example/redirects"
	"aa-redirect/tests/interop/go/gen/redirectv1"
)

// buildExample returns a way to run an example; it is killed where it outlives the test.
func buildExample(t *testing.T, name string) func(arguments ...string) *exec.Cmd {
	t.Helper()
	binary := filepath.Join(t.TempDir(), name)
	if output, err := exec.Command("go", "build", "-o", binary, "./example/"+name).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return func(arguments ...string) *exec.Cmd { return exec.CommandContext(ctx, binary, arguments...) }
}

func TestExamplesGoFromFIUToAAAndBack(t *testing.T) {
	sandbox := startTestServer(t)
	fiu := buildExample(t, "fiu")(sandbox.address)
	aa := buildExample(t, "aa")()
	aa.Env = append(os.Environ(), "AA_REDIRECT_ADDRESS="+sandbox.address)

	var fiuErrors, aaErrors bytes.Buffer
	fiu.Stderr, aa.Stderr = &fiuErrors, &aaErrors
	toFIU, err := fiu.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	fromFIU, err := fiu.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := fiu.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(fromFIU)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "https://alpha.example/webview?fi=") {
		t.Fatalf("the FIU sends the browser to %q\n%s", lines.Text(), &fiuErrors)
	}
	aa.Stdin = strings.NewReader(lines.Text() + "\n")
	back, err := aa.Output()
	if err != nil || !strings.HasPrefix(string(back), "https://app.fiu.example/aa/return?loan=4711&fi=") {
		t.Fatalf("the AA sends the browser to %q: %v\n%s", back, err, &aaErrors)
	}
	if _, err := toFIU.Write(back); err != nil {
		t.Fatal(err)
	}
	if want := "consent given: c1a0bd12-5e4b-4a0a-8a2e-0f1d2c3b4a59"; !lines.Scan() || lines.Text() != want {
		t.Errorf("the FIU says %q, want %q", lines.Text(), want)
	}
	if err := fiu.Wait(); err != nil {
		t.Error(err)
	}
	if said := fiuErrors.String() + aaErrors.String(); said != "" {
		t.Errorf("the examples complain:\n%s", said)
	}
}

func TestExampleShowsReasonAndMetadata(t *testing.T) {
	sandbox := startTestServer(t)
	aa := buildExample(t, "aa")(sandbox.address)
	aa.Stdin = strings.NewReader("https://alpha.example/webview?fi=AAAA&reqdate=" + now() + "\n")
	output, err := aa.CombinedOutput()
	if err == nil {
		t.Error("a URL without ecreq was taken")
	}
	for _, want := range []string{"InvalidArgument: ", "reason: URL_MALFORMED", "parameter: ecreq"} {
		if !strings.Contains(string(output), want) {
			t.Errorf("%q is missing in\n%s", want, output)
		}
	}
}

func TestExampleShowsEveryViolation(t *testing.T) {
	_, err := client.EncodeRedirect(patient(t), &redirectv1.EncodeRedirectRequest{FiuId: fiu})
	said := redirects.Explain(err)
	for _, want := range []string{
		"reason: FIELD_INVALID", "field redirect.userid ", "field redirect.redirect ", "field redirect.srcref ",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is missing in\n%s", want, said)
		}
	}
}
