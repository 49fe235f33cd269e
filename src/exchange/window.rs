//! Whether a message's date lies inside the window of its pairing; needs no key.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    codec::{
        Envelope,
        date::{Freshness, Instants},
        url::Leg,
    },
    keyring::Pairing,
};

use super::Refused;

/// Where a message's date lies.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The instants that the date may name.
    pub instants: Instants,
    /// Now minus the instant that the pairing's date style gives.
    pub age: TimeDelta,
    /// The pairing's window, to both sides of now.
    pub max_age: TimeDelta,
    /// Whether the date lies inside; `None` if the pairing does not check it.
    pub freshness: Option<Freshness>,
}

impl Window {
    /// The window of a message of `pairing` at `now`.
    ///
    /// # Errors
    /// [`Refused::SchemeMismatch`] and [`Refused::DateMalformed`].
    pub fn of(pairing: &Pairing, envelope: &Envelope, leg: Leg, now: DateTime<Utc>) -> Result<Self, Refused> {
        let conventions = &pairing.conventions;
        let scheme = conventions.profile.scheme;
        envelope.iv_for(scheme).ok_or(Refused::SchemeMismatch(scheme))?;
        let instants = envelope
            .date
            .instants(conventions.date, conventions.read_date)
            .map_err(|problem| Refused::DateMalformed { leg, problem })?;
        let checked = leg == Leg::Request || conventions.check_resdate;
        let max_age = conventions.max_age;
        let freshness = checked.then(|| instants.freshness(now, max_age));
        Ok(Self { instants, age: now - instants.issue, max_age, freshness })
    }

    /// Whether the date may be accepted.
    ///
    /// # Errors
    /// [`Refused::DateExpired`] and [`Refused::DateInFuture`].
    pub fn check(&self) -> Result<(), Refused> {
        let (age, max_age) = (self.age.num_seconds(), self.max_age.num_seconds());
        match self.freshness {
            None | Some(Freshness::Fresh) => Ok(()),
            Some(Freshness::Expired) => Err(Refused::DateExpired { age, max_age }),
            Some(Freshness::InFuture) => Err(Refused::DateInFuture { age, max_age }),
        }
    }

    /// The last instant at which a message with this date can still be accepted; `None` if the date never ends.
    pub fn end(&self) -> Option<DateTime<Utc>> {
        self.freshness.map(|_| self.instants.last + self.max_age)
    }
}
