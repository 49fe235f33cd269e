//! The instructions that a call executes, by component, as valgrind's callgrind counts them. Unlike a time, the count
//! is the same in every run.
//!
//! It counts the instructions of the program, not of the kernel. valgrind does not know the SHA extensions, so SHA-256
//! is counted as its portable code. The build needs line tables; `benches/instructions` adds them.

use std::{collections::BTreeMap, fs, process::Command, time::Duration};

use crate::{
    driver::{Bodies, drive},
    messages::{DECODE, ENCODE, Messages},
    servers::{PROGRAM, Server, folder},
};

/// The calls of the short and of the long run. Their difference excludes the start and the end.
const CALLS: [usize; 2] = [1000, 3000];

/// The component of a file, by a part of its path. The first match counts.
const COMPONENTS: [(&str, &str); 27] = [
    ("/src/hpack/", "HPACK (h2)"),
    ("/h2-", "HTTP/2 (h2)"),
    ("/http-1", "headers (http)"),
    ("/indexmap-", "HTTP/2 (h2)"),
    ("/slab-", "HTTP/2 (h2)"),
    ("/fnv-", "HTTP/2 (h2)"),
    ("/hyper-", "hyper"),
    ("/http-body", "hyper"),
    ("/tonic", "tonic"),
    ("/tower", "tonic"),
    ("/prost", "protobuf (prost)"),
    ("/tokio", "tokio"),
    ("/tracing", "tracing"),
    ("/sharded-slab", "tracing"),
    ("/bytes-", "buffers (bytes)"),
    ("mimalloc", "allocation"),
    ("/sha2-", "cryptography"),
    ("/hmac-", "cryptography"),
    ("/pbkdf2-lanes/", "cryptography"),
    ("/aes-", "cryptography"),
    ("src/codec", "codec"),
    ("src/exchange", "exchange"),
    ("src/memory", "memory"),
    ("src/service", "service"),
    ("src/server", "server"),
    ("src/telemetry", "telemetry"),
    ("src/keyring", "keyring"),
];

/// The component by the crate at the beginning of a function's name, for code of the standard library that was compiled
/// into that crate.
const CRATES: [(&str, &str); 21] = [
    ("h2::hpack", "HPACK (h2)"),
    ("h2::", "HTTP/2 (h2)"),
    ("http::", "headers (http)"),
    ("hyper", "hyper"),
    ("tonic", "tonic"),
    ("prost", "protobuf (prost)"),
    ("tokio", "tokio"),
    ("tracing", "tracing"),
    ("bytes::", "buffers (bytes)"),
    ("sha2::", "cryptography"),
    ("pbkdf2_lanes::", "cryptography"),
    ("aes::", "cryptography"),
    ("aa_redirect::codec", "codec"),
    ("aa_redirect::exchange", "exchange"),
    ("aa_redirect::memory", "memory"),
    ("aa_redirect::service", "service"),
    ("aa_redirect::server", "server"),
    ("aa_redirect::telemetry", "telemetry"),
    ("aa_redirect::keyring", "keyring"),
    ("mi_", "allocation"),
    ("__mem", "copies and comparisons (libc)"),
];

/// Prints a table of instructions by component.
pub(crate) async fn count() {
    let service = Server::service(10, 1);
    let loads = [
        ("EncodeRedirect", ENCODE, Messages::new().hkdf(&service, ENCODE).await, "text"),
        ("EncodeRedirect, JSON log", ENCODE, Messages::new().hkdf(&service, ENCODE).await, "json"),
        ("DecodeRedirect", DECODE, Messages::large(&service, DECODE).await, "text"),
    ];
    drop(service);
    for (name, path, bodies, log) in loads {
        let short = run(path, &bodies, CALLS[0], log).await;
        let long = run(path, &bodies, CALLS[1], log).await;
        let calls = (CALLS[1] - CALLS[0]) as f64;
        let of_call = |component: &str| {
            let of = |counts: &BTreeMap<String, u64>| counts.get(component).copied().unwrap_or_default() as f64;
            (of(&long) - of(&short)) / calls
        };
        let mut rows: Vec<(&str, f64)> =
            long.keys().map(|component| (component.as_str(), of_call(component))).collect();
        rows.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        let all: f64 = rows.iter().map(|(_, count)| count).sum();
        println!("\n| {name} | instructions of a call | part |\n|---|---|---|");
        for (component, count) in rows.iter().filter(|(_, count)| *count >= 50.0) {
            println!("| {component} | {count:.0} | {:.1} % |", 100.0 * count / all);
        }
        println!("| all | {all:.0} | |");
    }
}

/// Instructions by component of a server that answers this many calls, from its start to its end.
async fn run(path: &'static str, bodies: &Bodies, calls: usize, log: &str) -> BTreeMap<String, u64> {
    let out = folder().join("callgrind.out");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind", "--compress-strings=no", "--compress-pos=no"]);
    valgrind.arg(format!("--callgrind-out-file={}", out.display())).arg(PROGRAM);
    let server = Server::program(valgrind, 10, &["--kdf-threads", "1", "--drain-delay", "0", "--log", log]);
    let bodies = bodies.iter().cycle().take(calls).cloned().collect();
    drive(&server, path, bodies, 64, Duration::MAX).await;
    server.stop();
    by_component(&fs::read_to_string(out).unwrap())
}

/// Sums the lines of callgrind's format. `fn=`, `fi=`, `fe=` and `fl=` name the owner of the costs that follow. The
/// line after `calls=` has the cost of the called function, which is counted at that function.
fn by_component(profile: &str) -> BTreeMap<String, u64> {
    let (mut counts, mut file, mut function, mut called) = (BTreeMap::new(), "", "", false);
    for line in profile.lines() {
        if let Some((key, value)) = line.split_once('=') {
            match key {
                "fl" | "fi" | "fe" => file = value,
                "fn" => function = value,
                "calls" => called = true,
                _ => {}
            }
        } else if line.starts_with(|first: char| first.is_ascii_digit()) && !std::mem::take(&mut called) {
            let count: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
            *counts.entry(component(file, function)).or_default() += count;
        }
    }
    counts
}

fn component(file: &str, function: &str) -> String {
    let by_file = COMPONENTS.iter().find(|(part, _)| file.contains(part)).map(|(_, name)| *name);
    let function = function.trim_start_matches('<').trim_start_matches("&mut ").trim_start_matches("dyn ");
    let by_crate = || CRATES.iter().find(|(part, _)| function.starts_with(part)).map(|(_, name)| *name);
    by_file.or_else(by_crate).unwrap_or("the rest").to_owned()
}
