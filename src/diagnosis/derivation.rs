//! The ways in which senders derive a key from a secret and a date.

use std::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac, digest::FixedOutput};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use zeroize::Zeroizing;

use crate::codec::{kdf::PBKDF2_ROUNDS, profile::Scheme};

/// A hash function.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha512 => "SHA-512",
        })
    }
}

/// A derivation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kdf {
    Hkdf(Hash),
    Pbkdf2(Hash, u32),
    /// HKDF-SHA256 or PBKDF2-HMAC-SHA256 of the scheme, with secret and date at each other's place.
    Swapped(Scheme),
    /// HKDF-SHA256 without its second step: HMAC-SHA256 of the secret, with the date as its key.
    Extract,
    /// The SHA-256 of the secret, or of the secret and the date behind it.
    Digest {
        dated: bool,
    },
    /// The secret itself, filled with zero bytes.
    Secret,
}

/// The rounds that libraries and guides propose, the most usual ones first.
const USUAL_ROUNDS: [u32; 3] = [1_000, 10_000, 100_000];
const RARE_ROUNDS: [u32; 13] =
    [1, 1_024, 2_000, 4_096, 5_000, 20_000, 32_768, 50_000, 65_535, 120_000, 200_000, 310_000, 600_000];

impl Kdf {
    /// The derivation of a scheme.
    pub(super) fn of(scheme: Scheme) -> Self {
        match scheme {
            Scheme::HkdfIv => Self::Hkdf(Hash::Sha256),
            Scheme::Pbkdf2 => Self::Pbkdf2(Hash::Sha256, PBKDF2_ROUNDS),
        }
    }

    /// PBKDF2 with the defaults of libraries.
    pub(super) fn usual() -> impl Iterator<Item = Self> {
        let sha256 = USUAL_ROUNDS.map(|rounds| Self::Pbkdf2(Hash::Sha256, rounds));
        let sha1 = [PBKDF2_ROUNDS].into_iter().chain(USUAL_ROUNDS).map(|rounds| Self::Pbkdf2(Hash::Sha1, rounds));
        sha256.into_iter().chain(sha1)
    }

    /// The derivations that are seldom seen in a pairing of `scheme` and cost next to nothing.
    pub(super) fn cheap(scheme: Scheme) -> impl Iterator<Item = Self> {
        let plain = [Self::Secret, Self::Digest { dated: false }, Self::Digest { dated: true }];
        let hkdf = [Self::Hkdf(Hash::Sha1), Self::Hkdf(Hash::Sha512), Self::Swapped(Scheme::HkdfIv), Self::Extract];
        plain.into_iter().chain(hkdf.into_iter().filter(move |_| scheme == Scheme::HkdfIv))
    }

    /// The other derivations that are seldom seen in a pairing of `scheme`.
    pub(super) fn rare(scheme: Scheme) -> impl Iterator<Item = Self> {
        let rounds = RARE_ROUNDS.map(|rounds| Self::Pbkdf2(Hash::Sha256, rounds));
        let all = rounds.into_iter().chain([Self::Swapped(scheme), Self::Pbkdf2(Hash::Sha512, PBKDF2_ROUNDS)]);
        all.filter(move |_| scheme == Scheme::Pbkdf2)
    }

    /// The scheme that derives so; `None` if no scheme does.
    pub(super) fn scheme(self) -> Option<Scheme> {
        [Scheme::HkdfIv, Scheme::Pbkdf2].into_iter().find(|&scheme| Self::of(scheme) == self)
    }

    pub(super) fn derive(self, secret: &[u8], date: &str) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        let date = date.as_bytes();
        match self {
            Self::Hkdf(hash) => hkdf(hash, secret, date, &mut key),
            Self::Pbkdf2(hash, rounds) => pbkdf2(hash, rounds, secret, date, &mut key),
            Self::Swapped(Scheme::HkdfIv) => hkdf(Hash::Sha256, date, secret, &mut key),
            Self::Swapped(Scheme::Pbkdf2) => pbkdf2(Hash::Sha256, PBKDF2_ROUNDS, date, secret, &mut key),
            Self::Extract => extract(secret, date, &mut key),
            Self::Digest { dated } => {
                let digest = Sha256::new_with_prefix(secret);
                let digest = if dated { digest.chain_update(date) } else { digest };
                // In place: no copy of the key stays behind.
                FixedOutput::finalize_into(digest, (&mut *key).into());
            }
            Self::Secret => {
                let length = secret.len().min(key.len());
                key[..length].copy_from_slice(&secret[..length]);
            }
        }
        key
    }

    /// What is wrong with it in a pairing of `scheme`.
    pub(super) fn described(self, scheme: Scheme) -> String {
        let own = scheme.name();
        match (self, self.scheme()) {
            (_, Some(Scheme::HkdfIv)) => {
                format!("it derives its key with HKDF (scheme hkdf-iv), and the pairing has {own}")
            }
            (_, Some(Scheme::Pbkdf2)) => {
                format!("it derives its key with PBKDF2 (scheme pbkdf2), and the pairing has {own}")
            }
            (Self::Pbkdf2(hash, rounds), _) if scheme == Scheme::HkdfIv => {
                format!("it derives its key with {rounds} rounds of PBKDF2 and {hash}, and the pairing has {own}")
            }
            (Self::Pbkdf2(Hash::Sha256, rounds), _) => {
                format!("it derives its key with {rounds} rounds of PBKDF2, not 65536")
            }
            (Self::Hkdf(hash) | Self::Pbkdf2(hash, PBKDF2_ROUNDS), _) => {
                format!("it derives its key with {hash}, not SHA-256")
            }
            (Self::Pbkdf2(hash, rounds), _) => {
                format!("it derives its key with {hash} and {rounds} rounds of PBKDF2, not SHA-256 and 65536")
            }
            (Self::Swapped(_), _) => "it swaps the secret and the date when it derives its key".to_owned(),
            (Self::Extract, _) => {
                "its key is the HMAC-SHA256 of the secret (HKDF-Extract); HKDF-Expand is missing".to_owned()
            }
            (Self::Digest { dated: false }, _) => {
                format!("its key is the SHA-256 of the secret, not derived as the scheme {own} says")
            }
            (Self::Digest { dated: true }, _) => {
                format!("its key is the SHA-256 of the secret and the date, not derived as the scheme {own} says")
            }
            (Self::Secret, _) => format!("its key is the secret itself, not derived as the scheme {own} says"),
        }
    }
}

#[expect(clippy::expect_used, reason = "32 bytes are under 255 blocks of any hash")]
fn hkdf(hash: Hash, secret: &[u8], salt: &[u8], key: &mut [u8; 32]) {
    match hash {
        Hash::Sha1 => Hkdf::<Sha1>::new(Some(salt), secret).expand(b"", key),
        Hash::Sha256 => Hkdf::<Sha256>::new(Some(salt), secret).expand(b"", key),
        Hash::Sha512 => Hkdf::<Sha512>::new(Some(salt), secret).expand(b"", key),
    }
    .expect("32 bytes are under 255 blocks of any hash");
}

/// `HMAC-SHA256(salt, secret)` (RFC 5869, 2.2), in place.
#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn extract(secret: &[u8], salt: &[u8], key: &mut [u8; 32]) {
    let hmac = Hmac::<Sha256>::new_from_slice(salt).expect("a key of any length");
    hmac.chain_update(secret).finalize_into(key.into());
}

fn pbkdf2(hash: Hash, rounds: u32, secret: &[u8], salt: &[u8], key: &mut [u8; 32]) {
    match hash {
        Hash::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(secret, salt, rounds, key),
        Hash::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(secret, salt, rounds, key),
        Hash::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(secret, salt, rounds, key),
    }
}
