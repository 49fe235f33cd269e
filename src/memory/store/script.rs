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
                matches!(**answer, [Value::Int(0..=4), Value::Int(_), Value::Int(_), Value::Int(_)])
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
    let mut command = redis::cmd(name);
    if name == "EVAL" {
        command.arg(script.text);
    } else {
        command.arg(&script.hash);
    }
    command.arg(2).arg(&names.date).arg(&names.block);
    command
}

pub(super) async fn run(connection: &mut Connection, [by_hash, by_text]: &[Cmd; 2]) -> RedisResult<Value> {
    match connection.query(by_hash).await {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => connection.query(by_text).await,
        answer => answer,
    }
}
