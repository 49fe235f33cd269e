//! Checks that valid and invalid padding take the same time, and that failures of all kinds answer after the same time:
//! `TIMING_SECONDS=120 cargo bench --bench timing`, for this many seconds each.
//!
//! The method of dudect (Reparaz, Balasch, Verbauwhede: "Dude, is my code constant time?", 2017): calls of two classes,
//! chosen at random, and Welch's t-test of their times, over all times and over the times below each of 100
//! percentiles, since a disturbance from outside affects both classes. The greatest |t| counts. First it times
//! `codec::cipher::decrypt` and the zeroing of its result, which are the steps that the service does for every outcome;
//! the caller branches later. Then it times a call of the service through its socket.
//!
//! The limit is 10, as in dudect's own program: 4.5 is common for one test, and this is the greatest of 101 tests. The
//! program exits with 1 above the limit. It also exits with 1 if a control stays below the limit, since the run then
//! proves nothing. The controls are an unpadding that stops at the first wrong byte, and a refusal without a tick.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench says what it expects by unwrapping it")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts and nanoseconds are far below 2^52, and not negative"
)]

mod socket;
mod statistics;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::{
    array,
    hint::black_box,
    process::ExitCode,
    time::{Duration, Instant},
};

use aa_redirect::codec::{
    cipher::{self, BLOCK},
    kdf::Key,
};
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit, block_padding::NoPadding};
use statistics::{Random, Tests};
use zeroize::Zeroizing;

const BOUND: f64 = 10.0;

/// The number of calls of a pair that are prepared and then timed. The first batch only sets the percentiles.
const BATCH: usize = 10_000;

/// The fewest measurements of a class for which a test has a meaning.
const LEAST: f64 = 10_000.0;

const KEY: [u8; 32] = [0x5a; 32];
const IV: [u8; BLOCK] = [0xfb; BLOCK];

/// Two classes of last blocks.
struct Pair {
    name: &'static str,
    blocks: usize,
    /// The last blocks of the two classes from random bytes.
    classes: fn([u8; BLOCK], &mut Random) -> [[u8; BLOCK]; 2],
    call: fn(&Key, &[u8]),
    is_control: bool,
}

const PAIRS: [Pair; 6] = [
    Pair { name: "padding of any length, or one byte of it wrong", blocks: 2, ..PAIR },
    Pair { name: "the same in a message of 320 bytes", blocks: 20, ..PAIR },
    Pair { name: "padding of 1 byte, or a last byte of 0", classes: shortest, ..PAIR },
    Pair { name: "padding of 16 bytes, or the first of them wrong", classes: longest, ..PAIR },
    Pair { name: "padding of 16 bytes, or of 1", classes: both_valid, ..PAIR },
    Pair {
        name: "control: stops at the first wrong byte",
        classes: early_fault,
        call: leaky,
        is_control: true,
        ..PAIR
    },
];

const PAIR: Pair = Pair { name: "", blocks: 2, classes: any_length, call: codec, is_control: false };

fn any_length(bytes: [u8; BLOCK], random: &mut Random) -> [[u8; BLOCK]; 2] {
    let length = 1 + random.below(BLOCK);
    let valid = padded(bytes, length);
    loop {
        let mut invalid = valid;
        invalid[BLOCK - 1 - random.below(length)] = random.next().to_le_bytes()[0];
        if !is_padded(&invalid) {
            return [valid, invalid];
        }
    }
}

fn shortest(bytes: [u8; BLOCK], _: &mut Random) -> [[u8; BLOCK]; 2] {
    let valid = padded(bytes, 1);
    let mut invalid = valid;
    invalid[BLOCK - 1] = 0;
    [valid, invalid]
}

fn longest(bytes: [u8; BLOCK], _: &mut Random) -> [[u8; BLOCK]; 2] {
    let valid = padded(bytes, BLOCK);
    let mut invalid = valid;
    invalid[0] = 0;
    [valid, invalid]
}

/// The control reads all of the first block, and stops at the second byte of the other.
fn early_fault(bytes: [u8; BLOCK], _: &mut Random) -> [[u8; BLOCK]; 2] {
    let valid = padded(bytes, BLOCK);
    let mut invalid = valid;
    invalid[BLOCK - 2] = 0;
    [valid, invalid]
}

fn both_valid(bytes: [u8; BLOCK], _: &mut Random) -> [[u8; BLOCK]; 2] {
    [padded(bytes, BLOCK), padded(bytes, 1)]
}

fn padded(mut block: [u8; BLOCK], length: usize) -> [u8; BLOCK] {
    block[BLOCK - length..].fill(u8::try_from(length).unwrap());
    block
}

fn is_padded(block: &[u8; BLOCK]) -> bool {
    let length = usize::from(block[BLOCK - 1]);
    (1..=BLOCK).contains(&length) && block[BLOCK - length..].iter().all(|&byte| usize::from(byte) == length)
}

fn codec(key: &Key, ciphertext: &[u8]) {
    black_box(cipher::decrypt(key, &IV, ciphertext));
}

/// The simple removal of padding, as textbooks show it.
fn leaky(key: &Key, ciphertext: &[u8]) {
    let mut text = Zeroizing::new(ciphertext.to_vec());
    cbc::Decryptor::<aes::Aes256>::new((&**key).into(), (&IV).into()).decrypt_padded::<NoPadding>(&mut text).unwrap();
    let valid = text.last_chunk().is_some_and(|block: &[u8; BLOCK]| {
        let length = usize::from(black_box(block)[BLOCK - 1]);
        if length == 0 || length > BLOCK {
            return false;
        }
        for byte in block.iter().rev().take(length) {
            if usize::from(*black_box(byte)) != length {
                return false;
            }
        }
        true
    });
    black_box((valid, text));
}

/// Times a batch of each pair. The calls of all pairs take turns.
fn measure(key: &Key, random: &mut Random, tests: &mut [Tests; PAIRS.len()]) {
    let calls: Vec<[(usize, Vec<u8>); PAIRS.len()]> = (0..BATCH)
        .map(|_| {
            PAIRS.map(|pair| {
                let class = random.below(2);
                let mut text: Vec<u8> =
                    (0..pair.blocks * BLOCK / 8).flat_map(|_| random.next().to_le_bytes()).collect();
                let last = text.last_chunk_mut().unwrap();
                *last = (pair.classes)(*last, random)[class];
                let cipher = cbc::Encryptor::<aes::Aes256>::new((&KEY).into(), (&IV).into());
                (class, cipher.encrypt_padded_vec::<NoPadding>(&text))
            })
        })
        .collect();
    let mut times: [Vec<(usize, f64)>; PAIRS.len()] = array::from_fn(|_| Vec::with_capacity(BATCH));
    let mut buffer = [0; 20 * BLOCK];
    for call in &calls {
        for ((pair, (class, ciphertext)), times) in PAIRS.iter().zip(call).zip(&mut times) {
            // Both classes use the same place in memory.
            let ciphertext = {
                let buffer = &mut buffer[..ciphertext.len()];
                buffer.copy_from_slice(ciphertext);
                black_box(&*buffer)
            };
            let begin = Instant::now();
            (pair.call)(key, ciphertext);
            times.push((*class, begin.elapsed().as_nanos() as f64));
        }
    }
    for (tests, times) in tests.iter_mut().zip(&times) {
        tests.add(times);
    }
}

fn main() -> ExitCode {
    // `cargo test --all-targets` runs benches too, without the argument.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let seconds = std::env::var("TIMING_SECONDS").map_or(60, |text| text.parse().unwrap());
    let (end, key) = (Instant::now() + Duration::from_secs(seconds), Key::new(KEY));
    let mut random = Random::new();
    let mut tests: [Tests; PAIRS.len()] = Default::default();
    while Instant::now() < end {
        measure(&key, &mut random, &mut tests);
    }
    let mut failed = false;
    for (pair, tests) in PAIRS.iter().zip(&tests) {
        let (t, slower) = tests.greatest(LEAST);
        failed |= (t > BOUND) != pair.is_control;
        let measurements = tests.measurements();
        println!("|t| {t:8.1}  {slower:+8.3} ns  {measurements:11.0} measurements  {}", pair.name);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    failed |= runtime.block_on(socket::fails(seconds));
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
