//! The shape of the keyring file as TOML. Its values are checked later.

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
    pub(super) authentication: Option<Spanned<String>>,
    pub(super) failure_budget: Option<Spanned<i64>>,
    pub(super) reopen: Option<Spanned<String>>,
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
