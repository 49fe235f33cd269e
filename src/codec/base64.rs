//! Base64 (RFC 4648): written strictly, read as real senders write it, with what was repaired.

use std::borrow::Cow;

use base64::{
    Engine, alphabet,
    engine::{
        DecodePaddingMode,
        general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD, URL_SAFE, URL_SAFE_NO_PAD},
    },
};

use super::{Deviation, Deviations, url::Value};

/// The standard alphabet with or without padding; trailing bits must be zero.
const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Which alphabet a parameter is written with.
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

/// `bytes` in the URL-safe alphabet.
pub fn url_safe(bytes: &[u8], padding: bool) -> String {
    if padding { URL_SAFE.encode(bytes) } else { URL_SAFE_NO_PAD.encode(bytes) }
}

/// Reads a parameter that should be in `alphabet` and decode to what `accept` takes; what was repaired is added to
/// `deviations`. `None` where no repair makes it so.
///
/// The order: percent-decoding, again while `%` is left; line ends dropped; each blank is a `+`; where that is no Base64
/// of something acceptable, outer blanks are dropped instead.
pub fn read<T>(
    value: Value<'_>,
    alphabet: Alphabet,
    mut accept: impl FnMut(Vec<u8>) -> Option<T>,
    deviations: &mut Deviations,
) -> Option<T> {
    let mut found = Deviations::default();
    found.note(Deviation::PlusAsSpace, value.from_url && value.text.contains('+'));
    let mut bytes = value.decoded(&mut found);
    // What a careful sender writes.
    let strict = match alphabet {
        Alphabet::Standard => STANDARD.decode(&bytes),
        Alphabet::UrlSafe => URL_SAFE.decode(&bytes),
    };
    if let Some(accepted) = strict.ok().and_then(&mut accept) {
        deviations.extend(found);
        return Some(accepted);
    }
    if bytes.iter().any(|&byte| is_line_end(byte)) {
        found.note(Deviation::Whitespace, true);
        bytes = Cow::Owned(bytes.iter().copied().filter(|&byte| !is_line_end(byte)).collect());
    }
    let accepted = decode(&bytes, alphabet, &mut accept, &mut found).or_else(|| {
        let trimmed = bytes.trim_ascii();
        found.note(Deviation::Whitespace, true);
        if trimmed.len() < bytes.len() { decode(trimmed, alphabet, &mut accept, &mut found) } else { None }
    })?;
    deviations.extend(found);
    Some(accepted)
}

/// Decodes `bytes` with each blank as a `+`, in either alphabet, padded or not.
fn decode<T>(
    bytes: &[u8],
    alphabet: Alphabet,
    accept: impl FnMut(Vec<u8>) -> Option<T>,
    deviations: &mut Deviations,
) -> Option<T> {
    let mut found = Deviations::default();
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
    found.note(Deviation::Base64Alphabet, foreign);
    found.note(Deviation::Base64Unpadded, !standard.len().is_multiple_of(4));
    found.note(Deviation::PlusAsSpace, bytes.contains(&b' '));
    let accepted = TOLERANT.decode(standard).ok().and_then(accept)?;
    deviations.extend(found);
    Some(accepted)
}

/// Line ends, and the tabs that fold a line.
fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | b'\t')
}
