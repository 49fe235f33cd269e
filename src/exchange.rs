//! Opening and sealing one message: pairing, window, memory, keys, codec, verdict.
//!
//! The service and `inspect` both use this module, so they cannot disagree. [`Exchange::open`] returns every step of
//! its decision. A [`Witness`] sees each step at once and says whether to go on after a refusal.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use thiserror::Error;

use crate::{
    codec::{
        date::{ClockFault, DateProblem},
        profile::Scheme,
        url::Leg,
    },
    keys::KdfPool,
    memory::Memory,
};

mod expected;
mod message;
mod open;
mod pick;
mod read;
mod seal;
mod tick;
mod window;

pub use expected::{Differences, Expected};
pub use message::Message;
pub use open::{Asked, Failure, Opened, Question, Tried, Verdict, Witness};
pub use pick::{Missing, pick, pick_by_handle};
pub use read::{Unread, read};
pub use seal::{MAX_URL, Sealing};
pub use window::Window;

use tick::Ticks;

/// Opens and seals messages with the keys of one pool and one memory.
pub struct Exchange {
    keys: Arc<KdfPool>,
    memory: Arc<Memory>,
    ticks: Ticks,
}

impl Exchange {
    /// An exchange that derives keys in `keys` and remembers messages in `memory`.
    pub fn new(keys: Arc<KdfPool>, memory: Arc<Memory>) -> Self {
        Self { keys, memory, ticks: Ticks::default() }
    }

    /// The pool that derives its keys.
    pub fn keys(&self) -> &Arc<KdfPool> {
        &self.keys
    }

    /// Its memory of messages.
    pub fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }
}

/// Why a message is not opened or sealed. Holds no payload and no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// The keyring has no such pairing, or the caller may not use it.
    #[error("the keyring has no pairing for this sender and receiver")]
    PairingUnknown(Missing),
    /// Several pairings fit.
    #[error("several pairings fit; name the other party")]
    PairingAmbiguous,
    /// The message has an `iv` and the pairing's scheme has none, or the other way round.
    #[error("the message does not fit the pairing's scheme, {}", .0.name())]
    SchemeMismatch(Scheme),
    /// The pairing accepts no reading of the date.
    #[error("{} {problem}", .leg.date_name())]
    DateMalformed {
        /// The leg, which names the date's parameter.
        leg: Leg,
        /// What is wrong with the date.
        problem: DateProblem,
        /// The common mistake that writes such a date, if there is one.
        fault: Option<ClockFault>,
    },
    /// The date is older than the window; both in seconds.
    #[error("the date is {age} s old, and the window is {max_age} s")]
    DateExpired {
        /// The leg, which names the date's parameter.
        leg: Leg,
        /// Now minus the date's instant.
        age: i64,
        /// The window.
        max_age: i64,
        /// The common mistake that writes such a date, if there is one.
        fault: Option<ClockFault>,
    },
    /// The date is ahead of the window; both in seconds.
    #[error("the date's age is {age} s, and the window is {max_age} s")]
    DateInFuture {
        /// The leg, which names the date's parameter.
        leg: Leg,
        /// Now minus the date's instant: negative.
        age: i64,
        /// The window.
        max_age: i64,
        /// The common mistake that writes such a date, if there is one.
        fault: Option<ClockFault>,
    },
    /// Too many keys wait to be derived; try again after this time.
    #[error("too many keys wait to be derived")]
    Overloaded(Duration),
    /// Anything that goes wrong once decryption has begun.
    #[error("no secret of the pairing opens the message")]
    Undecipherable,
    /// The callback opens, but is not the expected one.
    #[error("the callback opens, but differs from the expected one in {}", .0.names())]
    NotExpected(Differences),
    /// The pairing refuses reopenings, and the message was opened before, first at this instant.
    #[error("the message was opened before, and the pairing refuses reopenings")]
    AlreadyOpened(DateTime<Utc>),
    /// The memory cannot record the message now: the shared store does not answer, or the memory of first openings is
    /// full. Nothing was recorded.
    #[error("the message cannot be recorded now, and it must be")]
    StoreUnavailable,
    /// The sealed message would not fit into a URL.
    #[error("the message is too long for a URL")]
    TooLong,
}
