//! The state of reading one text, and why a text cannot be read.

use thiserror::Error;

use crate::codec::{Deviations, deviation::Place, profile::Conventions, url::Leg};

/// Why a decrypted text is not a message. Names members, never values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// The text is not UTF-8, as it is or when percent-decoded as a whole.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// U+0000 to U+001F or U+007F, not percent-encoded.
    #[error("the text has a raw control character")]
    ControlCharacter,
    /// A member without `=` or without a name.
    #[error("member {0} (counted from 1) has no name or no `=`")]
    NotAMember(usize),
    /// A name that does not percent-decode to UTF-8.
    #[error("the name of member {0} (counted from 1) is not UTF-8 when percent-decoded")]
    BadEscape(usize),
    /// A value that does not percent-decode to UTF-8.
    #[error("the member `{0}` is not UTF-8 when percent-decoded")]
    BadValue(Place),
    /// A member that is not a list, twice with different values.
    #[error("the member `{0}` is there twice with different values")]
    Repeated(&'static str),
    /// An extra member, twice with different values.
    #[error("a member that the guideline does not have is there twice with different values")]
    ExtraRepeated,
    /// A member `mac` that is not the tag at the end of the text.
    #[error("a member `mac` is not the tag at the end of the text; in this pairing only the tag may have that name")]
    MisplacedTag,
    /// Absent or empty.
    #[error("the member `{0}` is missing or empty")]
    Missing(&'static str),
    /// A member of a wrong form.
    #[error("the member `{0}` {1}")]
    Malformed(&'static str, &'static str),
}

/// Reads one text, and holds how it was written and the repairs so far.
pub(super) struct Reader<'a> {
    pub(super) leg: Leg,
    pub(super) conventions: &'a Conventions,
    pub(super) deviations: Deviations,
    /// Whether the text has a `%`.
    pub(super) has_escapes: bool,
    /// Whether `+` is a space, because a form encoder wrote the text.
    pub(super) plus_is_space: bool,
    /// Whether every member but `redirect` was percent-encoded twice.
    pub(super) twice: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(leg: Leg, conventions: &'a Conventions) -> Self {
        let deviations = Deviations::default();
        Self { leg, conventions, deviations, has_escapes: false, plus_is_space: false, twice: false }
    }
}
