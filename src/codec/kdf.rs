//! The two key derivations. The salt is the date as received; it is never parsed and written again.

use std::{ops::Deref, sync::Arc};

use pbkdf2_lanes::hmac_sha256;
use sha2::Sha256;
use zeroize::Zeroizing;

/// A 256-bit AES key, zeroed when its last owner drops it. It stays in memory where it was derived: a value that moves
/// through channels, caches and futures leaves a copy in each.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Arc<Zeroizing<[u8; 32]>>);

impl Key {
    /// A key of these bytes. The caller zeroes its own copies.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self::written_by(|key| *key = bytes)
    }

    /// A key that `write` writes directly to its final place.
    #[expect(clippy::expect_used, reason = "an unwritten key would be zeros")]
    pub(crate) fn written_by(write: impl FnOnce(&mut [u8; 32])) -> Self {
        let mut key = Arc::new(Zeroizing::new([0; 32]));
        write(Arc::get_mut(&mut key).expect("a new key has one owner"));
        Self(key)
    }
}

impl Deref for Key {
    type Target = [u8; 32];

    fn deref(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The iterations of `pbkdf2` (guidelines v1.0.0 to v1.5.0).
pub const PBKDF2_ROUNDS: u32 = 65_536;

/// `HKDF-SHA256(IKM = secret, salt = date, info = "", L = 32)`, RFC 5869. Under a microsecond. `date` is bytes, since
/// published vectors have salts of any bytes.
pub fn hkdf(secret: &[u8], date: &(impl AsRef<[u8]> + ?Sized)) -> Key {
    extract_and_expand(secret, date.as_ref(), b"\x01")
}

/// `HKDF-SHA256(IKM = key, salt = "", info = "aa-redirect v1 mac", L = 32)`: the key of the tag.
pub(super) fn mac_key(key: &Key) -> Key {
    extract_and_expand(&key[..], b"", b"aa-redirect v1 mac\x01")
}

/// The first 32 bytes of HKDF. They need one step of its expansion, whose text is the info and the byte 1.
fn extract_and_expand(ikm: &[u8], salt: &[u8], info_1: &[u8]) -> Key {
    let mut extracted = Zeroizing::new([0; 32]);
    hmac_sha256(salt, ikm, &mut extracted);
    Key::written_by(|key| hmac_sha256(&extracted[..], info_1, key))
}

/// `PBKDF2-HMAC-SHA256(P = secret, S = date, c = 65,536, dkLen = 32)`, RFC 8018. 6 to 16 ms: never on an async thread.
pub fn pbkdf2(secret: &[u8], date: &str) -> Key {
    Key::written_by(|key| pbkdf2::pbkdf2_hmac::<Sha256>(secret, date.as_bytes(), PBKDF2_ROUNDS, key))
}
