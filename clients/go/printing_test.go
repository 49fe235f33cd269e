package redirect_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"aa/redirect"
)

const secret = "SECRET-9876501234"

// filled puts the secret into every string of a struct, at every depth.
func filled[T any](t *testing.T) T {
	t.Helper()
	var value T
	fill(reflect.ValueOf(&value).Elem())
	if !strings.Contains(fmt.Sprint(reflect.ValueOf(value).NumField()), "0") && !holds(reflect.ValueOf(value)) {
		t.Fatalf("%T holds no secret to look for", value)
	}
	return value
}

func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(secret)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf(secret), reflect.ValueOf(secret))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	default:
	}
}

func holds(v reflect.Value) bool {
	if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			if holds(v.Field(i)) {
				return true
			}
		}
	}
	return v.Kind() == reflect.String && v.String() == secret
}

// printed returns every text that a program might print of a value.
func printed(value any) string {
	var text bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
		fmt.Fprintf(&text, verb+"\n", value)
		fmt.Fprintf(&text, verb+"\n", []any{value})
		fmt.Fprintf(&text, verb+"\n", struct{ Value any }{value})
	}
	if encoded, err := json.Marshal(map[string]any{"value": value}); err == nil {
		text.Write(encoded)
	}
	if encoded, err := xml.Marshal(value); err == nil {
		text.Write(encoded)
	}
	slog.New(slog.NewTextHandler(&text, nil)).Info("text", "value", value, slog.Any("again", &value))
	slog.New(slog.NewJSONHandler(&text, nil)).Info("json", "value", value, slog.Any("again", &value))
	return text.String()
}

func TestRequestsMembersAndOptionsPrintWithoutTheirContent(t *testing.T) {
	for _, value := range []any{
		filled[redirect.Redirect](t), filled[redirect.Callback](t), filled[redirect.RedirectParams](t),
		filled[redirect.CallbackParams](t), filled[redirect.EncodeRedirectRequest](t), filled[redirect.DecodeRedirectRequest](t),
		filled[redirect.EncodeCallbackRequest](t), filled[redirect.DecodeCallbackRequest](t), filled[redirect.Expected](t),
		redirect.Options{Token: secret, Addresses: []string{"localhost:1"}},
		connect(t, redirect.Options{Token: secret, Addresses: []string{"localhost:1"}}),
	} {
		if text := printed(value); strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
			t.Errorf("%T prints as\n%s", value, text)
		}
	}
}

func TestResultsPrintWithoutMembersAndURLsInEveryPlace(t *testing.T) {
	client := connect(t, to(serve(t).address))
	sealed := seal(t, client)
	opened, err := client.DecodeRedirect(t.Context(), redirect.DecodeRedirectRequest{AA: aa, URL: location(t, sealed)})
	if err != nil {
		t.Fatal(err)
	}
	back := answer(t, client, sealed, 0)
	outcome, err := client.DecodeCallback(t.Context(), redirect.DecodeCallbackRequest{FIU: fiu, URL: back.Location()}, record(sealed))
	if err != nil {
		t.Fatal(err)
	}
	type session struct { // fmt calls no methods of unexported fields
		sealed  redirect.SealedRedirect
		opened  redirect.OpenedRedirect
		back    redirect.SealedCallback
		outcome redirect.OpenedCallback
	}
	inside := session{sealed, opened, back, outcome}
	for _, value := range []any{sealed, opened, back, outcome, &sealed, &opened, &back, &outcome, inside, &inside} {
		text := printed(value)
		for _, private := range []string{
			user, "9876501234", sealed.TxnID(), "basket", "lead=42", sealed.Params().ECReq, back.Params().ECRes, "ecreq=", members().SrcRef[0],
		} {
			if strings.Contains(text, private) {
				t.Errorf("%T shows %q:\n%s", value, private, text)
			}
		}
	}
	if want := "redirect.OpenedCallback(fiu_id=fiu@sandbox aa_id=alpha-aa secret_id=2026-11 reopened=false)"; fmt.Sprint(outcome) != want {
		t.Errorf("prints as %v", outcome)
	}
}

func TestNoErrorShowsWhatWasSent(t *testing.T) {
	client := connect(t, redirect.Options{Addresses: []string{serve(t).address}, Token: secret})
	request := encodeRequest()
	request.Redirect.PAN, request.Redirect.UserID = secret, secret
	for _, call := range []func() error{
		func() error { _, err := client.EncodeRedirect(t.Context(), request); return err },
		func() error {
			_, err := client.DecodeRedirect(t.Context(), redirect.DecodeRedirectRequest{URL: "https://" + secret + "/?fi=" + secret})
			return err
		},
		func() error {
			_, err := client.DecodeCallback(t.Context(), redirect.DecodeCallbackRequest{URL: secret}, redirect.Expected{TxnID: secret})
			return err
		},
		func() error {
			_, err := client.EncodeCallback(t.Context(), redirect.EncodeCallbackRequest{RedirectURL: secret})
			return err
		},
	} {
		if err := call(); err == nil || strings.Contains(printed(err), secret) {
			t.Errorf("fails with %#v", err)
		}
	}
}
