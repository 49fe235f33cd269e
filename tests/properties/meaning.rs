//! The meaning of a message, in any way of writing it: the members of both legs, and random messages.

use std::collections::BTreeMap;

use aa_redirect::codec::{
    members::{Callback, Redirect},
    url::Leg,
};
use proptest::{
    collection::{btree_map, vec},
    prelude::*,
    sample::{SizeRange, select},
};

pub(crate) const OPTIONAL: [&str; 4] = ["email", "pan", "dob", "isoLanguageCode"];

/// The members of a message of either leg. The members that belong only to the other leg are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meaning {
    pub(crate) txnid: String,
    pub(crate) sessionid: String,
    pub(crate) userid: String,
    pub(crate) redirect: String,
    pub(crate) srcref: Vec<String>,
    pub(crate) fipid: Vec<String>,
    /// In the order of [`OPTIONAL`].
    pub(crate) optional: [String; 4],
    pub(crate) success: bool,
    pub(crate) errorcode: u32,
    pub(crate) extra: BTreeMap<String, String>,
}

impl Meaning {
    pub(crate) fn redirect(&self) -> Redirect {
        let [email, pan, dob, iso_language_code] = self.optional.clone();
        let mut redirect = Redirect::default();
        redirect.txnid.clone_from(&self.txnid);
        redirect.sessionid.clone_from(&self.sessionid);
        redirect.userid.clone_from(&self.userid);
        redirect.redirect.clone_from(&self.redirect);
        redirect.srcref.clone_from(&self.srcref);
        redirect.fipid.clone_from(&self.fipid);
        (redirect.email, redirect.pan, redirect.dob, redirect.iso_language_code) = (email, pan, dob, iso_language_code);
        redirect.extra.clone_from(&self.extra);
        redirect
    }

    pub(crate) fn callback(&self) -> Callback {
        let mut callback = Callback::default();
        callback.txnid.clone_from(&self.txnid);
        callback.sessionid.clone_from(&self.sessionid);
        callback.userid.clone_from(&self.userid);
        (callback.success, callback.errorcode) = (self.success, self.errorcode);
        callback.srcref.clone_from(&self.srcref);
        callback.extra.clone_from(&self.extra);
        callback
    }

    pub(crate) fn names(leg: Leg) -> &'static [&'static str] {
        match leg {
            Leg::Request => &[
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
            Leg::Callback => &["txnid", "sessionid", "userid", "status", "errorcode", "srcref"],
        }
    }
}

impl From<&Redirect> for Meaning {
    fn from(opened: &Redirect) -> Self {
        Self {
            txnid: opened.txnid.clone(),
            sessionid: opened.sessionid.clone(),
            userid: opened.userid.clone(),
            redirect: opened.redirect.clone(),
            srcref: opened.srcref.clone(),
            fipid: opened.fipid.clone(),
            optional: [&opened.email, &opened.pan, &opened.dob, &opened.iso_language_code].map(String::clone),
            extra: opened.extra.clone(),
            ..Self::default()
        }
    }
}

impl From<&Callback> for Meaning {
    fn from(opened: &Callback) -> Self {
        Self {
            txnid: opened.txnid.clone(),
            sessionid: opened.sessionid.clone(),
            userid: opened.userid.clone(),
            srcref: opened.srcref.clone(),
            success: opened.success,
            errorcode: opened.errorcode,
            extra: opened.extra.clone(),
            ..Self::default()
        }
    }
}

/// Text with every character that can cause errors in such a format.
pub(crate) fn text(size: impl Into<SizeRange>) -> impl Strategy<Value = String> + Clone {
    let special: Vec<char> = "&=%+#?/ ,;:@{}[]\"'|\\\r\n\t\0\u{7f}".chars().collect();
    let foreign: Vec<char> = "🏦👩\u{200d}é\u{a0}\u{2028}\u{feff}\u{10ffff}０".chars().collect();
    let character = prop_oneof![
        4 => proptest::char::range('!', '~'),
        3 => select(special),
        2 => proptest::char::range('\u{900}', '\u{97f}'),
        1 => select(foreign),
        1 => any::<char>(),
    ];
    vec(character, size).prop_map(String::from_iter)
}

/// A [`text`] without the characters that are `unfit`.
fn text_without(size: impl Into<SizeRange>, unfit: fn(char) -> bool) -> impl Strategy<Value = String> + Clone {
    text(size).prop_map(move |text| text.replace(unfit, ""))
}

fn uuid() -> impl Strategy<Value = String> {
    (any::<u128>(), any::<bool>()).prop_map(|(number, upper)| {
        let digits = if upper { format!("{number:032X}") } else { format!("{number:032x}") };
        [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
    })
}

fn userid() -> impl Strategy<Value = String> {
    let unfit: fn(char) -> bool = |c| c == ' ' || c.is_control();
    let name = text_without(0..12, unfit);
    let handle = text_without(0..6, |c| c == ' ' || c.is_control() || c == '@');
    (name, handle).prop_map(|(name, handle)| format!("9{name}@a{handle}"))
}

/// A URL that a browser may be sent to, often with a query.
fn redirect() -> impl Strategy<Value = String> {
    let unfit = |c: char| c == ' ' || c.is_control() || c == '\\';
    let scheme = select(vec!["https", "HTTPS", "http", "myapp", "com.fiu+app"]);
    let free = (scheme, text_without(0..20, unfit)).prop_map(|(scheme, rest)| format!("{scheme}://h{rest}"));
    let value = vec(select(vec!["1", "x", "%20", "%2F", "%26", "%25", "+", "=", "?", "/", "सत्र", "#"]), 0..4);
    let query = vec((extra_name(), value), 1..4);
    let with_query = query.prop_map(|query| {
        let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={}", value.concat())).collect();
        format!("https://fiu.example/cb?{}", query.join("&"))
    });
    prop_oneof![free, with_query]
}

/// An item that can stand in a list of any syntax.
fn item() -> impl Strategy<Value = String> {
    text(1..10).prop_filter_map("is no item", |text| {
        let unfit = |c: char| ",{}[]\"'\\&".contains(c) || c.is_control();
        let text = text.replace(unfit, "");
        let item = text.trim_matches(' ');
        let words = ["null", "undefined", "None", "nil", "NaN"];
        (!item.is_empty() && !words.contains(&item)).then(|| item.to_owned())
    })
}

fn extra_name() -> impl Strategy<Value = String> + Clone {
    let letters: Vec<char> = ('a'..='z').chain('A'..='Z').collect();
    let rest: Vec<char> = letters.iter().copied().chain("0123456789_.-".chars()).collect();
    let random = (select(letters), vec(select(rest), 0..6))
        .prop_map(|(first, rest)| format!("{first}{}", String::from_iter(rest)));
    let known = select(vec!["fi", "account", "mobile", "ecreq", "srcref2", "redirecturl"]).prop_map(str::to_owned);
    prop_oneof![random, known].prop_filter("a member of the guideline", |name| {
        let is_known = |known: &&str| known.eq_ignore_ascii_case(name);
        ![Leg::Request, Leg::Callback].into_iter().any(|leg| Meaning::names(leg).iter().any(is_known))
            && !name.eq_ignore_ascii_case("mac")
    })
}

/// A message that the service would seal.
pub(crate) fn meaning(leg: Leg) -> impl Strategy<Value = Meaning> {
    let optional = [(); 4].map(|()| prop_oneof![Just(String::new()), text(0..8)]);
    let begin = (uuid(), text(0..20), userid(), redirect());
    let lists = (vec(item(), 1..4), vec(item(), 0..4));
    let end = (optional, any::<bool>(), any::<u32>(), btree_map(extra_name(), text(0..8), 0..3));
    (begin, lists, end).prop_map(
        move |((txnid, sessionid, userid, redirect), (srcref, fipid), (optional, success, errorcode, extra))| match leg
        {
            Leg::Request => {
                Meaning { txnid, sessionid, userid, redirect, srcref, fipid, optional, extra, ..Meaning::default() }
            }
            Leg::Callback => {
                let errorcode = if success { 0 } else { errorcode.max(1) };
                Meaning { txnid, sessionid, userid, srcref, success, errorcode, extra, ..Meaning::default() }
            }
        },
    )
}

pub(crate) fn leg() -> impl Strategy<Value = Leg> {
    select(vec![Leg::Request, Leg::Callback])
}

/// A leg and a message of it.
pub(crate) fn message() -> impl Strategy<Value = (Leg, Meaning)> {
    leg().prop_flat_map(|leg| (Just(leg), meaning(leg)))
}
