//! Opens a message with the secret of its pairing that fits.

use std::{sync::Arc, time::Instant};

use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;
use thiserror::Error;

use crate::{
    codec::{self, Deviations, Envelope, Parties, Unopened, kdf::Key, profile::Scheme},
    keyring::{Keyring, Pairing, Reopen},
    keys::Overloaded,
    memory::{CallName, Denied, Ended, Opening, Outcome, Spent, Subject},
};

use super::{Differences, Exchange, Expected, Message, Refused, Window, pick};

/// A received message that a caller wants opened.
pub struct Question<'a> {
    /// The pairings to choose from.
    pub keyring: &'a Keyring,
    /// The message.
    pub envelope: &'a Envelope,
    /// The receiver's id; may be empty if one pairing fits the sender.
    pub receiver: &'a str,
    /// Now.
    pub now: DateTime<Utc>,
    /// What the caller adds.
    pub asked: Asked<'a>,
}

/// What a caller may add to a message that it wants opened.
#[derive(Clone, Copy, Default)]
pub struct Asked<'a> {
    /// The expected fields, from a caller that has a record of the request.
    pub expected: Option<Expected<'a>>,
    /// The caller's name for this call, the same in every retry.
    pub call: Option<CallName<'a>>,
    /// When the call ends; `None` if the caller waits without a limit.
    pub deadline: Option<Instant>,
}

/// Sees each step while a message is opened.
pub trait Witness: Sync {
    /// Whether this pairing may be used.
    fn may_use(&self, _pairing: &Pairing) -> bool {
        true
    }

    /// The pairing is known.
    fn pairing(&self, _pairing: &Pairing) {}

    /// The date was read.
    fn window(&self, _window: &Window) {}

    /// Whether to open a message even if its date is refused: for an operator's diagnosis, never for a caller.
    fn goes_on(&self) -> bool {
        false
    }
}

/// The result of an opening, with every step.
pub struct Verdict<M> {
    /// The pairing, once it was picked.
    pub pairing: Option<Arc<Pairing>>,
    /// Where the date lies, once it was read.
    pub window: Option<Window>,
    /// The secrets that were tried without success, in order.
    pub tried: Vec<Tried>,
    /// The message, if a secret opened it. Boxed: a verdict moves often, and a message has 300 bytes.
    pub opened: Option<Box<Opened<M>>>,
    /// When it was opened, if the caller gets it.
    pub opening: Option<Opening>,
    /// The first reason for which a caller does not get the message.
    pub refused: Option<Refused>,
}

/// A secret that did not open the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Its place among the pairing's secrets.
    pub secret: usize,
    /// Why; only for operators.
    pub why: Failure,
}

/// Why a secret does not open a message. Only operators see it. For everybody else all causes look the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// The codec cannot open it.
    #[error("{0}")]
    Unopened(#[from] Unopened),
    /// It opens, but leads to a forbidden host.
    #[error("it opens, but the host of its redirect is not among the pairing's redirect_hosts")]
    HostForbidden,
}

/// A message that was opened.
pub struct Opened<M> {
    /// The members.
    pub message: M,
    /// The repairs.
    pub deviations: Deviations,
    /// Whether it carried a right tag.
    pub authenticated: bool,
    /// The place of the secret that opened it among the pairing's secrets.
    pub secret: usize,
}

impl<M> Verdict<M> {
    fn new() -> Self {
        Self { pairing: None, window: None, tried: Vec::new(), opened: None, opening: None, refused: None }
    }

    fn refused(self, why: Refused) -> Self {
        Self { refused: self.refused.or(Some(why)), ..self }
    }
}

impl Exchange {
    /// Opens a message: its pairing, scheme and date first, then with the key of each secret in order.
    ///
    /// If the message does not open, the answer comes at the next tick, when all work is done and cleared away. So its
    /// time does not distinguish one cause from another.
    pub async fn open<M: Message>(&self, question: Question<'_>, witness: &impl Witness) -> Verdict<M> {
        let Question { keyring, envelope, receiver, now, asked } = question;
        let mut verdict = Verdict::new();
        let parties = Parties::of(M::LEG, &envelope.sender, receiver);
        let pairing = match pick(keyring, M::LEG, parties, |pairing| witness.may_use(pairing)) {
            Ok(pairing) => pairing,
            Err(why) => return verdict.refused(why),
        };
        witness.pairing(&pairing);
        verdict.pairing = Some(Arc::clone(&pairing));
        let window = match Window::of(&pairing, envelope, M::LEG, now) {
            Ok(window) => window,
            Err(why) => return verdict.refused(why),
        };
        witness.window(&window);
        verdict.window = Some(window);
        if let Err(why) = window.check(M::LEG, envelope.date.text(), now) {
            verdict = verdict.refused(why);
            if !witness.goes_on() {
                return verdict;
            }
        }
        let (instants, end) = (&window.instants, window.end());
        let subject = Subject { pairing: &pairing, envelope, instants, end, now, call: asked.call };
        self.decrypt(verdict, subject, asked).await
    }

    /// The part of an opening that needs keys.
    async fn decrypt<M: Message>(
        &self,
        mut verdict: Verdict<M>,
        subject: Subject<'_>,
        Asked { expected, deadline, .. }: Asked<'_>,
    ) -> Verdict<M> {
        let Subject { pairing, envelope, .. } = subject;
        let account = self.memory.account(subject);
        let attempt = match account.check() {
            Ok(()) => {
                let keys = match self.all_keys(pairing, envelope.date.text(), deadline).await {
                    Ok(keys) => keys,
                    Err(why) => return verdict.refused(why),
                };
                account.begin().await.map(|attempt| (attempt, keys))
            }
            Err(Spent) => Err(Denied::Spent),
        };
        // The time until now depends on no plaintext. Ticks count from here. If they came at fixed times, a caller
        // could choose when to send, and see on which side of a tick the work ends.
        let begin = Instant::now();
        let refused = match attempt {
            Err(Denied::Unavailable) => return verdict.refused(Refused::StoreUnavailable),
            Err(Denied::Spent) => Refused::Undecipherable,
            Ok((attempt, keys)) => {
                let opened = try_keys::<M>(pairing, envelope, &keys, &mut verdict.tried);
                let differences = differences(opened.as_deref(), pairing, expected.as_ref());
                match (attempt.end(outcome(opened.as_deref(), differences)).await, differences) {
                    (Ended::Opened(opening), _) if opening.reopened && pairing.reopen == Reopen::Refuse => {
                        return verdict.refused(Refused::AlreadyOpened(opening.first));
                    }
                    (Ended::Opened(opening), _) => {
                        (verdict.opened, verdict.opening) = (opened, Some(opening));
                        return verdict;
                    }
                    (Ended::NotExpected, Some(differences)) => {
                        return verdict.refused(Refused::NotExpected(differences));
                    }
                    (Ended::Unavailable, _) => Refused::StoreUnavailable,
                    (Ended::Failed | Ended::NotExpected, _) => Refused::Undecipherable,
                }
            }
        };
        self.ticks.after(begin).await;
        verdict.refused(refused)
    }

    /// The keys of all secrets of a pairing for `date`, for a call that ends at `deadline`.
    async fn all_keys(
        &self,
        pairing: &Arc<Pairing>,
        date: &str,
        deadline: Option<Instant>,
    ) -> Result<Vec<Key>, Refused> {
        match pairing.conventions.profile.scheme {
            Scheme::HkdfIv => Ok(pairing.secrets.iter().map(|secret| secret.derive(Scheme::HkdfIv, date)).collect()),
            // Derived together: derivations are batched, so two cost little more than one.
            Scheme::Pbkdf2 => {
                let keys = (0..pairing.secrets.len()).map(|secret| self.key(pairing, secret, date, deadline));
                try_join_all(keys).await
            }
        }
    }

    /// The key of a pairing's secret for `date`, for a call that ends at `deadline`.
    pub(super) async fn key(
        &self,
        pairing: &Arc<Pairing>,
        secret: usize,
        date: &str,
        deadline: Option<Instant>,
    ) -> Result<Key, Refused> {
        match pairing.conventions.profile.scheme {
            Scheme::HkdfIv => Ok(pairing.secrets[secret].derive(Scheme::HkdfIv, date)),
            Scheme::Pbkdf2 => {
                let derived = self.keys.derive(pairing, secret, date, deadline).await;
                derived.map_err(|Overloaded(after)| Refused::Overloaded(after))
            }
        }
    }
}

/// The fields in which a message that opens differs from the expected one.
fn differences<M: Message>(
    opened: Option<&Opened<M>>,
    pairing: &Pairing,
    expected: Option<&Expected<'_>>,
) -> Option<Differences> {
    opened?.message.differences(pairing, expected?)
}

fn outcome<M>(opened: Option<&Opened<M>>, differences: Option<Differences>) -> Outcome {
    match (opened, differences) {
        (None, _) => Outcome::Failed,
        (Some(_), Some(_)) => Outcome::NotExpected,
        (Some(_), None) => Outcome::Opened,
    }
}

/// The message that the first fitting key opens. A forbidden host is treated like every other failure.
fn try_keys<M: Message>(
    pairing: &Pairing,
    envelope: &Envelope,
    keys: &[Key],
    tried: &mut Vec<Tried>,
) -> Option<Box<Opened<M>>> {
    let parties = Parties { fiu: &pairing.fiu, aa: &pairing.aa };
    keys.iter().enumerate().find_map(|(secret, key)| {
        match codec::open::<M>(envelope, key, &pairing.conventions, parties) {
            Ok(codec::Opened { message, deviations, authenticated }) => {
                if message.target().is_none_or(|url| pairing.redirect_hosts.allow(url)) {
                    return Some(Box::new(Opened { message, deviations, authenticated, secret }));
                }
                tried.push(Tried { secret, why: Failure::HostForbidden });
                None
            }
            Err(why) => {
                tried.push(Tried { secret, why: why.into() });
                None
            }
        }
    })
}
