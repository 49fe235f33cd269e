// Package redirect calls aa-redirect, the service that seals and opens the browser redirects between a Financial
// Information User (FIU) and an Account Aggregator (AA).
//
// A [Client] holds the connections and is safe for concurrent use: make one for the process. An FIU calls
// [Client.EncodeRedirect] before the user leaves and [Client.DecodeCallback] when the user comes back; an AA calls
// [Client.DecodeRedirect] and [Client.EncodeCallback].
//
//	client, err := redirect.NewClient(redirect.Options{Addresses: []string{"127.0.0.1:50051"}})
//
// A call that fails gives an [*Error]: errors.As finds it, and its Reason says what to do. Calls have one deadline, 2
// seconds unless the context brings another, and are tried again inside it where that is safe: see [Client].
//
// What passes through here is the user's own business. Requests, results, members and options print without their
// content, in every verb of fmt, in log/slog and in JSON.
package redirect

//go:generate go tool -modfile=tools/go.mod buf generate
