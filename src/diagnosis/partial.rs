//! What is right about a decrypted text that is not a message.

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::codec::{base64::from_hexadecimal, cipher::BLOCK, url::Leg};

use super::decrypt::is_message;

/// What is right and what is wrong with decrypted `bytes`, text and padding. `None` if they are garbage.
pub(super) fn read(bytes: &[u8], leg: Leg) -> Option<String> {
    padding(bytes, leg)
        .or_else(|| first_block(bytes))
        .or_else(|| wrapped(bytes, leg))
        .map(|what| format!("the secret and the date are right: {what}"))
}

/// What is wrong with the padding of a text, if it is not PKCS#7.
fn padding(bytes: &[u8], leg: Leg) -> Option<String> {
    let zeros = bytes.iter().rev().take_while(|&&byte| byte == 0).count();
    let what = if zeros > 0 && zeros <= BLOCK && is_message(&bytes[..bytes.len() - zeros], leg) {
        "the padding is zero bytes"
    } else if is_message(bytes, leg) {
        "the padding is missing"
    } else if let Some(inner) = unpadded(bytes).and_then(unpadded)
        && is_message(inner, leg)
    {
        "the padding is there twice"
    } else if bytes.starts_with(b"txnid=") && unpadded(bytes).is_none() {
        "the text begins like a message, but its end is cut off or its padding is wrong"
    } else {
        return None;
    };
    Some(format!("{what}; it must be PKCS#7, once"))
}

/// `bytes` without a PKCS#7 padding.
fn unpadded(bytes: &[u8]) -> Option<&[u8]> {
    let length = usize::from(*bytes.last()?);
    let text = bytes.len().checked_sub(length).filter(|_| (1..=BLOCK).contains(&length))?;
    bytes[text..].iter().all(|&byte| usize::from(byte) == length).then(|| &bytes[..text])
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
    for (name, low, high) in [("UTF-16, little end first", 0, 1), ("UTF-16, big end first", 1, 0)] {
        let narrow: Zeroizing<Vec<u8>> = Zeroizing::new(text.iter().skip(low).step_by(2).copied().collect());
        let empty = text.len() > 2 && text.iter().skip(high).step_by(2).all(|&byte| byte == 0);
        let narrow = narrow.strip_prefix(b"\xFF").or_else(|| narrow.strip_prefix(b"\xFE")).unwrap_or(&narrow);
        if empty && is_message(narrow, leg) {
            return Some(format!("the text is {name}; it must be UTF-8"));
        }
    }
    let digits = std::str::from_utf8(text).ok()?;
    if from_hexadecimal(digits).is_some_and(|inner| is_message(&inner, leg)) {
        return Some("the text is the message in hexadecimal digits; it must be the message itself".to_owned());
    }
    let inner = STANDARD.decode(digits.trim()).ok()?;
    is_message(&inner, leg).then(|| "the text is the message in Base64; it must be the message itself".to_owned())
}
