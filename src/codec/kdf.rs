//! The two key derivations. Salt is the date as it was received, never parsed and written again.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// A 256-bit AES key that is zeroed when dropped.
pub type Key = Zeroizing<[u8; 32]>;

/// Rounds of `pbkdf2` (guidelines v1.0.0 to v1.5.0).
pub const PBKDF2_ROUNDS: u32 = 65_536;

/// `HKDF-SHA256(IKM = secret, salt = date, info = "", L = 32)`, RFC 5869. Under a microsecond. Published vectors have salts
/// of any bytes.
pub fn hkdf(secret: &[u8], date: &(impl AsRef<[u8]> + ?Sized)) -> Key {
    let mut key = Key::default();
    let expanded = Hkdf::<Sha256>::new(Some(date.as_ref()), secret).expand(&[], key.as_mut());
    debug_assert!(expanded.is_ok(), "32 bytes are less than 255 blocks");
    key
}

/// `PBKDF2-HMAC-SHA256(P = secret, S = date, c = 65,536, dkLen = 32)`, RFC 8018. 6 to 16 ms: never on an async thread.
pub fn pbkdf2(secret: &[u8], date: &str) -> Key {
    let mut key = Key::default();
    pbkdf2::pbkdf2_hmac::<Sha256>(secret, date.as_bytes(), PBKDF2_ROUNDS, key.as_mut());
    key
}
