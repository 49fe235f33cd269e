//! Members as the libraries of real senders write them: each style escapes, orders and prints lists as its library
//! does, and a reader must find the members that its sender meant.

use std::collections::BTreeSet;

use aa_redirect::codec::{
    Deviation, Deviations,
    members::{read_callback, read_redirect},
    profile::{Conventions, PROFILES},
    url::Leg,
};
use proptest::prelude::*;

use super::{
    cases,
    meaning::{Meaning, OPTIONAL, message},
    text::{is_unreserved, is_uuid, percent},
};

/// How a library prints a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lists {
    /// `srcref=a&srcref=b`
    Repeat,
    /// `srcref[]=a&srcref[]=b`
    Brackets,
    /// `srcref[0]=a&srcref[1]=b`
    Indices,
    /// `srcref=a,b`
    Comma,
    /// `srcref=["a","b"]`
    Json,
    /// `srcref=[a, b]`, Java's `toString`.
    Java,
    /// `srcref=['a', 'b']`, Python's `str`.
    Python,
    /// `srcref=[a b]`, Go's `%v`.
    Go,
}

/// A way to write members.
struct Style {
    name: &'static str,
    /// The characters that it escapes in a value, and in a name.
    escape: fn(&str) -> String,
    lists: Lists,
    /// Whether members are sorted by name.
    sorted: bool,
    /// The text that it prints for an absent optional member, if it prints one.
    absent: Option<&'static str>,
    /// Whether it writes our names in the wrong case.
    camel: bool,
}

const STYLES: [Style; 22] = [
    style("URLSearchParams", search_params, Lists::Repeat),
    style("URLSearchParams of an array", search_params, Lists::Comma),
    style("encodeURIComponent", component, Lists::Repeat),
    style("encodeURIComponent of JSON.stringify", component, Lists::Json),
    Style { absent: Some("undefined"), ..style("encodeURIComponent of undefined", component, Lists::Comma) },
    Style { absent: Some("null"), ..style("URLSearchParams of null", search_params, Lists::Repeat) },
    Style { absent: Some("NaN"), camel: true, ..style("querystring", component, Lists::Repeat) },
    style("Java URLEncoder", java, Lists::Repeat),
    style("Java URLEncoder of a list", java, Lists::Java),
    Style { absent: Some("null"), ..style("Java URLEncoder of null", java, Lists::Repeat) },
    style("Spring UriComponentsBuilder", spring, Lists::Repeat),
    style("Python urlencode", python, Lists::Repeat),
    Style { absent: Some("None"), ..style("Python urlencode without doseq", python, Lists::Python) },
    style("Python urlencode with quote", python_quote, Lists::Repeat),
    Style { sorted: true, ..style("Go url.Values", go, Lists::Repeat) },
    Style { sorted: true, absent: Some(""), ..style("Go url.Values of %v", go, Lists::Go) },
    style("qs", qs, Lists::Indices),
    style("qs with brackets", qs, Lists::Brackets),
    style("axios", axios, Lists::Brackets),
    style("PHP http_build_query", php, Lists::Indices),
    style("HttpUtility.UrlEncode of .NET", dotnet, Lists::Comma),
    style("raw join", str::to_owned, Lists::Repeat),
];

const fn style(name: &'static str, escape: fn(&str) -> String, lists: Lists) -> Style {
    Style { name, escape, lists, sorted: false, absent: None, camel: false }
}

fn keep(text: &str, kept: &[u8]) -> String {
    percent(text, false, |byte| !byte.is_ascii_alphanumeric() && !kept.contains(&byte))
}

/// The WHATWG's application/x-www-form-urlencoded serializer.
fn search_params(text: &str) -> String {
    keep(text, b"*-._").replace("%20", "+")
}

/// ECMA-262, `encodeURIComponent`.
fn component(text: &str) -> String {
    keep(text, b"-_.!~*'()")
}

fn java(text: &str) -> String {
    keep(text, b".-*_").replace("%20", "+")
}

/// RFC 3986's query without `=` and `&`.
fn spring(text: &str) -> String {
    keep(text, b"-._~!$'()*+,;:@/?")
}

fn python(text: &str) -> String {
    keep(text, b"_.-~").replace("%20", "+")
}

fn python_quote(text: &str) -> String {
    keep(text, b"_.-~/")
}

fn go(text: &str) -> String {
    keep(text, b"-_.~").replace("%20", "+")
}

fn qs(text: &str) -> String {
    percent(text, false, |byte| !is_unreserved(byte))
}

/// `encodeURIComponent`, after which some escapes are undone and blanks become `+`.
fn axios(text: &str) -> String {
    keep(text, b"-_.!~*'():$,[]").replace("%20", "+")
}

fn php(text: &str) -> String {
    keep(text, b"-_.").replace("%20", "+")
}

/// The hexadecimal digits in lower case.
fn dotnet(text: &str) -> String {
    let text = percent(text, true, |byte| !byte.is_ascii_alphanumeric() && !b"-_.!*()".contains(&byte));
    text.replace("%20", "+")
}

impl Style {
    fn is_raw(&self) -> bool {
        self.name == "raw join"
    }

    /// A message that this style does not garble: its raw characters must not be read as something else.
    fn sendable(&self, mut meaning: Meaning) -> Meaning {
        let blunt =
            |text: &str| -> String { text.chars().filter(|c| !c.is_control() && !"&%\"'".contains(*c)).collect() };
        if self.is_raw() {
            for text in [&mut meaning.sessionid, &mut meaning.userid].into_iter().chain(&mut meaning.optional) {
                *text = blunt(text).trim_matches(' ').to_owned();
            }
            meaning.extra.values_mut().for_each(|value| *value = blunt(value).trim_matches(' ').to_owned());
            meaning
                .srcref
                .iter_mut()
                .chain(&mut meaning.fipid)
                .for_each(|item| *item = item.replace('%', "").trim_matches(' ').to_owned());
            let is_own = |part: &str| part.starts_with("a=");
            if !meaning.redirect.split('&').skip(1).all(is_own) || meaning.redirect.ends_with('&') {
                meaning.redirect = "https://fiu.example/cb?lead=4%202+2&a=%25&a=#x".to_owned();
            }
        }
        if self.name.starts_with("Spring") {
            // Escapes in a URL stay, since its scheme is raw.
            meaning.redirect =
                meaning.redirect.replace(|c: char| !"-._~!$'()*+,;:@/".contains(c) && !c.is_ascii_alphanumeric(), "");
        }
        if self.lists == Lists::Go {
            meaning.srcref.iter_mut().chain(&mut meaning.fipid).for_each(|item| *item = item.replace(' ', "-"));
        }
        if self.lists == Lists::Java {
            // Go would print an item with a blank like two items.
            meaning.srcref.iter_mut().chain(&mut meaning.fipid).for_each(|item| *item = item.replace(' ', "_"));
        }
        // A list whose items this style has removed, or whose items mean an absent value.
        let is_item =
            |item: &String| !item.is_empty() && !["null", "undefined", "None", "nil", "NaN"].contains(&&**item);
        meaning.srcref.retain(is_item);
        meaning.fipid.retain(is_item);
        if meaning.srcref.is_empty() {
            meaning.srcref.push("a".to_owned());
        }
        meaning
    }

    /// The text, and the kinds of its deviations.
    fn write(&self, leg: Leg, meaning: &Meaning) -> (String, BTreeSet<Deviation>) {
        let mut found = BTreeSet::new();
        let mut pairs: Vec<(String, String)> = vec![
            ("txnid".into(), meaning.txnid.clone()),
            ("sessionid".into(), meaning.sessionid.clone()),
            ("userid".into(), meaning.userid.clone()),
        ];
        if leg == Leg::Request {
            pairs.push(("redirect".into(), meaning.redirect.clone()));
        } else {
            pairs.push(("status".into(), if meaning.success { "S" } else { "F" }.into()));
            pairs.push(("errorcode".into(), meaning.errorcode.to_string()));
        }
        let fipid = if self.camel { "fipID" } else { "fipid" };
        for (name, items) in [("srcref", &meaning.srcref), (fipid, &meaning.fipid)] {
            if items.is_empty() {
                continue;
            }
            if name == "fipID" {
                found.insert(Deviation::NameCase);
            }
            let members = self.list(name, items);
            if self.lists != Lists::Repeat && !(self.lists == Lists::Comma && items.len() == 1) {
                found.insert(Deviation::ListSyntax);
            }
            pairs.extend(members);
        }
        if leg == Leg::Request {
            for (name, value) in OPTIONAL.iter().zip(&meaning.optional) {
                match (&**value, self.absent) {
                    ("", None) => {}
                    ("", Some(absent)) => {
                        found.insert(Deviation::BlankOptional);
                        pairs.push(((*name).into(), absent.into()));
                    }
                    (value, _) => pairs.push(((*name).into(), value.into())),
                }
            }
        }
        if !meaning.extra.is_empty() {
            found.insert(Deviation::ExtraMember);
        }
        pairs.extend(meaning.extra.iter().map(|(name, value)| (name.clone(), value.clone())));
        if self.sorted {
            pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        let escape = |name: &str| {
            if name.ends_with(']') && self.name == "axios" { name.to_owned() } else { (self.escape)(name) }
        };
        let texts = pairs.iter().map(|(name, value)| format!("{}={}", escape(name), (self.escape)(value)));
        let text = texts.collect::<Vec<_>>().join("&");
        if self.is_raw() && leg == Leg::Request && meaning.redirect.contains(['?', '#']) {
            found.insert(Deviation::RedirectUnescaped);
        }
        if self.name.starts_with("Spring") && meaning.redirect.contains('?') {
            found.insert(Deviation::RedirectUnescaped);
        }
        if !text.is_ascii() {
            found.insert(Deviation::RawNonAscii);
        }
        if !is_uuid(&meaning.txnid) {
            found.insert(Deviation::TxnidNotUuid);
        }
        (text, found)
    }

    fn list(&self, name: &str, items: &[String]) -> Vec<(String, String)> {
        let one = |value: String| vec![(name.to_owned(), value)];
        let quoted = |quote: char| items.iter().map(|item| format!("{quote}{item}{quote}")).collect::<Vec<_>>();
        let each = |name: &dyn Fn(usize) -> String| {
            items.iter().enumerate().map(|(at, item)| (name(at), item.clone())).collect::<Vec<_>>()
        };
        match self.lists {
            Lists::Repeat => each(&|_| name.to_owned()),
            Lists::Brackets => each(&|_| format!("{name}[]")),
            Lists::Indices => each(&|at| format!("{name}[{at}]")),
            Lists::Comma => one(items.join(",")),
            Lists::Json => one(format!("[{}]", quoted('"').join(","))),
            Lists::Java => one(format!("[{}]", items.join(", "))),
            Lists::Python => one(format!("[{}]", quoted('\'').join(", "))),
            Lists::Go => one(format!("[{}]", items.join(" "))),
        }
    }
}

fn read(leg: Leg, text: &str, profile: usize) -> Option<(Meaning, Deviations)> {
    let conventions = Conventions::of(&PROFILES[profile]);
    match leg {
        Leg::Request => {
            let (redirect, found) = read_redirect(text.as_bytes(), &conventions).ok()?;
            Some((Meaning::from(&redirect), found))
        }
        Leg::Callback => {
            let (callback, found) = read_callback(text.as_bytes(), &conventions).ok()?;
            Some((Meaning::from(&callback), found))
        }
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_message_written_by_a_library_is_read_as_its_sender_meant(
        (leg, meaning) in message(),
        style in 0..STYLES.len(),
        profile in 0..PROFILES.len(),
    ) {
        let style = &STYLES[style];
        let meaning = style.sendable(meaning);
        let (text, expected) = style.write(leg, &meaning);
        let read = read(leg, &text, profile);
        prop_assert!(read.is_some(), "{}: {:?}", style.name, text);
        let (opened, found) = read.unwrap();
        prop_assert_eq!(&opened, &meaning, "{}: {:?}", style.name, text);
        let found: BTreeSet<_> = found.kinds().collect();
        prop_assert_eq!(found, expected, "{}: {:?}", style.name, text);
    }
}
