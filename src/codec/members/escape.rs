//! Percent-encoding of members. The writer escapes little. So most values are right for readers that decode them and
//! for readers that do not. The decoder accepts every text with a UTF-8 result.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::codec::{scan::holds, url::RESERVED};

/// The bytes that a value cannot have raw. Control characters include 0x7F. Bytes above it are always encoded.
const VALUE: &AsciiSet = &CONTROLS.add(b'%').add(b'&').add(b'=').add(b'+').add(b'#').add(b' ');

/// Appends `value` with as few escapes as possible.
pub(super) fn push_value(text: &mut String, value: &str) {
    text.extend(utf8_percent_encode(value, VALUE));
}

/// Appends the URL `value`: raw if no part of it looks like an escape or a member, else escaped as a whole, so that a
/// raw `scheme:` always means a URL that nobody escaped.
pub(super) fn push_redirect(text: &mut String, value: &str) {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/@".contains(&byte);
    if value.bytes().all(is_plain) {
        text.push_str(value);
    } else {
        text.extend(utf8_percent_encode(value, RESERVED));
    }
}

/// A decoded text.
pub(super) struct Decoded<'a> {
    pub(super) text: Cow<'a, str>,
    /// Whether a `%` without two hexadecimal digits behind it stood for itself.
    pub(super) invalid_escape: bool,
}

/// Decodes `text` once. `None` if the result is not UTF-8.
pub(super) fn decode(text: &str) -> Option<Decoded<'_>> {
    if !holds(text, b'%') {
        return Some(Decoded { text: Cow::Borrowed(text), invalid_escape: false });
    }
    let bytes: Cow<'_, [u8]> = percent_decode_str(text).into();
    let decoded = match bytes {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).ok()?),
    };
    Some(Decoded { text: decoded, invalid_escape: has_invalid_escape(text) })
}

fn has_invalid_escape(text: &str) -> bool {
    let mut bytes = text.as_bytes();
    while let Some(at) = memchr::memchr(b'%', bytes) {
        bytes = &bytes[at + 1..];
        match bytes {
            [high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => bytes = rest,
            _ => return true,
        }
    }
    false
}
