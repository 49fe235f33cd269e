//! A URL, part by part.

use chrono::{SecondsFormat, Utc};
use maud::{Markup, html};

use crate::codec::{
    Envelope,
    url::{Leg, PARAMETERS},
};

use super::{age, value, visible};

/// The parts of the URL of a message, each with its meaning.
pub(in crate::rehearsal) fn parts(url: &str, leg: Leg) -> Markup {
    let start = url.find(['?', '#']).map_or(url.len(), |at| at + 1);
    let (base, query) = url.split_at(start);
    let envelope = Envelope::from_url(url, leg).ok();
    html! {
        table.parts {
            caption { "The URL, part by part" }
            thead { tr { th scope="col" { "Part" } th scope="col" { "As it travels" } th scope="col" { "What it is" } } }
            tbody {
                tr { th scope="row" { "URL" } td { (value(base)) } td { "where the browser goes" } }
                @for part in query.split_inclusive(['&', '#']) { (row(part, leg, envelope.as_ref())) }
            }
        }
    }
}

fn row(part: &str, leg: Leg, envelope: Option<&Envelope>) -> Markup {
    let (name, text) = part.split_once('=').unwrap_or((part, ""));
    let own = PARAMETERS.iter().any(|own| own.eq_ignore_ascii_case(name));
    html! {
        tr {
            th scope="row" { (value(name)) }
            td { bdi.value { (visible(text)) } }
            td { @if own { (meaning(name, leg, envelope)) } @else { "not ours" } }
        }
    }
}

fn meaning(name: &str, leg: Leg, envelope: Option<&Envelope>) -> Markup {
    let Some(envelope) = envelope else { return html! { "not readable" } };
    let (date, message) = (leg.date_name(), leg.message_name());
    match name.to_ascii_lowercase().as_str() {
        "fi" => html! { "the sender, masked with the date: " (value(&envelope.sender)) },
        name if name == date => {
            let readings = envelope.date.readings();
            html! {
                "UTC; salt of the key and mask of fi"
                @for (digits, instant) in readings {
                    br; (digits) ": " (instant.to_rfc3339_opts(SecondsFormat::Millis, true))
                    ", " (age((Utc::now() - instant).num_seconds()))
                }
            }
        }
        name if name == message => html! { "the members: " (envelope.ciphertext.len()) " bytes of AES-256-CBC" },
        "iv" => html! { "16 random bytes, fresh for each message" },
        "requestortype" => html! {
            "who asks, masked with the date: "
            (envelope.requestor_type.map_or("neither FIU nor LSP", crate::codec::RequestorType::name))
        },
        _ => html! { "a parameter of the other leg" },
    }
}
