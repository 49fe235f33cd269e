//! A second reader, written from the wire format's text alone: no code of the crate's codec, and no repairs.
//!
//! Each part answers with one of four: what the format says a message means, that it is one that a known sender writes
//! and that has to be reported, that it must not be opened, or that the text does not say.

use std::collections::{BTreeMap, BTreeSet};

mod members;
mod parameters;

pub use members::{Kind, Members, Syntax, members};
pub use parameters::{Parameters, parameters};

/// What the format says of a text.
#[derive(Debug)]
pub enum Verdict<T> {
    /// It reads so, with these deviations, named as in the interface, and no other one.
    Means(T, BTreeSet<&'static str>),
    /// It needs a repair that this reader does not know: a reader that opens it must report a deviation.
    Deviates,
    /// It must not be opened.
    Refused,
    /// The text does not say.
    Unsaid,
}

/// Ends a reading early; the type of what is read does not matter then.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Deviates,
    Refused,
    Unsaid,
}

impl<T> From<Stop> for Verdict<T> {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Deviates => Self::Deviates,
            Stop::Refused => Self::Refused,
            Stop::Unsaid => Self::Unsaid,
        }
    }
}

/// Members by name; a list has its items, anything else one.
pub(crate) type ByName = BTreeMap<String, Vec<String>>;

/// Decodes every `%` and two hexadecimal digits of `text`, and `+` where it is a space; `None` for another `%`.
pub(crate) fn percent_decoded(text: &str, plus_is_space: bool) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let digits = bytes.get(at + 1..at + 3)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return None;
                }
                let digits = std::str::from_utf8(digits).ok()?;
                decoded.push(u8::from_str_radix(digits, 16).ok()?);
                at += 2;
            }
            b'+' if plus_is_space => decoded.push(b' '),
            other => decoded.push(other),
        }
        at += 1;
    }
    Some(decoded)
}

/// Whether `text` is a UUID: 8, 4, 4, 4 and 12 hexadecimal digits with hyphens between.
pub fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.len() == 5
        && groups.iter().zip([8, 4, 4, 4, 12]).all(|(group, length)| group.len() == length)
        && groups.concat().bytes().all(|digit| digit.is_ascii_hexdigit())
}
