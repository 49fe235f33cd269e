//! The desk of an AA: what arrived, and what the user decides.

use axum::{
    extract::{Path, State},
    http::{Method, StatusCode, Uri},
    response::Response,
};
use maud::{Markup, html};
use tonic::Status;

use crate::{
    codec::{errorcode, url::Leg},
    diagnosis::Report,
    proto::{DecodeRedirectRequest, DecodeRedirectResponse, RequestorType, decode_redirect_request::Source},
    rehearsal::{
        Rehearsal,
        decision::Decision,
        desks::{Failed, new_uuid},
        explanations::Question,
        form::Fields,
        journeys::Who,
        view,
    },
};

use super::{App, faults, problem, unknown, whole};

/// The codes of the guideline.
const CODES: std::ops::RangeInclusive<u32> = 1..=20;
const CODE_RANGE: &str = "An errorcode is a number from 1 to 4294967295.";
/// Codes that are proposed and not released.
const PROPOSED: [(u32, &str); 3] = [
    (21, "proposed: specific account not present"),
    (22, "proposed: specific account not present"),
    (23, "proposed: accounts present but session timeout"),
];

/// The desk without a request.
pub(super) async fn lobby(State(app): App, Path(aa): Path<String>) -> Response {
    if !knows(&app, &aa) {
        return unknown(&app, "AA");
    }
    let body = html! {
        h1 { "AA desk of " (view::value(&aa)) }
        p.lead { "An FIU sends the user's browser to this web view:" }
        (view::code("Web view", &app.site.desk(&aa)))
        p {
            "Nothing has arrived with this page. Let your FIU backend send a browser here, or send a request from "
            a href="/" { "the desk of an FIU" } "."
        }
        (paste_form(&aa))
    };
    view::leaving(view::page(&app.site, StatusCode::OK, &format!("AA desk of {aa}"), &body))
}

/// Shows the request that a browser brings.
pub(super) async fn arrive(app: App, Path(aa): Path<String>, method: Method, uri: Uri) -> Response {
    // HEAD must open nothing.
    if uri.query().is_none_or(str::is_empty) || method == Method::HEAD {
        return lobby(app, Path(aa)).await;
    }
    let url = whole(&app.0, &uri);
    open(&app.0, aa, url).await
}

/// Shows the request in a pasted text, such as a URL with its fragment, which a browser does not send.
pub(super) async fn pasted(State(app): App, Path(aa): Path<String>, fields: Fields) -> Response {
    let url = app.explanations.message_in(fields.text("url").to_owned()).await;
    open(&app, aa, url).await
}

async fn open(app: &Rehearsal, aa: String, url: String) -> Response {
    if !knows(app, &aa) {
        return unknown(app, "AA");
    }
    let request =
        DecodeRedirectRequest { aa_id: aa.clone(), source: Some(Source::Url(url.clone())), attempt_id: String::new() };
    let (number, answer) = app.desks.calls.decode_redirect(Who::AaDesk, request).await;
    if let Ok(opened) = &answer
        && let Some(answered) = by_itself(app, number, opened).await
    {
        return answered;
    }
    let question = Question { text: url.clone(), fiu: None, aa: Some(aa.clone()) };
    match answer {
        Ok(opened) => {
            let report = app.explanations.of_opened(question).await.ok();
            let fault = faults::sent(app, number, Leg::Request);
            let body = opened_page(number, &opened, &fault, report.as_ref());
            view::leaving(view::page(&app.site, StatusCode::OK, &format!("AA desk of {aa}"), &body))
        }
        Err(status) => {
            let report = app.explanations.of_refused(question).await;
            let fault = faults::sent(app, number, Leg::Request);
            let body = refused_page(&aa, number, &status, &fault, &view::explanation(&report, &url));
            let page = view::page(&app.site, StatusCode::UNPROCESSABLE_ENTITY, "The request is refused", &body);
            view::leaving(page)
        }
    }
}

/// The answer to a request whose user id decides; `None` if the user decides.
#[expect(clippy::expect_used, reason = "the service answers with the members")]
async fn by_itself(app: &Rehearsal, number: u64, opened: &DecodeRedirectResponse) -> Option<Response> {
    let redirect = opened.redirect.as_ref().expect("an opened request has members");
    let Ok(decision) = Decision::of_user(&redirect.userid) else {
        let text = format!("The user id {} names no errorcode. {CODE_RANGE}", view::visible(&redirect.userid));
        return Some(problem(app, StatusCode::UNPROCESSABLE_ENTITY, "No such errorcode", &text));
    };
    // The same request gets the same answer, no matter how often it comes.
    let form = format!("request {}", opened.replay_key);
    Some(match app.desks.answer((number, &opened.replay_key), &form, &decision?).await {
        Ok(url) => view::see_other(&url),
        Err(failed) => unanswered(app, &failed),
    })
}

/// Answers a request, and sends the browser back.
pub(super) async fn answer(State(app): App, Path(aa): Path<String>, fields: Fields) -> Response {
    let decision = match fields.text("decide") {
        "accept-chosen" => Some(Decision::AcceptSome(fields.all("handle").filter_map(|at| at.parse().ok()).collect())),
        "code" => fields.text("code").parse().ok().filter(|&code| code > 0).map(Decision::Fail),
        name => Decision::named(name),
    };
    let (Some(decision), Ok(number)) = (decision, fields.text("journey").parse()) else {
        let text = format!("This desk does not know the decision in the form. {CODE_RANGE}");
        return problem(&app, StatusCode::UNPROCESSABLE_ENTITY, "No such decision", &text);
    };
    if !knows(&app, &aa) {
        return unknown(&app, "AA");
    }
    // The form is a UUID of this desk.
    let form: String = fields.text("form").chars().take(36).collect();
    let form = format!("{form} {decision:?}");
    match app.desks.answer((number, fields.text("message")), &form, &decision).await {
        Ok(url) if view::is_web(&url) => view::see_other(&url),
        Ok(url) => to_app(&app, number, &url),
        Err(failed) => unanswered(&app, &failed),
    }
}

fn knows(app: &Rehearsal, aa: &str) -> bool {
    app.desks.keyring.current().knows_aa(aa, |_| true)
}

/// A page in place of a redirect to an app, since a browser shows nothing after such a redirect.
fn to_app(app: &Rehearsal, number: u64, url: &str) -> Response {
    let body = html! {
        h1 { "Back to an app" }
        p.lead { "The request came from an app. A browser hands this URL to the app that owns its scheme." }
        p { a.button href=(url) { "Open the app" } }
        (view::url("The URL", url))
        (view::parts(url, Leg::Callback))
        p { a href=(format!("/journeys/{number}")) { "This journey" } }
    };
    view::page(&app.site, StatusCode::OK, "Back to an app", &body)
}

fn unanswered(app: &Rehearsal, failed: &Failed) -> Response {
    let body = html! {
        h1 { "No answer" }
        @match failed {
            Failed::Refused(status) => {
                (view::refusal(status))
                ul { @for (field, text) in view::violations(status) { li { code { (field) } " " (text) } } }
            }
            other => { p.refused { (other) "." } }
        }
        p { "Go back and choose another answer." }
    };
    view::failing(view::page(&app.site, StatusCode::UNPROCESSABLE_ENTITY, "No answer", &body), failed)
}

fn paste_form(aa: &str) -> Markup {
    html! {
        form method="post" action=(format!("/aa/{}/webview", view::segment(aa))) {
            div.field {
                label for="url" { "The URL of a request" }
                textarea.whole-address id="url" name="url" rows="4" required autocomplete="off" spellcheck="false"
                    aria-describedby="url-hint" {}
                p.hint id="url-hint" {
                    "Are the parameters behind #, in the address of this page? A browser does not send them, so no server "
                    "sees them. Paste the whole address."
                }
            }
            button type="submit" { "Open" }
        }
    }
}

fn refused_page(aa: &str, number: u64, status: &Status, fault: &Markup, explanation: &Markup) -> Markup {
    html! {
        h1 { "The request is refused" }
        p.lead { "An AA's backend that calls " code { "DecodeRedirect" } " as " (view::value(aa)) " gets this error." }
        (view::refusal(status))
        (view::next_step(status, Leg::Request))
        (fault)
        (explanation)
        @if view::reason(status) == "URL_MALFORMED" { (paste_form(aa)) }
        p { a href=(format!("/journeys/{number}")) { "This journey" } }
    }
}

#[expect(clippy::expect_used, reason = "the service answers with the members")]
fn opened_page(number: u64, opened: &DecodeRedirectResponse, fault: &Markup, report: Option<&Report>) -> Markup {
    let redirect = opened.redirect.as_ref().expect("an opened request has members");
    html! {
        h1 { "AA desk of " (view::value(&opened.aa_id)) }
        p.lead { (view::value(&opened.fiu_id)) " sends the user " (view::value(&redirect.userid)) ". What does the user decide?" }
        (decision(number, opened))
        (fault)
        section {
            h2 { "What arrived" }
            (arrived(opened, report))
            (view::redirect_members(redirect))
        }
        @if let Some(report) = report { (view::deviations(&report.deviation_details)) }
        (other_decisions(number, opened, &redirect.srcref))
        p { a href=(format!("/journeys/{number}")) { "This journey, with the calls in your language" } }
    }
}

/// Who sent it, when and how, and whether it came before.
fn arrived(opened: &DecodeRedirectResponse, report: Option<&Report>) -> Markup {
    html! {
        @if opened.reopened {
            p.warn role="status" { strong { "Opened before. " } "The page was reloaded, or somebody has copied the URL. Act on a request once." }
        }
        @if let Some(report) = report { (view::envelope(report)) }
        dl {
            @if opened.requestor_type() == RequestorType::Unspecified { dt { "requestorType" } dd { "not sent" } }
            @if let Some(pairing) = report.and_then(|report| report.pairings.first()) {
                dt { "Scheme" } dd { (pairing.scheme) ", profile " (pairing.profile) }
            }
            dt { "Secret" } dd { (view::value(&opened.secret_id)) @if !opened.primary_secret { ", not the primary one" } }
            dt { "Authentication tag" } dd { @if opened.authenticated { "right" } @else { "none: the format authenticates nothing" } }
            dt { "Reload" } dd { @if opened.reopened { "yes" } @else { "no, opened for the first time" } }
        }
    }
}

/// A form that ends in one answer. The Enter key in a field sends only the form of that field.
fn form(number: u64, opened: &DecodeRedirectResponse, content: &Markup) -> Markup {
    html! {
        form method="post" action=(format!("/aa/{}/answer", view::segment(&opened.aa_id))) {
            input type="hidden" name="journey" value=(number);
            input type="hidden" name="message" value=(opened.replay_key);
            input type="hidden" name="form" value=(new_uuid());
            (content)
        }
    }
}

/// What most users decide.
fn decision(number: u64, opened: &DecodeRedirectResponse) -> Markup {
    let buttons = html! {
        div.buttons {
            button type="submit" name="decide" value="accept" { "Accept all" }
            button.second type="submit" name="decide" value="reject" { "Reject" }
        }
    };
    form(number, opened, &buttons)
}

/// All other answers to a request.
fn other_decisions(number: u64, opened: &DecodeRedirectResponse, srcref: &[String]) -> Markup {
    html! {
        h2 { "Other answers" }
        @if srcref.len() > 1 { (form(number, opened, &some(srcref))) }
        details open {
            summary { "Answer with an error code" }
            (form(number, opened, &codes()))
            (form(number, opened, &other_code()))
        }
        (form(number, opened, &faults::buttons(Leg::Callback, "decide")))
    }
}

fn some(srcref: &[String]) -> Markup {
    html! {
        fieldset {
            legend { "Accept some of the consent handles" }
            @for (at, handle) in srcref.iter().enumerate() {
                label.check for=(format!("handle-{at}")) {
                    input type="checkbox" id=(format!("handle-{at}")) name="handle" value=(at) checked[at == 0];
                    (view::value(handle))
                }
            }
            button.second type="submit" name="decide" value="accept-chosen" { "Accept the chosen ones" }
        }
    }
}

fn codes() -> Markup {
    let released = CODES.map(|code| (code, errorcode::text(code)));
    let proposed = PROPOSED.map(|(code, text)| (code, text.to_owned()));
    html! {
        ul.codes {
            @for (code, text) in released.chain(proposed) {
                li {
                    button.quiet type="submit" name="decide" value=(format!("error-{code}")) { (code) ". " (text) }
                }
            }
        }
    }
}

fn other_code() -> Markup {
    html! {
        div.field {
            label for="code" { "Another code" }
            input id="code" name="code" inputmode="numeric" autocomplete="off" aria-describedby="code-hint";
            p.hint id="code-hint" { "1 to 4294967295" }
        }
        button.second type="submit" name="decide" value="code" { "Answer with this code" }
    }
}
