//! A sealed request of an FIU desk, part by part, with the links that send the browser to an AA.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use maud::{Markup, html};

use crate::{
    codec::url::{self, Leg},
    rehearsal::{
        Rehearsal,
        desks::Failed,
        draft,
        fault::Fault,
        journeys::{Journey, parameters_of},
        view,
    },
};

use super::{App, faults, problem};

/// A request on its way.
struct Sent {
    fiu: String,
    aa: String,
    fault: Option<Fault>,
    /// The web view from the keyring, or the AA desk.
    base: String,
    /// The URL to that web view.
    url: String,
}

impl Sent {
    /// # Errors
    /// If the journey has no sealed request, or if the keyring leads elsewhere since then.
    fn of(app: &Rehearsal, journey: &Journey) -> Result<Self, Failed> {
        let (request, sealed) = journey.sealed().ok_or(Failed::Forgotten)?;
        let aa = if request.aa_id.is_empty() { &journey.aa } else { &request.aa_id };
        let keyring = app.desks.keyring.current();
        let pairing = keyring.pairings().find(|pairing| pairing.fiu == request.fiu_id && pairing.aa == *aa);
        let pairing = pairing.ok_or(Failed::KeyringChanged)?;
        let base = pairing.webview.clone().unwrap_or_else(|| app.site.desk(aa));
        let (fault, url) = match journey.faulty(Leg::Request) {
            Some((fault, url)) => (Some(fault), url.to_owned()),
            None => (None, url::append(&base, &sealed.query)),
        };
        if !url.starts_with(url::split_fragment(&base).0) {
            return Err(Failed::KeyringChanged);
        }
        Ok(Self { fiu: request.fiu_id.clone(), aa: aa.clone(), fault, base, url })
    }

    /// The same message for another web view, with the same fault.
    fn to(&self, other: &str) -> String {
        let query = parameters_of(&self.url);
        self.fault.map_or_else(|| url::append(other, query), |fault| fault.append(other, query))
    }
}

/// Where the browser goes at once: the developer's own AA if there is one, else the AA desk. `None` if the page of the
/// request must say why it goes nowhere.
pub(super) fn target(app: &Rehearsal, journey: u64) -> Option<String> {
    let sent = Sent::of(app, &app.desks.calls.journeys.get(journey)?).ok()?;
    let desk = app.site.desk(&sent.aa);
    Some(sent.to(app.site.aa_url.as_ref().unwrap_or(&desk)))
}

pub(super) async fn show(State(app): App, Path((fiu, journey)): Path<(String, u64)>) -> Response {
    let found = app.desks.calls.journeys.get(journey).filter(|journey| journey.fiu == fiu);
    let sent = found.ok_or(Failed::Forgotten).and_then(|found| Ok((Sent::of(&app, &found)?, found)));
    match sent {
        Ok((sent, journey)) => view::page(&app.site, StatusCode::OK, "A sealed request", &page(&app, &sent, &journey)),
        Err(failed @ Failed::KeyringChanged) => {
            problem(&app, StatusCode::CONFLICT, "The keyring has changed", &format!("{failed}."))
        }
        Err(_) => forgotten(&app),
    }
}

/// The page for a request that the desk has no longer.
pub(super) fn forgotten(app: &Rehearsal) -> Response {
    let text = "Only the last hundred journeys are kept, until the program ends. Start again at the desk.";
    problem(app, StatusCode::NOT_FOUND, "This request is forgotten", text)
}

fn page(app: &Rehearsal, sent: &Sent, journey: &Journey) -> Markup {
    let keyring = app.desks.keyring.current();
    let pairing = keyring.pairings().find(|pairing| pairing.fiu == sent.fiu && pairing.aa == sent.aa);
    let shown = app.site.aa_url.as_ref().map_or_else(|| sent.url.clone(), |own| sent.to(own));
    html! {
        h1 { "A sealed request" }
        p.lead { "From " (view::value(&sent.fiu)) " to " (view::value(&sent.aa)) ". Your backend answers the browser with this URL as a redirect (303)." }
        @if let Some(fault) = sent.fault {
            (faults::note(Leg::Request, fault, pairing.map(|pairing| fault.outcome(Leg::Request, pairing))))
        }
        (links(app, sent))
        (view::parts(&shown, Leg::Request))
        details {
            summary { "The whole URL" }
            (view::url("The whole URL", &shown))
        }
        @if let (Some((request, sealed)), Some(pairing)) = (journey.sealed(), pairing) {
            details {
                summary { "The members before sealing" }
                (view::code("The members before sealing", &view::visible(&draft::of_request(pairing, request, sealed, "").text)))
            }
        }
        p {
            a href=(format!("/journeys/{}", journey.number)) { "The same call in your language" } " · "
            a href=(format!("/fiu/{}/like/{}", view::segment(&sent.fiu), journey.number)) { "Change this request" } " · "
            a href=(format!("/fiu/{}", view::segment(&sent.fiu))) { "Another request" }
        }
    }
}

/// The links to an AA.
fn links(app: &Rehearsal, sent: &Sent) -> Markup {
    let desk = app.site.desk(&sent.aa);
    html! {
        div.buttons {
            @if let Some(own) = &app.site.aa_url { a.button href=(sent.to(own)) { "Go to your AA" } }
            a.button href=(sent.to(&desk)) { "Go to the AA desk" }
            @if sent.base != desk { a.button.second href=(sent.url) { "Go to the web view of the keyring" } }
        }
    }
}
