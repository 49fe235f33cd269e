package redirect_test

// Copies the examples out of this repository, builds them there, and follows a user from the FIU to the AA and back.

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestExamplesCopiedOutTakeAUserFromTheFIUToTheAAAndBack(t *testing.T) {
	service := serve(t)
	folder := copyOut(t)
	fiu, said := startExample(t, folder, "fiu", service.address)
	aa, saidToo := startExample(t, folder, "aa", service.address)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

	webview := follow(t, browser, fiu+"/consent")
	if webview.Host != "beta.example" || webview.Path != "/webview" {
		t.Fatalf("the FIU sends the user to %s", webview.Host+webview.Path)
	}
	back := follow(t, browser, aa+"/webview?"+webview.RawQuery)
	if "http://"+back.Host+back.Path != fiu+"/aa/return" {
		t.Fatalf("the AA sends the user to %s", back.Host+back.Path)
	}
	response, err := browser.Get(back.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	page, err := io.ReadAll(response.Body)
	if want := "consent given: [c1a0bd12-5e4b-4a0a-8a2e-0f1d2c3b4a59]\n"; err != nil || string(page) != want {
		t.Errorf("the FIU says %q, %v\n%s", page, err, said())
	}
	if text := said() + saidToo(); text != "" {
		t.Errorf("the examples complain:\n%s", text)
	}
	if status := get(t, browser, aa+"/webview?fi=AAAA"); status != http.StatusBadRequest || !strings.Contains(saidToo(), "URL_MALFORMED") {
		t.Errorf("a URL without parameters gives %d and says\n%s", status, saidToo())
	}
	if status := get(t, http.DefaultClient, fiu+"/aa/return?"+back.RawQuery); status != http.StatusBadRequest {
		t.Errorf("a callback without a session gives %d", status)
	}
}

// copyOut makes a module of its own with the examples, as a developer would.
func copyOut(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{"fiu", "aa"} {
		text, err := os.ReadFile(filepath.Join("examples", name, "main.go"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name, "main.go"), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{
		{"mod", "init", "backend"}, {"mod", "edit", "-require=aa/redirect@v0.0.0", "-replace=aa/redirect=" + here},
		{"mod", "tidy"}, {"build", "-o", "bin/", "./..."},
	} {
		run := exec.Command("go", command...)
		run.Dir = folder
		if output, err := run.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(command, " "), err, output)
		}
	}
	return folder
}

// startExample returns the URL at which the example listens, and a function that returns its output so far.
func startExample(t *testing.T, folder, name, service string) (string, func() string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := listener.Addr().String()
	_ = listener.Close()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	process := exec.Command(filepath.Join(folder, "bin", name))
	process.Env = append(os.Environ(), "AA_REDIRECT_ADDRESS="+service, "LISTEN="+listen)
	process.Stdout, process.Stderr = log, log
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait(); _ = log.Close() })
	said := func() string {
		text, err := os.ReadFile(log.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(bytes.TrimSpace(text))
	}
	for range 1000 {
		if connection, err := net.Dial("tcp", listen); err == nil {
			_ = connection.Close()
			return "http://" + listen, said
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s does not listen:\n%s", name, said())
	return "", nil
}

// follow returns the URL to which a page sends the browser.
func follow(t *testing.T, browser *http.Client, page string) *url.URL {
	t.Helper()
	response, err := browser.Get(page)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	location, err := response.Location()
	if err != nil {
		body, _ := io.ReadAll(response.Body)
		t.Fatalf("%s: %s", response.Status, body)
	}
	return location
}

func get(t *testing.T, browser *http.Client, page string) int {
	t.Helper()
	response, err := browser.Get(page)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}
