//! What a sender did that the format does not have and that was repaired, each kind once.

/// A repair that reading needed; the names are those of the interface (`DEVIATION_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Deviation {
    /// The standard Base64 alphabet in `ecreq` or `ecres`, or the URL-safe one in `fi`, `iv` or `requestorType`.
    Base64Alphabet = 1,
    /// Base64 without its padding.
    Base64Unpadded,
    /// A `+` of Base64 sent raw in a URL, or already turned into a space.
    PlusAsSpace,
    /// A parameter, or the member `redirect`, percent-encoded more than once.
    DoubleEncoded,
    /// Line ends in a value, or blanks around it.
    Whitespace,
    /// A date of 14 or 17 digits, where the pairing does not write such dates itself.
    DateDigits,
    /// A second `?` where an `&` belongs.
    SecondQuestionMark,
    /// A list in another syntax than repeated members or the pairing's own.
    ListSyntax,
    /// A `redirect` with a query of its own that was not escaped.
    RedirectUnescaped,
    /// A `txnid` that is no UUID.
    TxnidNotUuid,
    /// A member that the guideline does not have.
    ExtraMember,
    /// An optional member sent without a value.
    BlankOptional,
    /// Status `S` with an error code other than 0, or `F` with 0.
    StatusMismatch,
}

impl Deviation {
    /// Every deviation, in the order of the interface.
    pub const ALL: [Self; 13] = [
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
        }
    }
}

/// A set of deviations.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Deviations(u16);

impl Deviations {
    /// Adds `deviation` where `seen` holds.
    pub fn note(&mut self, deviation: Deviation, seen: bool) {
        self.0 |= u16::from(seen) << deviation as u8;
    }

    /// Adds all of `others`.
    pub fn extend(&mut self, others: Self) {
        self.0 |= others.0;
    }

    /// The deviations in the order of the interface.
    pub fn iter(self) -> impl Iterator<Item = Deviation> {
        Deviation::ALL.into_iter().filter(move |&deviation| self.0 & 1 << deviation as u8 != 0)
    }
}

impl std::fmt::Debug for Deviations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
