//! What is right about a decrypted text that is not a message.

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::codec::{base64::from_hexadecimal, cipher::BLOCK, url::Leg};

use super::text::{is_message, unpadded, unreadable};

/// What is right and what is wrong with decrypted `bytes`, text and padding. `None` if they are garbage.
pub(super) fn read(bytes: &[u8], leg: Leg) -> Option<String> {
    padding(bytes, leg)
        .or_else(|| first_block(bytes))
        .or_else(|| wrapped(bytes, leg))
        .or_else(|| members(bytes, leg))
        .map(|what| format!("the secret and the date are right: {what}"))
}

/// What is wrong with a ciphertext that needs no key to see.
pub(super) fn without_key(ciphertext: &[u8], leg: Leg) -> Option<String> {
    let name = leg.message_name();
    if is_message(unpadded(ciphertext).unwrap_or(ciphertext), leg) {
        return Some(format!("its text is not encrypted: {name} is the Base64 of the text itself"));
    }
    ciphertext.starts_with(b"Salted__").then(|| {
        format!("{name} begins with Salted__: openssl enc wrote it with a password; the sender must use the key of the scheme")
    })
}

/// What is wrong with the padding of a text, if it is not PKCS#7.
fn padding(bytes: &[u8], leg: Leg) -> Option<String> {
    let before = |fill: u8| &bytes[..bytes.iter().rposition(|&byte| byte != fill).map_or(0, |last| last + 1)];
    let fits = |text: &[u8]| is_message(text, leg);
    let (&length, rest) = bytes.split_last()?;
    // Other paddings end in their length too, or in a mark in front of zeros.
    let of_length = bytes.len().checked_sub(usize::from(length)).map(|end| &bytes[..end]).filter(|text| fits(text));
    let what = if bytes.ends_with(b"\0") && fits(before(0)) {
        "the padding is zero bytes"
    } else if bytes.ends_with(b" ") && fits(bytes) {
        "the padding is blanks"
    } else if fits(bytes) {
        "the padding is missing"
    } else if let Some(inner) = unpadded(bytes).and_then(unpadded)
        && fits(inner)
    {
        "the padding is there twice"
    } else if before(0).last() == Some(&0x80) && fits(&before(0)[..before(0).len() - 1]) {
        "the padding is that of ISO 7816-4 (the byte 80, then zeros)"
    } else if let Some(text) = of_length {
        let filled = &rest[text.len()..];
        if filled.iter().all(|&byte| byte == length) {
            "the padding is that of a cipher with larger blocks"
        } else if filled.iter().all(|&byte| byte == 0) {
            "the padding is that of ANSI X9.23 (zeros, then the length)"
        } else {
            "the padding is that of ISO 10126 (random bytes, then the length)"
        }
    } else if bytes.starts_with(b"txnid=") && unpadded(bytes).is_none() {
        "the text begins like a message, but its end is cut off or its padding is wrong"
    } else {
        return None;
    };
    Some(format!("{what}; it must be PKCS#7, once"))
}

/// What is wrong with a text whose first block alone is garbage.
fn first_block(bytes: &[u8]) -> Option<String> {
    let text = unpadded(bytes).unwrap_or(bytes);
    let (first, rest) = text.split_at_checked(BLOCK)?;
    let readable = |part: &[u8]| std::str::from_utf8(part).is_ok_and(|part| !part.contains(|c: char| c.is_control()));
    let members = std::str::from_utf8(rest).ok()?;
    (!readable(first) && readable(rest) && members.contains('=') && members.contains('&')).then(|| {
        "the IV is wrong, since only the first 16 bytes are garbage; use the IV of the scheme, and send it if it is random"
            .to_owned()
    })
}

/// What is wrong with a message that is not members joined with `&`.
fn wrapped(bytes: &[u8], leg: Leg) -> Option<String> {
    let text = unpadded(bytes)?;
    if let Ok(json) = serde_json::from_slice::<serde_json::Value>(text)
        && (json.is_object() || json.is_string())
    {
        return Some("the text is JSON; it must be members as name=value, joined with &".to_owned());
    }
    if let Some(order) = wide(text, leg) {
        return Some(format!("the text is UTF-16, {order} end first; it must be UTF-8"));
    }
    if text.starts_with(b"\x1F\x8B\x08") {
        return Some("the text is compressed with gzip; it must be the message itself".to_owned());
    }
    let digits = std::str::from_utf8(text).ok()?;
    if from_hexadecimal(digits).is_some_and(|inner| is_message(&inner, leg)) {
        return Some("the text is the message in hexadecimal digits; it must be the message itself".to_owned());
    }
    let inner = STANDARD.decode(digits.trim()).ok()?;
    is_message(&inner, leg).then(|| "the text is the message in Base64; it must be the message itself".to_owned())
}

/// Which end of each character comes first, if `text` is a message in UTF-16.
fn wide(text: &[u8], leg: Leg) -> Option<&'static str> {
    let text = text.strip_prefix(b"\xFF\xFE").or_else(|| text.strip_prefix(b"\xFE\xFF")).unwrap_or(text);
    [("little", u16::from_le_bytes as fn([u8; 2]) -> u16), ("big", u16::from_be_bytes)].into_iter().find_map(
        |(order, unit)| {
            let (pairs, rest) = text.as_chunks::<2>();
            let narrow =
                Zeroizing::new(String::from_utf16(&pairs.iter().copied().map(unit).collect::<Vec<u16>>()).ok()?);
            (rest.is_empty() && is_message(narrow.as_bytes(), leg)).then_some(order)
        },
    )
}

/// Why a text that names members, or is at least readable, is not a message.
fn members(bytes: &[u8], leg: Leg) -> Option<String> {
    let text = unpadded(bytes)?;
    let names = |name: &[u8]| text.windows(name.len()).any(|part| part == name);
    // Garbage has such a name, or only such characters, once in 10¹² tries.
    let readable = text.len() >= BLOCK && text.iter().all(|byte| (b' '..=b'~').contains(byte));
    if !readable && !names(b"userid=") && !names(b"sessionid=") && !names(b"errorcode=") && !text.starts_with(b"txnid=")
    {
        return None;
    }
    let replaced = |from: &str, to: &str| {
        std::str::from_utf8(text).is_ok_and(|text| is_message(text.replace(from, to).as_bytes(), leg))
    };
    let (other, of_other) = match leg {
        Leg::Request => {
            (Leg::Callback, "a callback (status, errorcode), and the parameters of the URL are those of a request")
        }
        Leg::Callback => {
            (Leg::Request, "a request (redirect, srcref), and the parameters of the URL are those of a callback")
        }
    };
    let behind_question_mark = text.iter().position(|&byte| byte == b'?').map(|at| &text[at + 1..]);
    Some(if behind_question_mark.is_some_and(|query| is_message(query, leg)) {
        "its text is a whole URL; it must be the members alone".to_owned()
    } else if replaced("&amp;", "&") {
        "its members are joined with &amp;, as in HTML; they must be joined with &".to_owned()
    } else if replaced(";", "&") {
        "its members are joined with ; and not with &".to_owned()
    } else if is_message(text, other) {
        format!("its members are those of {of_other}")
    } else {
        format!("it decrypts, but {}", unreadable(text, leg)?)
    })
}
