//! A cluster: a node that is stopped, full or gone stops its own messages only, and slots may move under load.

use std::{
    collections::BTreeMap,
    process::Command,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    time::Duration,
};

use aa_redirect::proto::RedirectParams;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use sha2::{Digest, Sha256};

use crate::{
    redis::Redis,
    replicas::{Replicas, answer, open},
    support::program::until,
    together::{budget_holds, one_opens},
};

const SETTINGS: [&str; 10] = [
    "--cluster-enabled",
    "yes",
    "--cluster-node-timeout",
    "1000",
    "--cluster-require-full-coverage",
    "no",
    "--cluster-allow-replica-migration",
    "no",
    "--repl-diskless-sync-delay",
    "0",
];
const LIMIT: [&str; 2] = ["--store-timeout-milliseconds", "300"];

/// Something that happens to a server.
type Change = fn(&mut Redis);

/// The nodes of a cluster: three masters, each with this many followers. The masters come first, in the order of their slots.
pub async fn cluster(followers: usize) -> Vec<Redis> {
    let nodes: Vec<Redis> = (0..3 * (1 + followers)).map(|_| Redis::start_with(&SETTINGS)).collect();
    let addresses = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port));
    let followers = followers.to_string();
    let made = Command::new("redis-cli")
        .args(["--cluster", "create"])
        .args(addresses)
        .args(["--cluster-replicas", &followers, "--cluster-yes"])
        .output();
    assert!(made.unwrap().status.success());
    know_each_other(&nodes.iter().collect::<Vec<_>>()).await;
    nodes
}

async fn know_each_other(nodes: &[&Redis]) {
    let known = |node: &Redis| node.cli(&["CLUSTER", "NODES"]).matches(" connected").count();
    let is_ok = |node: &Redis| node.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok");
    until(|| async { nodes.iter().all(|node| known(node) == nodes.len() && is_ok(node)).then_some(()) }).await;
}

pub fn urls(nodes: &[Redis]) -> Vec<String> {
    nodes.iter().map(Redis::url).collect()
}

/// The number of the master that has the keys of a message: each has a third of the slots.
fn third(params: &RedirectParams) -> u16 {
    [5461, 10_923].into_iter().map(|first| u16::from(slot(params) >= first)).sum()
}

/// The slot of the keys of a message.
fn slot(params: &RedirectParams) -> u16 {
    let tag = Sha256::digest(["date", "fiu", "aa", &params.reqdate].join("\0"));
    crc16::State::<crc16::XMODEM>::calculate(URL_SAFE_NO_PAD.encode(&tag[..16]).as_bytes()) % 16_384
}

/// The answers to new messages, all at the same time, for each third of them.
async fn thirds(replicas: &Replicas) -> BTreeMap<u16, Vec<String>> {
    let mut messages = Vec::new();
    for _ in 0..60 {
        messages.push(replicas.message().await.params.unwrap());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let client = &replicas.clients[0];
    let answers = join_all(messages.iter().map(|params| open(client, params, ""))).await;
    let mut thirds: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for (params, given) in messages.iter().zip(&answers) {
        thirds.entry(third(params)).or_default().push(answer(given));
    }
    assert!(thirds.len() == 3 && thirds.values().all(|third| third.len() > 3), "{thirds:?}");
    thirds
}

/// All messages of this third get STORE_UNAVAILABLE, and all others are opened.
fn assert_fails_only(thirds: BTreeMap<u16, Vec<String>>, sick: u16, why: &str) {
    for (third, answers) in thirds {
        let expected = if third == sick { "STORE_UNAVAILABLE" } else { "OK" };
        assert!(answers.iter().all(|given| given == expected), "{why}: third {third}: {answers:?}");
    }
}

fn assert_all_open(thirds: &BTreeMap<u16, Vec<String>>, why: &str) {
    assert!(thirds.values().flatten().all(|given| given == "OK"), "{why}: {thirds:?}");
}

/// How often the log of the first replica has this message about a node.
fn told(replicas: &Replicas, message: &str, node: &Redis) -> usize {
    let node = format!("127.0.0.1:{}", node.port);
    replicas.programs[0]
        .events(|event| event["message"].as_str().unwrap().starts_with(message) && event["node"] == *node)
        .len()
}

#[tokio::test]
async fn a_cluster_of_three_is_one_store() {
    let nodes = cluster(0).await;
    let replicas = Replicas::start(3, "reopen = \"refuse\"", &urls(&nodes), &[]).await;
    for _ in 0..5 {
        budget_holds(&replicas).await;
        one_opens(&replicas).await;
    }
}

#[tokio::test]
async fn a_node_that_is_stopped_full_or_gone_stops_its_own_messages_only() {
    let mut nodes = cluster(0).await;
    let closed = [&["--store-outage", "closed"][..], &LIMIT].concat();
    let running = Replicas::start(1, "reopen = \"refuse\"", &urls(&nodes), &closed).await;
    let local = Replicas::start(1, "", &urls(&nodes), &LIMIT).await;
    assert_all_open(&thirds(&running).await, "before");
    let kinds: [(&str, Change, Change); 3] = [
        ("stopped", |node| node.signal("STOP"), |node| node.signal("CONT")),
        (
            "full",
            |node| drop(node.cli(&["CONFIG", "SET", "maxmemory", "1"])),
            |node| drop(node.cli(&["CONFIG", "SET", "maxmemory", "0"])),
        ),
        ("gone", Redis::kill, Redis::restart),
    ];
    for (sick, (why, breaks, fixed)) in (0..3).zip(kinds) {
        let node = &mut nodes[usize::from(sick)];
        breaks(node);
        for _ in 0..3 {
            assert_fails_only(thirds(&running).await, sick, why);
        }
        assert_all_open(&thirds(&local).await, why);
        running.store_is(false).await;
        // A replica that starts now knows the other nodes too.
        let new = Replicas::start(1, "", &running.stores, &closed).await;
        assert_fails_only(thirds(&new).await, sick, why);
        fixed(node);
        let node = &nodes[usize::from(sick)];
        for replicas in [&running, &local, &new] {
            replicas.store_is(true).await;
            assert_all_open(&thirds(replicas).await, why);
        }
        for replicas in [&running, &local] {
            let counts = ["a node of the shared store does not answer", "a node of the shared store answers"]
                .map(|message| told(replicas, message, node));
            assert_eq!(counts, [1, 2], "{why}");
        }
    }
}

#[tokio::test]
async fn the_follower_of_a_node_that_is_killed_takes_over_its_messages() {
    let mut nodes = cluster(1).await;
    // Only some of the nodes are named, and one of these dies.
    let replicas = Replicas::start(1, "reopen = \"refuse\"", &urls(&nodes[..2]), &LIMIT).await;
    let known = replicas.message().await.params.unwrap();
    assert_eq!(answer(&open(&replicas.clients[0], &known, "").await), "OK");
    assert_all_open(&thirds(&replicas).await, "before");
    let sick = third(&known);
    nodes[usize::from(sick)].is_followed().await;
    nodes[usize::from(sick)].kill();
    until(|| async {
        let thirds = thirds(&replicas).await;
        let healthy = thirds.iter().filter(|(third, _)| **third != sick).flat_map(|(_, answers)| answers);
        assert!(healthy.into_iter().all(|given| given == "OK"), "{thirds:?}");
        thirds[&sick].iter().all(|given| given == "OK").then_some(())
    })
    .await;
    assert_eq!(answer(&open(&replicas.clients[0], &known, "").await), "ALREADY_OPENED");
    replicas.store_is(true).await;
    // The old master is a follower now.
    nodes[usize::from(sick)].restart();
    for _ in 0..5 {
        assert_all_open(&thirds(&replicas).await, "after");
    }
    replicas.store_is(true).await;
}

/// Redis answers TRYAGAIN about several keys of a slot that is moving, if it does not have them yet.
#[tokio::test]
async fn the_log_tells_of_messages_that_wait_for_a_move_without_end() {
    let nodes = cluster(0).await;
    let replicas = Replicas::start(1, "", &urls(&nodes), &LIMIT).await;
    let waiting = replicas.message().await.params.unwrap();
    let slot = slot(&waiting).to_string();
    let from = usize::from(third(&waiting));
    let to = (from + 1) % nodes.len();
    let ids = [from, to].map(|node| nodes[node].cli(&["CLUSTER", "MYID"]));
    nodes[to].cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &ids[0]]);
    nodes[from].cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &ids[1]]);
    // The replica goes on with its own memory.
    assert_eq!(answer(&open(&replicas.clients[0], &waiting, "").await), "OK");
    replicas.store_is(false).await;
    let told = replicas.programs[0].message(1, "the shared store does not answer").await;
    assert!(told["problem"].as_str().unwrap().contains("a slot of the cluster is moving"), "{told}");
    assert_all_open(&thirds(&replicas).await, "other slots");
    for node in [to, from] {
        nodes[node].cli(&["CLUSTER", "SETSLOT", &slot, "STABLE"]);
    }
    replicas.store_is(true).await;
    let later = replicas.programs[0].events(|event| event["message"].as_str().unwrap().contains("does not answer"));
    assert_eq!(later.len(), 1, "{later:?}");
}

#[tokio::test]
async fn slots_that_move_to_another_node_fail_no_call() {
    let nodes = cluster(0).await;
    let new = Redis::start_with(&SETTINGS);
    let (old, added) = (format!("127.0.0.1:{}", nodes[0].port), format!("127.0.0.1:{}", new.port));
    let cli = async |arguments: &[&str]| {
        let mut command = Command::new("redis-cli");
        command.arg("--cluster").args(arguments);
        let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        done.status.success()
    };
    // All nodes know of the last change.
    let settled = async || until(|| async { cli(&["check", &old]).await.then_some(()) }).await;
    let replicas = Replicas::start(2, "reopen = \"refuse\"", &urls(&nodes), &[]).await;
    let moved = AtomicBool::new(false);
    let load = async {
        let mut calls = 0;
        while !moved.load(SeqCst) {
            one_opens(&replicas).await;
            assert_all_open(&thirds(&replicas).await, "while slots move");
            calls += 1;
        }
        calls
    };
    let moving = async {
        let ids = [nodes[0].cli(&["CLUSTER", "MYID"]), new.cli(&["CLUSTER", "MYID"])];
        assert!(cli(&["add-node", &added, &old]).await);
        know_each_other(&nodes.iter().chain([&new]).collect::<Vec<_>>()).await;
        for (from, to) in [(&ids[0], &ids[1]), (&ids[1], &ids[0])] {
            settled().await;
            let slots = ["--cluster-slots", "1000", "--cluster-yes"];
            assert!(cli(&[&["reshard", &old, "--cluster-from", from, "--cluster-to", to][..], &slots].concat()).await);
        }
        moved.store(true, SeqCst);
    };
    let (calls, ()) = tokio::join!(load, moving);
    println!("{calls} rounds of calls");
    assert!(calls > 1);
    replicas.store_is(true).await;
    for program in &replicas.programs {
        let lost = program.events(|event| event["message"].as_str().unwrap().contains("does not answer"));
        assert!(lost.is_empty(), "{lost:?}");
    }
}
