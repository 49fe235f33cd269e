//! What the FIU desk compares: the answer with its record of the request.

use maud::{Markup, html};

use crate::{
    diagnosis::Report,
    proto::{DecodeCallbackResponse, ExpectedCallback},
    rehearsal::{journeys::Journey, view},
};

/// What was sent and what came, for each of the four that a backend compares; only for a callback that opened.
pub(super) fn differences(expected: &ExpectedCallback, report: &Report) -> Markup {
    let Some(members) = &report.members else { return html! {} };
    let came = |name: &str| members.iter().find(|member| member.name == name).map_or("", |member| &member.value);
    let sender = report.sender.as_deref().unwrap_or_default();
    let rows = [
        ("txnid", &*expected.txnid, came("txnid")),
        ("sessionid", &expected.sessionid, came("sessionid")),
        ("userid", &expected.userid, came("userid")),
        ("AA", &expected.aa_id, sender),
    ];
    html! {
        section {
            h2 { "What differs" }
            p { "If your AA has answered this request: it must return these members as they arrived, byte for byte." }
            div.wide tabindex="0" role="region" aria-label="What differs" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Member" } th scope="col" { "Sent" } th scope="col" { "Came back" } th scope="col" { "Result" }
                        }
                    }
                    tbody {
                        @for (name, sent, came) in rows {
                            tr {
                                td { (name) }
                                td data-label="Sent" { (view::value(sent)) }
                                td data-label="Came back" { (view::value(came)) }
                                td data-label="Result" { @if sent == came { "the same" } @else { strong { "differs" } } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What is strange about the consent handles of a success.
#[expect(clippy::expect_used, reason = "the service answers with the members")]
pub(super) fn handles(journey: Option<&Journey>, opened: &DecodeCallbackResponse) -> Markup {
    let accepted = &opened.callback.as_ref().expect("an opened callback has members").srcref;
    let sealed = journey.and_then(Journey::sealed);
    let asked = sealed.and_then(|(request, _)| request.redirect.as_ref()).map(|redirect| &redirect.srcref);
    let others: Vec<&String> =
        asked.map(|asked| accepted.iter().filter(|handle| !asked.contains(handle)).collect()).unwrap_or_default();
    html! {
        @if accepted.is_empty() {
            p.warn { strong { "No handle. " } "The answer is a success without a consent handle, so nothing is known to be accepted." }
        }
        @if !others.is_empty() {
            p.warn {
                strong { "Handles that the request does not have: " }
                @for handle in others { (view::value(handle)) " " }
                ". The service does not compare them. A backend ignores such a handle."
            }
        }
    }
}
