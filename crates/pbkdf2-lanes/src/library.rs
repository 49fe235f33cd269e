//! PBKDF2 by the `pbkdf2` crate: what every processor can run, and what every kernel is compared with.

use sha2::Sha256;

use crate::{Input, Key};

/// Writes the key of `input` with this many rounds.
pub(crate) fn library(input: &Input<'_>, rounds: u32, key: &mut Key) {
    pbkdf2::pbkdf2_hmac::<Sha256>(input.password, input.salt, rounds, key);
}
