//! Everything that was found about one message, with stable names in JSON. The results of steps that were not reached
//! are absent.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::{codec::date::DateReading, keyring::Pairing};

/// The report on one message.
#[derive(Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct Report {
    /// What was removed from the pasted text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<&'static str>,
    /// The leg.
    pub leg: &'static str,
    /// The date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<DateReport>,
    /// The id that `fi` unmasks to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// `FIU` or `LSP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requestor_type: Option<&'static str>,
    /// Whether there is an IV.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_iv: Option<bool>,
    /// Bytes of the ciphertext.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ciphertext_bytes: Option<usize>,
    /// The pairings that were tried.
    pub pairings: Vec<PairingReport>,
    /// The names of all deviations, each once.
    pub deviations: Vec<&'static str>,
    /// Each deviation with its place and what the sender should change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deviation_details: Vec<DeviationReport>,
    /// The members, if the message opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<Member>>,
    /// Whether the message had a right tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authenticated: Option<bool>,
    /// The guideline's text for a callback's `errorcode`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Whether the service would accept the message now.
    pub accepted: bool,
    /// What the service would answer now: `OK` or a reason of its interface.
    pub answer: &'static str,
    /// The message of that answer.
    pub explanation: String,
    /// The hint of that answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What the sender did wrong, in a sentence to forward, if a common mistake explains the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The wrong way to seal that opens the message, part by part.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recipe: Vec<String>,
    /// The parameters as they came, if they cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Member>,
    /// How many keys the search for the cause tried, and how long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<SearchReport>,
    /// How far the message came with the pairing that gave the answer.
    #[serde(skip)]
    pub(super) furthest: Option<u8>,
}

impl Report {
    /// What the sender did wrong, as far as a search has found it; `None` if there was nothing to search.
    pub fn cause(&self) -> Option<&str> {
        let searched = self.search.map(|_| {
            if self.answer == "UNDECIPHERABLE" {
                "none of the common mistakes: most likely another secret, or a changed message"
            } else {
                "no other mistake was found than what the answer names"
            }
        });
        self.cause.as_deref().or(searched)
    }
}

/// A date and its possible meanings.
#[derive(Serialize)]
pub struct DateReport {
    /// The characters that are salt and mask.
    pub text: String,
    /// The instants that it may name.
    pub readings: Vec<Reading>,
}

/// One reading of a date.
#[derive(Serialize)]
pub struct Reading {
    /// The meaning of the last digits in this reading.
    pub digits: &'static str,
    /// The instant, RFC 3339.
    pub instant: String,
    /// Now minus that instant.
    pub age_seconds: i64,
    /// Whether the second is known.
    #[serde(skip)]
    has_second: bool,
}

impl Reading {
    /// The reading at `now`.
    pub fn of(DateReading { digits, instant, has_second }: DateReading, now: DateTime<Utc>) -> Self {
        let text = instant.to_rfc3339_opts(SecondsFormat::Millis, true);
        Self { digits, instant: text, age_seconds: (now - instant).num_seconds(), has_second }
    }

    /// The age in words. If the seconds are not known, it is a span.
    pub fn age(&self) -> String {
        let (oldest, newest) = (self.age_seconds, self.age_seconds - 59);
        match (self.has_second, oldest, newest) {
            (false, ..0, _) => format!("{} to {} s ahead of this machine's clock", -oldest, -newest),
            (false, _, ..=0) => format!("at most {oldest} s old"),
            (false, _, _) => format!("{newest} to {oldest} s old"),
            (true, ..0, _) => format!("{} s ahead of this machine's clock", -oldest),
            (true, _, _) => format!("{oldest} s old"),
        }
    }
}

/// A pairing that was tried.
#[derive(Serialize)]
pub struct PairingReport {
    /// The FIU's id.
    pub fiu: String,
    /// The AA's id.
    pub aa: String,
    /// The profile of the keyring.
    pub profile: &'static str,
    /// The profile's scheme.
    pub scheme: &'static str,
    /// The window, in seconds.
    pub max_age_seconds: i64,
    /// Where the date lies.
    pub freshness: &'static str,
    /// The secrets that were tried.
    pub secrets: Vec<SecretReport>,
}

/// A secret that was tried.
#[derive(Serialize)]
pub struct SecretReport {
    /// Its id in the keyring.
    pub id: String,
    /// Whether it is the primary one.
    pub primary: bool,
    /// Whether it opened the message.
    pub opened: bool,
    /// What happened.
    pub result: String,
}

impl SecretReport {
    pub(super) fn of(pairing: &Pairing, secret: usize, opened: bool, result: String) -> Self {
        Self { id: pairing.secrets[secret].id.clone(), primary: secret == 0, opened, result }
    }
}

/// A deviation, where it is, and what to change.
#[derive(Serialize)]
pub struct DeviationReport {
    /// Its name in the interface.
    pub deviation: &'static str,
    /// The parameter or member; empty for the whole.
    pub place: &'static str,
    /// What the sender should change.
    pub advice: String,
}

/// A member, or one item of a list.
#[derive(Serialize)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Member {
    pub(super) fn of(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), value: value.to_owned() }
    }
}

/// The cost of the search for the cause.
#[derive(Clone, Copy, Serialize)]
pub struct SearchReport {
    /// Keys that were derived and tried.
    pub keys: usize,
    /// Milliseconds that it took.
    pub milliseconds: u64,
    /// Whether it ended before everything was tried.
    pub cut_short: bool,
}
