//! The two kinds of message: where they lead a browser, and whether they are what their receiver expects.

use crate::{
    codec::{
        Members,
        members::{Callback, Redirect},
    },
    keyring::Pairing,
};

use super::{Differences, Expected};

/// A message of one leg.
pub trait Message: Members {
    /// The URL to which the message sends a browser, if it names one.
    fn target(&self) -> Option<&str>;

    /// The fields in which the message of `pairing` differs from the `expected` one; `None` if it does not differ.
    fn differences(&self, pairing: &Pairing, expected: &Expected<'_>) -> Option<Differences>;
}

impl Message for Redirect {
    fn target(&self) -> Option<&str> {
        Some(&self.redirect)
    }

    /// A request begins a redirect, so no record of it exists to compare with.
    fn differences(&self, _: &Pairing, _: &Expected<'_>) -> Option<Differences> {
        None
    }
}

impl Message for Callback {
    fn target(&self) -> Option<&str> {
        None
    }

    fn differences(&self, pairing: &Pairing, expected: &Expected<'_>) -> Option<Differences> {
        Differences::of(self, pairing, expected)
    }
}
