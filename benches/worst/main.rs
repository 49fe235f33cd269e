//! The costliest inputs of the largest size that the service takes: `cargo bench --bench worst`.
//!
//! One row for each: the processor time and the peak memory of a call, from the bytes of the request to those of the
//! answer, without HTTP/2; and the factor by which the time grows if the input has twice the size (about 2 if the work
//! grows in proportion, 4 if it grows with the square). The time is the median of several calls on a thread of their
//! own. Memory is measured with the system's allocator.

#![allow(clippy::unwrap_used, reason = "a bench says what it expects by unwrapping it")]
#![allow(clippy::cast_precision_loss, reason = "nanoseconds of a call are far below 2^52")]

mod inputs;

use std::{
    fmt::Write,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use aa_redirect::{
    exchange::Exchange,
    files::reload::Reloaded,
    keyring,
    keys::KdfPool,
    memory::Memory,
    proto::redirect_service_server::RedirectService,
    server::system_clock,
    service::{Context, Redirects},
    telemetry::{Telemetry, call::Call},
};
use http::HeaderMap;
use peak_alloc::PeakAlloc;
use prost::Message;
use rustix::time::{ClockId, clock_gettime};
use tonic::{Request, Response, Status};
use tonic_types::StatusExt;

use inputs::{ANYBODY, CALLERS, FIU, HOLDERS, Input, REQUEST, Rpc, SECRET};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const PAIRINGS: usize = 10_000;
const CALLS: usize = 21;

/// The cost of a call.
struct Cost {
    micros: f64,
    peak_kib: usize,
    answer: String,
}

struct Bench {
    service: Redirects,
    telemetry: Arc<Telemetry>,
}

impl Bench {
    fn new() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("worst");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("secret"), SECRET).unwrap();
        // The pairing has no budget, so that each failing call does all of its work.
        let mut text = String::new();
        for number in 0..PAIRINGS {
            let (fiu, more) = match number {
                0 => (FIU.to_owned(), "redirect_hosts = [\"fiu.example\", \"*.fiu.example\"]\nfailure_budget = 0"),
                _ => (format!("fiu-{number}@bench"), ""),
            };
            writeln!(
                text,
                "[[pairing]]\nfiu = \"{fiu}\"\naa = \"aa@bench\"\nprofile = \"iv\"\nhandles = [\"aa\"]\n\
                 webview = \"https://aa.example/webview\"\nsecrets = [{{ id = \"new\", file = \"secret\" }}]\n{more}"
            )
            .unwrap();
        }
        let file = folder.join("keyring.toml");
        fs::write(&file, text).unwrap();
        let (keyring, _) = Reloaded::load("keyring", move |read| keyring::load_with(&file, read)).unwrap();
        let exchange = Exchange::new(Arc::new(KdfPool::new(1).unwrap()), Arc::new(Memory::default()));
        let service = Redirects::new(Arc::new(keyring), Arc::new(exchange), system_clock());
        Self { service, telemetry: Telemetry::new(None) }
    }

    fn request<T: Message + Default>(&self, bytes: &[u8]) -> Request<T> {
        let mut request = Request::new(T::decode(bytes).unwrap());
        let call = Arc::new(Call::begin(&self.telemetry, &HeaderMap::new(), ""));
        let deadline = Instant::now() + Duration::from_mins(1);
        request.extensions_mut().insert(Context { call, caller: None, deadline });
        request
    }

    async fn call(&self, rpc: Rpc, bytes: &[u8]) -> String {
        match rpc {
            Rpc::EncodeRedirect => answer(self.service.encode_redirect(self.request(bytes)).await),
            Rpc::DecodeRedirect => answer(self.service.decode_redirect(self.request(bytes)).await),
            Rpc::EncodeCallback => answer(self.service.encode_callback(self.request(bytes)).await),
            Rpc::ListPairings => answer(self.service.list_pairings(self.request(bytes)).await),
        }
    }

    async fn cost(&self, input: &Input, size: usize) -> Cost {
        let bytes = (input.make)(size);
        assert!(bytes.len() <= REQUEST, "{}: {}", input.name, bytes.len());
        let (mut times, mut peak_kib, mut answer) = (Vec::new(), 0, String::new());
        for _ in 0..CALLS {
            ALLOCATOR.reset_peak_usage();
            let (before, begin) = (ALLOCATOR.current_usage(), processor_micros());
            answer = self.call(input.rpc, &bytes).await;
            times.push(processor_micros() - begin);
            peak_kib = (ALLOCATOR.peak_usage() - before) / 1024;
        }
        times.sort_by(f64::total_cmp);
        Cost { micros: times[CALLS / 2], peak_kib, answer }
    }
}

/// The name of the answer, after it was encoded for the wire.
fn answer<T: Message>(answer: Result<Response<T>, Status>) -> String {
    match answer {
        Ok(answer) => format!("{} KiB", answer.into_inner().encode_to_vec().len() / 1024),
        Err(status) => {
            let reason = status.get_details_error_info().unwrap().reason;
            drop(status.into_http::<String>());
            reason
        }
    }
}

/// The processor time of this thread.
fn processor_micros() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

fn main() {
    // `cargo test --all-targets` runs benches too, without the argument.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let bench = Bench::new();
    runtime.block_on(async {
        for (by, inputs) in [("anybody", ANYBODY), ("who holds the secret", HOLDERS), ("a caller", CALLERS)] {
            println!("\n| made by {by} | µs | twice the size | KiB at once | answer |\n|---|---|---|---|---|");
            for input in inputs {
                let half = bench.cost(input, input.most / 2).await;
                let whole = bench.cost(input, input.most).await;
                let growth = whole.micros / half.micros;
                println!(
                    "| {} | {:.0} | {growth:.1} × | {} | {} |",
                    input.name, whole.micros, whole.peak_kib, whole.answer
                );
            }
        }
    });
}
