//! Shows everything about a pasted message. Nothing of it is stored or logged.

use axum::{extract::State, http::StatusCode, response::Response};
use maud::{Markup, html};

use crate::rehearsal::{explanations::Question, form::Fields, view};

use super::App;

pub(super) async fn show(State(app): App) -> Response {
    view::page(&app.site, StatusCode::OK, "Inspect", &page("", &html! {}))
}

pub(super) async fn look(State(app): App, fields: Fields) -> Response {
    let text = fields.text("text");
    if text.trim().is_empty() {
        let nothing = html! { p.refused role="alert" { "Paste a URL or a query string." } };
        return view::page(&app.site, StatusCode::UNPROCESSABLE_ENTITY, "Inspect", &page("", &nothing));
    }
    let question = Question { text: text.to_owned(), fiu: None, aa: None };
    match app.explanations.of_pasted(question).await {
        Ok(report) => view::page(&app.site, StatusCode::OK, "Inspect", &page(text, &view::report(&report, true))),
        unexplained => {
            let why = page(text, &view::explanation(&unexplained, text));
            view::page(&app.site, StatusCode::SERVICE_UNAVAILABLE, "Inspect", &why)
        }
    }
}

fn page(text: &str, found: &Markup) -> Markup {
    html! {
        h1 { "Inspect a message" }
        p.lead {
            "Paste a request or callback in any form: a URL, a query string, a line of a log, a curl command. It is opened with "
            "the keyring of this rehearsal, here on this machine. Nothing is stored or logged, and no message counts as opened."
        }
        form method="post" action="/inspect" {
            div.field {
                label for="text" { "The message" }
                textarea id="text" name="text" rows="6" required autocomplete="off" spellcheck="false" { "\n" (text) }
            }
            button type="submit" { "Inspect" }
        }
        (found)
    }
}
