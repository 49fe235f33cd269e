//! The forms that members must have: one predicate each, for what is written and for what is read.

use chrono::NaiveDate;

/// The languages of `isoLanguageCode` (guidelines v1.5.0).
pub const LANGUAGES: [&str; 13] = [
    "en-IN", "hi-IN", "bn-IN", "mr-IN", "te-IN", "ta-IN", "gu-IN", "ur-IN", "kn-IN", "or-IN", "ml-IN", "pa-IN", "as-IN",
];

/// Schemes whose URLs run code or reach into the user's machine instead of leading back to an FIU.
const FORBIDDEN_SCHEMES: [&str; 5] = ["javascript", "data", "vbscript", "file", "blob"];

/// Whether `text` is a UUID in its hyphenated form of 36 characters (RFC 9562).
pub fn is_uuid(text: &str) -> bool {
    text.len() == uuid::fmt::Hyphenated::LENGTH && uuid::Uuid::try_parse(text).is_ok()
}

/// Whether `text` is `<something>@<something>` without blanks.
pub fn is_userid(text: &str) -> bool {
    handle(text).is_some_and(|handle| !handle.is_empty())
        && !text.starts_with('@')
        && !text.contains(char::is_whitespace)
}

/// The AA's handle in a user id: what follows its last `@`.
pub fn handle(userid: &str) -> Option<&str> {
    userid.rsplit_once('@').map(|(_, handle)| handle)
}

/// Whether `text` begins with a scheme and `://`, and has something after them.
pub fn is_absolute_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, rest)| !rest.is_empty() && is_scheme(scheme))
}

/// Whether `text` is the scheme of a URL (RFC 3986, 3.1): a letter, then letters, digits, `+`, `-` and `.`.
pub(super) fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// Whether a user's browser may be sent to `url`.
///
/// # Errors
/// What `url` would have to be, without an echo of it.
pub fn check_redirect(url: &str) -> Result<(), &'static str> {
    if url.contains(|c: char| c == '\\' || c.is_whitespace() || c.is_control()) {
        return Err("must hold no backslash, blank or control character; percent-encode it");
    }
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    if FORBIDDEN_SCHEMES.iter().any(|forbidden| scheme.eq_ignore_ascii_case(forbidden)) {
        return Err("must not have the scheme javascript, data, vbscript, file or blob");
    }
    if !is_absolute_url(url) {
        return Err("must be an absolute URL: a scheme, `://` and the rest");
    }
    Ok(())
}

/// Whether `text` is a permanent account number: five letters, four digits, one letter.
pub fn is_pan(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            5..=8 => byte.is_ascii_digit(),
            _ => byte.is_ascii_alphabetic(),
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

/// Whether `item` can stand in a list of any syntax.
pub fn is_list_item(item: &str) -> bool {
    !item.is_empty() && item.trim().len() == item.len() && !item.contains([',', '{', '}', '[', ']', '"', '&'])
}

/// Whether `name` can name an extra member: `[A-Za-z][A-Za-z0-9_.-]*`.
pub fn is_extra_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_cannot_run_code_or_hide_its_host() {
        for url in ["https://fiu.example/cb?a=1#b", "myapp://done", "HTTPS://x", "https://सत्र.example/"] {
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
            "https://evil.test\\@ok.test/",
            "https://x/a b",
            "https://x/\n",
            "https://x/\u{7f}",
        ] {
            assert!(check_redirect(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_user_id_is_something_at_something() {
        for text in ["9999988888@aa", "a@b@c"] {
            assert!(is_userid(text), "{text}");
        }
        for text in ["", "@", "a@", "@aa", "a b@aa", "a@aa\n", "9999988888"] {
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
