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
    let digest = Sha256::digest(secret);
    secrets(
        secret,
        [
            (Some([secret, b"\n"].concat()), "followed by a line end"),
            (Some([secret, b"\r\n"].concat()), "followed by a line end (CR LF)"),
            (text.and_then(any_base64), "decoded from Base64 first"),
            (text.and_then(from_hexadecimal), "decoded from hexadecimal first"),
            (Some(STANDARD.encode(secret).into_bytes()), "encoded as Base64 first"),
            (Some(digest.to_vec()), "hashed with SHA-256 first"),
            (Some(to_hexadecimal(&digest).into_bytes()), "hashed with SHA-256 first, as hexadecimal digits"),
            (Some(secret.trim_ascii().to_vec()), "without the blanks around it"),
        ],
    )
}

/// Other forms of a secret that are seldom seen.
pub(super) fn rare_secrets(secret: &[u8]) -> Vec<Form<Zeroizing<Vec<u8>>>> {
    let text = std::str::from_utf8(secret).ok();
    let digest = Sha256::digest(secret);
    let hexadecimal = to_hexadecimal(secret);
    let around = |before: &[u8], behind: &[u8]| Some([before, secret, behind].concat());
    let wide = text.map(|text| text.encode_utf16().flat_map(u16::to_le_bytes).collect());
    secrets(
        secret,
        [
            (around(b"", b" "), "followed by a blank"),
            (around(b" ", b""), "behind a blank"),
            (around(b"", b"\t"), "followed by a tab"),
            (around(b"", b"\0"), "followed by a zero byte"),
            (around(b"\xEF\xBB\xBF", b""), "behind a byte order mark (BOM)"),
            (around(b"\"", b"\""), "between double quotes"),
            (around(b"'", b"'"), "between single quotes"),
            (Some(secret.to_ascii_uppercase()), "in upper-case letters"),
            (Some(secret.to_ascii_lowercase()), "in lower-case letters"),
            (
                Some(hexadecimal.to_ascii_uppercase().into_bytes()),
                "encoded as hexadecimal first, with upper-case digits",
            ),
            (Some(hexadecimal.into_bytes()), "encoded as hexadecimal first"),
            (Some(URL_SAFE_NO_PAD.encode(secret).into_bytes()), "encoded as URL-safe Base64 without padding first"),
            (Some(STANDARD.encode(digest).into_bytes()), "hashed with SHA-256 first, as Base64"),
            (
                Some(to_hexadecimal(&digest).to_ascii_uppercase().into_bytes()),
                "hashed with SHA-256 first, as upper-case hexadecimal digits",
            ),
            (Some(percent_encode(secret, NON_ALPHANUMERIC).to_string().into_bytes()), "percent-encoded first"),
            (wide, "in UTF-16"),
            (secret.split_last().map(|(_, rest)| rest.to_vec()), "without its last character"),
            (secret.split_first().map(|(_, rest)| rest.to_vec()), "without its first character"),
            (secret.get(..32).map(<[u8]>::to_vec), "cut to 32 characters"),
            (secret.get(..16).map(<[u8]>::to_vec), "cut to 16 characters"),
        ],
    )
}

fn secrets<const N: usize>(
    secret: &[u8],
    forms: [(Option<Vec<u8>>, &'static str); N],
) -> Vec<Form<Zeroizing<Vec<u8>>>> {
    let differs = |value: &Vec<u8>| !value.is_empty() && value != secret;
    forms
        .into_iter()
        .filter_map(|(value, what)| {
            let value = Zeroizing::new(value.filter(differs)?);
            Some(Form { value, wrong: format!("its secret is {what}") })
        })
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
    let reversed = date.get(..8).map(|day| format!("{}{}{}{}", &day[4..], &day[2..4], &day[..2], &date[8..]));
    let mut others = dates(
        date,
        [
            (seconds, "the seconds padded to three digits"),
            (Some(format!("{date}0")), "a zero at its end"),
            (Some(format!("{date} ")), "a blank at its end"),
            (reversed, "the year first"),
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
