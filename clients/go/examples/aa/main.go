// Command aa is an AA's backend: /webview takes the user that an FIU sent, and sends the user back with the outcome.
package main

import (
	"cmp"
	"context"
	"log"
	"log/slog"
	"net/http"
	"os"

	"aa/redirect"
)

func main() {
	client, err := redirect.NewClient(redirect.Options{
		Addresses:    []string{cmp.Or(os.Getenv("AA_REDIRECT_ADDRESS"), "127.0.0.1:50051")},
		OnDeviations: func(_ context.Context, report redirect.DeviationReport) { slog.Warn("tell the FIU", "report", report) },
	})
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("GET /webview", func(w http.ResponseWriter, r *http.Request) {
		back, err := webview(r, client)
		if err != nil {
			slog.Error("no redirect", "reason", redirect.ReasonOf(err), "error", err)
			http.Error(w, "that did not work: go back to where you came from and start again", http.StatusBadRequest)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, back, http.StatusSeeOther) // the URL is the user's secret: not for logs
	})
	log.Fatal(http.ListenAndServe(cmp.Or(os.Getenv("LISTEN"), "127.0.0.1:8081"), nil))
}

func webview(r *http.Request, client *redirect.Client) (string, error) {
	request, err := client.DecodeRedirect(r.Context(), redirect.DecodeRedirectRequest{AA: cmp.Or(os.Getenv("AA_ID"), "beta-aa"), URL: r.URL.String()})
	if err != nil {
		return "", err
	}
	if request.Reopened() {
		slog.Info("a reloaded page, or a replay", "request", request)
	}
	// Here the user logs in as request.Redirect().UserID and decides about its SrcRef. This user accepts. For a user who
	// rejects, use request.Reject(1).
	back, err := client.EncodeCallback(r.Context(), request.Accept())
	return back.Location(), err
}
