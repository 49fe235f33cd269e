//! Splits a text into members, which are not yet decoded (wire format, section 6, rules 2, 3 and 6).

use std::borrow::Cow;

use crate::codec::{
    Deviation,
    deviation::{EXTRA, Place, WHOLE},
    form,
    scan::{split_at_each, split_at_first},
    url::{Leg, PARAMETERS},
};

use super::{
    Member, escape,
    reader::{Reader, Unreadable},
};

/// A received member.
pub(super) struct Piece<'a> {
    pub(super) name: Name<'a>,
    pub(super) raw: &'a str,
}

/// The member to which a piece belongs.
#[derive(PartialEq, Eq)]
pub(super) enum Name<'a> {
    Known(Member),
    Extra(Cow<'a, str>),
}

impl Name<'_> {
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Known(member) => member.name(),
            Self::Extra(_) => EXTRA,
        }
    }

    /// Whether the value is a URL: the `redirect` of a request, or its copy in a callback.
    pub(super) fn is_redirect(&self, leg: Leg) -> bool {
        match self {
            Self::Known(member) => *member == Member::Redirect,
            Self::Extra(name) => leg == Leg::Callback && name == Member::Redirect.name(),
        }
    }
}

/// A name, and how the sender wrote it.
struct Written<'a> {
    name: Name<'a>,
    other_case: bool,
    /// `srcref[]` or `srcref[0]`.
    brackets: bool,
    invalid_escape: bool,
}

/// The members that have come so far.
#[derive(Default)]
struct Seen(u16);

impl Seen {
    fn insert(&mut self, member: Member) {
        self.0 |= 1 << member as u16;
    }

    fn has(&self, member: Member) -> bool {
        self.0 & 1 << member as u16 != 0
    }
}

impl Reader<'_> {
    /// The members of `text`, in their order.
    pub(super) fn pieces<'a>(&mut self, text: &'a str) -> Result<Vec<Piece<'a>>, Unreadable> {
        let mut pieces: Vec<Piece<'a>> = Vec::with_capacity(16);
        let mut seen = Seen::default();
        // The start of a `redirect` whose value may go on in the next pieces.
        let mut open = None;
        let is_ascii = text.is_ascii();
        let whole = text.trim_end_matches('&');
        self.deviations.note_if(whole.len() < text.len(), Deviation::StrayCharacters, WHOLE);
        let mut end = 0;
        for (number, piece) in (1..).zip(split_at_each(whole, b'&')) {
            let begin = if number == 1 { 0 } else { end + 1 };
            end = begin + piece.len();
            let split = split_at_first(piece, b'=');
            let written = split.and_then(|(name, _)| self.written(name));
            let raw_non_ascii = !is_ascii && !piece.is_ascii();
            if let (Some(value), Some(redirect)) = (open, pieces.last_mut()) {
                if !written.as_ref().is_some_and(|written| begins_member(&written.name, &seen)) {
                    redirect.raw = &whole[value..end];
                    self.deviations.note_if(raw_non_ascii, Deviation::RawNonAscii, redirect.name.place());
                    continue;
                }
                open = None;
            }
            if piece.is_empty() {
                self.deviations.note(Deviation::StrayCharacters, WHOLE);
                continue;
            }
            let (_, raw) = split.ok_or(Unreadable::NotAMember(number))?;
            let written = written.ok_or(Unreadable::BadEscape(number))?;
            if written.name == Name::Extra(Cow::Borrowed("")) {
                return Err(Unreadable::NotAMember(number));
            }
            let name = self.noted(written);
            self.deviations.note_if(raw_non_ascii, Deviation::RawNonAscii, name.place());
            if let Name::Known(member) = name {
                seen.insert(member);
            }
            if name.is_redirect(self.leg) && is_raw_url(raw) && memchr::memchr2(b'?', b'#', raw.as_bytes()).is_some() {
                self.deviations.note(Deviation::RedirectUnescaped, name.place());
                open = Some(end - raw.len());
            }
            pieces.push(Piece { name, raw });
        }
        Ok(pieces)
    }

    /// The member that `raw` names. `None` if it does not decode to UTF-8.
    fn written<'a>(&self, raw: &'a str) -> Option<Written<'a>> {
        let members = Member::of(self.leg);
        if let Some(&member) = members.iter().find(|member| member.name() == raw) {
            let name = Name::Known(member);
            return Some(Written { name, other_case: false, brackets: false, invalid_escape: false });
        }
        let escape::Decoded { text, invalid_escape } = escape::decode(raw)?;
        let stem = without_index(&text);
        let known = members.iter().find(|member| match stem {
            Some(stem) => member.is_list() && member.name().eq_ignore_ascii_case(stem),
            None => member.name().eq_ignore_ascii_case(&text),
        });
        Some(match known {
            Some(&member) => Written {
                name: Name::Known(member),
                other_case: stem.unwrap_or(&text) != member.name(),
                brackets: stem.is_some(),
                invalid_escape,
            },
            None => Written { name: Name::Extra(text), other_case: false, brackets: false, invalid_escape },
        })
    }

    /// The name, decoded.
    fn noted<'a>(&mut self, written: Written<'a>) -> Name<'a> {
        let Written { name, other_case, brackets, invalid_escape } = written;
        self.deviations.note_if(other_case, Deviation::NameCase, name.place());
        self.deviations.note_if(brackets, Deviation::ListSyntax, name.place());
        self.deviations.note_if(invalid_escape, Deviation::InvalidEscape, name.place());
        name
    }
}

/// Whether a piece of this name ends an open `redirect`, because it cannot be a part of it.
fn begins_member(name: &Name<'_>, seen: &Seen) -> bool {
    match name {
        Name::Known(member) => member.is_list() || !seen.has(*member),
        Name::Extra(name) => PARAMETERS.contains(&&**name),
    }
}

/// Whether a `redirect` was written without any escape: it begins with a raw `scheme:`. Some encoders, such as axios,
/// leave the `:` raw, but then they escape the `/` behind it.
pub(super) fn is_raw_url(raw: &str) -> bool {
    form::split_scheme(raw)
        .is_some_and(|(_, rest)| !rest.get(..3).is_some_and(|slash| slash.eq_ignore_ascii_case("%2F")))
}

/// The part before `[]` or `[0]`, with any number of digits.
fn without_index(name: &str) -> Option<&str> {
    let (stem, index) = name.strip_suffix(']')?.rsplit_once('[')?;
    index.bytes().all(|byte| byte.is_ascii_digit()).then_some(stem)
}
