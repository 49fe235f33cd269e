//! Which pairing a message belongs to.

use std::sync::Arc;

use crate::{
    codec::{Parties, url::Leg},
    keyring::{Keyring, Pairing, Unpicked},
};

use super::Refused;

/// The pairing of `parties` in a message of `leg`, among those that are `usable`. The receiver may be empty if one
/// pairing fits the sender.
///
/// # Errors
/// [`Refused::PairingUnknown`] and [`Refused::PairingAmbiguous`].
pub fn pick(
    keyring: &Keyring,
    leg: Leg,
    parties: Parties<'_>,
    usable: impl Fn(&Pairing) -> bool,
) -> Result<Arc<Pairing>, Refused> {
    let picked = match leg {
        Leg::Request => keyring.of_fiu(parties.fiu, parties.aa, usable),
        Leg::Callback => keyring.of_aa(parties.aa, parties.fiu, usable),
    };
    picked.cloned().map_err(|unpicked| match unpicked {
        Unpicked::Unknown => Refused::PairingUnknown,
        Unpicked::Ambiguous => Refused::PairingAmbiguous,
    })
}
