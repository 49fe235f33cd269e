"""The messages of `aa.redirect.v1`, generated from the proto by `clients/python/run`. Not part of the interface."""
