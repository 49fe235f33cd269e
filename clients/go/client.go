package redirect

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	redirectv1 "aa/redirect/v1"
)

// Version is that of this package and of the service that it was built with.
const Version = "0.1.0"

// Client calls the service. It is safe for concurrent use; make one for the process, and close it at the end.
//
// Each call has one deadline: that of its context, or Options.Timeout if the context has none. A call has up to 3 tries
// inside its deadline. It tries again after ReasonNotReady, ReasonStoreUnavailable and ReasonUnreachable, with a wait of 50
// ms that doubles up to 500 ms, and after ReasonOverloaded, with the wait that the service names. It never tries again
// after another reason. A decode carries a random attempt id, the same in all its tries, so that after a lost answer the
// next try does not count as a second opening.
type Client struct {
	connection   *grpc.ClientConn // nil if the caller brings the connection
	service      redirectv1.RedirectServiceClient
	token        func(context.Context) (string, error) // nil: no token
	timeout      time.Duration
	onDeviations func(context.Context, DeviationReport)
}

// NewClient checks the options and opens no connection yet: the first call does.
func NewClient(options Options) (*Client, error) {
	if err := options.check(); err != nil {
		return nil, err
	}
	connection, err := options.dial()
	if err != nil {
		return nil, fmt.Errorf("redirect: %w", err)
	}
	client := NewClientOn(connection, options)
	client.connection, client.token = connection, options.TokenSource
	if token := options.Token; token != "" {
		client.token = func(context.Context) (string, error) { return token, nil }
	}
	return client, nil
}

// NewClientOn uses a connection that the caller made and closes, such as one to an in-process server in a test. It uses
// only the options Timeout and OnDeviations.
func NewClientOn(connection grpc.ClientConnInterface, options Options) *Client {
	client := &Client{
		service: redirectv1.NewRedirectServiceClient(connection), timeout: options.Timeout, onDeviations: options.OnDeviations,
	}
	if client.timeout == 0 {
		client.timeout = defaultTimeout
	}
	return client
}

// Close ends the connections. Calls in flight fail with ReasonCancelled.
func (c *Client) Close() error {
	if c.connection == nil {
		return nil
	}
	return c.connection.Close()
}

// Format writes a fixed text for every verb.
func (*Client) Format(state fmt.State, _ rune) { show(state, "redirect.Client") }

// EncodeRedirect seals what an FIU asks an AA for. Called by an FIU, before the user leaves.
func (c *Client) EncodeRedirect(ctx context.Context, request EncodeRedirectRequest) (SealedRedirect, error) {
	message, err := request.proto()
	if err != nil {
		return SealedRedirect{}, err
	}
	answer, err := call(ctx, c, "EncodeRedirect", message, c.service.EncodeRedirect)
	sent := Expected{
		TxnID: answer.GetTxnid(), SessionID: request.Redirect.SessionID, UserID: request.Redirect.UserID, AA: request.AA,
	}
	return SealedRedirect{keep(answer), keep(&sent)}, err
}

// DecodeRedirect opens the redirect that a browser brought. Called by an AA.
func (c *Client) DecodeRedirect(ctx context.Context, request DecodeRedirectRequest) (OpenedRedirect, error) {
	message, err := request.proto()
	if err != nil {
		return OpenedRedirect{}, err
	}
	answer, err := call(ctx, c, "DecodeRedirect", message, c.service.DecodeRedirect)
	opened := OpenedRedirect{keep(answer)}
	if err == nil {
		c.report(ctx, DeviationReport{"DecodeRedirect", opened.FIU(), opened.AA(), opened.Deviations()})
	}
	return opened, err
}

// EncodeCallback seals the outcome for the user's way back. Called by an AA.
func (c *Client) EncodeCallback(ctx context.Context, request EncodeCallbackRequest) (SealedCallback, error) {
	message, err := request.proto()
	if err != nil {
		return SealedCallback{}, err
	}
	answer, err := call(ctx, c, "EncodeCallback", message, c.service.EncodeCallback)
	return SealedCallback{keep(answer)}, err
}

// DecodeCallback opens the callback that a browser brought back, and the service compares it with what was sent:
// expectation is an [Expected] or a [NotCompared]. Called by an FIU.
func (c *Client) DecodeCallback(
	ctx context.Context, request DecodeCallbackRequest, expectation Expectation,
) (OpenedCallback, error) {
	message, err := request.proto(expectation)
	if err != nil {
		return OpenedCallback{}, err
	}
	answer, err := call(ctx, c, "DecodeCallback", message, c.service.DecodeCallback)
	opened := OpenedCallback{keep(answer)}
	if err == nil {
		err = compare(message.Expected, answer)
	}
	if err != nil {
		return OpenedCallback{}, err
	}
	c.report(ctx, DeviationReport{"DecodeCallback", opened.FIU(), opened.AA(), opened.Deviations()})
	return opened, nil
}

// Pairings are those of the server that the caller may use, ordered by FIU and AA. They come in pages, one call for
// each page; an error ends the sequence.
func (c *Client) Pairings(ctx context.Context) iter.Seq2[Pairing, error] {
	return func(yield func(Pairing, error) bool) {
		request := &redirectv1.ListPairingsRequest{}
		for {
			page, err := call(ctx, c, "ListPairings", request, c.service.ListPairings)
			if err != nil {
				yield(Pairing{}, err)
				return
			}
			for _, pairing := range page.GetPairings() {
				if !yield(pairingOf(pairing), nil) {
					return
				}
			}
			if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
				return
			}
		}
	}
}

// compare repeats the comparison of the service: an older service that does not know the field `expected` opens any
// callback.
func compare(expected *redirectv1.ExpectedCallback, answer *redirectv1.DecodeCallbackResponse) error {
	if expected == nil {
		return nil
	}
	var differ []string
	for _, field := range []struct{ name, want, got string }{
		{"txnid", expected.Txnid, answer.GetCallback().GetTxnid()},
		{"sessionid", expected.Sessionid, answer.GetCallback().GetSessionid()},
		{"userid", expected.Userid, answer.GetCallback().GetUserid()},
		{"aa_id", cmp.Or(expected.AaId, answer.GetAaId()), answer.GetAaId()},
	} {
		if field.want != field.got {
			differ = append(differ, field.name)
		}
	}
	if len(differ) == 0 {
		return nil
	}
	fields := strings.Join(differ, ", ")
	return &Error{
		Reason: ReasonNotExpected, Code: codes.FailedPrecondition, Method: "DecodeCallback", Tries: 1,
		Message:  "the callback opens, but is not the expected one: " + fields + " differ",
		Metadata: map[string]string{"fields": fields, "fiu_id": answer.GetFiuId(), "aa_id": answer.GetAaId()},
	}
}

func (c *Client) report(ctx context.Context, report DeviationReport) {
	if c.onDeviations != nil && len(report.Deviations) > 0 {
		c.onDeviations(ctx, report)
	}
}
