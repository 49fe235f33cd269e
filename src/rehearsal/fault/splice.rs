//! Joins the first block of one message with the blocks of another. This needs no key: the sender of the other message
//! knows its text, and computes offline the block at the seam.

use ::base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::codec::{
    self, Parties, Seal, Sealed, base64, cipher,
    kdf::Key,
    profile::{Conventions, Scheme},
    url::Leg,
};

use super::Impossible;

/// The most messages that an attacker tries to join.
const TRIES: usize = 100_000;
const BLOCK: usize = cipher::BLOCK;
/// The beginning of the text of every message.
const FRONT: &str = "txnid=";
/// The characters of a `txnid` here: they need no escape.
const FILLER: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~:/@?|{}!*";

/// The message that begins with the first block of `sealed` and goes on with the members of `text` behind its `txnid`.
///
/// # Errors
/// If no seam is text after many tries.
#[expect(clippy::expect_used, reason = "every text has a txnid and more members")]
pub(super) fn spliced(
    mut sealed: Sealed,
    text: &str,
    key: &Key,
    (leg, parties): (Leg, Parties<'_>),
    conventions: &Conventions,
) -> Result<Sealed, Impossible> {
    let first = decoded(&sealed.message);
    let (_, rest) = text.split_once('&').expect("a text has several members");
    let hkdf = conventions.profile.scheme == Scheme::HkdfIv;
    for _ in 0..TRIES {
        let iv: [u8; BLOCK] = if hkdf { rand::random() } else { [0; BLOCK] };
        let mut block = FRONT.as_bytes().to_vec();
        block.extend(rand::random::<[u8; BLOCK - FRONT.len()]>().map(|byte| FILLER[usize::from(byte) % FILLER.len()]));
        let own = cipher::encrypt(key, &iv, block.clone());
        let mask: [u8; BLOCK] = std::array::from_fn(|at| own[at] ^ first[at]);
        let Some(filler) = filler(&mask) else { continue };
        block.extend(filler);
        let other = [String::from_utf8_lossy(&block).as_ref(), "&", rest].concat();
        let seal = Seal { leg, parties, requestor_type: None, date: sealed.date.clone(), key, random_iv: iv };
        let other = decoded(&codec::seal(Zeroizing::new(other), seal, conventions).message);
        sealed.message = base64::url_safe(&[&first[..BLOCK], &other[BLOCK..]].concat(), conventions.padding);
        return Ok(sealed);
    }
    Err(Impossible("no seam was text after many tries: try again"))
}

#[expect(clippy::expect_used, reason = "the codec has just written it")]
fn decoded(message: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(message.trim_end_matches('=')).expect("the URL-safe alphabet")
}

/// A block of characters that is text both before and after XOR with `mask`. If a byte of `mask` has its high bit set,
/// a letter of two bytes stands there. `None` if there is no such block.
fn filler(mask: &[u8; BLOCK]) -> Option<[u8; BLOCK]> {
    let pick = |mask: u8, fits: fn(u8) -> bool| FILLER.iter().copied().find(|byte| fits(byte ^ mask));
    // Without separators, escapes and blanks.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b'/');
    let mut filler = [0; BLOCK];
    let mut at = 0;
    while at < BLOCK {
        if mask[at] < 0x80 {
            filler[at] = pick(mask[at], plain)?;
            at += 1;
        } else {
            // U+0080 to U+00BF begin with 0xC2: half of them are control characters.
            filler[at] = pick(mask[at], |byte| (0xc3..=0xdf).contains(&byte))?;
            filler[at + 1..].first()?;
            filler[at + 1] = pick(mask[at + 1], |byte| (0x80..=0xbf).contains(&byte))?;
            at += 2;
        }
    }
    Some(filler)
}
