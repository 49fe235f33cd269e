//! The shape of the keyring file as TOML, before anything of it is checked.

use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    #[serde(default)]
    pub(super) pairing: Vec<RawPairing>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPairing {
    pub(super) fiu: Spanned<String>,
    pub(super) aa: Spanned<String>,
    pub(super) profile: Spanned<String>,
    pub(super) webview: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) handles: Vec<Spanned<String>>,
    pub(super) redirect_hosts: Option<Vec<Spanned<String>>>,
    pub(super) secrets: Spanned<Vec<RawSecret>>,
    pub(super) date: Option<Spanned<String>>,
    pub(super) read_date: Option<Spanned<String>>,
    pub(super) lists: Option<Spanned<String>>,
    pub(super) padding: Option<bool>,
    pub(super) max_age_seconds: Option<Spanned<i64>>,
    pub(super) check_resdate: Option<bool>,
    pub(super) failure_budget: Option<Spanned<i64>>,
    pub(super) date_reuse_milliseconds: Option<Spanned<i64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a secret as { id = \"…\", file = \"…\" }")]
pub(super) struct RawSecret {
    pub(super) id: Spanned<String>,
    pub(super) file: Option<String>,
    pub(super) env: Option<String>,
    #[serde(rename = "use")]
    pub(super) usage: Option<Spanned<String>>,
}

/// The line, counted from 1, of the byte at `at`.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|&byte| byte == b'\n').count()
}

/// What TOML or its shape has against the file, without the keys and values that the library's message may quote.
pub(super) fn describe(error: &toml::de::Error) -> String {
    let message = error.message();
    // The last one: a quoted value may hold the word too.
    match message.rsplit_once("expected ") {
        Some((before, expected)) if before.contains("invalid") => format!("the value here should be {expected}"),
        Some((before, expected)) if before.contains("unknown field") => {
            format!("the key here is unknown; expected {expected}")
        }
        _ => message.to_owned(),
    }
}
