//! PBKDF2's rounds on many messages side by side, one message in each vector lane.
//!
//! The compression is written once, over the few vector operations that it needs. AVX2 and AVX-512 each provide these
//! operations.

#![expect(unsafe_code, reason = "a vector and its words change into each other in no other way; see each proof")]
#![allow(clippy::many_single_char_names, reason = "the names of FIPS 180-4")]

use std::arch::x86_64::{
    __m256i, __m512i, _mm256_add_epi32, _mm256_and_si256, _mm256_or_si256, _mm256_set1_epi32, _mm256_slli_epi32,
    _mm256_srli_epi32, _mm256_xor_si256, _mm512_add_epi32, _mm512_ror_epi32, _mm512_set1_epi32, _mm512_srli_epi32,
    _mm512_ternarylogic_epi32, _mm512_xor_si512,
};

use crate::{chain::Chain, sha256::K};

/// Writes a module's kernel: `rounds` over `$lanes` chains in vectors of `$vector`, with the processor feature
/// `$feature` and the operations given.
macro_rules! kernel {
    (
        $name:ident, $feature:literal, $vector:ty, $lanes:literal,
        splat $splat:ident, add $add:ident, xor $xor:ident, shift right $shr:ident,
        rotate right $n:ident $rotate_vector:ident $rotate:expr,
        xor3 $xa:ident $xb:ident $xc:ident $xor3:expr,
        choose $ca:ident $cb:ident $cc:ident $choose:expr,
        majority $ma:ident $mb:ident $mc:ident $majority:expr,
    ) => {
        /// Runs `rounds` of each chain. Its first round is already done.
        #[target_feature(enable = $feature)]
        pub(crate) fn $name(chains: &mut [Chain; $lanes], rounds: u32) {
            /// Rotates each word right by `N` bits; `M` is 32 − `N`.
            #[inline]
            #[target_feature(enable = $feature)]
            fn rotate<const $n: i32, const M: i32>($rotate_vector: $vector) -> $vector {
                $rotate
            }

            #[inline]
            #[target_feature(enable = $feature)]
            fn xor3($xa: $vector, $xb: $vector, $xc: $vector) -> $vector {
                $xor3
            }

            /// For each bit: the bit of the second operand if the bit of the first is 1, else the bit of the third.
            #[inline]
            #[target_feature(enable = $feature)]
            fn choose($ca: $vector, $cb: $vector, $cc: $vector) -> $vector {
                $choose
            }

            #[inline]
            #[target_feature(enable = $feature)]
            fn majority($ma: $vector, $mb: $vector, $mc: $vector) -> $vector {
                $majority
            }

            #[inline]
            #[target_feature(enable = $feature)]
            fn gather(chains: &[Chain; $lanes], of: fn(&Chain) -> &[u32; 8]) -> [$vector; 8] {
                std::array::from_fn(|word| {
                    let lanes: [u32; $lanes] = std::array::from_fn(|lane| of(&chains[lane])[word]);
                    // SAFETY: both have the same number of bytes, and every bit pattern is a valid value of both.
                    unsafe { std::mem::transmute::<[u32; $lanes], $vector>(lanes) }
                })
            }

            /// SHA-256's compression (FIPS 180-4, 6.2.2) of `state` with the block of a digest after a block of key.
            #[inline]
            #[target_feature(enable = $feature)]
            fn compress(state: &[$vector; 8], digest: &[$vector; 8]) -> [$vector; 8] {
                let word = |value: u32| $splat(value.cast_signed());
                let mut w = [word(0); 16];
                w[..8].copy_from_slice(digest);
                w[8] = word(0x8000_0000);
                w[15] = word(768);
                let mut s = *state;
                // Each round shifts the names of the words by one place; the index does this, so no word moves.
                macro_rules! round {
                    ($t:expr) => {
                        let [a, b, c, d, e, f, g, h] = [0, 1, 2, 3, 4, 5, 6, 7].map(|at| (at + 64 - $t) % 8);
                        let big1 = xor3(rotate::<6, 26>(s[e]), rotate::<11, 21>(s[e]), rotate::<25, 7>(s[e]));
                        let t1 = $add($add($add(s[h], $add(w[$t % 16], word(K[$t]))), choose(s[e], s[f], s[g])), big1);
                        let big0 = xor3(rotate::<2, 30>(s[a]), rotate::<13, 19>(s[a]), rotate::<22, 10>(s[a]));
                        s[d] = $add(s[d], t1);
                        s[h] = $add(t1, $add(big0, majority(s[a], s[b], s[c])));
                    };
                }
                macro_rules! scheduled_round {
                    ($t:expr) => {
                        let (w1, w14) = (w[($t + 1) % 16], w[($t + 14) % 16]);
                        let small0 = xor3(rotate::<7, 25>(w1), rotate::<18, 14>(w1), $shr::<3>(w1));
                        let small1 = xor3(rotate::<17, 15>(w14), rotate::<19, 13>(w14), $shr::<10>(w14));
                        w[$t % 16] = $add($add(w[$t % 16], small0), $add(w[($t + 9) % 16], small1));
                        round!($t);
                    };
                }
                sixteen!(round, 0);
                sixteen!(scheduled_round, 16);
                sixteen!(scheduled_round, 32);
                sixteen!(scheduled_round, 48);
                std::array::from_fn(|at| $add(s[at], state[at]))
            }

            let inner = gather(chains, |chain| &chain.inner);
            let outer = gather(chains, |chain| &chain.outer);
            let mut digest = gather(chains, |chain| &chain.last);
            let mut sum = digest;
            for _ in 1..rounds {
                digest = compress(&inner, &digest);
                digest = compress(&outer, &digest);
                sum = std::array::from_fn(|word| $xor(sum[word], digest[word]));
            }
            for (word, vector) in sum.into_iter().enumerate() {
                // SAFETY: as in `gather`.
                let lanes = unsafe { std::mem::transmute::<$vector, [u32; $lanes]>(vector) };
                for (chain, lane) in chains.iter_mut().zip(lanes) {
                    chain.sum[word] = lane;
                }
            }
        }
    };
}

/// Sixteen times `$what!`, from `$from` on.
macro_rules! sixteen {
    ($what:ident, $from:literal) => {
        $what!($from);
        $what!($from + 1);
        $what!($from + 2);
        $what!($from + 3);
        $what!($from + 4);
        $what!($from + 5);
        $what!($from + 6);
        $what!($from + 7);
        $what!($from + 8);
        $what!($from + 9);
        $what!($from + 10);
        $what!($from + 11);
        $what!($from + 12);
        $what!($from + 13);
        $what!($from + 14);
        $what!($from + 15);
    };
}

kernel! {
    avx2, "avx2", __m256i, 8,
    splat _mm256_set1_epi32, add _mm256_add_epi32, xor _mm256_xor_si256, shift right _mm256_srli_epi32,
    rotate right N x _mm256_or_si256(_mm256_srli_epi32::<N>(x), _mm256_slli_epi32::<M>(x)),
    xor3 a b c _mm256_xor_si256(_mm256_xor_si256(a, b), c),
    choose a b c _mm256_xor_si256(c, _mm256_and_si256(a, _mm256_xor_si256(b, c))),
    majority a b c _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(c, _mm256_or_si256(a, b))),
}

kernel! {
    avx512, "avx512f", __m512i, 16,
    splat _mm512_set1_epi32, add _mm512_add_epi32, xor _mm512_xor_si512, shift right _mm512_srli_epi32,
    rotate right N x _mm512_ror_epi32::<N>(x),
    xor3 a b c _mm512_ternarylogic_epi32::<0x96>(a, b, c),
    choose a b c _mm512_ternarylogic_epi32::<0xCA>(a, b, c),
    majority a b c _mm512_ternarylogic_epi32::<0xE8>(a, b, c),
}
