//! The parts of a message that the search needs, of any length.

use base64::{
    Engine, alphabet,
    engine::{
        DecodePaddingMode,
        general_purpose::{GeneralPurpose, GeneralPurposeConfig},
    },
};
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use crate::codec::{
    base64::from_hexadecimal,
    cipher::BLOCK,
    date::WireDate,
    url::{self, Leg, Value},
};

/// Reads the output of any encoder.
const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The parts of a message.
pub(super) struct Material {
    pub(super) leg: Leg,
    /// The characters of the date that are salt and mask: without outer blanks, with the leading zero that it may have
    /// lost.
    pub(super) date: String,
    /// What `fi` decodes to, still masked; its characters if it is no Base64.
    pub(super) fi: Vec<u8>,
    /// The IV, if it has the length of one.
    pub(super) iv: Option<[u8; BLOCK]>,
    /// The IV, of any length.
    pub(super) iv_bytes: Option<Vec<u8>>,
    pub(super) ciphertext: Vec<u8>,
    /// What was wrong with the encoding of the ciphertext, which is undone.
    pub(super) encoded_twice: Option<&'static str>,
}

impl Material {
    /// The parts of the message at `url`; `None` if its parameters cannot be read at all.
    pub(super) fn of(url: &str, leg: Leg) -> Option<Self> {
        let (parameters, _) = url::read(url, leg).ok()?;
        let date = plain(parameters.date).trim().to_owned();
        let (ciphertext, encoded_twice) = once(decoded(parameters.message)?);
        let iv_bytes = parameters.iv.and_then(decoded);
        Some(Self {
            leg,
            date: WireDate::parse(&date).map_or(date, |date| date.text().to_owned()),
            fi: decoded(parameters.fi).unwrap_or_else(|| plain(parameters.fi).into_bytes()),
            iv: iv_bytes.as_deref().and_then(|iv| iv.try_into().ok()),
            iv_bytes,
            ciphertext,
            encoded_twice,
        })
    }
}

/// The ciphertext in `bytes`, and what was wrong if it was encoded once more.
fn once(bytes: Vec<u8>) -> (Vec<u8>, Option<&'static str>) {
    let inner = std::str::from_utf8(&bytes).ok().filter(|text| text.len() >= BLOCK).and_then(|text| {
        let hexadecimal = from_hexadecimal(text).map(|inner| (inner, "its ciphertext is hexadecimal, and then Base64"));
        hexadecimal.or_else(|| Some((any_base64(text)?, "its ciphertext is Base64 twice")))
    });
    inner.map_or((bytes, None), |(inner, wrong)| (inner, Some(wrong)))
}

/// A value without its percent-encoding, however often it was encoded.
fn plain(value: Value<'_>) -> String {
    let mut text = value.text.to_owned();
    for _ in 0..8 {
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded == text {
            break;
        }
        text = decoded;
    }
    text
}

/// The bytes of a value: Base64 of any alphabet and padding, or hexadecimal.
fn decoded(value: Value<'_>) -> Option<Vec<u8>> {
    let text = plain(value);
    if text.len() >= 2 * BLOCK && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return from_hexadecimal(&text);
    }
    // One character alone at the end has no byte: the text was cut there.
    any_base64(&text).or_else(|| any_base64(text.get(..text.len().checked_sub(1)?)?))
}

/// The bytes of Base64 of any alphabet and padding.
pub(super) fn any_base64(text: &str) -> Option<Vec<u8>> {
    // The text may be a secret: no copy stays behind.
    let mut usual = Zeroizing::new(String::with_capacity(text.len()));
    usual.extend(text.chars().filter(|c| !matches!(c, '\r' | '\n')).map(|c| match c {
        '-' | ' ' => '+',
        '_' => '/',
        other => other,
    }));
    TOLERANT.decode(&*usual).ok()
}
