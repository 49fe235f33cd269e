//! Measures how long derivations take, and estimates when one that joins the queue will be done.
//!
//! Each kernel is timed once at the start, with few rounds. After that each run shows how much slower the machine is at
//! the moment than at the start. All kernels share this one factor, so that a kernel that rarely runs has no old value.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use pbkdf2_lanes::{Input, Kernels};

use crate::codec::kdf::PBKDF2_ROUNDS;

/// What part of a derivation is timed at the start.
const SAMPLE: u32 = 64;
/// How often it is timed. The shortest time counts, since other work on the machine only adds time.
const SAMPLES: usize = 3;
/// A factor of 1.
const UNIT: u32 = 1024;
/// The least and the most by which the machine is taken to be slower than at the start.
const FACTORS: [u32; 2] = [UNIT / 16, UNIT * 1024];
/// A new time counts for half of the factor if it is slower, else for a quarter. So a slower machine does not accept
/// too many jobs for long.
const WEIGHTS: [u32; 2] = [2, 4];
/// Such a time counts as at most this many times the factor, so that one pause of the machine has little effect.
const SLOWER: u32 = 4;

/// The measured speed of the kernels.
pub(super) struct Pace {
    kernels: Kernels,
    /// The time of one run of the kernel for few and of the kernel for many messages, at the start, with its lanes.
    runs: [(usize, Duration); 2],
    /// Times now over times at the start, in units of 1/1024.
    factor: AtomicU32,
}

impl Pace {
    /// Times the kernels: some milliseconds.
    pub(super) fn measure(kernels: &Kernels) -> Self {
        let runs = [1, usize::MAX].map(|waiting| {
            let lanes = kernels.batch(waiting);
            (lanes, time(kernels, lanes))
        });
        Self { kernels: kernels.clone(), runs, factor: AtomicU32::new(UNIT) }
    }

    /// How long one thread takes for this many keys, at the current pace.
    pub(super) fn of(&self, keys: usize) -> Duration {
        self.at_start(keys).saturating_mul(self.factor.load(Ordering::Relaxed)) / UNIT
    }

    /// Notes how long one thread took for this many keys.
    pub(super) fn took(&self, keys: usize, time: Duration) {
        let units = time.as_nanos() * u128::from(UNIT) / self.at_start(keys).as_nanos().max(1);
        let old = self.factor.load(Ordering::Relaxed);
        let new = u32::try_from(units).unwrap_or(u32::MAX).min(SLOWER * old);
        let weight = WEIGHTS[usize::from(new < old)];
        let [least, most] = FACTORS;
        // Two threads at a time may lose one value of the two.
        self.factor.store(((old * (weight - 1) + new) / weight).clamp(least, most), Ordering::Relaxed);
    }

    /// How long it takes until the derivation at `place` of the queue, counted from 1, is done with this many threads:
    /// first the running derivations (`is_busy`), then the ones ahead of it, then itself.
    pub(super) fn wait(&self, place: usize, threads: u32, is_busy: bool) -> Duration {
        let share = place.div_ceil(usize::try_from(threads).unwrap_or(usize::MAX));
        let in_work = if is_busy { self.of(share.min(self.kernels.batch(share))) } else { Duration::ZERO };
        in_work + self.of(share)
    }

    fn at_start(&self, keys: usize) -> Duration {
        let lanes = self.kernels.batch(keys);
        let [few, many] = self.runs;
        let (_, run) = if lanes <= few.0 { few } else { many };
        run.saturating_mul(u32::try_from(keys.div_ceil(lanes)).unwrap_or(u32::MAX))
    }
}

/// The time of one run with all lanes, from a part of its rounds.
fn time(kernels: &Kernels, lanes: usize) -> Duration {
    let inputs = vec![Input { password: &[0; 32], salt: &[0; 15] }; lanes];
    let mut keys = vec![[0; 32]; lanes];
    let mut least = Duration::MAX;
    for _ in 0..SAMPLES {
        let begin = Instant::now();
        kernels.derive(&inputs, PBKDF2_ROUNDS / SAMPLE, &mut keys);
        least = least.min(begin.elapsed());
    }
    least * SAMPLE
}

#[cfg(test)]
mod tests {
    use pbkdf2_lanes::Kernel;

    use super::*;

    const RUN: Duration = Duration::from_millis(8);

    /// One key in each run, 8 ms for each.
    fn pace() -> Pace {
        Pace { kernels: Kernels::only(Kernel::library()), runs: [(1, RUN); 2], factor: AtomicU32::new(UNIT) }
    }

    #[test]
    fn a_derivation_waits_for_running_and_earlier_derivations_on_all_threads() {
        let pace = pace();
        assert_eq!(pace.wait(1, 1, false), RUN);
        assert_eq!(pace.wait(1, 1, true), 2 * RUN);
        assert_eq!(pace.wait(100, 1, true), 101 * RUN);
        assert_eq!(pace.wait(100, 4, true), 26 * RUN);
        assert_eq!(pace.wait(101, 4, true), 27 * RUN);
    }

    #[test]
    fn lanes_take_keys_side_by_side() {
        let Some(wide) = Kernel::avx2() else { return };
        let (lanes, kernels) = (wide.lanes(), Kernels::only(wide));
        let pace = Pace { kernels, runs: [(1, RUN), (lanes, 2 * RUN)], factor: AtomicU32::new(UNIT) };
        assert_eq!(pace.of(1), RUN);
        assert_eq!(pace.of(lanes), 2 * RUN);
        assert_eq!(pace.of(10 * lanes), 20 * RUN);
        assert_eq!(pace.of(10 * lanes + 1), 22 * RUN);
    }

    #[test]
    fn the_estimate_follows_a_machine_that_slows_down_and_recovers() {
        let pace = pace();
        for _ in 0..40 {
            pace.took(1, 5 * RUN);
        }
        assert!(pace.of(1) > 4 * RUN && pace.of(1) <= 5 * RUN, "{:?}", pace.of(1));
        for _ in 0..40 {
            pace.took(10, 10 * RUN);
        }
        assert!(pace.of(1) < RUN * 11 / 10, "{:?}", pace.of(1));
    }

    #[test]
    fn one_pause_of_the_machine_changes_the_estimate_little() {
        let pace = pace();
        pace.took(1, Duration::from_hours(1));
        assert!(pace.of(1) <= RUN * 5 / 2, "{:?}", pace.of(1));
    }

    #[test]
    fn there_is_an_estimate_from_the_start() {
        let pace = Pace::measure(&Kernels::best());
        assert!(!pace.of(1).is_zero());
        assert!(pace.of(1000) > pace.of(1), "more keys take longer");
    }
}
