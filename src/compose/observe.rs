//! Connects the metrics to the counters of other modules.

use std::sync::Arc;

use crate::{
    exchange::Exchange,
    files::reload::Outcome,
    keyring,
    keys::KdfPool,
    memory::Memory,
    server::tls,
    telemetry::{
        Telemetry,
        metrics::{Reading, Source},
    },
};

/// Counters of keys and failures, and the end of the certificate.
pub(super) fn readings(telemetry: &Telemetry, exchange: &Arc<Exchange>, tls: Option<&Arc<tls::Served>>) {
    let keys = |reading, read: fn(&KdfPool) -> u64| {
        let keys = Arc::clone(exchange.keys());
        telemetry.metrics.observe(reading, move || read(&keys));
    };
    keys(Reading::Derivations, KdfPool::derivations);
    keys(Reading::DerivationsRefused, KdfPool::refused);
    keys(Reading::DerivationQueue, |keys| keys.waiting() as u64);
    keys(Reading::DerivedKeys, |keys| keys.remembered() as u64);
    let memory = |reading, read: fn(&Memory) -> u64| {
        let memory = Arc::clone(exchange.memory());
        telemetry.metrics.observe(reading, move || read(&memory));
    };
    memory(Reading::FailureBudgetSpent, Memory::spent);
    memory(Reading::FailureBudgetRefused, Memory::refused);
    memory(Reading::OpenedMemoryFull, Memory::full);
    if let Some(tls) = tls.cloned() {
        // A certificate that ended before 1970 is expired, which 0 says as well.
        let expiry = move || u64::try_from(tls.current().not_after.timestamp()).unwrap_or(0);
        telemetry.metrics.observe(Reading::CertificateExpiry, expiry);
    }
}

/// Counts reloads; after one of the keyring, forgets what belongs to pairings and secrets that are gone.
pub(super) fn reloads(
    telemetry: &Arc<Telemetry>,
    keys: &Arc<KdfPool>,
    keyring: &Arc<keyring::Served>,
) -> impl Fn(&'static str, &Outcome) + use<> {
    let (telemetry, keys, keyring) = (Arc::clone(telemetry), Arc::clone(keys), Arc::clone(keyring));
    move |source, outcome| {
        let applied = match outcome {
            Outcome::Applied(_) => true,
            Outcome::Refused(_) => false,
            Outcome::Unchanged | Outcome::StillRefused(_) => return,
        };
        let source = match source {
            "keyring" => Source::Keyring,
            "callers" => Source::Callers,
            _ => Source::Certificates,
        };
        telemetry.metrics.reloaded(source, applied);
        if applied && source == Source::Keyring {
            let keyring = keyring.current();
            keys.forget_before(&keyring);
            telemetry.metrics.retain_pairings(|fiu, aa| keyring.holds(fiu, aa));
        }
    }
}
