//! The program `aa-redirect`; see [`aa_redirect::cli`].

use std::process::ExitCode;

/// With the system's allocator in its place a call costs 8 % more processor time (`cargo bench --bench load --
/// --against PATH`, with a program that lacks these lines).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    aa_redirect::cli::run()
}
