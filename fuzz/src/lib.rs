//! What the fuzz targets share: how a first byte picks conventions, what an opened message must be, and a second reader.

use aa_redirect::codec::{
    Deviation, Deviations,
    members::{CALLBACK_NAMES, Callback, REDIRECT_NAMES, Redirect},
    profile::{Conventions, ListSyntax, PROFILES},
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
pub fn check_redirect(redirect: &Redirect, deviations: Deviations) {
    assert!(!redirect.txnid.is_empty(), "a txnid");
    check_userid(&redirect.userid);
    let url = &redirect.redirect;
    assert!(!url.contains(|c: char| c == '\\' || c.is_whitespace() || c.is_control()), "a redirect without blanks");
    let (scheme, rest) = url.split_once("://").expect("an absolute redirect");
    assert!(!scheme.is_empty() && !rest.is_empty(), "an absolute redirect");
    // What a browser makes of it has the scheme that was checked.
    if let Ok(resolved) = url::Url::parse(url) {
        assert_eq!(resolved.scheme(), scheme.to_ascii_lowercase());
    }
    let forbidden = ["javascript", "data", "vbscript", "file", "blob"];
    assert!(!forbidden.contains(&&*scheme.to_ascii_lowercase()), "a redirect that leads back to an FIU");
    assert!(!redirect.srcref.is_empty(), "a srcref");
    check_items(&redirect.srcref);
    check_items(&redirect.fipid);
    assert!(redirect.extra.keys().all(|name| !name.is_empty() && !REDIRECT_NAMES.contains(&&**name)));
    assert_eq!(has(deviations, Deviation::ExtraMember), !redirect.extra.is_empty());
    assert_eq!(has(deviations, Deviation::TxnidNotUuid), !strict::is_uuid(&redirect.txnid));
}

/// What every opened callback must be (wire format, sections 3 and 4).
pub fn check_callback(callback: &Callback, deviations: Deviations) {
    assert!(!callback.txnid.is_empty(), "a txnid");
    assert!(!callback.userid.is_empty(), "a userid");
    check_items(&callback.srcref);
    assert!(callback.extra.keys().all(|name| !name.is_empty() && !CALLBACK_NAMES.contains(&&**name)));
    assert_eq!(has(deviations, Deviation::ExtraMember), !callback.extra.is_empty());
    assert_eq!(has(deviations, Deviation::TxnidNotUuid), !strict::is_uuid(&callback.txnid));
    assert_eq!(has(deviations, Deviation::StatusMismatch), callback.success != (callback.errorcode == 0));
}

fn check_userid(userid: &str) {
    assert!(!userid.contains(char::is_whitespace), "a userid without blanks");
    let (before, after) = userid.rsplit_once('@').expect("a userid with an @");
    assert!(!before.is_empty() && !after.is_empty(), "something on both sides of the @");
}

fn check_items(items: &[String]) {
    assert!(items.iter().all(|item| !item.is_empty() && item.trim() == item), "items without outer blanks");
}

/// Whether `deviations` has `deviation`.
pub fn has(deviations: Deviations, deviation: Deviation) -> bool {
    deviations.iter().any(|found| found == deviation)
}
