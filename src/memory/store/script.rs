//! The three scripts, the keys that they are given, and how they are run.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use redis::{Cmd, ErrorKind, RedisResult, ServerErrorKind, Value};
use sha2::{Digest, Sha256};

use super::{Operation, address::Connection};
use crate::memory::{Subject, last_block};

/// The prefix of the names of all keys.
pub(super) const PREFIX: &str = "aar:";

/// The two keys of a message.
#[derive(Clone)]
pub(super) struct Names {
    date: String,
    block: String,
}

/// A script and the hash under which the store knows it once it has run.
pub(super) struct Script {
    text: &'static str,
    hash: String,
}

pub(super) static RESERVE: LazyLock<Script> = LazyLock::new(|| Script::of(include_str!("reserve.lua")));
pub(super) static RESOLVE: LazyLock<Script> = LazyLock::new(|| Script::of(include_str!("resolve.lua")));
pub(super) static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::of(include_str!("release.lua")));
static PROOF: LazyLock<Script> = LazyLock::new(|| Script::of(include_str!("proof.lua")));

impl Script {
    fn of(text: &'static str) -> Self {
        Self { text, hash: redis::Script::new(text).get_hash().to_owned() }
    }
}

impl Names {
    pub(super) fn of(subject: &Subject<'_>) -> Self {
        let (fiu, aa) = (subject.pairing.fiu.as_bytes(), subject.pairing.aa.as_bytes());
        let date = subject.envelope.date.text().as_bytes();
        let tag: [u8; 16] = hash(&[b"date", &[0], fiu, &[0], aa, &[0], date]);
        let block: [u8; 16] = hash(&[b"block", &[0], fiu, &[0], aa, &[0], date, &[0], last_block(subject.envelope)]);
        let date = format!("{PREFIX}{{{}}}", URL_SAFE_NO_PAD.encode(tag));
        Self { block: format!("{date}:{}", URL_SAFE_NO_PAD.encode(block)), date }
    }

    /// The part of the name that picks the slot of a cluster.
    pub(super) fn tag(&self) -> &str {
        self.date.trim_start_matches(PREFIX).trim_matches(['{', '}'])
    }
}

impl Operation {
    /// Whether the script can give this answer.
    pub(super) fn can_answer(self, answer: &Value) -> bool {
        match (self, answer) {
            (Self::Reserve, Value::Int(0..=2)) | (Self::Release, Value::Int(0)) => true,
            (Self::Resolve, Value::Array(answer)) => {
                matches!(**answer, [Value::Int(0..=6), Value::Int(_), Value::Int(_), Value::Int(_)])
            }
            _ => false,
        }
    }
}

/// The first bytes of SHA-256 of all parts.
pub(super) fn hash<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let all = parts.iter().fold(Sha256::new(), sha2::Digest::chain_update).finalize();
    std::array::from_fn(|at| all[at])
}

/// The beginning of `EVALSHA` or `EVAL` of a script.
pub(super) fn begin(name: &str, script: &Script, names: &Names) -> Cmd {
    let mut command = load(name, script);
    command.arg(2).arg(&names.date).arg(&names.block);
    command
}

/// The script that proves that the store runs every command of the others, with a key in the slot of `tag`.
pub(super) fn proof(tag: &str) -> [Cmd; 2] {
    let key = format!("{PREFIX}{{{tag}}}:probe");
    ["EVALSHA", "EVAL"].map(|name| {
        let mut command = load(name, &PROOF);
        command.arg(1).arg(&key);
        command
    })
}

/// `EVALSHA` or `EVAL` of a script, without its keys.
fn load(name: &str, script: &Script) -> Cmd {
    let mut command = redis::cmd(name);
    command.arg(if name == "EVAL" { script.text } else { &script.hash });
    command
}

/// Runs a script by its hash, or by its text if the store does not know the hash.
pub(super) async fn run(connection: &mut Connection, [by_hash, by_text]: &[Cmd; 2]) -> RedisResult<Value> {
    match connection.query(by_hash).await {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => connection.query(by_text).await,
        answer => answer,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn commands(script: &Script) -> BTreeSet<&str> {
        script.text.split("redis.call('").skip(1).filter_map(|rest| rest.split('\'').next()).collect()
    }

    #[test]
    fn the_proof_runs_every_command_of_the_other_scripts() {
        let others = [&RESERVE, &RESOLVE, &RELEASE].into_iter().flat_map(|script| commands(script)).collect();
        assert_eq!(commands(&PROOF), others);
        assert!(others.len() > 5, "{others:?}");
    }
}
