//! The program `aa-redirect`; see [`aa_redirect::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    aa_redirect::cli::run()
}
