//! Each kernel of this processor, on one thread, with 65,536 rounds: `cargo bench -p pbkdf2-lanes`.
//!
//! `library` is the `pbkdf2` crate. The other kernels must be faster.

#![allow(missing_docs, reason = "criterion's macros write functions without documentation")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pbkdf2_lanes::{Input, Kernel, Key};

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

criterion_group!(benches, derive);
criterion_main!(benches);
