//! The codec reads every text that the strict reader of this crate reads, with the same deviations. It opens nothing
//! that the strict reader refuses. If the strict reader sees a repair, the codec reports one.
//!
//! An input is a byte that chooses conventions, one that chooses leg and subject, and the members' text or the URL.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};

use aa_redirect::codec::{
    Deviations, Envelope, RequestorType,
    members::{Callback, Redirect, read_callback, read_redirect},
    profile::ListSyntax,
    url::Leg,
};
use aa_redirect_fuzz::{
    conventions,
    strict::{self, Kind, Members, Parameters, Syntax, Verdict},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [choice, kind, text @ ..] = input else { return };
    let request = kind % 2 == 0;
    if kind & 2 == 0 {
        let conventions = conventions(*choice);
        let syntax = match conventions.lists {
            ListSyntax::Repeated => Syntax::Repeated,
            ListSyntax::Comma => Syntax::Comma,
            ListSyntax::Braces => Syntax::Braces,
            ListSyntax::Json => Syntax::Json,
        };
        let (theirs, ours) = if request {
            let ours = read_redirect(text, &conventions).map(|(redirect, found)| (of_redirect(&redirect), found));
            (strict::members(text, Kind::Redirect, syntax), ours.ok())
        } else {
            let ours = read_callback(text, &conventions).map(|(callback, found)| (of_callback(&callback), found));
            (strict::members(text, Kind::Callback, syntax), ours.ok())
        };
        let (ours, deviations) = ours.unzip();
        compare(theirs, ours, &deviations.unwrap_or_default());
    } else {
        let Ok(url) = std::str::from_utf8(text) else { return };
        let ours = Envelope::from_url(url, if request { Leg::Request } else { Leg::Callback }).ok();
        let deviations = ours.as_ref().map(|envelope| envelope.deviations.clone()).unwrap_or_default();
        let ours = ours.map(|envelope| Parameters {
            sender: envelope.sender,
            date: envelope.date.text().to_owned(),
            message: envelope.ciphertext,
            iv: envelope.iv.map(|iv| iv.to_vec()),
            requestor_type: envelope.requestor_type.map(|kind| match kind {
                RequestorType::Fiu => "FIU".to_owned(),
                RequestorType::Lsp => "LSP".to_owned(),
            }),
        });
        compare(strict::parameters(url, request), ours, &deviations);
    }
});

fn compare<T: std::fmt::Debug + PartialEq>(theirs: Verdict<T>, ours: Option<T>, deviations: &Deviations) {
    let found: BTreeSet<&str> = deviations.kinds().map(|deviation| deviation.name()).collect();
    match theirs {
        Verdict::Means(theirs, expected) => {
            assert_eq!(ours, Some(theirs), "another meaning");
            assert_eq!(found, expected, "other deviations");
        }
        Verdict::Refused => assert_eq!(ours, None, "opened what must not be"),
        Verdict::Deviates => assert!(ours.is_none() || !found.is_empty(), "repaired without a word: {ours:?}"),
        Verdict::Unsaid => {}
    }
}

fn of_redirect(redirect: &Redirect) -> Members {
    let Redirect { txnid, sessionid, userid, redirect, srcref, fipid, email, pan, dob, iso_language_code, extra } =
        redirect;
    let single = [
        ("txnid", txnid),
        ("sessionid", sessionid),
        ("userid", userid),
        ("redirect", redirect),
        ("email", email),
        ("pan", pan),
        ("dob", dob),
        ("isoLanguageCode", iso_language_code),
    ];
    of(&single, &[("srcref", srcref), ("fipid", fipid)], extra)
}

fn of_callback(callback: &Callback) -> Members {
    let Callback { txnid, sessionid, userid, success, errorcode, srcref, extra } = callback;
    let (status, errorcode) = (if *success { "S" } else { "F" }.to_owned(), errorcode.to_string());
    let single = [
        ("txnid", txnid),
        ("sessionid", sessionid),
        ("userid", userid),
        ("status", &status),
        ("errorcode", &errorcode),
    ];
    of(&single, &[("srcref", srcref)], extra)
}

/// Members in the form of the strict reader: an empty member is an absent one, except for `sessionid`.
fn of(single: &[(&str, &String)], lists: &[(&str, &Vec<String>)], extra: &BTreeMap<String, String>) -> Members {
    let mut members = Members::default();
    for (name, value) in single {
        if !value.is_empty() || *name == "sessionid" {
            members.known.insert((*name).to_owned(), vec![(*value).clone()]);
        }
    }
    for (name, items) in lists {
        if !items.is_empty() {
            members.known.insert((*name).to_owned(), (*items).clone());
        }
    }
    members.extra = extra.iter().map(|(name, value)| (name.clone(), vec![value.clone()])).collect();
    members
}
