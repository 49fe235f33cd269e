//! The members of a message as a list, one entry for each item of a list.

use std::collections::BTreeMap;

use crate::{
    codec::{
        errorcode,
        members::{self, Callback, Redirect},
        profile::{Conventions, PROFILES},
        url::Leg,
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

fn listed<'a>(members: impl Iterator<Item = (&'static str, &'a str)>, extra: &BTreeMap<String, String>) -> Vec<Member> {
    let known = members.map(|(name, value)| Member { name: name.to_owned(), value: value.to_owned() });
    known.chain(extra.iter().map(|(name, value)| Member { name: name.clone(), value: value.clone() })).collect()
}
