//! The service over real sockets: calls and refusals, attacks, callers, connections, TLS, reload, health, drain,
//! overload, logs, metrics and settings; and the files that it is served from.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects by unwrapping it")]

mod attacks;
mod callers;
mod callers_file;
mod calls;
mod connections;
mod drain;
mod exhaustion;
mod health;
#[cfg(target_os = "linux")]
mod hung_files;
mod keyring_file;
mod logs;
#[cfg(target_os = "linux")]
mod memory;
mod metrics;
mod opened;
mod overload;
mod panics;
mod reload;
mod settings;
mod splices;
#[path = "../support/mod.rs"]
mod support;
mod tls;
