//! Counters in a fixed table: a count-min sketch (Cormode and Muthukrishnan, 2005) whose cells begin again with each
//! epoch.
//!
//! A counter has four cells, picked by its hash. Its value is the lowest of them. Counters that share cells can make
//! each other too high. A failure raises only the cells that it must (conservative update, Estan and Varghese, 2002),
//! which keeps that small. A counter is never too low before its epoch has ended. Sketches in libraries know neither
//! epochs nor attempts that still run.

use std::{
    iter,
    sync::{
        MutexGuard,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use super::index;

/// The cells of a counter.
const WAYS: usize = 4;

/// A table of cells.
pub(super) struct Sketch {
    /// Each has, from the lowest bit on: running attempts (16 bits), failures (16 bits, up to [`MOST`]), and the epoch
    /// of the failures (32 bits). An epoch older than that of the counter means no failure.
    cells: Box<[AtomicU64]>,
}

/// A counter of one epoch. Its failures are forgotten with the epoch.
pub(super) struct Counter<'a> {
    cells: [&'a AtomicU64; WAYS],
    /// Up to `u32::MAX`.
    epoch: u64,
    /// How many attempts may fail.
    pub(super) limit: u64,
}

/// The most failures that a cell counts.
const MOST: u64 = u16::MAX as u64;

impl Sketch {
    /// A table with this many cells, a power of two.
    pub(super) fn new(cells: usize) -> Self {
        debug_assert!(cells.is_power_of_two(), "otherwise a step might meet a cell twice");
        Self { cells: iter::repeat_with(AtomicU64::default).take(cells).collect() }
    }

    /// The counter with this hash.
    pub(super) fn counter(&self, hash: u64, epoch: u64, limit: u64) -> Counter<'_> {
        // Double hashing (Kirsch and Mitzenmacher, 2006); the step is odd.
        let (begin, step) = (hash & 0xFFFF_FFFF, hash >> 32 | 1);
        let mut place = begin;
        let cells = [(); WAYS].map(|()| {
            let cell = &self.cells[index(place & (self.cells.len() as u64 - 1))];
            place += step;
            cell
        });
        Counter { cells, epoch, limit }
    }
}

fn running(cell: u64) -> u64 {
    cell & 0xFFFF
}

impl Counter<'_> {
    fn failed_in(&self, cell: u64) -> u64 {
        if cell >> 32 >= self.epoch { cell >> 16 & 0xFFFF } else { 0 }
    }

    fn least(&self, of: impl Fn(u64) -> u64) -> u64 {
        self.cells.iter().map(|cell| of(cell.load(SeqCst))).fold(u64::MAX, u64::min)
    }

    /// Whether the failures have reached the limit.
    pub(super) fn is_spent(&self) -> bool {
        self.least(|cell| self.failed_in(cell)) >= self.limit
    }

    /// Whether failures and running attempts together exceed the limit.
    pub(super) fn is_overdrawn(&self) -> bool {
        self.least(|cell| self.failed_in(cell) + running(cell)) > self.limit
    }

    /// Notes that an attempt runs.
    pub(super) fn begin(&self) {
        for cell in self.cells {
            cell.fetch_add(1, SeqCst);
        }
    }

    /// Records that an attempt has ended and has not failed.
    pub(super) fn give_back(&self) {
        for cell in self.cells {
            cell.fetch_sub(1, SeqCst);
        }
    }

    /// Records that an attempt has ended and has failed. One lock guards the whole table: without it, two simultaneous
    /// failures could raise the same cells to the same count.
    pub(super) fn fail(&self, _one_at_a_time: &MutexGuard<'_, ()>) {
        let raised = (self.least(|cell| self.failed_in(cell)) + 1).min(MOST);
        for cell in self.cells {
            cell.update(SeqCst, SeqCst, |cell| {
                let failed = self.failed_in(cell).max(raised);
                (cell >> 32).max(self.epoch) << 32 | failed << 16 | (running(cell) - 1)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        sync::{
            Barrier, Mutex,
            atomic::{AtomicU64, Ordering},
        },
        thread,
    };

    use super::*;

    fn fail(counter: &Counter<'_>, times: u64) {
        let lock = Mutex::default();
        for _ in 0..times {
            counter.begin();
            counter.fail(&lock.lock().unwrap());
        }
    }

    #[test]
    fn either_half_of_a_hash_picks_four_cells() {
        let sketch = Sketch::new(1 << 10);
        // Upper halves that are even, that differ from an even one only in the lowest bit, and the greatest one.
        for hash in [0, 1 << 32, 2 << 32, 5 << 32 | 7, u64::MAX] {
            let cells = sketch.counter(hash, 7, 1).cells.map(std::ptr::from_ref);
            assert_eq!(cells.iter().collect::<HashSet<_>>().len(), WAYS, "{hash:x}");
        }
        fail(&sketch.counter(0, 7, 1), 1);
        for other in [512, 512 << 32 | 1] {
            assert!(!sketch.counter(other, 7, 1).is_spent(), "{other:x} has its own cells");
        }
    }

    #[test]
    fn a_counter_is_spent_with_its_last_failure_and_not_before() {
        let sketch = Sketch::new(1 << 10);
        let counter = sketch.counter(0x1234_5678_9ABC_DEF0, 7, 32);
        fail(&counter, 31);
        assert!(!counter.is_spent());
        counter.begin();
        counter.give_back();
        assert!(!counter.is_spent(), "a success does not use up the budget");
        fail(&counter, 1);
        assert!(counter.is_spent());
        fail(&counter, 100_000);
        assert!(counter.is_spent() && !sketch.counter(1, 7, 32).is_spent(), "a full count does not overflow");
    }

    #[test]
    fn a_running_attempt_can_overdraw_a_budget_but_does_not_use_it_up() {
        let sketch = Sketch::new(1 << 10);
        let counter = sketch.counter(5, 7, 32);
        fail(&counter, 30);
        (0..2).for_each(|_| counter.begin());
        assert!(!counter.is_overdrawn());
        counter.begin();
        assert!(counter.is_overdrawn() && !counter.is_spent());
        counter.give_back();
        assert!(!counter.is_overdrawn());
    }

    #[test]
    fn a_later_epoch_starts_anew_and_an_earlier_one_never_undercounts() {
        let sketch = Sketch::new(1 << 10);
        fail(&sketch.counter(5, 7, 32), 32);
        assert!(!sketch.counter(5, 9, 32).is_spent());
        assert!(sketch.counter(5, 7, 32).is_spent(), "a read does not clear the cells");
        fail(&sketch.counter(5, 9, 32), 32);
        assert!(sketch.counter(5, 9, 32).is_spent());
        assert!(sketch.counter(5, 7, 32).is_spent(), "a clock that was set back still finds the counts");
    }

    #[test]
    fn a_table_that_is_too_small_shares_counters_and_forgets_no_failure() {
        let sketch = Sketch::new(64);
        let counter = |number: u64| sketch.counter(number.wrapping_mul(0x9E37_79B9_7F4A_7C15), 7, 4);
        for number in 0..200 {
            while !counter(number).is_spent() {
                fail(&counter(number), 1);
            }
        }
        assert!((0..200).all(|number| counter(number).is_spent()));
        assert!((200..1000).all(|number| counter(number).is_spent()), "every counter shares its cells with others");
    }

    #[test]
    fn failures_of_others_raise_only_the_lowest_cells() {
        let sketch = Sketch::new(1 << 10);
        // The cells 0, 1, 2, 3 and 2, 3, 4, 5 and 4, 5, 6, 7.
        let [counter, other, third] = [0, 2, 4].map(|begin| sketch.counter(begin, 7, 32));
        fail(&other, 31);
        fail(&third, 31);
        fail(&counter, 1);
        assert!(!other.is_spent(), "if each failure raised each cell, the count would be 32");
        fail(&other, 1);
        assert!(other.is_spent() && !counter.is_spent() && !third.is_spent());
    }

    #[test]
    fn simultaneous_failures_stay_within_the_budget() {
        const THREADS: u64 = 8;
        let sketch = Sketch::new(1 << 10);
        for round in 0..500_u64 {
            let counter = || sketch.counter(round.wrapping_mul(0x9E37_79B9_7F4A_7C15), round + 1, 3);
            let (barrier, failed, lock) = (Barrier::new(8), AtomicU64::new(0), Mutex::default());
            thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        let counter = counter();
                        barrier.wait();
                        while !counter.is_spent() {
                            counter.begin();
                            if counter.is_overdrawn() {
                                counter.give_back();
                                thread::yield_now();
                            } else {
                                failed.fetch_add(1, Ordering::SeqCst);
                                counter.fail(&lock.lock().unwrap());
                            }
                        }
                    });
                }
            });
            assert_eq!(failed.into_inner(), 3, "round {round}");
        }
    }
}
