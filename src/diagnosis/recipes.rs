//! Searches for the sender's mistake: the common wrong keys, each with the common wrong ways to encrypt.
//!
//! The search assumes one mistake at a time: in the derivation, in the form of the secret, or in the date. Each key
//! that is tried costs a derivation, so the search ends after [`PATIENCE`].

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    codec::{
        base64::{from_hexadecimal, to_hexadecimal},
        kdf::{self, PBKDF2_ROUNDS},
        mask::mask,
        profile::Scheme,
        url::Leg,
    },
    keyring::{Keyring, Pairing, Secret},
};

use super::{
    decrypt::{self, Decrypted},
    material::Material,
    partial,
    report::SearchReport,
};

/// How long the search may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A derivation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kdf {
    Hkdf,
    Pbkdf2 { rounds: u32 },
    Pbkdf2Sha1 { rounds: u32 },
}

/// What the search found.
pub(super) enum Found {
    /// A wrong way to seal that opens the message.
    Recipe {
        fiu: String,
        aa: String,
        secret_id: String,
        /// What is wrong, part by part.
        wrong: Vec<String>,
        text: Zeroizing<Vec<u8>>,
    },
    /// The message does not open, but a part of it is right: this one, in words.
    Partly(String),
    /// Nothing.
    Nothing,
}

/// A search for the cause.
pub(super) struct Search<'a> {
    material: &'a Material,
    begin: Instant,
    keys: usize,
    cut_short: bool,
    partly: Option<String>,
}

impl<'a> Search<'a> {
    pub(super) fn new(material: &'a Material) -> Self {
        Self { material, begin: Instant::now(), keys: 0, cut_short: false, partly: None }
    }

    /// Tries the pairings of `sender`, or of the id that `fi` names under another date, then the secrets of all others.
    pub(super) fn run(mut self, keyring: &Keyring, usable: impl Fn(&Pairing) -> bool) -> (Found, SearchReport) {
        let mut found = None;
        let pairings: Vec<&Pairing> = keyring.pairings().map(|pairing| &**pairing).filter(|p| usable(p)).collect();
        let sender = |pairing: &Pairing| match self.material.leg {
            Leg::Request => pairing.fiu.clone(),
            Leg::Callback => pairing.aa.clone(),
        };
        let unmasked = mask(&self.material.fi, &self.material.date);
        let (own, others): (Vec<&Pairing>, Vec<&Pairing>) =
            pairings.into_iter().partition(|pairing| sender(pairing).as_bytes() == unmasked);
        for pairing in &own {
            found = found.or_else(|| self.pairing(pairing));
        }
        for pairing in &others {
            found = found.or_else(|| self.other_pairing(pairing, &sender(pairing), own.is_empty()));
        }
        let milliseconds = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        let report = SearchReport { keys: self.keys, milliseconds, cut_short: self.cut_short };
        let found = found.or_else(|| self.partly.take().map(Found::Partly));
        (found.unwrap_or(Found::Nothing), report)
    }

    /// Tries everything that may be wrong with a message of this pairing.
    fn pairing(&mut self, pairing: &Pairing) -> Option<Found> {
        let scheme = pairing.conventions.profile.scheme;
        let own = Kdf::of(scheme);
        let other = Kdf::of(match scheme {
            Scheme::HkdfIv => Scheme::Pbkdf2,
            Scheme::Pbkdf2 => Scheme::HkdfIv,
        });
        let date = self.material.date.clone();
        for secret in &pairing.secrets {
            let value = secret.expose();
            let found = self
                .attempt(pairing, secret, own, value, &date, None)
                .or_else(|| self.attempt(pairing, secret, other, value, &date, Some(other.described(scheme))))
                .or_else(|| self.dates(pairing, secret, own))
                .or_else(|| self.secrets(pairing, secret, own))
                .or_else(|| self.derivations(pairing, secret, scheme));
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Tries the dates from which senders wrongly derive a key.
    fn dates(&mut self, pairing: &Pairing, secret: &Secret, kdf: Kdf) -> Option<Found> {
        other_dates(&self.material.date).into_iter().find_map(|(date, what)| {
            let wrong =
                format!("its key comes from the date as {date} ({what}), not from the characters that it sends");
            self.attempt(pairing, secret, kdf, secret.expose(), &date, Some(wrong))
        })
    }

    /// Tries the forms in which senders wrongly use a secret.
    fn secrets(&mut self, pairing: &Pairing, secret: &Secret, kdf: Kdf) -> Option<Found> {
        let date = self.material.date.clone();
        other_secrets(secret.expose()).into_iter().find_map(|(value, what)| {
            self.attempt(pairing, secret, kdf, &value, &date, Some(format!("its secret is {what}")))
        })
    }

    /// Tries PBKDF2 with the defaults of libraries.
    fn derivations(&mut self, pairing: &Pairing, secret: &Secret, scheme: Scheme) -> Option<Found> {
        let date = self.material.date.clone();
        let sha256 = [1_000, 10_000, 100_000].map(|rounds| Kdf::Pbkdf2 { rounds });
        let sha1 = [PBKDF2_ROUNDS, 1_000, 10_000, 100_000].map(|rounds| Kdf::Pbkdf2Sha1 { rounds });
        sha256
            .into_iter()
            .chain(sha1)
            .find_map(|kdf| self.attempt(pairing, secret, kdf, secret.expose(), &date, Some(kdf.described(scheme))))
    }

    /// Tries the secrets of a pairing that is not the sender's, and the date with which `fi` would name it.
    fn other_pairing(&mut self, pairing: &Pairing, sender: &str, sender_unknown: bool) -> Option<Found> {
        let kdf = Kdf::of(pairing.conventions.profile.scheme);
        let date = self.material.date.clone();
        let of_fi = sender_unknown.then(|| date_of_fi(&self.material.fi, sender, &date)).flatten();
        for secret in &pairing.secrets {
            if let Some(of_fi) = &of_fi {
                let wrong = format!(
                    "fi is masked with the date {of_fi}, not with {date}, which the URL has: one of them changed"
                );
                for date in [of_fi, &date] {
                    let found = self.attempt(pairing, secret, kdf, secret.expose(), date, Some(wrong.clone()));
                    if found.is_some() {
                        return found;
                    }
                }
            }
            let wrong = format!("its secret is that of FIU {} with AA {}", pairing.fiu, pairing.aa);
            let found = self.attempt(pairing, secret, kdf, secret.expose(), &date, Some(wrong));
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Derives one key and tries everything with it.
    fn attempt(
        &mut self,
        pairing: &Pairing,
        secret: &Secret,
        kdf: Kdf,
        value: &[u8],
        date: &str,
        wrong: Option<String>,
    ) -> Option<Found> {
        if self.begin.elapsed() > PATIENCE {
            self.cut_short = true;
            return None;
        }
        self.keys += 1;
        let key = kdf.derive(value, date);
        if let Some(Decrypted { text, wrong: how }) = decrypt::open(self.material, &key) {
            let wrong = wrong.into_iter().chain(how).collect();
            let (fiu, aa) = (pairing.fiu.clone(), pairing.aa.clone());
            return Some(Found::Recipe { fiu, aa, secret_id: secret.id.clone(), wrong, text });
        }
        if self.partly.is_none()
            && let Some(text) = decrypt::raw(self.material, &key)
            && let Some(what) = partial::read(&text, self.material.leg)
        {
            let with = wrong.map(|wrong| format!(" ({wrong})")).unwrap_or_default();
            self.partly = Some(format!("{what}{with}"));
        }
        None
    }
}

impl Kdf {
    /// The derivation of a scheme.
    fn of(scheme: Scheme) -> Self {
        match scheme {
            Scheme::HkdfIv => Self::Hkdf,
            Scheme::Pbkdf2 => Self::Pbkdf2 { rounds: PBKDF2_ROUNDS },
        }
    }

    fn derive(self, secret: &[u8], date: &str) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        match self {
            Self::Hkdf => *key = *kdf::hkdf(secret, date),
            Self::Pbkdf2 { rounds } => pbkdf2::pbkdf2_hmac::<Sha256>(secret, date.as_bytes(), rounds, &mut *key),
            Self::Pbkdf2Sha1 { rounds } => pbkdf2::pbkdf2_hmac::<Sha1>(secret, date.as_bytes(), rounds, &mut *key),
        }
        key
    }

    /// What is wrong with it in a pairing of `scheme`.
    fn described(self, scheme: Scheme) -> String {
        let own = scheme.name();
        match self {
            Self::Hkdf => format!("it derives its key with HKDF (scheme hkdf-iv), and the pairing has {own}"),
            Self::Pbkdf2 { rounds: PBKDF2_ROUNDS } => {
                format!("it derives its key with PBKDF2 (scheme pbkdf2), and the pairing has {own}")
            }
            Self::Pbkdf2 { rounds } => format!("it derives its key with {rounds} rounds of PBKDF2, not 65536"),
            Self::Pbkdf2Sha1 { rounds: PBKDF2_ROUNDS } => "it derives its key with SHA-1, not SHA-256".to_owned(),
            Self::Pbkdf2Sha1 { rounds } => {
                format!("it derives its key with SHA-1 and {rounds} rounds of PBKDF2, not SHA-256 and 65536")
            }
        }
    }
}

/// Other ways to write the instant of a date, each with the change in words.
fn other_dates(date: &str) -> Vec<(String, &'static str)> {
    let mut others = Vec::new();
    let mut add = |text: Option<String>, what| {
        others.extend(text.filter(|text| text != date).map(|text| (text, what)));
    };
    let head = |length: usize| date.get(..length).map(str::to_owned);
    add(date.strip_prefix('0').map(str::to_owned), "the leading zero lost");
    add((date.len() < 15).then(|| format!("0{date}")), "a leading zero put in front");
    add(head(14), "cut to seconds");
    add(head(12), "cut to the minute");
    add(head(12).map(|minute| minute + "000"), "the seconds cut to zero");
    add(head(14).map(|second| second + "0"), "another style of the last digits");
    add(head(14).map(|second| second + "000"), "another style of the last digits");
    if date.len() == 17 {
        add(date.get(14..).and_then(|millis| Some(head(12)? + millis)), "milliseconds without seconds");
        add(head(15), "cut to tenths");
    }
    add(Some(format!("{date}00")), "two zeros at its end");
    add(Some(format!("{date}\n")), "a line end at its end");
    others
}

/// Other forms of a secret, each with the change in words.
fn other_secrets(secret: &[u8]) -> Vec<(Zeroizing<Vec<u8>>, &'static str)> {
    let text = std::str::from_utf8(secret).ok();
    let digest = Sha256::digest(secret);
    let joined = |end: &[u8]| Some([secret, end].concat());
    [
        (joined(b"\n"), "followed by a line end"),
        (joined(b"\r\n"), "followed by a line end (CR LF)"),
        (text.and_then(|text| STANDARD.decode(text).ok()), "decoded from Base64 first"),
        (text.and_then(from_hexadecimal), "decoded from hexadecimal first"),
        (Some(STANDARD.encode(secret).into_bytes()), "encoded as Base64 first"),
        (Some(digest.to_vec()), "hashed with SHA-256 first"),
        (Some(to_hexadecimal(&digest).into_bytes()), "hashed with SHA-256 first, as hexadecimal digits"),
        (Some(secret.trim_ascii().to_vec()).filter(|trimmed| trimmed != secret), "without the blanks around it"),
    ]
    .into_iter()
    .filter_map(|(value, what)| value.filter(|value| !value.is_empty()).map(|value| (Zeroizing::new(value), what)))
    .collect()
}

/// The date that masks `sender` in `fi`, if the mask is a date. If the id is shorter than the date, it shows only some
/// of the digits; the others come from `date`.
fn date_of_fi(fi: &[u8], sender: &str, date: &str) -> Option<String> {
    if fi.len() != sender.len() || date.is_empty() {
        return None;
    }
    let digits: Vec<u8> = fi.iter().zip(sender.bytes()).map(|(masked, byte)| masked ^ byte).collect();
    let length = date.len();
    let fits = digits.iter().all(u8::is_ascii_digit)
        && digits.iter().enumerate().all(|(at, digit)| *digit == digits[at % length]);
    let mut text: Vec<u8> = digits.into_iter().take(length).collect();
    text.extend(date.bytes().skip(text.len()));
    fits.then(|| String::from_utf8(text).ok()).flatten().filter(|text| text != date)
}
