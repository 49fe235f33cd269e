//! The kernels, and how to call one.
//!
//! A [`Kernel`] that needs a processor feature exists only if the processor has that feature. So code that holds a
//! kernel may run it.

#![expect(unsafe_code, reason = "functions with target features can be called in no other way; see each proof")]

use std::fmt;

#[cfg(target_arch = "x86_64")]
use zeroize::Zeroizing;

use crate::{Input, Key, library::library};
#[cfg(target_arch = "x86_64")]
use crate::{chain::Chain, hmac::States, sha_ni, sha256, wide};

/// A way to run PBKDF2's rounds on this processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Library,
    #[cfg(target_arch = "x86_64")]
    ShaNi,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Kernel {
    /// The `pbkdf2` crate, one message after another; every processor has it.
    pub const fn library() -> Self {
        Self(Kind::Library)
    }

    /// The SHA extensions of x86, one message or two side by side.
    pub fn sha_ni() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if sha_ni::is_available() {
            return Some(Self(Kind::ShaNi));
        }
        None
    }

    /// AVX2, eight messages side by side.
    pub fn avx2() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            return Some(Self(Kind::Avx2));
        }
        None
    }

    /// AVX-512, sixteen messages side by side.
    pub fn avx512() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f") {
            return Some(Self(Kind::Avx512));
        }
        None
    }

    /// Every kernel of this processor, the library first.
    pub fn available() -> impl Iterator<Item = Self> {
        [Some(Self::library()), Self::sha_ni(), Self::avx2(), Self::avx512()].into_iter().flatten()
    }

    /// The name for logs and benches.
    pub const fn name(self) -> &'static str {
        match self.0 {
            Kind::Library => "library",
            #[cfg(target_arch = "x86_64")]
            Kind::ShaNi => "sha-ni",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
        }
    }

    /// The most messages that one call takes.
    pub const fn lanes(self) -> usize {
        match self.0 {
            Kind::Library => 1,
            #[cfg(target_arch = "x86_64")]
            Kind::ShaNi => 2,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => 8,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => 16,
        }
    }

    /// Derives the key of each input with this many rounds and writes it to the same place of `keys`.
    ///
    /// # Panics
    /// If there are more inputs than lanes, if the numbers of keys and inputs differ, or if there are no rounds.
    pub fn derive(self, inputs: &[Input<'_>], rounds: u32, keys: &mut [Key]) {
        assert!(inputs.len() <= self.lanes(), "more messages than lanes");
        assert_eq!(inputs.len(), keys.len(), "a key for each input");
        assert!(rounds > 0, "PBKDF2 has at least one round");
        match self.0 {
            Kind::Library => {
                for (input, key) in inputs.iter().zip(keys) {
                    library(input, rounds, key);
                }
            }
            #[cfg(target_arch = "x86_64")]
            Kind::ShaNi if inputs.len() < 2 => side_by_side(inputs, keys, |chains: &mut [Chain; 1]| {
                // SAFETY: `Kernel::sha_ni`, the only function that makes this kind, has found every feature of this
                // function.
                unsafe { sha_ni::run(chains, rounds) }
            }),
            #[cfg(target_arch = "x86_64")]
            Kind::ShaNi => side_by_side(inputs, keys, |chains: &mut [Chain; 2]| {
                // SAFETY: as above.
                unsafe { sha_ni::run(chains, rounds) }
            }),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => side_by_side(inputs, keys, |chains| {
                // SAFETY: `Kernel::avx2`, the only function that makes this kind, has found the feature of this
                // function.
                unsafe { wide::avx2(chains, rounds) }
            }),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => side_by_side(inputs, keys, |chains| {
                // SAFETY: `Kernel::avx512`, the only function that makes this kind, has found the feature of this
                // function.
                unsafe { wide::avx512(chains, rounds) }
            }),
        }
    }

    /// Whether every lane gives the library's key.
    pub(crate) fn agrees(self) -> bool {
        // Few rounds are enough, and cost the start no time: a wrong kernel is already wrong in the first rounds.
        const ROUNDS: u32 = 3;
        let salts: Vec<String> = (0..self.lanes()).map(|lane| format!("salt of lane {lane}")).collect();
        let inputs: Vec<Input<'_>> =
            salts.iter().map(|salt| Input { password: b"a password", salt: salt.as_bytes() }).collect();
        let agrees = |inputs: &[Input<'_>]| {
            let (mut keys, mut expected) = (vec![Key::default(); inputs.len()], vec![Key::default(); inputs.len()]);
            self.derive(inputs, ROUNDS, &mut keys);
            for (input, key) in inputs.iter().zip(&mut expected) {
                library(input, ROUNDS, key);
            }
            keys == expected
        };
        agrees(&inputs) && agrees(&inputs[..1])
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Runs a kernel of `N` lanes. Nobody reads the results of lanes without an input.
#[cfg(target_arch = "x86_64")]
fn side_by_side<const N: usize>(inputs: &[Input<'_>], keys: &mut [Key], run: impl FnOnce(&mut [Chain; N])) {
    let mut chains = Zeroizing::new([Chain::default(); N]);
    for (chain, input) in chains.iter_mut().zip(inputs) {
        start(chain, input);
    }
    run(&mut chains);
    for (chain, key) in chains.iter().zip(keys) {
        sha256::write(&chain.sum, key);
    }
}

/// Fills in everything of `chain` except its sum.
#[cfg(target_arch = "x86_64")]
fn start(chain: &mut Chain, input: &Input<'_>) {
    let states = States::of(input.password);
    (chain.inner, chain.outer) = (states.inner, states.outer);
    // One round is `U₁` alone.
    let mut first = Zeroizing::new(Key::default());
    library(input, 1, &mut first);
    sha256::read(&mut chain.last, &first);
}
