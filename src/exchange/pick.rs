//! Picks the pairing of a message.

use std::sync::Arc;

use crate::{
    codec::{Parties, form, url::Leg},
    keyring::{Keyring, Pairing, Unpicked},
};

use super::Refused;

/// What is missing among the pairings that the caller may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Any pairing of the FIU.
    Fiu,
    /// Any pairing of the AA.
    Aa,
    /// A pairing of the two; each of them has other pairings.
    Pair,
    /// An AA of the FIU that lists the handle of the user id.
    Handle,
}

impl Missing {
    /// The name of the hint in the interface.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Fiu => "NO_SUCH_FIU",
            Self::Aa => "NO_SUCH_AA",
            Self::Pair => "NO_SUCH_PAIR",
            Self::Handle => "NO_SUCH_HANDLE",
        }
    }

    /// Which of the two parties has no pairing, the sender of `leg` first.
    fn of(keyring: &Keyring, leg: Leg, parties: Parties<'_>, usable: impl Fn(&Pairing) -> bool) -> Self {
        let no_fiu = !parties.fiu.is_empty() && !keyring.knows_fiu(parties.fiu, &usable);
        let no_aa = !parties.aa.is_empty() && !keyring.knows_aa(parties.aa, &usable);
        match (leg, no_fiu, no_aa) {
            (Leg::Request, true, _) | (Leg::Callback, true, false) => Self::Fiu,
            (Leg::Callback, _, true) | (Leg::Request, false, true) => Self::Aa,
            (_, false, false) => Self::Pair,
        }
    }
}

/// The pairing of an FIU whose AA lists the handle of `userid`.
///
/// # Errors
/// [`Refused::PairingUnknown`].
pub fn pick_by_handle(
    keyring: &Keyring,
    fiu: &str,
    userid: &str,
    usable: impl Fn(&Pairing) -> bool,
) -> Result<Arc<Pairing>, Refused> {
    let picked = form::handle(userid).and_then(|handle| keyring.by_handle(fiu, &handle));
    picked.filter(|pairing| usable(pairing)).map(Arc::clone).ok_or_else(|| {
        let missing = if keyring.knows_fiu(fiu, &usable) { Missing::Handle } else { Missing::Fiu };
        Refused::PairingUnknown(missing)
    })
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
        Leg::Request => keyring.of_fiu(parties.fiu, parties.aa, &usable),
        Leg::Callback => keyring.of_aa(parties.aa, parties.fiu, &usable),
    };
    picked.cloned().map_err(|unpicked| match unpicked {
        Unpicked::Unknown => Refused::PairingUnknown(Missing::of(keyring, leg, parties, &usable)),
        Unpicked::Ambiguous => Refused::PairingAmbiguous,
    })
}
