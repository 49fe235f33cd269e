#![doc = include_str!("../README.md")]

use std::fmt;

#[cfg(target_arch = "x86_64")]
mod chain;
mod hmac;
mod kernel;
mod library;
mod sha256;
#[cfg(target_arch = "x86_64")]
mod sha_ni;
#[cfg(target_arch = "x86_64")]
mod wide;

pub use hmac::hmac_sha256;
pub use kernel::Kernel;

/// A derived key: one block of PBKDF2 with HMAC-SHA256, `dkLen` = 32.
pub type Key = [u8; 32];

/// The input of a derivation.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// `P` of RFC 8018, of any length.
    pub password: &'a [u8],
    /// `S` of RFC 8018, of any length.
    pub salt: &'a [u8],
}

/// The kernels that serve this processor best: one for a few messages and perhaps one for many.
#[derive(Clone, Debug)]
pub struct Kernels {
    /// For one or two messages.
    narrow: Kernel,
    /// For more messages.
    wide: Option<Kernel>,
    faulty: Vec<Kernel>,
}

impl Kernels {
    /// Picks the fastest kernels of this processor. Each is first compared with the `pbkdf2` crate. A kernel that gives
    /// other keys is not used, and [`Kernels::faulty`] names it.
    pub fn best() -> Self {
        let mut faulty = Vec::new();
        let mut works = |kernel: &Kernel| {
            let agrees = kernel.agrees();
            faulty.extend((!agrees).then_some(*kernel));
            agrees
        };
        let narrow = Kernel::sha_ni().filter(&mut works).unwrap_or(Kernel::library());
        let wide = match Kernel::avx512().filter(&mut works) {
            // Eight lanes of AVX2 are slower than two streams of the SHA extensions.
            None if narrow == Kernel::library() => Kernel::avx2().filter(&mut works),
            wide => wide,
        };
        Self { narrow, wide, faulty }
    }

    /// One kernel, and the library for the messages that are too few for it.
    pub fn only(kernel: Kernel) -> Self {
        let (narrow, wide) = if kernel.lanes() <= 2 { (kernel, None) } else { (Kernel::library(), Some(kernel)) };
        Self { narrow, wide, faulty: Vec::new() }
    }

    /// The kernels of this processor that gave other keys than the library. This is a fault of the machine or of this
    /// crate, so report it.
    pub fn faulty(&self) -> &[Kernel] {
        &self.faulty
    }

    /// How many messages the next call of [`Kernels::derive`] should take if `waiting` messages wait: the lanes of the
    /// wide kernel if one run of it is faster than several runs of the narrow kernel, else the lanes of the narrow
    /// kernel.
    pub fn batch(&self, waiting: usize) -> usize {
        self.kernel_for(waiting).lanes()
    }

    /// Derives the key of each input with this many rounds and writes it to the same place of `keys`. There may be any
    /// number of inputs.
    ///
    /// # Panics
    /// If the numbers of keys and inputs differ, or if there are no rounds.
    pub fn derive(&self, inputs: &[Input<'_>], rounds: u32, keys: &mut [Key]) {
        assert_eq!(inputs.len(), keys.len(), "a key for each input");
        let kernel = self.kernel_for(inputs.len());
        for (inputs, keys) in inputs.chunks(kernel.lanes()).zip(keys.chunks_mut(kernel.lanes())) {
            kernel.derive(inputs, rounds, keys);
        }
    }

    fn kernel_for(&self, messages: usize) -> Kernel {
        match self.wide {
            Some(wide) if messages >= self.breakeven() => wide,
            _ => self.narrow,
        }
    }

    /// The smallest number of messages for which the wide kernel is faster. The narrow kernel needs as long for this
    /// many messages as one call of the wide kernel.
    fn breakeven(&self) -> usize {
        if self.narrow == Kernel::library() { 3 } else { 9 }
    }
}

impl fmt::Display for Kernels {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.narrow.fmt(formatter)?;
        self.wide.map_or(Ok(()), |wide| write!(formatter, ", {wide}"))
    }
}
