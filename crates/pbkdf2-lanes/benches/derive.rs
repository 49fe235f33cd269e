//! Each kernel of this processor, on one thread, with 65,536 rounds: `cargo bench -p pbkdf2-lanes`.
//!
//! `library` is the `pbkdf2` crate. The other kernels must be faster. So must HKDF on `hmac_sha256` be than the `hkdf`
//! crate.

#![allow(missing_docs, reason = "criterion's macros write functions without documentation")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hkdf::Hkdf;
use pbkdf2_lanes::{Input, Kernel, Key, hmac_sha256};
use sha2::Sha256;

fn derive(criterion: &mut Criterion) {
    let salts: Vec<String> = (0..16).map(|lane| format!("0604202105102{lane:02}")).collect();
    let inputs: Vec<Input<'_>> =
        salts.iter().map(|salt| Input { password: b"ac12ghd75kf75r", salt: salt.as_bytes() }).collect();
    let mut group = criterion.benchmark_group("pbkdf2, 65,536 rounds");
    group.sample_size(20);
    // A wide kernel is never used for a single key.
    let counts = |kernel: Kernel| if kernel.lanes() == 2 { vec![1, 2] } else { vec![kernel.lanes()] };
    for (kernel, count) in Kernel::available().flat_map(|kernel| counts(kernel).into_iter().map(move |n| (kernel, n))) {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new(kernel.name(), count), |bencher| {
            let mut keys = vec![Key::default(); count];
            bencher.iter(|| kernel.derive(black_box(&inputs[..count]), 65_536, &mut keys));
        });
    }
    group.finish();
}

/// The first 32 bytes of HKDF with SHA-256 (RFC 5869), against the `hkdf` crate.
fn hkdf(criterion: &mut Criterion) {
    const SECRET: &[u8] = b"nsrkGE&-p1Qh*Gn$3P0&Qt0s9!uz1U_I";
    const SALT: &[u8] = b"060420210510756";
    let mut group = criterion.benchmark_group("hkdf");
    group.bench_function("hmac_sha256", |bencher| {
        bencher.iter(|| {
            let (mut extracted, mut key) = (Key::default(), Key::default());
            hmac_sha256(black_box(SALT), SECRET, &mut extracted);
            hmac_sha256(&extracted, b"\x01", &mut key);
            key
        });
    });
    group.bench_function("library", |bencher| {
        bencher.iter(|| {
            let mut key = Key::default();
            let expanded = Hkdf::<Sha256>::new(Some(black_box(SALT)), SECRET).expand(b"", &mut key);
            expanded.map(|()| key)
        });
    });
    group.finish();
}

criterion_group!(benches, derive, hkdf);
criterion_main!(benches);
