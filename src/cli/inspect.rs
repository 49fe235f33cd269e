//! `inspect`: opens a message offline, step by step, for the operator who holds the secrets.
//!
//! Says what the service must not say. Values are printed with control characters escaped, since whoever sits at the
//! browser chose them.

use std::{collections::BTreeMap, fmt::Write};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::{
    codec::{
        self, Deviations, Envelope, Malformed, Unopened,
        date::Freshness,
        errorcode,
        url::{Leg, UrlProblem, leg_of},
    },
    config::KeyringSettings,
    keyring::{Keyring, Pairing},
};

use super::Failure;

/// All that was found; what was not reached is absent.
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
    let (keyring, _) = settings.load()?;
    let report = inspect(&keyring.current(), url, Utc::now());
    if json {
        let text = serde_json::to_string_pretty(&report).map_err(|error| Failure::Other(error.to_string()))?;
        println!("{text}");
    } else {
        print!("{}", table(&report));
    }
    if report.accepted { Ok(()) } else { Err(Failure::Reported) }
}

fn inspect(keyring: &Keyring, url: &str, now: DateTime<Utc>) -> Report {
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
            (report.answer, report.explanation) = explain_malformed(malformed);
            return report;
        }
    };
    let readings = envelope.date.readings().into_iter().map(|(digits, instant)| Reading {
        digits,
        instant: instant.to_rfc3339_opts(SecondsFormat::Millis, true),
        age_seconds: (now - instant).num_seconds(),
    });
    report.date = Some(DateReport { text: envelope.date.text().to_owned(), readings: readings.collect() });
    report.sender = Some(envelope.sender.clone());
    report.requestor_type = envelope.requestor_type.map(codec::RequestorType::name);
    report.has_iv = Some(envelope.iv.is_some());
    report.ciphertext_bytes = Some(envelope.ciphertext.len());
    report.deviations = envelope.deviations.iter().map(codec::Deviation::name).collect();
    let sender = |pairing: &Pairing| match leg {
        Leg::Request => pairing.fiu == envelope.sender,
        Leg::Callback => pairing.aa == envelope.sender,
    };
    let candidates: Vec<_> = keyring.pairings().filter(|pairing| sender(pairing)).collect();
    if candidates.is_empty() {
        report.answer = "PAIRING_UNKNOWN";
        report.explanation = "no pairing of the keyring has this sender; see `aa-redirect check`".into();
        return report;
    }
    for pairing in candidates {
        if try_pairing(&mut report, pairing, &envelope, leg, now) {
            break;
        }
    }
    report
}

/// Tries one pairing; true where it opened the message.
fn try_pairing(report: &mut Report, pairing: &Pairing, envelope: &Envelope, leg: Leg, now: DateTime<Utc>) -> bool {
    let conventions = &pairing.conventions;
    let scheme = conventions.profile.scheme;
    let instants = envelope.date.instants(conventions.date, conventions.read_date);
    let checked = leg == Leg::Request || conventions.check_resdate;
    let (freshness, stale) = match instants.map(|instants| instants.freshness(now, conventions.max_age)) {
        _ if !checked => ("not checked", None),
        Ok(Freshness::Fresh) => ("inside the window", None),
        Ok(Freshness::Expired) => ("older than the window", Some("DATE_EXPIRED")),
        Ok(Freshness::InFuture) => ("ahead of the window", Some("DATE_IN_FUTURE")),
        Err(problem) => (problem, Some("DATE_MALFORMED")),
    };
    let mut tried = PairingReport {
        fiu: pairing.fiu.clone(),
        aa: pairing.aa.clone(),
        profile: conventions.profile.name,
        scheme: scheme.name(),
        max_age_seconds: conventions.max_age.num_seconds(),
        freshness,
        secrets: Vec::new(),
    };
    if envelope.iv_for(scheme).is_none() {
        // Where another pairing fits the scheme, its answer tells more.
        if report.answer.is_empty() {
            report.answer = "SCHEME_MISMATCH";
            report.explanation = format!(
                "the message has {} iv, and the scheme of profile {} is {}; sender and keyring follow different versions",
                if envelope.iv.is_some() { "an" } else { "no" },
                conventions.profile.name,
                scheme.name()
            );
        }
        report.pairings.push(tried);
        return false;
    }
    let mut opened = None;
    for (at, secret) in pairing.secrets.iter().enumerate() {
        let key = secret.derive(scheme, envelope.date.text());
        let result = match leg {
            Leg::Request => codec::open_redirect(envelope, &key, conventions).map(|(redirect, deviations)| {
                (redirect_members(&redirect), deviations, pairing.redirect_hosts.allow(&redirect.redirect), None)
            }),
            Leg::Callback => codec::open_callback(envelope, &key, conventions).map(|(callback, deviations)| {
                (callback_members(&callback), deviations, true, Some(errorcode::text(callback.errorcode)))
            }),
        };
        tried.secrets.push(SecretReport {
            id: secret.id.clone(),
            primary: at == 0,
            opened: result.is_ok(),
            result: result.as_ref().map_or_else(Unopened::to_string, |_| "opened".to_owned()),
        });
        if let Ok(result) = result {
            opened = Some(result);
            break;
        }
    }
    report.pairings.push(tried);
    let Some((members, deviations, host_allowed, error_message)) = opened else {
        report.answer = "UNDECIPHERABLE";
        report.explanation = "no secret of the pairing opens the message; each says above how it failed".into();
        return false;
    };
    report.members = Some(members);
    report.error_message = error_message;
    report.deviations = Deviations::iter(deviations).map(codec::Deviation::name).collect();
    (report.answer, report.explanation) = match (stale, host_allowed) {
        (Some(reason), _) => (reason, format!("the message opens, but its date is refused: {freshness}")),
        (None, false) => ("UNDECIPHERABLE", "the redirect's host is not among redirect_hosts".to_owned()),
        (None, true) => ("OK", "the service accepts this message now".to_owned()),
    };
    report.accepted = report.answer == "OK";
    true
}

fn explain_malformed(malformed: Malformed) -> (&'static str, String) {
    match malformed {
        Malformed::Url(UrlProblem::Missing(name) | UrlProblem::OtherLeg(name)) => {
            ("URL_MALFORMED", format!("the query of the URL has no `{name}`"))
        }
        Malformed::Url(UrlProblem::Repeated(name)) => ("URL_MALFORMED", format!("the URL has `{name}` more than once")),
        Malformed::Date { .. } => ("DATE_MALFORMED", malformed.to_string()),
        Malformed::Parameter { .. } => ("PARAMETER_MALFORMED", malformed.to_string()),
    }
}

fn redirect_members(redirect: &codec::members::Redirect) -> Vec<Member> {
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

fn callback_members(callback: &codec::members::Callback) -> Vec<Member> {
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
