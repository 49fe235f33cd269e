//! The frame of every page, and how values are shown. maud escapes every value.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use maud::{DOCTYPE, Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Site, desks::Failed, guard};

mod message;
mod parts;
mod refusal;
mod report;

pub(super) use message::{callback_members, deviation, deviations, redirect_members};
pub(super) use parts::parts;
pub(super) use refusal::{next_step, reason, refusal, violations};
pub(super) use report::{envelope, explanation, report};

/// The characters that are escaped in a segment of a path here. `@` needs no escape (RFC 3986, `pchar`).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');

/// An id as a segment of a path.
pub(super) fn segment(id: &str) -> String {
    utf8_percent_encode(id, SEGMENT).to_string()
}

/// Whether a reader cannot see `character`, or cannot see its effect on the text around it: what the standard library
/// escapes, and letters and marks without a shape. The two joiners that Indian scripts and emoji need stay, and so do the
/// selectors of emoji.
fn is_invisible(character: char) -> bool {
    if character.is_ascii() || matches!(character, '\u{200c}' | '\u{200d}') {
        return character.is_ascii_control();
    }
    if matches!(character, '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}' | '\u{3164}')
        || matches!(character, '\u{ffa0}' | '\u{e0100}'..='\u{e01ef}')
    {
        return true;
    }
    // Behind another character, combining marks are not escaped.
    ['a', character].iter().collect::<String>().escape_debug().count() > 2
}

/// `text` with invisible characters written as escapes, so that two texts that look the same are the same.
pub(super) fn visible(text: &str) -> String {
    escaped(text, &[], |character| character.escape_unicode().to_string())
}

/// `text` with an escape for each invisible character that is not in `kept`.
pub(super) fn escaped(text: &str, kept: &[char], escape: impl Fn(char) -> String) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_invisible(character) && !kept.contains(&character) {
            escaped.push_str(&escape(character));
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// A value that came from outside. It is isolated, so that its direction does not change the text around it.
pub(super) fn value(text: &str) -> Markup {
    html! { @if text.is_empty() { span.empty { "empty" } } @else { bdi.value { (visible(text)) } } }
}

/// Code that a reader copies. Its invisible characters must be escapes of its language.
pub(super) fn code(label: &str, text: &str) -> Markup {
    html! { pre tabindex="0" role="region" aria-label=(label) { code { (text) } } }
}

/// A URL that a reader copies, with invisible characters percent-encoded, which changes nothing in a browser.
pub(super) fn url(label: &str, url: &str) -> Markup {
    let escape =
        |character: char| utf8_percent_encode(character.encode_utf8(&mut [0; 4]), NON_ALPHANUMERIC).to_string();
    code(label, &escaped(url, &[], escape))
}

/// A whole page.
pub(super) fn page(site: &Site, status: StatusCode, title: &str, body: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · aa-redirect rehearsal" }
                link rel="stylesheet" href="/style.css";
                link rel="icon" href="/icon.svg" type="image/svg+xml";
                script src="/page.js" defer {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header {
                    a.brand href="/" { "aa-redirect " span { "rehearsal" } }
                    nav aria-label="Pages" {
                        a href="/" { "Desks" }
                        a href="/journeys" { "Journeys" }
                        a href="/inspect" { "Inspect" }
                    }
                }
                @if let Some(keyring) = &site.keyring {
                    p.banner role="note" {
                        strong { "Your own keyring: " } span.value { (visible(keyring)) }
                        ". These pages show the members of every message. Use them with test data."
                    }
                }
                main id="main" { (body) }
                footer {
                    p {
                        "A rehearsal on this machine. The service listens on " code { (site.grpc) }
                        @if site.keyring.is_none() { " with the sandbox keyring, whose secrets are public" } "."
                    }
                }
            }
        }
    };
    (status, Html(page.into_string())).into_response()
}

/// `response` of a page whose forms may end in a redirect to a backend.
pub(super) fn leaving(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(guard::LEAVING));
    response
}

/// `response` of a page that says why a desk cannot do something, with the reason for `--check`.
pub(super) fn failing(mut response: Response, failed: &Failed) -> Response {
    if let Some(why) = failed.impossible() {
        response.extensions_mut().insert(why);
    }
    response
}

/// Sends the browser to `url`, byte for byte.
pub(super) fn see_other(url: &str) -> Response {
    match HeaderValue::from_bytes(url.as_bytes()) {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
        Err(_) => (StatusCode::UNPROCESSABLE_ENTITY, "the URL has a control character\n").into_response(),
    }
}

/// Whether a browser follows a redirect to `url`: it hands other schemes to an app, if the user agrees.
pub(super) fn is_web(url: &str) -> bool {
    url.split_once(':').is_some_and(|(scheme, _)| ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_shown_and_letters_stay() {
        assert_eq!(visible("a\u{202e}b\n\u{7f}"), "a\\u{202e}b\\u{a}\\u{7f}");
        for hidden in [
            '\u{2029}',
            '\u{61c}',
            '\u{ad}',
            '\u{2060}',
            '\u{e0041}',
            '\u{a0}',
            '\u{200b}',
            '\u{feff}',
            '\u{3164}',
            '\u{34f}',
        ] {
            assert_eq!(visible(&hidden.to_string()), hidden.escape_unicode().to_string());
        }
        for text in ["सहमति", "e\u{301} \"quoted\" it's a\\b", "क्\u{200d}ष", "👩\u{200d}🌾", "<b>&amp;"]
        {
            assert_eq!(visible(text), text);
        }
    }

    #[test]
    fn an_id_is_one_segment_of_a_path() {
        assert_eq!(segment("fiu@sandbox"), "fiu@sandbox");
        assert_eq!(segment("a/b?c#d é"), "a%2Fb%3Fc%23d%20%C3%A9");
    }
}
