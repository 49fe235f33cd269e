//! What operators rely on, held over real sockets: TLS, callers, reload, health, drain, overload, logs, metrics, settings.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects by unwrapping it")]

mod callers;
mod drain;
mod health;
mod logs;
#[cfg(target_os = "linux")]
mod memory;
mod metrics;
mod overload;
mod panics;
mod reload;
mod settings;
#[path = "../support/mod.rs"]
mod support;
mod tls;
