//! A URL, part by part.

use std::iter;

use chrono::Utc;
use maud::{Markup, html};

use crate::{
    codec::{
        Envelope,
        url::{Leg, PARAMETERS},
    },
    diagnosis::Reading,
};

use super::value;

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
                @let pieces: Vec<&str> = pieces(query).collect();
                @for (at, part) in pieces.iter().enumerate() {
                    @let before = if at == 0 { base } else { pieces[at - 1] };
                    @if before.ends_with('#') && !part.contains('=') { (fragment(part)) }
                    @else { (row(part, leg, envelope.as_ref())) }
                }
            }
        }
    }
}

/// The pieces of a query with their separators, as a tolerant reader separates them: also at a second `?`, behind `#`,
/// and at `&amp;`.
fn pieces(query: &str) -> impl Iterator<Item = &str> {
    let mut rest = query;
    iter::from_fn(move || {
        let separators = rest.match_indices(['&', '#', '?']).map(|(at, found)| at + found.len());
        let end = separators.map(|end| if rest[end..].starts_with("amp;") { end + 4 } else { end }).next();
        let (piece, others) = rest.split_at(end.unwrap_or(rest.len()));
        rest = others;
        (!piece.is_empty()).then_some(piece)
    })
}

fn fragment(part: &str) -> Markup {
    html! {
        tr {
            th scope="row" { "fragment" }
            td { (value(part)) }
            td { "of the web view: a browser keeps it, and sends it to no server" }
        }
    }
}

fn row(part: &str, leg: Leg, envelope: Option<&Envelope>) -> Markup {
    let (name, text) = part.split_once('=').unwrap_or((part, ""));
    let own = PARAMETERS.iter().any(|own| own.eq_ignore_ascii_case(name));
    html! {
        tr {
            th scope="row" { (value(name)) }
            td { (value(text)) }
            td { @if own { (meaning(name, leg, envelope)) } @else { (elsewhere(leg)) } }
        }
    }
}

/// Where a parameter that does not belong to the message comes from.
fn elsewhere(leg: Leg) -> &'static str {
    match leg {
        Leg::Request => "of the web view",
        Leg::Callback => "of the URL in redirect",
    }
}

fn meaning(name: &str, leg: Leg, envelope: Option<&Envelope>) -> Markup {
    let Some(envelope) = envelope else { return html! { "not readable" } };
    let (date, message) = (leg.date_name(), leg.message_name());
    match name.to_ascii_lowercase().as_str() {
        "fi" => html! { "the sender, masked with the date: " (value(&envelope.sender)) },
        name if name == date => {
            html! {
                "UTC; salt of the key and mask of fi."
                @for (at, reading) in envelope.date.readings().into_iter().enumerate() {
                    @let reading = Reading::of(reading, Utc::now());
                    br; @if at == 0 { "Read as " } @else { "Or read as " }
                    (reading.digits) ": " (reading.instant) ", " (reading.age()) "."
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
