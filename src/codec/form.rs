//! The forms of members: one predicate for each, for writing and for reading.

use chrono::NaiveDate;

use super::{members::Member, scan::split_at_first};

/// The languages of `isoLanguageCode` (guidelines v1.5.0).
pub const LANGUAGES: [&str; 13] = [
    "en-IN", "hi-IN", "bn-IN", "mr-IN", "te-IN", "ta-IN", "gu-IN", "ur-IN", "kn-IN", "or-IN", "ml-IN", "pa-IN", "as-IN",
];

/// The most bytes of a `txnid` or `userid`: a longer one would leave room for blocks that were moved from other
/// messages.
pub const MAX_NAME: usize = 128;

/// Schemes whose URLs run code or open something on the user's machine.
const FORBIDDEN_SCHEMES: [&str; 6] = ["javascript", "data", "vbscript", "file", "blob", "about"];

/// The words that programming languages write for an absent value, as the whole value of an optional member.
const ABSENT_WORDS: [&str; 5] = ["null", "undefined", "None", "nil", "NaN"];

/// Whether `text` has a control character: U+0000 to U+001F, U+007F to U+009F.
pub fn has_control(text: &str) -> bool {
    // One pass without a branch for each byte; only text that is not all ASCII needs to be decoded.
    let suspect = text.bytes().fold(false, |found, byte| found | !matches!(byte, b' '..=b'~'));
    suspect && text.contains(char::is_control)
}

/// Whether `text` is a UUID in its hyphenated form of 36 characters (RFC 9562).
pub fn is_uuid(text: &str) -> bool {
    text.len() == uuid::fmt::Hyphenated::LENGTH && uuid::Uuid::try_parse(text).is_ok()
}

/// Whether `text` can be a `txnid`: at most [`MAX_NAME`] bytes without control characters.
pub fn is_txnid(text: &str) -> bool {
    text.len() <= MAX_NAME && !has_control(text)
}

/// Whether `text` has something on both sides of its last `@`, no blanks or control characters, and at most
/// [`MAX_NAME`] bytes.
pub fn is_userid(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(name, handle)| !name.is_empty() && !handle.is_empty())
        && text.len() <= MAX_NAME
        && !text.contains(' ')
        && !has_control(text)
}

/// The AA's handle in a user id: the part behind its last `@`, in lower case, since the case of ASCII letters does not
/// count.
pub fn handle(userid: &str) -> Option<String> {
    userid.rsplit_once('@').map(|(_, handle)| handle.to_ascii_lowercase())
}

/// The scheme of a URL (RFC 3986, 3.1: a letter, then letters, digits, `+`, `-` and `.`) and what follows its `:`.
pub(super) fn split_scheme(url: &str) -> Option<(&str, &str)> {
    let is_scheme = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_alphabetic())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
    };
    split_at_first(url, b':').filter(|(scheme, _)| is_scheme(scheme))
}

/// Whether `text` is an absolute URL: a scheme, `:` and the rest. `http` and `https` need `//` and a host; other
/// schemes need `//`, and anything may follow. A scheme with a dot belongs to an app (RFC 8252, 7.1) and needs no `//`.
pub fn is_absolute_url(text: &str) -> bool {
    let Some((scheme, rest)) = split_scheme(text) else { return false };
    let after_slashes = rest.strip_prefix("//");
    if ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web)) {
        let host = after_slashes.and_then(|rest| rest.split(['/', '?', '#']).next());
        return host.is_some_and(|host| !host.is_empty() && !host.starts_with(':'));
    }
    after_slashes.map_or(scheme.contains('.') && !rest.is_empty(), |rest| !rest.is_empty())
}

/// Whether the service may send a user's browser to `url`.
///
/// # Errors
/// What `url` must be, without a part of it.
pub fn check_redirect(url: &str) -> Result<(), &'static str> {
    if memchr::memchr2(b'\\', b' ', url.as_bytes()).is_some() || has_control(url) {
        return Err("must have no backslash, blank or control character: percent-encode it");
    }
    let scheme = split_at_first(url, b':').map_or("", |(scheme, _)| scheme);
    if FORBIDDEN_SCHEMES.iter().any(|forbidden| scheme.eq_ignore_ascii_case(forbidden)) {
        return Err("must not have the scheme javascript, data, vbscript, file, blob or about");
    }
    if !is_absolute_url(url) {
        return Err("must be an absolute URL such as https://fiu.example/callback, or the URL of an app");
    }
    Ok(())
}

/// Whether `text` is a permanent account number: five upper-case letters, four digits, one upper-case letter.
pub fn is_pan(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            5..=8 => byte.is_ascii_digit(),
            _ => byte.is_ascii_uppercase(),
        })
}

/// Whether `text` is a day of the calendar as `YYYY-MM-DD`.
pub fn is_dob(text: &str) -> bool {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = text.split('-');
    let (Some(year), Some(month), Some(day), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    (year.len(), month.len(), day.len()) == (4, 2, 2)
        && [year, month, day].into_iter().all(digits)
        && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

/// Whether `text`, as the whole value of an optional member, means an absent member.
pub fn is_absent_word(text: &str) -> bool {
    ABSENT_WORDS.contains(&text)
}

/// Whether every list syntax can carry `item`: not empty, none of `, { } [ ] " ' \ &`, no control character, no outer
/// blanks, and not a word that reads as an absent list.
pub fn is_list_item(item: &str) -> bool {
    !item.is_empty()
        && !item.starts_with(' ')
        && !item.ends_with(' ')
        && !item.bytes().any(|byte| matches!(byte, b',' | b'{' | b'}' | b'[' | b']' | b'"' | b'\'' | b'\\' | b'&'))
        && !has_control(item)
        && !is_absent_word(item)
}

/// Whether `name` can name an extra member: it has the form `[A-Za-z][A-Za-z0-9_.-]*`, and is not `mac` or the name of
/// a member of either leg, in upper or lower case. A request with the members of a callback would open as a callback.
pub fn is_extra_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
        && !Member::ALL.iter().any(|member| member.name().eq_ignore_ascii_case(name))
        && !name.eq_ignore_ascii_case("mac")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_cannot_run_code_or_hide_its_host() {
        for url in [
            "https://fiu.example/cb?a=1#b",
            "myapp://done",
            "myapp:///done",
            "com.fiu.app:/aa-callback",
            "com.fiu.app:x",
            "HTTPS://x",
            "https://x?a",
            "https://सत्र.example/",
        ] {
            assert_eq!(check_redirect(url), Ok(()), "{url}");
        }
        for url in [
            "",
            "fiu.example/cb",
            "//fiu.example",
            "https:/x",
            "https://",
            "1x://y",
            "javascript://%0aalert(1)",
            "JavaScript://x",
            "data://x",
            "vbscript://x",
            "file:///etc",
            "blob://x",
            "about://x",
            "https:///x",
            "https://?x",
            "https://#x",
            "http://:80/",
            "myapp://",
            "myapp:/x",
            "com.fiu.app:",
            "https://evil.test\\@ok.test/",
            "https://x/a b",
            "https://x/\n",
            "https://x/\u{7f}",
        ] {
            assert!(check_redirect(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_control_character_is_found_at_every_place() {
        for control in (0..=0x1f).chain(0x7f..=0x9f).map(|code| char::from_u32(code).unwrap()) {
            for text in
                [format!("{control}"), format!("plain {control}"), format!("{control}सत्र"), format!("é{control}~")]
            {
                assert!(has_control(&text), "{text:?}");
            }
        }
        for text in ["", " ", "~", "plain text", "\u{a0}é", "सत्र 😀"] {
            assert!(!has_control(text), "{text:?}");
        }
    }

    #[test]
    fn a_user_id_has_something_on_both_sides_of_its_at_sign() {
        for text in ["9999988888@aa", "a@b@c", "@a@b", "a\u{a0}b@aa"] {
            assert!(is_userid(text), "{text}");
        }
        for text in ["", "@", "a@", "@aa", "a b@aa", "a@aa\n", "a\u{85}@aa", "9999988888"] {
            assert!(!is_userid(text), "{text}");
        }
    }

    #[test]
    fn a_date_of_birth_is_a_day_of_the_calendar() {
        assert!(is_dob("2000-02-29"));
        for text in ["1999-02-29", "2000-2-29", "2000-02-29 ", "+200-02-29", "20000229", "2000-13-01"] {
            assert!(!is_dob(text), "{text}");
        }
    }
}
