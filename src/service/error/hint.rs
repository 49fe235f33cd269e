//! The likely mistake of an unknown caller.

/// The probable reason why a caller is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerHint {
    /// It sent no credentials.
    NoCredentials,
    /// `authorization` is present, but is not one header of `Bearer` and a token.
    NotABearerToken,
    /// It sent a token over a connection that others can read.
    TokenOverPlaintext,
    /// No caller has this token.
    UnknownToken,
    /// No caller has a name of this certificate.
    UnknownCertificate,
}

impl CallerHint {
    /// Its name in the metadata.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoCredentials => "NO_CREDENTIALS",
            Self::NotABearerToken => "NOT_A_BEARER_TOKEN",
            Self::TokenOverPlaintext => "TOKEN_OVER_PLAINTEXT",
            Self::UnknownToken => "UNKNOWN_TOKEN",
            Self::UnknownCertificate => "UNKNOWN_CERTIFICATE",
        }
    }

    /// What is wrong and what to do.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::NoCredentials => {
                "the call has no credentials; send a client certificate, or `authorization: Bearer` and a token"
            }
            Self::NotABearerToken => {
                "`authorization` must be one header with `Bearer` and a token; send it in that form"
            }
            Self::TokenOverPlaintext => {
                "a token is accepted only over TLS, a Unix socket or loopback, and this connection uses none of them; \
                 call over TLS, and replace this token, which others may have read"
            }
            Self::UnknownToken => {
                "its callers file has no such token; send the right one, or add `token_sha256` to the file, as the server's \
                 log shows it"
            }
            Self::UnknownCertificate => {
                "its callers file has no name of this certificate; send the right certificate, or add `san` to the file, as \
                 the server's log shows it"
            }
        }
    }
}
