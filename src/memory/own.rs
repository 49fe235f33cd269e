//! The memory of one process: bounded, and lost at its end.

use std::hash::{BuildHasher, RandomState};

use super::{
    Denied, Ended, Outcome, Subject,
    budget::{self, Budget, Spent},
    last_block,
    opened::{Barred, Note, Opened},
    tell_changed,
};

/// Failures and first openings. Hashes have a key of the process, so that nobody can aim at cells.
#[derive(Default)]
pub(super) struct Own {
    hasher: RandomState,
    pub(super) budget: Budget,
    pub(super) opened: Opened,
}

/// The account of one message.
pub(super) struct Account<'a> {
    memory: &'a Own,
    subject: Subject<'a>,
    failures: budget::Account<'a>,
    /// The hash of pairing, date and last block.
    block: u64,
}

/// A message that is being decrypted. If it is dropped, it counts as a failure.
pub(super) struct Attempt<'a> {
    account: &'a Account<'a>,
    failure: budget::Attempt<'a>,
}

impl Own {
    pub(super) fn account<'a>(&'a self, subject: Subject<'a>) -> Account<'a> {
        let Subject { pairing, envelope, instants, now, .. } = subject;
        // The characters of the date, since they are the salt: other digits for the same instant give another key.
        let date = self.hasher.hash_one((&pairing.fiu, &pairing.aa, envelope.date.text()));
        let block = self.hasher.hash_one((date, last_block(envelope)));
        let failures = self.budget.account(pairing, date, block, instants, now);
        Account { memory: self, subject, failures, block }
    }
}

impl Account<'_> {
    pub(super) fn check(&self) -> Result<(), Spent> {
        self.failures.check()
    }

    /// No `await` may stand between the end of this and [`Attempt::end`]: attempts then last microseconds, and a call
    /// that is given up holds none.
    pub(super) async fn begin(&self) -> Result<Attempt<'_>, Denied> {
        // This is checked before the decryption. After it, the answer would show, in every further call, that the
        // message opens.
        if self.subject.is_kept() && !self.memory.opened.has_room(self.block, self.subject.now) {
            return Err(Denied::Unavailable);
        }
        let failure = self.failures.begin().await.map_err(|Spent| Denied::Spent)?;
        Ok(Attempt { account: self, failure })
    }

    fn note(&self, outcome: Outcome) -> Note {
        let Self { memory: Own { hasher, .. }, subject: Subject { envelope, end, now, call, .. }, block, .. } = self;
        Note {
            block: *block,
            message: hasher.hash_one((&envelope.iv, &envelope.ciphertext)),
            call: call.map(|call| hasher.hash_one(call)),
            opens: outcome == Outcome::Opened,
            keep: self.subject.is_kept(),
            now: *now,
            end: *end,
        }
    }
}

impl Attempt<'_> {
    pub(super) fn end(self, outcome: Outcome) -> Ended {
        let Self { account, failure } = self;
        if outcome == Outcome::Failed {
            return Ended::Failed;
        }
        match account.memory.opened.note(&account.note(outcome)) {
            Ok(opening) => {
                failure.give_back();
                opening.map_or(Ended::NotExpected, Ended::Opened)
            }
            // Another message took the room meanwhile. The answer shows that this one opens, so it stays charged.
            Err(Barred::Full) => Ended::Unavailable,
            Err(Barred::Changed) => {
                tell_changed(account.subject.pairing);
                Ended::Failed
            }
        }
    }
}

#[cfg(test)]
mod tests;
