//! What a sender did differently from the format, what was repaired, and where (wire format, section 7).

use std::collections::BTreeSet;

/// A repair. The names are those of the interface (`DEVIATION_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deviation {
    /// The standard Base64 alphabet in `ecreq` or `ecres`, or the URL-safe one in `fi`, `iv` or `requestorType`.
    Base64Alphabet,
    /// Base64 without its padding.
    Base64Unpadded,
    /// A `+` of Base64 sent raw in a URL, or already turned into a space.
    PlusAsSpace,
    /// A parameter, a member or the whole text that is percent-encoded more often than the format asks.
    DoubleEncoded,
    /// Line ends or blanks around a value, or line ends in it.
    Whitespace,
    /// A date of 14, 16 or 17 digits that the pairing does not write itself.
    DateDigits,
    /// A second `?` in place of `&`.
    SecondQuestionMark,
    /// A list in another syntax than repeated members or the pairing's own.
    ListSyntax,
    /// A `redirect` whose own query or fragment was not escaped.
    RedirectUnescaped,
    /// A `txnid` that is not a UUID.
    TxnidNotUuid,
    /// A member that the guideline does not have.
    ExtraMember,
    /// An optional member without a value.
    BlankOptional,
    /// Status `S` with an error code other than 0, or `F` with 0.
    StatusMismatch,
    /// A byte order mark or `?` in front of the members, nothing between two `&`, or an `&` at an end.
    StrayCharacters,
    /// A known name in another case.
    NameCase,
    /// A `%` without two hexadecimal digits behind it.
    InvalidEscape,
    /// A member or parameter that comes more than once with the same value.
    Repeated,
    /// `&amp;` between parameters.
    HtmlEscaped,
    /// Parameters behind `#`.
    InFragment,
    /// A `requestorType` that is unknown or not masked.
    RequestorType,
    /// A date without its leading zero.
    DateZeroLost,
    /// A byte above 0x7E that is not percent-encoded.
    RawNonAscii,
}

impl Deviation {
    /// Every deviation, in the order of the interface.
    pub const ALL: [Self; 22] = [
        Self::Base64Alphabet,
        Self::Base64Unpadded,
        Self::PlusAsSpace,
        Self::DoubleEncoded,
        Self::Whitespace,
        Self::DateDigits,
        Self::SecondQuestionMark,
        Self::ListSyntax,
        Self::RedirectUnescaped,
        Self::TxnidNotUuid,
        Self::ExtraMember,
        Self::BlankOptional,
        Self::StatusMismatch,
        Self::StrayCharacters,
        Self::NameCase,
        Self::InvalidEscape,
        Self::Repeated,
        Self::HtmlEscaped,
        Self::InFragment,
        Self::RequestorType,
        Self::DateZeroLost,
        Self::RawNonAscii,
    ];

    /// The name without its prefix, such as `PLUS_AS_SPACE`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base64Alphabet => "BASE64_ALPHABET",
            Self::Base64Unpadded => "BASE64_UNPADDED",
            Self::PlusAsSpace => "PLUS_AS_SPACE",
            Self::DoubleEncoded => "DOUBLE_ENCODED",
            Self::Whitespace => "WHITESPACE",
            Self::DateDigits => "DATE_DIGITS",
            Self::SecondQuestionMark => "SECOND_QUESTION_MARK",
            Self::ListSyntax => "LIST_SYNTAX",
            Self::RedirectUnescaped => "REDIRECT_UNESCAPED",
            Self::TxnidNotUuid => "TXNID_NOT_UUID",
            Self::ExtraMember => "EXTRA_MEMBER",
            Self::BlankOptional => "BLANK_OPTIONAL",
            Self::StatusMismatch => "STATUS_MISMATCH",
            Self::StrayCharacters => "STRAY_CHARACTERS",
            Self::NameCase => "NAME_CASE",
            Self::InvalidEscape => "INVALID_ESCAPE",
            Self::Repeated => "REPEATED",
            Self::HtmlEscaped => "HTML_ESCAPED",
            Self::InFragment => "IN_FRAGMENT",
            Self::RequestorType => "REQUESTOR_TYPE",
            Self::DateZeroLost => "DATE_ZERO_LOST",
            Self::RawNonAscii => "RAW_NON_ASCII",
        }
    }
}

/// Where a repair was made: the name of a parameter or member, [`WHOLE`] or [`EXTRA`].
pub type Place = &'static str;

/// The whole URL, or the whole text of members.
pub const WHOLE: Place = "";

/// A member that the guideline does not have. Its name is the sender's own and is not repeated.
pub const EXTRA: Place = "extra";

/// Deviations with their places, each pair once. A message without deviations allocates nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Deviations(BTreeSet<(Deviation, Place)>);

impl Deviations {
    /// Adds `deviation` at `place`.
    pub fn note(&mut self, deviation: Deviation, place: Place) {
        self.0.insert((deviation, place));
    }

    /// Adds `deviation` at `place` if `seen` is true.
    pub fn note_if(&mut self, seen: bool, deviation: Deviation, place: Place) {
        if seen {
            self.note(deviation, place);
        }
    }

    /// Adds all of `others`.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Each kind of deviation once, in the order of the interface.
    pub fn kinds(&self) -> impl Iterator<Item = Deviation> {
        let mut last = None;
        self.0
            .iter()
            .filter_map(move |&(deviation, _)| (last.replace(deviation) != Some(deviation)).then_some(deviation))
    }

    /// Each deviation with its place, in the order of the interface, then of the names of the places.
    pub fn details(&self) -> impl Iterator<Item = (Deviation, Place)> {
        self.0.iter().copied()
    }
}

impl std::fmt::Debug for Deviations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.details()).finish()
    }
}
