//! Tests whether two classes of calls take the same time: Welch's t-test, as dudect uses it.

/// The percentiles of times, as in dudect.
const CROPS: usize = 100;

/// Marsaglia's xorshift64*.
pub(crate) struct Random(u64);

impl Random {
    /// Seeded by the system.
    pub(crate) fn new() -> Self {
        Self(getrandom::u64().unwrap() | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from((self.next() >> 32) % bound as u64).unwrap()
    }
}

/// Number, mean and sum of squared differences from it (Welford).
#[derive(Clone, Copy, Default)]
pub(crate) struct Sample {
    number: f64,
    mean: f64,
    squares: f64,
}

impl Sample {
    fn add(&mut self, value: f64) {
        self.number += 1.0;
        let difference = value - self.mean;
        self.mean += difference / self.number;
        self.squares += difference * (value - self.mean);
    }

    /// The variance of the mean.
    fn uncertainty(&self) -> f64 {
        self.squares / (self.number - 1.0) / self.number
    }
}

/// The tests of a pair: one of all times, and one of the times below each crop.
#[derive(Default)]
pub(crate) struct Tests {
    crops: Vec<f64>,
    samples: Vec<[Sample; 2]>,
}

impl Tests {
    pub(crate) fn add(&mut self, times: &[(usize, f64)]) {
        if self.crops.is_empty() {
            let mut sorted: Vec<f64> = times.iter().map(|&(_, time)| time).collect();
            sorted.sort_by(f64::total_cmp);
            let percentile = |crop: usize| 1.0 - 0.5_f64.powf(10.0 * (crop + 1) as f64 / CROPS as f64);
            self.crops = (0..CROPS).map(|crop| sorted[(percentile(crop) * sorted.len() as f64) as usize]).collect();
            self.crops.push(f64::INFINITY);
            self.samples = vec![Default::default(); self.crops.len()];
            return;
        }
        for &(class, time) in times {
            let first = self.crops.partition_point(|&crop| crop <= time);
            for sample in &mut self.samples[first..] {
                sample[class].add(time);
            }
        }
    }

    /// The greatest |t| of the tests that have at least `least` measurements of each class, and by how many nanoseconds
    /// the first class is slower in that test.
    pub(crate) fn greatest(&self, least: f64) -> (f64, f64) {
        // Below the fastest percentiles, the clock may show only one time, which has no variance.
        let says = |class: &Sample| class.number >= least && class.squares > 0.0;
        let tests = self.samples.iter().filter(|sample| sample.iter().all(says));
        let t = tests.map(|[a, b]| ((a.mean - b.mean) / (a.uncertainty() + b.uncertainty()).sqrt(), a.mean - b.mean));
        t.map(|(t, slower)| (t.abs(), slower)).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_default()
    }

    pub(crate) fn measurements(&self) -> f64 {
        self.samples.last().map_or(0.0, |sample| sample.iter().map(|class| class.number).sum())
    }
}
