//! Finds the caller of a call by its credentials.

use std::sync::Arc;

use http::{HeaderMap, header::AUTHORIZATION};

use crate::{
    callers::{self, Caller, Callers, San},
    service::error::CallerHint,
};

/// The most names of a certificate that a log line shows.
const MAX_NAMES: usize = 4;

/// The other end of a connection.
pub(super) struct Peer {
    /// Whether nobody on the network can read its bytes: it uses TLS or a Unix socket, or is on this machine.
    pub(super) private: bool,
    /// Whether it is the proxy of a mesh, which may name the caller.
    pub(super) trusted: bool,
    /// Whether it has proved that it holds a certificate.
    pub(super) certified: bool,
    /// The names in that certificate.
    pub(super) sans: Vec<San>,
}

/// An unknown caller: the likely mistake, and the identity that it presented.
pub(super) struct Unknown {
    pub(super) hint: CallerHint,
    /// For the log: the names of a certificate, or the SHA-256 of a token, in the form of the callers file.
    pub(super) presented: Option<String>,
}

/// The caller that a call's credentials prove: by its certificate if a caller has it, else by the identity that a
/// mesh's proxy forwards, else by a bearer token if nobody on the network can have read it.
pub(super) fn identify(callers: &Callers, peer: &Peer, headers: &HeaderMap) -> Result<Arc<Caller>, Unknown> {
    let unknown = |hint, presented| Unknown { hint, presented };
    let mut sans = peer.sans.clone();
    let mut certified = peer.certified;
    if peer.trusted {
        let forwarded = callers::forwarded::sans(headers).map_err(|_| unknown(CallerHint::UnknownCertificate, None))?;
        certified |= forwarded.is_some();
        sans.extend(forwarded.unwrap_or_default());
    }
    let mut token = None;
    if peer.private {
        token = callers::bearer(headers).map_err(|_| unknown(CallerHint::NotABearerToken, names(&sans)))?;
    }
    let caller = callers.by_sans(&sans).or_else(|| token.and_then(|token| callers.by_token(token)));
    if let Some(caller) = caller {
        return Ok(Arc::clone(caller));
    }
    let hint = match token {
        Some(_) => CallerHint::UnknownToken,
        None if !peer.private && headers.contains_key(AUTHORIZATION) => CallerHint::TokenOverPlaintext,
        None if certified => CallerHint::UnknownCertificate,
        None => CallerHint::NoCredentials,
    };
    Err(unknown(hint, token.map(digest).or_else(|| names(&sans))))
}

/// The SHA-256 of a token, named as in the callers file.
fn digest(token: &[u8]) -> String {
    format!("token_sha256 {}", callers::token_sha256(token))
}

/// The names of a certificate in the form of `san` in the callers file. That form has no character that can break a log
/// line.
fn names(sans: &[San]) -> Option<String> {
    fn text(san: &San) -> &str {
        match san {
            San::Dns(name) | San::Spiffe(name) => name,
        }
    }
    let names: Vec<&str> = sans.iter().take(MAX_NAMES).map(text).collect();
    if names.is_empty() { None } else { Some(format!("san {}", names.join(" "))) }
}
