//! The pages: a file for each, and the paths that lead to them.

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, Uri, header},
    middleware,
    response::Response,
    routing::{MethodRouter, get, post},
};
use maud::html;

use super::{Rehearsal, guard::guard, view};

mod aa;
mod callback;
mod faults;
mod fiu;
mod home;
mod inspect;
mod journey;
mod journeys;
mod sent;

/// The most bytes of a form: a request of 64 KiB, with an escape for each byte, and room for names.
const MAX_FORM: usize = 256 * 1024;

type App = State<Arc<Rehearsal>>;

/// The pages of a rehearsal.
pub(super) fn router(rehearsal: Arc<Rehearsal>) -> Router {
    Router::new()
        .route("/", get(home::show))
        .route("/fiu/{fiu}", get(fiu::show).post(fiu::send))
        .route("/fiu/{fiu}/sent/{journey}", get(sent::show))
        .route("/fiu/{fiu}/callback", get(callback::arrive).post(callback::pasted))
        .route("/aa/{aa}", get(aa::lobby))
        .route("/aa/{aa}/webview", get(aa::arrive).post(aa::pasted))
        .route("/aa/{aa}/answer", post(aa::answer))
        .route("/inspect", get(inspect::show).post(inspect::look))
        .route("/journeys", get(journeys::show))
        .route("/journeys/{journey}", get(journey::show))
        .route("/style.css", asset("text/css; charset=utf-8", include_str!("assets/style.css")))
        .route("/page.js", asset("text/javascript; charset=utf-8", include_str!("assets/page.js")))
        .route("/icon.svg", asset("image/svg+xml", include_str!("assets/icon.svg")))
        .fallback(nothing)
        .method_not_allowed_fallback(not_allowed)
        .with_state(rehearsal)
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .layer(middleware::from_fn(guard))
}

/// A file that is part of the program.
fn asset(kind: &'static str, text: &'static str) -> MethodRouter<Arc<Rehearsal>> {
    get(async move || ([(header::CONTENT_TYPE, kind)], text))
}

async fn nothing(State(app): App) -> Response {
    problem(&app, StatusCode::NOT_FOUND, "No such page", "Nothing is at this address.")
}

async fn not_allowed(State(app): App) -> Response {
    let text = "A page is read with GET, and a form is sent with POST.";
    problem(&app, StatusCode::METHOD_NOT_ALLOWED, "No such method", text)
}

/// A page that only says what is wrong.
fn problem(app: &Rehearsal, status: StatusCode, title: &str, text: &str) -> Response {
    let body = html! {
        h1 { (title) }
        p { (text) }
        p { a href="/" { "To the desks" } }
    };
    view::page(&app.site, status, title, &body)
}

/// The page for a party that the keyring does not have.
fn unknown(app: &Rehearsal, kind: &str) -> Response {
    let text = format!("The keyring has no {kind} with this id.");
    problem(app, StatusCode::NOT_FOUND, &format!("No such {kind}"), &text)
}

/// The whole URL that a browser asked for.
fn whole(app: &Rehearsal, uri: &Uri) -> String {
    format!("{}{}", app.site.pages, uri.path_and_query().map_or("/", |part| part.as_str()))
}
