//! What the four calls share: opening with whichever secret fits, sealing, and the keys and dates for both.

use std::{sync::Arc, time::Instant};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::try_join_all;
use zeroize::Zeroizing;

use crate::{
    codec::{
        self, Deviations, Envelope, Seal, Sealed,
        cipher::BLOCK,
        date::{self, Freshness, Instants},
        kdf::Key,
        profile::{Conventions, Scheme},
        url::Leg,
    },
    error::Refusal,
    kdf_pool::Overloaded,
    keyring::{Pairing, budget::Spent},
};

use super::{
    Context, Redirects,
    fields::{Fields, MAX_URL},
    tick::tick_after,
};

/// A message that was opened.
pub(super) struct Opened<T> {
    pub(super) message: T,
    pub(super) deviations: Deviations,
    pub(super) instants: Instants,
    pub(super) age: TimeDelta,
    /// Its place among the pairing's secrets.
    pub(super) secret: usize,
}

/// What a message is sealed for.
#[derive(Clone, Copy)]
pub(super) struct Sealing<'a> {
    pub(super) leg: Leg,
    pub(super) pairing: &'a Arc<Pairing>,
    /// Its place among the pairing's secrets.
    pub(super) secret: usize,
    pub(super) issue_time: DateTime<Utc>,
    pub(super) requestor_type: Option<codec::RequestorType>,
    /// The request field to blame for a message that is too long.
    pub(super) field: &'static str,
}

pub(super) fn check_length(field: &'static str, length: usize) -> Result<(), Refusal> {
    let mut fields = Fields::default();
    if length > MAX_URL {
        fields.refuse(field, "makes a URL, ecreq or ecres of over 49152 bytes; shorten it");
    }
    fields.finish()
}

fn check_freshness(instants: &Instants, now: DateTime<Utc>, conventions: &Conventions) -> Result<(), Refusal> {
    let (age, max_age) = ((now - instants.issue).num_seconds(), conventions.max_age.num_seconds());
    match instants.freshness(now, conventions.max_age) {
        Freshness::Fresh => Ok(()),
        Freshness::Expired => Err(Refusal::DateExpired { age, max_age }),
        Freshness::InFuture => Err(Refusal::DateInFuture { age, max_age }),
    }
}

impl Redirects {
    /// Opens a message of `pairing`: scheme and date first, then `open` with the key of each secret in its order.
    ///
    /// What cannot be opened answers at the next tick, when all its work has been done and cleared away, so that the
    /// clock does not tell one cause from another.
    pub(super) async fn open<T>(
        &self,
        context: &Context,
        pairing: &Arc<Pairing>,
        envelope: &Envelope,
        leg: Leg,
        open: impl Fn(&Key) -> Option<(T, Deviations)>,
    ) -> Result<Opened<T>, Refusal> {
        context.call.pairing(&pairing.fiu, &pairing.aa);
        let conventions = &pairing.conventions;
        let scheme = conventions.profile.scheme;
        if envelope.iv_for(scheme).is_none() {
            return Err(Refusal::SchemeMismatch(scheme));
        }
        let instants = envelope.date.instants(conventions.date, conventions.read_date).map_err(|problem| {
            let parameter = leg.date_name();
            Refusal::Malformed(leg, codec::Malformed::Date { parameter, problem })
        })?;
        let now = (self.clock)();
        let age = now - instants.issue;
        context.call.date_skew(age);
        if leg == Leg::Request || conventions.check_resdate {
            check_freshness(&instants, now, conventions)?;
        }
        let account = self.budget.account(pairing, envelope, &instants, now);
        let attempt = match account.check() {
            Ok(()) => {
                // Side by side, since derivations are batched: two cost little more than one.
                let keys = (0..pairing.secrets.len()).map(|secret| self.key(pairing, secret, envelope.date.text()));
                let keys = try_join_all(keys).await?;
                account.begin().await.map(|attempt| (attempt, keys))
            }
            Err(Spent) => Err(Spent),
        };
        // What took time until now depends on no plaintext, and the ticks are counted from here: by a clock of their own
        // a caller could choose when they come, and see on which side of one the work ends.
        let begin = Instant::now();
        let opened = attempt.ok().and_then(|(attempt, keys)| {
            let opens = |(secret, key)| open(key).map(|(message, deviations)| (secret, message, deviations));
            let opened = keys.iter().enumerate().find_map(opens)?;
            attempt.succeed().ok().map(|()| opened)
        });
        let Some((secret, message, deviations)) = opened else {
            tick_after(begin).await;
            return Err(Refusal::Undecipherable);
        };
        context.call.opened(&pairing.secrets[secret].id, deviations);
        Ok(Opened { message, deviations, instants, age, secret })
    }

    pub(super) async fn seal(&self, plaintext: Zeroizing<String>, sealing: &Sealing<'_>) -> Result<Sealed, Refusal> {
        let Sealing { leg, pairing, secret, issue_time, requestor_type, field } = *sealing;
        // Base64 of whole blocks, before a key is spent on what cannot be sent.
        let blocks = plaintext.len() / BLOCK + 1;
        check_length(field, (blocks * BLOCK).div_ceil(3) * 4)?;
        let date = pairing.conventions.date.write(issue_time);
        let key = self.key(pairing, secret, &date).await?;
        let sender = match leg {
            Leg::Request => &pairing.fiu,
            Leg::Callback => &pairing.aa,
        };
        let seal = Seal { sender, requestor_type, date, key: &key, random_iv: random() };
        Ok(codec::seal(plaintext, seal, &pairing.conventions))
    }

    /// The instant that a message of now names: `now`, or the one that the pairing's messages share for a while. The
    /// key of the next shared one is derived ahead, so that nobody waits for it.
    pub(super) fn shared_instant(&self, pairing: &Arc<Pairing>, secret: usize, now: DateTime<Utc>) -> DateTime<Utc> {
        let (style, reuse) = (pairing.conventions.date, pairing.date_reuse);
        if reuse.is_zero() || pairing.conventions.profile.scheme != Scheme::Pbkdf2 {
            return now;
        }
        let next = date::shared_instant(style, now + reuse, reuse);
        if secret == 0 && pairing.derives_ahead(next) {
            let (pool, pairing) = (Arc::clone(&self.pool), Arc::clone(pairing));
            tokio::spawn(async move {
                // An overloaded pool leaves the derivation to the call that needs it.
                let _ = pool.derive(&pairing, secret, &style.write(next)).await;
            });
        }
        date::shared_instant(style, now, reuse)
    }

    /// The key of a pairing's secret for `date`.
    async fn key(&self, pairing: &Arc<Pairing>, secret: usize, date: &str) -> Result<Key, Refusal> {
        match pairing.conventions.profile.scheme {
            Scheme::HkdfIv => Ok(pairing.secrets[secret].derive(Scheme::HkdfIv, date)),
            Scheme::Pbkdf2 => {
                let derived = self.pool.derive(pairing, secret, date).await;
                derived.map_err(|Overloaded(after)| Refusal::Overloaded(after))
            }
        }
    }
}

/// Fresh bytes of a cryptographic generator (`ChaCha`, one for each thread, seeded by the system again and again): two calls
/// to the system for each message were a twentieth of its cost.
pub(super) fn random() -> [u8; BLOCK] {
    rand::random()
}
