//! `inspect`: opens a message offline, step by step, for the operator who holds the secrets.
//!
//! Says what the service must not say. Control characters in values are escaped, since the user of the browser may have
//! chosen the values.

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::{
    codec::{
        self, Envelope, Parties,
        date::Freshness,
        errorcode,
        members::{Callback, Redirect},
        url::{Leg, leg_of},
    },
    compose,
    config::KeyringSettings,
    exchange::{Asked, Exchange, Message, Question, Refused, Tried, Verdict, Window, Witness},
    keyring::{Keyring, Pairing},
    keys::KdfPool,
    memory::Memory,
    service::error::{Refusal, reason_name},
};

use super::Failure;

/// Everything that was found. What was not reached is absent.
#[derive(Default, Serialize)]
#[serde(rename_all = "snake_case")]
struct Report {
    leg: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<DateReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requestor_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    has_iv: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphertext_bytes: Option<usize>,
    pairings: Vec<PairingReport>,
    deviations: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<Vec<Member>>,
    /// The guideline's text for a callback's `errorcode`.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
    accepted: bool,
    /// What the service would answer now: `OK` or a reason of its interface.
    answer: &'static str,
    explanation: String,
    /// How far the message came with the pairing that the answer is from.
    #[serde(skip)]
    furthest: Option<u8>,
}

#[derive(Serialize)]
struct DateReport {
    text: String,
    readings: Vec<Reading>,
}

#[derive(Serialize)]
struct Reading {
    digits: &'static str,
    instant: String,
    age_seconds: i64,
}

#[derive(Serialize)]
struct PairingReport {
    fiu: String,
    aa: String,
    profile: &'static str,
    scheme: &'static str,
    max_age_seconds: i64,
    freshness: &'static str,
    secrets: Vec<SecretReport>,
}

#[derive(Serialize)]
struct SecretReport {
    id: String,
    primary: bool,
    opened: bool,
    result: String,
}

/// A member, or one item of a list.
#[derive(Serialize)]
struct Member {
    name: String,
    value: String,
}

/// Prints what `url` holds.
pub(super) fn run(settings: &KeyringSettings, url: &str, json: bool) -> Result<(), Failure> {
    let (keyring, _) = compose::load_keyring(settings)?;
    let exchange = Exchange::new(Arc::new(KdfPool::new(1)?), Arc::new(Memory::default()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(inspect(&exchange, &keyring.current(), url, Utc::now()));
    if json {
        let text = serde_json::to_string_pretty(&report).map_err(|error| Failure::Other(error.to_string()))?;
        println!("{text}");
    } else {
        print!("{}", table(&report));
    }
    if report.accepted { Ok(()) } else { Err(Failure::Reported) }
}

/// Opens a message even if its date is refused: this is for an operator.
struct Operator;

impl Witness for Operator {
    fn goes_on(&self) -> bool {
        true
    }
}

async fn inspect(exchange: &Exchange, keyring: &Keyring, url: &str, now: DateTime<Utc>) -> Report {
    let leg = leg_of(url);
    let mut report = Report {
        leg: match leg {
            Leg::Request => "request (FIU to AA)",
            Leg::Callback => "callback (AA to FIU)",
        },
        ..Report::default()
    };
    let envelope = match Envelope::from_url(url, leg) {
        Ok(envelope) => envelope,
        Err(malformed) => {
            report.refuse(&Refusal::Malformed(leg, malformed));
            return report;
        }
    };
    report.envelope(&envelope, now);
    // Each pairing of the sender is tried, so that one answer never hides another.
    let receivers = keyring.pairings().filter_map(|pairing| match leg {
        Leg::Request => (pairing.fiu == envelope.sender).then_some(&*pairing.aa),
        Leg::Callback => (pairing.aa == envelope.sender).then_some(&*pairing.fiu),
    });
    let receivers: Vec<&str> = receivers.collect();
    if receivers.is_empty() {
        report.refuse(&Refusal::of(Refused::PairingUnknown, Parties::of(leg, &envelope.sender, "")));
    }
    for receiver in receivers {
        let question = Question { keyring, envelope: &envelope, receiver, now, asked: Asked::default() };
        let opened = match leg {
            Leg::Request => report.verdict(exchange.open::<Redirect>(question, &Operator).await),
            Leg::Callback => report.verdict(exchange.open::<Callback>(question, &Operator).await),
        };
        if opened {
            break;
        }
    }
    report
}

/// A message as a list of its members.
trait Listed: Message {
    /// Its members by name, one for each item of a list.
    fn members(&self) -> Vec<Member>;

    /// What the guideline says of its `errorcode`.
    fn error_message(&self) -> Option<String>;
}

impl Listed for Redirect {
    fn members(&self) -> Vec<Member> {
        redirect_members(self)
    }

    fn error_message(&self) -> Option<String> {
        None
    }
}

impl Listed for Callback {
    fn members(&self) -> Vec<Member> {
        callback_members(self)
    }

    fn error_message(&self) -> Option<String> {
        Some(errorcode::text(self.errorcode))
    }
}

impl Report {
    /// Adds what needs no key to see.
    fn envelope(&mut self, envelope: &Envelope, now: DateTime<Utc>) {
        let readings = envelope.date.readings().into_iter().map(|(digits, instant)| Reading {
            digits,
            instant: instant.to_rfc3339_opts(SecondsFormat::Millis, true),
            age_seconds: (now - instant).num_seconds(),
        });
        self.date = Some(DateReport { text: envelope.date.text().to_owned(), readings: readings.collect() });
        self.sender = Some(envelope.sender.clone());
        self.requestor_type = envelope.requestor_type.map(codec::RequestorType::name);
        self.has_iv = Some(envelope.iv.is_some());
        self.ciphertext_bytes = Some(envelope.ciphertext.len());
        self.deviations = envelope.deviations.kinds().map(codec::Deviation::name).collect();
    }

    /// What a caller of the service would read.
    fn refuse(&mut self, refusal: &Refusal) {
        self.answer = reason_name(refusal.reason());
        self.explanation = refusal.message();
    }

    /// Adds a verdict; true if it opened the message.
    fn verdict<M: Listed>(&mut self, verdict: Verdict<M>) -> bool {
        let Verdict { pairing, window, tried, opened, refused, .. } = verdict;
        let Some(pairing) = pairing else { return false };
        let mut secrets: Vec<SecretReport> = tried
            .iter()
            .map(|Tried { secret, why }| SecretReport::of(&pairing, *secret, false, why.to_string()))
            .collect();
        if let Some(opened) = &opened {
            secrets.push(SecretReport::of(&pairing, opened.secret, true, "opened".to_owned()));
        }
        self.pairings.push(PairingReport {
            fiu: pairing.fiu.clone(),
            aa: pairing.aa.clone(),
            profile: pairing.conventions.profile.name,
            scheme: pairing.conventions.profile.scheme.name(),
            max_age_seconds: pairing.conventions.max_age.num_seconds(),
            freshness: window.map_or("not compared", |window| freshness(&window)),
            secrets,
        });
        match refused {
            // The answer of the pairing that the message came furthest with tells the most.
            Some(refused) if self.furthest >= Some(step(refused)) => {}
            Some(refused) => {
                self.furthest = Some(step(refused));
                self.refuse(&Refusal::of(refused, Parties { fiu: &pairing.fiu, aa: &pairing.aa }));
            }
            None => {
                self.accepted = true;
                self.answer = "OK";
                "the service accepts this message now".clone_into(&mut self.explanation);
            }
        }
        let Some(opened) = opened else { return false };
        self.members = Some(opened.message.members());
        self.error_message = opened.message.error_message();
        self.deviations = opened.deviations.kinds().map(codec::Deviation::name).collect();
        true
    }
}

impl SecretReport {
    fn of(pairing: &Pairing, secret: usize, opened: bool, result: String) -> Self {
        Self { id: pairing.secrets[secret].id.clone(), primary: secret == 0, opened, result }
    }
}

/// How far a message came that is refused.
fn step(refused: Refused) -> u8 {
    match refused {
        Refused::PairingUnknown | Refused::PairingAmbiguous | Refused::TooLong => 0,
        Refused::SchemeMismatch(_) => 1,
        Refused::DateMalformed { .. } => 2,
        Refused::DateExpired { .. } | Refused::DateInFuture { .. } => 3,
        Refused::Overloaded(_) | Refused::Undecipherable | Refused::StoreUnavailable => 4,
        Refused::NotExpected(_) | Refused::AlreadyOpened(_) => 5,
    }
}

fn freshness(window: &Window) -> &'static str {
    match window.freshness {
        None => "not checked",
        Some(Freshness::Fresh) => "inside the window",
        Some(Freshness::Expired) => "older than the window",
        Some(Freshness::InFuture) => "ahead of the window",
    }
}

fn redirect_members(redirect: &Redirect) -> Vec<Member> {
    let mut members = Vec::new();
    let mut push = |name: &str, value: &str| members.push(Member { name: name.into(), value: value.into() });
    push("txnid", &redirect.txnid);
    push("sessionid", &redirect.sessionid);
    push("userid", &redirect.userid);
    push("redirect", &redirect.redirect);
    redirect.srcref.iter().for_each(|item| push("srcref", item));
    redirect.fipid.iter().for_each(|item| push("fipid", item));
    for (name, value) in redirect.optional() {
        push(name, value);
    }
    extra_members(members, &redirect.extra)
}

fn callback_members(callback: &Callback) -> Vec<Member> {
    let mut members = Vec::new();
    let mut push = |name: &str, value: &str| members.push(Member { name: name.into(), value: value.into() });
    push("txnid", &callback.txnid);
    push("sessionid", &callback.sessionid);
    push("userid", &callback.userid);
    push("status", if callback.success { "S" } else { "F" });
    push("errorcode", &callback.errorcode.to_string());
    callback.srcref.iter().for_each(|item| push("srcref", item));
    extra_members(members, &callback.extra)
}

fn extra_members(mut members: Vec<Member>, extra: &BTreeMap<String, String>) -> Vec<Member> {
    members.extend(extra.iter().map(|(name, value)| Member { name: name.clone(), value: value.clone() }));
    members
}

/// The report for people.
fn table(report: &Report) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{:<14}{}", name.escape_debug().to_string(), value);
    };
    row("leg", report.leg);
    if let Some(date) = &report.date {
        row("date", &date.text);
        for reading in &date.readings {
            let age = format!("{}, {} s old ({})", reading.instant, reading.age_seconds, reading.digits);
            row("", &age);
        }
    }
    if let Some(sender) = &report.sender {
        row("sender (fi)", &sender.escape_debug().to_string());
    }
    if let Some(kind) = report.requestor_type {
        row("requestorType", kind);
    }
    if let (Some(bytes), Some(has_iv)) = (report.ciphertext_bytes, report.has_iv) {
        row("ciphertext", &format!("{bytes} bytes, {}", if has_iv { "with iv" } else { "no iv" }));
    }
    for pairing in &report.pairings {
        let PairingReport { fiu, aa, profile, scheme, max_age_seconds, freshness, secrets } = pairing;
        row("pairing", &format!("{fiu} with {aa}, profile {profile}, scheme {scheme}"));
        row("  window", &format!("{max_age_seconds} s: {freshness}"));
        for secret in secrets {
            let kind = if secret.primary { "primary" } else { "decode" };
            row("  secret", &format!("{} ({kind}): {}", secret.id, secret.result));
        }
    }
    if let Some(members) = &report.members {
        row("members", "");
        for Member { name, value } in members {
            row(&format!("  {name}"), &value.escape_debug().to_string());
        }
    }
    if let Some(message) = &report.error_message {
        row("errorcode", message);
    }
    match (&*report.deviations, &report.members) {
        ([], None) => {}
        ([], Some(_)) => row("deviations", "none"),
        (deviations, _) => row("deviations", &deviations.join(", ")),
    }
    row("answer", &format!("{}: {}", report.answer, report.explanation));
    text
}
