//! The pages: a file for each, and the paths that lead to them.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest, Request, State},
    http::{StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use maud::html;

use super::{Rehearsal, form::Fields, guard::guard, view};

mod aa;
mod callback;
mod compare;
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

impl FromRequest<Arc<Rehearsal>> for Fields {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<Rehearsal>) -> Result<Self, Response> {
        let body = Bytes::from_request(request, app).await.map_err(IntoResponse::into_response)?;
        Self::of(&body).map_err(|name| {
            let text = format!("The field {} of the form is not UTF-8.", view::visible(&name));
            problem(app, StatusCode::UNPROCESSABLE_ENTITY, "Not UTF-8", &text)
        })
    }
}

/// The pages of a rehearsal.
pub(super) fn router(rehearsal: Arc<Rehearsal>) -> Router {
    Router::new()
        .route("/", get(home::show))
        .route("/fiu/{fiu}", get(fiu::show).post(fiu::send))
        .route("/fiu/{fiu}/like/{journey}", get(fiu::like))
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
        .layer(middleware::from_fn_with_state(Arc::clone(&rehearsal), dress))
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

/// Gives a page to each error that arises before a page is asked.
async fn dress(State(app): App, request: Request, next: Next) -> Response {
    let answer = next.run(request).await;
    let (title, text) = match answer.status() {
        StatusCode::METHOD_NOT_ALLOWED => {
            ("No such method", "This address is only for a form of another page, or only to be read.")
        }
        StatusCode::PAYLOAD_TOO_LARGE => (
            "Too much text",
            "A form here takes 256 KiB, which is more than any message needs. Of a large file, paste the entry or the URL.",
        ),
        StatusCode::BAD_REQUEST => ("No such page", "The address or the form cannot be read."),
        _ => return answer,
    };
    let mut page = problem(&app, answer.status(), title, text);
    if let Some(allowed) = answer.headers().get(header::ALLOW) {
        page.headers_mut().insert(header::ALLOW, allowed.clone());
    }
    page
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
    let text = format!("The keyring has no {kind} with this id. The first page lists all that it has.");
    problem(app, StatusCode::NOT_FOUND, &format!("No such {kind}"), &text)
}

/// The whole URL that a browser asked for.
fn whole(app: &Rehearsal, uri: &Uri) -> String {
    format!("{}{}", app.site.pages, uri.path_and_query().map_or("/", |part| part.as_str()))
}
