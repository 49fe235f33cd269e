//! Encodes and decodes the browser redirects between Financial Information Users (FIU) and Account Aggregators (AA) of
//! India's consent framework, over gRPC.
//!
//! Three rings; each knows only those inside it:
//!
//! 1. [`codec`]: the format, pure.
//! 2. [`keyring`] and [`kdf_pool`]: pairings, secrets, derived keys.
//! 3. [`service`], [`callers`], [`error`], [`server`], [`telemetry`], [`config`], [`cli`]: the edges. They translate and
//!    decide nothing about the format. [`reload`] keeps what is served up with its files.
//!
//! [`files`] is how the second and third ring read, [`file_check`] what their files have in common. [`manual`] is
//! documentation only: [attacks, and why they fail here](manual::attacks).

pub mod callers;
pub mod cli;
pub mod codec;
pub mod config;
mod environment;
pub mod error;
pub mod file_check;
pub mod files;
pub mod kdf_pool;
pub mod keyring;
pub mod manual;
pub mod proto;
pub mod reload;
pub mod server;
pub mod service;
pub mod telemetry;
