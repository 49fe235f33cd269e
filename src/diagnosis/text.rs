//! Whether decrypted bytes are a message.

use crate::codec::{
    cipher::BLOCK,
    members::{self, Unreadable},
    profile::{Conventions, PROFILES},
    url::Leg,
};

/// Why `text` is not a message of `leg`.
pub(super) fn unreadable(text: &[u8], leg: Leg) -> Option<Unreadable> {
    let conventions = Conventions::of(&PROFILES[0]);
    match leg {
        Leg::Request => members::read_redirect(text, &conventions).err(),
        Leg::Callback => members::read_callback(text, &conventions).err(),
    }
}

/// Whether `text` is a message of `leg`.
pub(super) fn is_message(text: &[u8], leg: Leg) -> bool {
    unreadable(text, leg).is_none()
}

/// `bytes` without a PKCS#7 padding.
pub(super) fn unpadded(bytes: &[u8]) -> Option<&[u8]> {
    let length = usize::from(*bytes.last()?);
    let text = bytes.len().checked_sub(length).filter(|_| (1..=BLOCK).contains(&length))?;
    bytes[text..].iter().all(|&byte| usize::from(byte) == length).then(|| &bytes[..text])
}
