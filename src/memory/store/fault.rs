//! What went wrong with a connection, as a text for the log that says what to do.

use std::fmt;

use redis::RedisError;

/// The most characters of what a store says that reach the log.
const MAX_PROBLEM: usize = 200;

/// What to do about an error. The first text that the error contains counts.
const ADVICE: [(&[&str], &str); 15] = [
    (
        &["can't run this command", "NoPerm: User", "no permissions to run"],
        "the store's user may not run a command that the service needs: give it the rights that docs/operations.md names",
    ),
    (
        &["can't access", "No permissions to access a key", "no permissions to access"],
        "the store's user may not use keys that begin with `aar:`, so give it the rights that docs/operations.md names",
    ),
    (&["Moved:", "Ask:"], "this is a node of a cluster: name several of its nodes with --store, or this one twice"),
    (&["cluster support disabled"], "this server is not in a cluster: name it once with --store"),
    (&["BusyLoading"], "the store is starting, and reads its data: wait"),
    (&["ReadOnly"], "this is a follower, which takes no writes: name the master, or Sentinel"),
    (&["\"OOM\""], "the store is full: give it more memory (maxmemory)"),
    (&["\"MISCONF\""], "the store cannot write to its disk, so it takes no writes"),
    (&["NOAUTH"], "the store needs a password: name its file with --store-password-file"),
    (
        &["WRONGPASS", "AuthenticationFailed", "invalid password"],
        "the store does not take this user and password: check --store-password-file and the user name in --store",
    ),
    (
        &["CertificateRequired"],
        "the store asks for a client certificate, and the service has none: set tls-auth-clients no in the store",
    ),
    (
        &["UnknownIssuer", "BadSignature"],
        "the CA of the store's certificate is not known here: name its file in SSL_CERT_FILE",
    ),
    (&["NOREPLICAS"], "the store has fewer followers than min-replicas-to-write asks for: start them"),
    (&["\"BUSY\""], "the store runs a script of somebody else that does not end: see SCRIPT KILL"),
    (&["ClusterDown"], "the cluster has no owner for some messages: see CLUSTER INFO on its nodes"),
];

/// What went wrong with a connection.
pub(super) enum Fault {
    /// No answer in time.
    Hangs,
    /// It ended, or the store answered with an error.
    Error(RedisError),
    /// An answer that a correct store never gives.
    Wrong,
    /// A node of a cluster that sends messages elsewhere.
    Moved,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hangs => f.write_str("no answer in time"),
            Self::Error(error) => f.write_str(&shown(&error.to_string())),
            Self::Moved => {
                f.write_str("this node sends messages to other nodes: see CLUSTER INFO and CLUSTER SLOTS on it")
            }
            Self::Wrong => f.write_str("an answer that a correct store never gives"),
        }
    }
}

/// The beginning of what a store says, as one line, behind what to do about it.
pub(super) fn shown(text: &str) -> String {
    let beginning = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    let beginning: String = beginning.take(MAX_PROBLEM).collect();
    let advice = ADVICE.iter().find(|(parts, _)| parts.iter().any(|part| beginning.contains(part)));
    match advice {
        Some((_, advice)) => format!("{advice} (it says: {beginning})"),
        None => beginning,
    }
}

/// What to do, if a text of [`shown`] says it.
pub(super) fn advice(shown: &str) -> Option<&'static str> {
    ADVICE.iter().map(|(_, advice)| *advice).find(|advice| shown.starts_with(advice))
}
