package redirect_test

import (
	"bytes"
	"encoding/gob"
	"reflect"
	"strings"
	"testing"
	"time"

	"aa/redirect"
	redirectv1 "aa/redirect/v1"
)

func TestARedirectGoesThereAndBackWithTheTypesOfTheLanguage(t *testing.T) {
	client := connect(t, to(serve(t).address))
	request := encodeRequest()
	request.RequestorType = redirect.RequestorLSP
	request.Redirect.TxnID, request.Redirect.FIPID = "2d04747e-21c6-4c23-955b-d46c2f820140", []string{"fip-1", "fip-2"}
	request.Redirect.Email, request.Redirect.PAN, request.Redirect.DOB = "a+b@example.com", "ABCDE1234F", "1990-02-28"
	request.Redirect.ISOLanguageCode, request.Redirect.Extra = "hi-IN", map[string]string{"chid": "1 & 2"}
	request.IssueTime = time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	sealed, err := client.EncodeRedirect(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	url, err := sealed.URL()
	if err != nil || url.String() != location(t, sealed) || url.Host != "alpha.example" || url.RawQuery != sealed.Query() {
		t.Errorf("the URL leads to %v, %v", url.Host, err)
	}
	if !sealed.IssueTime().Equal(request.IssueTime) || !sealed.ExpireTime().Equal(request.IssueTime.Add(180*time.Second)) {
		t.Errorf("issued at %v, ends at %v", sealed.IssueTime(), sealed.ExpireTime())
	}
	params := sealed.Params()
	for _, source := range []redirect.DecodeRedirectRequest{{AA: aa, URL: location(t, sealed)}, {AA: aa, Params: &params}, {AA: aa, URL: sealed.Query()}} {
		opened, err := client.DecodeRedirect(t.Context(), source)
		if err != nil {
			t.Fatal(err)
		}
		if got := opened.Redirect(); !reflect.DeepEqual(got, request.Redirect) {
			t.Errorf("the members differ: %q, %q, %q", got.UserID, got.SrcRef, got.Extra)
		}
		if opened.RequestorType() != redirect.RequestorLSP || opened.FIU() != fiu || opened.AA() != aa || opened.Authenticated() ||
			!opened.PrimarySecret() || opened.SecretID() != "2026-11" || opened.Age() < 0 || opened.Age() > 20*time.Minute ||
			time.Until(opened.ReplayUntil()) < time.Minute || len(opened.Deviations()) != 1 {
			t.Errorf("opened as %v, age %v", opened, opened.Age())
		}
		opened.Redirect().SrcRef[0] = "changed"
		opened.Redirect().Extra["chid"] = "changed"
		if got := opened.Redirect(); !reflect.DeepEqual(got, request.Redirect) {
			t.Error("a result has changed")
		}
	}
}

func TestAnAnswerIsToTheOpenedRequest(t *testing.T) {
	client := connect(t, to(serve(t).address))
	sealed := seal(t, client)
	opened, err := client.DecodeRedirect(t.Context(), redirect.DecodeRedirectRequest{AA: aa, URL: location(t, sealed)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		answer redirect.EncodeCallbackRequest
		status redirect.CallbackStatus
		code   uint32
		srcref []string
	}{
		{opened.Accept(), redirect.Success, 0, members().SrcRef},
		{opened.Reject(4), redirect.Failure, 4, nil},
	} {
		back, err := client.EncodeCallback(t.Context(), c.answer)
		if err != nil {
			t.Fatal(err)
		}
		if back.SecretID() != opened.SecretID() || !strings.HasPrefix(back.Location(), members().Redirect+"&") {
			t.Errorf("the answer goes out under %q", back.SecretID())
		}
		outcome, err := client.DecodeCallback(t.Context(), redirect.DecodeCallbackRequest{FIU: fiu, URL: back.Location()}, record(sealed))
		if err != nil {
			t.Fatal(err)
		}
		if got := outcome.Callback(); got.Status != c.status || got.ErrorCode != c.code || !reflect.DeepEqual(got.SrcRef, c.srcref) {
			t.Errorf("%v, code %d, %d handles", got.Status, got.ErrorCode, len(got.SrcRef))
		}
	}
}

func TestAnAAThatContradictsItselfAcceptedNothing(t *testing.T) {
	f := fakeService(t)
	client := connect(t, to(f.address))
	for _, c := range []struct {
		status   redirectv1.CallbackStatus
		code     uint32
		accepted bool
	}{
		{redirectv1.CallbackStatus_CALLBACK_STATUS_SUCCESS, 0, true}, {redirectv1.CallbackStatus_CALLBACK_STATUS_SUCCESS, 5, false},
		{redirectv1.CallbackStatus_CALLBACK_STATUS_FAILURE, 0, false}, {redirectv1.CallbackStatus_CALLBACK_STATUS_FAILURE, 1, false},
	} {
		f.callback = &redirectv1.Callback{Status: c.status, Errorcode: c.code}
		opened, err := client.DecodeCallback(t.Context(), redirect.DecodeCallbackRequest{URL: "/"}, redirect.NotCompared{})
		if err != nil || opened.Accepted() != c.accepted {
			t.Errorf("%v with %d: accepted %t, %v", c.status, c.code, opened.Accepted(), err)
		}
	}
}

func TestASessionStoreKeepsWhatIsExpected(t *testing.T) {
	client := connect(t, to(serve(t).address))
	sealed := seal(t, client)
	kept := map[string]redirect.Expected{"aa": sealed.Expected()}
	var store bytes.Buffer
	if err := gob.NewEncoder(&store).Encode(kept); err != nil {
		t.Fatal(err)
	}
	var again map[string]redirect.Expected
	if err := gob.NewDecoder(&store).Decode(&again); err != nil || again["aa"] != kept["aa"] || again["aa"].TxnID != sealed.TxnID() {
		t.Errorf("%v, and the txnid is %q", err, again["aa"].TxnID)
	}
	var expected redirect.Expected
	if err := expected.UnmarshalBinary([]byte("no such bytes")); err == nil || expected != (redirect.Expected{}) {
		t.Errorf("other bytes are read, %v", err)
	}
}

func TestACallbackGoesThereAndBackWithTheTypesOfTheLanguage(t *testing.T) {
	client := connect(t, to(serve(t).address))
	sealed := seal(t, client)
	back := answer(t, client, sealed, 7)
	url, err := back.URL()
	if err != nil || url.String() != back.Location() || url.Host != "fiu.example" || url.RawQuery != "lead=42&"+back.Query() {
		t.Errorf("the URL leads to %v, %v", url.Host, err)
	}
	params := back.Params()
	for _, source := range []redirect.DecodeCallbackRequest{{FIU: fiu, URL: back.Location()}, {FIU: fiu, Params: &params}} {
		opened, err := client.DecodeCallback(t.Context(), source, record(sealed))
		if err != nil {
			t.Fatal(err)
		}
		want := redirect.Callback{TxnID: sealed.TxnID(), SessionID: "basket-42", UserID: user, Status: redirect.Failure, ErrorCode: 7}
		if got := opened.Callback(); !reflect.DeepEqual(got, want) || opened.ErrorMessage() == "" {
			t.Errorf("the outcome is %q %d, %q", got.Status, got.ErrorCode, opened.ErrorMessage())
		}
	}
}

func TestAPairingWithoutAWebViewHasNoURLButAQuery(t *testing.T) {
	client := connect(t, to(serve(t).address))
	request := encodeRequest()
	request.FIU, request.AA = "lender@sandbox", "delta-aa"
	sealed, err := client.EncodeRedirect(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sealed.Location(); redirect.ReasonOf(err) != redirect.ReasonWebviewMissing || sealed.Query() == "" {
		t.Errorf("Location says %v", err)
	}
	if _, err := sealed.URL(); redirect.ReasonOf(err) != redirect.ReasonWebviewMissing {
		t.Errorf("URL says %v", err)
	}
}

func TestWhatACallbackMustAnswerCannotBeForgotten(t *testing.T) {
	f := fakeService(t)
	client := connect(t, to(f.address))
	if _, err := client.DecodeCallback(t.Context(), redirect.DecodeCallbackRequest{URL: "/"}, nil); err == nil {
		t.Error("nothing was said of what is expected")
	}
	if came, _ := f.calls(); len(came) > 0 {
		t.Error("it was sent")
	}
}

func TestArgumentsThatCannotBeSentAreRefused(t *testing.T) {
	client := connect(t, to(fakeService(t).address))
	request := encodeRequest()
	request.RequestorType = "BANK"
	if _, err := client.EncodeRedirect(t.Context(), request); err == nil {
		t.Error("an unknown requestor type is taken")
	}
	if _, err := client.EncodeCallback(t.Context(), redirect.EncodeCallbackRequest{Callback: redirect.Callback{Status: "S"}}); err == nil {
		t.Error("an unknown status is taken")
	}
	both := redirect.DecodeRedirectRequest{URL: "/", Params: &redirect.RedirectParams{}}
	if _, err := client.DecodeRedirect(t.Context(), both); err == nil {
		t.Error("two sources are taken")
	}
}

func TestPairingsAreListedToTheLast(t *testing.T) {
	client := connect(t, to(serve(t).address))
	var pairings []redirect.Pairing
	for pairing, err := range client.Pairings(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		pairings = append(pairings, pairing)
	}
	if len(pairings) != 8 {
		t.Fatalf("listed are %d", len(pairings))
	}
	want := []redirect.Secret{{ID: "2026-11", State: redirect.Primary}, {ID: "2026-05", State: redirect.DecodeOnly}}
	if p := pairings[0]; p.FIU != fiu || p.AA != aa || p.Scheme != redirect.HKDFIV || !reflect.DeepEqual(p.Secrets, want) ||
		p.WebviewURL != "https://alpha.example/webview" || !reflect.DeepEqual(p.Handles, []string{"alpha"}) {
		t.Errorf("the first is %+v", p)
	}
	if p := pairings[1]; p.Scheme != redirect.PBKDF2 {
		t.Errorf("the second is %+v", p)
	}
}
