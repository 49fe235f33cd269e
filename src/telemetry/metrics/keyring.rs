//! The fingerprint of the keyring in effect, so that an operator sees whether all replicas have the same one.

use std::{fmt, sync::OnceLock};

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder, metrics::MetricType};

type Read = Box<dyn Fn() -> String + Send + Sync>;

/// Reads the value when metrics are requested.
#[derive(Default)]
pub(super) struct Fingerprint(OnceLock<Read>);

impl Fingerprint {
    pub(super) fn observe(&self, read: Read) {
        // Only the first reader is kept.
        let _ = self.0.set(read);
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fingerprint").finish_non_exhaustive()
    }
}

impl Collector for Fingerprint {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(read) = self.0.get() else { return Ok(()) };
        let help = "The keyring in effect, by the ids of pairings and secrets and the states of secrets.";
        let mut info = encoder.encode_descriptor("keyring", help, None, MetricType::Info)?;
        info.encode_info(&[("fingerprint", read())])
    }
}
