//! A call as code that somebody can copy: grpcurl, and the client packages of four languages.
//!
//! A JSON string (RFC 8259) is a string of Go, Java, JavaScript and Python too: they share its escapes.

use std::{collections::BTreeMap, fmt::Write};

use crate::proto::{Redirect, decode_callback_request, decode_redirect_request};

use super::{
    journeys::{Called, Event},
    view::is_invisible,
};

mod go;
mod grpcurl;
mod java;
mod node;
mod python;

/// A call of the service.
enum Call<'a> {
    EncodeRedirect(&'a crate::proto::EncodeRedirectRequest),
    DecodeRedirect { aa: &'a str, url: &'a str },
    EncodeCallback(&'a crate::proto::EncodeCallbackRequest),
    DecodeCallback { fiu: &'a str, url: &'a str, expected: Option<&'a crate::proto::ExpectedCallback> },
}

impl<'a> Call<'a> {
    /// The call of a step; `None` for a step that is no call, or a call with parameters in the place of a URL.
    fn of(event: &'a Event) -> Option<Self> {
        match event {
            Event::EncodeRedirect(Called { request, .. }) => Some(Self::EncodeRedirect(request)),
            Event::DecodeRedirect(Called { request, .. }) => match &request.source {
                Some(decode_redirect_request::Source::Url(url)) => {
                    Some(Self::DecodeRedirect { aa: &request.aa_id, url })
                }
                _ => None,
            },
            Event::EncodeCallback(Called { request, .. }) => Some(Self::EncodeCallback(request)),
            Event::DecodeCallback(Called { request, .. }) => match &request.source {
                Some(decode_callback_request::Source::Url(url)) => {
                    Some(Self::DecodeCallback { fiu: &request.fiu_id, url, expected: request.expected.as_ref() })
                }
                _ => None,
            },
            Event::Faulty { .. } => None,
        }
    }
}

/// The call of a step in each language, by the language's name. `address` is the service's.
pub(super) fn of(event: &Event, address: &str) -> Vec<(&'static str, String)> {
    let Some(call) = Call::of(event) else { return Vec::new() };
    let codes = [
        ("grpcurl", grpcurl::code(&call, address)),
        ("Go", go::code(&call, address)),
        ("Java", java::code(&call, address)),
        ("Node", node::code(&call, address)),
        ("Python", python::code(&call, address)),
    ];
    codes.map(|(language, code)| (language, shown(&code))).into()
}

/// `code` with characters that nobody can see as escapes, which JSON and all four languages read in a string alike. Nothing
/// but strings has such characters, except for line ends and tabs.
fn shown(code: &str) -> String {
    let mut shown = String::with_capacity(code.len());
    for character in code.chars() {
        if is_invisible(character) && !matches!(character, '\n' | '\t') {
            // Writing to a string does not fail. All of them are of the basic plane.
            let _ = write!(shown, "\\u{:04x}", u32::from(character));
        } else {
            shown.push(character);
        }
    }
    shown
}

/// How a language writes the members of a request.
struct Style {
    /// What it calls txnid, sessionid, userid, redirect, email, pan, dob, isoLanguageCode, srcref, fipid and the extra members.
    names: [&'static str; 11],
    /// A line with a name and its value.
    line: fn(&str, &str) -> String,
    /// A list of strings.
    list: fn(&[String]) -> String,
    /// Strings by name.
    map: fn(&BTreeMap<String, String>) -> String,
}

impl Style {
    /// The lines of the members that are not empty.
    fn members(&self, members: &Redirect) -> String {
        let Redirect { txnid, sessionid, userid, redirect, srcref, fipid, email, pan, dob, iso_language_code, extra } =
            members;
        let single = [txnid, sessionid, userid, redirect, email, pan, dob, iso_language_code];
        let single = single.map(|value| (!value.is_empty()).then(|| text(value)));
        let lists = [srcref, fipid].map(|items| (!items.is_empty()).then(|| (self.list)(items)));
        let map = (!extra.is_empty()).then(|| (self.map)(extra));
        let values = single.into_iter().chain(lists).chain([map]);
        values.zip(self.names).filter_map(|(value, name)| Some((self.line)(name, &value?))).collect()
    }
}

/// A string literal.
#[expect(clippy::expect_used, reason = "a string has a JSON form")]
fn text(value: &str) -> String {
    serde_json::to_string(value).expect("a string")
}

/// String literals with commas.
fn texts(values: &[String]) -> String {
    values.iter().map(|value| text(value)).collect::<Vec<_>>().join(", ")
}

/// Pairs of string literals, each pair joined with `joint`.
fn pairs(values: &BTreeMap<String, String>, joint: &str) -> String {
    values.iter().map(|(name, value)| [text(name), text(value)].join(joint)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{EncodeRedirectRequest, EncodeRedirectResponse};

    #[test]
    fn hostile_values_stay_inside_their_literals() {
        let redirect = Redirect {
            userid: "a'b\"c\\d\n$(x)`y`@alpha".to_owned(),
            sessionid: "\u{202e}\u{7f}".to_owned(),
            srcref: vec!["'; rm -rf ~ #".to_owned()],
            ..Redirect::default()
        };
        let request = EncodeRedirectRequest { redirect: Some(redirect), ..EncodeRedirectRequest::default() };
        let event = Event::EncodeRedirect(Called { request, answer: Ok(EncodeRedirectResponse::default()) });
        for (language, code) in of(&event, "127.0.0.1:1") {
            assert!(code.contains(r#""\u202e\u007f""#), "{language}: {code}");
            if language == "grpcurl" {
                assert!(code.contains(r"'\''; rm -rf ~ #"), "{code}");
            } else {
                assert!(code.contains(r#""a'b\"c\\d\n$(x)`y`@alpha""#), "{language}: {code}");
            }
        }
    }
}
