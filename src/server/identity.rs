//! Who makes a call, as far as its credentials prove it.

use std::{fmt::Write, sync::Arc};

use http::{HeaderMap, header::AUTHORIZATION};
use sha2::{Digest, Sha256};

use crate::{
    callers::{self, Caller, Callers, San},
    service::error::CallerHint,
};

/// Names of a certificate that are told at most.
const MAX_NAMES: usize = 4;

/// The other end of a connection.
pub(super) struct Peer {
    /// Whether nobody between can read what it sends: TLS, a Unix socket, or this machine.
    pub(super) private: bool,
    /// Whether it is a mesh's proxy whose word on the caller counts.
    pub(super) trusted: bool,
    /// Whether it proved to hold a certificate.
    pub(super) certified: bool,
    /// The names in that certificate.
    pub(super) sans: Vec<San>,
}

/// A caller that is not known: the likely mistake, and what it presented.
pub(super) struct Unknown {
    pub(super) hint: CallerHint,
    /// For the log: the names of a certificate, or the SHA-256 of a token, as the callers file would have them.
    pub(super) presented: Option<String>,
}

/// The caller that a call's credentials prove: the certificate's if one fits, else what a mesh's proxy forwards, else a
/// bearer token if nobody between can have read it.
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

/// The SHA-256 of a token, as `token_sha256` of the callers file has it.
fn digest(token: &[u8]) -> String {
    Sha256::digest(token).iter().fold("token_sha256 ".to_owned(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The names of a certificate, as `san` of the callers file has them: their form admits nothing that a log could break on.
fn names(sans: &[San]) -> Option<String> {
    fn text(san: &San) -> &str {
        match san {
            San::Dns(name) | San::Spiffe(name) => name,
        }
    }
    let names: Vec<&str> = sans.iter().take(MAX_NAMES).map(text).collect();
    if names.is_empty() { None } else { Some(format!("san {}", names.join(" "))) }
}
