//! The parameters of a URL (wire format, sections 1, 2 and 6).

use std::collections::{BTreeMap, BTreeSet};

use super::{Stop, Verdict, percent_decoded};

/// The parameters of a message.
#[derive(Debug, PartialEq, Eq)]
pub struct Parameters {
    pub sender: String,
    pub date: String,
    pub message: Vec<u8>,
    pub iv: Option<Vec<u8>>,
    pub requestor_type: Option<String>,
}

/// Reads a URL or a query string with or without its `?` for the request leg, or for the callback leg.
pub fn parameters(url: &str, request: bool) -> Verdict<Parameters> {
    match read(url, request) {
        Ok(parameters) => Verdict::Means(parameters, BTreeSet::new()),
        Err(stop) => stop.into(),
    }
}

fn read(url: &str, request: bool) -> Result<Parameters, Stop> {
    let (date, message) = if request { ("reqdate", "ecreq") } else { ("resdate", "ecres") };
    let (url, fragment) = url.split_once('#').unwrap_or((url, ""));
    if url.starts_with(|first: char| first.is_ascii_whitespace()) {
        return Err(Stop::Deviates);
    }
    let query = match url.split_once('?') {
        None => url,
        // The text before it may be a path or a part of a query.
        Some((before, _)) if before.contains('=') => return Err(Stop::Unsaid),
        Some((_, query)) => query,
    };
    if query.contains('?') {
        return Err(Stop::Unsaid);
    }
    let mut given = BTreeMap::new();
    for segment in query.split('&') {
        let Some((name, value)) = segment.split_once('=') else { continue };
        if name.contains('%') || name.contains(char::is_whitespace) || name.starts_with("amp;") {
            // The format does not say whether names may be escaped or have blanks around them.
            return Err(Stop::Unsaid);
        }
        let ours = |name: &str| ["fi", date, message, "iv"].contains(&name) || request && name == "requestorType";
        let in_any_case = |known: &&str| known.eq_ignore_ascii_case(name);
        if !ours(name) && ["fi", date, message, "iv", "requestorType"].iter().any(in_any_case) {
            return Err(if request || !name.eq_ignore_ascii_case("requestorType") {
                Stop::Deviates
            } else {
                Stop::Unsaid
            });
        }
        if ours(name) && given.insert(name, value).is_some_and(|first| first != value) {
            // Different escapes of one value are the same.
            return Err(Stop::Deviates);
        }
    }
    if given.is_empty() && !fragment.is_empty() {
        return Err(Stop::Deviates);
    }
    if query.split('&').filter(|segment| segment.contains('=')).count() > given.len() {
        // There are other parameters, or some come twice.
        let names = query.split('&').filter_map(|segment| segment.split_once('=')).map(|(name, _)| name);
        let repeated = names.filter(|name| given.contains_key(name)).count() > given.len();
        if repeated {
            return Err(Stop::Deviates);
        }
    }
    let required = |name: &str| given.get(name).copied().ok_or(Stop::Refused);
    let optional = |name: &str| given.get(name).copied().filter(|value| !value.is_empty());
    let (fi, text, sealed) = (required("fi")?, required(date)?, required(message)?);
    let (iv, requestor_type) = (optional("iv"), optional("requestorType"));
    let text = value(text)?;
    if !is_date(&text) {
        // It may have lost its zero.
        return Err(if is_date(&[b"0", &*text].concat()) { Stop::Deviates } else { Stop::Refused });
    }
    let masked = |text: &[u8], given: &str| {
        let bytes = base64(given, *b"+/")?;
        let plain = bytes.iter().enumerate().map(|(at, byte)| byte ^ text[at % text.len()]).collect();
        String::from_utf8(plain).map_err(|_| Stop::Refused)
    };
    let sender = masked(&text, fi)?;
    if sender.is_empty() || sender.len() > 128 || sender.contains(char::is_control) {
        return Err(Stop::Refused);
    }
    let requestor_type = match requestor_type {
        None => None,
        Some(given) => match masked(&text, given) {
            Ok(kind) if kind == "FIU" || kind == "LSP" => Some(kind),
            // Every other value is reported.
            _ => return Err(Stop::Deviates),
        },
    };
    let iv = iv.map(|given| base64(given, *b"+/")).transpose()?;
    if iv.as_ref().is_some_and(|iv| iv.len() != 16) {
        return Err(Stop::Refused);
    }
    let message = base64(sealed, *b"-_")?;
    if message.is_empty() || message.len() % 16 != 0 {
        return Err(Stop::Refused);
    }
    let date = String::from_utf8(text).map_err(|_| Stop::Refused)?;
    Ok(Parameters { sender, date, message, iv, requestor_type })
}

/// A value, percent-decoded once. A value that may need more decoding deviates.
fn value(text: &str) -> Result<Vec<u8>, Stop> {
    let (decoded, _) = percent_decoded(text);
    if decoded.iter().any(|byte| *byte == b'%' || byte.is_ascii_whitespace()) {
        return Err(Stop::Deviates);
    }
    Ok(decoded)
}

/// Padded Base64 (RFC 4648) with `last` as the symbols for 62 and 63.
fn base64(text: &str, last: [u8; 2]) -> Result<Vec<u8>, Stop> {
    if text.contains('+') {
        return Err(Stop::Deviates);
    }
    let symbols = value(text)?;
    if symbols.is_empty() {
        return Err(Stop::Refused);
    }
    if symbols.len() % 4 != 0 {
        return Err(Stop::Deviates);
    }
    if symbols.len() >= 32 && symbols.iter().all(u8::is_ascii_hexdigit) {
        // It may be hexadecimal.
        return Err(Stop::Unsaid);
    }
    let padding = symbols.iter().rev().take_while(|symbol| **symbol == b'=').count();
    if padding > 2 {
        return Err(Stop::Refused);
    }
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for &symbol in &symbols[..symbols.len() - padding] {
        let six = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            _ if symbol == last[0] => 62,
            _ if symbol == last[1] => 63,
            b'+' | b'/' | b'-' | b'_' => return Err(Stop::Deviates),
            _ => return Err(Stop::Refused),
        };
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).unwrap_or_default());
        }
        bits &= (1 << held) - 1;
    }
    // Bits that belong to no byte must be zero, and padding only fills the last group of four.
    let fits = matches!((padding, held), (0, 0) | (1, 2) | (2, 4));
    if fits && bits == 0 { Ok(bytes) } else { Err(Stop::Refused) }
}

/// Whether `text` is 14 to 17 digits that name a minute of the years 2000 to 2999, and a valid second if they have one.
fn is_date(text: &[u8]) -> bool {
    if !(14..=17).contains(&text.len()) || !text.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let number =
        |from: usize, to: usize| text[from..to].iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    let (day, month, year) = (number(0, 2), number(2, 4), number(4, 8));
    let leap = year % 4 == 0 && year % 100 != 0 || year % 400 == 0;
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => 0,
    };
    let seconds = text.len() < 16 || number(12, 14) < 60;
    (2000..3000).contains(&year) && (1..=days).contains(&day) && number(8, 10) < 24 && number(10, 12) < 60 && seconds
}
