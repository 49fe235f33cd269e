//! The members of a message as a list, one entry for each item of a list.

use std::collections::BTreeMap;

use ::url::form_urlencoded;

use crate::{
    codec::{
        errorcode,
        members::{self, Callback, Redirect},
        profile::{Conventions, PROFILES},
        url::{self, Leg, Value},
    },
    exchange::Message,
};

use super::Member;

/// A message that can be listed.
pub(super) trait Listed: Message {
    /// Its members by name.
    fn members(&self) -> Vec<Member>;

    /// What the guideline says of its `errorcode`.
    fn error_message(&self) -> Option<String>;
}

impl Listed for Redirect {
    fn members(&self) -> Vec<Member> {
        let single = [
            ("txnid", &*self.txnid),
            ("sessionid", &self.sessionid),
            ("userid", &self.userid),
            ("redirect", &self.redirect),
        ];
        let lists = self.srcref.iter().map(|item| ("srcref", &**item));
        let lists = lists.chain(self.fipid.iter().map(|item| ("fipid", &**item)));
        listed(single.into_iter().chain(lists).chain(self.optional()), &self.extra)
    }

    fn error_message(&self) -> Option<String> {
        None
    }
}

impl Listed for Callback {
    fn members(&self) -> Vec<Member> {
        let errorcode = self.errorcode.to_string();
        let single = [
            ("txnid", &*self.txnid),
            ("sessionid", &self.sessionid),
            ("userid", &self.userid),
            ("status", if self.success { "S" } else { "F" }),
            ("errorcode", &errorcode),
        ];
        listed(single.into_iter().chain(self.srcref.iter().map(|item| ("srcref", &**item))), &self.extra)
    }

    fn error_message(&self) -> Option<String> {
        Some(errorcode::text(self.errorcode))
    }
}

/// The members of a text that a wrong recipe opened.
pub(super) fn of_text(text: &[u8], leg: Leg) -> Option<Vec<Member>> {
    let conventions = Conventions::of(&PROFILES[0]);
    match leg {
        Leg::Request => members::read_redirect(text, &conventions).ok().map(|(redirect, _)| redirect.members()),
        Leg::Callback => members::read_callback(text, &conventions).ok().map(|(callback, _)| callback.members()),
    }
}

/// The members of a text that is no message, as far as it has names; else the text itself.
pub(super) fn of_any(text: &str) -> Vec<Member> {
    if !text.contains('=') || text.trim_start().starts_with(['{', '[', '"']) {
        return vec![Member::of("text", text)];
    }
    form_urlencoded::parse(text.as_bytes()).map(|(name, value)| Member::of(&name, &value)).collect()
}

/// The parameters of a URL whose values cannot be read, as they came. The ciphertext is left out.
pub(super) fn of_url(url: &str, leg: Leg) -> Vec<Member> {
    let Ok((parameters, _)) = url::read(url, leg) else { return Vec::new() };
    let values = [("fi", Some(parameters.fi)), (leg.date_name(), Some(parameters.date)), ("iv", parameters.iv)];
    let member = |(name, value): (&str, Option<Value<'_>>)| Some(Member::of(name, value?.text));
    values.into_iter().filter_map(member).collect()
}

fn listed<'a>(members: impl Iterator<Item = (&'static str, &'a str)>, extra: &BTreeMap<String, String>) -> Vec<Member> {
    let known = members.map(|(name, value)| Member::of(name, value));
    known.chain(extra.iter().map(|(name, value)| Member::of(name, value))).collect()
}
