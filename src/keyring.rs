//! The pairings and their secrets, and the search for the pairing of a message.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use chrono::TimeDelta;
use secrecy::{ExposeSecret, SecretSlice};
use sha2::{Digest, Sha256};

use crate::{
    codec::{
        base64::to_hexadecimal,
        kdf::{self, Key},
        profile::{Conventions, Scheme},
    },
    files::reload::Reloaded,
};

mod file;
mod hosts;
mod sandbox;

#[cfg(test)]
pub(crate) use file::parse;
pub use file::{Absent, load, load_as, load_with};
pub use hosts::HostRules;
pub use sandbox::{rehearsal, sandbox};

pub use crate::files::problem::{Problem, Refused};

/// A keyring that is replaced when its files change.
pub type Served = Reloaded<Keyring>;

/// One FIU and one AA that share secrets.
#[derive(Debug)]
pub struct Pairing {
    /// The FIU's id.
    pub fiu: String,
    /// The AA's id.
    pub aa: String,
    /// How the pairing writes and reads.
    pub conventions: Conventions,
    /// The absolute URL of the AA's web view.
    pub webview: Option<String>,
    /// The user-id handles that the AA serves.
    pub handles: Vec<String>,
    /// The hosts that a redirect may lead to.
    pub redirect_hosts: HostRules,
    /// At least one. The first is the primary one.
    pub secrets: Vec<Secret>,
    /// How many messages with one date and last block may fail before such messages are refused undecrypted. 0: no
    /// limit.
    pub failure_budget: u32,
    /// What happens to a message that was opened before.
    pub reopen: Reopen,
    /// For how long one date may be written in several messages. Zero: never.
    pub date_reuse: TimeDelta,
}

/// What happens to a message that was opened before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reopen {
    /// It opens again, and the answer says so.
    Report,
    /// It is refused.
    Refuse,
}

/// Identifies a secret for the life of the process, across reloads.
static NEXT_SECRET: AtomicU64 = AtomicU64::new(0);

/// A shared secret, zeroed when dropped and hidden from `Debug`.
#[derive(Debug)]
pub struct Secret {
    /// Its id in the keyring file.
    pub id: String,
    /// Whether it only decodes.
    pub decode_only: bool,
    /// Names the secret in caches. No other secret of this process has this number.
    pub(crate) serial: u64,
    value: SecretSlice<u8>,
    /// Whether its bytes are random because its file or variable was absent. Only a check uses such a secret.
    pub is_stand_in: bool,
}

impl Secret {
    fn new(id: String, decode_only: bool, value: Vec<u8>) -> Self {
        let serial = NEXT_SECRET.fetch_add(1, Ordering::Relaxed);
        Self { id, decode_only, serial, value: value.into(), is_stand_in: false }
    }

    /// A random secret in place of one that is absent. No existing message opens under it.
    fn stand_in(id: String, decode_only: bool) -> Self {
        let random: [u8; 32] = rand::random();
        Self { is_stand_in: true, ..Self::new(id, decode_only, random.to_vec()) }
    }

    /// The bytes of the secret, for key derivation only.
    pub(crate) fn expose(&self) -> &[u8] {
        self.value.expose_secret()
    }

    /// The key for `date`, by the formula of `scheme`. With [`Scheme::Pbkdf2`] this takes 6 to 16 ms of a core.
    pub fn derive(&self, scheme: Scheme, date: &str) -> Key {
        match scheme {
            Scheme::HkdfIv => kdf::hkdf(self.value.expose_secret(), date),
            Scheme::Pbkdf2 => kdf::pbkdf2(self.value.expose_secret(), date),
        }
    }
}

impl Pairing {
    /// The secret that encodes.
    pub fn primary(&self) -> &Secret {
        &self.secrets[0]
    }

    /// The index in [`Pairing::secrets`] of the secret with this id.
    pub fn secret(&self, id: &str) -> Option<usize> {
        self.secrets.iter().position(|secret| secret.id == id)
    }
}

/// Why no single pairing fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpicked {
    /// No pairing fits.
    Unknown,
    /// Several pairings fit.
    Ambiguous,
}

/// All pairings of a server, by ids and handles. A look-up takes the same time for ten pairings and for ten thousand.
#[derive(Debug, Default)]
pub struct Keyring {
    /// By FIU id and AA id, in that order.
    pairings: BTreeMap<(String, String), Arc<Pairing>>,
    by_fiu: HashMap<String, Party>,
    by_aa: HashMap<String, Party>,
}

/// The pairings of one FIU or of one AA.
#[derive(Debug, Default)]
struct Party {
    by_other: HashMap<String, Arc<Pairing>>,
    by_handle: HashMap<String, Arc<Pairing>>,
}

impl Keyring {
    fn new(pairings: Vec<Pairing>) -> Self {
        let mut keyring = Self::default();
        for pairing in pairings {
            let pairing = Arc::new(pairing);
            let of_fiu = keyring.by_fiu.entry(pairing.fiu.clone()).or_default();
            of_fiu.by_other.insert(pairing.aa.clone(), Arc::clone(&pairing));
            for handle in &pairing.handles {
                of_fiu.by_handle.insert(handle.to_ascii_lowercase(), Arc::clone(&pairing));
            }
            let of_aa = keyring.by_aa.entry(pairing.aa.clone()).or_default();
            of_aa.by_other.insert(pairing.fiu.clone(), Arc::clone(&pairing));
            keyring.pairings.insert((pairing.fiu.clone(), pairing.aa.clone()), pairing);
        }
        keyring
    }

    /// Every pairing, ordered by FIU id and AA id.
    pub fn pairings(&self) -> impl Iterator<Item = &Arc<Pairing>> {
        self.pairings.values()
    }

    /// The pairings after (`fiu`, `aa`) in that order.
    pub fn pairings_after(&self, fiu: String, aa: String) -> impl Iterator<Item = &Arc<Pairing>> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.pairings.range((Excluded((fiu, aa)), Unbounded)).map(|(_, pairing)| pairing)
    }

    /// The pairing of an FIU that sends a user with `handle`, which is in lower case: see
    /// [`crate::codec::form::handle`].
    pub fn by_handle(&self, fiu: &str, handle: &str) -> Option<&Arc<Pairing>> {
        self.by_fiu.get(fiu)?.by_handle.get(handle)
    }

    /// The fingerprint, 16 hexadecimal digits: a hash of the ids of pairings and secrets and of the states of secrets.
    /// It says nothing about the secrets themselves. Replicas with the same fingerprint encode and decode under the
    /// same secret ids.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        // An id holds no control character.
        for pairing in self.pairings() {
            hash.update([&*pairing.fiu, "\0", &pairing.aa, "\0"].concat());
            for Secret { id, decode_only, .. } in &pairing.secrets {
                hash.update([&**id, if *decode_only { "\x01" } else { "\x02" }].concat());
            }
        }
        to_hexadecimal(&hash.finalize()[..8])
    }

    /// Whether the keyring has a pairing of this FIU and AA.
    pub fn holds(&self, fiu: &str, aa: &str) -> bool {
        self.by_fiu.get(fiu).is_some_and(|fiu| fiu.by_other.contains_key(aa))
    }

    /// Whether the keyring has a `usable` pairing of this FIU.
    pub fn knows_fiu(&self, fiu: &str, usable: impl Fn(&Pairing) -> bool) -> bool {
        self.by_fiu.get(fiu).is_some_and(|fiu| fiu.by_other.values().any(|pairing| usable(pairing)))
    }

    /// Whether the keyring has a `usable` pairing of this AA.
    pub fn knows_aa(&self, aa: &str, usable: impl Fn(&Pairing) -> bool) -> bool {
        self.by_aa.get(aa).is_some_and(|aa| aa.by_other.values().any(|pairing| usable(pairing)))
    }

    /// The pairing of `fiu` with `aa` among those that are `usable`. If `aa` is empty, the only pairing of `fiu`.
    ///
    /// # Errors
    /// If no pairing fits, or several do.
    pub fn of_fiu(&self, fiu: &str, aa: &str, usable: impl Fn(&Pairing) -> bool) -> Result<&Arc<Pairing>, Unpicked> {
        pick(&self.by_fiu, fiu, aa, usable)
    }

    /// The pairing of `aa` with `fiu` among those that are `usable`. If `fiu` is empty, the only pairing of `aa`.
    ///
    /// # Errors
    /// If no pairing fits, or several do.
    pub fn of_aa(&self, aa: &str, fiu: &str, usable: impl Fn(&Pairing) -> bool) -> Result<&Arc<Pairing>, Unpicked> {
        pick(&self.by_aa, aa, fiu, usable)
    }
}

fn pick<'a>(
    parties: &'a HashMap<String, Party>,
    party: &str,
    other: &str,
    usable: impl Fn(&Pairing) -> bool,
) -> Result<&'a Arc<Pairing>, Unpicked> {
    let pairings = &parties.get(party).ok_or(Unpicked::Unknown)?.by_other;
    if !other.is_empty() {
        return pairings.get(other).filter(|pairing| usable(pairing)).ok_or(Unpicked::Unknown);
    }
    let mut fitting = pairings.values().filter(|pairing| usable(pairing));
    match (fitting.next(), fitting.next()) {
        (Some(pairing), None) => Ok(pairing),
        (None, _) => Err(Unpicked::Unknown),
        (Some(_), Some(_)) => Err(Unpicked::Ambiguous),
    }
}
