//! The desk of an FIU: a form for the members of a request.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use maud::{Markup, html};

use crate::{
    codec::{form::LANGUAGES, url::Leg},
    keyring::Pairing,
    rehearsal::{
        Rehearsal,
        desks::Failed,
        fault::Fault,
        form::{Fields, Filled},
        journeys::Journey,
        view,
    },
};

use super::{App, faults, problem, sent, unknown};

/// The names of fields in errors of the service, and in the form.
const NAMES: [(&str, &str); 14] = [
    ("fiu_id", "aa"),
    ("aa_id", "aa"),
    ("redirect.txnid", "txnid"),
    ("redirect.sessionid", "sessionid"),
    ("redirect.userid", "userid"),
    ("redirect.redirect", "redirect"),
    ("redirect.srcref", "srcref"),
    ("redirect.fipid", "fipid"),
    ("redirect.email", "email"),
    ("redirect.pan", "pan"),
    ("redirect.dob", "dob"),
    ("redirect.iso_language_code", "isoLanguageCode"),
    ("redirect.extra", "extra"),
    ("requestor_type", "requestorType"),
];

pub(super) async fn show(State(app): App, Path(fiu): Path<String>) -> Response {
    let Some(filled) = fresh(&app, &fiu) else { return unknown(&app, "FIU") };
    desk(&app, &fiu, &filled)
}

/// The form with the members of the request of another journey.
pub(super) async fn like(State(app): App, Path((fiu, journey)): Path<(String, u64)>) -> Response {
    let Some(filled) = fresh(&app, &fiu) else { return unknown(&app, "FIU") };
    let other = app.desks.calls.journeys.get(journey).filter(|journey| journey.fiu == fiu);
    match other.as_ref().and_then(Journey::sealed) {
        Some((request, _)) => desk(&app, &fiu, &filled.like(request)),
        None => sent::forgotten(&app),
    }
}

fn desk(app: &Rehearsal, fiu: &str, filled: &Filled) -> Response {
    let body = page(app, fiu, filled, None);
    view::leaving(view::page(&app.site, StatusCode::OK, &format!("FIU desk of {fiu}"), &body))
}

/// Seals the request of the form, and shows it or sends the browser to the AA.
pub(super) async fn send(State(app): App, Path(fiu): Path<String>, fields: Fields) -> Response {
    let Some(filled) = fresh(&app, &fiu) else { return unknown(&app, "FIU") };
    let mut filled = filled.sent(&fields);
    let known: Vec<&str> = filled.names().chain(["fault", "then"]).collect();
    if let Some(unknown) = fields.names().find(|name| !known.contains(name)) {
        let text = format!(
            "The form has no field {}. It has: {}. Its body is application/x-www-form-urlencoded.",
            view::visible(unknown),
            known.join(", ")
        );
        return problem(&app, StatusCode::UNPROCESSABLE_ENTITY, "No such field", &text);
    }
    if !["", "go"].contains(&fields.text("then")) {
        return no_such_value(&app, "then", fields.text("then"), ["go".to_owned()].into_iter());
    }
    let is_list = |name: &str| ["srcref", "fipid", "extra"].contains(&name);
    if let Some(name) = known.iter().find(|name| !is_list(name) && fields.all(name).count() > 1) {
        let text = format!("The field {name} comes twice, and has one value.");
        return problem(&app, StatusCode::UNPROCESSABLE_ENTITY, "A field comes twice", &text);
    }
    let fault = match fields.get("fault").map(|name| (name, Fault::named(name, Leg::Request))) {
        Some((name, None)) => return no_such_value(&app, "fault", name, Fault::of(Leg::Request).map(Fault::name)),
        Some((_, fault)) => fault,
        None => None,
    };
    if !["", "FIU", "LSP"].contains(&&*filled.requestor) {
        let known = ["FIU", "LSP"].map(str::to_owned).into_iter();
        return no_such_value(&app, "requestorType", &filled.requestor, known);
    }
    if let Some(name) = filled.repeated_extra() {
        let text = format!("The extra member {} comes twice: a call names each member once.", view::visible(name));
        return problem(&app, StatusCode::UNPROCESSABLE_ENTITY, "A member comes twice", &text);
    }
    let sent = app.desks.send(filled.request(&fiu), fault, |aa| app.site.desk(aa)).await;
    match sent {
        Ok(number) => {
            let gone = if fields.text("then") == "go" { sent::target(&app, number) } else { None };
            view::see_other(&gone.unwrap_or_else(|| format!("/fiu/{}/sent/{number}", view::segment(&fiu))))
        }
        Err((_, failed)) => {
            let body = page(&app, &fiu, &filled, Some(&failed));
            let title = format!("Error: FIU desk of {fiu}");
            let page = view::page(&app.site, StatusCode::UNPROCESSABLE_ENTITY, &title, &body);
            view::failing(view::leaving(page), &failed)
        }
    }
}

/// The page for a script that names a value which this form does not have.
fn no_such_value(app: &Rehearsal, field: &str, value: &str, known: impl Iterator<Item = String>) -> Response {
    let known = known.collect::<Vec<_>>().join(", ");
    let text = format!("The field {field} has no value {}. It has: {known}.", view::visible(value));
    problem(app, StatusCode::UNPROCESSABLE_ENTITY, "No such value", &text)
}

/// A form with sensible values; `None` for an FIU that the keyring does not have.
fn fresh(app: &Rehearsal, fiu: &str) -> Option<Filled> {
    let keyring = app.desks.keyring.current();
    let mut own = keyring.pairings().filter(|pairing| pairing.fiu == fiu);
    // The user id of the form has a handle, so that it picks the AA.
    let first = own.next()?;
    let pairing =
        if first.handles.is_empty() { own.find(|pairing| !pairing.handles.is_empty()).unwrap_or(first) } else { first };
    Some(Filled::new(pairing, &format!("{}/fiu/{}/callback", app.site.pages, view::segment(fiu))))
}

fn page(app: &Rehearsal, fiu: &str, filled: &Filled, failed: Option<&Failed>) -> Markup {
    let keyring = app.desks.keyring.current();
    let pairings: Vec<&Pairing> =
        keyring.pairings().filter(|pairing| pairing.fiu == fiu).map(|pairing| &**pairing).collect();
    let wrong = match failed {
        Some(Failed::Refused(status)) => view::violations(status),
        _ => Vec::new(),
    };
    html! {
        h1 { "FIU desk of " (view::value(fiu)) }
        p.lead { "Write a request for a user, and send the browser to an Account Aggregator with it." }
        @if let Some(failed) = failed { (problems(failed, &wrong)) }
        form method="post" action=(format!("/fiu/{}", view::segment(fiu))) {
            (members(filled, &pairings, &wrong))
            div.buttons {
                button type="submit" { "Seal and show the URL" }
                button.second type="submit" name="then" value="go" { "Seal and go at once" }
            }
            p.hint { "At once: the browser goes to " @match &app.site.aa_url { Some(own) => (view::value(own)), None => "the AA desk" } "." }
            (faults::buttons(Leg::Request, "fault"))
        }
    }
}

/// What the service refuses, with a link to each wrong field.
fn problems(failed: &Failed, wrong: &[(String, String)]) -> Markup {
    html! {
        @match failed {
            Failed::Refused(status) => {
                div role="alert" {
                    (view::refusal(status))
                    ul { @for (field, text) in wrong { li { (named(field)) " " (text) } } }
                }
            }
            other => { p.refused role="alert" { (other) "." } }
        }
    }
}

/// The path of a field of the call, with a link to the field of the form if it has one.
fn named(field: &str) -> Markup {
    html! {
        @match name_of(field) {
            Some(name) => { a href=(format!("#{name}")) { (field) } }
            None => { (field) }
        }
    }
}

fn name_of(field: &str) -> Option<&'static str> {
    NAMES.iter().find(|(path, _)| *path == field).map(|(_, name)| *name)
}

/// The content of a field.
struct Field<'a> {
    name: &'static str,
    value: &'a str,
    hint: &'static str,
    rows: usize,
}

fn members(filled: &Filled, pairings: &[&Pairing], wrong: &[(String, String)]) -> Markup {
    let field = |name, value, rows, hint| input(&Field { name, value, hint, rows }, wrong);
    let languages: Vec<(&str, String)> = LANGUAGES.iter().map(|&language| (language, language.to_owned())).collect();
    let aas: Vec<(&str, String)> = pairings.iter().map(|pairing| (&*pairing.aa, described(pairing))).collect();
    html! {
        fieldset {
            legend { "Who" }
            (select("aa", "By the handle of the user id", &filled.aa, &aas))
            (field("userid", &filled.userid, 0, "Name or mobile number, @ and the AA's handle. accept@, reject@, error-6@ and others decide by themselves."))
            (field("txnid", &filled.txnid, 0, "A UUID. Empty: the service makes one."))
            (field("sessionid", &filled.sessionid, 0, "State of the FIU. It comes back byte for byte, and may be empty."))
        }
        fieldset {
            legend { "What" }
            (field("redirect", &filled.redirect, 0, "The URL to come back to. Its parameter visit stands for your user's session: this desk finds its record with it."))
            (field("srcref", &filled.srcref, 3, "Consent handles, one on each line."))
        }
        fieldset {
            legend { "Optional members" }
            (field("fipid", &filled.fipid, 2, "FIP ids, one on each line."))
            (field("email", &filled.email, 0, ""))
            (field("pan", &filled.pan, 0, "Five upper-case letters, four digits, an upper-case letter."))
            (field("dob", &filled.dob, 0, "YYYY-MM-DD"))
            (select("isoLanguageCode", "none", &filled.language, &languages))
            (select("requestorType", "none", &filled.requestor, &[("FIU", "FIU".to_owned()), ("LSP", "LSP".to_owned())]))
            (field("extra", &filled.extra, 2, "Members that the guideline does not have: name=value, one on each line."))
        }
    }
}

fn described(pairing: &Pairing) -> String {
    let handles: Vec<String> = pairing.handles.iter().map(|handle| format!("@{handle}")).collect();
    format!("{} · profile {} {}", pairing.aa, pairing.conventions.profile.name, handles.join(" "))
}

/// A field. A browser that goes back fills in what was typed: with autocomplete="off" it does so only for lists.
fn input(field: &Field<'_>, wrong: &[(String, String)]) -> Markup {
    let Field { name, value, hint, rows } = *field;
    let wrong = wrong.iter().find(|(path, _)| name_of(path) == Some(name)).map(|(_, text)| text);
    let about = (wrong.is_some() || !hint.is_empty()).then(|| format!("{name}-hint"));
    html! {
        div.field {
            label for=(name) { (name) }
            @if rows == 0 {
                input id=(name) name=(name) value=(value) spellcheck="false"
                    aria-describedby=[about.as_ref()] aria-invalid=[wrong.map(|_| "true")];
            } @else {
                textarea id=(name) name=(name) rows=(rows) spellcheck="false"
                    aria-describedby=[about.as_ref()] aria-invalid=[wrong.map(|_| "true")] { "\n" (value) }
            }
            @if let Some(about) = &about {
                p.hint id=(about) {
                    @if let Some(text) = wrong { strong.wrong { (text) ". " } }
                    (hint)
                }
            }
        }
    }
}

fn select(name: &str, none: &str, chosen: &str, choices: &[(&str, String)]) -> Markup {
    html! {
        div.field {
            label for=(name) { (if name == "aa" { "Account Aggregator" } else { name }) }
            select id=(name) name=(name) {
                option value="" selected[chosen.is_empty()] { (none) }
                @for (value, text) in choices { option value=(value) selected[chosen == *value] { (text) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_field_leads_to_its_place_in_the_form_if_it_has_one() {
        assert_eq!(
            named("redirect.iso_language_code").0,
            r##"<a href="#isoLanguageCode">redirect.iso_language_code</a>"##
        );
        assert_eq!(named("issue_time").0, "issue_time");
    }
}
