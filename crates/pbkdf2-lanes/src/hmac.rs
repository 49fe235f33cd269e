//! HMAC with SHA-256 (RFC 2104) of one text, with the SHA extensions of x86 or else on the compression of the `sha2`
//! crate.
//!
//! Replaces the `hmac` and `hkdf` crates, which feed a hash piece by piece through a buffer: with them, an HKDF of one
//! key takes 1.2 times as long (`cargo bench -p pbkdf2-lanes -- hkdf`).

#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "a function with target features; see its proof"))]

#[cfg(target_arch = "x86_64")]
use std::sync::LazyLock;

use sha2::{Digest, Sha256, block_api::compress256};
use zeroize::{Zeroize, optimization_barrier};

#[cfg(target_arch = "x86_64")]
use crate::sha_ni;
use crate::{
    Key,
    sha256::{BLOCK, INITIAL, State, write},
};

/// Bytes at the end of the last block, for the length of all that was hashed.
const LENGTH: usize = 8;

/// The inner pad, and the XOR mask that turns it into the outer pad (RFC 2104, section 2).
const INNER_PAD: u8 = 0x36;
const INNER_TO_OUTER: u8 = 0x36 ^ 0x5c;

/// Writes `HMAC-SHA256(key, text)` to `mac`. Key and text may have any length.
pub fn hmac_sha256(key: &[u8], text: &[u8], mac: &mut Key) {
    let mut states = States::of(key);
    let (blocks, rest) = text.as_chunks();
    for block in blocks {
        compress([&mut states.inner], [block]);
    }
    finish(&mut states.inner, rest, BLOCK + text.len());
    let mut inner = Wiped(Key::default());
    write(&states.inner, &mut inner.0);
    finish(&mut states.outer, &inner.0, BLOCK + inner.0.len());
    write(&states.outer, mac);
}

/// The states of HMAC's two hashes after their blocks of key. Zeroed when dropped.
pub(crate) struct States {
    pub(crate) inner: State,
    pub(crate) outer: State,
}

impl States {
    pub(crate) fn of(key: &[u8]) -> Self {
        let mut inner = Wiped([0; BLOCK]);
        if key.len() > BLOCK {
            inner.0[..32].copy_from_slice(&Sha256::digest(key));
        } else {
            inner.0[..key.len()].copy_from_slice(key);
        }
        inner.0.iter_mut().for_each(|byte| *byte ^= INNER_PAD);
        let outer = Wiped(inner.0.map(|byte| byte ^ INNER_TO_OUTER));
        let mut states = Self { inner: INITIAL, outer: INITIAL };
        compress([&mut states.inner, &mut states.outer], [&inner.0, &outer.0]);
        states
    }
}

impl Drop for States {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

/// Hashes the last bytes, fewer than a block, behind which SHA-256 puts its padding. `length` counts all bytes.
fn finish(state: &mut State, rest: &[u8], length: usize) {
    let mut last = Wiped([0; 2 * BLOCK]);
    last.0[..rest.len()].copy_from_slice(rest);
    last.0[rest.len()] = 0x80;
    let end = if rest.len() < BLOCK - LENGTH { BLOCK } else { 2 * BLOCK };
    last.0[end - LENGTH..end].copy_from_slice(&(8 * length as u64).to_be_bytes());
    for block in last.0[..end].as_chunks().0 {
        compress([state], [block]);
    }
}

/// Whether the processor has the SHA extensions, and they compute what the library computes.
#[cfg(target_arch = "x86_64")]
static SHA_NI: LazyLock<bool> = LazyLock::new(|| {
    let block: [u8; BLOCK] = std::array::from_fn(|at| at.to_le_bytes()[0].wrapping_mul(0x9d));
    let (mut one, mut two, mut expected) = ([INITIAL], [INITIAL, INITIAL], INITIAL);
    compress256(&mut expected, &[block]);
    sha_ni::is_available() && {
        // SAFETY: the processor has every feature of this function.
        unsafe { sha_ni::compress_blocks(one.each_mut(), [&block]) };
        // SAFETY: as above.
        unsafe { sha_ni::compress_blocks(two.each_mut(), [&block; 2]) };
        one.iter().chain(&two).all(|state| *state == expected)
    }
});

/// SHA-256's compression (FIPS 180-4, 6.2.2) of each state with its block.
fn compress<const N: usize>(states: [&mut State; N], blocks: [&[u8; BLOCK]; N]) {
    #[cfg(target_arch = "x86_64")]
    if *SHA_NI {
        // SAFETY: the processor has every feature of this function.
        return unsafe { sha_ni::compress_blocks(states, blocks) };
    }
    for (state, block) in states.into_iter().zip(blocks) {
        compress256(state, std::slice::from_ref(block));
    }
}

/// Bytes that are zeroed as a whole when dropped. `Zeroizing` writes them one by one.
struct Wiped<const N: usize>([u8; N]);

impl<const N: usize> Drop for Wiped<N> {
    fn drop(&mut self) {
        self.0 = [0; N];
        optimization_barrier(&self.0);
    }
}
