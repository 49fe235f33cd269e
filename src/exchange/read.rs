//! Reads a message without a key, or says why it cannot be read and which common mistake explains it.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    codec::{
        Envelope, Malformed,
        date::{ClockFault, clock_fault},
        url::Leg,
    },
    keyring::{Keyring, Pairing},
};

/// The guidelines' window: the pairing of a malformed date is not known yet.
const WINDOW: TimeDelta = TimeDelta::seconds(180);

/// Why a message cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// The URL, the date or another parameter is malformed.
    Malformed {
        /// What is malformed.
        malformed: Malformed,
        /// The common mistake that writes such a date, if there is one.
        fault: Option<ClockFault>,
    },
    /// `fi` is this id of the keyring or the Base64 of it, not masked with the date.
    NotMasked(String),
}

/// The envelope of a message of `leg`, or why it cannot be read. `usable` says which pairings the caller may use. The
/// answer says nothing about other pairings.
///
/// # Errors
/// The envelope's own, and [`Unread::NotMasked`].
pub fn read(
    keyring: &Keyring,
    leg: Leg,
    envelope: Result<Envelope, Malformed>,
    now: DateTime<Utc>,
    usable: impl Fn(&Pairing) -> bool,
) -> Result<Envelope, Unread> {
    let knows = |id: &str| match leg {
        Leg::Request => keyring.knows_fiu(id, &usable),
        Leg::Callback => keyring.knows_aa(id, &usable),
    };
    let (unmasked, read) = match envelope {
        Ok(envelope) if knows(&envelope.sender) => return Ok(envelope),
        Ok(envelope) => (envelope.unmasked_sender(), Ok(envelope)),
        Err(Malformed::Parameter { parameter, problem, unmasked }) => {
            let malformed = Malformed::Parameter { parameter, problem, unmasked: None };
            (unmasked, Err(Unread::Malformed { malformed, fault: None }))
        }
        Err(malformed) => {
            let fault = match &malformed {
                Malformed::Date { text, .. } => clock_fault(text, now, WINDOW),
                _ => None,
            };
            (None, Err(Unread::Malformed { malformed, fault }))
        }
    };
    match unmasked.filter(|id| knows(id)) {
        Some(id) => Err(Unread::NotMasked(id)),
        None => read,
    }
}
