// Command fiu is an FIU's backend in two steps, which are two HTTP handlers in a real one. It prints the URL that the user's
// browser is sent to, reads the URL with which the browser comes back from standard input, and prints what became of it.
//
//	fiu [address of the redirect service]
package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"aa-redirect/tests/interop/go/example/redirects"
	"aa-redirect/tests/interop/go/gen/redirectv1"
)

const fiuID = "fiu@sandbox"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, redirects.Explain(err))
		os.Exit(1)
	}
}

func run() error {
	address := cmp.Or(append(os.Args, "")[1], os.Getenv("AA_REDIRECT_ADDRESS"), "127.0.0.1:50051")
	connection, err := redirects.Dial(address)
	if err != nil {
		return err
	}
	defer connection.Close()
	client := redirectv1.NewRedirectServiceClient(connection)

	url, txnid, err := sendToAA(client)
	if err != nil {
		return err
	}
	fmt.Println(url) // http.Redirect in a real backend: the URL is the user's secret and belongs in no log

	callbackURL, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return fmt.Errorf("no callback URL on standard input: %w", err)
	}
	return comeBack(client, strings.TrimSuffix(callbackURL, "\n"), txnid)
}

// sendToAA seals the redirect. The handle of the user id, `alpha`, picks the AA.
func sendToAA(client redirectv1.RedirectServiceClient) (url, txnid string, err error) {
	// A user waits: better an error page after two seconds than a spinner.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	sealed, err := redirects.Call(ctx, client.EncodeRedirect, &redirectv1.EncodeRedirectRequest{
		FiuId: fiuID,
		Redirect: &redirectv1.Redirect{
			// No txnid: the service makes one.
			Sessionid: "loan-4711",
			Userid:    "9999988888@alpha",
			Redirect:  "https://app.fiu.example/aa/return?loan=4711",
			Srcref:    []string{"c1a0bd12-5e4b-4a0a-8a2e-0f1d2c3b4a59"}, // the consent handle
		},
		RequestorType: redirectv1.RequestorType_REQUESTOR_TYPE_FIU,
	})
	if err != nil {
		return "", "", err
	}
	// Keep the txnid with the user's session: only its own callback may end it.
	return sealed.Url, sealed.Txnid, nil
}

// comeBack opens the callback and says what the user decided.
func comeBack(client redirectv1.RedirectServiceClient, callbackURL, txnid string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	opened, err := redirects.Call(ctx, client.DecodeCallback, &redirectv1.DecodeCallbackRequest{
		FiuId:  fiuID,
		Source: &redirectv1.DecodeCallbackRequest_Url{Url: callbackURL},
	})
	if err != nil {
		return err
	}
	// The format proves no origin, and the service remembers nothing: act on a txnid of this session only, and once.
	// Whoever keeps used ones may forget them after opened.ReplayUntil.
	if opened.Callback.Txnid != txnid {
		return fmt.Errorf("a callback of another session: %s", opened.Callback.Txnid)
	}
	if len(opened.Deviations) > 0 {
		fmt.Fprintln(os.Stderr, "tell the AA:", opened.Deviations)
	}
	if opened.Callback.Status == redirectv1.CallbackStatus_CALLBACK_STATUS_SUCCESS {
		fmt.Println("consent given:", strings.Join(opened.Callback.Srcref, " "))
	} else {
		fmt.Println("no consent:", opened.ErrorMessage)
	}
	return nil
}
