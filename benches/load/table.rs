//! Medians with the lowest and highest value, printed at once and written to a file for the documentation.

use std::fmt::Write;

/// The rows of a run.
#[derive(Default)]
pub(crate) struct Table(String);

impl Table {
    /// A comparison: the ratio of `ours` to `theirs`, round by round.
    pub(crate) fn row(&mut self, name: &str, ours: &[f64], theirs: &[f64]) {
        let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
        self.push(name, &ratios, " ×");
    }

    /// A figure that is not a comparison.
    pub(crate) fn figure(&mut self, name: &str, values: &[f64]) {
        self.push(name, values, "");
    }

    /// A note under the table.
    pub(crate) fn note(&mut self, text: &str) {
        println!("{text}");
        writeln!(self.0, "\n{text}").unwrap();
    }

    fn push(&mut self, name: &str, values: &[f64], unit: &str) {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        let [least, median, most] = [0, values.len() / 2, values.len() - 1].map(|at| values[at]);
        let row = format!("| {name} | {median:.2}{unit} | {least:.2} | {most:.2} |");
        println!("{row}");
        writeln!(self.0, "{row}").unwrap();
    }

    /// Writes the table beside the bench.
    pub(crate) fn finish(self) {
        let text = format!(
            "# One run of `cargo bench --bench load`\n\n| | median | least | most |\n|---|---|---|---|\n{}",
            self.0
        );
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/RESULTS.md"), text).unwrap();
    }
}
