//! Compares a callback with the FIU's own record of the request.

use crate::{codec::members::Callback, keyring::Pairing};

/// The fields of the callback that an FIU waits for, from its own record of the request.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// The request's.
    pub txnid: &'a str,
    /// The request's.
    pub sessionid: &'a str,
    /// The request's.
    pub userid: &'a str,
    /// The AA that the user was sent to; not compared if it is empty.
    pub aa: &'a str,
}

/// Which fields differ, by the names of the interface; no values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Differences([bool; FIELDS.len()]);

const FIELDS: [&str; 4] = ["txnid", "sessionid", "userid", "aa_id"];

impl Differences {
    /// The fields in which `callback` of `pairing` differs from `expected`; `None` if it is the expected one.
    pub(super) fn of(callback: &Callback, pairing: &Pairing, expected: &Expected<'_>) -> Option<Self> {
        let differ = [
            callback.txnid != expected.txnid,
            callback.sessionid != expected.sessionid,
            callback.userid != expected.userid,
            !expected.aa.is_empty() && pairing.aa != expected.aa,
        ];
        differ.contains(&true).then_some(Self(differ))
    }

    /// Their names, joined with `, `.
    pub fn names(self) -> String {
        let names: Vec<&str> =
            FIELDS.into_iter().zip(self.0).filter_map(|(name, differs)| differs.then_some(name)).collect();
        names.join(", ")
    }
}
