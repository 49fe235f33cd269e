//! Measures how the times of check, start, reload, `/metrics` and `ListPairings` grow with the number of pairings.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    time::{Duration, Instant},
};

use prost::Message;

use aa_redirect::proto::{ListPairingsRequest, ListPairingsResponse};

use crate::{
    driver::{OK, ask, drive, frame, status},
    keyring,
    messages::{ENCODE, LIST, Messages},
    servers::{PROGRAM, Server, keyring_file},
    table::Table,
};

/// The number of rounds of each figure, except for the calls that make every pairing known to the metrics.
const ROUNDS: usize = 3;

/// Prints milliseconds for 1,000, 10,000 and 100,000 pairings.
pub(crate) async fn measure() {
    println!("| pairings, and what takes so many ms | median | least | most |\n|---|---|---|---|");
    let mut table = Table::default();
    for pairings in [1_000, 10_000, 100_000] {
        files(&mut table, pairings);
        served(&mut table, pairings).await;
    }
}

/// `check` and the start.
fn files(table: &mut Table, pairings: usize) {
    let (mut check, mut start) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let file = keyring_file(pairings);
        let begin = Instant::now();
        let output = Command::new(PROGRAM).args(["check", "--keyring"]).arg(&file).output().unwrap();
        check.push(milliseconds(begin));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let begin = Instant::now();
        Server::program(Command::new(PROGRAM), pairings, &[]).stop();
        start.push(milliseconds(begin));
    }
    table.figure(&format!("{pairings}: `aa-redirect check`"), &check);
    table.figure(&format!("{pairings}: start, until the address is told, and stop"), &start);
}

/// A reload, the list and the metrics of a running server.
async fn served(table: &mut Table, pairings: usize) {
    let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let server = Server::program(Command::new(PROGRAM), pairings, &["--admin-listen", &admin]);
    let (mut reload, mut list) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let fiu = format!("added-{round}");
        let added = keyring::keyring(pairings) + &keyring::pairing(&fiu);
        fs::write(keyring_file(pairings), added).unwrap();
        let body = Messages::encode_for(&fiu);
        let begin = Instant::now();
        server.reload();
        while status(&server, ENCODE, body.clone()).await != OK {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        reload.push(milliseconds(begin));
        let begin = Instant::now();
        assert_eq!(listed(&server).await, pairings + 1);
        list.push(milliseconds(begin));
    }
    table.figure(&format!("{pairings}: reload, from SIGHUP until a new pairing is served"), &reload);
    table.figure(&format!("{pairings}: `ListPairings`, all pages of 1,000"), &list);
    page(table, &server, &admin, pairings).await;
}

/// `/metrics` when every pairing has made a call.
async fn page(table: &mut Table, server: &Server, admin: &str, pairings: usize) {
    let every = (4..pairings).map(|number| Messages::encode_for(&format!("fiu-{number}"))).collect();
    drive(server, ENCODE, every, 64, Duration::MAX).await;
    let (mut times, mut sizes) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // The server gives the same page for a second.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let begin = Instant::now();
        let mut stream = TcpStream::connect(admin).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n").unwrap();
        let mut page = Vec::new();
        stream.read_to_end(&mut page).unwrap();
        times.push(milliseconds(begin));
        sizes.push(page.len() as f64 / f64::from(1 << 20));
    }
    table.figure(&format!("{pairings}: `/metrics`, when every pairing has made a call"), &times);
    table.figure(&format!("{pairings}: the same, MiB"), &sizes);
    let memory = server.memory("VmRSS:") as f64 / 1024.0;
    table.figure(&format!("{pairings}: memory after all this, MiB"), &[memory]);
}

/// The number of pairings that the server lists.
async fn listed(server: &Server) -> usize {
    let (mut count, mut page_token) = (0, String::new());
    loop {
        let request = ListPairingsRequest { page_size: 1000, page_token };
        let answer = ask(server, LIST, frame(&request.encode_to_vec())).await;
        let page = ListPairingsResponse::decode(&answer[5..]).unwrap();
        count += page.pairings.len();
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return count;
        }
    }
}

fn milliseconds(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1e3
}
