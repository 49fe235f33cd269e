//! Compares this build of the program with another build of it, in turns: the gain or cost of a change.
//!
//! Each row is the median of the rounds' ratios, with the lowest and the highest ratio.

use std::{path::Path, process::Command, time::Duration};

use crate::{
    driver::{Bodies, OK, ask, drive_over, pace},
    messages::{DECODE, ENCODE, LIST, Messages},
    servers::{PROGRAM, Server},
    table::Table,
};

/// The number of rounds of each row, and how long each side of a round is loaded. The rounds are many and short, since
/// the machine's speed drifts.
const ROUNDS: usize = 21;
const SPAN: Duration = Duration::from_millis(500);
/// The calls a second of the paced rows, their rounds, and how long each side of a round takes. p99.9 is then the
/// sixth-slowest call.
const RATE: u32 = 2000;
const PACED_ROUNDS: usize = 7;
const PACED: Duration = Duration::from_secs(3);

/// Both builds with the same settings.
struct Pair {
    ours: Server,
    theirs: Server,
}

/// A load: how many calls are in flight, over how many connections.
struct Load<'a> {
    path: &'static str,
    bodies: &'a Bodies,
    connections: usize,
    in_flight: usize,
}

/// Prints the ratios of this build to the one at `other`.
pub(crate) async fn compare(other: &Path) {
    let mut table = Table::default();
    let plain = Pair::start(other, Server::program, 10, &[]);
    let encode = Messages::new().hkdf(&plain.ours, ENCODE).await;
    let decode = Messages::new().hkdf(&plain.ours, DECODE).await;
    let large = Messages::large(&plain.ours, DECODE).await;
    println!("| this build against {} | median | least | most |\n|---|---|---|---|", other.display());
    let load = |path, bodies, connections, in_flight| Load { path, bodies, connections, in_flight };
    plain.compare(&mut table, "EncodeRedirect", &load(ENCODE, &encode, 4, 64)).await;
    plain.compare(&mut table, "DecodeRedirect, short answer", &load(DECODE, &decode, 4, 64)).await;
    plain.compare(&mut table, "DecodeRedirect, long answer", &load(DECODE, &large, 4, 64)).await;
    plain.compare(&mut table, "EncodeRedirect, 64 in flight over 1 connection", &load(ENCODE, &encode, 1, 64)).await;
    plain.compare(&mut table, "EncodeRedirect, 64 connections", &load(ENCODE, &encode, 64, 64)).await;
    plain.compare(&mut table, "EncodeRedirect, 1 in flight", &load(ENCODE, &encode, 1, 1)).await;
    plain.latency(&mut table, &decode).await;
    for figure in ["VmRSS:", "VmHWM:"] {
        let [ours, theirs] = [&plain.ours, &plain.theirs].map(|server| server.memory(figure) as f64);
        table.row(&format!("memory after all this, {figure}"), &[ours], &[theirs]);
    }
    drop(plain);
    let json = Pair::start(other, Server::program, 10, &["--log", "json"]);
    json.compare(&mut table, "EncodeRedirect, JSON log", &load(ENCODE, &encode, 4, 64)).await;
    drop(json);
    let tls = Pair::start(other, Server::with_tls, 10, &[]);
    tls.compare(&mut table, "EncodeRedirect, TLS", &load(ENCODE, &encode, 4, 64)).await;
    tls.compare(&mut table, "DecodeRedirect, long answer, TLS", &load(DECODE, &large, 4, 64)).await;
    drop(tls);
    let many = Pair::start(other, Server::program, 1000, &[]);
    many.compare(&mut table, "ListPairings, 1,000 a page", &load(LIST, &Messages::list(), 4, 16)).await;
}

/// Prints the ratios of the program with the shared store at `url` to the program without one, and its latency at 5,000
/// decodes a second.
pub(crate) async fn with_store(url: &str) {
    let mut table = Table::default();
    let start = |arguments: &[&str]| Server::program(Command::new(PROGRAM), 10, arguments);
    let pair = Pair { ours: start(&["--store", url]), theirs: start(&[]) };
    let encode = Messages::new().hkdf(&pair.ours, ENCODE).await;
    let decode = Messages::new().hkdf(&pair.ours, DECODE).await;
    println!("| with {url} against none | median | least | most |\n|---|---|---|---|");
    let load = |path, bodies| Load { path, bodies, connections: 4, in_flight: 64 };
    pair.compare(&mut table, "EncodeRedirect", &load(ENCODE, &encode)).await;
    pair.compare(&mut table, "DecodeRedirect", &load(DECODE, &decode)).await;
    pair.latency(&mut table, &decode).await;
    let paced = pace(&pair.ours, DECODE, decode, 5000, PACED).await;
    table.figure("DecodeRedirect, 5,000 a second: calls a second answered OK", &[paced.rate()]);
    for (percentile, part) in [("p50", 0.5), ("p99", 0.99)] {
        table.figure(&format!("DecodeRedirect, 5,000 a second: {percentile}, ms"), &[paced.percentile(part)]);
    }
}

impl Pair {
    fn start(
        other: &Path,
        start: impl Fn(Command, usize, &[&str]) -> Server,
        pairings: usize,
        arguments: &[&str],
    ) -> Self {
        Self {
            ours: start(Command::new(PROGRAM), pairings, arguments),
            theirs: start(Command::new(other), pairings, arguments),
        }
    }

    /// The rows of `load`: processor time of a call, and calls a second.
    async fn compare(&self, table: &mut Table, name: &str, load: &Load<'_>) {
        let [ours, theirs] = [self.answer(&self.ours, load).await, self.answer(&self.theirs, load).await];
        let name = format!("{name} ({ours} and {theirs} bytes)");
        let (mut cpu, mut rates) = ([const { Vec::new() }; 2], [const { Vec::new() }; 2]);
        for round in 0..=ROUNDS {
            for (at, server) in [&self.ours, &self.theirs].into_iter().enumerate() {
                let Load { path, bodies, connections, in_flight } = *load;
                let load = drive_over(connections, OK, server, path, bodies.clone(), in_flight, SPAN).await;
                // The first round warms up.
                if round > 0 {
                    cpu[at].push(load.cpu_micros);
                    rates[at].push(load.rate());
                }
            }
        }
        table.row(&format!("{name}: processor time of a call"), &cpu[0], &cpu[1]);
        table.row(&format!("{name}: calls a second"), &rates[0], &rates[1]);
        table.figure(&format!("{name}: ours, µs of processor time"), &cpu[0]);
    }

    /// Bytes of an answer.
    async fn answer(&self, server: &Server, load: &Load<'_>) -> usize {
        ask(server, load.path, load.bodies[0].clone()).await.len() - 5
    }

    /// The milliseconds of a call, alone and paced.
    async fn latency(&self, table: &mut Table, bodies: &Bodies) {
        for alone in [true, false] {
            let mut loads = [const { Vec::new() }; 2];
            for _ in 0..PACED_ROUNDS {
                for (at, server) in [&self.ours, &self.theirs].into_iter().enumerate() {
                    loads[at].push(if alone {
                        drive_over(1, OK, server, DECODE, bodies.clone(), 1, PACED).await
                    } else {
                        pace(server, DECODE, bodies.clone(), RATE, PACED).await
                    });
                }
            }
            let name = if alone { "DecodeRedirect alone".into() } else { format!("DecodeRedirect, {RATE} a second") };
            for (percentile, part) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
                let [ours, theirs] = [&loads[0], &loads[1]]
                    .map(|loads| loads.iter().map(|load| load.percentile(part)).collect::<Vec<_>>());
                table.row(&format!("{name}: {percentile}"), &ours, &theirs);
                table.figure(&format!("{name}: {percentile}, ours, ms"), &ours);
            }
        }
    }
}
