//! Who may call: callers by their client certificate or bearer token, and what each of them may use.

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

use crate::files::{
    ReadFile,
    problem::{Problem, Refused},
    read_file,
    reload::Reloaded,
};

mod file;
pub mod forwarded;
mod rpc;
mod san;

pub use rpc::Rpc;
pub use san::{San, peer_sans};

/// Callers that are served while their file changes.
pub type Served = Reloaded<Callers>;

/// Headers that carry credentials in no form that is known; such a caller is unknown.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the headers that carry credentials are malformed")]
pub struct Malformed;

/// Somebody who may call.
pub struct Caller {
    /// For logs; 1 to 128 bytes without control characters, and no other caller's.
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

    /// Whether the caller may use, or learn of, the pairing of these two.
    pub fn may_use(&self, fiu: &str, aa: &str) -> bool {
        self.fiu.as_ref().is_none_or(|ids| ids.contains(fiu)) && self.aa.as_ref().is_none_or(|ids| ids.contains(aa))
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Caller").field(&self.name).finish()
    }
}

/// Everybody who may call.
#[derive(Default)]
pub struct Callers {
    by_san: HashMap<San, Arc<Caller>>,
    /// Each with the SHA-256 of its token.
    by_token: Vec<([u8; 32], Arc<Caller>)>,
}

impl Callers {
    /// Reads the callers file at `path`. Beside the callers come warnings.
    ///
    /// # Errors
    /// Everything that makes the file unfit, at once.
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

    /// The caller whose certificate has `sans`: that of the first one which is any caller's.
    pub fn by_sans(&self, sans: &[San]) -> Option<&Arc<Caller>> {
        sans.iter().find_map(|san| self.by_san.get(san))
    }

    /// The caller with this bearer token. How long this takes does not tell how much of a token was right.
    pub fn by_token(&self, token: &[u8]) -> Option<&Arc<Caller>> {
        let given = Sha256::digest(token);
        // Every caller is compared, whichever fits.
        self.by_token.iter().fold(
            None,
            |found, (sha256, caller)| {
                if bool::from(sha256.as_slice().ct_eq(&given)) { Some(caller) } else { found }
            },
        )
    }
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_san.values().chain(self.by_token.iter().map(|(_, caller)| caller))).finish()
    }
}

/// The bearer token of a call (RFC 6750, 2.1); none where it has no `authorization`.
///
/// Whether the connection is one that a token may travel on (TLS, a Unix socket, loopback) is for the server to see.
///
/// # Errors
/// For several `authorization` headers, another scheme, or no token behind it.
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
    fn a_token_stands_behind_the_word_bearer_in_the_only_authorization() {
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
