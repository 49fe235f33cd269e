//! Prepares a text before it is split into members (wire format, section 6, rule 1).

use std::borrow::Cow;

use crate::codec::{Deviation, deviation::WHOLE, scan::holds};

use super::{
    escape,
    reader::{Reader, Unreadable},
};

impl Reader<'_> {
    /// `text` without what a sender may have left around it, and decoded once if it was percent-encoded as a whole.
    pub(super) fn members_of<'a>(&mut self, text: &'a [u8]) -> Result<Cow<'a, str>, Unreadable> {
        let text = self.trimmed(std::str::from_utf8(text).map_err(|_| Unreadable::NotUtf8)?);
        let text = if holds(text, b'=') { Cow::Borrowed(text) } else { self.decoded_whole(text)? };
        // One pass without a branch for each byte.
        if text.bytes().fold(false, |found, byte| found | byte.is_ascii_control()) {
            return Err(Unreadable::ControlCharacter);
        }
        self.has_escapes = holds(&text, b'%');
        Ok(text)
    }

    fn decoded_whole<'a>(&mut self, text: &'a str) -> Result<Cow<'a, str>, Unreadable> {
        let decoded = escape::decode(text).ok_or(Unreadable::NotUtf8)?;
        if !holds(&decoded.text, b'=') {
            return Ok(Cow::Borrowed(text));
        }
        self.deviations.note(Deviation::DoubleEncoded, WHOLE);
        self.deviations.note_if(decoded.invalid_escape, Deviation::InvalidEscape, WHOLE);
        Ok(Cow::Owned(self.trimmed(&decoded.text).to_owned()))
    }

    /// `text` without blanks, line ends, a byte order mark and a `?` at its front, and without blanks and line ends at
    /// its end.
    fn trimmed<'a>(&mut self, text: &'a str) -> &'a str {
        let mut rest = self.without_blanks(text);
        for stray in ['\u{feff}', '?'] {
            if let Some(after) = rest.strip_prefix(stray) {
                self.deviations.note(Deviation::StrayCharacters, WHOLE);
                rest = self.without_blanks(after);
            }
        }
        let trimmed = rest.trim_end_matches(is_blank);
        self.deviations.note_if(trimmed.len() < rest.len(), Deviation::Whitespace, WHOLE);
        trimmed
    }

    fn without_blanks<'a>(&mut self, text: &'a str) -> &'a str {
        let rest = text.trim_start_matches(is_blank);
        self.deviations.note_if(rest.len() < text.len(), Deviation::Whitespace, WHOLE);
        rest
    }
}

/// A blank or a line end.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\r' | '\n')
}
