//! The server compared with others: every row of `benches/RESULTS.md`, and the server's memory under a long load.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use pbkdf2_lanes::{Kernel, Kernels};

use crate::{
    driver::{self, Load, ROUNDS, SPAN, drive, pace},
    echo, kernels,
    messages::{self, DECODE, ENCODE, Messages},
    refusals,
    servers::{Server, rivals},
    table::Table,
};

/// The number of messages in one round of PBKDF2 decodes, each with its own date.
const BATCH: usize = 768;

/// Runs every kind of call under full load for this many minutes, and prints the memory after each minute.
pub(crate) async fn soak(minutes: u64) {
    let (messages, server) = (Messages::new(), Server::service(10, 1));
    for minute in 1..=minutes {
        let end = Instant::now() + Duration::from_mins(1);
        while Instant::now() < end {
            let (decode, encode) = (messages.hkdf(&server, DECODE).await, messages.hkdf(&server, ENCODE).await);
            tokio::join!(
                drive(&server, DECODE, decode, 32, 4 * SPAN),
                drive(&server, ENCODE, encode, 32, 4 * SPAN),
                drive(&server, ENCODE, Messages::reuse(), 32, 4 * SPAN),
                drive(&server, DECODE, messages.pbkdf2(BATCH), 64, Duration::MAX),
            );
        }
        println!("minute {minute}: {} KiB, at most {} KiB", server.memory("VmRSS:"), server.memory("VmHWM:"));
    }
}

pub(crate) async fn compare() {
    let mut table = Table::default();
    let messages = Messages::new();
    let service = Server::service(10, 1);
    let same = Server::echo();
    println!("machine: {} threads, kernels {}", thread::available_parallelism().unwrap(), Kernels::best());
    against_echo_and_rivals(&mut table, &messages, &service, &same).await;
    date_reuse(&mut table, &messages, &service).await;
    pairings(&mut table, &messages, &service).await;
    isolation(&mut table, &messages).await;
    derivations(&mut table, &messages, &same).await;
    single(&mut table, &messages).await;
    kernels::compare(&mut table);
    refusals::compare(&mut table, &messages).await;
    table.note(&format!("peak memory of the service: {} MiB", service.memory("VmHWM:") / 1024));
    table.finish();
}

/// `hkdf-iv` calls against an echo of the same bytes, one of 430 bytes, and the other languages' servers.
async fn against_echo_and_rivals(table: &mut Table, messages: &Messages, service: &Server, echo: &Server) {
    let rivals = rivals();
    for path in [ENCODE, DECODE] {
        let name = path.rsplit('/').next().unwrap();
        let bodies = || async { messages.hkdf(service, path).await };
        for server in rivals.iter().chain([service, echo]) {
            // The JIT compiler has finished by then.
            drive(server, path, bodies().await, 64, 4 * SPAN).await;
        }
        let mut rates: Vec<(String, Vec<f64>, Vec<f64>)> = Vec::new();
        let mut note = |at: usize, name: String, load: &Load| {
            if rates.len() <= at {
                rates.push((name, Vec::new(), Vec::new()));
            }
            rates[at].1.push(load.rate());
            rates[at].2.push(load.cpu_micros);
        };
        for _ in 0..ROUNDS {
            note(0, "aa-redirect".into(), &drive(service, path, bodies().await, 64, SPAN).await);
            note(1, "echo, same bytes".into(), &drive(echo, path, bodies().await, 64, SPAN).await);
            note(2, "echo, 430 bytes".into(), &drive(echo, echo::TEXT, Messages::text(), 64, SPAN).await);
            note(3, "echo, empty".into(), &drive(echo, echo::EMPTY, vec![driver::frame(&[])], 64, SPAN).await);
            for (at, rival) in rivals.iter().enumerate() {
                note(4 + at, rival.name.clone(), &drive(rival, path, bodies().await, 64, SPAN).await);
            }
        }
        let ours = rates[0].clone();
        for (rival, theirs, cpu) in &rates[1..] {
            table.row(&format!("{name}, hkdf-iv: calls a second against {rival}"), &ours.1, theirs);
            table.row(&format!("{name}, hkdf-iv: {rival}'s processor time a call against ours"), cpu, &ours.2);
        }
    }
}

/// `EncodeRedirect` with `pbkdf2` and dates that are reused for a second, against `hkdf-iv`.
async fn date_reuse(table: &mut Table, messages: &Messages, service: &Server) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut p99, mut p99_hkdf) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let load = drive(service, ENCODE, Messages::reuse(), 64, SPAN).await;
        ours.push(load.rate());
        theirs.push(drive(service, ENCODE, messages.hkdf(service, ENCODE).await, 64, SPAN).await.rate());
        // The rate is fixed, so that the time shows the wait for a key and not the wait for a turn.
        p99.push(pace(service, ENCODE, Messages::reuse(), 500, 2 * SPAN).await.percentile(0.99));
        let bodies = messages.hkdf(service, ENCODE).await;
        p99_hkdf.push(pace(service, ENCODE, bodies, 500, 2 * SPAN).await.percentile(0.99));
    }
    table.row("EncodeRedirect, pbkdf2 with date reuse, against hkdf-iv: calls a second", &ours, &theirs);
    table.figure("EncodeRedirect, pbkdf2 with date reuse, 500 a second: p99, ms", &p99);
    table.figure("EncodeRedirect, hkdf-iv, 500 a second: p99, ms", &p99_hkdf);
}

/// Ten thousand pairings against ten.
async fn pairings(table: &mut Table, messages: &Messages, service: &Server) {
    let crowded = Server::service(10_000, 1);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let bodies = messages.hkdf(service, DECODE).await;
        ours.push(drive(&crowded, DECODE, bodies.clone(), 64, SPAN).await.rate());
        theirs.push(drive(service, DECODE, bodies, 64, SPAN).await.rate());
    }
    table.row("DecodeRedirect, hkdf-iv: 10,000 pairings against 10, calls a second", &ours, &theirs);
}

/// `hkdf-iv` at 2,000 calls a second, alone and beside as many PBKDF2 decodes as the pool can serve.
async fn isolation(table: &mut Table, messages: &Messages) {
    let server = Server::service(10, 1);
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let bodies = messages.hkdf(&server, DECODE).await;
        alone.push(pace(&server, DECODE, bodies.clone(), 2000, 2 * SPAN).await);
        let saturating = drive(&server, DECODE, messages.pbkdf2(3 * BATCH), 64, 2 * SPAN);
        let (paced, _) = tokio::join!(pace(&server, DECODE, bodies, 2000, 2 * SPAN), saturating);
        beside.push(paced);
    }
    for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
        let of = |loads: &[Load]| loads.iter().map(|load| load.percentile(part)).collect::<Vec<_>>();
        table.row(
            &format!("hkdf-iv, 2,000 a second: {name} beside saturated pbkdf2 against alone"),
            &of(&beside),
            &of(&alone),
        );
    }
}

/// 64 PBKDF2 decodes in flight on two pool threads, against the kernel alone on two threads and against the library
/// behind `spawn_blocking`.
async fn derivations(table: &mut Table, messages: &Messages, echo: &Server) {
    let server = Server::service(10, 2);
    let (mut ours, mut kernel, mut library) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        kernel.push(kernel_rate());
        ours.push(drive(&server, DECODE, messages.pbkdf2(BATCH), 64, Duration::MAX).await.rate());
        library.push(drive(echo, echo::BLOCKING, vec![driver::frame(&[]); 192], 64, Duration::MAX).await.rate());
    }
    table.row("DecodeRedirect, pbkdf2, 64 in flight, two threads: against the kernel alone", &ours, &kernel);
    table.row(
        "DecodeRedirect, pbkdf2, 64 in flight, two threads: against the crate and spawn_blocking",
        &ours,
        &library,
    );
    table.figure("DecodeRedirect, pbkdf2, 64 in flight, two threads: calls a second", &ours);
}

/// Derivations a second of the fastest kernel on two threads.
fn kernel_rate() -> f64 {
    let kernels = Arc::new(Kernels::best());
    let begin = Instant::now();
    let work = || {
        let kernels = Arc::clone(&kernels);
        thread::spawn(move || drop(messages::keys(&kernels, 0..BATCH / 2)))
    };
    for thread in [work(), work()] {
        thread.join().unwrap();
    }
    BATCH as f64 / begin.elapsed().as_secs_f64()
}

/// One PBKDF2 decode at a time against the kernel for one message, also for a pairing with two secrets.
async fn single(table: &mut Table, messages: &Messages) {
    let (server, two_threads) = (Server::service(10, 1), Server::service(10, 2));
    let kernel = Kernels::only(Kernel::sha_ni().unwrap_or(Kernel::library()));
    let (mut ours, mut alone, mut rotating) = (Vec::new(), Vec::new(), Vec::new());
    let (mut pair, mut rotating_two) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut times: Vec<f64> = (0..32)
            .map(|at| {
                let begin = Instant::now();
                drop(messages::keys(&kernel, at..at + 1));
                begin.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        alone.push(times[16]);
        pair.push(kernel_pair_millis());
        ours.push(drive(&server, DECODE, messages.pbkdf2(32), 1, Duration::MAX).await.percentile(0.5));
        rotating.push(drive(&server, DECODE, messages.rotating(32), 1, Duration::MAX).await.percentile(0.5));
        let load = drive(&two_threads, DECODE, messages.rotating(32), 1, Duration::MAX).await;
        rotating_two.push(load.percentile(0.5));
    }
    table.row("DecodeRedirect, pbkdf2, one in flight: p50 against the kernel for one message", &ours, &alone);
    table.row("DecodeRedirect, pbkdf2, one in flight: two secrets against one, one thread", &rotating, &ours);
    table.row("what bounds it: the kernel for two messages against that for one", &pair, &alone);
    table.row("DecodeRedirect, pbkdf2, one in flight: two secrets against one, two threads", &rotating_two, &ours);
}

/// The milliseconds of the kernel for two messages: the median of several runs.
fn kernel_pair_millis() -> f64 {
    let kernels = Kernels::best();
    let mut times: Vec<f64> = (0..16)
        .map(|at| {
            let begin = Instant::now();
            drop(messages::keys(&kernels, 2 * at..2 * at + 2));
            begin.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[8]
}
