//! A running derivation, in the form that every kernel reads and writes.

use sha2::{Digest, Sha256, block_api::compress256};
use zeroize::{Zeroize, Zeroizing};

use crate::{Input, Key, library::library};

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;

/// HMAC's pads (RFC 2104, section 2): the inner pad, and the XOR mask that turns it into the outer pad.
const INNER_PAD: u8 = 0x36;
const INNER_TO_OUTER: u8 = 0x36 ^ 0x5c;

/// SHA-256's initial state (FIPS 180-4, section 5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// SHA-256's constants (FIPS 180-4, section 4.2.2).
#[rustfmt::skip]
pub(crate) const K: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

/// `T = U₁ ⊕ … ⊕ U_c` with `U₁ = HMAC(P, S ‖ 1)` and `Uᵢ = HMAC(P, Uᵢ₋₁)` (RFC 8018, section 5.2).
#[derive(Clone, Copy, Default)]
pub(crate) struct Chain {
    /// The state of HMAC's inner hash after its block of key.
    pub(crate) inner: [u32; 8],
    /// The state of HMAC's outer hash after its block of key.
    pub(crate) outer: [u32; 8],
    /// `U₁`.
    pub(crate) last: [u32; 8],
    /// `T`, once a kernel has run.
    pub(crate) sum: [u32; 8],
}

impl Chain {
    /// Fills in everything except `sum`.
    pub(crate) fn start(&mut self, input: &Input<'_>) {
        let mut block = Zeroizing::new([0; BLOCK]);
        if input.password.len() > BLOCK {
            block[..32].copy_from_slice(&Sha256::digest(input.password));
        } else {
            block[..input.password.len()].copy_from_slice(input.password);
        }
        block.iter_mut().for_each(|byte| *byte ^= INNER_PAD);
        self.inner = INITIAL;
        compress256(&mut self.inner, std::slice::from_ref(&*block));
        block.iter_mut().for_each(|byte| *byte ^= INNER_TO_OUTER);
        self.outer = INITIAL;
        compress256(&mut self.outer, std::slice::from_ref(&*block));
        // One round is `U₁` alone.
        let mut first = Zeroizing::new(Key::default());
        library(input, 1, &mut first);
        let (words, _) = first.as_chunks::<4>();
        for (word, bytes) in self.last.iter_mut().zip(words) {
            *word = u32::from_be_bytes(*bytes);
        }
    }

    /// Writes `T` in bytes.
    pub(crate) fn write(&self, key: &mut Key) {
        let (words, _) = key.as_chunks_mut::<4>();
        for (bytes, word) in words.iter_mut().zip(self.sum) {
            *bytes = word.to_be_bytes();
        }
    }
}

impl Zeroize for Chain {
    fn zeroize(&mut self) {
        let Self { inner, outer, last, sum } = self;
        for words in [inner, outer, last, sum] {
            words.zeroize();
        }
    }
}
