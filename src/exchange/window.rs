//! Whether a message's date lies inside the window of its pairing; needs no key.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    codec::{
        Envelope,
        date::{Freshness, Instants, clock_fault},
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
    /// The pairing's window, before and after now.
    pub max_age: TimeDelta,
    /// Whether the date lies inside; `None` if the pairing does not check it.
    pub freshness: Option<Freshness>,
}

impl Window {
    /// Compares the date of a message of `pairing` with the window at `now`.
    ///
    /// # Errors
    /// [`Refused::SchemeMismatch`] and [`Refused::DateMalformed`].
    pub fn of(pairing: &Pairing, envelope: &Envelope, leg: Leg, now: DateTime<Utc>) -> Result<Self, Refused> {
        let conventions = &pairing.conventions;
        let scheme = conventions.profile.scheme;
        envelope.iv_for(scheme).ok_or(Refused::SchemeMismatch(scheme))?;
        let max_age = conventions.max_age;
        let text = envelope.date.text();
        let instants = envelope
            .date
            .instants(conventions.date, conventions.read_date)
            .map_err(|problem| Refused::DateMalformed { leg, problem, fault: clock_fault(text, now, max_age) })?;
        let checked = leg == Leg::Request || conventions.check_resdate;
        let freshness = checked.then(|| instants.freshness(now, max_age));
        Ok(Self { instants, age: now - instants.issue, max_age, freshness })
    }

    /// Whether the date, written as `text`, may be accepted at `now`.
    ///
    /// # Errors
    /// [`Refused::DateExpired`] and [`Refused::DateInFuture`], with the common mistake that explains it.
    pub fn check(&self, leg: Leg, text: &str, now: DateTime<Utc>) -> Result<(), Refused> {
        let (age, max_age) = (self.age.num_seconds(), self.max_age.num_seconds());
        let fault = || clock_fault(text, now, self.max_age);
        match self.freshness {
            None | Some(Freshness::Fresh) => Ok(()),
            Some(Freshness::Expired) => Err(Refused::DateExpired { leg, age, max_age, fault: fault() }),
            Some(Freshness::InFuture) => Err(Refused::DateInFuture { leg, age, max_age, fault: fault() }),
        }
    }

    /// The last instant at which a message with this date can still be accepted; `None` if the date never expires.
    pub fn end(&self) -> Option<DateTime<Utc>> {
        self.freshness.map(|_| self.instants.last + self.max_age)
    }
}
