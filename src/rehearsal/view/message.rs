//! The members of a message, and what its sender should change.

use maud::{Markup, html};

use crate::{
    codec::errorcode,
    diagnosis::DeviationReport,
    proto::{Callback, CallbackStatus, Deviation, Redirect},
};

use super::value;

/// The members of a request.
pub(in crate::rehearsal) fn redirect_members(redirect: &Redirect) -> Markup {
    let Redirect { txnid, sessionid, userid, redirect: url, srcref, fipid, email, pan, dob, iso_language_code, extra } =
        redirect;
    let optional = [("email", email), ("pan", pan), ("dob", dob), ("isoLanguageCode", iso_language_code)];
    table(&html! {
        (row("txnid", txnid)) (row("sessionid", sessionid)) (row("userid", userid)) (row("redirect", url))
        (items("srcref", srcref))
        @if !fipid.is_empty() { (items("fipid", fipid)) }
        @for (name, value) in optional { @if !value.is_empty() { (row(name, value)) } }
        @for (name, value) in extra { (row(name, value)) }
    })
}

/// The members of a callback.
pub(in crate::rehearsal) fn callback_members(callback: &Callback) -> Markup {
    let status = match callback.status() {
        CallbackStatus::Success => "S, success",
        CallbackStatus::Failure => "F, failure",
        CallbackStatus::Unspecified => "",
    };
    let code = format!("{}, {}", callback.errorcode, errorcode::text(callback.errorcode));
    table(&html! {
        (row("txnid", &callback.txnid)) (row("sessionid", &callback.sessionid)) (row("userid", &callback.userid))
        (row("status", status)) (row("errorcode", &code))
        @if !callback.srcref.is_empty() { (items("srcref", &callback.srcref)) }
        @for (name, value) in &callback.extra { (row(name, value)) }
    })
}

pub(super) fn table(rows: &Markup) -> Markup {
    html! {
        table.members {
            caption { "Members" }
            thead { tr { th scope="col" { "Member" } th scope="col" { "Value" } } }
            tbody { (rows) }
        }
    }
}

pub(super) fn row(name: &str, text: &str) -> Markup {
    html! { tr { th scope="row" { (value(name)) } td { (value(text)) } } }
}

fn items(name: &str, items: &[String]) -> Markup {
    html! {
        tr { th scope="row" { (value(name)) } td { ul.items { @for item in items { li { (value(item)) } } } } }
    }
}

/// The name of a deviation, such as `LIST_SYNTAX`.
pub(in crate::rehearsal) fn deviation(kind: Deviation) -> &'static str {
    kind.as_str_name().trim_start_matches("DEVIATION_")
}

/// What the service repaired, and what the sender should change.
pub(in crate::rehearsal) fn deviations(details: &[DeviationReport]) -> Markup {
    html! {
        @if !details.is_empty() {
            section {
                h2 { "What the sender should change" }
                p { "The service accepts this, and reports it. Another reader may not accept it." }
                ul.deviations {
                    @for DeviationReport { deviation, place, advice } in details {
                        li {
                            code { (deviation) }
                            @if !place.is_empty() { " in " code { (place) } }
                            ": " (advice)
                        }
                    }
                }
            }
        }
    }
}
