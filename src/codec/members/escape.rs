//! Percent-encoding of members: written so that readers that decode and readers that do not both understand most
//! values, read by the pairing's rule for `+`.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::codec::{holds, url::RESERVED};

/// What a value cannot carry raw. Control characters include 0x7F; bytes above it are always encoded.
const VALUE: &AsciiSet = &CONTROLS.add(b'%').add(b'&').add(b'=').add(b'+').add(b'#').add(b' ');

/// Appends `value`, escaped as little as a reader needs.
pub(super) fn push_value(text: &mut String, value: &str) {
    text.extend(utf8_percent_encode(value, VALUE));
}

/// Appends the URL `value`; one with a query or a fragment is escaped whole, or a reader would take those for members.
pub(super) fn push_redirect(text: &mut String, value: &str) {
    let set = if value.contains(['?', '#']) { RESERVED } else { VALUE };
    text.extend(utf8_percent_encode(value, set));
}

/// Decodes `value`; `None` for an invalid escape or for what is no UTF-8.
pub(super) fn decode(value: &str, plus_is_space: bool) -> Option<Cow<'_, str>> {
    let raw = !holds(value, b'%') && (!plus_is_space || !holds(value, b'+'));
    if raw {
        return Some(Cow::Borrowed(value));
    }
    let mut decoded = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => nibble(bytes.next()?)? << 4 | nibble(bytes.next()?)?,
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// The value of a hexadecimal digit.
fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
