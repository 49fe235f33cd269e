//! After a reload has removed a secret, nothing of it and of its derived keys is left in memory.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
};

use memchr::memmem;

use crate::support::{
    program::{Client, Files, Program, opened, sealed, text},
    sender,
};

const OLD: &str = "old-secret-MARKER-5fQ9zX1wLp7Rk2B";
const NEW: &str = "new-secret-MARKER-8hV3cN6yTj4Gd0M";

/// The places in the writable memory of a process that hold any of `wanted`: which one, the mapping, and the bytes
/// around it.
fn places(process: u32, wanted: &[(String, Vec<u8>)]) -> Vec<String> {
    const CHUNK: usize = 64 << 10;
    // The chunks overlap, so that no place is cut in two.
    const OVERLAP: u64 = 64;
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let mut found = Vec::new();
    let mut bytes = vec![0; CHUNK];
    for line in fs::read_to_string(format!("/proc/{process}/maps")).unwrap().lines() {
        let mut parts = line.split_whitespace();
        let (range, permissions) = (parts.next().unwrap(), parts.next().unwrap());
        if !permissions.starts_with("rw") {
            continue;
        }
        let (begin, end) = range.split_once('-').unwrap();
        let [mut at, end] = [begin, end].map(|address| u64::from_str_radix(address, 16).unwrap());
        while at < end {
            let bytes = &mut bytes[..usize::try_from(end - at).unwrap().min(CHUNK)];
            // Memory that the kernel does not give, and memory that was never written, is not in use.
            if memory.read_exact_at(bytes, at).is_ok() && bytes.iter().any(|&byte| byte != 0) {
                for (name, wanted) in wanted {
                    for place in memmem::find_iter(bytes, wanted) {
                        let around = &bytes[place.saturating_sub(32)..(place + 64).min(bytes.len())];
                        found.push(format!("{name} in {line} at {:x}: {}", at + place as u64, around.escape_ascii()));
                    }
                }
            }
            at += bytes.len() as u64;
            if at < end {
                at -= OVERLAP;
            }
        }
    }
    found
}

/// The calls that a server usually gets, one after another.
async fn busy(client: &mut Client) -> Vec<String> {
    let mut dates = Vec::new();
    for _ in 0..8 {
        let message = sealed(client, "fiu", "aa").await.unwrap();
        opened(client, "aa", &message.query).await.unwrap();
        dates.push(message.params.unwrap().reqdate);
    }
    dates
}

/// A profile with this scheme.
fn profile(scheme: &str) -> &'static str {
    if scheme == "pbkdf2" { "v1.2" } else { "iv" }
}

async fn nothing_is_left_of_a_file(scheme: &str) {
    let files = Files::new();
    let keyring = files.keyring(profile(scheme), &[("one", OLD)]);
    let program = Program::start(&["--keyring", text(&keyring), "--kdf-threads", "1"]);
    let mut client = program.client().await;
    let dates = busy(&mut client).await;
    let secret = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let mut gone = vec![secret("the secret", OLD)];
    for date in &dates {
        let key = sender::key(scheme, OLD.as_bytes(), date);
        // One half of the key: a key schedule holds the halves separately.
        gone.extend([&key[..16], &key[16..]].map(|half| (format!("half of the key of {date}"), half.to_vec())));
    }
    assert_ne!(places(program.id(), &gone[..1]), [""; 0], "the secret in use is found");
    if scheme == "pbkdf2" {
        assert_ne!(places(program.id(), &gone[1..2]), [""; 0], "a key that is remembered is found");
    }
    files.keyring(profile(scheme), &[("two", NEW)]);
    program.signal("HUP");
    program.message(1, "reloaded").await;
    busy(&mut client).await;
    assert_ne!(places(program.id(), &[secret("new", NEW)]), [""; 0], "the new secret is in use");
    let left = places(program.id(), &gone);
    assert!(left.is_empty(), "{}", left.join("\n"));
}

#[tokio::test]
async fn a_dropped_secret_and_its_hkdf_keys_are_gone_from_memory() {
    nothing_is_left_of_a_file("hkdf-iv").await;
}

#[tokio::test]
async fn a_dropped_secret_and_its_pbkdf2_keys_are_gone_from_memory() {
    nothing_is_left_of_a_file("pbkdf2").await;
}
