//! The page of an FIU to which the browser comes back.

use axum::{
    extract::{Path, State},
    http::{Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use tonic::Status;

use crate::{
    codec::url::Leg,
    diagnosis::Report,
    proto::{
        Callback, CallbackStatus, DecodeCallbackRequest, DecodeCallbackResponse, Deviation,
        decode_callback_request::Source,
    },
    rehearsal::{
        Rehearsal,
        explanations::Question,
        form::Fields,
        journeys::{Who, visit},
        view,
    },
};

use super::{App, compare, faults, unknown, whole};

/// Shows the callback that a browser brings back.
pub(super) async fn arrive(State(app): App, Path(fiu): Path<String>, method: Method, uri: Uri) -> Response {
    if method == Method::HEAD {
        // It must open nothing.
        return StatusCode::OK.into_response();
    }
    let url = whole(&app, &uri);
    open(&app, fiu, url).await
}

/// Shows the callback in a pasted text, such as a URL with its fragment, which a browser does not send.
pub(super) async fn pasted(State(app): App, Path(fiu): Path<String>, fields: Fields) -> Response {
    let url = app.explanations.message_in(fields.text("url").to_owned()).await;
    open(&app, fiu, url).await
}

async fn open(app: &Rehearsal, fiu: String, url: String) -> Response {
    if !app.desks.keyring.current().knows_fiu(&fiu, |_| true) {
        return unknown(app, "FIU");
    }
    let visit = visit(&url);
    let expected = app.desks.calls.journeys.expected(&fiu, &visit);
    let request = DecodeCallbackRequest {
        fiu_id: fiu.clone(),
        source: Some(Source::Url(url.clone())),
        expected: expected.clone(),
        attempt_id: String::new(),
    };
    let (number, answer) = app.desks.calls.decode_callback(Who::FiuDesk, request).await;
    let faults = html! {
        (faults::sent(app, number, Leg::Callback))
        (faults::sent(app, number, Leg::Request))
    };
    let question = Question { text: url.clone(), fiu: Some(fiu.clone()), aa: None };
    let (status, title, body) = match &answer {
        Ok(opened) => {
            let report = app.explanations.of_opened(question).await.ok();
            let journey = app.desks.calls.journeys.get(number);
            let before = journey.as_ref().and_then(|journey| journey.answered_before(&opened.replay_key));
            let compared = if expected.is_some() {
                Compared::Yes
            } else if visit.is_empty() {
                Compared::NoVisit
            } else {
                Compared::Forgotten
            };
            let notes = html! {
                @if is_success(opened) { (compare::handles(journey.as_ref(), opened)) }
                (faults)
            };
            (StatusCode::OK, "The user is back", opened_page(opened, &compared, before, &notes, report.as_ref()))
        }
        Err(refused) => {
            let report = app.explanations.of_refused(question).await;
            let explanation = view::explanation(&report, &url);
            let compared = html! {
                @if let (Some(expected), Ok(report)) = (&expected, &report) { (compare::differences(expected, report)) }
            };
            let body = refused_page(&fiu, refused, &compared, &html! { (faults) (explanation) });
            (StatusCode::UNPROCESSABLE_ENTITY, "The callback is refused", body)
        }
    };
    let body = html! {
        h1 { (title) }
        (body)
        p {
            a href=(format!("/journeys/{number}")) { "This journey, with the calls in your language" } " · "
            a href=(format!("/fiu/{}", view::segment(&fiu))) { "Another request" }
        }
    };
    view::page(&app.site, status, title, &body)
}

fn refused_page(fiu: &str, refused: &Status, compared: &Markup, more: &Markup) -> Markup {
    let reason = view::reason(refused);
    html! {
        p.lead { "The FIU's backend that calls " code { "DecodeCallback" } " gets this error." }
        (view::refusal(refused))
        (view::next_step(refused, Leg::Callback))
        @if reason == "NOT_EXPECTED" { (compared) }
        @if reason == "URL_MALFORMED" { (paste_form(fiu)) }
        (more)
    }
}

/// A form for the fragment, which a browser does not send.
fn paste_form(fiu: &str) -> Markup {
    html! {
        section {
            h2 { "Are the parameters behind #?" }
            p {
                "A browser does not send what stands behind #, so a server cannot see it. If the address of this page has "
                "the parameters there, paste the whole address:"
            }
            form method="post" action=(format!("/fiu/{}/callback", view::segment(fiu))) {
                div.field {
                    label for="url" { "The address of this page" }
                    textarea.whole-address id="url" name="url" rows="4" required autocomplete="off" spellcheck="false" {}
                }
                button type="submit" { "Open" }
            }
        }
    }
}

/// Whether a callback was compared with the record of the desk.
enum Compared {
    Yes,
    /// The URL does not say which visit it belongs to.
    NoVisit,
    /// The desk has no record of the visit.
    Forgotten,
}

/// Whether the user has given consent.
#[expect(clippy::expect_used, reason = "the service answers with the members")]
pub(super) fn is_success(opened: &DecodeCallbackResponse) -> bool {
    let callback = opened.callback.as_ref().expect("an opened callback has members");
    callback.status() == CallbackStatus::Success && !opened.deviations.contains(&Deviation::StatusMismatch.into())
}

#[expect(clippy::expect_used, reason = "the service answers with the members")]
fn opened_page(
    opened: &DecodeCallbackResponse,
    compared: &Compared,
    before: Option<&DecodeCallbackResponse>,
    notes: &Markup,
    report: Option<&Report>,
) -> Markup {
    let callback = opened.callback.as_ref().expect("an opened callback has members");
    let mismatch = opened.deviations.contains(&Deviation::StatusMismatch.into());
    let success = is_success(opened);
    html! {
        section.outcome.good[success].bad[!success] {
            h2 { @if success { "Consent given" } @else { "No consent" } }
            @if mismatch {
                p { "Status and errorcode contradict each other: treat this as a failure." }
            } @else if success {
                p { "Accepted consent handles: " (callback.srcref.len()) ". Ask the AA for their status before you act: the format proves nothing." }
            } @else {
                p { "Error " (callback.errorcode) ": " (opened.error_message) "." }
            }
        }
        @if opened.reopened {
            p.warn role="status" { strong { "Opened before. " } "The page was reloaded, or somebody has copied the URL. Show the outcome again, and act on it once." }
        }
        @if let Some(before) = before {
            p.warn role="status" {
                strong { "Answered before. " }
                "This request already has another answer: "
                @if is_success(before) { "consent given" } @else { "no consent" }
                ". The user went back and decided again, or answered in two tabs. A backend keeps the first outcome, or asks the AA."
            }
        }
        @match compared {
            Compared::Yes => {}
            Compared::NoVisit => {
                p.warn { strong { "Not compared. " } "The URL has no parameter visit, so this desk cannot find its record. " (why_compare()) }
            }
            Compared::Forgotten => {
                p.warn {
                    strong { "Not compared. " } "This desk has no record of this visit: the request was not sent from here, or its "
                    "journey is forgotten. " (why_compare())
                }
            }
        }
        (notes)
        (came_back(opened, callback, compared, report))
        @if let Some(report) = report { (view::deviations(&report.deviation_details)) }
    }
}

fn came_back(
    opened: &DecodeCallbackResponse,
    callback: &Callback,
    compared: &Compared,
    report: Option<&Report>,
) -> Markup {
    html! {
        section {
            h2 { "What came back" }
            @if let Some(report) = report { (view::envelope(report)) }
            dl {
                dt { "AA" } dd { (view::value(&opened.aa_id)) }
                dt { "Compared with the record" }
                dd { @if matches!(compared, Compared::Yes) { "yes, it is the answer to the request" } @else { "no" } }
                dt { "Secret" } dd { (view::value(&opened.secret_id)) @if !opened.primary_secret { ", not the primary one" } }
                dt { "Authentication tag" } dd { @if opened.authenticated { "right" } @else { "none: the format authenticates nothing" } }
                dt { "Reload" } dd { @if opened.reopened { "yes" } @else { "no, opened for the first time" } }
            }
            (view::callback_members(callback))
        }
    }
}

/// Why a backend compares.
fn why_compare() -> Markup {
    html! {
        "A backend always compares a callback with its record (" code { "expected" } "): nothing else shows that a callback was "
        "joined from two others."
    }
}
