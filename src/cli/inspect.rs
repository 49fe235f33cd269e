//! `inspect`: prints the diagnosis of a message.
//!
//! Values are printed with control characters escaped, since anyone at a browser can choose them.

use std::{fmt::Write, sync::Arc};

use chrono::Utc;

use crate::{
    compose,
    config::KeyringSettings,
    diagnosis::{Asked, Member, PairingReport, Report, diagnose},
    exchange::Exchange,
    keyring::Absent,
    keys::KdfPool,
    memory::Memory,
};

use super::Failure;

/// The ids that limit the pairings to try with a message.
pub(super) struct Parties {
    pub(super) fiu: Option<String>,
    pub(super) aa: Option<String>,
}

/// Prints the diagnosis of `text`.
pub(super) fn run(settings: &KeyringSettings, text: &str, parties: &Parties, json: bool) -> Result<(), Failure> {
    let (keyring, _) = compose::load_keyring(settings, Absent::Refused)?;
    let exchange = Exchange::new(Arc::new(KdfPool::new(1)?), Arc::new(Memory::default()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = Asked { text, fiu: parties.fiu.as_deref(), aa: parties.aa.as_deref(), now: Utc::now() };
    let report = runtime.block_on(diagnose(&exchange, &keyring.current(), asked));
    if json {
        let text = serde_json::to_string_pretty(&report).map_err(|error| Failure::Other(error.to_string()))?;
        println!("{text}");
    } else {
        print!("{}", table(&report));
    }
    if report.accepted { Ok(()) } else { Err(Failure::Reported) }
}

/// The report for people: a row for each thing that was found.
struct Table(String);

fn table(report: &Report) -> String {
    let mut table = Table(String::new());
    table.envelope(report);
    for pairing in &report.pairings {
        table.pairing(pairing);
    }
    table.message(report);
    table.row("answer", &format!("{}: {}", report.answer, report.explanation));
    if let Some(search) = report.search {
        let keys = if search.keys == 1 { "key" } else { "keys" };
        let end = if search.cut_short { ", and gave up there" } else { "" };
        table.row("search", &format!("tried {} {keys} in {} ms{end}", search.keys, search.milliseconds));
    }
    if let Some(cause) = report.cause() {
        table.row("cause", cause);
    }
    table.0
}

impl Table {
    fn row(&mut self, name: &str, value: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{:<14}{}", name.escape_debug().to_string(), value);
    }

    /// What can be read without a key.
    fn envelope(&mut self, report: &Report) {
        if !report.removed.is_empty() {
            self.row("removed", &report.removed.join(", "));
        }
        self.row("leg", report.leg);
        for parameter in &report.parameters {
            self.row(&parameter.name, &parameter.value);
        }
        if let Some(date) = &report.date {
            self.row("date", &date.text);
            for reading in &date.readings {
                let age = format!("{}, {} ({})", reading.instant, reading.age(), reading.digits);
                self.row("", &age);
            }
        }
        if let Some(sender) = &report.sender {
            self.row("sender (fi)", &sender.escape_debug().to_string());
        }
        if let Some(kind) = report.requestor_type {
            self.row("requestorType", kind);
        }
        if let (Some(bytes), Some(has_iv)) = (report.ciphertext_bytes, report.has_iv) {
            self.row("ciphertext", &format!("{bytes} bytes, {}", if has_iv { "with iv" } else { "no iv" }));
        }
    }

    fn pairing(&mut self, pairing: &PairingReport) {
        let PairingReport { fiu, aa, profile, scheme, max_age_seconds, freshness, secrets } = pairing;
        self.row("pairing", &format!("{fiu} with {aa}, profile {profile}, scheme {scheme}"));
        self.row("  window", &format!("{max_age_seconds} s: {freshness}"));
        for secret in secrets {
            let kind = if secret.primary { "primary" } else { "decode" };
            self.row("  secret", &format!("{} ({kind}): {}", secret.id, secret.result));
        }
    }

    /// What can be read with a key only.
    fn message(&mut self, report: &Report) {
        if let Some(members) = &report.members {
            self.row("members", "");
            for Member { name, value } in members {
                self.row(&format!("  {name}"), &value.escape_debug().to_string());
            }
        }
        if let Some(message) = &report.error_message {
            self.row("errorcode", message);
        }
        match (&*report.deviations, &report.members) {
            ([], None) => {}
            ([], Some(_)) => self.row("deviations", "none"),
            (deviations, _) => self.row("deviations", &deviations.join(", ")),
        }
        for detail in &report.deviation_details {
            self.row("", &format!("{} ({}): {}", detail.deviation, detail.place, detail.advice));
        }
        if let Some(authenticated) = report.authenticated {
            self.row("tag", if authenticated { "right" } else { "none" });
        }
    }
}
