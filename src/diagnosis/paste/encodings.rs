//! Undoes what programs do to a text on its way to a person: escapes, colours, the encoding of mails.

/// Characters as writers of JSON, logs, HTML and Markdown hide them.
const ESCAPES: [(&str, &str); 14] = [
    ("\\u0026", "&"),
    ("\\u003d", "="),
    ("\\u003D", "="),
    ("\\u002b", "+"),
    ("\\u002B", "+"),
    ("\\/", "/"),
    ("\\x26", "&"),
    ("\\x3D", "="),
    ("\\x2B", "+"),
    ("&#38;", "&"),
    ("&#x26;", "&"),
    ("&#61;", "="),
    // Markdown.
    ("\\_", "_"),
    ("\\&", "&"),
];

/// A text without the escapes of JSON, logs, HTML and Markdown.
pub(super) fn of_escapes(text: &str) -> String {
    ESCAPES.into_iter().fold(text.to_owned(), |text, (escape, character)| text.replace(escape, character))
}

/// A text without the escapes that colour it in a terminal.
pub(super) fn of_terminal(text: &str) -> String {
    let (first, rest) = text.split_once("\u{1b}[").unwrap_or((text, ""));
    let parts = rest.split("\u{1b}[").map(|part| part.split_once('m').map_or(part, |(_, rest)| rest));
    parts.fold(first.to_owned(), |text, part| text + part)
}

/// A text without the escapes that a browser writes into a command for Windows.
pub(super) fn of_windows(text: &str) -> Option<String> {
    (text.contains("^&") || text.contains("^%")).then(|| text.replace('^', ""))
}

/// A text without the escapes of quoted-printable (RFC 2045), as the source of a mail has them.
pub(super) fn of_mail(text: &str) -> Option<String> {
    let joined = text.replace("=\r\n", "").replace("=\n", "");
    joined.contains("date=3D").then(|| joined.replace("=3D", "="))
}

/// A text whose lines all begin with the same name and a bar, as `docker compose logs` prints them.
pub(super) fn of_named_lines(text: &str) -> Option<String> {
    let (name, _) = text.split_once("| ").filter(|(name, _)| !name.is_empty() && !name.contains(['\n', '=']))?;
    let lines = text.lines().map(|line| line.strip_prefix(name)?.strip_prefix('|'));
    lines.collect::<Option<Vec<&str>>>().map(|lines| lines.join("\n"))
}

/// A text whose lines are quoted as in an answer to a mail.
pub(super) fn of_quoted(text: &str) -> Option<String> {
    let is_quoted = text.lines().filter(|line| line.starts_with('>')).count() > 1;
    let line = |line: &str| line.trim_start_matches(['>', ' ']).to_owned();
    is_quoted.then(|| text.lines().map(line).collect::<Vec<_>>().join("\n"))
}
