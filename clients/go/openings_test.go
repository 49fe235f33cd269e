package redirect_test

// What the service remembers and compares.

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"aa/redirect"
)

// keyring writes a keyring with one pairing, of the sandbox's FIU and AA, and adds the given lines to it.
func keyring(t *testing.T, lines string) string {
	t.Helper()
	return files(t, map[string]string{
		"secret": "0123456789abcdefghijklmnopqrstuv",
		"keyring.toml": "[[pairing]]\nfiu = \"fiu@sandbox\"\naa = \"alpha-aa\"\nprofile = \"iv\"\nhandles = [\"alpha\"]\n" +
			"webview = \"https://alpha.example/webview\"\nsecrets = [{ id = \"one\", file = \"secret\" }]\n" + lines,
	}) + "/keyring.toml"
}

func TestACallbackThatIsNotTheExpectedOneIsRefused(t *testing.T) {
	client := connect(t, to(serve(t).address))
	sealed := seal(t, client)
	back := redirect.DecodeCallbackRequest{FIU: fiu, URL: answer(t, client, sealed, 0).Location()}
	for _, c := range []struct {
		change func(*redirect.Expected)
		fields string
	}{
		{func(e *redirect.Expected) { e.TxnID = "other" }, "txnid"},
		{func(e *redirect.Expected) { e.SessionID = "" }, "sessionid"},
		{func(e *redirect.Expected) { e.UserID = "other@alpha" }, "userid"},
		{func(e *redirect.Expected) { e.AA = "beta-aa" }, "aa_id"},
		{func(e *redirect.Expected) { *e = redirect.Expected{} }, "txnid, sessionid, userid"},
	} {
		expected := record(sealed)
		c.change(&expected)
		_, err := client.DecodeCallback(t.Context(), back, expected)
		e := failure(t, err, redirect.ReasonNotExpected)
		if e.Metadata["fields"] != c.fields || e.Code != codes.FailedPrecondition || e.RequestID == "" {
			t.Errorf("want %q, is %#v", c.fields, *e)
		}
	}
	opened, err := client.DecodeCallback(t.Context(), back, sealed.Expected())
	if err != nil || opened.Reopened() {
		t.Errorf("the expected one: %v, %v", opened, err)
	}
}

func TestASecondOpeningIsReported(t *testing.T) {
	client := connect(t, to(serve(t).address))
	request := redirect.DecodeRedirectRequest{AA: aa, URL: location(t, seal(t, client))}
	first, err := client.DecodeRedirect(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	second, err := client.DecodeRedirect(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if first.Reopened() || !second.Reopened() || !first.FirstOpenTime().Equal(second.FirstOpenTime()) || first.FirstOpenTime().IsZero() {
		t.Errorf("opened as %v at %v and as %v at %v", first, first.FirstOpenTime(), second, second.FirstOpenTime())
	}
	if len(first.ReplayKey()) != 32 || first.ReplayKey() != second.ReplayKey() {
		t.Error("the replay keys differ")
	}
}

func TestASecondOpeningIsRefusedIfThePairingSaysSo(t *testing.T) {
	client := connect(t, to(serve(t, "--keyring", keyring(t, `reopen = "refuse"`)).address))
	request := redirect.DecodeRedirectRequest{AA: aa, URL: location(t, seal(t, client)), AttemptID: "job-1"}
	for range 2 { // the same attempt gets the first answer again
		if opened, err := client.DecodeRedirect(t.Context(), request); err != nil || opened.Reopened() {
			t.Fatalf("opened as %v, %v", opened, err)
		}
	}
	request.AttemptID = ""
	_, err := client.DecodeRedirect(t.Context(), request)
	if e := failure(t, err, redirect.ReasonAlreadyOpened); e.Metadata["first_open_time"] == "" || e.Tries != 1 {
		t.Errorf("is %#v", *e)
	}
	for pairing, err := range client.Pairings(t.Context()) {
		if err != nil || pairing.Reopen != redirect.ReopenRefuse || pairing.Authentication != redirect.AuthenticationOff ||
			pairing.MaxAge.Seconds() != 180 || pairing.DateStyle != "millis" || pairing.ListSyntax != "repeated" || !pairing.CheckResDate {
			t.Errorf("listed is %+v, %v", pairing, err)
		}
	}
}

func TestADecodeWhoseAnswerIsLostIsNotRefusedAsASecondOpening(t *testing.T) {
	proxy := newProxy(t, serve(t, "--keyring", keyring(t, `reopen = "refuse"`)).address)
	client := connect(t, to(proxy.address))
	url := location(t, seal(t, client))
	proxy.cut.Store(true)
	opened, err := client.DecodeRedirect(t.Context(), redirect.DecodeRedirectRequest{AA: aa, URL: url})
	if err != nil || opened.Reopened() || proxy.cut.Load() {
		t.Errorf("opened as %v, %v", opened, err)
	}
}

func TestAMessageWithATagIsAuthenticated(t *testing.T) {
	client := connect(t, to(serve(t, "--keyring", keyring(t, `authentication = "require"`)).address))
	opened, err := client.DecodeRedirect(t.Context(), redirect.DecodeRedirectRequest{AA: aa, URL: location(t, seal(t, client))})
	if err != nil || !opened.Authenticated() || len(opened.Deviations()) > 0 {
		t.Errorf("opened as %v, %v", opened, err)
	}
}

func TestAStoreThatDoesNotAnswerIsTriedAgainAndReported(t *testing.T) {
	s := serve(t, "--keyring", keyring(t, ""), "--store", "redis://127.0.0.1:1", "--store-outage", "closed")
	client := connect(t, to(s.address))
	_, err := client.DecodeRedirect(t.Context(), redirect.DecodeRedirectRequest{AA: aa, URL: location(t, seal(t, client))})
	if e := failure(t, err, redirect.ReasonStoreUnavailable); e.Tries != 3 || e.Code != codes.Unavailable {
		t.Errorf("is %#v", *e)
	}
}

func TestDeviationsHavePlaces(t *testing.T) {
	client := connect(t, to(serve(t).address))
	url := strings.ReplaceAll(location(t, seal(t, client)), "%3D", "")
	opened, err := client.DecodeRedirect(t.Context(), redirect.DecodeRedirectRequest{AA: aa, URL: url})
	if err != nil {
		t.Fatal(err)
	}
	for _, detail := range opened.Deviations() {
		if detail.Place != "fi" && detail.Place != "ecreq" && detail.Place != "iv" {
			t.Errorf("told is %v", detail)
		}
	}
}
