//! The two key derivations. Salt is the date as it was received, never parsed and written again.

use std::{ops::Deref, sync::Arc};

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// A 256-bit AES key, zeroed when its last owner drops it. It stays where it was derived: a value that moved through
/// channels, caches and futures would leave a copy behind in each.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Key(Arc<Zeroizing<[u8; 32]>>);

impl Key {
    /// A key of these bytes, whose other copies are the caller's business.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self::written_by(|key| *key = bytes)
    }

    /// The key that `write` writes to the place where it stays.
    pub(crate) fn written_by(write: impl FnOnce(&mut [u8; 32])) -> Self {
        let mut key = Self::default();
        // Nobody shares it yet.
        if let Some(bytes) = Arc::get_mut(&mut key.0) {
            write(bytes);
        }
        key
    }
}

impl Deref for Key {
    type Target = [u8; 32];

    fn deref(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Rounds of `pbkdf2` (guidelines v1.0.0 to v1.5.0).
pub const PBKDF2_ROUNDS: u32 = 65_536;

/// `HKDF-SHA256(IKM = secret, salt = date, info = "", L = 32)`, RFC 5869. Under a microsecond. Published vectors have salts
/// of any bytes.
pub fn hkdf(secret: &[u8], date: &(impl AsRef<[u8]> + ?Sized)) -> Key {
    Key::written_by(|key| {
        let expanded = Hkdf::<Sha256>::new(Some(date.as_ref()), secret).expand(&[], key);
        debug_assert!(expanded.is_ok(), "32 bytes are less than 255 blocks");
    })
}

/// `PBKDF2-HMAC-SHA256(P = secret, S = date, c = 65,536, dkLen = 32)`, RFC 8018. 6 to 16 ms: never on an async thread.
pub fn pbkdf2(secret: &[u8], date: &str) -> Key {
    Key::written_by(|key| pbkdf2::pbkdf2_hmac::<Sha256>(secret, date.as_bytes(), PBKDF2_ROUNDS, key))
}
