//! Writes a message as real senders do, from the format's description alone, and says which deviations a reader must
//! report. It does not use the codec's writers. It uses the codec's set of deviations only to hold the expected ones.

use aa_redirect::codec::{
    Deviation, Deviations,
    date::DateStyle,
    profile::{Conventions, Scheme},
    url::Leg,
};
use aes::cipher::{BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};

use super::{
    meaning::Meaning,
    sender::mask,
    text::{Escaping, Text, percent},
};

/// How the `+` of the standard alphabet is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plus {
    Escaped,
    Raw,
    Space,
}

/// How a parameter is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    /// Whether it uses the other alphabet.
    pub(crate) foreign: bool,
    pub(crate) unpadded: bool,
    pub(crate) plus: Plus,
    /// The text inside the value after every 20 characters.
    pub(crate) fold: &'static str,
    pub(crate) around: (&'static str, &'static str),
    /// Whether blanks and line ends stand raw in a URL.
    pub(crate) raw_blanks: bool,
    pub(crate) escaping: Escaping,
    /// How many more times it is percent-encoded than a URL needs.
    pub(crate) encodings: usize,
    /// The text around the name, in a URL.
    pub(crate) around_name: (&'static str, &'static str),
    /// Whether the name is in upper case, in a URL.
    pub(crate) shouted: bool,
    /// Whether a URL has the parameter twice.
    pub(crate) repeated: bool,
}

/// The form in which the parameters are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Carrier {
    /// A URL with this beginning and this end.
    Url(&'static str, &'static str),
    /// No URL: the caller has taken the parameters out.
    Parameters,
}

/// All the ways in which a sender may differ.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    pub(crate) text: Text,
    /// Sorts parameters.
    pub(crate) order: Vec<u8>,
    /// `fi`, the date, the message, `iv`, `requestorType`.
    pub(crate) parameters: [Parameter; 5],
    pub(crate) sends_empty_parameters: bool,
    /// Whether parameters are joined with `&amp;`.
    pub(crate) html: bool,
    /// Whether `requestorType` is not masked.
    pub(crate) plain_kind: bool,
    pub(crate) loses_zero: bool,
    pub(crate) carrier: Carrier,
}

/// A message as it is sent.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) fi: String,
    pub(crate) date: String,
    pub(crate) message: String,
    pub(crate) iv: String,
    pub(crate) requestor_type: String,
    /// The URL, if there is one.
    pub(crate) url: Option<String>,
    pub(crate) deviations: Deviations,
}

/// Everything that is sent with a message, beside its members.
pub(crate) struct Sent<'a> {
    pub(crate) id: &'a str,
    /// Empty if there is none.
    pub(crate) kind: &'a str,
    pub(crate) date: &'a str,
    pub(crate) key: [u8; 32],
    pub(crate) iv: [u8; 16],
}

/// The names of a leg's parameters, in the order of [`Habits::parameters`].
fn names(leg: Leg) -> [&'static str; 5] {
    match leg {
        Leg::Request => ["fi", "reqdate", "ecreq", "iv", "requestorType"],
        Leg::Callback => ["fi", "resdate", "ecres", "iv", "requestorType"],
    }
}

impl Habits {
    /// The whole message, under `key`.
    pub(crate) fn write(&self, leg: Leg, meaning: &Meaning, sent: &Sent<'_>, conventions: &Conventions) -> Written {
        let (plaintext, mut found) = self.text.write(leg, meaning, conventions.lists);
        let has_iv = conventions.profile.scheme == Scheme::HkdfIv;
        let iv = if has_iv { sent.iv } else { [0; 16] };
        let ciphertext = cbc::Encryptor::<aes::Aes256>::new(&sent.key.into(), &iv.into())
            .encrypt_padded_vec::<Pkcs7>(plaintext.as_bytes());
        let in_url = matches!(self.carrier, Carrier::Url(..));
        let mut writer = Writer { names: names(leg), lower: self.text.lower, in_url, found: Deviations::default() };
        let own = sent.date.len() == 15 || sent.date.len() == 17 && conventions.date == DateStyle::Full;
        writer.note_if(!own, Deviation::DateDigits, 1);
        let [fi, date, message, iv_habit, kind] = &self.parameters;
        let message = writer.base64(message, 2, &ciphertext, true);
        let fi = writer.base64(fi, 0, &mask(sent.id.as_bytes(), sent.date), false);
        // The rest of the text must not be a date.
        let loses_zero = self.loses_zero && sent.date.starts_with('0') && (&sent.date[5..6] != "2");
        writer.note_if(loses_zero, Deviation::DateZeroLost, 1);
        let date = writer.encode(date, 1, &sent.date[usize::from(loses_zero)..]);
        let iv = if has_iv { writer.base64(iv_habit, 3, &iv, false) } else { String::new() };
        let requestor_type = match sent.kind {
            "" => String::new(),
            known @ ("FIU" | "LSP") if !self.plain_kind => {
                writer.base64(kind, 4, &mask(known.as_bytes(), sent.date), false)
            }
            plain => {
                writer.note_if(true, Deviation::RequestorType, 4);
                plain.to_owned()
            }
        };
        found.extend(writer.found);
        let mut written = Written { fi, date, message, iv, requestor_type, url: None, deviations: found };
        if let Carrier::Url(begin, end) = self.carrier {
            written.url = Some(self.url(leg, begin, end, &mut written));
        }
        written
    }

    fn url(&self, leg: Leg, begin: &str, end: &str, written: &mut Written) -> String {
        let values = [&written.fi, &written.date, &written.message, &written.iv, &written.requestor_type];
        let found = &mut written.deviations;
        let mut parameters = Vec::new();
        for (at, name) in names(leg).into_iter().enumerate() {
            let (value, parameter) = (values[at], &self.parameters[at]);
            let of_leg = at < 4 || leg == Leg::Request;
            if value.is_empty() && !(self.sends_empty_parameters && of_leg) {
                continue;
            }
            let (before, after) = parameter.around_name;
            found.note_if(!before.is_empty() || !after.is_empty(), Deviation::Whitespace, name);
            found.note_if(parameter.shouted, Deviation::NameCase, name);
            let cased = if parameter.shouted { name.to_ascii_uppercase() } else { name.to_owned() };
            let cased =
                if parameter.escaping == Escaping::All { percent(&cased, self.text.lower, |_| true) } else { cased };
            parameters.push(format!("{before}{cased}{after}={value}"));
            if parameter.repeated {
                found.note(Deviation::Repeated, name);
                parameters.push(format!("{name}={value}"));
            }
        }
        parameters.extend(["fip=HDFC".to_owned(), "flag".to_owned(), "note=why?yes=1".to_owned()]);
        let mut order = self.order.iter().rev().cycle();
        parameters.sort_by_cached_key(|_| *order.next().unwrap());
        if begin.matches('?').count() > 1 {
            // A `?` joins parameters only if the name of the next parameter follows it unchanged.
            let joins = |text: &String| text.get(..3).is_some_and(|begin| begin.eq_ignore_ascii_case("fi="));
            match parameters.iter().position(joins) {
                Some(at) => parameters.swap(0, at),
                None => parameters.insert(0, "note=1".to_owned()),
            }
            found.note_if(joins(&parameters[0]), Deviation::SecondQuestionMark, "");
        }
        if begin.trim_ascii().is_empty() && parameters[0].starts_with(|c: char| c.is_ascii_whitespace()) {
            // Blanks in front of a URL belong to the URL.
            parameters.insert(0, "note=1".to_owned());
        }
        if self.html {
            // One of our parameters is never the first.
            found.note(Deviation::HtmlEscaped, "");
        }
        found.note_if(begin.contains('#'), Deviation::InFragment, "");
        let url = [begin, &parameters.join(if self.html { "&amp;" } else { "&" }), end].concat();
        found.note_if(url.starts_with(|c: char| c.is_ascii_whitespace()), Deviation::Whitespace, "");
        url
    }
}

/// Writes the values of parameters.
struct Writer {
    names: [&'static str; 5],
    lower: bool,
    in_url: bool,
    found: Deviations,
}

impl Writer {
    fn note_if(&mut self, seen: bool, deviation: Deviation, at: usize) {
        self.found.note_if(seen, deviation, self.names[at]);
    }

    fn base64(&mut self, habit: &Parameter, at: usize, bytes: &[u8], own_is_url_safe: bool) -> String {
        let url_safe = own_is_url_safe != habit.foreign;
        let text = match (url_safe, habit.unpadded) {
            (false, false) => STANDARD.encode(bytes),
            (false, true) => STANDARD_NO_PAD.encode(bytes),
            (true, false) => URL_SAFE.encode(bytes),
            (true, true) => URL_SAFE_NO_PAD.encode(bytes),
        };
        self.note_if(habit.foreign && text.contains(['+', '/', '-', '_']), Deviation::Base64Alphabet, at);
        self.note_if(habit.unpadded && !bytes.len().is_multiple_of(3), Deviation::Base64Unpadded, at);
        let loses_plus = habit.plus == Plus::Space || habit.plus == Plus::Raw && self.in_url;
        self.note_if(loses_plus && text.contains('+'), Deviation::PlusAsSpace, at);
        let text = if habit.plus == Plus::Space { text.replace('+', " ") } else { text };
        self.encode(habit, at, &text)
    }

    /// `text` with its line ends and percent-encodings.
    fn encode(&mut self, habit: &Parameter, at: usize, text: &str) -> String {
        // At an end, a blank that stands for a `+` cannot be distinguished from other blanks. Beside unpadded Base64
        // this is also impossible, since the `+` would make another short id.
        let is_ambiguous = habit.unpadded || text.starts_with(' ') || text.ends_with(' ');
        let around = if is_ambiguous { ("", "") } else { habit.around };
        let lines: Vec<_> = text.as_bytes().chunks(20).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let folded = [around.0, &lines.join(habit.fold), around.1].concat();
        self.note_if(folded != text, Deviation::Whitespace, at);
        let needs = |byte: u8| match byte {
            b'+' => habit.plus != Plus::Raw,
            b' ' | b'\r' | b'\n' | b'\t' => !habit.raw_blanks,
            b'=' | b'/' => habit.escaping != Escaping::Least,
            b'%' => true,
            _ => habit.escaping == Escaping::All,
        };
        let mut value = folded;
        let allowed = usize::from(self.in_url);
        for encoding in 0..allowed + habit.encodings {
            let encoded = percent(&value, self.lower, needs);
            self.note_if(encoding >= allowed && encoded != value, Deviation::DoubleEncoded, at);
            value = encoded;
        }
        value
    }
}
