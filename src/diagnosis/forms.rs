//! The forms in which senders wrongly use a secret or a date.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use chrono::{NaiveDateTime, TimeDelta};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::codec::base64::{from_hexadecimal, to_hexadecimal};

use super::material::any_base64;

/// Something else in the place of a secret or a date.
pub(super) struct Form<T> {
    pub(super) value: T,
    /// What is wrong with it.
    pub(super) wrong: String,
}

/// Other forms of a secret that are often seen.
pub(super) fn usual_secrets(secret: &[u8]) -> Vec<Form<Zeroizing<Vec<u8>>>> {
    let text = std::str::from_utf8(secret).ok();
    let digest = digest(secret);
    secrets(
        secret,
        [
            (Some([secret, b"\n"].concat()), "followed by a line end"),
            (Some([secret, b"\r\n"].concat()), "followed by a line end (CR LF)"),
            (text.and_then(any_base64), "decoded from Base64 first"),
            (text.and_then(from_hexadecimal), "decoded from hexadecimal first"),
            (Some(STANDARD.encode(secret).into_bytes()), "encoded as Base64 first"),
            (Some(digest.to_vec()), "hashed with SHA-256 first"),
            (Some(to_hexadecimal(&*digest).into_bytes()), "hashed with SHA-256 first, as hexadecimal digits"),
            (Some(secret.trim_ascii().to_vec()), "without the blanks around it"),
        ],
    )
}

/// Other forms of a secret that are seldom seen.
pub(super) fn rare_secrets(secret: &[u8]) -> Vec<Form<Zeroizing<Vec<u8>>>> {
    let text = std::str::from_utf8(secret).ok();
    let digest = digest(secret);
    let upper = |digits: String| Some(Zeroizing::new(digits).to_ascii_uppercase().into_bytes());
    let around = |before: &[u8], behind: &[u8]| Some([before, secret, behind].concat());
    let line = Zeroizing::new([secret, b"\n"].concat());
    let base64 = Zeroizing::new(STANDARD.encode(secret));
    let before_hash = secret.split(|&byte| byte == b'#').next();
    secrets(
        secret,
        [
            (around(b"", b" "), "followed by a blank"),
            (around(b" ", b""), "behind a blank"),
            (around(b"", b"\r"), "followed by a line end (CR)"),
            (around(b"", b"\t"), "followed by a tab"),
            (around(b"", b"\0"), "followed by a zero byte"),
            (around(b"\xEF\xBB\xBF", b""), "behind a byte order mark (BOM)"),
            (around(b"\"", b"\""), "between double quotes"),
            (around(b"'", b"'"), "between single quotes"),
            (Some(secret.to_ascii_uppercase()), "in upper-case letters"),
            (Some(secret.to_ascii_lowercase()), "in lower-case letters"),
            (upper(to_hexadecimal(secret)), "encoded as hexadecimal first, with upper-case digits"),
            (Some(to_hexadecimal(secret).into_bytes()), "encoded as hexadecimal first"),
            (Some([base64.as_bytes(), b"\n"].concat()), "encoded as Base64 first, and followed by a line end"),
            (Some(STANDARD.encode(&*line).into_bytes()), "encoded as Base64 first, together with a line end"),
            (Some(URL_SAFE_NO_PAD.encode(secret).into_bytes()), "encoded as URL-safe Base64 without padding first"),
            (Some(STANDARD.encode(digest.as_slice()).into_bytes()), "hashed with SHA-256 first, as Base64"),
            (upper(to_hexadecimal(&*digest)), "hashed with SHA-256 first, as upper-case hexadecimal digits"),
            (Some(percent_encode(secret, NON_ALPHANUMERIC).to_string().into_bytes()), "percent-encoded first"),
            (text.map(|text| wide(text, u16::to_le_bytes)), "in UTF-16"),
            (text.map(|text| wide(text, u16::to_be_bytes)), "in UTF-16, big end first"),
            (secret.split_last().map(|(_, rest)| rest.to_vec()), "without its last character"),
            (secret.split_first().map(|(_, rest)| rest.to_vec()), "without its first character"),
            (secret.get(..32).map(<[u8]>::to_vec), "cut to 32 characters"),
            (secret.get(..16).map(<[u8]>::to_vec), "cut to 16 characters"),
            (
                before_hash.map(|before| before.trim_ascii_end().to_vec()),
                "cut off at its #, where a file of settings begins a comment",
            ),
        ],
    )
}

fn digest(secret: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut digest = Zeroizing::new([0; 32]);
    Sha256::new_with_prefix(secret).finalize_into((&mut *digest).into());
    digest
}

/// `text` in UTF-16.
fn wide(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    // A list that grows leaves copies behind.
    let mut wide = Vec::with_capacity(2 * text.len());
    wide.extend(text.encode_utf16().flat_map(bytes));
    wide
}

fn secrets<const N: usize>(
    secret: &[u8],
    forms: [(Option<Vec<u8>>, &'static str); N],
) -> Vec<Form<Zeroizing<Vec<u8>>>> {
    forms
        .into_iter()
        // A form that is left out is zeroed too.
        .filter_map(|(value, what)| Some((Zeroizing::new(value?), what)))
        .filter(|(value, _)| !value.is_empty() && **value != secret)
        .map(|(value, what)| Form { value, wrong: format!("its secret is {what}") })
        .collect()
}

/// Other ways to write the instant of a date that are often seen.
pub(super) fn usual_dates(date: &str) -> Vec<Form<String>> {
    let head = |length: usize| date.get(..length).map(str::to_owned);
    let of_full = |text: Option<String>| text.filter(|_| date.len() == 17);
    dates(
        date,
        [
            (date.strip_prefix('0').map(str::to_owned), "the leading zero lost"),
            ((date.len() < 15).then(|| format!("0{date}")), "a leading zero put in front"),
            (head(14), "cut to seconds"),
            (head(12), "cut to the minute"),
            (head(12).map(|minute| minute + "000"), "the seconds cut to zero"),
            (head(14).map(|second| second + "0"), "another style of the last digits"),
            (head(14).map(|second| second + "000"), "another style of the last digits"),
            (of_full(date.get(14..).and_then(|millis| Some(head(12)? + millis))), "milliseconds without seconds"),
            (of_full(head(15)), "cut to tenths"),
            (Some(format!("{date}00")), "two zeros at its end"),
            (Some(format!("{date}\n")), "a line end at its end"),
        ],
    )
}

/// Other dates that are seldom seen. `all` adds every other end of the date, not the nearest ones only: that costs up
/// to 1,000 derivations.
pub(super) fn rare_dates(date: &str, all: bool) -> Vec<Form<String>> {
    let seconds = date.get(..12).zip(date.get(12..14)).map(|(minute, seconds)| format!("{minute}0{seconds}"));
    let mut others = dates(
        date,
        [
            (seconds, "the seconds padded to three digits"),
            (Some(format!("{date}0")), "a zero at its end"),
            (Some(format!("{date} ")), "a blank at its end"),
            (year_first(date), "the year first"),
            (local(date), "Indian time"),
        ],
    );
    others
        .push(Form { value: String::new(), wrong: "its key comes from the secret alone, without the date".to_owned() });
    others.extend(neighbours(date, all).into_iter().map(|value| Form {
        wrong: format!(
            "its key comes from the date {value}, not from the one that it sends: it must read its clock once for a \
             message"
        ),
        value,
    }));
    others
}

fn dates<const N: usize>(date: &str, forms: [(Option<String>, &'static str); N]) -> Vec<Form<String>> {
    forms
        .into_iter()
        .filter_map(|(value, what)| {
            let value = value.filter(|value| value != date)?;
            let wrong = format!(
                "its key comes from the date as {} ({what}), not from the characters that it sends",
                value.trim_end()
            );
            Some(Form { value, wrong })
        })
        .collect()
}

/// `date` with its day, month and year in the opposite order.
fn year_first(date: &str) -> Option<String> {
    let (day, month, year, time) = (date.get(..2)?, date.get(2..4)?, date.get(4..8)?, date.get(8..)?);
    Some(format!("{year}{month}{day}{time}"))
}

/// `date` in Indian time.
fn local(date: &str) -> Option<String> {
    let utc = NaiveDateTime::parse_from_str(date.get(..12)?, "%d%m%Y%H%M").ok()?;
    let indian = utc.checked_add_signed(TimeDelta::minutes(330))?;
    Some(format!("{}{}", indian.format("%d%m%Y%H%M"), date.get(12..)?))
}

/// `date` with other last three digits: the ten numbers before and behind it, or `all`.
fn neighbours(date: &str, all: bool) -> Vec<String> {
    let Some((head, end)) = date.get(..12).zip(date.get(12..)).filter(|(_, end)| end.len() == 3) else {
        return Vec::new();
    };
    let Ok(own) = end.parse::<u32>() else { return Vec::new() };
    let near = if all { 1_000 } else { 10 };
    (0..1_000).filter(|end| (1..=near).contains(&own.abs_diff(*end))).map(|end| format!("{head}{end:03}")).collect()
}

/// The date that masks `sender` in `fi`, if the mask is a date. If the id is shorter than the date, it shows only some
/// of the digits; the others come from `date`.
pub(super) fn date_of_fi(fi: &[u8], sender: &str, date: &str) -> Option<String> {
    if fi.len() != sender.len() || date.is_empty() {
        return None;
    }
    let digits: Vec<u8> = fi.iter().zip(sender.bytes()).map(|(masked, byte)| masked ^ byte).collect();
    let length = date.len();
    let fits = digits.iter().all(u8::is_ascii_digit)
        && digits.iter().enumerate().all(|(at, digit)| *digit == digits[at % length]);
    let mut text: Vec<u8> = digits.into_iter().take(length).collect();
    text.extend(date.bytes().skip(text.len()));
    fits.then(|| String::from_utf8(text).ok()).flatten().filter(|text| text != date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_tried_only_if_it_differs_from_the_secret() {
        let named = |secret: &[u8], value: &[u8]| {
            usual_secrets(secret).iter().chain(&rare_secrets(secret)).any(|form| **form.value == *value)
        };
        assert!(named(b"a secret #1 of many", b"a secret"));
        for secret in ["a secret of 32 characters, no mark", "ab#cd"] {
            assert!(!named(secret.as_bytes(), secret.as_bytes()) && !named(secret.as_bytes(), b""), "{secret}");
        }
    }
}
