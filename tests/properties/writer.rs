//! Writes a message as real senders do, from the format's description alone, and says which deviations a reader must
//! report. Nothing of the codec's writers is used; its set of deviations only holds what is expected.

use aa_redirect::codec::{
    Deviation, Deviations,
    date::DateStyle,
    profile::{Conventions, ListSyntax, Scheme},
    url::Leg,
};
use aes::cipher::{BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};

use super::{
    meaning::{Meaning, OPTIONAL},
    sender::mask,
};

/// What is percent-encoded in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escaping {
    /// What would be misread, and nothing else.
    Least,
    /// Everything but the unreserved characters; a space is a `+` where the profile says so.
    Form,
    /// Every byte.
    All,
}

/// How the member `redirect` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Percent-encoded whole.
    Whole,
    /// The same, twice.
    Twice,
    /// As other values are; its `?` may stay raw.
    LikeOthers,
    /// Not at all.
    Raw,
}

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    Repeated,
    Comma,
    Braces,
    Json,
    /// `[a,b]`
    Brackets,
    /// `['a', 'b']`
    Python,
    /// `a%26srcref%3Db`
    Joined,
}

/// How one list is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    pub(crate) syntax: Syntax,
    /// After each comma.
    pub(crate) blank: bool,
    /// Another comma at the end.
    pub(crate) last_comma: bool,
    /// Around the whole.
    pub(crate) around: (&'static str, &'static str),
}

/// What becomes of the `+` of the standard alphabet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plus {
    Escaped,
    Raw,
    Space,
}

/// How a parameter is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    /// The other alphabet.
    pub(crate) foreign: bool,
    pub(crate) unpadded: bool,
    pub(crate) plus: Plus,
    /// Inside the value, after every 20 characters.
    pub(crate) fold: &'static str,
    pub(crate) around: (&'static str, &'static str),
    /// Whether blanks and line ends stand raw in a URL.
    pub(crate) raw_blanks: bool,
    pub(crate) escaping: Escaping,
    /// Percent-encodings more than the one that a URL needs.
    pub(crate) encodings: usize,
    /// Around the name, in a URL.
    pub(crate) around_name: (&'static str, &'static str),
}

/// What the parameters travel in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Carrier {
    /// A URL that begins so and ends so.
    Url(&'static str, &'static str),
    /// None: they were taken out.
    Parameters,
}

/// All the habits of a sender.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    pub(crate) escaping: Escaping,
    pub(crate) lower: bool,
    /// Sorts members and parameters.
    pub(crate) order: Vec<u8>,
    pub(crate) target: Target,
    pub(crate) srcref: List,
    pub(crate) fipid: List,
    /// Whether an absent optional member is sent empty: `fipid` and [`OPTIONAL`].
    pub(crate) blanks: [bool; 5],
    pub(crate) leaves_out_sessionid: bool,
    pub(crate) zeros: usize,
    /// `fi`, the date, the message, `iv`, `requestorType`.
    pub(crate) parameters: [Parameter; 5],
    pub(crate) sends_empty_parameters: bool,
    pub(crate) carrier: Carrier,
}

/// A message that is on its way.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) fi: String,
    pub(crate) date: String,
    pub(crate) message: String,
    pub(crate) iv: String,
    pub(crate) requestor_type: String,
    /// Where it travels in one.
    pub(crate) url: Option<String>,
    pub(crate) deviations: Deviations,
}

impl Habits {
    fn escape(&self, text: &str, escaping: Escaping, plus_is_space: bool) -> String {
        percent(text, self.lower, |byte| match escaping {
            Escaping::Least => matches!(byte, b'%' | b'&') || byte == b'+' && plus_is_space,
            Escaping::Form => !is_unreserved(byte),
            Escaping::All => true,
        })
        .replace("%20", if plus_is_space && escaping == Escaping::Form { "+" } else { "%20" })
    }

    /// The plaintext, and what a reader repairs in it.
    pub(crate) fn plaintext(&self, leg: Leg, meaning: &Meaning, conventions: &Conventions) -> (String, Deviations) {
        let mut found = Deviations::default();
        let plus_is_space = conventions.profile.plus_is_space;
        let escape = |text: &str| self.escape(text, self.escaping, plus_is_space);
        let pair = |name: &str, value: &str| {
            let name = if self.escaping == Escaping::Least { name.to_owned() } else { escape(name) };
            format!("{name}={}", escape(value))
        };
        // Each with whether it may follow a redirect whose query is open.
        let mut members = vec![(pair("txnid", &meaning.txnid), true), (pair("userid", &meaning.userid), true)];
        if !(self.leaves_out_sessionid && meaning.sessionid.is_empty()) {
            members.push((pair("sessionid", &meaning.sessionid), true));
        }
        let mut target = None;
        if leg == Leg::Request {
            let (text, open) = self.target(&meaning.redirect, plus_is_space, &mut found);
            target = open.then(|| text.clone());
            members.push((text, true));
            for ((name, value), blank) in OPTIONAL.iter().zip(&meaning.optional).zip(&self.blanks[1..]) {
                if !value.is_empty() || *blank {
                    found.note(Deviation::BlankOptional, value.is_empty());
                    members.push((pair(name, value), true));
                }
            }
        } else {
            let code = "0".repeat(self.zeros) + &meaning.errorcode.to_string();
            members.push((pair("status", if meaning.success { "S" } else { "F" }), true));
            members.push((pair("errorcode", &code), true));
            found.note(Deviation::StatusMismatch, meaning.success != (meaning.errorcode == 0));
        }
        for (name, items, list) in [("srcref", &meaning.srcref, self.srcref), ("fipid", &meaning.fipid, self.fipid)] {
            if items.is_empty() {
                if self.blanks[0] && (name == "fipid") == (leg == Leg::Request) {
                    found.note(Deviation::BlankOptional, true);
                    members.push((pair(name, ""), true));
                }
            } else {
                let values = list.values(name, items, conventions.lists, &mut found);
                let values: Vec<_> = values.iter().map(|value| pair(name, value)).collect();
                members.push((values.join("&"), true));
            }
        }
        members.extend(meaning.extra.iter().map(|(name, value)| (pair(name, value), false)));
        found.note(Deviation::ExtraMember, !meaning.extra.is_empty());
        found.note(Deviation::TxnidNotUuid, !is_uuid(&meaning.txnid));
        let mut order = self.order.iter().cycle();
        members.sort_by_cached_key(|_| *order.next().unwrap());
        // A stranger behind an open query would belong to it.
        if let Some(at) = members.iter().position(|(text, _)| Some(text) == target.as_ref())
            && members.get(at + 1).is_some_and(|(_, known)| !known)
        {
            let target = members.remove(at);
            members.push(target);
        }
        (members.into_iter().map(|(text, _)| text).collect::<Vec<_>>().join("&"), found)
    }

    /// The member `redirect`, and whether its query is open.
    fn target(&self, redirect: &str, plus_is_space: bool, found: &mut Deviations) -> (String, bool) {
        let escape = |text: &str, escaping| self.escape(text, escaping, plus_is_space);
        let style = match self.target {
            Target::Raw if !is_readable_raw(redirect) => Target::Whole,
            style => style,
        };
        let text = match style {
            Target::Whole => escape(redirect, Escaping::Form),
            Target::Twice => {
                found.note(Deviation::DoubleEncoded, true);
                escape(&escape(redirect, Escaping::Form), Escaping::Form)
            }
            Target::LikeOthers => escape(redirect, self.escaping),
            Target::Raw => redirect.to_owned(),
        };
        let open = text.contains('?');
        found.note(Deviation::RedirectUnescaped, open);
        (format!("redirect={text}"), open)
    }

    /// The whole message, under `key`.
    pub(crate) fn write(&self, leg: Leg, meaning: &Meaning, sent: &Sent<'_>, conventions: &Conventions) -> Written {
        let (plaintext, mut found) = self.plaintext(leg, meaning, conventions);
        let has_iv = conventions.profile.scheme == Scheme::HkdfIv;
        let iv = if has_iv { sent.iv } else { [0; 16] };
        let ciphertext = cbc::Encryptor::<aes::Aes256>::new(&sent.key.into(), &iv.into())
            .encrypt_padded_vec::<Pkcs7>(plaintext.as_bytes());
        let in_url = matches!(self.carrier, Carrier::Url(..));
        let [fi, date, message, iv_habit, kind] = &self.parameters;
        found.note(
            Deviation::DateDigits,
            match sent.date.len() {
                15 => false,
                17 => conventions.date != DateStyle::Full,
                _ => true,
            },
        );
        let message = message.base64(&ciphertext, true, self.lower, in_url, &mut found);
        let fi = fi.base64(&mask(sent.id.as_bytes(), sent.date), false, self.lower, in_url, &mut found);
        let date = date.encode(sent.date, self.lower, in_url, &mut found);
        let iv = if has_iv { iv_habit.base64(&iv, false, self.lower, in_url, &mut found) } else { String::new() };
        let requestor_type = if sent.kind.is_empty() {
            String::new()
        } else {
            kind.base64(&mask(sent.kind.as_bytes(), sent.date), false, self.lower, in_url, &mut found)
        };
        let mut written = Written { fi, date, message, iv, requestor_type, url: None, deviations: found };
        if let Carrier::Url(begin, end) = self.carrier {
            written.url = Some(self.url(leg, begin, end, &mut written));
        }
        written
    }

    fn url(&self, leg: Leg, begin: &str, end: &str, written: &mut Written) -> String {
        let (date, message) = match leg {
            Leg::Request => ("reqdate", "ecreq"),
            Leg::Callback => ("resdate", "ecres"),
        };
        let values = [&written.fi, &written.date, &written.message, &written.iv, &written.requestor_type];
        let mut found = Deviations::default();
        let mut parameters = Vec::new();
        for (at, name) in ["fi", date, message, "iv", "requestorType"].into_iter().enumerate() {
            let (value, parameter) = (values[at], &self.parameters[at]);
            let of_leg = at < 4 || leg == Leg::Request;
            if value.is_empty() && !(self.sends_empty_parameters && of_leg) {
                continue;
            }
            let (before, after) = parameter.around_name;
            found.note(Deviation::Whitespace, !before.is_empty() || !after.is_empty());
            let name =
                if parameter.escaping == Escaping::All { percent(name, self.lower, |_| true) } else { name.into() };
            parameters.push(format!("{before}{name}{after}={value}"));
        }
        parameters.extend(["fip=HDFC".to_owned(), "flag".to_owned(), "note=why?yes=1".to_owned()]);
        let mut order = self.order.iter().rev().cycle();
        parameters.sort_by_cached_key(|_| *order.next().unwrap());
        if begin.matches('?').count() > 1 {
            // A `?` joins only where a parameter follows whose name stands there as it is.
            match parameters.iter().position(|text| text.starts_with("fi=")) {
                Some(at) => parameters.swap(0, at),
                None => parameters.insert(0, "note=1".to_owned()),
            }
            found.note(Deviation::SecondQuestionMark, parameters[0].starts_with("fi="));
        }
        let url = [begin, &parameters.join("&"), end].concat();
        found.note(Deviation::Whitespace, url.starts_with(|c: char| c.is_ascii_whitespace()));
        written.deviations.extend(found);
        url
    }
}

/// What a message is sent with, beside its members.
pub(crate) struct Sent<'a> {
    pub(crate) id: &'a str,
    /// Empty for none.
    pub(crate) kind: &'a str,
    pub(crate) date: &'a str,
    pub(crate) key: [u8; 32],
    pub(crate) iv: [u8; 16],
}

impl List {
    /// The values of the members that carry `items`.
    fn values(self, name: &str, items: &[String], own: ListSyntax, found: &mut Deviations) -> Vec<String> {
        let glue = if self.blank { ", " } else { "," };
        let end = if self.last_comma { "," } else { "" };
        let quoted =
            |quote: &str| items.iter().map(|item| format!("{quote}{item}{quote}")).collect::<Vec<_>>().join(glue);
        let shows_comma = items.len() > 1 || self.last_comma;
        let (value, deviates) = match self.syntax {
            Syntax::Repeated => {
                let mut values = items.to_vec();
                self.surround(&mut values[0], found);
                return values;
            }
            Syntax::Comma => (items.join(glue) + end, own != ListSyntax::Comma && shows_comma),
            Syntax::Braces => (format!("{{{}{end}}}", items.join(glue)), own != ListSyntax::Braces),
            Syntax::Json => {
                let items: Vec<_> = items.iter().map(|item| json(item)).collect();
                (format!("[{}]", items.join(glue)), own != ListSyntax::Json)
            }
            Syntax::Brackets => (format!("[{}{end}]", items.join(glue)), true),
            Syntax::Python => (format!("[{}]", quoted("'")), true),
            Syntax::Joined => (items.join(&format!("&{name}=")), items.len() > 1),
        };
        found.note(Deviation::ListSyntax, deviates);
        let mut value = [value];
        self.surround(&mut value[0], found);
        value.into()
    }

    fn surround(self, value: &mut String, found: &mut Deviations) {
        found.note(Deviation::Whitespace, self.around != ("", ""));
        *value = [self.around.0, value, self.around.1].concat();
    }
}

impl Parameter {
    fn base64(&self, bytes: &[u8], own_is_url_safe: bool, lower: bool, in_url: bool, found: &mut Deviations) -> String {
        let url_safe = own_is_url_safe != self.foreign;
        let text = match (url_safe, self.unpadded) {
            (false, false) => STANDARD.encode(bytes),
            (false, true) => STANDARD_NO_PAD.encode(bytes),
            (true, false) => URL_SAFE.encode(bytes),
            (true, true) => URL_SAFE_NO_PAD.encode(bytes),
        };
        found.note(Deviation::Base64Alphabet, self.foreign && text.contains(['+', '/', '-', '_']));
        found.note(Deviation::Base64Unpadded, self.unpadded && !bytes.len().is_multiple_of(3));
        let loses_plus = self.plus == Plus::Space || self.plus == Plus::Raw && in_url;
        found.note(Deviation::PlusAsSpace, loses_plus && text.contains('+'));
        let text = if self.plus == Plus::Space { text.replace('+', " ") } else { text };
        self.encode(&text, lower, in_url, found)
    }

    /// `text` with its line ends and percent-encodings.
    fn encode(&self, text: &str, lower: bool, in_url: bool, found: &mut Deviations) -> String {
        // A blank at an end that stands for a `+` cannot be told from one that does not; nor can one beside Base64 that
        // lacks its padding, where the `+` would make another short id of it.
        let is_ambiguous = self.unpadded || text.starts_with(' ') || text.ends_with(' ');
        let around = if is_ambiguous { ("", "") } else { self.around };
        let lines: Vec<_> = text.as_bytes().chunks(20).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let folded = [around.0, &lines.join(self.fold), around.1].concat();
        found.note(Deviation::Whitespace, folded != text);
        let needs = |byte: u8| match byte {
            b'+' => self.plus != Plus::Raw,
            b' ' | b'\r' | b'\n' | b'\t' => !self.raw_blanks,
            b'=' | b'/' => self.escaping != Escaping::Least,
            b'%' => true,
            _ => self.escaping == Escaping::All,
        };
        let mut value = folded;
        let allowed = usize::from(in_url);
        for encoding in 0..allowed + self.encodings {
            let encoded = percent(&value, lower, needs);
            found.note(Deviation::DoubleEncoded, encoding >= allowed && encoded != value);
            value = encoded;
        }
        value
    }
}

/// Whether a reader can tell that nothing of `redirect` was escaped: it has a query, of names that are no members, and
/// where there is but one, no escape that could be the sender's.
fn is_readable_raw(redirect: &str) -> bool {
    let mut parts = redirect.split('&');
    let first = parts.next().unwrap();
    let rest: Vec<&str> = parts.collect();
    let is_stranger = |part: &&str| {
        part.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && !name.contains(['%', '+']) && !Meaning::names(Leg::Request).contains(&name)
        })
    };
    first.contains('?')
        && rest.iter().all(is_stranger)
        && escapes_are_whole(first)
        && (!rest.is_empty() || !first.contains('%'))
}

fn escapes_are_whole(text: &str) -> bool {
    let two_digits = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    text.split('%').skip(1).all(two_digits)
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn percent(text: &str, lower: bool, needs: impl Fn(u8) -> bool) -> String {
    let mut bytes = Vec::new();
    for byte in text.bytes() {
        if needs(byte) {
            let escape = if lower { format!("%{byte:02x}") } else { format!("%{byte:02X}") };
            bytes.extend(escape.bytes());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// A JSON string, every character that could need it as an escape.
fn json(item: &str) -> String {
    let character = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    format!("\"{}\"", item.chars().map(character).collect::<String>())
}
