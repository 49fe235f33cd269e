//! Finds the message in a pasted text, and notes everything that it removes.

use percent_encoding::percent_decode_str;

use crate::codec::{Envelope, url::leg_of};

use super::material::any_base64;

mod encodings;
mod fields;

/// Every redirect has at least one of these names.
const NAMES: [&str; 4] = ["reqdate=", "resdate=", "ecreq=", "ecres="];
/// Invisible characters that chat programs and documents add. A text in UTF-16 that is read as ASCII has zeros.
const INVISIBLE: [char; 7] = ['\0', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{ad}'];
/// A URL that is broken into more lines than this is not put together.
const MOST_LINES: usize = 64;

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
        pasted.change("escapes such as \\u0026", encodings::of_escapes);
        pasted.change("the colours of a terminal", encodings::of_terminal);
        pasted.change_if("the escapes of a Windows command", encodings::of_windows);
        pasted.change_if("the encoding of a mail", encodings::of_mail);
        pasted.change_if("the marks of a quoted text", encodings::of_quoted);
        pasted.change_if("the name in front of each line", encodings::of_named_lines);
        pasted.find();
        pasted.change("line ends", joined);
        pasted.change("text around the URL", |text| surrounded(text).to_owned());
        pasted.change("quotes, brackets or a full stop around it", |text| bare(text).to_owned());
        pasted
    }

    /// Reduces a text in which more than the message stands: to the part that reads as one, or to the parameters in its
    /// fields.
    fn find(&mut self) {
        let whole = bare(surrounded(&joined(&self.url))).to_owned();
        let (is_message, messages) = (reads(&whole), messages(&self.url));
        // The first line of a broken URL may be a message too.
        if messages.len() > 1 && (!is_message || messages.contains(&whole)) {
            self.removed.push("another message (paste it by itself)");
        }
        if is_message {
            return;
        }
        if let Some(first) = messages.into_iter().next() {
            self.change("text around the URL", |_| first.clone());
        } else if let Some(fields) = fields::query_of(&self.url) {
            self.change("the fields around the parameters", |_| fields.clone());
        } else if let Some(decoded) = of_encoded(&self.url) {
            self.change("percent-encoding of the whole URL", |_| decoded.clone());
            self.find();
        } else if let Some(decoded) = of_base64(&self.url) {
            self.change("Base64 of the whole URL", |_| decoded.clone());
            self.find();
        }
    }

    fn change(&mut self, name: &'static str, change: impl Fn(&str) -> String) {
        self.change_if(name, |text| Some(change(text)));
    }

    fn change_if(&mut self, name: &'static str, change: impl Fn(&str) -> Option<String>) {
        if let Some(changed) = change(&self.url).filter(|changed| *changed != self.url) {
            self.url = changed;
            self.removed.push(name);
        }
    }
}

/// What to paste instead of a text that is no message.
pub(super) fn advice(url: &str) -> Option<&'static str> {
    let is_base64 = url.len() >= 22 && url.chars().all(|c| c.is_ascii_alphanumeric() || "+/-_=%".contains(c));
    let shortened = ["…", "..."].iter().any(|mark| url.split_once('=').is_some_and(|(_, rest)| rest.contains(mark)));
    if shortened {
        Some("The URL was shortened, for display or by a log, at the three dots: copy the whole URL.")
    } else if is_base64 || url.starts_with("ecreq=") || url.starts_with("ecres=") {
        Some(
            "This looks like the value of one parameter, such as ecreq or ecres. Paste the whole URL: fi names the \
             sender, and the key is made from the date too.",
        )
    } else if url.contains("txnid=") && leg_of(url).is_none() {
        Some("These are members that are not sealed. Paste the URL that carries them.")
    } else {
        None
    }
}

fn names_parameter(text: &str) -> bool {
    NAMES.iter().any(|name| text.contains(name))
}

/// Whether `text` is a message as it stands, readable without a key.
fn reads(text: &str) -> bool {
    leg_of(text).is_some_and(|leg| Envelope::from_url(text, leg).is_ok())
}

/// The message in `text`: all of it, or without what follows its last value.
fn readable(text: &str) -> Option<&str> {
    if reads(text) {
        return Some(text);
    }
    let text = text.find("=fi=").map_or(text, |before| &text[before + 1..]);
    let last = text.rfind('&')?;
    let is_value = |c: char| c.is_ascii_alphanumeric() || "+/=_%.~-&;".contains(c);
    let mut part = &text[..text[last..].find(|c| !is_value(c)).map_or(text.len(), |end| last + end)];
    // Marks of emphasis and the ends of sentences are characters of values too.
    for _ in 0..4 {
        if reads(part) {
            return Some(part);
        }
        part = part.strip_suffix(['_', '-', '.', '~', '/', ';'])?;
    }
    None
}

/// The lines of `text` as one.
fn joined(text: &str) -> String {
    text.lines().map(|line| line.trim().trim_end_matches(" \\")).collect()
}

/// The words, the parts between quotes, and the broken lines that are messages, each once.
fn messages(text: &str) -> Vec<String> {
    let words = text.split(|end: char| end.is_whitespace() || "<>|".contains(end));
    let parts = words.chain(text.split(['"', '\''])).filter_map(|part| readable(bare(part)));
    let mut messages: Vec<String> = Vec::new();
    for part in parts {
        // A text can be cut in several ways, and its message remains the same.
        let is_known = messages.iter().any(|known| known.contains(part) || part.contains(&**known));
        if !is_known {
            messages.push(part.to_owned());
        }
    }
    if messages.is_empty() {
        messages.extend(of_broken_lines(text));
    }
    messages
}

/// The message that begins in one line and goes on in the next ones, between other lines.
fn of_broken_lines(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let begins = |line: &&str| line.contains("://") || line.contains("fi=");
    let first = lines.iter().position(begins)?;
    let most = lines.len().min(first + MOST_LINES);
    let mut candidates = (first + 1..=most).rev().map(|end| joined(&lines[first..end].join("\n")));
    candidates.find_map(|candidate| readable(bare(surrounded(&candidate))).map(str::to_owned))
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

/// The text of a URL that was encoded as Base64 as a whole.
fn of_base64(text: &str) -> Option<String> {
    String::from_utf8(any_base64(text)?).ok().filter(|decoded| names_parameter(decoded))
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
    let around = |c: char| c.is_whitespace() || "\"'`<>“”‘’()[]{}\\".contains(c);
    text.trim_start_matches(|c: char| around(c) || "*_".contains(c))
        .trim_end_matches(|c: char| around(c) || ".,;…".contains(c))
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use proptest::{
        prelude::{Strategy, prop},
        strategy::ValueTree,
        test_runner::TestRunner,
    };

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
            "Map(fi -> VA==, reqdate -> 211120261040756, ecreq -> AB-D=, iv -> x+y=)",
            "| fi | VA== |\n| reqdate | 211120261040756 |\n| ecreq | AB-D= |\n| iv | x+y= |",
            "[fi, VA==], [reqdate, 211120261040756], [ecreq, AB-D=], [iv, x+y=]",
            "ImmutableMultiDict([('fi', 'VA=='), ('reqdate', '211120261040756'), ('ecreq', 'AB-D='), ('iv', 'x+y=')])",
            "{ fi: 'VA==', reqdate: '211120261040756',\n  ecreq: 'AB' +\n    '-D=',\n  iv: 'x+y=' }",
            "<fi>VA==</fi><reqdate>211120261040756</reqdate><ecreq>AB-D=</ecreq><iv>x+y=</iv>",
            r#"[{"name": "fi", "value": "VA=="}, {"name": "reqdate", "value": "211120261040756"}, {"name": "ecreq", "value": "AB-D="}, {"name": "iv", "value": "x+y="}]"#,
            r#"<input name="fi" value="VA=="><input name="reqdate" value="211120261040756"><input name="ecreq" value="AB-D="><input name="iv" value="x+y=">"#,
            "http https://aa.example/w fi==VA== reqdate==211120261040756 ecreq==AB-D= iv==x+y=",
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
            format!("Open this:\n{}\n{}\n\nThanks", &WHOLE[..100], &WHOLE[100..]),
            format!("> {}\n> {}\n>\n> Thanks", &WHOLE[..100], &WHOLE[100..]),
            format!("<{WHOLE}|the link>"),
            format!("cannot open {WHOLE}: connection refused"),
            format!("**{WHOLE}**"),
            format!("_{WHOLE}_"),
            format!("{WHOLE}\\n"),
            format!("\u{1b}[36m{WHOLE}\u{1b}[0m"),
            format!("{WHOLE}।"),
            WHOLE.replace('&', "\\&"),
            format!("Request URL\n{WHOLE}\nRequest Method\nGET"),
            WHOLE.replace('&', "&#38;"),
            format!("{{\"request\":\"GET {} HTTP/1.1\"}}", WHOLE.replace('&', "\\x26")),
            format!("{}\n{}", &WHOLE[..WHOLE.len() - 31], &WHOLE[WHOLE.len() - 31..]),
            format!("web-1  | to {}\nweb-1  | {}\nweb-1  | done", &WHOLE[..60], &WHOLE[60..]),
            STANDARD.encode(WHOLE),
            WHOLE.chars().flat_map(|character| [character, '\0']).collect(),
        ] {
            assert_eq!(Pasted::of(&pasted).url, WHOLE, "{pasted}");
        }
    }

    #[test]
    fn text_that_belongs_to_the_message_stays() {
        for kept in [
            "fi, reqdate, ecreq are missing from the query of the URL",
            URL,
            "fi=a b&reqdate=1&ecreq=c d",
            "?fi=a&resdate=1&ecres=x+y",
            "https://x.example/",
            "",
        ] {
            let pasted = Pasted::of(kept);
            assert_eq!((&*pasted.url, &*pasted.removed), (kept, [].as_slice()));
        }
    }

    #[test]
    fn a_text_without_a_message_gets_advice() {
        for (pasted, expected) in [
            ("https://aa.example/w?fi=VA…AAAA%3D%3D&iv=x", "The URL was shortened"),
            (
                "https://aa.example/w?fi=VA%3D%3D&reqdate=211120261040756&ecreq=AAAA... (312 chars truncated)",
                "The URL was shortened",
            ),
            ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "This looks like the value of one parameter"),
            ("ecres=AAAA", "This looks like the value of one parameter"),
            ("txnid=1&sessionid=&userid=9@alpha", "These are members that are not sealed"),
        ] {
            let given = advice(&Pasted::of(pasted).url).expect("an advice");
            assert!(given.starts_with(expected), "{pasted}: {given}");
        }
        for pasted in [WHOLE, "hello"] {
            assert_eq!(advice(&Pasted::of(pasted).url), None);
        }
    }

    #[test]
    fn any_text_is_read_to_its_end() {
        // Separated by ¦.
        const PARTS: &str = concat!(
            "fi=¦reqdate=¦ecreq=¦iv¦&¦?¦#¦=¦%¦%3D¦é¦स¦👩¦\0¦\"¦'¦\n¦ ¦->¦| ¦web | ¦value¦string(¦",
            " \"¦://¦\u{1b}[¦m¦=3D¦^&¦…¦...¦> ¦GET ¦AAAAAAAAAAAAAAAAAAAAAA==¦011120261040756¦\\¦,¦",
            "' +\n'¦_",
        );
        let parts = prop::sample::select(PARTS.split('¦').collect::<Vec<_>>());
        let any = prop::collection::vec(parts, 0..40);
        let mut runner = TestRunner::deterministic();
        for _ in 0..3_000 {
            let text = any.new_tree(&mut runner).expect("a text").current().concat();
            let pasted = Pasted::of(&text);
            assert!(advice(&pasted.url).is_none_or(|advice| !advice.is_empty()));
            assert!(pasted.url == text.trim_ascii() || !pasted.removed.is_empty(), "{text:?}");
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
        let query = &WHOLE[21..];
        let twice = Pasted::of(&format!("GET \"{WHOLE}\");\nQUERY_STRING={query}"));
        assert_eq!(twice.removed, ["line ends", "text around the URL"], "one message in two forms");
        assert_eq!(Pasted::of(&format!("QUERY_STRING={query}\nX=1")).url, query);
        assert_eq!(Pasted::of(&format!("'{WHOLE}' or \"{WHOLE}\"")).removed, ["text around the URL"]);
    }
}
