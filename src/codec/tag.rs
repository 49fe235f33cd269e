//! The tag (wire format, section 8): the last member `mac`, which authenticates a message if both sides run this
//! product. Other readers see an extra member.

use ::base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{
    Parties,
    kdf::{self, Key},
    url::Leg,
};

/// The text before the tag.
const NAME: &[u8] = b"&mac=";
/// The characters of a tag: 16 bytes as Base64 without padding.
const LENGTH: usize = 22;
/// The bytes that a tag adds to a text.
pub(super) const ADDED: usize = NAME.len() + LENGTH;

/// What a tag covers, besides the text.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) leg: Leg,
    pub(super) parties: Parties<'a>,
    pub(super) date: &'a str,
}

/// `base64url(HMAC-SHA256(mac_key, leg ‖ 0 ‖ fiu ‖ 0 ‖ aa ‖ 0 ‖ date ‖ 0 ‖ text)[..16])`, RFC 2104 and RFC 4648.
#[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104)")]
fn tag(key: &Key, scope: Scope<'_>, text: &[u8]) -> String {
    let Scope { leg, parties: Parties { fiu, aa }, date } = scope;
    let leg = match leg {
        Leg::Request => "request",
        Leg::Callback => "callback",
    };
    let mut hmac = Hmac::<Sha256>::new_from_slice(&kdf::mac_key(key)[..]).expect("a key of 32 bytes");
    for part in [leg, fiu, aa, date] {
        hmac.update(part.as_bytes());
        hmac.update(&[0]);
    }
    hmac.update(text);
    URL_SAFE_NO_PAD.encode(&hmac.finalize().into_bytes()[..16])
}

/// Appends its tag to `text`.
pub(super) fn push(text: &mut String, key: &Key, scope: Scope<'_>) {
    let tag = tag(key, scope, text.as_bytes());
    text.extend(["&mac=", &tag]);
}

/// Splits `text` into the part that its tag covers, and the tag. The tag is `None` if the last piece has another form.
pub(super) fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (rest, tag) = text.split_at(text.len().checked_sub(LENGTH)?);
    let is_symbol = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    tag.iter().all(is_symbol).then_some((rest.strip_suffix(NAME)?, tag))
}

/// Whether `received` is the tag of `text`, compared in constant time.
pub(super) fn is_right(received: &[u8], key: &Key, scope: Scope<'_>, text: &[u8]) -> bool {
    tag(key, scope, text).as_bytes().ct_eq(received).into()
}
