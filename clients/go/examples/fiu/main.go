// Command fiu is an FIU's backend: /consent sends the user to the AA, /aa/return takes the user back.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"

	"aa/redirect"
)

var (
	listen   = cmp.Or(os.Getenv("LISTEN"), "127.0.0.1:3000")
	returnTo = cmp.Or(os.Getenv("RETURN_TO"), "http://"+listen+"/aa/return") // behind a proxy: what the browser sees
)

type backend struct {
	client *redirect.Client
	sent   sync.Map // by cookie: what was sent to the AA. In a real backend a part of the user's session
}

func main() {
	client, err := redirect.NewClient(redirect.Options{
		Addresses:    []string{cmp.Or(os.Getenv("AA_REDIRECT_ADDRESS"), "127.0.0.1:50051")},
		OnDeviations: func(_ context.Context, report redirect.DeviationReport) { slog.Warn("tell the AA", "report", report) },
	})
	if err != nil {
		log.Fatal(err)
	}
	b := &backend{client: client}
	http.Handle("GET /consent", page(b.consent))
	http.Handle("GET /aa/return", page(b.comeBack))
	log.Fatal(http.ListenAndServe(listen, nil))
}

func (b *backend) consent(w http.ResponseWriter, r *http.Request) error {
	members := redirect.Redirect{ // no TxnID: the service makes one
		SessionID: rand.Text(), Redirect: returnTo,
		UserID: cmp.Or(r.FormValue("user"), "9999988888@beta"),   // in your backend: that of the user who is logged in
		SrcRef: []string{"c1a0bd12-5e4b-4a0a-8a2e-0f1d2c3b4a59"}, // the consent handle
	}
	sealed, err := b.client.EncodeRedirect(r.Context(), redirect.EncodeRedirectRequest{FIU: "fiu@sandbox", Redirect: members})
	if err != nil {
		return err
	}
	url, err := sealed.Location()
	if err != nil { // the AA has no web view in the keyring
		return err
	}
	b.sent.Store(members.SessionID, sealed.Expected())
	http.SetCookie(w, &http.Cookie{Name: "session", Value: members.SessionID, HttpOnly: true, Secure: strings.HasPrefix(returnTo, "https:")})
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, url, http.StatusSeeOther) // the URL is the user's secret: not for logs
	return nil
}

func (b *backend) comeBack(w http.ResponseWriter, r *http.Request) error {
	cookie, err := r.Cookie("session")
	if err != nil {
		return err
	}
	sent, _ := b.sent.Load(cookie.Value)
	expected, _ := sent.(redirect.Expected) // empty for an unknown session: no callback matches it
	opened, err := b.client.DecodeCallback(r.Context(), redirect.DecodeCallbackRequest{FIU: "fiu@sandbox", URL: r.URL.String()}, expected)
	if err != nil {
		return err
	}
	if opened.Reopened() {
		slog.Info("a reloaded page, or a replay", "callback", opened)
	}
	if opened.Accepted() {
		fmt.Fprintln(w, "consent given:", opened.Callback().SrcRef) // before you act, ask the AA for its status
	} else {
		fmt.Fprintln(w, "no consent:", opened.ErrorMessage())
	}
	return nil
}

// A page tells the user little; the log has the whole error.
type page func(http.ResponseWriter, *http.Request) error

func (p page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := p(w, r); err != nil {
		slog.Error("no redirect", "reason", redirect.ReasonOf(err), "error", err)
		http.Error(w, "that did not work: start again", http.StatusBadRequest)
	}
}
