//! Reads the secrets of a pairing from files and variables, and finds what is wrong or doubtful about them.

use std::{collections::HashSet, env, io};

use sha2::{Digest, Sha256};
use toml::Spanned;
use zeroize::Zeroizing;

use crate::{codec::MAX_ID, keyring::Secret};

use super::{Absent, Check, shape::RawSecret};

/// The most secrets of a pairing: each may cost a key derivation on decode.
const MAX_SECRETS: usize = 4;
/// The fewest characters of a secret in the specification. A shorter secret gives a warning.
const LEAST_CHARACTERS: usize = 32;

/// The bytes of a secret, or the fact that they are absent.
enum Value {
    Read(Zeroizing<Vec<u8>>),
    StandIn,
}

impl Check<'_> {
    /// The secrets of a pairing, the primary one first.
    pub(super) fn secrets(&mut self, raw: &Spanned<Vec<RawSecret>>) -> Vec<Secret> {
        let entries = raw.get_ref();
        if entries.is_empty() || entries.len() > MAX_SECRETS {
            self.refuse(raw, format!("`secrets` must have 1 to {MAX_SECRETS} entries: the first one encodes"));
            return Vec::new();
        }
        let mut ids = HashSet::new();
        let mut secrets = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            let id = entry.id.get_ref();
            if id.is_empty() || id.len() > MAX_ID || id.chars().any(char::is_control) {
                let text = format!("the `id` of a secret must have 1 to {MAX_ID} bytes and no control characters");
                self.refuse(&entry.id, text);
            } else if !ids.insert(id) {
                self.refuse(&entry.id, "another secret of this pairing has the same `id`: give each its own");
            }
            match &entry.usage {
                Some(usage) if at == 0 => {
                    self.refuse(usage, "the first secret is the primary one and encodes: remove its `use`");
                }
                Some(usage) => drop(self.choice(usage, "use", &[("decode", "")])),
                None => {}
            }
            match self.secret_value(entry) {
                Some(Value::Read(value)) => {
                    self.weigh(entry, &value, self.line(&raw.span()));
                    secrets.push(Secret::new(id.clone(), at > 0, value.to_vec()));
                }
                Some(Value::StandIn) => secrets.push(Secret::stand_in(id.clone(), at > 0)),
                None => {}
            }
        }
        secrets
    }

    /// The bytes of a secret, without one line end at the end. `None` if it has a problem.
    fn secret_value(&mut self, entry: &RawSecret) -> Option<Value> {
        let value = match (&entry.file, &entry.env) {
            (Some(file), None) => (self.read)(file).map_err(|error| {
                (error.kind() == io::ErrorKind::NotFound, format!("the secret file cannot be read: {error}"))
            }),
            (None, Some(name)) => env::var(name).map(|value| Zeroizing::new(value.into_bytes())).map_err(|error| {
                let text = "the environment variable of the secret is not set, or not UTF-8: set it";
                (error == env::VarError::NotPresent, text.to_owned())
            }),
            _ => Err((false, "a secret needs either `file` or `env`: write one of them".to_owned())),
        };
        let mut value = match value {
            Ok(value) => value,
            Err((true, _)) if self.absent == Absent::StandIn => return Some(Value::StandIn),
            Err((_, problem)) => {
                self.refuse(&entry.id, problem);
                return None;
            }
        };
        for end in [b"\r\n".as_slice(), b"\n"] {
            if value.ends_with(end) {
                let length = value.len() - end.len();
                value.truncate(length);
                break;
            }
        }
        if value.is_empty() {
            self.refuse(&entry.id, "the secret is empty: `aa-redirect keygen` makes one");
            return None;
        }
        Some(Value::Read(value))
    }

    /// Warns about a short secret, and about a secret that another pairing (on another line) also has.
    fn weigh(&mut self, entry: &RawSecret, value: &[u8], pairing: usize) {
        if String::from_utf8_lossy(value).chars().count() < LEAST_CHARACTERS {
            let text = format!(
                "the secret has fewer than {LEAST_CHARACTERS} characters: `aa-redirect keygen` makes a new one"
            );
            self.warn(&entry.id, text);
        }
        if value.trim_ascii().len() < value.len() || value.starts_with("\u{feff}".as_bytes()) {
            let text = "the secret begins or ends with a blank, line end or byte order mark, which is part of it: \
                        check that this is intended";
            self.warn(&entry.id, text);
        }
        let first = *self.secrets.entry(Sha256::digest(value).into()).or_insert(pairing);
        if first != pairing {
            self.warn(&entry.id, format!("a pairing on line {first} has the same secret: give each pairing its own"));
        }
    }
}
