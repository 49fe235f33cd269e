//! The page of an FIU to which the browser comes back.

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::Response,
};
use maud::{Markup, html};

use crate::{
    codec::url::Leg,
    diagnosis::Report,
    proto::{
        CallbackStatus, DecodeCallbackRequest, DecodeCallbackResponse, Deviation, ExpectedCallback,
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

use super::{App, faults, unknown, whole};

/// Shows the callback that a browser brings back.
pub(super) async fn arrive(State(app): App, Path(fiu): Path<String>, uri: Uri) -> Response {
    let url = whole(&app, &uri);
    open(&app, fiu, url).await
}

/// Shows the callback in a pasted text, such as a URL with its fragment, which a browser does not send.
pub(super) async fn pasted(State(app): App, Path(fiu): Path<String>, body: Bytes) -> Response {
    let url = Fields::of(&body).text("url").trim().to_owned();
    open(&app, fiu, url).await
}

async fn open(app: &Rehearsal, fiu: String, url: String) -> Response {
    if !app.desks.keyring.current().knows_fiu(&fiu, |_| true) {
        return unknown(app, "FIU");
    }
    let expected = app.desks.calls.journeys.expected(&fiu, &visit(&url));
    let request = DecodeCallbackRequest {
        fiu_id: fiu.clone(),
        source: Some(Source::Url(url.clone())),
        expected: expected.clone(),
        attempt_id: String::new(),
    };
    let (number, answer) = app.desks.calls.decode_callback(Who::FiuDesk, request).await;
    let question = Question { text: url, fiu: Some(fiu.clone()), aa: None };
    let (status, title, body) = match &answer {
        Ok(opened) => {
            let report = app.explanations.of_opened(question).await.ok();
            (StatusCode::OK, "The user is back", opened_page(opened, expected.as_ref(), report.as_ref()))
        }
        Err(refused) => {
            let report = app.explanations.of_refused(question).await;
            let nothing = view::reason(refused) == "URL_MALFORMED";
            let body = html! {
                p.lead { "The FIU's backend that calls " code { "DecodeCallback" } " gets this error. It does not know what the user decided." }
                (view::refusal(refused))
                (view::explanation(&report))
                (view::next_step(refused, Leg::Callback))
                @if nothing { (paste_form(&fiu)) }
            };
            (StatusCode::UNPROCESSABLE_ENTITY, "The callback is refused", body)
        }
    };
    let body = html! {
        h1 { (title) }
        (body)
        (faults::sent(app, number, Leg::Callback))
        p {
            a href=(format!("/journeys/{number}")) { "This journey, with the calls in your language" } " · "
            a href=(format!("/fiu/{}", view::segment(&fiu))) { "Another request" }
        }
    };
    view::page(&app.site, status, title, &body)
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

#[expect(clippy::expect_used, reason = "the service answers with the members")]
fn opened_page(
    opened: &DecodeCallbackResponse,
    expected: Option<&ExpectedCallback>,
    report: Option<&Report>,
) -> Markup {
    let callback = opened.callback.as_ref().expect("an opened callback has members");
    let mismatch = opened.deviations.contains(&Deviation::StatusMismatch.into());
    let success = callback.status() == CallbackStatus::Success && !mismatch;
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
        @if expected.is_none() {
            p.warn {
                strong { "Not compared. " }
                "This desk has no record of the request: its URL has no parameter visit of a request from here. A backend always "
                "compares a callback with its record (" code { "expected" } "): nothing else shows that a callback was joined from two others."
            }
        }
        section {
            h2 { "What came back" }
            @if let Some(report) = report { (view::envelope(report)) }
            dl {
                dt { "AA" } dd { (view::value(&opened.aa_id)) }
                dt { "Compared with the record" } dd { @if expected.is_some() { "yes, it is the answer to the request" } @else { "no" } }
                dt { "Secret" } dd { (view::value(&opened.secret_id)) @if !opened.primary_secret { ", not the primary one" } }
                dt { "Authentication tag" } dd { @if opened.authenticated { "right" } @else { "none: the format authenticates nothing" } }
                dt { "Reload" } dd { @if opened.reopened { "yes" } @else { "no, opened for the first time" } }
            }
            (view::callback_members(callback))
        }
        @if let Some(report) = report { (view::deviations(&report.deviation_details)) }
    }
}
