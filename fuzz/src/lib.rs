//! Shared by the fuzz targets: how a first byte picks conventions, the checks of an opened message, and a second
//! reader.

use aa_redirect::codec::{
    Deviation, Deviations,
    members::{Callback, Member, Redirect},
    profile::{Conventions, ListSyntax, PROFILES},
    url::Leg,
};

pub mod strict;

/// Every profile with every list syntax, by the first byte of an input.
pub fn conventions(choice: u8) -> Conventions {
    let lists = ListSyntax::ALL;
    let choice = usize::from(choice);
    Conventions {
        lists: lists[choice / PROFILES.len() % lists.len()],
        ..Conventions::of(&PROFILES[choice % PROFILES.len()])
    }
}

/// Checks that an opened request has the form that it must have (wire format, section 3).
pub fn check_redirect(redirect: &Redirect, deviations: &Deviations) {
    check_names(&redirect.txnid, &redirect.userid);
    let url = &redirect.redirect;
    assert!(!url.contains(|c: char| c == '\\' || c == ' ' || c.is_control()), "a redirect without blanks");
    let (scheme, rest) = url.split_once(":").expect("an absolute redirect");
    assert!(!scheme.is_empty() && !rest.is_empty(), "an absolute redirect");
    assert!(rest.starts_with("//") || scheme.contains('.'), "an absolute redirect");
    // A browser reads the same scheme that was checked.
    if let Ok(resolved) = url::Url::parse(url) {
        assert_eq!(resolved.scheme(), scheme.to_ascii_lowercase());
    }
    let forbidden = ["javascript", "data", "vbscript", "file", "blob", "about"];
    assert!(!forbidden.contains(&&*scheme.to_ascii_lowercase()), "a redirect that leads back to an FIU");
    assert!(!redirect.srcref.is_empty(), "a srcref");
    check_items(&redirect.srcref);
    check_items(&redirect.fipid);
    assert!(redirect.extra.keys().all(|name| is_extra(name, Leg::Request)));
    assert_eq!(has(deviations, Deviation::ExtraMember), !redirect.extra.is_empty());
    assert_eq!(has(deviations, Deviation::TxnidNotUuid), !strict::is_uuid(&redirect.txnid));
}

/// Checks that an opened callback has the form that it must have (wire format, sections 3 and 4).
pub fn check_callback(callback: &Callback, deviations: &Deviations) {
    check_names(&callback.txnid, &callback.userid);
    check_items(&callback.srcref);
    assert!(callback.extra.keys().all(|name| is_extra(name, Leg::Callback)));
    assert_eq!(has(deviations, Deviation::ExtraMember), !callback.extra.is_empty());
    assert_eq!(has(deviations, Deviation::TxnidNotUuid), !strict::is_uuid(&callback.txnid));
    assert_eq!(has(deviations, Deviation::StatusMismatch), callback.success != (callback.errorcode == 0));
}

/// Whether `name` is not a member of `leg`, in upper or lower case.
fn is_extra(name: &str, leg: Leg) -> bool {
    !name.is_empty() && !Member::of(leg).iter().any(|member| member.name().eq_ignore_ascii_case(name))
}

fn check_names(txnid: &str, userid: &str) {
    assert!((1..=128).contains(&txnid.len()) && !txnid.contains(char::is_control), "a txnid");
    assert!(userid.len() <= 128 && !userid.contains(|c: char| c == ' ' || c.is_control()), "a userid without blanks");
    let (before, after) = userid.rsplit_once('@').expect("a userid with an @");
    assert!(!before.is_empty() && !after.is_empty(), "something on both sides of the @");
}

fn check_items(items: &[String]) {
    assert!(items.iter().all(|item| !item.is_empty() && !item.contains(char::is_control)), "items");
}

/// Whether `deviations` has `deviation`.
pub fn has(deviations: &Deviations, deviation: Deviation) -> bool {
    deviations.kinds().any(|found| found == deviation)
}
