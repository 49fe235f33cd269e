//! A second reader, written only from the text of the wire format, rule by rule. It uses no code of the crate's codec
//! and does nothing for speed.
//!
//! Members are read as the format says, with every repair. Parameters are read only if they need no repair.

use std::collections::{BTreeMap, BTreeSet};

mod list;
mod members;
mod parameters;

pub use list::Syntax;
pub use members::{Kind, Members, members};
pub use parameters::{Parameters, parameters};

/// What the format says about a text.
#[derive(Debug)]
pub enum Verdict<T> {
    /// The text reads like this, with exactly these deviations, named as in the interface.
    Means(T, BTreeSet<&'static str>),
    /// The text needs a repair that this reader does not know: a reader that opens it must report something.
    Deviates,
    /// It must not be opened.
    Refused,
    /// The format does not say.
    Unsaid,
}

/// Ends a reading early. The type of the result does not matter then.
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

/// Members by name. A list has all its items; every other member has one.
pub(crate) type ByName = BTreeMap<String, Vec<String>>;

/// Decodes every `%` and two hexadecimal digits of `text`. Any other `%` stands for itself, and the second value says
/// whether there was one.
pub(crate) fn percent_decoded(text: &str) -> (Vec<u8>, bool) {
    let bytes = text.as_bytes();
    let (mut decoded, mut invalid) = (Vec::new(), false);
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        match (bytes[at], digits) {
            (b'%', Some(digits)) => {
                let digits = std::str::from_utf8(digits).expect("hexadecimal digits");
                decoded.push(u8::from_str_radix(digits, 16).expect("hexadecimal digits"));
                at += 3;
            }
            (byte, _) => {
                invalid |= byte == b'%';
                decoded.push(byte);
                at += 1;
            }
        }
    }
    (decoded, invalid)
}

/// Whether `text` is a UUID: 8, 4, 4, 4 and 12 hexadecimal digits with hyphens between.
pub fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.len() == 5
        && groups.iter().zip([8, 4, 4, 4, 12]).all(|(group, length)| group.len() == length)
        && groups.concat().bytes().all(|digit| digit.is_ascii_hexdigit())
}
