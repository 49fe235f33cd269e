//! The two kinds of message: what opens them, and where they lead a browser.

use crate::{
    codec::{
        self, Envelope, Opened, Parties, Unopened,
        kdf::Key,
        members::{Callback, Redirect},
        profile::Conventions,
        url::Leg,
    },
    keyring::Pairing,
};

use super::{Differences, Expected};

/// A message of one leg.
pub trait Message: Sized {
    /// Its leg.
    const LEG: Leg;

    /// Opens `envelope` with a key derived from a secret and the envelope's date.
    ///
    /// # Errors
    /// Why the key does not open it.
    fn open(
        envelope: &Envelope,
        key: &Key,
        conventions: &Conventions,
        parties: Parties<'_>,
    ) -> Result<Opened<Self>, Unopened>;

    /// The URL that the message would lead a browser to, if it names one.
    fn target(&self) -> Option<&str>;

    /// Where the message of `pairing` differs from the `expected` one; `None` if it does not.
    fn differences(&self, pairing: &Pairing, expected: &Expected<'_>) -> Option<Differences>;
}

impl Message for Redirect {
    const LEG: Leg = Leg::Request;

    fn open(
        envelope: &Envelope,
        key: &Key,
        conventions: &Conventions,
        parties: Parties<'_>,
    ) -> Result<Opened<Self>, Unopened> {
        codec::open_redirect(envelope, key, conventions, parties)
    }

    fn target(&self) -> Option<&str> {
        Some(&self.redirect)
    }

    /// Nobody expects a request: it begins a redirect.
    fn differences(&self, _: &Pairing, _: &Expected<'_>) -> Option<Differences> {
        None
    }
}

impl Message for Callback {
    const LEG: Leg = Leg::Callback;

    fn open(
        envelope: &Envelope,
        key: &Key,
        conventions: &Conventions,
        parties: Parties<'_>,
    ) -> Result<Opened<Self>, Unopened> {
        codec::open_callback(envelope, key, conventions, parties)
    }

    fn target(&self) -> Option<&str> {
        None
    }

    fn differences(&self, pairing: &Pairing, expected: &Expected<'_>) -> Option<Differences> {
        Differences::of(self, pairing, expected)
    }
}
