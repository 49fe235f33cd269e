//! A call as code to copy: for grpcurl, and for the client packages of four languages.
//!
//! A JSON string (RFC 8259) is also a string of Go, Java, JavaScript and Python: they have the same escapes.
//!
//! Only the call of grpcurl has the `attempt_id` of the step. The packages make a new one for each call, and a backend
//! that copies one into its code would get old answers.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use prost_types::Timestamp;

use crate::proto::{
    CallbackParams, CallbackStatus, EncodeCallbackRequest, EncodeRedirectRequest, ExpectedCallback, Redirect,
    RedirectParams, RequestorType, decode_callback_request, decode_redirect_request,
};

use super::{
    journeys::{Called, Event},
    view::escaped,
};

mod go;
mod grpcurl;
mod java;
mod node;
mod python;

/// A call of the service.
enum Call<'a> {
    EncodeRedirect(&'a EncodeRedirectRequest),
    DecodeRedirect { aa: &'a str, source: Source, attempt: &'a str },
    EncodeCallback(&'a EncodeCallbackRequest),
    DecodeCallback { fiu: &'a str, source: Source, expected: Option<&'a ExpectedCallback>, attempt: &'a str },
}

/// Where the parameters of a call come from.
enum Source {
    Url(String),
    /// Each with its name in the URL.
    Params(Vec<(&'static str, String)>),
}

impl Source {
    fn of_redirect(source: Option<&decode_redirect_request::Source>) -> Self {
        match source.cloned() {
            Some(decode_redirect_request::Source::Params(RedirectParams {
                fi,
                reqdate,
                ecreq,
                iv,
                requestor_type,
            })) => Self::Params(vec![
                ("fi", fi),
                ("reqdate", reqdate),
                ("ecreq", ecreq),
                ("iv", iv),
                ("requestorType", requestor_type),
            ]),
            Some(decode_redirect_request::Source::Url(url)) => Self::Url(url),
            None => Self::Url(String::new()),
        }
    }

    fn of_callback(source: Option<&decode_callback_request::Source>) -> Self {
        match source.cloned() {
            Some(decode_callback_request::Source::Params(CallbackParams { fi, resdate, ecres, iv })) => {
                Self::Params(vec![("fi", fi), ("resdate", resdate), ("ecres", ecres), ("iv", iv)])
            }
            Some(decode_callback_request::Source::Url(url)) => Self::Url(url),
            None => Self::Url(String::new()),
        }
    }

    /// The same with string literals.
    fn literals(&self) -> Self {
        match self {
            Self::Url(url) => Self::Url(text(url)),
            Self::Params(values) => Self::Params(values.iter().map(|(name, value)| (*name, text(value))).collect()),
        }
    }
}

impl<'a> Call<'a> {
    /// The call of a step; `None` for a step that is not a call.
    fn of(event: &'a Event) -> Option<Self> {
        match event {
            Event::EncodeRedirect(Called { request, .. }) => Some(Self::EncodeRedirect(request)),
            Event::DecodeRedirect(Called { request, .. }) => Some(Self::DecodeRedirect {
                aa: &request.aa_id,
                source: Source::of_redirect(request.source.as_ref()),
                attempt: &request.attempt_id,
            }),
            Event::EncodeCallback(Called { request, .. }) => Some(Self::EncodeCallback(request)),
            Event::DecodeCallback(Called { request, .. }) => Some(Self::DecodeCallback {
                fiu: &request.fiu_id,
                source: Source::of_callback(request.source.as_ref()),
                expected: request.expected.as_ref(),
                attempt: &request.attempt_id,
            }),
            Event::Faulty { .. } => None,
        }
    }

    /// The call in a language.
    fn code<L: Language>(&self, address: &str) -> String {
        let uses: &[&str] = match self {
            Self::EncodeRedirect(request) if request.requestor_type() == RequestorType::Unspecified => &["Redirect"],
            Self::EncodeRedirect(_) => &["Redirect", "RequestorType"],
            Self::DecodeRedirect { source: Source::Url(_), .. } => &[],
            Self::DecodeRedirect { source: Source::Params(_), .. } => &["RedirectParams"],
            Self::EncodeCallback(_) => &["Callback", "CallbackStatus"],
            Self::DecodeCallback { expected: Some(_), source: Source::Url(_), .. } => &["Expected"],
            Self::DecodeCallback { expected: Some(_), source: Source::Params(_), .. } => {
                &["CallbackParams", "Expected"]
            }
            Self::DecodeCallback { expected: None, source: Source::Url(_), .. } => &["NOT_COMPARED"],
            Self::DecodeCallback { expected: None, source: Source::Params(_), .. } => {
                &["NOT_COMPARED", "CallbackParams"]
            }
        };
        let call = match self {
            Self::EncodeRedirect(request) => {
                let members = request.redirect.as_ref().map_or_else(String::new, |redirect| L::STYLE.members(redirect));
                let requestor = match request.requestor_type() {
                    RequestorType::Unspecified => None,
                    RequestorType::Fiu => Some("FIU"),
                    RequestorType::Lsp => Some("LSP"),
                };
                let aa = (!request.aa_id.is_empty()).then(|| text(&request.aa_id));
                let issued = issued(request.issue_time.as_ref());
                L::encode_redirect(&EncodeRedirect { fiu: text(&request.fiu_id), aa, requestor, members, issued })
            }
            Self::DecodeRedirect { aa, source, .. } => L::decode_redirect(&text(aa), &source.literals()),
            Self::EncodeCallback(request) => L::encode_callback(&EncodeCallback::of::<L>(request)),
            Self::DecodeCallback { fiu, source, expected, .. } => {
                let expected = expected.map(|expected| Expected {
                    txnid: text(&expected.txnid),
                    sessionid: text(&expected.sessionid),
                    userid: text(&expected.userid),
                    aa: text(&expected.aa_id),
                });
                L::decode_callback(&text(fiu), &source.literals(), expected.as_ref())
            }
        };
        shown(&(L::client(&text(address), uses) + &call), L::ASTRAL)
    }
}

/// How to call the package of a language. All texts are already string literals.
trait Language {
    const STYLE: Style;
    /// An escape for a character above U+FFFF.
    const ASTRAL: fn(char) -> String;

    /// The lines that import the package, with the names that the call `uses`, and make the client.
    fn client(address: &str, uses: &[&str]) -> String;
    fn encode_redirect(call: &EncodeRedirect) -> String;
    fn decode_redirect(aa: &str, source: &Source) -> String;
    fn encode_callback(call: &EncodeCallback) -> String;
    /// `expected` is `None` for a call that does not compare with a record.
    fn decode_callback(fiu: &str, source: &Source, expected: Option<&Expected>) -> String;
}

struct EncodeRedirect {
    fiu: String,
    /// `None` if the handle of the user id picks the AA.
    aa: Option<String>,
    requestor: Option<&'static str>,
    /// Lines, as [`Style::members`] writes them.
    members: String,
    issued: Option<DateTime<Utc>>,
}

struct EncodeCallback {
    fiu: String,
    aa: String,
    txnid: String,
    sessionid: String,
    userid: String,
    success: bool,
    errorcode: u32,
    /// Literals with commas.
    srcref: String,
    /// A map of the language; `None` if there are no extra members.
    extra: Option<String>,
    redirect_url: String,
    secret_id: String,
    issued: Option<DateTime<Utc>>,
}

struct Expected {
    txnid: String,
    sessionid: String,
    userid: String,
    aa: String,
}

impl EncodeCallback {
    fn of<L: Language>(request: &EncodeCallbackRequest) -> Self {
        let callback = request.callback.clone().unwrap_or_default();
        Self {
            fiu: text(&request.fiu_id),
            aa: text(&request.aa_id),
            txnid: text(&callback.txnid),
            sessionid: text(&callback.sessionid),
            userid: text(&callback.userid),
            success: callback.status() == CallbackStatus::Success,
            errorcode: callback.errorcode,
            srcref: texts(&callback.srcref),
            extra: (!callback.extra.is_empty()).then(|| (L::STYLE.map)(&callback.extra)),
            redirect_url: text(&request.redirect_url),
            secret_id: text(&request.secret_id),
            issued: issued(request.issue_time.as_ref()),
        }
    }
}

/// The call of a step in each language, by the language's name. `address` is the service's.
pub(super) fn of(event: &Event, address: &str) -> Vec<(&'static str, String)> {
    let Some(call) = Call::of(event) else { return Vec::new() };
    vec![
        ("grpcurl", shown(&grpcurl::code(&call, address), surrogates)),
        ("Go", call.code::<go::Go>(address)),
        ("Java", call.code::<java::Java>(address)),
        ("Node", call.code::<node::Node>(address)),
        ("Python", call.code::<python::Python>(address)),
    ]
}

/// `code` with an escape for each invisible character. JSON and all four languages read an escape of four digits in a
/// string in the same way. Outside of strings, `code` has no invisible characters except line ends and tabs.
fn shown(code: &str, astral: fn(char) -> String) -> String {
    escaped(code, &['\n', '\t'], |character| match u32::from(character) {
        number @ ..=0xffff => format!("\\u{number:04x}"),
        _ => astral(character),
    })
}

/// The escape of JSON, Java and JavaScript for a character above U+FFFF.
fn surrogates(character: char) -> String {
    character.encode_utf16(&mut [0; 2]).iter().map(|half| format!("\\u{half:04x}")).collect()
}

/// The escape of Go and Python for a character above U+FFFF.
fn eight_digits(character: char) -> String {
    format!("\\U{:08x}", u32::from(character))
}

/// The names of a request's members in the message, and `extra` for the members that the guideline does not have.
const NAMES: [&str; 11] =
    ["txnid", "sessionid", "userid", "redirect", "email", "pan", "dob", "isoLanguageCode", "srcref", "fipid", "extra"];

/// How a language writes the members of a request.
struct Style {
    /// Its names for [`NAMES`], in the same order.
    names: [&'static str; NAMES.len()],
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

/// The name of a parameter in the interface.
fn field(name: &'static str) -> &'static str {
    if name == "requestorType" { "requestor_type" } else { name }
}

/// The instant that a call gives for the date; `None` if it gives none that has a name.
fn issued(time: Option<&Timestamp>) -> Option<DateTime<Utc>> {
    let time = time?;
    DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).ok()?)
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
            sessionid: "\u{202e}\u{7f}\u{e0041}".to_owned(),
            srcref: vec!["'; rm -rf ~ #".to_owned()],
            ..Redirect::default()
        };
        let request = EncodeRedirectRequest { redirect: Some(redirect), ..EncodeRedirectRequest::default() };
        let event = Event::EncodeRedirect(Called { request, answer: Ok(EncodeRedirectResponse::default()) });
        for (language, code) in of(&event, "127.0.0.1:1") {
            let astral = if ["Go", "Python"].contains(&language) { r"\U000e0041" } else { r"\udb40\udc41" };
            assert!(code.contains(&format!(r#""\u202e\u007f{astral}""#)), "{language}: {code}");
            if language == "grpcurl" {
                assert!(code.contains(r"'\''; rm -rf ~ #"), "{code}");
            } else {
                assert!(code.contains(r#""a'b\"c\\d\n$(x)`y`@alpha""#), "{language}: {code}");
            }
        }
    }
}
