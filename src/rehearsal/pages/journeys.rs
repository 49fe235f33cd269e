//! The list of the last hundred journeys.

use axum::{extract::State, http::StatusCode, response::Response};
use chrono::{DateTime, SecondsFormat, Utc};
use maud::html;

use crate::rehearsal::{
    journeys::{Event, Step, Who},
    view,
};

use super::App;

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
                            th scope="col" { "Steps" } th scope="col" { "Last" } th scope="col" { "Answer" }
                        }
                    }
                    tbody {
                        @for journey in &journeys {
                            tr {
                                td { a href=(format!("/journeys/{}", journey.number)) { "Journey " (journey.number) } }
                                td data-label="FIU" { (view::value(&journey.fiu)) }
                                td data-label="AA" { (view::value(&journey.aa)) }
                                td data-label="Steps" { (journey.steps.len()) }
                                @if let Some(step) = journey.steps.last() {
                                    td data-label="Last" { (time(step.at)) ", " (who(step)) }
                                    td data-label="Answer" { (answer(step)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    };
    view::page(&app.site, StatusCode::OK, "Journeys", &body)
}

/// The time of day of an instant.
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
