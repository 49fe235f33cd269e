//! A running derivation, in the form that every kernel reads and writes.

use zeroize::Zeroize;

use crate::sha256::State;

/// `T = U₁ ⊕ … ⊕ U_c` with `U₁ = HMAC(P, S ‖ 1)` and `Uᵢ = HMAC(P, Uᵢ₋₁)` (RFC 8018, section 5.2).
#[derive(Clone, Copy, Default)]
pub(crate) struct Chain {
    /// The state of HMAC's inner hash after its block of key.
    pub(crate) inner: State,
    /// The state of HMAC's outer hash after its block of key.
    pub(crate) outer: State,
    /// `U₁`.
    pub(crate) last: State,
    /// `T`, once a kernel has run.
    pub(crate) sum: State,
}

impl Zeroize for Chain {
    fn zeroize(&mut self) {
        let Self { inner, outer, last, sum } = self;
        for words in [inner, outer, last, sum] {
            words.zeroize();
        }
    }
}
