//! The diagnosis of a message, as `inspect` prints it.

use maud::{Markup, html};

use crate::{
    diagnosis::{PairingReport, Report},
    rehearsal::explanations::Unexplained,
};

use super::{
    message::{deviations, row, table},
    value, visible,
};

/// Everything that was found. If `answer`, also the answer that the service would give.
pub(in crate::rehearsal) fn report(report: &Report, answer: bool) -> Markup {
    html! {
        section.report {
            h2 { "Diagnosis" }
            p.note { "For the developer who holds the secrets: the service must not tell a caller most of this." }
            @if answer {
                p.answer { code.reason { (report.answer) } " " (visible(&report.explanation)) "." }
                @if let Some(hint) = &report.hint { p { "Hint: " code { (hint) } } }
            }
            @if let Some(cause) = report.cause() {
                p.cause { strong { "Cause: " } (visible(cause)) }
            }
            @if let Some(search) = report.search {
                p.note {
                    "Tried " (search.keys) @if search.keys == 1 { " key in " } @else { " keys in " } (search.milliseconds) " ms"
                    @if search.cut_short { ", and gave up there" } "."
                }
            }
            (envelope(report))
            @for pairing in &report.pairings { (of_pairing(pairing)) }
            @if let Some(members) = &report.members {
                (table(&html! { @for member in members { (row(&member.name, &member.value)) } }))
            }
        }
        (deviations(&report.deviation_details))
    }
}

/// The diagnosis of the message in `text`, which did not open, or why there is none.
pub(in crate::rehearsal) fn explanation(explained: &Result<Report, Unexplained>, text: &str) -> Markup {
    let why = match explained {
        Ok(explained) => return report(explained, false),
        Err(Unexplained::Off) => return html! {},
        Err(Unexplained::Busy) => "Other searches for causes are running. Try again in some seconds.",
        Err(Unexplained::TooMany) => {
            "Too many messages that do not open have arrived in a short time, so this page does not search for the cause by \
             itself."
        }
    };
    html! {
        section.report {
            h2 { "Diagnosis" }
            p { (why) }
            form method="post" action="/inspect" {
                input type="hidden" name="text" value=(text);
                button type="submit" { "Find the cause" }
            }
        }
    }
}

/// What can be read without a key.
pub(in crate::rehearsal) fn envelope(report: &Report) -> Markup {
    html! {
        dl {
            @if !report.removed.is_empty() { dt { "Removed" } dd { (report.removed.join(", ")) } }
            dt { "Leg" } dd { (report.leg) }
            @for parameter in &report.parameters { dt { (parameter.name) " as it came" } dd { (value(&parameter.value)) } }
            @if let Some(sender) = &report.sender { dt { "Sender (fi)" } dd { (value(sender)) } }
            @if let Some(date) = &report.date {
                dt { "Date" } dd { (value(&date.text)) }
                @for (at, reading) in date.readings.iter().enumerate() {
                    dt { @if at == 0 { "read as " } @else { "or read as " } (reading.digits) }
                    dd { (reading.instant) ", " (reading.age()) }
                }
            }
            @if report.date.as_ref().is_some_and(|date| date.readings.len() > 1) {
                dt { "Two readings" } dd.note { "The digits can mean either. The service accepts the date if one reading is inside the window." }
            }
            @if let Some(kind) = report.requestor_type { dt { "requestorType" } dd { (kind) } }
            @if let (Some(bytes), Some(has_iv)) = (report.ciphertext_bytes, report.has_iv) {
                dt { "Ciphertext" } dd { (bytes) " bytes, " @if has_iv { "with iv" } @else { "no iv" } }
            }
        }
    }
}

fn of_pairing(pairing: &PairingReport) -> Markup {
    html! {
        h3 { (value(&pairing.fiu)) " with " (value(&pairing.aa)) }
        dl {
            dt { "Profile" } dd { (pairing.profile) ", scheme " (pairing.scheme) }
            dt { "Window" } dd { (pairing.max_age_seconds) " s: " (pairing.freshness) }
            @for secret in &pairing.secrets {
                dt { "Secret " (value(&secret.id)) }
                dd { @if secret.primary { "primary: " } @else { "decode only: " } (secret.result) }
            }
        }
    }
}
