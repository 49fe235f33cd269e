//! One journey, step by step, with the same calls in five languages.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use maud::{Markup, html};

use crate::{
    codec::url::Leg,
    proto::DeviationDetail,
    rehearsal::{
        Rehearsal,
        journeys::{Called, Event, Step},
        samples, view,
    },
};

use super::{
    App, faults,
    journeys::{answer, time, who},
    problem,
};

pub(super) async fn show(State(app): App, Path(number): Path<u64>) -> Response {
    let Some(journey) = app.desks.calls.journeys.get(number) else {
        let text = "Only the last hundred journeys are kept, until the program ends.";
        return problem(&app, StatusCode::NOT_FOUND, "No such journey", text);
    };
    let body = html! {
        h1 { "Journey " (number) }
        dl {
            @if !journey.fiu.is_empty() { dt { "FIU" } dd { (view::value(&journey.fiu)) } }
            @if !journey.aa.is_empty() { dt { "AA" } dd { (view::value(&journey.aa)) } }
            @if !journey.userid().is_empty() { dt { "User" } dd { (view::value(journey.userid())) } }
            dt { "txnid" }
            dd { @if let Some(txnid) = journey.txnids.first() { (view::value(txnid)) } @else { "not known: nothing opened" } }
        }
        ol.steps { @for (at, step) in (1..).zip(&journey.steps) { li { (of_step(&app, at, step)) } } }
        p { a href="/journeys" { "All journeys" } }
    };
    view::page(&app.site, StatusCode::OK, &format!("Journey {number}"), &body)
}

fn of_step(app: &Rehearsal, number: usize, step: &Step) -> Markup {
    let name = match &step.event {
        Event::EncodeRedirect(_) => "EncodeRedirect",
        Event::DecodeRedirect(_) => "DecodeRedirect",
        Event::EncodeCallback(_) => "EncodeCallback",
        Event::DecodeCallback(_) => "DecodeCallback",
        Event::Faulty { leg: Leg::Request, .. } => "A request with a fault",
        Event::Faulty { leg: Leg::Callback, .. } => "A callback with a fault",
    };
    html! {
        section.step {
            h2 { (name) }
            p.when { (time(step.at)) ", " (who(step)) ": " code { (answer(step)) } }
            (detail(number, &step.event))
            @let samples = samples::of(&step.event, &app.site.grpc);
            @if !samples.is_empty() {
                details {
                    summary { "The same call, ready to copy" }
                    @if matches!(step.event, Event::DecodeRedirect(_) | Event::DecodeCallback(_)) {
                        p.note { "The message expires with the window of its pairing: then the answer is DATE_EXPIRED, if the date is checked." }
                    }
                    @for (language, text) in samples {
                        h3 { (language) }
                        (view::code(&format!("Step {number}: {language}"), &text))
                    }
                }
            }
        }
    }
}

/// The members, and the result.
fn detail(number: usize, event: &Event) -> Markup {
    match event {
        Event::EncodeRedirect(Called { request, answer }) => html! {
            @if let Some(redirect) = &request.redirect { (view::redirect_members(redirect)) }
            @match answer {
                Ok(sealed) => { (url(number, if sealed.url.is_empty() { &sealed.query } else { &sealed.url }, Leg::Request)) }
                Err(status) => { (view::refusal(status)) }
            }
        },
        Event::DecodeRedirect(Called { answer, .. }) => html! {
            @match answer {
                Ok(opened) => {
                    @if let Some(redirect) = &opened.redirect { (view::redirect_members(redirect)) }
                    (notes(opened.reopened, &opened.deviation_details))
                }
                Err(status) => { (view::refusal(status)) }
            }
        },
        Event::EncodeCallback(Called { request, answer }) => html! {
            @if let Some(callback) = &request.callback { (view::callback_members(callback)) }
            @match answer {
                Ok(sealed) => { (url(number, &sealed.url, Leg::Callback)) }
                Err(status) => { (view::refusal(status)) }
            }
        },
        Event::DecodeCallback(Called { request, answer }) => html! {
            @if request.expected.is_none() {
                p.warn {
                    strong { "Not compared. " } "The call does not set " code { "expected" } ", so a callback that was joined from "
                    "two others is accepted."
                }
            }
            @match answer {
                Ok(opened) => {
                    @if let Some(callback) = &opened.callback { (view::callback_members(callback)) }
                    (notes(opened.reopened, &opened.deviation_details))
                }
                Err(status) => { (view::refusal(status)) }
            }
        },
        Event::Faulty { leg, fault, url: sent } => {
            html! { (faults::note(*leg, *fault, None)) (url(number, sent, *leg)) }
        }
    }
}

fn url(number: usize, text: &str, leg: Leg) -> Markup {
    html! {
        details { summary { "The URL" } (view::url(&format!("Step {number}: the URL"), text)) (view::parts(text, leg)) }
    }
}

fn notes(reopened: bool, details: &[DeviationDetail]) -> Markup {
    let deviations: Vec<&str> = details.iter().map(|detail| view::deviation(detail.deviation())).collect();
    html! {
        @if reopened { p.warn { "Opened before." } }
        @if !deviations.is_empty() { p { "Repaired: " code { (deviations.join(", ")) } } }
    }
}
