//! What the fuzz targets share: how a first byte picks conventions, what an opened message must be, and a second reader.

use aa_redirect::codec::{
    Deviation, Deviations,
    members::{Callback, Member, Redirect},
    profile::{Conventions, ListSyntax, PROFILES},
    url::Leg,
};

pub mod strict;

/// Every profile with every list syntax, by the first byte of an input.
pub fn conventions(choice: u8) -> Conventions {
    let lists = [ListSyntax::Repeated, ListSyntax::Comma, ListSyntax::Braces, ListSyntax::Json];
    let choice = usize::from(choice);
    Conventions {
        lists: lists[choice / PROFILES.len() % lists.len()],
        ..Conventions::of(&PROFILES[choice % PROFILES.len()])
    }
}

/// What every opened request must be (wire format, section 3).
pub fn check_redirect(redirect: &Redirect, deviations: &Deviations) {
    check_names(&redirect.txnid, &redirect.userid);
    let url = &redirect.redirect;
    assert!(!url.contains(|c: char| c == '\\' || c == ' ' || c.is_control()), "a redirect without blanks");
    let (scheme, rest) = url.split_once(":").expect("an absolute redirect");
    assert!(!scheme.is_empty() && !rest.is_empty(), "an absolute redirect");
    assert!(rest.starts_with("//") || scheme.contains('.'), "an absolute redirect");
    // What a browser makes of it has the scheme that was checked.
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

/// What every opened callback must be (wire format, sections 3 and 4).
pub fn check_callback(callback: &Callback, deviations: &Deviations) {
    check_names(&callback.txnid, &callback.userid);
    check_items(&callback.srcref);
    assert!(callback.extra.keys().all(|name| is_extra(name, Leg::Callback)));
    assert_eq!(has(deviations, Deviation::ExtraMember), !callback.extra.is_empty());
    assert_eq!(has(deviations, Deviation::TxnidNotUuid), !strict::is_uuid(&callback.txnid));
    assert_eq!(has(deviations, Deviation::StatusMismatch), callback.success != (callback.errorcode == 0));
}

/// Whether `name` is none of the members of `leg`, in any case.
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
