//! Which pairing a message belongs to.

use std::sync::Arc;

use crate::{
    codec::url::Leg,
    keyring::{Keyring, Pairing, Unpicked},
};

use super::Refused;

/// The two parties of a message, as far as they are known; an id that is not known is empty.
#[derive(Clone, Copy, Debug)]
pub struct Parties<'a> {
    /// The FIU's id.
    pub fiu: &'a str,
    /// The AA's id.
    pub aa: &'a str,
}

impl<'a> Parties<'a> {
    /// The parties of a message of `leg` that `sender` wrote to `receiver`.
    pub fn of(leg: Leg, sender: &'a str, receiver: &'a str) -> Self {
        match leg {
            Leg::Request => Self { fiu: sender, aa: receiver },
            Leg::Callback => Self { fiu: receiver, aa: sender },
        }
    }
}

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
