//! Says everything about one message: its contents, the answer of the service, and what the sender did wrong.
//!
//! It is for the operator who holds the secrets, and works offline: it says what the service must not say. `inspect`
//! prints it. The answer that the service would give comes from [`Exchange::open`], which the service uses too.

use chrono::{DateTime, Utc};

use crate::{
    codec::{
        self, Deviations, Envelope, Parties,
        date::Freshness,
        members::{Callback, Redirect},
        url::{Leg, leg_of},
    },
    exchange::{self, Exchange, Question, Refused, Tried, Verdict, Window, Witness},
    keyring::{Keyring, Pairing},
    service::error::{Refusal, reason_name},
};

mod advice;
mod decrypt;
mod derivation;
mod forms;
mod material;
mod members;
mod partial;
mod paste;
mod recipes;
mod report;
mod text;

pub use report::{DateReport, DeviationReport, Member, PairingReport, Reading, Report, SearchReport, SecretReport};

use material::Material;
use members::Listed;
use paste::Pasted;
use recipes::{Found, Search};

/// The input of a diagnosis.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The pasted URL or query string.
    pub text: &'a str,
    /// Only pairings of this FIU, if it is named.
    pub fiu: Option<&'a str>,
    /// Only pairings of this AA, if it is named.
    pub aa: Option<&'a str>,
    /// Now.
    pub now: DateTime<Utc>,
}

/// The cause if a text has no message.
const NOTHING: &str =
    "The text has no parameter of a request (fi, reqdate, ecreq) or of a callback (fi, resdate, ecres).";

/// An operator opens a message even if its date is refused.
struct Operator;

impl Witness for Operator {
    fn goes_on(&self) -> bool {
        true
    }
}

impl Asked<'_> {
    fn is_about(&self, pairing: &Pairing) -> bool {
        self.fiu.is_none_or(|fiu| fiu == pairing.fiu) && self.aa.is_none_or(|aa| aa == pairing.aa)
    }
}

/// The URL or query string in a pasted text, as [`diagnose`] finds it.
pub fn message_in(text: &str) -> String {
    Pasted::of(text).url
}

/// The report on a message. It derives keys, for up to ten seconds if the message does not open. Never call it on an
/// async thread that others need.
pub async fn diagnose(exchange: &Exchange, keyring: &Keyring, asked: Asked<'_>) -> Report {
    let pasted = Pasted::of(asked.text);
    let url = &*pasted.url;
    let named = leg_of(url);
    let (shown, cause) = match named {
        Some(Leg::Request) => ("request (FIU to AA)", None),
        Some(Leg::Callback) => ("callback (AA to FIU)", None),
        None => ("not known", Some(NOTHING.to_owned())),
    };
    let mut report = Report { removed: pasted.removed, leg: shown, cause, ..Report::default() };
    let leg = named.unwrap_or(Leg::Request);
    let read = exchange::read(keyring, leg, Envelope::from_url(url, leg), asked.now, |pairing| asked.is_about(pairing));
    match read {
        Ok(envelope) => report.open(exchange, keyring, &envelope, leg, asked).await,
        Err(unread) => {
            report.parameters = members::of_url(url, leg);
            report.cause = paste::advice(url).map(str::to_owned).or(report.cause);
            report.refuse(&Refusal::Unread(leg, unread));
        }
    }
    if report.members.is_none()
        && let Some(material) = Material::of(url, leg)
    {
        report.search(&material, keyring, asked);
    }
    report
}

impl Report {
    /// Opens the message with each pairing of its sender, so that one answer never hides another.
    async fn open(&mut self, exchange: &Exchange, keyring: &Keyring, envelope: &Envelope, leg: Leg, asked: Asked<'_>) {
        self.envelope(envelope, asked.now);
        let receivers: Vec<&str> = keyring
            .pairings()
            .filter(|pairing| asked.is_about(pairing))
            .filter_map(|pairing| match leg {
                Leg::Request => (pairing.fiu == envelope.sender).then_some(&*pairing.aa),
                Leg::Callback => (pairing.aa == envelope.sender).then_some(&*pairing.fiu),
            })
            .collect();
        if receivers.is_empty() {
            let parties = Parties::of(leg, &envelope.sender, "");
            if let Err(refused) = exchange::pick(keyring, leg, parties, |pairing| asked.is_about(pairing)) {
                self.refuse(&Refusal::of(refused, parties));
            }
        }
        for receiver in receivers {
            let question = Question { keyring, envelope, receiver, now: asked.now, asked: exchange::Asked::default() };
            let opened = match leg {
                Leg::Request => self.verdict(exchange.open::<Redirect>(question, &Operator).await),
                Leg::Callback => self.verdict(exchange.open::<Callback>(question, &Operator).await),
            };
            if opened {
                break;
            }
        }
    }

    /// Adds everything that can be read without a key.
    fn envelope(&mut self, envelope: &Envelope, now: DateTime<Utc>) {
        let readings = envelope.date.readings().into_iter().map(|reading| Reading::of(reading, now));
        self.date = Some(DateReport { text: envelope.date.text().to_owned(), readings: readings.collect() });
        self.sender = Some(envelope.sender.clone());
        self.requestor_type = envelope.requestor_type.map(codec::RequestorType::name);
        self.has_iv = Some(envelope.iv.is_some());
        self.ciphertext_bytes = Some(envelope.ciphertext.len());
        self.deviate(&envelope.deviations);
    }

    fn deviate(&mut self, deviations: &Deviations) {
        self.deviations = deviations.kinds().map(codec::Deviation::name).collect();
        let detail = |(deviation, place): (codec::Deviation, codec::Place)| DeviationReport {
            deviation: deviation.name(),
            place,
            advice: advice::advice(deviation, place),
        };
        self.deviation_details = deviations.details().map(detail).collect();
    }

    /// Adds what a caller of the service would read.
    fn refuse(&mut self, refusal: &Refusal) {
        self.answer = reason_name(refusal.reason());
        self.explanation = refusal.message();
        self.hint = refusal.hint();
    }

    /// Adds a verdict; true if it opened the message.
    fn verdict<M: Listed>(&mut self, verdict: Verdict<M>) -> bool {
        let Verdict { pairing, window, tried, opened, refused, .. } = verdict;
        let Some(pairing) = pairing else { return false };
        let result = |&Tried { secret, why }: &Tried| SecretReport::of(&pairing, secret, false, why.to_string());
        let mut secrets: Vec<SecretReport> = tried.iter().map(result).collect();
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
        self.answer(refused, &pairing, opened.is_some());
        let Some(opened) = opened else { return false };
        self.members = Some(opened.message.members());
        self.error_message = opened.message.error_message();
        self.authenticated = Some(opened.authenticated);
        self.deviate(&opened.deviations);
        true
    }

    /// Keeps the answer of the pairing that opened the message. If no pairing opens it, keeps the answer of the pairing
    /// that came furthest.
    fn answer(&mut self, refused: Option<Refused>, pairing: &Pairing, opened: bool) {
        let Some(refused) = refused else {
            self.accepted = true;
            self.answer = "OK";
            "the service accepts this message now".clone_into(&mut self.explanation);
            self.hint = None;
            return;
        };
        let step = if opened { u8::MAX } else { step(refused) };
        if self.furthest < Some(step) {
            self.furthest = Some(step);
            self.refuse(&Refusal::of(refused, Parties { fiu: &pairing.fiu, aa: &pairing.aa }));
        }
    }

    /// Searches for what the sender did wrong.
    fn search(&mut self, material: &Material, keyring: &Keyring, asked: Asked<'_>) {
        let (found, search) = Search::new(material).run(keyring, |pairing| asked.is_about(pairing));
        self.search = Some(search);
        match found {
            Found::Recipe { fiu, aa, secret_id, wrong, text } => {
                let opens = format!("The message opens with the secret {secret_id} of FIU {fiu} with AA {aa}");
                self.cause = Some(if wrong.is_empty() {
                    format!("{opens}, and it is sealed rightly: only what the answer names is wrong.")
                } else {
                    format!("{opens}, but the sender seals it wrongly: {}.", wrong.join("; "))
                });
                self.recipe = wrong;
                self.members = members::of_text(&text, material.leg);
            }
            Found::Partly { what, text } => {
                self.cause = Some(format!("The message does not open, but {what}."));
                self.members = text.map(|text| members::of_any(&text));
            }
            Found::Nothing => {}
        }
    }
}

/// The step at which a message was refused.
fn step(refused: Refused) -> u8 {
    match refused {
        Refused::PairingUnknown(_) | Refused::PairingAmbiguous | Refused::TooLong => 0,
        Refused::SchemeMismatch(_) => 1,
        Refused::DateMalformed { .. } => 2,
        Refused::DateExpired { .. } | Refused::DateInFuture { .. } => 3,
        Refused::Overloaded(_)
        | Refused::Undecipherable
        | Refused::NotExpected(_)
        | Refused::AlreadyOpened(_)
        | Refused::StoreUnavailable => 4,
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
