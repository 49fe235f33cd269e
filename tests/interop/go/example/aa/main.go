// Command aa is an AA's backend: it reads the URL that a browser brought from standard input, opens it, and prints the URL
// that leads the browser back to the FIU. The user's consent is taken for given.
//
//	aa [address of the redirect service]
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

const aaID = "alpha-aa"

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

	// Standard input, since arguments show in the list of processes.
	url, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return fmt.Errorf("no URL on standard input: %w", err)
	}
	request, err := arrive(client, strings.TrimSuffix(url, "\n"))
	if err != nil {
		return err
	}
	// Here the user logs in as request.Redirect.Userid and decides about request.Redirect.Srcref.
	back, err := sendBack(client, request)
	if err != nil {
		return err
	}
	fmt.Println(back)
	return nil
}

// arrive opens the request.
func arrive(client redirectv1.RedirectServiceClient, url string) (*redirectv1.DecodeRedirectResponse, error) {
	// A user waits: better an error page after two seconds than a spinner.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	request, err := redirects.Call(ctx, client.DecodeRedirect, &redirectv1.DecodeRedirectRequest{
		AaId:   aaID,
		Source: &redirectv1.DecodeRedirectRequest_Url{Url: url},
	})
	if err != nil {
		return nil, err
	}
	// A reloaded page brings the same txnid again, and the service remembers nothing: refuse one that has been acted upon,
	// and remember it until request.ReplayUntil.
	if len(request.Deviations) > 0 {
		fmt.Fprintln(os.Stderr, "tell the FIU:", request.Deviations)
	}
	return request, nil
}

// sendBack seals the outcome.
func sendBack(client redirectv1.RedirectServiceClient, request *redirectv1.DecodeRedirectResponse) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	sealed, err := redirects.Call(ctx, client.EncodeCallback, &redirectv1.EncodeCallbackRequest{
		FiuId: request.FiuId,
		AaId:  request.AaId,
		Callback: &redirectv1.Callback{ // what the request brought, unchanged
			Txnid:     request.Redirect.Txnid,
			Sessionid: request.Redirect.Sessionid,
			Userid:    request.Redirect.Userid,
			Status:    redirectv1.CallbackStatus_CALLBACK_STATUS_SUCCESS,
			Srcref:    request.Redirect.Srcref,
		},
		RedirectUrl: request.Redirect.Redirect,
		// The secret that opened the request: while a secret is being replaced, the FIU may have only the old one.
		SecretId: request.SecretId,
	})
	return sealed.GetUrl(), err
}
