//! Remembers messages until their dates can no longer be accepted: how often they failed, and which one opened first
//! and when.
//!
//! A decryption has three steps. [`Account::check`] refuses a message whose budget is used up, at no cost.
//! [`Account::begin`] reserves a failure, once the keys are there. [`Attempt::end`] reports the outcome: a failure
//! stays charged, and anything else gives its reservation back.
//!
//! Two hashes name a message: one of its pairing, date and last ciphertext block, and one of all of it. Both legs share
//! them, as they share the key.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use crate::{
    codec::{Envelope, base64::to_hexadecimal, cipher::BLOCK, date::Instants},
    keyring::{Pairing, Reopen},
};

mod budget;
mod opened;
mod own;
mod sketch;
mod store;

pub use budget::Spent;
pub use store::{Answer, BOUNDS, BadStore, Counts, Operation, PasswordFile, StoreSettings};

use own::Own;
use store::{Reservation, Store, Unreserved};

/// How long a retry of a call gets the first answer again.
const RETRY: TimeDelta = TimeDelta::seconds(60);

/// The memory of one server, its own or shared with other servers.
#[derive(Default)]
pub struct Memory {
    own: Own,
    store: Option<Arc<Store>>,
}

/// A message that is to be decrypted.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The pairing of the message.
    pub pairing: &'a Arc<Pairing>,
    /// The received message.
    pub envelope: &'a Envelope,
    /// The instants that its date may name.
    pub instants: &'a Instants,
    /// The last instant at which its date can be accepted; `None` if the date never expires.
    pub end: Option<DateTime<Utc>>,
    /// Now.
    pub now: DateTime<Utc>,
    /// The name of the call, if the caller gives one.
    pub call: Option<CallName<'a>>,
}

/// The name that a caller gives to a call and to every retry of it.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub struct CallName<'a> {
    /// The caller's name; `None` if everybody may call.
    pub caller: Option<&'a str>,
    /// The caller's name for the call.
    pub attempt_id: &'a str,
}

/// The outcome of a decryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The message does not open.
    Failed,
    /// It opens, but is not what the caller expects. From then on it is the only message that may open with its last
    /// block, but it does not count as opened.
    NotExpected,
    /// It opens.
    Opened,
}

/// The answer of the memory to the end of a decryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The message failed: it does not open, or another message with its last block opened before it.
    Failed,
    /// Noted as not expected.
    NotExpected,
    /// Noted as opened.
    Opened(Opening),
    /// Nothing was noted: the memory that the message needs does not answer, or has no room for it.
    Unavailable,
}

/// When a message was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Whether it was opened before.
    pub reopened: bool,
    /// When it was opened first, in whole milliseconds.
    pub first: DateTime<Utc>,
}

/// Why a message must not be decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// A failure budget is used up.
    Spent,
    /// The memory that the message needs does not answer, or has no room for it.
    Unavailable,
}

/// The account of one message.
pub struct Account<'a> {
    store: Option<&'a Arc<Store>>,
    subject: Subject<'a>,
    own: own::Account<'a>,
}

/// A message that is being decrypted. If it is dropped, it counts as a failure.
#[must_use = "dropped, it is a failure"]
pub struct Attempt<'a> {
    account: &'a Account<'a>,
    held: Held<'a>,
}

/// The place where the failure is reserved.
enum Held<'a> {
    Own(own::Attempt<'a>),
    Store(Reservation),
}

impl Memory {
    /// A memory that all servers with this store share.
    ///
    /// # Errors
    /// If the settings name no store.
    pub fn shared(settings: StoreSettings) -> Result<Self, BadStore> {
        Ok(Self { own: Own::default(), store: Some(Arc::new(Store::new(settings)?)) })
    }

    /// Connects to the store, if there is one, so that the first call does not wait for that.
    pub fn start(&self) {
        if let Some(store) = &self.store {
            store.start();
        }
    }

    /// Waits until the store, if there is one, knows the outcome of all messages that were answered.
    pub async fn settled(&self) {
        if let Some(store) = &self.store {
            store.settled().await;
        }
    }

    /// Whether the store answers; `None` without one.
    pub fn store_is_up(&self) -> Option<bool> {
        self.store.as_ref().map(|store| store.is_up())
    }

    /// The counters of the store; `None` without one.
    pub fn store_counts(&self) -> Option<&Counts> {
        self.store.as_ref().map(|store| store.counts())
    }

    /// The account of a message.
    pub fn account<'a>(&'a self, subject: Subject<'a>) -> Account<'a> {
        Account { store: self.store.as_ref(), subject, own: self.own.account(subject) }
    }

    /// How many failure budgets have been used up since the process began.
    pub fn spent(&self) -> u64 {
        self.own.budget.spent() + self.store.as_ref().map_or(0, |store| store.spent())
    }

    /// How many messages were not decrypted because a failure budget was used up, since the process began.
    pub fn refused(&self) -> u64 {
        self.own.budget.refused() + self.store.as_ref().map_or(0, |store| store.refused())
    }

    /// How many messages of pairings that refuse reopenings had no room, since the process began.
    pub fn full(&self) -> u64 {
        self.own.opened.full()
    }
}

impl Account<'_> {
    /// Whether the message may still be decrypted. Call this before any work on the message.
    ///
    /// # Errors
    /// If a failure budget of the message is used up. The refusal is counted.
    pub fn check(&self) -> Result<(), Spent> {
        match self.store {
            // A store is asked once, after the keys are there.
            Some(store) if store.is_closed_for(&self.subject) || !store.is_down(&self.subject) => Ok(()),
            _ => self.own.check(),
        }
    }

    /// Reserves a failure for the decryption. If running decryptions hold the rest of the budget, waits for them, so
    /// that a sound message is not refused because of them.
    ///
    /// # Errors
    /// If the message must not be decrypted.
    pub async fn begin(&self) -> Result<Attempt<'_>, Denied> {
        if let Some(store) = self.store {
            match store.reserve(&self.subject).await {
                Ok(reservation) => return Ok(Attempt { account: self, held: Held::Store(reservation) }),
                Err(Unreserved::Spent) => return Err(Denied::Spent),
                Err(Unreserved::Silent) if store.is_closed_for(&self.subject) => return Err(Denied::Unavailable),
                Err(Unreserved::Silent) => {}
            }
        }
        Ok(Attempt { account: self, held: Held::Own(self.own.begin().await?) })
    }
}

impl Attempt<'_> {
    /// Notes the outcome of the decryption. A failure takes the same step to the store as every other outcome, so that
    /// its time says nothing about the cause.
    pub async fn end(self, outcome: Outcome) -> Ended {
        let Account { subject, own, .. } = self.account;
        let reservation = match self.held {
            Held::Own(attempt) => return attempt.end(outcome),
            Held::Store(reservation) => reservation,
        };
        let closed = reservation.is_closed_for(subject);
        match reservation.resolve(subject, outcome).await {
            Ok(ended) => ended,
            Err(_) if closed => Ended::Unavailable,
            Err(_) => match own.begin().await {
                Ok(attempt) => attempt.end(outcome),
                Err(Denied::Spent) => Ended::Failed,
                Err(Denied::Unavailable) => Ended::Unavailable,
            },
        }
    }
}

impl Subject<'_> {
    /// Whether the memory must keep the first opening of this message.
    fn is_kept(&self) -> bool {
        self.pairing.reopen == Reopen::Refuse
    }
}

fn tell_spent(pairing: &Pairing, of: &'static str) {
    let Pairing { fiu, aa, .. } = pairing;
    tracing::warn!(fiu, aa, of, "a failure budget is spent: messages under it are no longer decrypted");
}

fn tell_changed(pairing: &Pairing) {
    let Pairing { fiu, aa, .. } = pairing;
    tracing::warn!(
        fiu,
        aa,
        "a message ends in the same block as another that opened: one was made from the other, and this one fails"
    );
}

/// The name of this message and of every message that somebody could make from it, for a caller that keeps its own
/// record: the first 16 bytes of SHA-256(FIU id ‖ 0 ‖ AA id ‖ 0 ‖ date ‖ 0 ‖ last ciphertext block), in hexadecimal.
pub fn replay_key(pairing: &Pairing, envelope: &Envelope) -> String {
    let (fiu, aa, date) = (pairing.fiu.as_bytes(), pairing.aa.as_bytes(), envelope.date.text().as_bytes());
    // One digest of the joined parts costs less than a hash that is fed part by part.
    let hash = Sha256::digest([fiu, aa, date, last_block(envelope)].join(&0));
    to_hexadecimal(&hash[..16])
}

/// A number below the length of a table, as its index.
#[expect(clippy::expect_used, reason = "callers cut the number to the length of a table")]
fn index(number: u64) -> usize {
    usize::try_from(number).expect("below the length of a table")
}

/// The last block of a message, which an envelope always has.
fn last_block(envelope: &Envelope) -> &[u8] {
    &envelope.ciphertext[envelope.ciphertext.len().saturating_sub(BLOCK)..]
}
