//! Finds the URL or query string in a pasted text, and notes everything that it removes.

use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use crate::codec::{
    Envelope,
    url::{PARAMETERS, leg_of},
};

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
        pasted.change("the escapes of a Windows command", |text| {
            if text.contains("^&") || text.contains("^%") { text.replace('^', "") } else { text.to_owned() }
        });
        pasted.change("the encoding of a mail", |text| of_mail(text).unwrap_or_else(|| text.to_owned()));
        pasted.change("the fields around the parameters", |text| of_fields(text).unwrap_or_else(|| text.to_owned()));
        pasted.change("percent-encoding of the whole URL", |text| of_encoded(text).unwrap_or_else(|| text.to_owned()));
        let (whole, messages) = (bare(surrounded(&joined(&pasted.url))).to_owned(), messages(&pasted.url));
        let is_message = reads(&whole);
        // The first line of a broken URL may be a message too.
        if messages.len() > 1 && (!is_message || messages.contains(&whole)) {
            pasted.removed.push("another message (paste it by itself)");
        }
        if !is_message && let Some(first) = messages.first() {
            pasted.change("text around the URL", |_| first.clone());
        }
        pasted.change("line ends", joined);
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

/// Whether `text` is a message as it stands, readable without a key.
fn reads(text: &str) -> bool {
    leg_of(text).is_some_and(|leg| Envelope::from_url(text, leg).is_ok())
}

/// Whether `text` is one value of Base64, of at least a block.
pub(super) fn is_base64(text: &str) -> bool {
    text.len() >= 22 && text.chars().all(|c| c.is_ascii_alphanumeric() || "+/-_=%".contains(c))
}

/// The lines of `text` as one.
fn joined(text: &str) -> String {
    text.lines().map(|line| line.trim().trim_end_matches(" \\")).collect()
}

/// The words and the parts between quotes that are messages, each once.
fn messages(text: &str) -> Vec<String> {
    let parts = text.split(char::is_whitespace).chain(text.split(['"', '\'']));
    let mut messages: Vec<String> = Vec::new();
    for part in parts.map(bare).filter(|part| reads(part)) {
        if !messages.iter().any(|known| known == part) {
            messages.push(part.to_owned());
        }
    }
    messages
}

/// A text with the escapes of quoted-printable (RFC 2045), as the source of a mail has them.
fn of_mail(text: &str) -> Option<String> {
    let is_mail = text.contains("reqdate=3D") || text.contains("resdate=3D");
    is_mail.then(|| text.replace("=\r\n", "").replace("=\n", "").replace("=3D", "="))
}

/// The text in a URL that was percent-encoded as a whole, such as a parameter of another URL; also if this happened
/// twice.
fn of_encoded(text: &str) -> Option<String> {
    let names = |text: &str| NAMES.iter().any(|name| text.contains(&name.replace('=', "%3D")));
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    if names_parameter(text) {
        return None;
    }
    if names(text) {
        return Some(decoded(text));
    }
    Some(decoded(text)).filter(|once| names(once)).map(|once| decoded(&once))
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
    let lower = text.to_ascii_lowercase();
    let mut places = lower
        .match_indices(name)
        .filter(|(at, _)| !text[..*at].ends_with(|before: char| before.is_alphanumeric() || "?&_%#".contains(before)));
    places.find_map(|(at, _)| {
        let rest = &text[at + name.len()..];
        let behind = rest.trim_start_matches(['"', '\'', ']']).trim_start();
        let (value, is_field) = if let Some(value) = behind.strip_prefix("=>").or(behind.strip_prefix(':')) {
            (value, true)
        } else if let Some(value) = behind.strip_prefix('=') {
            // In a query string a parameter ends with &.
            (value, text.contains(", ") || !text.contains('&'))
        } else {
            // A table has the value in the next column or line.
            let begins_line = at == 0 || text[..at].ends_with(['\n', '\r']);
            (rest, begins_line && rest.starts_with(['\t', '\r', '\n']))
        };
        let value = value.trim_start();
        // PHP's `var_dump` says the length first.
        let value = value.strip_prefix("string(").and_then(|value| value.split_once(") ")).map_or(value, |(_, v)| v);
        let value = value.trim_start_matches(['"', '\'', '[']);
        let value = value.split(|end: char| end.is_whitespace() || "\"',;}])".contains(end)).next()?;
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
    let around = |c: char| c.is_whitespace() || "\"'`<>“”‘’()[]\\".contains(c);
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
            "RedirectParams { Fi = VA==, Reqdate = 211120261040756, Ecreq = AB-D=, Iv = x+y= }",
            "&{Fi:VA== Reqdate:211120261040756 Ecreq:AB-D= Iv:x+y= RequestorType:}",
            "map[ecreq:[AB-D=] fi:[VA==] iv:[x+y=] reqdate:[211120261040756]]",
            "<QueryDict: {'fi': ['VA=='], 'reqdate': ['211120261040756'], 'ecreq': ['AB-D='], 'iv': ['x+y=']}>",
            "Array\n(\n    [fi] => VA==\n    [reqdate] => 211120261040756\n    [ecreq] => AB-D=\n    [iv] => x+y=\n)\n",
            "array(4) {\n  [\"fi\"]=>\n  string(4) \"VA==\"\n  [\"reqdate\"]=>\n  string(15) \"211120261040756\"\n  [\"ecreq\"]=>\n  string(5) \"AB-D=\"\n  [\"iv\"]=>\n  string(4) \"x+y=\"\n}",
            "fi=VA==\nreqdate=211120261040756\necreq=AB-D=\niv=x+y=\n",
            "fi\tVA==\r\nreqdate\t211120261040756\r\necreq\tAB-D=\r\niv\tx+y=\r\n",
            "fi\nVA==\nreqdate\n211120261040756\necreq\nAB-D=\niv\nx+y=\n",
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

    /// A URL that reads without a key.
    const WHOLE: &str = "https://aa.example/w?fi=VA%3D%3D&reqdate=211120261040756\
                         &ecreq=AAAAAAAAAAAAAAAAAAAAAA%3D%3D&iv=AAAAAAAAAAAAAAAAAAAAAA%3D%3D";

    #[test]
    fn the_message_is_found_between_the_words_of_logs_and_mails() {
        let windows = WHOLE.replace('%', "^%^").replace('&', "^&");
        let mail = WHOLE.replace('=', "=3D");
        for pasted in [
            WHOLE.to_owned(),
            format!("{WHOLE} 302 in 12 ms"),
            format!("{WHOLE} (302)"),
            format!("10:40 INFO to {WHOLE}\n10:41 INFO done\n"),
            format!("{WHOLE}\r\n10:41 INFO done"),
            format!("HTTP/1.1 302 Found\r\nLocation: {WHOLE}\r\nContent-Length: 0\r\n"),
            format!("{{\"message\": \"{{\\\"url\\\":\\\"{WHOLE}\\\"}}\"}}"),
            format!("curl.exe --location ^\n  \"{windows}\" ^\n  -H \"accept: */*\""),
            format!("{}=\r\n{}", &mail[..60], &mail[60..]),
            format!("{}\n{}", &WHOLE[..100], &WHOLE[100..]),
            format!("{}\n{}", &WHOLE[..WHOLE.len() - 31], &WHOLE[WHOLE.len() - 31..]),
        ] {
            assert_eq!(Pasted::of(&pasted).url, WHOLE, "{pasted}");
        }
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
        let other = WHOLE.replace("VA", "VQ");
        for both in [format!("{WHOLE}\n{other}"), format!("from '{WHOLE}' to '{other}'")] {
            let pasted = Pasted::of(&both);
            assert_eq!(pasted.url, WHOLE);
            assert_eq!(pasted.removed, ["another message (paste it by itself)", "text around the URL"], "{both}");
        }
        assert_eq!(Pasted::of(&format!("'{WHOLE}' or \"{WHOLE}\"")).removed, ["text around the URL"]);
    }
}
