//! The scripts, the keys that they are given, and how they are run.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::try_join;
use redis::{Arg, Cmd, ErrorKind, RedisResult, ServerErrorKind, Value};
use sha2::{Digest, Sha256};

use super::{Operation, connect::Connection};
use crate::memory::{Subject, last_block};

/// The prefix of the names of all keys.
pub(super) const PREFIX: &str = "aar:";

/// The keys of a message. Each reservation has one more, of its token.
#[derive(Clone)]
pub(super) struct Names {
    date: String,
    block: String,
}

/// A script and the hash under which the store knows it once it has run.
struct Script {
    text: String,
    hash: String,
}

const COMMON: &str = include_str!("common.lua");
static RESERVE: LazyLock<Script> = LazyLock::new(|| Script::of("", &[COMMON, include_str!("reserve.lua")]));
static RESOLVE: LazyLock<Script> = LazyLock::new(|| Script::of("", &[COMMON, include_str!("resolve.lua")]));
/// Needs no memory, so it runs in a full store too.
static RELEASE: LazyLock<Script> =
    LazyLock::new(|| Script::of(" flags=allow-oom", &[COMMON, include_str!("release.lua")]));
static PROOF: LazyLock<Script> = LazyLock::new(|| Script::of("", &[include_str!("proof.lua")]));

impl Script {
    /// The script of these parts, with the flags of Redis' scripts.
    fn of(flags: &str, parts: &[&str]) -> Self {
        let text = format!("#!lua{flags}\n{}", parts.concat());
        Self { hash: redis::Script::new(&text).get_hash().to_owned(), text }
    }
}

impl Names {
    pub(super) fn of(subject: &Subject<'_>) -> Self {
        let (fiu, aa) = (subject.pairing.fiu.as_bytes(), subject.pairing.aa.as_bytes());
        let date = subject.envelope.date.text().as_bytes();
        let block: [u8; 16] = hash(&[b"block", &[0], fiu, &[0], aa, &[0], date, &[0], last_block(subject.envelope)]);
        let date = format!("{PREFIX}{{{}}}", tag(subject));
        Self { block: format!("{date}:{}", URL_SAFE_NO_PAD.encode(block)), date }
    }

    /// The part of the name that picks the slot of a cluster.
    pub(super) fn tag(&self) -> &str {
        self.date.trim_start_matches(PREFIX).trim_matches(['{', '}'])
    }
}

/// The part of the names of a message's keys that picks their slot.
pub(super) fn tag(subject: &Subject<'_>) -> String {
    let (fiu, aa) = (subject.pairing.fiu.as_bytes(), subject.pairing.aa.as_bytes());
    let date = subject.envelope.date.text().as_bytes();
    let tag: [u8; 16] = hash(&[b"date", &[0], fiu, &[0], aa, &[0], date]);
    URL_SAFE_NO_PAD.encode(tag)
}

impl Operation {
    fn script(self) -> &'static Script {
        match self {
            Self::Reserve => &RESERVE,
            Self::Resolve => &RESOLVE,
            Self::Release => &RELEASE,
        }
    }

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

/// The beginning of the command that runs the script of an operation for the reservation with this token.
pub(super) fn begin(operation: Operation, names: &Names, token: &[u8; 12]) -> Cmd {
    let mut command = by_hash(operation.script());
    let over = format!("{}:{}", names.date, URL_SAFE_NO_PAD.encode(token));
    command.arg(3).arg(&names.date).arg(&names.block).arg(over).arg(token);
    command
}

/// `EVALSHA` of a script, without its keys.
fn by_hash(script: &Script) -> Cmd {
    let mut command = redis::cmd("EVALSHA");
    command.arg(&script.hash);
    command
}

/// `EVAL` of a script in place of this `EVALSHA`.
fn by_text(script: &Script, by_hash: &Cmd) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(&script.text);
    for argument in by_hash.args_iter().skip(2) {
        // An argument of another kind is a cursor, which no script has.
        if let Arg::Simple(argument) = argument {
            command.arg(argument);
        }
    }
    command
}

/// Runs the script of an operation by its hash, or by its text if the store does not know the hash. `asking` says to a
/// node of a cluster that another one has redirected the command to it.
pub(super) async fn run(
    connection: &mut Connection,
    operation: Operation,
    command: &Cmd,
    asking: bool,
) -> RedisResult<Value> {
    match send(connection, command, asking).await {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            send(connection, &by_text(operation.script(), command), asking).await
        }
        answer => answer,
    }
}

/// Proves that the store runs every command of the scripts, by text and by hash, with a key in the slot of `tag`: runs
/// a script that does. `false` is an answer of the wrong form.
pub(super) async fn prove(connection: &Connection, tag: &str, asking: bool) -> RedisResult<bool> {
    let key = format!("{PREFIX}{{{tag}}}:probe");
    let mut hash = by_hash(&PROOF);
    hash.arg(1).arg(&key);
    let text = by_text(&PROOF, &hash);
    let prove = async |command: &Cmd| send(&mut connection.clone(), command, asking).await;
    // Both are sent at once, in this order, and the store knows the script by its hash when it has run the text.
    let answers = try_join(prove(&text), prove(&hash)).await?;
    Ok(answers == (Value::Int(1), Value::Int(1)))
}

async fn send(connection: &mut Connection, command: &Cmd, asking: bool) -> RedisResult<Value> {
    if !asking {
        return command.query_async(connection).await;
    }
    let mut pipe = redis::pipe();
    pipe.cmd("ASKING").add_command(command.clone());
    let answers = connection.send_packed_commands(&pipe, 0, pipe.len()).await?;
    answers.into_iter().next_back().unwrap_or(Value::Nil).extract_error()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn commands<'a>(script: &'a Script, before: &str) -> BTreeSet<&'a str> {
        script.text.split(before).skip(1).filter_map(|rest| rest.split('\'').next()).collect()
    }

    #[test]
    fn the_proof_runs_every_command_of_the_other_scripts() {
        let others =
            [&RESERVE, &RESOLVE, &RELEASE].into_iter().flat_map(|script| commands(script, "redis.call('")).collect();
        assert_eq!(commands(&PROOF, "\n  { '"), others);
        assert!(others.len() > 5, "{others:?}");
    }
}
