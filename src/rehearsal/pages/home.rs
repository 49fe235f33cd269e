//! The first page: the desks of every pairing, and the user ids that decide by themselves.

use std::collections::BTreeSet;

use axum::{extract::State, http::StatusCode, response::Response};
use maud::{Markup, html};

use crate::{
    keyring::Pairing,
    rehearsal::{Rehearsal, decision, view},
};

use super::App;

pub(super) async fn show(State(app): App) -> Response {
    let keyring = app.desks.keyring.current();
    let fius: BTreeSet<&str> = keyring.pairings().map(|pairing| &*pairing.fiu).collect();
    let aas: BTreeSet<&str> = keyring.pairings().map(|pairing| &*pairing.aa).collect();
    let webview = |aa: &str| app.site.desk(aa);
    let all_here =
        keyring.pairings().all(|pairing| pairing.webview.as_ref().is_none_or(|url| *url == webview(&pairing.aa)));
    let handle = keyring.pairings().find_map(|pairing| pairing.handles.first()).map_or("alpha", |handle| handle);
    let body = html! {
        h1 { "Rehearse a redirect" }
        p.lead {
            "An FIU sends the user's browser to an Account Aggregator with an encrypted request, and the AA sends it back with "
            "an encrypted answer. Here are both sides, beside the real service. Use the side that you do not build."
        }
        div.cards {
            section.card {
                h2 { "You build an FIU" }
                p {
                    "Let your backend call " code { "EncodeRedirect" } " at " code { (app.site.grpc) }
                    @if all_here {
                        ", and send the browser to the URL of the answer: it leads to an AA desk here. "
                    } @else {
                        ". The web views of this keyring lead elsewhere, so send the browser to " code { (webview("AA-ID")) }
                        " with the " code { "query" } " of the answer. "
                    }
                    "Decide there what the user does, or what goes wrong, and see how your backend handles the callback."
                }
                p { "No backend yet? Use the desk of an FIU:" }
                ul.links { @for fiu in &fius { li { a href=(path("fiu", fiu)) { (view::value(fiu)) } } } }
            }
            section.card {
                h2 { "You build an AA" }
                p {
                    "Send a request from the desk of an FIU to your web view. "
                    @match &app.site.aa_url {
                        Some(url) => { "It is " (view::value(url)) "." }
                        None => { "Name it when you start: " code { "--aa-url http://127.0.0.1:8081/webview" } "." }
                    }
                    " The browser comes back to the FIU desk with your answer."
                }
                p { "Paste a request that arrived, or look at what an AA sees:" }
                ul.links { @for aa in &aas { li { a href=(path("aa", aa)) { (view::value(aa)) } } } }
            }
        }
        (pairings(&app, keyring.pairings().map(|pairing| &**pairing)))
        (deciding(handle))
    };
    view::page(&app.site, StatusCode::OK, "Rehearse a redirect", &body)
}

fn path(kind: &str, id: &str) -> String {
    format!("/{kind}/{}", view::segment(id))
}

fn pairings<'a>(app: &Rehearsal, pairings: impl Iterator<Item = &'a Pairing>) -> Markup {
    html! {
        section {
            h2 { "Pairings" }
            div.wide tabindex="0" role="region" aria-label="Pairings" {
                table {
                    thead {
                        tr {
                            th scope="col" { "FIU" } th scope="col" { "AA" } th scope="col" { "Profile" }
                            th scope="col" { "Handles" } th scope="col" { "Web view" }
                        }
                    }
                    tbody {
                        @for pairing in pairings {
                            tr {
                                td data-label="FIU" { a href=(path("fiu", &pairing.fiu)) { (view::value(&pairing.fiu)) } }
                                td data-label="AA" { a href=(path("aa", &pairing.aa)) { (view::value(&pairing.aa)) } }
                                td data-label="Profile" { (pairing.conventions.profile.name) }
                                td data-label="Handles" { @for handle in &pairing.handles { "@" (view::value(handle)) " " } }
                                td data-label="Web view" {
                                    @match &pairing.webview {
                                        Some(url) if *url == app.site.desk(&pairing.aa) => { "the AA desk here" }
                                        Some(url) => { (view::value(url)) }
                                        None => { "none: EncodeRedirect gives the query only" }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The user ids that decide by themselves.
fn deciding(handle: &str) -> Markup {
    html! {
        section id="users" {
            h2 { "User ids that decide by themselves" }
            p {
                "For automatic tests: with " code { "accept@" (view::visible(handle)) } " as the user id the AA desk answers at once with a "
                "redirect. Follow it with " code { "curl -L" } " or any HTTP client."
            }
            details {
                summary { "All names" }
                dl { @for (name, text) in decision::names() { dt { code { (name) "@" } } dd { (text) } } }
            }
        }
    }
}
