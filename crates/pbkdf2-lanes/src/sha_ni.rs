//! SHA-256's compression and PBKDF2's rounds with the SHA extensions of x86, one stream or two interleaved: a single
//! stream is bound by the latency of `sha256rnds2`, and a second one fills its gaps.

#![allow(clippy::many_single_char_names, reason = "the names of FIPS 180-4")]

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_set_epi32, _mm_set_epi64x, _mm_sha256msg1_epu32,
    _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32, _mm_unpackhi_epi64,
    _mm_unpacklo_epi64, _mm_xor_si128,
};

use crate::{
    chain::Chain,
    sha256::{self, BLOCK, K},
};

/// A state in the form that the instructions need: `a b e f` and `c d g h`, with the first word on top.
#[derive(Clone, Copy)]
struct State {
    abef: __m128i,
    cdgh: __m128i,
}

/// Swaps the words of each pair: a state has the first word on top, a block at the bottom.
const SWAP_PAIRS: i32 = 0b10_11_00_01;

/// Whether this processor has the features of the functions of this module.
pub(crate) fn is_available() -> bool {
    is_x86_feature_detected!("sha")
        && is_x86_feature_detected!("sse2")
        && is_x86_feature_detected!("ssse3")
        && is_x86_feature_detected!("sse4.1")
}

/// Runs `rounds` of each of `N` chains. Their first round is already done.
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
pub(crate) fn run<const N: usize>(chains: &mut [Chain; N], rounds: u32) {
    let inner: [State; N] = std::array::from_fn(|n| load(&chains[n].inner));
    let outer: [State; N] = std::array::from_fn(|n| load(&chains[n].outer));
    let mut digest: [State; N] = std::array::from_fn(|n| load(&chains[n].last));
    let mut sum = digest;
    for _ in 1..rounds {
        digest = compress(&inner, digest.map(|digest| digest_block(&digest)));
        digest = compress(&outer, digest.map(|digest| digest_block(&digest)));
        for (sum, digest) in sum.iter_mut().zip(&digest) {
            sum.abef = _mm_xor_si128(sum.abef, digest.abef);
            sum.cdgh = _mm_xor_si128(sum.cdgh, digest.cdgh);
        }
    }
    for (chain, sum) in chains.iter_mut().zip(&sum) {
        chain.sum = store(sum);
    }
}

/// SHA-256's compression of each of `N` states with its block.
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
pub(crate) fn compress_blocks<const N: usize>(states: [&mut sha256::State; N], blocks: [&[u8; BLOCK]; N]) {
    let next = compress(&std::array::from_fn(|n| load(states[n])), blocks.map(|block| words(block)));
    for (state, next) in states.into_iter().zip(&next) {
        *state = store(next);
    }
}

/// The words of a block, which it has in big-endian form.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn words(block: &[u8; BLOCK]) -> [__m128i; 4] {
    let swap_bytes = _mm_set_epi64x(0x0C0D_0E0F_0809_0A0B, 0x0405_0607_0001_0203);
    let (halves, _) = block.as_chunks();
    let half = |at: usize| i64::from_le_bytes(halves[at]);
    std::array::from_fn(|at| _mm_shuffle_epi8(_mm_set_epi64x(half(2 * at + 1), half(2 * at)), swap_bytes))
}

#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn load(words: &sha256::State) -> State {
    let [a, b, c, d, e, f, g, h] = words.map(u32::cast_signed);
    State { abef: _mm_set_epi32(a, b, e, f), cdgh: _mm_set_epi32(c, d, g, h) }
}

#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn store(state: &State) -> sha256::State {
    let words = |vector: __m128i| {
        [
            _mm_extract_epi32::<3>(vector),
            _mm_extract_epi32::<2>(vector),
            _mm_extract_epi32::<1>(vector),
            _mm_extract_epi32::<0>(vector),
        ]
        .map(i32::cast_unsigned)
    };
    let ([a, b, e, f], [c, d, g, h]) = (words(state.abef), words(state.cdgh));
    [a, b, c, d, e, f, g, h]
}

/// The block of a digest that follows one block of key: the digest, a one bit, and the length of 768 bits.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn digest_block(digest: &State) -> [__m128i; 4] {
    [
        _mm_shuffle_epi32::<SWAP_PAIRS>(_mm_unpackhi_epi64(digest.abef, digest.cdgh)),
        _mm_shuffle_epi32::<SWAP_PAIRS>(_mm_unpacklo_epi64(digest.abef, digest.cdgh)),
        _mm_set_epi64x(0, 0x8000_0000),
        _mm_set_epi64x(768 << 32, 0),
    ]
}

/// SHA-256's compression (FIPS 180-4, 6.2.2) of each of `N` states with the words of its block.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn compress<const N: usize>(states: &[State; N], mut w: [[__m128i; 4]; N]) -> [State; N] {
    let mut now = *states;
    macro_rules! four_rounds {
        ($g:literal) => {
            let k = _mm_set_epi32(
                K[4 * $g + 3].cast_signed(),
                K[4 * $g + 2].cast_signed(),
                K[4 * $g + 1].cast_signed(),
                K[4 * $g].cast_signed(),
            );
            let mut word = [k; N];
            for n in 0..N {
                word[n] = _mm_add_epi32(w[n][$g % 4], k);
                now[n].cdgh = _mm_sha256rnds2_epu32(now[n].cdgh, now[n].abef, word[n]);
            }
            for n in 0..N {
                let high = _mm_shuffle_epi32::<0x0E>(word[n]);
                now[n].abef = _mm_sha256rnds2_epu32(now[n].abef, now[n].cdgh, high);
            }
            if $g < 12 {
                for n in 0..N {
                    let [w0, w1, w2, w3] = [$g, $g + 1, $g + 2, $g + 3].map(|at| w[n][at % 4]);
                    let sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8::<4>(w3, w2));
                    w[n][$g % 4] = _mm_sha256msg2_epu32(sum, w3);
                }
            }
        };
    }
    four_rounds!(0);
    four_rounds!(1);
    four_rounds!(2);
    four_rounds!(3);
    four_rounds!(4);
    four_rounds!(5);
    four_rounds!(6);
    four_rounds!(7);
    four_rounds!(8);
    four_rounds!(9);
    four_rounds!(10);
    four_rounds!(11);
    four_rounds!(12);
    four_rounds!(13);
    four_rounds!(14);
    four_rounds!(15);
    for n in 0..N {
        now[n].abef = _mm_add_epi32(now[n].abef, states[n].abef);
        now[n].cdgh = _mm_add_epi32(now[n].cdgh, states[n].cdgh);
    }
    now
}
