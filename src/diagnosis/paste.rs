//! Finds the URL or query string in a pasted text, and notes everything that it removes.

use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use crate::codec::url::PARAMETERS;

/// Every redirect has at least one of these names.
const NAMES: [&str; 4] = ["reqdate=", "resdate=", "ecreq=", "ecres="];
/// Invisible characters that chat programs and documents add.
const INVISIBLE: [char; 6] = ['\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{ad}'];

/// A pasted text, reduced to the message.
pub(super) struct Pasted {
    /// The URL or query string.
    pub(super) url: String,
    /// What was removed or undone, in words.
    pub(super) removed: Vec<&'static str>,
}

impl Pasted {
    /// Finds the message in `text`.
    pub(super) fn of(text: &str) -> Self {
        let mut pasted = Self { url: text.trim_ascii().to_owned(), removed: Vec::new() };
        pasted.change("invisible characters", |text| text.replace(INVISIBLE, ""));
        pasted.change("no-break spaces", |text| text.replace('\u{a0}', " ").trim().to_owned());
        pasted.change("JSON escapes such as \\u0026", json_unescaped);
        pasted.change("the fields around the parameters", |text| of_fields(text).unwrap_or_else(|| text.to_owned()));
        pasted.change("line ends", |text| text.lines().map(|line| line.trim().trim_end_matches(" \\")).collect());
        pasted.change("percent-encoding of the whole URL", |text| of_encoded(text).unwrap_or_else(|| text.to_owned()));
        pasted.change("text around the URL", |text| surrounded(text).to_owned());
        pasted.change("quotes, brackets or a full stop around it", |text| bare(text).to_owned());
        pasted
    }

    fn change(&mut self, name: &'static str, change: impl Fn(&str) -> String) {
        let changed = change(&self.url);
        if changed != self.url {
            self.url = changed;
            self.removed.push(name);
        }
    }
}

fn names_parameter(text: &str) -> bool {
    NAMES.iter().any(|name| text.contains(name))
}

/// The text in a URL that was percent-encoded as a whole, such as a parameter of another URL.
fn of_encoded(text: &str) -> Option<String> {
    let is_encoded = !names_parameter(text) && NAMES.iter().any(|name| text.contains(&name.replace('=', "%3D")));
    is_encoded.then(|| percent_decode_str(text).decode_utf8_lossy().into_owned())
}

/// The query string of parameters that stand in fields: `"fi": "…"` of JSON, `fi: …` of YAML, `fi=…, ` of Java.
fn of_fields(text: &str) -> Option<String> {
    let values = PARAMETERS.map(|name| Some((name, field(text, name)?)));
    let has = |wanted: &[&str]| values.iter().flatten().any(|(name, _)| wanted.contains(name));
    let is_message = has(&["fi"]) && has(&["reqdate", "resdate"]) && has(&["ecreq", "ecres"]);
    let mut query = form_urlencoded::Serializer::new(String::new());
    is_message.then(|| query.extend_pairs(values.iter().flatten()).finish())
}

/// The value of a field: what stands behind its name, a separator, and perhaps quotes.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut places = text
        .match_indices(name)
        .filter(|(at, _)| !text[..*at].ends_with(|before: char| before.is_alphanumeric() || "?&_%#".contains(before)));
    places.find_map(|(at, _)| {
        let behind = text[at + name.len()..].trim_start_matches(['"', '\'']).trim_start();
        // In a query string a parameter ends with &.
        let (value, is_field) = match behind.strip_prefix(':') {
            Some(value) => (value, true),
            None => (behind.strip_prefix('=')?, text.contains(", ")),
        };
        let value = value.trim_start().trim_start_matches(['"', '\'']);
        let value = value.split(['"', '\'', ',', ' ', '\n', '}', ']', ')']).next()?;
        (is_field && !value.is_empty() && !value.contains('&')).then_some(value)
    })
}

/// `text` without the escapes that JSON writers use to hide characters from HTML.
fn json_unescaped(text: &str) -> String {
    let pairs =
        [("\\u0026", "&"), ("\\u003d", "="), ("\\u003D", "="), ("\\u002b", "+"), ("\\u002B", "+"), ("\\/", "/")];
    pairs.into_iter().fold(text.to_owned(), |text, (escape, character)| text.replace(escape, character))
}

/// The part of `text` that is the URL: between the quotes of a command or a log line, or the word that has our
/// parameters.
fn surrounded(text: &str) -> &str {
    let has_message = |part: &&str| names_parameter(part);
    if text.matches(['"', '\'']).count() >= 2
        && let Some(quoted) = text.split(['"', '\'']).find(has_message)
    {
        return request_line(quoted);
    }
    request_line(text)
}

/// The target of `GET target HTTP/1.1`, or the word with our parameters behind other words; `text` itself if a blank
/// belongs to the message.
fn request_line(text: &str) -> &str {
    let text = text.trim();
    let starts = |word: &str| word.contains("://") || word.starts_with(['?', '/']) || word.contains("fi=");
    let first = text.split(' ').next().unwrap_or(text);
    if starts(first) && !text.contains(" HTTP/") {
        return text;
    }
    let of_message = text.split(' ').filter(|word| starts(word));
    of_message.into_iter().find(|word| names_parameter(word)).unwrap_or(text)
}

fn bare(text: &str) -> &str {
    let around = |c: char| c.is_whitespace() || "\"'`<>“”‘’()[]".contains(c);
    text.trim_start_matches(around).trim_end_matches(|c: char| around(c) || ".,;".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://aa.example/w?fi=VA%3D%3D&reqdate=211120261040756&ecreq=ABCD%3D&iv=x";

    #[test]
    fn the_url_is_found_in_texts_that_people_paste() {
        let path = URL.strip_prefix("https://aa.example").expect("its host");
        for pasted in [
            URL.to_owned(),
            format!("  {URL}\n"),
            format!("\"{URL}\""),
            format!("<{URL}>."),
            format!("“{URL}”"),
            URL.replace('&', "\\u0026"),
            format!("{{\"url\": \"{}\", \"query\": \"\"}}", URL.replace('&', "\\u0026").replace('/', "\\/")),
            format!("curl -v '{URL}' -H 'accept: */*'"),
            format!("curl \"{URL}\""),
            format!("open {URL} now"),
            format!("{}\u{200b}{}", &URL[..30], &URL[30..]),
            format!("{}\n    {}", &URL[..40], &URL[40..]),
            format!("{}\r\n{}", &URL[..40], &URL[40..]),
        ] {
            assert_eq!(Pasted::of(&pasted).url, URL, "{pasted}");
        }
        for pasted in [
            format!("GET {path} HTTP/1.1"),
            format!("10.0.0.1 - - [21/Nov/2026:10:40:23 +0000] \"GET {path} HTTP/1.1\" 200 512 \"-\" \"Mozilla/5.0\""),
        ] {
            assert_eq!(Pasted::of(&pasted).url, path, "{pasted}");
        }
    }

    #[test]
    fn a_message_is_found_in_fields_and_in_an_encoded_url() {
        let query = "fi=VA%3D%3D&reqdate=211120261040756&ecreq=AB-D%3D&iv=x%2By%3D";
        for pasted in [
            r#"{"fi":"VA==","reqdate":"211120261040756","ecreq":"AB-D=","iv":"x+y="}"#,
            "{\n  \"params\": {\n    \"fi\": \"VA==\",\n    \"reqdate\": \"211120261040756\",\n    \"ecreq\": \"AB-D=\",\n    \"iv\": \"x+y=\"\n  }\n}",
            "fi: VA==\nreqdate: 211120261040756\necreq: AB-D=\niv: x+y=\n",
            "RedirectParams[fi=VA==, reqdate=211120261040756, ecreq=AB-D=, iv=x+y=]",
            "RedirectParams(fi='VA==', reqdate='211120261040756', ecreq='AB-D=', iv='x+y=')",
        ] {
            assert_eq!(Pasted::of(pasted).url, query, "{pasted}");
        }
        let encoded =
            "https%3A%2F%2Faa.example%2Fw%3Ffi%3DVA%253D%253D%26reqdate%3D211120261040756%26ecreq%3DABCD%253D%26iv%3Dx";
        assert_eq!(Pasted::of(encoded).url, URL);
        assert_eq!(
            Pasted::of(&format!("https://login.example/?next={encoded}")).url,
            format!("https://login.example/?next={URL}")
        );
    }

    #[test]
    fn text_that_belongs_to_the_message_stays() {
        for kept in [URL, "fi=a b&reqdate=1&ecreq=c d", "?fi=a&resdate=1&ecres=x+y", "https://x.example/", ""] {
            let pasted = Pasted::of(kept);
            assert_eq!((&*pasted.url, &*pasted.removed), (kept, [].as_slice()));
        }
    }

    #[test]
    fn the_removed_parts_are_reported() {
        assert_eq!(Pasted::of(&format!("\u{feff}{URL}\u{a0}")).removed, ["invisible characters", "no-break spaces"]);
    }
}
