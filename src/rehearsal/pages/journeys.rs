//! The list of the last hundred journeys.

use axum::{extract::State, http::StatusCode, response::Response};
use chrono::{DateTime, SecondsFormat, Utc};
use maud::{Markup, html};

use crate::{
    codec::url::Leg,
    rehearsal::{
        journeys::{Called, Event, Journey, Step, Who},
        view,
    },
};

use super::{App, callback::is_success};

pub(super) async fn show(State(app): App) -> Response {
    let journeys = app.desks.calls.journeys.all();
    let body = html! {
        h1 { "Journeys" }
        p.lead { "The last hundred journeys, the newest first: every call of these pages and of your backends. They are kept until the program ends." }
        @if journeys.is_empty() { p { "None yet. " a href="/" { "Send a request from a desk." } } }
        @else {
            div.wide tabindex="0" role="region" aria-label="Journeys" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Journey" } th scope="col" { "FIU" } th scope="col" { "AA" }
                            th scope="col" { "User" } th scope="col" { "Last step" } th scope="col" { "Outcome" }
                        }
                    }
                    tbody { @for journey in &journeys { (row(journey)) } }
                }
            }
        }
    };
    view::page(&app.site, StatusCode::OK, "Journeys", &body)
}

fn row(journey: &Journey) -> Markup {
    let fault = [Leg::Request, Leg::Callback].into_iter().find_map(|leg| journey.faulty(leg));
    html! {
        tr {
            td { a href=(format!("/journeys/{}", journey.number)) { "Journey " (journey.number) } }
            td data-label="FIU" { (view::value(&journey.fiu)) }
            td data-label="AA" { @if journey.aa.is_empty() { "not known" } @else { (view::value(&journey.aa)) } }
            td data-label="User" { (view::value(journey.userid())) }
            @if let Some(step) = journey.steps.last() {
                td data-label="Last step" { (step.at.format("%H:%M:%S")) ", " (who(step)) }
                td data-label="Outcome" {
                    (outcome(step))
                    @if let Some((fault, _)) = fault { ", fault: " (fault.title()) }
                }
            }
        }
    }
}

/// What the last step of a journey says about it.
fn outcome(step: &Step) -> String {
    match &step.event {
        Event::EncodeRedirect(Called { answer: Ok(_), .. }) => "sealed".to_owned(),
        Event::DecodeRedirect(Called { answer: Ok(_), .. }) => "opened by the AA".to_owned(),
        Event::EncodeCallback(Called { answer: Ok(_), .. }) => "answered by the AA".to_owned(),
        Event::DecodeCallback(Called { answer: Ok(opened), .. }) if is_success(opened) => "consent given".to_owned(),
        Event::DecodeCallback(Called { answer: Ok(opened), .. }) => {
            format!("no consent: {}", opened.error_message)
        }
        Event::Faulty { .. } => "sent".to_owned(),
        _ => answer(step),
    }
}

/// An instant in UTC.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

pub(super) fn who(step: &Step) -> &'static str {
    match step.who {
        Who::FiuDesk => "FIU desk",
        Who::AaDesk => "AA desk",
        Who::Caller => "a backend over gRPC",
    }
}

/// `OK`, the reason of an error, or the fault.
pub(super) fn answer(step: &Step) -> String {
    let refused = match &step.event {
        Event::EncodeRedirect(called) => called.answer.as_ref().err(),
        Event::DecodeRedirect(called) => called.answer.as_ref().err(),
        Event::EncodeCallback(called) => called.answer.as_ref().err(),
        Event::DecodeCallback(called) => called.answer.as_ref().err(),
        Event::Faulty { fault, .. } => return format!("fault: {}", fault.title()),
    };
    refused.map_or_else(|| "OK".to_owned(), view::reason)
}
