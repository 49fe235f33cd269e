//! The members of `ecreq` and `ecres` (wire format, sections 3, 4 and 6).

use std::collections::BTreeSet;

use super::{ByName, Stop, Verdict, is_uuid, list::{Syntax, items}, percent_decoded};

/// The kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Redirect,
    Callback,
}

/// The content of a text: known members by name, and the others.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Members {
    pub known: ByName,
    pub extra: ByName,
}

impl Kind {
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Redirect => &[
                "txnid",
                "sessionid",
                "userid",
                "redirect",
                "srcref",
                "fipid",
                "email",
                "pan",
                "dob",
                "isoLanguageCode",
            ],
            Self::Callback => &["txnid", "sessionid", "userid", "status", "errorcode", "srcref"],
        }
    }

    /// The known name that `name` stands for, and the repairs in it.
    fn known(self, name: &str) -> (Option<&'static str>, Vec<&'static str>) {
        let mut repairs = Vec::new();
        let (mut stem, mut is_list) = (name, false);
        if let Some((before, index)) = name.strip_suffix(']').and_then(|rest| rest.rsplit_once('['))
            && index.chars().all(|digit| digit.is_ascii_digit())
        {
            (stem, is_list) = (before, true);
        }
        let found = self.names().iter().find(|known| known.eq_ignore_ascii_case(stem));
        let found = found.filter(|known| !is_list || LISTS.contains(known)).copied();
        if is_list && found.is_some() {
            repairs.push("LIST_SYNTAX");
        }
        if found.is_some_and(|known| known != stem) {
            repairs.push("NAME_CASE");
        }
        (found, repairs)
    }
}

const LISTS: [&str; 2] = ["srcref", "fipid"];
const PARAMETERS: [&str; 7] = ["fi", "reqdate", "ecreq", "iv", "requestorType", "resdate", "ecres"];
const OPTIONAL: [&str; 5] = ["fipid", "email", "pan", "dob", "isoLanguageCode"];
const ABSENT: [&str; 6] = ["", "null", "undefined", "None", "nil", "NaN"];

/// Reads `text` for a pairing whose lists are written in `own`.
pub fn members(text: &[u8], kind: Kind, own: Syntax) -> Verdict<Members> {
    let mut reader = Reader { kind, own, deviations: BTreeSet::new() };
    match reader.read(text) {
        Ok(members) => Verdict::Means(members, reader.deviations),
        Err(stop) => stop.into(),
    }
}

/// A decoded name, and its value as received.
type Pair = (String, String);

struct Reader {
    kind: Kind,
    own: Syntax,
    deviations: BTreeSet<&'static str>,
}

impl Reader {
    fn read(&mut self, text: &[u8]) -> Result<Members, Stop> {
        let text = self.whole(text)?;
        let pairs = self.pairs(&text)?;
        let first_userid = |(name, _): &&Pair| self.kind.known(name).0 == Some("userid");
        let userid = pairs.iter().find(first_userid).map(|(_, raw)| raw.clone()).ok_or(Stop::Refused)?;
        let form = !userid.contains('@');
        let once = self.decoded_quietly(&plused(&userid, form))?;
        let twice = !once.contains('@') && percent_decoded(&once).0.contains(&b'@');
        let mut members = Members::default();
        for (name, raw) in pairs {
            self.member(&mut members, name, &raw, form, twice)?;
        }
        self.check(&mut members)?;
        // An absent `sessionid` reads as an empty one, an absent list as an empty list, and an empty optional member as
        // an absent one.
        members.known.entry("sessionid".into()).or_insert_with(|| vec![String::new()]);
        members.known.retain(|name, values| !values.is_empty() && (values != &[String::new()] || name == "sessionid"));
        Ok(members)
    }

    /// Rule 1.
    fn whole(&mut self, text: &[u8]) -> Result<String, Stop> {
        let text = std::str::from_utf8(text).map_err(|_| Stop::Refused)?;
        let mut text = self.dropped(text);
        if !text.contains('=') {
            let (decoded, invalid) = percent_decoded(&text);
            let decoded = String::from_utf8(decoded).map_err(|_| Stop::Refused)?;
            if decoded.contains('=') {
                self.deviations.insert("DOUBLE_ENCODED");
                if invalid {
                    self.deviations.insert("INVALID_ESCAPE");
                }
                text = self.dropped(&decoded);
            }
        }
        if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
            return Err(Stop::Refused);
        }
        if text.bytes().any(|byte| byte > 0x7f) {
            self.deviations.insert("RAW_NON_ASCII");
        }
        Ok(text)
    }

    fn dropped(&mut self, text: &str) -> String {
        let blank = [' ', '\r', '\n'];
        let mut rest = text;
        for stray in [Some('\u{feff}'), Some('?'), None] {
            let trimmed = rest.trim_start_matches(blank);
            if trimmed != rest {
                self.deviations.insert("WHITESPACE");
            }
            rest = trimmed;
            if let Some(after) = stray.and_then(|stray| rest.strip_prefix(stray)) {
                self.deviations.insert("STRAY_CHARACTERS");
                rest = after;
            }
        }
        let trimmed = rest.trim_end_matches(blank);
        if trimmed != rest {
            self.deviations.insert("WHITESPACE");
        }
        trimmed.to_owned()
    }

    /// Rules 2, 3 and the second half of 6.
    fn pairs(&mut self, text: &str) -> Result<Vec<Pair>, Stop> {
        let mut pieces: Vec<&str> = text.split('&').collect();
        while pieces.len() > 1 && pieces.last() == Some(&"") {
            pieces.pop();
            self.deviations.insert("STRAY_CHARACTERS");
        }
        let mut pairs: Vec<Pair> = Vec::new();
        let mut open = false;
        for piece in pieces {
            if open && !self.begins_member(piece, &pairs) {
                let (_, url) = pairs.last_mut().expect("the redirect");
                url.push('&');
                url.push_str(piece);
                continue;
            }
            open = false;
            if piece.is_empty() {
                self.deviations.insert("STRAY_CHARACTERS");
                continue;
            }
            let (name, raw) = piece.split_once('=').ok_or(Stop::Refused)?;
            let (name, invalid) = percent_decoded(name);
            let name = String::from_utf8(name).map_err(|_| Stop::Refused)?;
            if name.is_empty() {
                return Err(Stop::Refused);
            }
            if invalid {
                self.deviations.insert("INVALID_ESCAPE");
            }
            self.deviations.extend(self.kind.known(&name).1);
            if self.is_redirect(&name) && is_raw(raw) && raw.contains(['?', '#']) {
                self.deviations.insert("REDIRECT_UNESCAPED");
                open = true;
            }
            pairs.push((name, raw.to_owned()));
        }
        Ok(pairs)
    }

    fn begins_member(&self, piece: &str, pairs: &[Pair]) -> bool {
        let Some((name, _)) = piece.split_once('=') else { return false };
        let Ok(name) = String::from_utf8(percent_decoded(name).0) else { return false };
        match self.kind.known(&name).0 {
            Some(known) => {
                LISTS.contains(&known) || !pairs.iter().any(|(name, _)| self.kind.known(name).0 == Some(known))
            }
            None => PARAMETERS.contains(&&*name),
        }
    }

    fn is_redirect(&self, name: &str) -> bool {
        match self.kind {
            Kind::Redirect => self.kind.known(name).0 == Some("redirect"),
            Kind::Callback => name == "redirect",
        }
    }

    fn decoded_quietly(&self, text: &str) -> Result<String, Stop> {
        String::from_utf8(percent_decoded(text).0).map_err(|_| Stop::Refused)
    }

    fn decoded(&mut self, text: &str) -> Result<String, Stop> {
        let (decoded, invalid) = percent_decoded(text);
        if invalid {
            self.deviations.insert("INVALID_ESCAPE");
        }
        String::from_utf8(decoded).map_err(|_| Stop::Refused)
    }

    /// Rules 4 to 9 for one member.
    fn member(&mut self, members: &mut Members, name: String, raw: &str, form: bool, twice: bool) -> Result<(), Stop> {
        let value = if self.is_redirect(&name) { self.redirect(raw)? } else { self.value(raw, form, twice)? };
        let Some(known) = self.kind.known(&name).0 else {
            self.deviations.insert("EXTRA_MEMBER");
            return self.once(&mut members.extra, &name, value);
        };
        let blank = self.kind == Kind::Redirect && OPTIONAL.contains(&known) && ABSENT.contains(&&*value)
            || LISTS.contains(&known) && value.is_empty();
        if blank {
            self.deviations.insert("BLANK_OPTIONAL");
        }
        if LISTS.contains(&known) {
            let list = members.known.entry(known.to_owned()).or_default();
            if !blank {
                let (found, repairs) = items(known, &value, self.own)?;
                list.extend(found);
                self.deviations.extend(repairs);
            }
            return Ok(());
        }
        self.once(&mut members.known, known, if blank { String::new() } else { value })
    }

    fn once(&mut self, members: &mut ByName, name: &str, value: String) -> Result<(), Stop> {
        match members.get(name) {
            Some(there) if *there != [value.clone()] => Err(Stop::Refused),
            Some(_) => {
                self.deviations.insert("REPEATED");
                Ok(())
            }
            None => {
                members.insert(name.to_owned(), vec![value]);
                Ok(())
            }
        }
    }

    fn value(&mut self, raw: &str, form: bool, twice: bool) -> Result<String, Stop> {
        let once = self.decoded(&plused(raw, form))?;
        if !twice {
            return Ok(once);
        }
        let again = self.decoded(&once)?;
        if again != once {
            self.deviations.insert("DOUBLE_ENCODED");
        }
        Ok(again)
    }

    fn redirect(&mut self, raw: &str) -> Result<String, Stop> {
        if is_raw(raw) {
            return Ok(raw.to_owned());
        }
        let once = self.decoded(raw)?;
        if is_absolute(&once) {
            return Ok(once);
        }
        match self.decoded_quietly(&once) {
            Ok(again) if is_absolute(&again) => {
                self.deviations.insert("DOUBLE_ENCODED");
                self.decoded(&once)
            }
            _ => Ok(once),
        }
    }

    /// Rule 10.
    fn check(&mut self, members: &mut Members) -> Result<(), Stop> {
        let one = |name: &str| match members.known.get(name).map(Vec::as_slice) {
            Some([value]) if !value.is_empty() => Ok(value.clone()),
            _ => Err(Stop::Refused),
        };
        let is_control = |c: char| matches!(u32::from(c), 0..=0x1f | 0x7f..=0x9f);
        let (txnid, userid) = (one("txnid")?, one("userid")?);
        if [&txnid, &userid].iter().any(|text| text.len() > 128 || text.contains(is_control)) || userid.contains(' ') {
            return Err(Stop::Refused);
        }
        if userid.rfind('@').is_none_or(|at| at == 0 || at + 1 == userid.len()) {
            return Err(Stop::Refused);
        }
        if !is_uuid(&txnid) {
            self.deviations.insert("TXNID_NOT_UUID");
        }
        if self.kind == Kind::Callback {
            let success = match &*one("status")? {
                "S" => true,
                "F" => false,
                _ => return Err(Stop::Refused),
            };
            let code = one("errorcode")?;
            if code.len() > 10 || !code.bytes().all(|digit| digit.is_ascii_digit()) {
                return Err(Stop::Refused);
            }
            let code: u64 = code.parse().map_err(|_| Stop::Refused)?;
            if code > 4_294_967_295 {
                return Err(Stop::Refused);
            }
            if success != (code == 0) {
                self.deviations.insert("STATUS_MISMATCH");
            }
            members.known.insert("errorcode".into(), vec![code.to_string()]);
            return Ok(());
        }
        let redirect = one("redirect")?;
        let (scheme, _) = redirect.split_once(':').ok_or(Stop::Refused)?;
        let forbidden = ["javascript", "data", "vbscript", "file", "blob", "about"];
        if !is_absolute(&redirect)
            || forbidden.contains(&&*scheme.to_lowercase())
            || redirect.contains(|c| is_control(c) || c == ' ' || c == '\\')
        {
            return Err(Stop::Refused);
        }
        if members.known.get("srcref").is_none_or(Vec::is_empty) {
            return Err(Stop::Refused);
        }
        Ok(())
    }
}

fn plused(raw: &str, form: bool) -> String {
    if form { raw.replace('+', " ") } else { raw.to_owned() }
}

/// The text before the first `:`, if it is a scheme (RFC 3986, 3.1).
fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once(':')?;
    let mut letters = scheme.bytes();
    let first = letters.next()?;
    (first.is_ascii_alphabetic() && letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)))
        .then_some(scheme)
}

/// Whether a redirect was not escaped. An encoder that leaves `:` raw still escapes the `/` behind it.
fn is_raw(raw: &str) -> bool {
    scheme(raw).is_some_and(|scheme| !raw[scheme.len() + 1..].to_lowercase().starts_with("%2f"))
}

/// Section 3.
fn is_absolute(url: &str) -> bool {
    let Some(scheme) = scheme(url) else { return false };
    let rest = &url[scheme.len() + 1..];
    let web = ["http", "https"].contains(&&*scheme.to_lowercase());
    match rest.strip_prefix("//") {
        Some(rest) if web => {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            !host.is_empty() && !host.starts_with(':')
        }
        Some(rest) => !rest.is_empty(),
        None => !web && scheme.contains('.') && !rest.is_empty(),
    }
}
