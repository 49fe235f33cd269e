"""What the tests of `deploy/` share: the service, certificates, Envoy, and a client that calls at a fixed rate."""
