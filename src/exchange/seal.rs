//! Seals a message, and chooses its date and key.

use std::{sync::Arc, time::Instant};

use chrono::{DateTime, Utc};
use zeroize::Zeroizing;

use crate::{
    codec::{self, Parties, RequestorType, Seal, Sealed, date, profile::Scheme, url::Leg},
    keyring::Pairing,
};

use super::{Exchange, Refused};

/// The most bytes of a URL, `ecreq` or `ecres`.
pub const MAX_URL: usize = 48 * 1024;

/// What a message is sealed for.
#[derive(Clone, Copy)]
pub struct Sealing<'a> {
    /// The leg.
    pub leg: Leg,
    /// The pairing.
    pub pairing: &'a Arc<Pairing>,
    /// The place of the secret among the pairing's secrets.
    pub secret: usize,
    /// The instant that the date names.
    pub issue_time: DateTime<Utc>,
    /// Who asks for the data; on the request leg only.
    pub requestor_type: Option<RequestorType>,
    /// When the call ends; `None` if the caller waits without a limit.
    pub deadline: Option<Instant>,
}

impl Exchange {
    /// Seals `plaintext`.
    ///
    /// # Errors
    /// [`Refused::TooLong`] and [`Refused::Overloaded`].
    pub async fn seal(&self, plaintext: Zeroizing<String>, sealing: &Sealing<'_>) -> Result<Sealed, Refused> {
        let Sealing { leg, pairing, secret, issue_time, requestor_type, deadline } = *sealing;
        // The length of the Base64 of whole blocks. It is checked first, since a message that is too long needs no key.
        if codec::ciphertext_length(plaintext.len(), &pairing.conventions).div_ceil(3) * 4 > MAX_URL {
            return Err(Refused::TooLong);
        }
        let date = pairing.conventions.date.write(issue_time);
        let key = self.key(pairing, secret, &date, deadline).await?;
        let parties = Parties { fiu: &pairing.fiu, aa: &pairing.aa };
        // This is a cryptographic generator for each thread, which takes new seeds from the system from time to time.
        // Two system calls for each message would cost a twentieth of its time.
        let seal = Seal { leg, parties, requestor_type, date, key: &key, random_iv: rand::random() };
        Ok(codec::seal(plaintext, seal, &pairing.conventions))
    }

    /// The instant for a message that is sealed `now`: `now` itself, or the instant that messages of the pairing share
    /// for a while. The key of the next shared instant is derived ahead, so that no call waits for it.
    pub fn issue_time(&self, pairing: &Arc<Pairing>, secret: usize, now: DateTime<Utc>) -> DateTime<Utc> {
        let (style, reuse) = (pairing.conventions.date, pairing.date_reuse);
        if reuse.is_zero() || pairing.conventions.profile.scheme != Scheme::Pbkdf2 {
            return now;
        }
        let next = date::shared_instant(style, now + reuse, reuse);
        if secret == 0 && self.keys.is_first_ahead(pairing.primary(), next) {
            let (keys, pairing) = (Arc::clone(&self.keys), Arc::clone(pairing));
            tokio::spawn(async move {
                // An overloaded pool leaves the derivation to the call that needs it.
                drop(keys.derive(&pairing, secret, &style.write(next), None).await);
            });
        }
        date::shared_instant(style, now, reuse)
    }
}
