// Package redirect is the client of aa-redirect, the service that encodes and decodes the browser redirects between a
// Financial Information User (FIU) and an Account Aggregator (AA).
//
// A [Client] holds the connections and is safe for concurrent use: make one for the process. An FIU calls
// [Client.EncodeRedirect] before the user leaves and [Client.DecodeCallback] when the user comes back; an AA calls
// [Client.DecodeRedirect] and [Client.EncodeCallback].
//
//	client, err := redirect.NewClient(redirect.Options{Addresses: []string{"127.0.0.1:50051"}})
//
// A call that fails gives an [*Error]: errors.As finds it, and its Reason says what to do. A call has one deadline, 2
// seconds unless its context has another. Inside it the client tries again if that is safe: see [Client].
//
// Messages contain the user's data. So requests, results, members and options print without their content, with every verb
// of fmt, in log/slog and in JSON.
package redirect

//go:generate go tool -modfile=tools/go.mod buf generate
