//! An error of the service, as a caller gets it.

use maud::{Markup, html};
use tonic::Status;
use tonic_types::StatusExt;

use crate::{codec::url::Leg, telemetry::method::code_names};

use super::{value, visible};

/// The reason of an error, such as `DATE_EXPIRED`; empty for an error without a reason.
pub(in crate::rehearsal) fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// The wrong fields of a request, each with the form that it must have.
pub(in crate::rehearsal) fn violations(status: &Status) -> Vec<(String, String)> {
    let found = status.get_details_bad_request().map(|details| details.field_violations).unwrap_or_default();
    found.into_iter().map(|violation| (violation.field, violation.description)).collect()
}

/// The error as a caller reads it.
pub(in crate::rehearsal) fn refusal(status: &Status) -> Markup {
    let info = status.get_details_error_info();
    let metadata = info.as_ref().map(|info| &info.metadata);
    let mut metadata: Vec<_> = metadata.into_iter().flatten().collect();
    metadata.sort();
    html! {
        section.refused {
            h2 { "The service refuses it" }
            p.answer { code.reason { (reason(status)) } " " (visible(status.message())) "." }
            dl {
                dt { "gRPC code" } dd { code { (code_names(status.code()).1) } }
                @for (name, text) in metadata { dt { (name) } dd { (value(text)) } }
            }
        }
    }
}

/// What the receiver's backend does after this error.
pub(in crate::rehearsal) fn next_step(status: &Status, leg: Leg) -> Markup {
    let text = match (leg, &*reason(status)) {
        (_, "SCHEME_MISMATCH") => {
            "Show a page that tells the user to start again, and compare the profile of this pairing with the other \
             party: no message of it will open before both agree."
        }
        (_, "DATE_IN_FUTURE") => {
            "Show a page that tells the user to start again, and look at the clocks of both parties."
        }
        (_, "OVERLOADED" | "NOT_READY" | "STORE_UNAVAILABLE") => "Call again: nothing was recorded.",
        (Leg::Request, "ALREADY_OPENED") => {
            "Show the page of the session that you have, and begin no second one: the user has reloaded the page, or \
             somebody has copied the URL."
        }
        (Leg::Request, _) => {
            "Show a page that tells the user to go back and to start again. Do not redirect: a request that does not \
             open does not say where to."
        }
        (Leg::Callback, "ALREADY_OPENED") => "Show the outcome that you have recorded, and act on nothing.",
        (Leg::Callback, "NOT_EXPECTED") => {
            "Act on nothing, and let the user start again. The AA has changed a member, the user has two requests open at \
             a time, or somebody has put another message in place of this one."
        }
        (Leg::Callback, "URL_MALFORMED") => {
            "If the parameters are behind #, let the page send location.href to your backend. Else let the user start \
             again."
        }
        (Leg::Callback, _) => {
            "Let the user start again. Do not guess what the user decided: ask the AA for the status of the consent."
        }
    };
    html! { p { strong { "What your backend does now: " } (text) } }
}
