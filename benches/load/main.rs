//! The server under load: `cargo bench --bench load`.
//!
//! Both sides of a comparison are measured in turns in one run, so that a ratio is right even if the machine's speed
//! drifts. The arguments behind `--` choose the measurements:
//!
//! - none: the server beside an echo of the same bytes behind the same layers, and beside the codecs of the interop
//!   clients behind servers of grpc-go, grpc-java and grpc-js in their default configuration. Its own script builds
//!   each of them. A server that does not build is left out, and the output says so. Writes `benches/RESULTS.md`.
//! - `--against PATH`: this program beside another build of it, so that any change can be judged.
//! - `--store URL`: the program with this shared store beside the program without one: the cost of the store.
//! - `--growth`: check, start, reload, list and metrics with 1,000, 10,000 and 100,000 pairings.
//! - `--instructions`: the instructions of a call, by component, as valgrind counts them; see `benches/instructions`.
//! - `--refusals`: the cost of refusals.
//! - `--soak MINUTES`: the server's memory under a load of every kind.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a bench says what it expects by unwrapping it"
)]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and percentiles of a run are far from any limit"
)]

mod comparison;
mod driver;
mod echo;
mod growth;
mod instructions;
mod kernels;
mod keyring;
mod messages;
mod pairs;
mod refusals;
mod servers;
mod table;

/// The program's allocator, which the echo then has too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    if std::env::var_os(echo::VARIABLE).is_some() {
        return echo::serve();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => runtime.block_on(comparison::compare()),
        ["--against", path] => runtime.block_on(pairs::compare(path.as_ref())),
        ["--store", url] => runtime.block_on(pairs::with_store(url)),
        ["--growth"] => runtime.block_on(growth::measure()),
        ["--instructions"] => runtime.block_on(instructions::count()),
        ["--refusals"] => runtime.block_on(refusals::compare(&mut table::Table::default(), &messages::Messages::new())),
        ["--soak", minutes] => runtime.block_on(comparison::soak(minutes.parse().unwrap())),
        _ => panic!("unknown arguments {arguments:?}; benches/load/main.rs names them"),
    }
}
