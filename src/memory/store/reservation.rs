//! A failure that is reserved in the store, from the reservation to the outcome of the decryption.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta};
use redis::{Cmd, Value};
use tokio::time;

use super::{
    Operation, Silent, Store,
    link::Turn,
    script::{Names, begin, hash},
};
use crate::memory::{Ended, Opening, Outcome, Subject, budget::DATE_BUDGET, tell_changed, tell_spent};

/// How long the store remembers a message whose date never expires, from the last time it was seen.
const ENDLESS: TimeDelta = TimeDelta::days(30);
/// The pause between two attempts to reserve: the first one, and the longest one.
const WAIT: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(20)];

/// How long the store remembers that a reservation is over, in milliseconds: longer than a step can be on its way.
const TOKEN_LIFE: u32 = 60_000;
/// How long a call waits until another call, which opened the same message, confirms or forgets the opening. After an
/// outage the other replica must connect first.
const UNKNOWN: Duration = Duration::from_secs(1);

/// Why nothing was reserved.
pub(in crate::memory) enum Unreserved {
    Spent,
    Silent,
}

/// A failure that is reserved in the store. If it is dropped without an end, it stays charged.
pub(in crate::memory) struct Reservation {
    store: Arc<Store>,
    names: Names,
    token: [u8; 12],
    /// Not later than the store reserved.
    since: Instant,
    /// How long the keys live, in milliseconds.
    life: i64,
    /// Held while the store is asked.
    turn: Option<Turn>,
    after: After,
}

/// What to send to the store when the reservation is dropped.
enum After {
    Nothing,
    /// Nothing failed.
    GiveBack,
    /// The message failed.
    Charge,
    /// Nothing failed, and this call opened nothing.
    Forget,
    /// This call opened the message, and its caller is told so.
    Confirm,
}

impl Store {
    /// Reserves a failure, and waits while reservations that still run fill the budget.
    pub(in crate::memory) async fn reserve(self: &Arc<Self>, subject: &Subject<'_>) -> Result<Reservation, Unreserved> {
        let life = subject.end.map_or(ENDLESS, |end| end + subject.pairing.conventions.max_age - subject.now);
        let mut reservation = Reservation {
            store: Arc::clone(self),
            names: Names::of(subject),
            token: rand::random(),
            since: Instant::now(),
            life: life.num_milliseconds().max(1000),
            turn: None,
            after: After::Nothing,
        };
        let budget = subject.pairing.failure_budget;
        if budget == 0 {
            reservation.begin().await;
            return Ok(reservation);
        }
        let mut command = begin(Operation::Reserve, &reservation.names, &reservation.token);
        command.arg(budget).arg(DATE_BUDGET).arg(reservation.life);
        let [mut pause, longest] = WAIT;
        let names = reservation.names.clone();
        let waits = self.is_closed_for(subject);
        loop {
            reservation.begin().await;
            reservation.after = After::GiveBack;
            match self.ask(Operation::Reserve, &names, &command, waits).await {
                Ok(Value::Int(0)) => {
                    reservation.after = After::Charge;
                    return Ok(reservation);
                }
                answer => {
                    if !matches!(answer, Err(Silent { asked: true })) {
                        reservation.after = After::Nothing;
                    }
                    match answer {
                        Ok(Value::Int(1)) => {}
                        Ok(Value::Int(2)) => {
                            self.refused.fetch_add(1, Relaxed);
                            return Err(Unreserved::Spent);
                        }
                        Ok(_) | Err(_) => return Err(Unreserved::Silent),
                    }
                }
            }
            reservation.turn = None;
            time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// The meaning of an answer of `resolve.lua`; `None` if it has another form.
    fn resolved(&self, answer: &Value, subject: &Subject<'_>) -> Option<Resolved> {
        let Value::Array(answer) = answer else { return None };
        let [Value::Int(what), Value::Int(first), Value::Int(of_block), Value::Int(of_date)] = **answer else {
            return None;
        };
        for (spent, of) in [(of_block, "message"), (of_date, "date")] {
            if spent == 1 {
                self.spent.fetch_add(1, Relaxed);
                tell_spent(subject.pairing, of);
            }
        }
        if what == 1 {
            tell_changed(subject.pairing);
        }
        let opened = |reopened| {
            let first = DateTime::from_timestamp_millis(first)?;
            Some(Resolved::Ended(Ended::Opened(Opening { reopened, first })))
        };
        match what {
            0 | 1 => Some(Resolved::Ended(Ended::Failed)),
            2 => Some(Resolved::Ended(Ended::NotExpected)),
            3 => opened(false),
            4 => opened(true),
            5 => Some(Resolved::Late),
            6 => Some(Resolved::Unknown),
            _ => None,
        }
    }
}

/// What `resolve.lua` answered.
enum Resolved {
    Ended(Ended),
    /// Nothing was recorded: the answer would come after the caller's.
    Late,
    /// Another call has opened the message, and may have told its caller that it did not.
    Unknown,
}

impl Reservation {
    /// Waits for the turn of the message, with which its time begins.
    async fn begin(&mut self) {
        self.turn = self.store.turn(self.names.tag()).await;
        self.since = Instant::now();
    }

    /// Whether the message is refused while the store does not answer.
    pub(in crate::memory) fn is_closed_for(&self, subject: &Subject<'_>) -> bool {
        self.store.is_closed_for(subject)
    }

    /// Notes the outcome of the decryption. Waits while it is not known whether another call has opened the message.
    pub(in crate::memory) async fn resolve(mut self, subject: &Subject<'_>, outcome: Outcome) -> Result<Ended, Silent> {
        let store = Arc::clone(&self.store);
        let closed = store.is_closed_for(subject);
        let named = subject.call.map(|call| {
            let caller = call.caller.map_or([0].to_vec(), |caller| [&[1], caller.as_bytes(), &[0]].concat());
            hash(&[&caller, call.attempt_id.as_bytes()])
        });
        let call: [u8; 12] = named.unwrap_or(self.token);
        self.after = match outcome {
            Outcome::Failed => After::Charge,
            Outcome::Opened if closed => After::Forget,
            Outcome::Opened | Outcome::NotExpected => After::GiveBack,
        };
        let begin = Instant::now();
        let [mut pause, longest] = WAIT;
        loop {
            let command = self.end(subject, outcome, &call, closed);
            let answer = store.ask(Operation::Resolve, &self.names, &command, closed).await?;
            match store.resolved(&answer, subject).ok_or(Silent { asked: true })? {
                Resolved::Ended(ended) => {
                    let is_first = matches!(ended, Ended::Opened(Opening { reopened: false, .. }));
                    self.after = if is_first && closed { After::Confirm } else { After::Nothing };
                    return Ok(ended);
                }
                Resolved::Unknown if begin.elapsed() < UNKNOWN => {}
                Resolved::Late | Resolved::Unknown => {
                    self.after = After::GiveBack;
                    return Ok(Ended::Unavailable);
                }
            }
            self.turn = None;
            time::sleep(pause).await;
            self.turn = store.turn(self.names.tag()).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// The command that notes the outcome.
    fn end(&self, subject: &Subject<'_>, outcome: Outcome, call: &[u8; 12], closed: bool) -> Cmd {
        let letter = match outcome {
            Outcome::Failed => "f",
            Outcome::NotExpected => "n",
            Outcome::Opened => "o",
        };
        let message: [u8; 16] = match outcome {
            Outcome::Failed => [0; 16],
            _ => hash(&[subject.envelope.iv.as_ref().map_or(&[], |iv| iv.as_slice()), &subject.envelope.ciphertext]),
        };
        // If calls go on without the store, an opening that it records late is one that the caller has seen.
        let until_given_up = self.since.elapsed() + self.store.links.shared.limit;
        let patience = if closed { until_given_up.as_millis().to_string() } else { String::new() };
        let mut command = begin(Operation::Resolve, &self.names, &self.token);
        command.arg(letter).arg(&message).arg(call).arg(subject.now.timestamp_millis()).arg(self.life);
        command
            .arg(subject.pairing.failure_budget)
            .arg(DATE_BUDGET)
            .arg(&patience)
            .arg(u8::from(closed))
            .arg(TOKEN_LIFE);
        command
    }

    /// The command that follows when the reservation is dropped, and its operation.
    fn follow_up(&self) -> Option<(Operation, Cmd)> {
        let what = match &self.after {
            After::Nothing => return None,
            After::Charge => {
                let mut command = begin(Operation::Resolve, &self.names, &self.token);
                // Without a budget, so that a failure that the store has already counted is not counted again.
                command.arg("f").arg("").arg("").arg(0).arg(self.life).arg(0).arg(0).arg("").arg(0).arg(TOKEN_LIFE);
                return Some((Operation::Resolve, command));
            }
            After::GiveBack => "",
            After::Forget => "f",
            After::Confirm => "c",
        };
        let mut command = begin(Operation::Release, &self.names, &self.token);
        command.arg(what).arg(TOKEN_LIFE);
        Some((Operation::Release, command))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let Some((operation, command)) = self.follow_up() else { return };
        let Ok(permit) = Arc::clone(&self.store.aftermaths).try_acquire_owned() else { return };
        let (store, names) = (Arc::clone(&self.store), self.names.clone());
        let life = Duration::from_millis(self.life.unsigned_abs());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                store.aftermath(operation, &names, &command, life).await;
                drop(permit);
            });
        }
    }
}
