//! The buttons for faults on purpose.

use maud::{Markup, html};

use crate::{
    codec::url::Leg,
    rehearsal::{
        Rehearsal,
        fault::{Fault, Outcome},
    },
};

/// A button for each fault of `leg`, with what it does. It sends the field `name` with the fault's name.
pub(super) fn buttons(leg: Leg, name: &str) -> Markup {
    let (broken, repaired): (Vec<Fault>, Vec<Fault>) =
        Fault::of(leg).partition(|fault| !matches!(fault, Fault::Deviates(_)));
    html! {
        details.faults open {
            summary { (match leg {
                Leg::Request => "Send it with a fault",
                Leg::Callback => "Accept all, and send the answer with a fault",
            }) }
            p { (match leg {
                Leg::Request => "Each button seals the request with this fault and shows it. The next click sends it.",
                Leg::Callback => "Each button sends the answer with this fault, so that you see what a backend does with it.",
            }) }
            (group("What a backend must survive", &broken, name))
            (group("What the service repairs and reports", &repaired, name))
        }
    }
}

fn group(title: &str, faults: &[Fault], name: &str) -> Markup {
    html! {
        fieldset {
            legend { (title) }
            ul.faults {
                @for fault in faults {
                    li {
                        button.quiet type="submit" name=(name) value=(fault.name()) { (fault.title()) }
                        p.hint { (fault.explanation()) }
                    }
                }
            }
        }
    }
}

/// The fault with which a desk has sent the message of `leg` of a journey, if it has one.
pub(super) fn sent(app: &Rehearsal, number: u64, leg: Leg) -> Markup {
    let journey = app.desks.calls.journeys.get(number);
    let fault = journey.as_ref().and_then(|journey| journey.faulty(leg)).map(|(fault, _)| fault);
    html! { @if let Some(fault) = fault { (note(leg, fault, None)) } }
}

/// The fault of a message, and what its receiver should see.
pub(super) fn note(leg: Leg, fault: Fault, outcome: Option<Outcome>) -> Markup {
    html! {
        section.fault {
            h2 {
                "Fault on purpose in the " (match leg {
                    Leg::Request => "request",
                    Leg::Callback => "callback",
                }) ": " (fault.title())
            }
            p { (fault.explanation()) }
            @if let Some(outcome) = outcome { p { "What the receiver's service answers: " (expected(outcome)) } }
        }
    }
}

fn expected(outcome: Outcome) -> Markup {
    html! {
        @match outcome {
            Outcome::Opened => { "it opens." }
            Outcome::Repaired(deviation) => { "it opens, with the deviation " code { (deviation.name()) } "." }
            Outcome::Reopened => { "it opens, with " code { "reopened" } "." }
            Outcome::Refused(reason) => { "an error, " code { (reason) } "." }
        }
    }
}
