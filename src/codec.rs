//! The format: seals and opens messages.
//!
//! Pure: no clock, no randomness, no I/O, and no other module of ours. A message is read in two steps, because dates,
//! ids and lengths must be checked before a key is derived: an [`Envelope`] needs no key, [`open()`] needs
//! one. Every repair is reported with its place ([`Deviations`]).

#![forbid(unsafe_code)]

pub mod base64;
pub mod cipher;
pub mod date;
mod deviation;
mod envelope;
pub mod errorcode;
pub mod form;
pub mod kdf;
pub mod mask;
pub mod members;
mod open;
pub mod profile;
mod scan;
mod seal;
mod tag;
pub mod url;

pub use deviation::{Deviation, Deviations, EXTRA, Place, WHOLE};
pub use envelope::{Envelope, Malformed, ParameterProblem};
pub use open::{Members, Opened, Unopened, open};
pub use seal::{Seal, Sealed, ciphertext_length, seal};

use url::Leg;

/// The most bytes of an FIU's or AA's id.
pub const MAX_ID: usize = 128;

/// The two parties of a message. An unknown id is empty.
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

    /// The id of the party that sends the messages of `leg`.
    fn sender(self, leg: Leg) -> &'a str {
        match leg {
            Leg::Request => self.fiu,
            Leg::Callback => self.aa,
        }
    }
}

/// The URL parameter `requestorType`: who asks for the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestorType {
    /// A Financial Information User.
    Fiu,
    /// A Lending Service Provider.
    Lsp,
}

impl RequestorType {
    /// The text before masking.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fiu => "FIU",
            Self::Lsp => "LSP",
        }
    }

    fn named(name: &[u8]) -> Option<Self> {
        [Self::Fiu, Self::Lsp].into_iter().find(|kind| kind.name().as_bytes() == name)
    }
}
