//! Finds the URL or query string in a pasted text, and notes everything that it removes.

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
        pasted.change("line ends", |text| text.lines().map(|line| line.trim().trim_end_matches(" \\")).collect());
        pasted.change("JSON escapes such as \\u0026", json_unescaped);
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

/// `text` without the escapes that JSON writers use to hide characters from HTML.
fn json_unescaped(text: &str) -> String {
    let pairs =
        [("\\u0026", "&"), ("\\u003d", "="), ("\\u003D", "="), ("\\u002b", "+"), ("\\u002B", "+"), ("\\/", "/")];
    pairs.into_iter().fold(text.to_owned(), |text, (escape, character)| text.replace(escape, character))
}

/// The part of `text` that is the URL: between the quotes of a command or a log line, or the word that has our
/// parameters.
fn surrounded(text: &str) -> &str {
    let has_message = |part: &&str| NAMES.iter().any(|name| part.contains(name));
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
    of_message.into_iter().find(|word| NAMES.iter().any(|name| word.contains(name))).unwrap_or(text)
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
