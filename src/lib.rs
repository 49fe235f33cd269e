//! Encodes and decodes the browser redirects between Financial Information Users (FIU) and Account Aggregators (AA) of
//! India's consent framework, over gRPC.
//!
//! Who may use whom; a test reads every `use crate::` and fails on any other arrow (`tests/structure.rs`):
//!
//! | module | what it is | uses |
//! |---|---|---|
//! | [`codec`] | the format, pure | nothing of ours |
//! | [`config`] | settings as plain data | nothing of ours |
//! | [`files`] | reading, checking and reloading files | nothing of ours |
//! | [`proto`] | the generated code | nothing of ours |
//! | [`keyring`] | pairings and secrets, as a file says them | codec, files |
//! | [`callers`] | who may call | codec, files |
//! | [`keys`] | derived keys: cache, single flight, the PBKDF2 pool | codec, keyring |
//! | [`memory`] | failures and first openings, in the process or in a shared store | codec, keyring |
//! | [`exchange`] | opening and sealing one message | codec, keyring, keys, memory |
//! | [`telemetry`] | logs, metrics, traces | proto, names of codec |
//! | [`service`] | protobuf ↔ exchange, errors | exchange, codec, keyring, keys, memory, callers, telemetry, proto |
//! | [`diagnosis`] | everything about one message, for operators | service, exchange, codec, keyring, keys, memory |
//! | [`server`] | listeners, connections, TLS, limits, health, admin, drain | service, callers, telemetry, files |
//! | [`rehearsal`] | both sides of a redirect in a browser | service, diagnosis, exchange, codec, keyring, keys, memory, telemetry, proto |
//! | [`compose`], [`cli`] | the program | everything |
//! | [`manual`] | the chapters | nothing of ours |

pub mod callers;
pub mod cli;
pub mod codec;
pub mod compose;
pub mod config;
pub mod diagnosis;
pub mod exchange;
pub mod files;
pub mod keyring;
pub mod keys;
pub mod manual;
pub mod memory;
pub mod proto;
pub mod rehearsal;
pub mod server;
pub mod service;
pub mod telemetry;
