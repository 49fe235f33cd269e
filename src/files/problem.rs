//! Problems of checked files (keyring, callers): a file with any problem is refused as a whole, and all problems are
//! reported at once, each with its line and what to fix.
//!
//! No message repeats a value of the file that could be a secret in the wrong place.

use std::{fmt, path::PathBuf};

use serde::de::DeserializeOwned;
use thiserror::Error;

/// A reason to refuse a file, or a warning about an accepted file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, counted from 1. `None` if the problem is the file itself.
    pub line: Option<usize>,
    /// What is wrong and what to do.
    pub text: String,
}

/// A refused file: every problem with name and line, one on each line of text.
#[derive(Debug, Error)]
pub struct Refused {
    pub(crate) file: PathBuf,
    pub(crate) problems: Vec<Problem>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            write!(f, "{}", self.file.display())?;
            if let Some(line) = problem.line {
                write!(f, ":{line}")?;
            }
            write!(f, ": {}", problem.text)?;
        }
        Ok(())
    }
}

/// Parses `text` as TOML of this shape. Its values are checked later.
pub(crate) fn shaped<T: DeserializeOwned>(text: &str) -> Result<T, Vec<Problem>> {
    toml::from_str(text).map_err(|error| {
        vec![Problem { line: error.span().map(|span| Lines::of(text).at(span.start)), text: describe(&error) }]
    })
}

/// Where the lines of a text begin, so that finding a line costs the same in a large file and in a small one.
pub(crate) struct Lines(Vec<usize>);

impl Lines {
    /// The lines of `text`.
    pub(crate) fn of(text: &str) -> Self {
        Self(memchr::memchr_iter(b'\n', text.as_bytes()).collect())
    }

    /// The line, counted from 1, of the byte at `place`.
    pub(crate) fn at(&self, place: usize) -> usize {
        1 + self.0.partition_point(|&end| end < place)
    }
}

/// The problem that the TOML library reports, without the keys and values that its message may quote.
fn describe(error: &toml::de::Error) -> String {
    let message = error.message();
    // The last place is the right one: a quoted value may contain the word too.
    match message.rsplit_once("expected ") {
        Some((before, expected)) if before.contains("invalid") => format!("the value here should be {expected}"),
        Some((before, expected)) if before.contains("unknown field") => {
            format!("the key here is unknown; expected {expected}")
        }
        _ => message.to_owned(),
    }
}
