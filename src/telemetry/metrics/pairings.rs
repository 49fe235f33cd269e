//! The counts of each pairing. The keyring limits the labels: only its pairings have counts.
//!
//! Replaces `Family` of `prometheus-client`, which hashes all labels for each count; [`super::histogram`] has the
//! figures.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use chrono::TimeDelta;
use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::MetricType,
    registry::Registry,
};

use super::histogram::Histogram;
use crate::codec::{Deviation, Deviations, url::Leg};

const SECOND: i64 = 1_000_000_000;

/// Bounds before and after now, up to five minutes. The default window is 180 seconds.
const SKEW: [i64; 15] = [
    -300 * SECOND,
    -180 * SECOND,
    -120 * SECOND,
    -60 * SECOND,
    -30 * SECOND,
    -10 * SECOND,
    -SECOND,
    0,
    SECOND,
    10 * SECOND,
    30 * SECOND,
    60 * SECOND,
    120 * SECOND,
    180 * SECOND,
    300 * SECOND,
];

/// What happened to a message of a known pairing on decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Opened,
    Undecipherable,
    Expired,
    InFuture,
    SchemeMismatch,
    Overloaded,
}

impl Outcome {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Opened, "opened"),
        (Self::Undecipherable, "undecipherable"),
        (Self::Expired, "expired"),
        (Self::InFuture, "in_future"),
        (Self::SchemeMismatch, "scheme_mismatch"),
        (Self::Overloaded, "overloaded"),
    ];
}

/// The counts of one pairing.
#[derive(Debug)]
pub(crate) struct PairingCounts {
    pub(crate) fiu: Box<str>,
    pub(crate) aa: Box<str>,
    decodes: [[AtomicU64; Outcome::ALL.len()]; 2],
    deviations: [AtomicU64; Deviation::ALL.len()],
    /// A pairing has at most four secrets.
    secrets: RwLock<Vec<Arc<SecretUses>>>,
    skew: Histogram,
}

/// How often one secret opened a message.
#[derive(Debug)]
pub(crate) struct SecretUses {
    pub(crate) id: Box<str>,
    pub(crate) count: AtomicU64,
}

impl PairingCounts {
    fn new(fiu: &str, aa: &str) -> Self {
        Self {
            fiu: fiu.into(),
            aa: aa.into(),
            decodes: Default::default(),
            deviations: Default::default(),
            secrets: RwLock::default(),
            skew: Histogram::new(&SKEW),
        }
    }

    /// Adds the counts of another pairing. The counts of its secrets lose their ids.
    fn add(&self, other: &Self) {
        let add = |(cell, more): (&AtomicU64, &AtomicU64)| {
            cell.fetch_add(more.load(Relaxed), Relaxed);
        };
        self.decodes.iter().flatten().zip(other.decodes.iter().flatten()).for_each(add);
        self.deviations.iter().zip(&other.deviations).for_each(add);
        self.skew.add(&other.skew);
        for secret in &*other.secrets.read().unwrap_or_else(PoisonError::into_inner) {
            add((&self.secret("*").count, &secret.count));
        }
    }

    pub(crate) fn decoded(&self, leg: Leg, outcome: Outcome) {
        self.decodes[leg as usize][outcome as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn deviated(&self, deviations: &Deviations) {
        for deviation in deviations.kinds() {
            self.deviations[deviation as usize].fetch_add(1, Relaxed);
        }
    }

    #[expect(clippy::expect_used, reason = "a day is far inside the range of nanoseconds")]
    pub(crate) fn date_skew(&self, skew: TimeDelta) {
        // A forged date may be centuries away.
        let bounded = skew.clamp(-TimeDelta::days(1), TimeDelta::days(1));
        self.skew.observe(bounded.num_nanoseconds().expect("a day has under 2^63 nanoseconds"));
    }

    pub(crate) fn secret(&self, id: &str) -> Arc<SecretUses> {
        let find = |secrets: &Vec<Arc<SecretUses>>| secrets.iter().find(|secret| &*secret.id == id).map(Arc::clone);
        let found = find(&self.secrets.read().unwrap_or_else(PoisonError::into_inner));
        found.unwrap_or_else(|| {
            let mut secrets = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
            find(&secrets).unwrap_or_else(|| {
                let secret = Arc::new(SecretUses { id: id.into(), count: AtomicU64::new(0) });
                secrets.push(Arc::clone(&secret));
                secret
            })
        })
    }
}

type ByFiu = HashMap<Box<str>, HashMap<Box<str>, Arc<PairingCounts>>>;

/// The counts of every pairing that has had a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairings {
    met: Arc<RwLock<ByFiu>>,
    /// Whether the metrics show all pairings as one.
    merged: Arc<AtomicBool>,
}

impl Pairings {
    /// The counts of a pairing that the keyring holds.
    pub(crate) fn of(&self, fiu: &str, aa: &str) -> Arc<PairingCounts> {
        let met = self.met.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counts) = met.get(fiu).and_then(|of_fiu| of_fiu.get(aa)) {
            return Arc::clone(counts);
        }
        drop(met);
        let mut met = self.met.write().unwrap_or_else(PoisonError::into_inner);
        let of_fiu = met.entry(fiu.into()).or_default();
        Arc::clone(of_fiu.entry(aa.into()).or_insert_with(|| Arc::new(PairingCounts::new(fiu, aa))))
    }

    /// Shows all pairings as one from now on.
    pub(crate) fn merge(&self) {
        self.merged.store(true, Relaxed);
    }

    /// Drops the pairings for which `held` (FIU's id, AA's id) is false. Merged ones stay: their counts must not fall.
    pub(crate) fn retain(&self, held: impl Fn(&str, &str) -> bool) {
        if self.merged.load(Relaxed) {
            return;
        }
        let mut met = self.met.write().unwrap_or_else(PoisonError::into_inner);
        met.retain(|fiu, of_fiu| {
            of_fiu.retain(|aa, _| held(fiu, aa));
            !of_fiu.is_empty()
        });
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let family = |metric_type, encode: Encode| PairingFamily { pairings: self.clone(), metric_type, encode };
        registry.register(
            "decodes",
            "Messages of known pairings on decode, by outcome",
            family(MetricType::Counter, encode_decodes),
        );
        registry.register(
            "deviations",
            "Repairs that opened messages needed, by kind",
            family(MetricType::Counter, encode_deviations),
        );
        registry.register(
            "secret_uses",
            "Messages opened, by the id of the secret that opened them",
            family(MetricType::Counter, encode_secrets),
        );
        registry.register(
            "date_skew_seconds",
            "Now minus the date of messages of known pairings; up to 60 seconds too much if the date has no seconds",
            family(MetricType::Histogram, encode_skew),
        );
    }
}

type Encode = fn(&PairingCounts, &mut MetricEncoder<'_>) -> fmt::Result;

/// One metric of all pairings.
#[derive(Debug)]
struct PairingFamily {
    pairings: Pairings,
    metric_type: MetricType,
    encode: Encode,
}

impl EncodeMetric for PairingFamily {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let met = self.pairings.met.read().unwrap_or_else(PoisonError::into_inner);
        let mut all = met.values().flat_map(HashMap::values);
        if !self.pairings.merged.load(Relaxed) {
            return all.try_for_each(|counts| (self.encode)(counts, &mut encoder));
        }
        let sum = PairingCounts::new("*", "*");
        all.for_each(|counts| sum.add(counts));
        (self.encode)(&sum, &mut encoder)
    }

    fn metric_type(&self) -> MetricType {
        self.metric_type
    }
}

fn encode_decodes(counts: &PairingCounts, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
    for (leg, name) in [(Leg::Request, "request"), (Leg::Callback, "callback")] {
        for (outcome, outcome_name) in Outcome::ALL {
            let labels = [("fiu", &*counts.fiu), ("aa", &*counts.aa), ("leg", name), ("outcome", outcome_name)];
            encode_counter(encoder, &labels, &counts.decodes[leg as usize][outcome as usize])?;
        }
    }
    Ok(())
}

fn encode_deviations(counts: &PairingCounts, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
    for (deviation, count) in Deviation::ALL.into_iter().zip(&counts.deviations) {
        if count.load(Relaxed) > 0 {
            let labels = [("fiu", &*counts.fiu), ("aa", &*counts.aa), ("deviation", deviation.name())];
            encode_counter(encoder, &labels, count)?;
        }
    }
    Ok(())
}

fn encode_secrets(counts: &PairingCounts, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
    for secret in &*counts.secrets.read().unwrap_or_else(PoisonError::into_inner) {
        let labels = [("fiu", &*counts.fiu), ("aa", &*counts.aa), ("secret", &*secret.id)];
        encode_counter(encoder, &labels, &secret.count)?;
    }
    Ok(())
}

fn encode_skew(counts: &PairingCounts, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
    if counts.skew.is_empty() {
        return Ok(());
    }
    counts.skew.encode(encoder.encode_family(&[("fiu", &*counts.fiu), ("aa", &*counts.aa)])?)
}

fn encode_counter<const N: usize>(
    encoder: &mut MetricEncoder<'_>,
    labels: &[(&str, &str); N],
    count: &AtomicU64,
) -> fmt::Result {
    encoder.encode_family(labels)?.encode_counter::<NoLabelSet, u64, u64>(&count.load(Relaxed), None)
}
