//! Connects the metrics to the counters of other modules.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::{
    exchange::Exchange,
    files::reload::Outcome,
    keyring,
    keys::{KdfPool, QUEUE},
    memory::{Answer, BOUNDS, Memory, Operation},
    server::tls,
    telemetry::{
        Telemetry,
        metrics::{Reading, Source, StoreReading},
    },
};

/// Counters of keys and failures, and the end of the certificate.
pub(super) fn readings(telemetry: &Arc<Telemetry>, exchange: &Arc<Exchange>, tls: Option<&Arc<tls::Served>>) {
    let keys = |reading, read: fn(&KdfPool) -> u64| {
        let keys = Arc::clone(exchange.keys());
        telemetry.metrics.observe(reading, move || read(&keys));
    };
    keys(Reading::Derivations, KdfPool::derivations);
    keys(Reading::DerivationsRefused, KdfPool::refused);
    keys(Reading::DerivationQueue, |keys| keys.waiting() as u64);
    keys(Reading::DerivationQueueLimit, |_| QUEUE as u64);
    keys(Reading::KdfThreads, |keys| keys.threads().into());
    keys(Reading::DerivedKeys, |keys| keys.remembered() as u64);
    let hearer = Arc::clone(telemetry);
    exchange.keys().on_wait(move |wait| hearer.metrics.derivation_waited(wait));
    let memory = |reading, read: fn(&Memory) -> u64| {
        let memory = Arc::clone(exchange.memory());
        telemetry.metrics.observe(reading, move || read(&memory));
    };
    memory(Reading::FailureBudgetSpent, Memory::spent);
    memory(Reading::FailureBudgetRefused, Memory::refused);
    memory(Reading::OpenedMemoryFull, Memory::full);
    if exchange.memory().store_counts().is_some() {
        let memory = Arc::clone(exchange.memory());
        telemetry.metrics.observe_store(move || store(&memory));
    }
    if let Some(tls) = tls.cloned() {
        // A certificate that ended before 1970 is expired, and 0 says so too.
        let seconds = |end: DateTime<Utc>| u64::try_from(end.timestamp()).unwrap_or(0);
        // A setting says whether there are client CAs. A reload does not change it.
        if tls.current().client_ca_not_after.is_some() {
            let tls = Arc::clone(&tls);
            let expiry = move || tls.current().client_ca_not_after.map_or(0, seconds);
            telemetry.metrics.observe(Reading::ClientCaExpiry, expiry);
        }
        telemetry.metrics.observe(Reading::CertificateExpiry, move || seconds(tls.current().not_after));
    }
}

/// The counts of the store. The memory must have a store.
#[allow(clippy::cast_precision_loss, reason = "a float is what the format has")]
#[expect(clippy::expect_used, reason = "a memory has a store from its start to its end, or none")]
fn store(memory: &Memory) -> StoreReading {
    let counts = memory.store_counts().expect("only a memory with a store is observed");
    let answers =
        |(operation, name)| Answer::ALL.map(|(answer, outcome)| (name, outcome, counts.answers(operation, answer)));
    let bounds = BOUNDS.iter().map(|&bound| bound as f64 / 1e6).chain([f64::INFINITY]);
    StoreReading {
        is_up: memory.store_is_up() == Some(true),
        operations: Operation::ALL.into_iter().flat_map(answers).collect(),
        times: bounds.zip(counts.times()).collect(),
        total: counts.total().as_secs_f64(),
    }
}

/// Counts checks and reloads. After a reload of the keyring it forgets pairings and secrets that are no longer there.
pub(super) fn reloads(
    telemetry: &Arc<Telemetry>,
    keys: &Arc<KdfPool>,
    keyring: &Arc<keyring::Served>,
) -> impl Fn(&'static str, &Outcome) + use<> {
    let (telemetry, keys, keyring) = (Arc::clone(telemetry), Arc::clone(keys), Arc::clone(keyring));
    let served = Arc::clone(&keyring);
    telemetry.metrics.observe_keyring(move || served.current().fingerprint());
    move |source, outcome| {
        let source = match source {
            "keyring" => Source::Keyring,
            "callers" => Source::Callers,
            "certificates" => Source::Certificates,
            other => unreachable!("no source is named {other}"),
        };
        let metrics = &telemetry.metrics;
        metrics.failing(source, !matches!(outcome, Outcome::Unchanged | Outcome::Applied(_)));
        if *outcome != Outcome::Late {
            metrics.checked(source, Utc::now().timestamp());
        }
        let applied = match outcome {
            Outcome::Applied(_) => true,
            Outcome::Refused(_) => false,
            Outcome::Unchanged | Outcome::StillRefused(_) | Outcome::Late => return,
        };
        metrics.reloaded(source, applied);
        if applied && source == Source::Keyring {
            let keyring = keyring.current();
            tracing::info!(fingerprint = keyring.fingerprint(), "keyring");
            keys.forget_before(&keyring);
            metrics.retain_pairings(|fiu, aa| keyring.holds(fiu, aa));
        }
    }
}
