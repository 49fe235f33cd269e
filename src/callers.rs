//! Who may call: identifies callers by client certificate or bearer token, and says what each may use.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    path::Path,
    sync::Arc,
};

use http::{HeaderMap, header::AUTHORIZATION};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::{
    codec::base64::to_hexadecimal,
    files::{
        ReadFile,
        problem::{Problem, Refused},
        read_file,
        reload::Reloaded,
    },
};

mod file;
pub mod forwarded;
mod rpc;
mod san;

pub use rpc::Rpc;
pub use san::{San, peer_sans};

/// Callers that are replaced when their file changes.
pub type Served = Reloaded<Callers>;

/// The headers with credentials are malformed, so the caller is unknown.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the headers that carry credentials are malformed")]
pub struct Malformed;

/// A backend that may call.
pub struct Caller {
    /// A unique name for logs: 1 to 128 bytes without control characters.
    pub name: Arc<str>,
    methods: Option<Vec<Rpc>>,
    fiu: Option<HashSet<String>>,
    aa: Option<HashSet<String>>,
}

impl Caller {
    /// Whether the caller may use this RPC.
    pub fn may_call(&self, rpc: Rpc) -> bool {
        self.methods.as_ref().is_none_or(|methods| methods.contains(&rpc))
    }

    /// Whether the caller may use the pairing of this FIU and AA. Callers learn nothing of other pairings.
    pub fn may_use(&self, fiu: &str, aa: &str) -> bool {
        self.fiu.as_ref().is_none_or(|ids| ids.contains(fiu)) && self.aa.as_ref().is_none_or(|ids| ids.contains(aa))
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Caller").field(&self.name).finish()
    }
}

/// All callers.
#[derive(Default)]
pub struct Callers {
    by_san: HashMap<San, Arc<Caller>>,
    /// Each with the SHA-256 of its token.
    by_token: Vec<([u8; 32], Arc<Caller>)>,
}

impl Callers {
    /// Reads the callers file at `path`. Returns the callers and warnings.
    ///
    /// # Errors
    /// All problems of the file at once.
    pub fn load(path: &Path) -> Result<(Self, Vec<Problem>), Refused> {
        Self::load_with(path, &read_file)
    }

    /// [`Callers::load`], with the file read by `read`.
    ///
    /// # Errors
    /// As for [`Callers::load`].
    pub fn load_with(path: &Path, read: &ReadFile<'_>) -> Result<(Self, Vec<Problem>), Refused> {
        file::load(path, read)
    }

    /// The caller whose certificate has `sans`. The first name that belongs to a caller decides.
    pub fn by_sans(&self, sans: &[San]) -> Option<&Arc<Caller>> {
        sans.iter().find_map(|san| self.by_san.get(san))
    }

    /// The caller with this bearer token. The time that this takes says nothing about the token.
    pub fn by_token(&self, token: &[u8]) -> Option<&Arc<Caller>> {
        let given = Sha256::digest(token);
        // Compares all callers, even after one fits.
        self.by_token.iter().fold(
            None,
            |found, (sha256, caller)| {
                if bool::from(sha256.as_slice().ct_eq(&given)) { Some(caller) } else { found }
            },
        )
    }
}

/// The SHA-256 of a bearer token, as the callers file has it.
pub fn token_sha256(token: &[u8]) -> String {
    to_hexadecimal(&Sha256::digest(token))
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_san.values().chain(self.by_token.iter().map(|(_, caller)| caller))).finish()
    }
}

/// The bearer token of a call (RFC 6750, 2.1). `None` if the call has no `authorization`.
///
/// The server checks whether a token may travel on the connection (TLS, a Unix socket, loopback).
///
/// # Errors
/// If there are several `authorization` headers, another scheme, or no token.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&[u8]>, Malformed> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let (scheme, token) = line.as_bytes().split_at_checked("Bearer ".len()).ok_or(Malformed)?;
    let token = token.trim_ascii_start();
    let fits = lines.next().is_none()
        && scheme.eq_ignore_ascii_case(b"Bearer ")
        && !token.is_empty()
        && token.iter().all(u8::is_ascii_graphic);
    if fits { Ok(Some(token)) } else { Err(Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_from_a_single_bearer_authorization() {
        let read = |lines: &[&'static str]| {
            let headers: HeaderMap = lines.iter().map(|line| (AUTHORIZATION, line.parse().unwrap())).collect();
            bearer(&headers).map(|token| token.map(<[u8]>::to_vec))
        };
        assert_eq!(read(&[]), Ok(None));
        for line in ["Bearer abc.DEF-1_~+/=", "bearer abc.DEF-1_~+/=", "BEARER   abc.DEF-1_~+/="] {
            assert_eq!(read(&[line]), Ok(Some(b"abc.DEF-1_~+/=".to_vec())), "{line}");
        }
        for line in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer\tabc",
            "Bearerabc",
            "abc",
            "Basic abcdef",
            "Bearer a b",
            "Bearer abc ",
            "é",
        ] {
            assert_eq!(read(&[line]), Err(Malformed), "{line}");
        }
        assert_eq!(read(&["Bearer abc", "Bearer abc"]), Err(Malformed));
    }
}
