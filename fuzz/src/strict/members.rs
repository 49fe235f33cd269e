//! The members of `ecreq` and `ecres` (wire format, sections 3, 4 and 6).

use std::collections::BTreeSet;

use super::{ByName, Stop, Verdict, is_uuid, percent_decoded};

/// Which of the two messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Redirect,
    Callback,
}

/// A list syntax by its name in the keyring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    Repeated,
    Comma,
    Braces,
    Json,
}

/// What a text says: known members by name, and the others.
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
}

/// Reads `text` for a pairing whose lists are written in `own` and whose `+` may be a space.
pub fn members(text: &[u8], kind: Kind, own: Syntax, plus_is_space: bool) -> Verdict<Members> {
    match read(text, kind, own, plus_is_space) {
        Ok((members, deviations)) => Verdict::Means(members, deviations),
        Err(stop) => stop.into(),
    }
}

fn read(text: &[u8], kind: Kind, own: Syntax, plus_is_space: bool) -> Result<(Members, BTreeSet<&'static str>), Stop> {
    let text = std::str::from_utf8(text).map_err(|_| Stop::Refused)?;
    let mut members = Members::default();
    let mut deviations = BTreeSet::new();
    for segment in text.split('&') {
        let (name, raw) = segment.split_once('=').ok_or(Stop::Refused)?;
        let name = decoded(name, plus_is_space)?;
        if name.is_empty() {
            return Err(Stop::Refused);
        }
        if name == "redirect" && kind == Kind::Redirect && raw.contains('?') {
            // From here on members may belong to the redirect.
            return Err(Stop::Deviates);
        }
        let value = decoded(raw, plus_is_space)?;
        let known = kind.names().contains(&&*name);
        if !known {
            deviations.insert("EXTRA_MEMBER");
            if members.extra.insert(name, vec![value]).is_some() {
                return Err(Stop::Refused);
            }
            continue;
        }
        if matches!(&*name, "srcref" | "fipid") {
            if value.is_empty() {
                deviations.insert("BLANK_OPTIONAL");
            }
            members.known.entry(name.clone()).or_default().extend(items(&name, &value, own)?);
            continue;
        }
        if matches!(&*name, "email" | "pan" | "dob" | "isoLanguageCode") && value.is_empty() {
            deviations.insert("BLANK_OPTIONAL");
        }
        if members.known.insert(name, vec![value]).is_some() {
            return Err(Stop::Refused);
        }
    }
    check(&members, kind, &mut deviations)?;
    // An absent `sessionid` reads as empty, an absent list as none, and an empty optional member as an absent one.
    members.known.entry("sessionid".into()).or_insert_with(|| vec![String::new()]);
    members.known.retain(|name, values| !values.is_empty() && (values != &[String::new()] || name == "sessionid"));
    Ok((members, deviations))
}

fn decoded(text: &str, plus_is_space: bool) -> Result<String, Stop> {
    let bytes = percent_decoded(text, plus_is_space).ok_or(Stop::Refused)?;
    String::from_utf8(bytes).map_err(|_| Stop::Refused)
}

/// The items of a decoded `value`.
fn items(name: &str, value: &str, own: Syntax) -> Result<Vec<String>, Stop> {
    if value.trim() != value || value.contains(&format!("&{name}=")) {
        return Err(Stop::Deviates);
    }
    let inside = |open, close| value.strip_prefix(open).and_then(|rest: &str| rest.strip_suffix(close));
    let list: Vec<String> = if inside('[', ']').is_some() {
        if own != Syntax::Json {
            return Err(Stop::Deviates);
        }
        serde_json::from_str(value).map_err(|_| Stop::Deviates)?
    } else if let Some(inside) = inside('{', '}') {
        if own != Syntax::Braces {
            return Err(Stop::Deviates);
        }
        if inside.contains('"') {
            // No item that may be written has a quotation mark, and no text says what one is worth.
            return Err(Stop::Unsaid);
        }
        inside.split(',').map(str::to_owned).collect()
    } else if value.contains(',') {
        if own != Syntax::Comma {
            return Err(Stop::Deviates);
        }
        value.split(',').map(str::to_owned).collect()
    } else {
        vec![value.to_owned()]
    };
    Ok(list.into_iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect())
}

fn check(members: &Members, kind: Kind, deviations: &mut BTreeSet<&'static str>) -> Result<(), Stop> {
    let one = |name: &str| match members.known.get(name).map(Vec::as_slice) {
        Some([value]) if !value.is_empty() => Ok(&**value),
        _ => Err(Stop::Refused),
    };
    let userid = one("userid")?;
    if !is_uuid(one("txnid")?) {
        deviations.insert("TXNID_NOT_UUID");
    }
    if kind == Kind::Callback {
        let success = match one("status")? {
            "S" => true,
            "F" => false,
            _ => return Err(Stop::Refused),
        };
        let code = one("errorcode")?;
        let significant = code.trim_start_matches('0');
        // 4294967295 has ten digits, so that comparing texts of one length compares numbers.
        let fits = significant.len() < 10 || significant.len() == 10 && significant <= "4294967295";
        if !code.bytes().all(|digit| digit.is_ascii_digit()) || !fits {
            return Err(Stop::Refused);
        }
        if success != significant.is_empty() {
            deviations.insert("STATUS_MISMATCH");
        }
        return Ok(());
    }
    let redirect = one("redirect")?;
    if redirect.contains(|c: char| c == '\\' || c.is_whitespace() || c.is_control()) {
        return Err(Stop::Refused);
    }
    match redirect.split_once("://") {
        None if redirect.contains('%') => return Err(Stop::Deviates),
        None => return Err(Stop::Refused),
        Some((scheme, rest)) => {
            let mut letters = scheme.bytes();
            let scheme_is_one = letters.next().is_some_and(|first| first.is_ascii_alphabetic())
                && letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
            if !scheme_is_one && redirect.contains('%') {
                return Err(Stop::Deviates);
            }
            let forbidden = ["javascript", "data", "vbscript", "file", "blob"];
            if !scheme_is_one || rest.is_empty() || forbidden.contains(&&*scheme.to_lowercase()) {
                return Err(Stop::Refused);
            }
        }
    }
    if userid.contains(char::is_whitespace) {
        return Err(Stop::Refused);
    }
    match userid.split('@').collect::<Vec<_>>()[..] {
        [name, handle] if !name.is_empty() && !handle.is_empty() => {}
        // Of two `@` the text does not say which one divides.
        [_, _, _, ..] => return Err(Stop::Unsaid),
        _ => return Err(Stop::Refused),
    }
    if members.known.get("srcref").is_none_or(Vec::is_empty) {
        return Err(Stop::Refused);
    }
    Ok(())
}
