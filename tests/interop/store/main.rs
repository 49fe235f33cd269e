//! Replicas that share their memory in a real redis-server: their common budgets and openings, calls while the store
//! fails in many ways, clusters, Sentinel, and replicas behind HAProxy under load.

#![allow(unreachable_pub, reason = "modules of one binary")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects by unwrapping it")]

mod broken_cluster;
mod cluster;
mod load;
mod lost;
mod outage;
mod proxy;
mod redis;
mod replicas;
mod rights;
mod sentinel;
#[path = "../../support/mod.rs"]
mod support;
mod tls;
mod together;
