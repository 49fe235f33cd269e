// Package interop checks the service from a Go client's side: a codec that shares no code with it seals what the service
// opens and opens what it seals, every refusal is provoked and read, and the examples run from end to end.
package interop

// buf lives in a module of its own: what it depends on stays out of this one's go.mod.
//go:generate go tool -modfile=tools/go.mod buf generate
//go:generate cp ../../../proto/aa/redirect/v1/redirect_grpc_service_config.json example/redirects/service_config.json
