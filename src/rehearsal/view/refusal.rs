//! An error of the service, as a caller gets it.

use maud::{Markup, html};
use tonic::Status;
use tonic_types::StatusExt;

use super::value;

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
            p.answer { code.reason { (reason(status)) } " " (status.message()) "." }
            dl {
                dt { "gRPC code" } dd { code { (format!("{:?}", status.code())) } }
                @for (name, text) in metadata { dt { (name) } dd { (value(text)) } }
            }
        }
    }
}
