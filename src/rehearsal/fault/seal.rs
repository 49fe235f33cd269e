//! Seals a message with a fault: with the steps of the service, one of them wrong.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use zeroize::Zeroizing;

use crate::{
    codec::{
        self, Deviation, Parties, RequestorType, Seal, Sealed,
        date::{DateStyle, WireDate},
        kdf::{self, Key},
        profile::{Conventions, PROFILES, Scheme},
        url::Leg,
    },
    keyring::Pairing,
};

use super::{Fault, Impossible, parameters, splice, text};

/// How far a wrong date lies outside the window: a date of 15 digits names only a minute.
const MARGIN: TimeDelta = TimeDelta::seconds(120);

/// How many dates are tried for a ciphertext with certain characters, and the time between two of them. In every style
/// they are different.
const DATES: i32 = 20;
const STEP: TimeDelta = TimeDelta::milliseconds(100);

/// A message that is ready to be sealed.
pub(in crate::rehearsal) struct Draft {
    pub(in crate::rehearsal) leg: Leg,
    pub(in crate::rehearsal) pairing: Arc<Pairing>,
    /// The place of the secret in the list of the pairing.
    pub(in crate::rehearsal) secret: usize,
    pub(in crate::rehearsal) requestor_type: Option<RequestorType>,
    /// The date that the right message has.
    pub(in crate::rehearsal) date: String,
    /// The members as the service writes them.
    pub(in crate::rehearsal) text: Zeroizing<String>,
    /// The URL to which the parameters are appended.
    pub(in crate::rehearsal) base: String,
    pub(in crate::rehearsal) now: DateTime<Utc>,
}

impl Draft {
    /// The URL of the message with `fault`. Derives keys: never call it on an async thread.
    ///
    /// # Errors
    /// If this message cannot show the fault.
    pub(in crate::rehearsal) fn url(&self, fault: Fault) -> Result<String, Impossible> {
        let date = self.date(fault);
        if fault == Fault::Stale && WireDate::parse(&date).is_err() {
            return Err(Impossible("the window of the pairing begins before the year 2000"));
        }
        let first = self.url_of(fault, date);
        if !matches!(fault, Fault::Deviates(Deviation::Base64Alphabet | Deviation::PlusAsSpace)) {
            return first;
        }
        // A ciphertext has the characters only by chance. Each other date is another chance.
        (1..=DATES).fold(first, |found, step| {
            found.or_else(|_| self.url_of(fault, self.pairing.conventions.date.write(self.now - STEP * step)))
        })
    }

    fn url_of(&self, fault: Fault, date: String) -> Result<String, Impossible> {
        let conventions = self.conventions(fault);
        let key = self.key(fault, conventions.profile.scheme, &date);
        let sealed = self.seal(fault, date, &key, &conventions);
        let sealed = match fault {
            Fault::Spliced => splice::spliced(sealed, &self.text, &key, (self.leg, self.parties()), &conventions)?,
            _ => sealed,
        };
        let query = parameters::query(fault, self.leg, sealed)?;
        Ok(parameters::append(fault, &self.base, &query))
    }

    fn seal(&self, fault: Fault, date: String, key: &Key, conventions: &Conventions) -> Sealed {
        let (leg, requestor_type) = (self.leg, self.requestor_type);
        let text = text::with_fault(fault, leg, &self.text, conventions.lists)
            .map_or_else(|| self.text.clone(), Zeroizing::new);
        let seal = Seal { leg, parties: self.parties(), requestor_type, date, key, random_iv: rand::random() };
        codec::seal(text, seal, conventions)
    }

    fn parties(&self) -> Parties<'_> {
        Parties { fiu: &self.pairing.fiu, aa: &self.pairing.aa }
    }

    /// The conventions of the pairing, or of a profile with the other scheme.
    fn conventions(&self, fault: Fault) -> Conventions {
        let own = self.pairing.conventions;
        let other = PROFILES.iter().find(|profile| profile.scheme != own.profile.scheme);
        match (fault, other) {
            (Fault::OtherScheme, Some(profile)) => Conventions { profile, ..own },
            _ => own,
        }
    }

    fn date(&self, fault: Fault) -> String {
        let Conventions { date: style, max_age, .. } = self.pairing.conventions;
        match fault {
            Fault::Stale => style.write(self.now - max_age - MARGIN),
            Fault::Ahead => style.write(self.now + max_age + MARGIN),
            Fault::Deviates(Deviation::DateDigits) => {
                let mut date = DateStyle::Full.write(self.now);
                if style == DateStyle::Full {
                    // The date ends with the seconds.
                    date.truncate(14);
                }
                date
            }
            _ => self.date.clone(),
        }
    }

    fn key(&self, fault: Fault, scheme: Scheme, date: &str) -> Key {
        if fault != Fault::WrongSecret {
            return self.pairing.secrets[self.secret].derive(scheme, date);
        }
        let wrong: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
        match scheme {
            Scheme::HkdfIv => kdf::hkdf(&*wrong, date),
            Scheme::Pbkdf2 => kdf::pbkdf2(&*wrong, date),
        }
    }
}
