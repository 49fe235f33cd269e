//! A second reader, written from the wire format's text alone, rule by rule: no code of the crate's codec, and nothing done
//! for speed.
//!
//! Members are read as the format says, with every repair. Of parameters, only those that need none are read.

use std::collections::{BTreeMap, BTreeSet};

mod list;
mod members;
mod parameters;

pub use members::{Kind, Members, Syntax, members};
pub use parameters::{Parameters, parameters};

/// What the format says of a text.
#[derive(Debug)]
pub enum Verdict<T> {
    /// It reads so, with these deviations, named as in the interface, and no other one.
    Means(T, BTreeSet<&'static str>),
    /// It needs a repair that this reader does not know: whoever opens it has to report something.
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

/// Decodes every `%` and two hexadecimal digits of `text`. Any other `%` stands for itself; whether there was one.
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
