//! Base64 (RFC 4648): written strictly, and read as real senders write it, with a report of each repair.

use std::borrow::Cow;

use base64::{
    Engine, alphabet,
    engine::{
        DecodePaddingMode,
        general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD, URL_SAFE, URL_SAFE_NO_PAD},
    },
};

use super::{Deviation, scan::holds, url::Value};

/// The standard alphabet with or without padding. Trailing bits must be zero.
const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The alphabet of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// `+` and `/`: `fi`, `iv`, `requestorType`.
    Standard,
    /// `-` and `_`: `ecreq`, `ecres`.
    UrlSafe,
}

/// `bytes` in the standard alphabet, padded.
pub fn standard(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// `bytes` in lower-case hexadecimal digits.
pub fn to_hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

/// The bytes that hexadecimal digits of either case write; `None` for anything else.
pub fn from_hexadecimal(digits: &str) -> Option<Vec<u8>> {
    // `from_str_radix` would take a sign.
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

/// `bytes` in the URL-safe alphabet.
pub fn url_safe(bytes: &[u8], padding: bool) -> String {
    if padding { URL_SAFE.encode(bytes) } else { URL_SAFE_NO_PAD.encode(bytes) }
}

/// Reads a parameter that should be in `alphabet`, and reports each repair. `None` if no repair gives Base64 that
/// `accept` takes.
///
/// The repairs come in this order: decode percent escapes, and again while a `%` is left; drop line ends; read each
/// blank as `+`. If that does not give acceptable Base64, drop outer blanks instead.
pub(super) fn read<T>(
    value: Value<'_>,
    alphabet: Alphabet,
    mut accept: impl FnMut(Vec<u8>) -> Option<T>,
) -> Option<(T, Vec<Deviation>)> {
    let mut repairs = Vec::new();
    if value.from_url && holds(value.text, b'+') {
        repairs.push(Deviation::PlusAsSpace);
    }
    let (mut bytes, twice) = value.decoded();
    if twice {
        repairs.push(Deviation::DoubleEncoded);
    }
    // The form that a correct sender writes.
    let strict = match alphabet {
        Alphabet::Standard => STANDARD.decode(&bytes),
        Alphabet::UrlSafe => URL_SAFE.decode(&bytes),
    };
    if let Some(accepted) = strict.ok().and_then(&mut accept) {
        return Some((accepted, repairs));
    }
    if bytes.iter().any(|&byte| is_line_end(byte)) {
        repairs.push(Deviation::Whitespace);
        bytes = Cow::Owned(bytes.iter().filter(|&&byte| !is_line_end(byte)).copied().collect());
    }
    let tolerant = decode(&bytes, alphabet, &mut accept).or_else(|| {
        let trimmed = bytes.trim_ascii();
        repairs.push(Deviation::Whitespace);
        if trimmed.len() < bytes.len() { decode(trimmed, alphabet, &mut accept) } else { None }
    });
    let (accepted, found) = tolerant?;
    repairs.extend(found);
    Some((accepted, repairs))
}

/// The characters of `value` without blanks, if all of them are hexadecimal digits.
pub(super) fn hexadecimal(value: Value<'_>) -> Option<String> {
    // An escape is a `%` and hexadecimal digits. For nearly all Base64 one of the first characters already says no.
    let may_be = |byte: u8| byte.is_ascii_hexdigit() || byte == b'%' || byte.is_ascii_whitespace();
    if !value.text.bytes().all(may_be) {
        return None;
    }
    let (bytes, _) = value.decoded();
    let digits = bytes.trim_ascii();
    digits.iter().all(u8::is_ascii_hexdigit).then(|| digits.iter().copied().map(char::from).collect())
}

/// The number of Base64 symbols in `value`, if the rest is only padding, blanks and a cut escape at the end.
pub(super) fn symbols(value: Value<'_>) -> Option<usize> {
    let (bytes, _) = value.decoded();
    let mut rest = bytes.trim_ascii();
    if let [before @ .., b'%'] | [before @ .., b'%', _] = rest {
        rest = before;
    }
    while let [before @ .., b'='] = rest {
        rest = before;
    }
    let is_symbol = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_ ".contains(byte);
    let mut symbols = rest.iter().filter(|&&byte| !is_line_end(byte));
    symbols.clone().all(is_symbol).then(|| symbols.by_ref().count())
}

/// Decodes `bytes` with each blank as a `+`, in either alphabet, padded or not.
fn decode<T>(
    bytes: &[u8],
    alphabet: Alphabet,
    accept: impl FnMut(Vec<u8>) -> Option<T>,
) -> Option<(T, Vec<Deviation>)> {
    let mut foreign = false;
    let standard: Vec<u8> = bytes
        .iter()
        .map(|&byte| {
            let symbol = if byte == b' ' { b'+' } else { byte };
            foreign |= match alphabet {
                Alphabet::Standard => matches!(symbol, b'-' | b'_'),
                Alphabet::UrlSafe => matches!(symbol, b'+' | b'/'),
            };
            match symbol {
                b'-' => b'+',
                b'_' => b'/',
                other => other,
            }
        })
        .collect();
    let repairs = [
        (foreign, Deviation::Base64Alphabet),
        (!standard.len().is_multiple_of(4), Deviation::Base64Unpadded),
        (bytes.contains(&b' '), Deviation::PlusAsSpace),
    ];
    let accepted = TOLERANT.decode(standard).ok().and_then(accept)?;
    Some((accepted, repairs.into_iter().filter(|(seen, _)| *seen).map(|(_, repair)| repair).collect()))
}

/// Line ends, and the tabs of folded lines.
fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | b'\t')
}
