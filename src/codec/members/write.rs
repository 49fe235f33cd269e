//! Writes members as text that every known kind of reader understands (wire format, section 5).

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::codec::profile::ListSyntax;

use super::{Callback, Redirect, escape, list};

/// The plaintext of `ecreq`.
pub fn write_redirect(redirect: &Redirect, lists: ListSyntax) -> Zeroizing<String> {
    let mut text = begin(&redirect.txnid, &redirect.sessionid, &redirect.userid);
    text.push_str("&redirect=");
    escape::push_redirect(&mut text, &redirect.redirect);
    list::push(&mut text, "srcref", &redirect.srcref, lists);
    list::push(&mut text, "fipid", &redirect.fipid, lists);
    for (name, value) in redirect.optional() {
        push(&mut text, name, value);
    }
    push_extra(&mut text, &redirect.extra);
    text
}

/// The plaintext of `ecres`.
pub fn write_callback(callback: &Callback, lists: ListSyntax) -> Zeroizing<String> {
    let mut text = begin(&callback.txnid, &callback.sessionid, &callback.userid);
    push(&mut text, "status", if callback.success { "S" } else { "F" });
    push(&mut text, "errorcode", &callback.errorcode.to_string());
    list::push(&mut text, "srcref", &callback.srcref, lists);
    push_extra(&mut text, &callback.extra);
    text
}

/// Appends the first members of both kinds of message. `txnid` comes first: it is random, so messages under one key and
/// a zero IV differ in their first block.
fn begin(txnid: &str, sessionid: &str, userid: &str) -> Zeroizing<String> {
    // Room for a common message, so that growing leaves no copies of it behind.
    let mut text = Zeroizing::new(String::with_capacity(512 + 3 * (txnid.len() + sessionid.len() + userid.len())));
    text.push_str("txnid=");
    escape::push_value(&mut text, txnid);
    push(&mut text, "sessionid", sessionid);
    push(&mut text, "userid", userid);
    text
}

fn push(text: &mut String, name: &str, value: &str) {
    text.push('&');
    text.push_str(name);
    text.push('=');
    escape::push_value(text, value);
}

fn push_extra(text: &mut String, extra: &BTreeMap<String, String>) {
    for (name, value) in extra {
        push(text, name, value);
    }
}
