//! Writes the members of a message as real senders do, and says which deviations a reader must report.

use aa_redirect::codec::{Deviation, Deviations, EXTRA, WHOLE, profile::ListSyntax, url::Leg};

use super::{
    list::List,
    meaning::{Meaning, OPTIONAL},
};

/// The characters that are percent-encoded in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escaping {
    /// Only characters that would be misread. The `@` of a user is not one of them.
    Least,
    /// Everything except the unreserved characters.
    Component,
    /// Everything except the unreserved characters, but a space becomes a `+`.
    Form,
    /// Every byte.
    All,
}

/// How the member `redirect` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Percent-encoded.
    Whole,
    /// Percent-encoded twice.
    Twice,
    /// Not percent-encoded.
    Raw,
}

/// The way in which a sender writes members.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) escaping: Escaping,
    /// The hexadecimal digits of escapes.
    pub(crate) lower: bool,
    /// Sorts members and extra members by the length of their names.
    pub(crate) order: Vec<u8>,
    pub(crate) target: Target,
    pub(crate) srcref: List,
    pub(crate) fipid: List,
    /// The text that is sent for each absent optional member, if one is sent: for `fipid` and for [`OPTIONAL`].
    pub(crate) blanks: [Option<&'static str>; 5],
    pub(crate) leaves_out_sessionid: bool,
    /// The text in front of the error code.
    pub(crate) zeros: usize,
    /// Whether every value except `redirect` is encoded once more.
    pub(crate) twice: bool,
    /// Whether the whole text is encoded.
    pub(crate) whole: bool,
    /// The text before and after the members.
    pub(crate) around: (&'static str, &'static str),
    /// Whether there are empty pieces: at the front, after the first member, at the end.
    pub(crate) strays: [bool; 3],
    /// Whether names begin in upper case.
    pub(crate) capitals: bool,
    /// Whether `sessionid` comes twice.
    pub(crate) repeats: bool,
    /// Whether a `%` that does not begin an escape stays raw.
    pub(crate) raw_percent: bool,
}

/// A piece between two `&`.
struct Piece {
    /// The member; `None` for an extra one.
    member: Option<&'static str>,
    text: String,
}

impl Text {
    /// The plaintext, and the deviations that a reader repairs in it.
    pub(crate) fn write(&self, leg: Leg, meaning: &Meaning, own: ListSyntax) -> (String, Deviations) {
        let mut writer = Writer { text: self, found: Deviations::default(), pieces: Vec::new() };
        writer.members(leg, meaning, own);
        let Writer { mut pieces, mut found, .. } = writer;
        // Items of a list keep their order.
        pieces.sort_by_key(|piece| self.order[piece.member.map_or(14, str::len)]);
        let open = self.settle_open_redirect(&mut pieces, &mut found);
        for piece in &pieces {
            found.note_if(!piece.text.is_ascii(), Deviation::RawNonAscii, piece.member.unwrap_or(EXTRA));
        }
        let mut text = String::new();
        let last = pieces.len() - 1;
        for (at, piece) in pieces.iter().enumerate() {
            let stray = match at {
                0 => self.strays[0],
                1 => self.strays[1] && open != Some(0),
                _ => false,
            };
            text.push_str(if stray { "&" } else { "" });
            text.push_str(if at > 0 { "&" } else { "" });
            text.push_str(&piece.text);
            found.note_if(stray || at == last && self.strays[2], Deviation::StrayCharacters, WHOLE);
        }
        text.push_str(if self.strays[2] { "&" } else { "" });
        if self.whole {
            found.note(Deviation::DoubleEncoded, WHOLE);
            text = percent(&text, self.lower, |byte| !is_unreserved(byte));
        }
        let around = [self.around.0, self.around.1].concat();
        found.note_if(around.contains([' ', '\r', '\n']), Deviation::Whitespace, WHOLE);
        found.note_if(around.contains(['?', '\u{feff}']), Deviation::StrayCharacters, WHOLE);
        ([self.around.0, &text, self.around.1].concat(), found)
    }

    /// The place of a redirect with a raw query. The next piece must begin a member that has not come yet, or a list.
    fn settle_open_redirect(&self, pieces: &mut Vec<Piece>, found: &mut Deviations) -> Option<usize> {
        let is_open = |piece: &Piece| {
            self.target == Target::Raw && piece.member == Some("redirect") && piece.text.contains(['?', '#'])
        };
        let at = pieces.iter().position(is_open)?;
        found.note(Deviation::RedirectUnescaped, "redirect");
        let has_come = |name| pieces[..at].iter().any(|piece| piece.member == Some(name));
        let begins = match pieces.get(at + 1).map(|piece| piece.member) {
            None => return Some(at),
            Some(None) => false,
            Some(Some(name)) => ["srcref", "fipid"].contains(&name) || !has_come(name),
        };
        if begins {
            return Some(at);
        }
        let redirect = pieces.remove(at);
        pieces.push(redirect);
        Some(pieces.len() - 1)
    }
}

/// Collects the pieces of a text.
struct Writer<'a> {
    text: &'a Text,
    found: Deviations,
    pieces: Vec<Piece>,
}

impl Writer<'_> {
    fn members(&mut self, leg: Leg, meaning: &Meaning, own: ListSyntax) {
        self.member("txnid", &meaning.txnid);
        self.member("userid", &meaning.userid);
        if !(self.text.leaves_out_sessionid && meaning.sessionid.is_empty()) {
            self.member("sessionid", &meaning.sessionid);
            if self.text.repeats {
                self.member("sessionid", &meaning.sessionid);
                self.found.note(Deviation::Repeated, "sessionid");
            }
        }
        if leg == Leg::Request {
            self.redirect(&meaning.redirect);
            for ((name, value), blank) in OPTIONAL.into_iter().zip(&meaning.optional).zip(&self.text.blanks[1..]) {
                match (&**value, blank) {
                    ("", None) => {}
                    ("", Some(blank)) => self.blank(name, blank),
                    (value, _) => self.member(name, value),
                }
            }
        } else {
            let code = "0".repeat(self.text.zeros) + &meaning.errorcode.to_string();
            self.member("status", if meaning.success { "S" } else { "F" });
            // At most ten digits.
            self.member("errorcode", &code[code.len().saturating_sub(10)..]);
            let mismatch = meaning.success != (meaning.errorcode == 0);
            self.found.note_if(mismatch, Deviation::StatusMismatch, "status");
        }
        self.list("srcref", &meaning.srcref, self.text.srcref, own);
        self.list("fipid", &meaning.fipid, self.text.fipid, own);
        match (leg, self.text.blanks[0]) {
            (Leg::Request, Some(blank)) if meaning.fipid.is_empty() => self.blank("fipid", blank),
            (Leg::Callback, Some(_)) if meaning.srcref.is_empty() => self.blank("srcref", ""),
            _ => {}
        }
        for (name, value) in &meaning.extra {
            let value = self.value(EXTRA, value);
            self.pieces.push(Piece { member: None, text: format!("{}={value}", self.escaped_name(name)) });
            self.found.note(Deviation::ExtraMember, EXTRA);
        }
        self.found.note_if(!is_uuid(&meaning.txnid), Deviation::TxnidNotUuid, "txnid");
    }

    fn member(&mut self, name: &'static str, value: &str) {
        let value = self.value(name, value);
        self.push(name, name, &value);
    }

    fn blank(&mut self, name: &'static str, blank: &str) {
        self.found.note(Deviation::BlankOptional, name);
        self.member(name, blank);
    }

    fn list(&mut self, name: &'static str, items: &[String], list: List, own: ListSyntax) {
        if items.is_empty() {
            return;
        }
        for (written, value) in list.values(name, items, own, &mut self.found) {
            let value = self.value(name, &value);
            self.push(name, &written, &value);
        }
    }

    fn redirect(&mut self, url: &str) {
        let encoded = |text: &str| percent(text, self.text.lower, |byte| !is_unreserved(byte));
        let value = match self.text.target {
            Target::Raw if is_readable_raw(url) => url.to_owned(),
            Target::Whole | Target::Raw => encoded(url),
            Target::Twice => {
                self.found.note(Deviation::DoubleEncoded, "redirect");
                encoded(&encoded(url))
            }
        };
        self.push("redirect", "redirect", &value);
    }

    fn push(&mut self, member: &'static str, name: &str, value: &str) {
        let name = if self.text.capitals {
            self.found.note(Deviation::NameCase, member);
            name[..1].to_ascii_uppercase() + &name[1..]
        } else {
            name.to_owned()
        };
        let text = format!("{}={value}", self.escaped_name(&name));
        self.pieces.push(Piece { member: Some(member), text });
    }

    fn escaped_name(&self, name: &str) -> String {
        match self.text.escaping {
            Escaping::Least => name.to_owned(),
            Escaping::Component | Escaping::Form => percent(name, self.text.lower, |byte| !is_unreserved(byte)),
            Escaping::All => percent(name, self.text.lower, |_| true),
        }
    }

    fn value(&mut self, place: &'static str, value: &str) -> String {
        let Text { escaping, lower, twice, raw_percent, .. } = *self.text;
        // A sender that encodes twice encodes everything that could be misread, also the `@` of a user.
        let escaping = match (escaping, twice) {
            (Escaping::Least | Escaping::Form, true) => Escaping::Component,
            (escaping, _) => escaping,
        };
        let once = match escaping {
            Escaping::Least => {
                let bytes = value.as_bytes();
                let is_raw = |at: usize| match bytes[at] {
                    b'%' => {
                        raw_percent
                            && !bytes.get(at + 1..at + 3).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
                    }
                    // At the ends of the text they would be dropped.
                    b' ' => at > 0 && at + 1 < bytes.len(),
                    byte => byte != b'&' && !byte.is_ascii_control(),
                };
                let stands = |at: usize| bytes[at] == b'%' && is_raw(at);
                self.found.note_if((0..bytes.len()).any(stands), Deviation::InvalidEscape, place);
                percent_at(value, lower, |at| !is_raw(at))
            }
            Escaping::Component => percent(value, lower, |byte| !is_unreserved(byte)),
            Escaping::Form => percent(value, lower, |byte| !is_unreserved(byte)).replace("%20", "+"),
            Escaping::All => percent(value, lower, |_| true),
        };
        if !twice {
            return once;
        }
        self.found.note_if(once.contains('%'), Deviation::DoubleEncoded, place);
        percent(&once, lower, |byte| !is_unreserved(byte))
    }
}

/// Whether a reader can find the end of a raw `redirect`: no part of it can begin a member, and without a raw query it
/// has only one part. An `&` at its end would belong to the text.
fn is_readable_raw(redirect: &str) -> bool {
    let mut parts = redirect.split('&');
    let first = parts.next().unwrap();
    let mut rest = parts.peekable();
    let is_own = |part: &str| {
        let (name, _) = part.split_once('=').unwrap_or((part, ""));
        let known = [Leg::Request, Leg::Callback].into_iter().flat_map(|leg| Meaning::names(leg).iter().copied());
        let parameters = ["fi", "reqdate", "ecreq", "iv", "requestorType", "resdate", "ecres"];
        !name.contains(['%', '[']) && !known.chain(parameters).any(|known| known.eq_ignore_ascii_case(name))
    };
    let open = first.contains(['?', '#']);
    (open || rest.peek().is_none()) && rest.all(is_own) && !redirect.ends_with('&')
}

pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

pub(crate) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// `text` with an escape for each byte that `needs` one.
pub(crate) fn percent(text: &str, lower: bool, needs: impl Fn(u8) -> bool) -> String {
    percent_at(text, lower, |at| needs(text.as_bytes()[at]))
}

fn percent_at(text: &str, lower: bool, needs: impl Fn(usize) -> bool) -> String {
    let mut bytes = Vec::new();
    for (at, byte) in text.bytes().enumerate() {
        if needs(at) {
            let escape = if lower { format!("%{byte:02x}") } else { format!("%{byte:02X}") };
            bytes.extend(escape.bytes());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}
