//! Searches for the sender's mistake: the common wrong keys, each with the common wrong ways to encrypt.
//!
//! What is often seen comes first, for all pairings of the sender; then the secrets of other pairings, and what is
//! seldom seen. Each key that is tried costs a derivation, so the search ends after [`PATIENCE`].

use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::{
    codec::{mask::mask, profile::Scheme, url::Leg},
    keyring::{Keyring, Pairing, Secret},
};

use super::{
    decrypt::{self, Decrypted, Partly},
    derivation::{Hash, Kdf},
    forms::{self, Form},
    material::Material,
    partial,
    report::SearchReport,
};

/// How long the search may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the search found.
pub(super) enum Found {
    /// A wrong way to seal that opens the message.
    Recipe {
        fiu: String,
        aa: String,
        secret_id: String,
        /// What is wrong, part by part; empty if nothing is wrong with the sealing.
        wrong: Vec<String>,
        text: Zeroizing<Vec<u8>>,
    },
    /// The message does not open, but a part of it is right.
    Partly {
        /// What is right and what is wrong, in words.
        what: String,
        /// The text that is no message.
        text: Option<Zeroizing<String>>,
    },
    /// Nothing.
    Nothing,
}

/// A search for the cause.
pub(super) struct Search<'a> {
    material: &'a Material,
    begin: Instant,
    keys: usize,
    cut_short: bool,
}

/// A pairing, and one secret for it: its own or, by mistake, that of another pairing.
#[derive(Clone, Copy)]
struct Guess<'a> {
    pairing: &'a Pairing,
    secret: &'a Secret,
    scheme: Scheme,
}

impl<'a> Guess<'a> {
    fn of(pairing: &'a Pairing) -> impl Iterator<Item = Self> {
        let scheme = pairing.conventions.profile.scheme;
        pairing.secrets.iter().map(move |secret| Self { pairing, secret, scheme })
    }

    fn kdf(self) -> Kdf {
        Kdf::of(self.scheme)
    }
}

impl<'a> Search<'a> {
    pub(super) fn new(material: &'a Material) -> Self {
        Self { material, begin: Instant::now(), keys: 0, cut_short: false }
    }

    /// Tries the pairings of the sender that `fi` names, among those that are `asked` about, or all that are asked
    /// about if `fi` names none; and the secrets of all others.
    pub(super) fn run(mut self, keyring: &Keyring, asked: impl Fn(&Pairing) -> bool) -> (Found, SearchReport) {
        let all: Vec<&Pairing> = keyring.pairings().map(|pairing| &**pairing).collect();
        let (asked, rest): (Vec<&Pairing>, Vec<&Pairing>) = all.into_iter().partition(|pairing| asked(pairing));
        if let Some(what) = partial::without_key(&self.material.ciphertext, self.material.leg) {
            return (Found::Partly { what, text: None }, self.report());
        }
        let (own, others): (Vec<&Pairing>, Vec<&Pairing>) =
            asked.into_iter().partition(|pairing| self.is_sender(self.sender(pairing)));
        let found = if own.is_empty() {
            others.iter().find_map(|pairing| self.unknown_sender(pairing))
        } else {
            own.iter()
                .find_map(|pairing| self.usual(pairing))
                .or_else(|| others.iter().chain(&rest).find_map(|pairing| self.other_pairing(&own, pairing)))
                .or_else(|| self.rare(&own))
        };
        (found.unwrap_or(Found::Nothing), self.report())
    }

    fn report(&self) -> SearchReport {
        let milliseconds = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        SearchReport { keys: self.keys, milliseconds, cut_short: self.cut_short }
    }

    fn sender<'p>(&self, pairing: &'p Pairing) -> &'p str {
        match self.material.leg {
            Leg::Request => &pairing.fiu,
            Leg::Callback => &pairing.aa,
        }
    }

    /// Whether `fi` is this id, masked with the date, with or without a leading zero.
    fn is_sender(&self, id: &str) -> bool {
        let Material { fi, date, .. } = self.material;
        let masks = |date: &str| !date.is_empty() && mask(fi, date) == id.as_bytes();
        masks(date) || date.strip_prefix('0').is_some_and(masks)
    }

    /// Tries what is often wrong with a message of this pairing.
    fn usual(&mut self, pairing: &Pairing) -> Option<Found> {
        let date = &*self.material.date;
        Guess::of(pairing).find_map(|guess| {
            let (kdf, value) = (guess.kdf(), guess.secret.expose());
            let other = Kdf::of(match guess.scheme {
                Scheme::HkdfIv => Scheme::Pbkdf2,
                Scheme::Pbkdf2 => Scheme::HkdfIv,
            });
            self.attempt(guess, kdf, value, date, &[])
                .or_else(|| self.derivation(guess, other))
                .or_else(|| self.dates(guess, kdf, forms::usual_dates(date)))
                .or_else(|| self.secrets(guess, kdf, forms::usual_secrets(value)))
                .or_else(|| Kdf::usual().find_map(|kdf| self.derivation(guess, kdf)))
        })
    }

    /// Tries what is seldom wrong with a message of the sender, then two mistakes at once. The pairings with keys that
    /// cost next to nothing come first.
    fn rare(&mut self, own: &[&Pairing]) -> Option<Found> {
        let steps: [fn(&mut Self, Guess<'_>) -> Option<Found>; 4] =
            [Self::cheap_derivations, Self::rare_secrets_and_derivations, Self::rare_dates, Self::two_mistakes];
        [Scheme::HkdfIv, Scheme::Pbkdf2].into_iter().find_map(|scheme| {
            let guesses = || own.iter().flat_map(|pairing| Guess::of(pairing)).filter(|guess| guess.scheme == scheme);
            steps.iter().find_map(|step| guesses().find_map(|guess| step(self, guess)))
        })
    }

    fn cheap_derivations(&mut self, guess: Guess<'_>) -> Option<Found> {
        Kdf::cheap(guess.scheme).find_map(|kdf| self.derivation(guess, kdf))
    }

    /// Tries a wrong derivation together with a wrong form of the secret or of the date.
    fn two_mistakes(&mut self, guess: Guess<'_>) -> Option<Found> {
        let value = guess.secret.expose();
        let pbkdf2 = [1_000, 10_000].map(|rounds| Kdf::Pbkdf2(Hash::Sha256, rounds));
        let pbkdf2 = pbkdf2.into_iter().filter(|_| guess.scheme == Scheme::Pbkdf2);
        let cheap = [Kdf::Secret, Kdf::of(Scheme::HkdfIv)].into_iter().filter(|&kdf| kdf != guess.kdf());
        cheap.chain(pbkdf2).find_map(|kdf| {
            let secrets = forms::usual_secrets(value).into_iter().chain(forms::rare_secrets(value));
            self.secrets(guess, kdf, secrets.collect())
                .or_else(|| self.dates(guess, kdf, forms::usual_dates(&self.material.date)))
        })
    }

    fn rare_secrets_and_derivations(&mut self, guess: Guess<'_>) -> Option<Found> {
        self.secrets(guess, guess.kdf(), forms::rare_secrets(guess.secret.expose()))
            .or_else(|| Kdf::rare(guess.scheme).find_map(|kdf| self.derivation(guess, kdf)))
    }

    fn rare_dates(&mut self, guess: Guess<'_>) -> Option<Found> {
        let all = guess.scheme == Scheme::HkdfIv;
        self.dates(guess, guess.kdf(), forms::rare_dates(&self.material.date, all))
    }

    fn derivation(&mut self, guess: Guess<'_>, kdf: Kdf) -> Option<Found> {
        self.attempt(guess, kdf, guess.secret.expose(), &self.material.date, &[])
    }

    /// Tries the dates from which senders wrongly derive a key.
    fn dates(&mut self, guess: Guess<'_>, kdf: Kdf, dates: Vec<Form<String>>) -> Option<Found> {
        let value = guess.secret.expose();
        dates.into_iter().find_map(|date| self.attempt(guess, kdf, value, &date.value, &[&date.wrong]))
    }

    /// Tries the forms in which senders wrongly use a secret.
    fn secrets(&mut self, guess: Guess<'_>, kdf: Kdf, secrets: Vec<Form<Zeroizing<Vec<u8>>>>) -> Option<Found> {
        let date = &self.material.date;
        secrets.into_iter().find_map(|secret| self.attempt(guess, kdf, &secret.value, date, &[&secret.wrong]))
    }

    /// Tries the secrets of a pairing that is not the sender's, under the schemes of the sender's `own` pairings.
    fn other_pairing(&mut self, own: &[&Pairing], other: &Pairing) -> Option<Found> {
        let wrong = format!("its secret is that of FIU {} with AA {}", other.fiu, other.aa);
        let schemes = [Scheme::HkdfIv, Scheme::Pbkdf2]
            .into_iter()
            .filter(|&scheme| own.iter().any(|pairing| pairing.conventions.profile.scheme == scheme));
        schemes
            .flat_map(|scheme| Guess::of(other).map(move |guess| Guess { scheme, ..guess }))
            .find_map(|guess| self.attempt(guess, guess.kdf(), guess.secret.expose(), &self.material.date, &[&wrong]))
    }

    /// Tries a pairing whose sender `fi` does not name, with the date of the URL and with the one that masks `fi`.
    fn unknown_sender(&mut self, pairing: &Pairing) -> Option<Found> {
        let Material { fi, date, .. } = self.material;
        let sender = self.sender(pairing);
        let of_fi = forms::date_of_fi(fi, sender, date);
        let wrong = match &of_fi {
            Some(of_fi) => {
                format!("fi is masked with the date {of_fi}, not with {date}, which the URL has: one of them changed")
            }
            None => format!("fi is not the id of the sender, {sender}, masked with the date"),
        };
        let dates: Vec<&str> = of_fi.iter().map(|text| &**text).chain([&**date]).collect();
        Guess::of(pairing).find_map(|guess| {
            let value = guess.secret.expose();
            dates.iter().find_map(|date| self.attempt(guess, guess.kdf(), value, date, &[&wrong]))
        })
    }

    /// Derives one key and tries everything with it. `wrong` is what is wrong with the rest.
    fn attempt(&mut self, guess: Guess<'_>, kdf: Kdf, value: &[u8], date: &str, wrong: &[&str]) -> Option<Found> {
        if self.begin.elapsed() > PATIENCE {
            self.cut_short = true;
            return None;
        }
        self.keys += 1;
        let key = kdf.derive(value, date);
        let derivation = (kdf != guess.kdf()).then(|| kdf.described(guess.scheme));
        let twice = self.material.encoded_twice.map(str::to_owned);
        let wrong = wrong.iter().map(|&wrong| wrong.to_owned()).chain(derivation).chain(twice);
        let scheme = kdf.scheme().unwrap_or(guess.scheme);
        if let Some(Decrypted { text, wrong: how }) = decrypt::open(self.material, &key, value, scheme) {
            let (fiu, aa) = (guess.pairing.fiu.clone(), guess.pairing.aa.clone());
            return Some(Found::Recipe {
                fiu,
                aa,
                secret_id: guess.secret.id.clone(),
                wrong: wrong.chain(how).collect(),
                text,
            });
        }
        let Partly { what, wrong: how, text } = decrypt::partly(self.material, &key)?;
        let others: Vec<String> = wrong.chain(how).collect();
        let others = if others.is_empty() { String::new() } else { format!(" ({})", others.join("; ")) };
        Some(Found::Partly { what: format!("{what}{others}"), text })
    }
}
