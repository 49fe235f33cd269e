//! What happens to calls while the store hangs, dies, is full, or answers errors or garbage, and after it is back.

use std::time::Duration;

use futures_util::future::join_all;

use crate::{
    proxy::{Mode, Proxy},
    redis::Redis,
    replicas::{Replicas, answer, open},
    support::program::until,
};

const CLOSED: [&str; 4] = ["--store-outage", "closed", "--store-timeout-milliseconds", "500"];
const LOCAL: [&str; 4] = ["--store-outage", "local", "--store-timeout-milliseconds", "500"];

type Change = fn(&mut Redis);

/// The answers to this many new messages, opened one after another.
async fn answers(replicas: &Replicas, count: usize) -> Vec<String> {
    let mut answers = Vec::new();
    for _ in 0..count {
        let params = replicas.message().await.params.unwrap();
        answers.push(answer(&open(&replicas.clients[0], &params, "").await));
    }
    answers
}

/// What the log of the first replica says about the store, in order.
fn changes(replicas: &Replicas) -> Vec<String> {
    let told = replicas.programs[0].events(|event| event["message"].as_str().unwrap().starts_with("the shared store "));
    told.iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

/// Tests a store that `breaks` until it is `fixed`. With `local`, calls are still answered; with `closed`, they get
/// STORE_UNAVAILABLE. Each change is logged once. Afterwards both use the store again and have lost nothing.
async fn breaks_and_recovers(redis: &mut Redis, breaks: impl Fn(&mut Redis), fixed: impl Fn(&mut Redis)) {
    let local = Replicas::start(1, "", &[redis.url()], &LOCAL).await;
    let closed = Replicas::start(1, "", &[redis.url()], &CLOSED).await;
    let refusing = Replicas::start(1, "reopen = \"refuse\"", &[redis.url()], &LOCAL).await;
    let known = closed.message().await.params.unwrap();
    for replicas in [&local, &closed, &refusing] {
        assert_eq!(answers(replicas, 2).await, ["OK"; 2]);
        replicas.store_is(true).await;
    }
    let first = open(&closed.clients[0], &known, "").await.unwrap();
    breaks(redis);
    assert_eq!(answers(&local, 20).await, ["OK"; 20]);
    assert_eq!(answers(&closed, 3).await, ["STORE_UNAVAILABLE"; 3]);
    assert_eq!(answers(&refusing, 3).await, ["STORE_UNAVAILABLE"; 3], "it is always closed");
    for replicas in [&local, &closed, &refusing] {
        replicas.store_is(false).await;
        assert_eq!(replicas.programs[0].page("/readyz").await.0, 200);
    }
    fixed(redis);
    for replicas in [&local, &closed, &refusing] {
        replicas.store_is(true).await;
        assert_eq!(answers(replicas, 5).await, ["OK"; 5]);
        let [up, down] = ["the shared store answers", "the shared store does not answer"];
        assert_eq!(changes(replicas), [up, down, up]);
    }
    let again = open(&closed.clients[0], &known, "").await.unwrap();
    assert_eq!((again.reopened, again.first_open_time), (true, first.first_open_time), "nothing was forgotten");
}

#[tokio::test]
async fn a_hanging_store_stops_no_call_with_local_and_refuses_it_with_closed() {
    breaks_and_recovers(&mut Redis::start(), |redis| redis.signal("STOP"), |redis| redis.signal("CONT")).await;
}

#[tokio::test]
async fn a_store_that_is_killed_and_comes_back_has_lost_nothing() {
    breaks_and_recovers(&mut Redis::start(), Redis::kill, Redis::restart).await;
}

#[tokio::test]
async fn a_full_store_is_an_outage() {
    let full = |redis: &mut Redis| drop(redis.cli(&["CONFIG", "SET", "maxmemory", "1"]));
    breaks_and_recovers(&mut Redis::start(), full, |redis| drop(redis.cli(&["CONFIG", "SET", "maxmemory", "0"]))).await;
}

#[tokio::test]
async fn a_store_that_became_a_replica_is_an_outage() {
    // Its master does not exist, so it keeps its data and is read-only.
    let demoted = |redis: &mut Redis| drop(redis.cli(&["REPLICAOF", "127.0.0.1", "1"]));
    breaks_and_recovers(&mut Redis::start(), demoted, |redis| drop(redis.cli(&["REPLICAOF", "NO", "ONE"]))).await;
}

#[tokio::test]
async fn errors_and_garbage_are_an_outage() {
    let redis = Redis::start();
    for spoiled in [
        &b"-LOADING Redis is loading the dataset in memory\r\n"[..],
        b"-MOVED 1234 127.0.0.1:1\r\n",
        b"-NOAUTH Authentication required.\r\n",
        b"+OK\r\n",
        b":77\r\n",
        b"*1\r\n:7\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ] {
        let proxy = Proxy::start(redis.port).await;
        let local = Replicas::start(1, "", &[proxy.url()], &LOCAL).await;
        let closed = Replicas::start(1, "", &[proxy.url()], &CLOSED).await;
        for replicas in [&local, &closed] {
            assert_eq!(answers(replicas, 1).await, ["OK"]);
        }
        proxy.set(Mode::Answer(spoiled));
        let text = spoiled.escape_ascii();
        assert_eq!(answers(&local, 5).await, ["OK"; 5], "{text}");
        assert_eq!(answers(&closed, 2).await, ["STORE_UNAVAILABLE"; 2], "{text}");
        proxy.set(Mode::Pass);
        for replicas in [&local, &closed] {
            replicas.store_is(true).await;
            assert_eq!(answers(replicas, 5).await, ["OK"; 5], "{text}");
        }
    }
}

#[tokio::test]
async fn a_store_that_answers_wrongly_after_the_proof_is_asked_for_few_connections() {
    let redis = Redis::start();
    for spoiled in [&b"-OOM command not allowed\r\n"[..], b":77\r\n", b"-NOSCRIPT none\r\n", b"garbage\r\n"] {
        let proxy = Proxy::start(redis.port).await;
        let local = Replicas::start(1, "", &[proxy.url()], &LOCAL).await;
        let closed = Replicas::start(1, "", &[proxy.url()], &CLOSED).await;
        for replicas in [&local, &closed] {
            replicas.store_is(true).await;
        }
        proxy.set(Mode::AnswerAfterProof(spoiled));
        let text = spoiled.escape_ascii();
        assert_eq!(answers(&local, 5).await, ["OK"; 5], "{text}");
        assert_eq!(answers(&closed, 5).await, ["STORE_UNAVAILABLE"; 5], "{text}");
        // The proof alone does not make it count as up, however rarely it is asked.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        for replicas in [&local, &closed] {
            answers(replicas, 1).await;
            replicas.store_is(false).await;
            assert_eq!(changes(replicas), ["the shared store answers", "the shared store does not answer"], "{text}");
        }
        // Without a pause it is asked for thousands.
        assert!(proxy.connections() < 200, "{text}: {}", proxy.connections());
        proxy.set(Mode::Pass);
        for replicas in [&local, &closed] {
            until(|| async { (answers(replicas, 1).await == ["OK"]).then_some(()) }).await;
            replicas.store_is(true).await;
            assert_eq!(answers(replicas, 5).await, ["OK"; 5], "{text}");
        }
    }
}

#[tokio::test]
async fn only_the_beginning_of_what_a_store_says_reaches_the_log() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port).await;
    let error = format!("-ERR {}\r\n", "long\u{1b}".repeat(100_000)).into_bytes();
    proxy.set(Mode::Answer(error.leak()));
    let replicas = Replicas::start(1, "", &[proxy.url()], &CLOSED).await;
    let told = replicas.programs[0].message(1, "the shared store does not answer").await;
    let problem = told["problem"].as_str().unwrap();
    assert!(problem.contains("long long") && problem.len() <= 200 && !problem.contains('\u{1b}'), "{problem}");
}

#[tokio::test]
async fn a_store_that_answers_too_late_is_an_outage() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port).await;
    let local = Replicas::start(1, "", &[proxy.url()], &LOCAL).await;
    let closed = Replicas::start(1, "", &[proxy.url()], &CLOSED).await;
    assert_eq!((answers(&local, 1).await, answers(&closed, 1).await), (vec!["OK".into()], vec!["OK".into()]));
    for mode in [Mode::Delay(Duration::from_secs(2)), Mode::Hang] {
        proxy.set(mode);
        assert_eq!(answers(&local, 10).await, ["OK"; 10]);
        assert_eq!(answers(&closed, 2).await, ["STORE_UNAVAILABLE"; 2]);
        proxy.set(Mode::Pass);
        for replicas in [&local, &closed] {
            replicas.store_is(true).await;
        }
    }
}

#[tokio::test]
async fn a_slow_store_that_answers_within_the_limit_is_used() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port).await;
    proxy.set(Mode::Delay(Duration::from_millis(350)));
    let limit = ["--store-outage", "closed", "--store-timeout-milliseconds", "1000"];
    let replicas = Replicas::start(1, "", &[proxy.url()], &limit).await;
    // The proof and the first use of each script take some trips.
    until(|| async { (answers(&replicas, 1).await == ["OK"]).then_some(()) }).await;
    assert_eq!(answers(&replicas, 5).await, ["OK"; 5]);
    // After an outage too.
    proxy.set(Mode::Hang);
    assert_eq!(answers(&replicas, 2).await, ["STORE_UNAVAILABLE"; 2]);
    proxy.set(Mode::Delay(Duration::from_millis(350)));
    until(|| async { (answers(&replicas, 1).await == ["OK"]).then_some(()) }).await;
    assert_eq!(answers(&replicas, 5).await, ["OK"; 5]);
    replicas.store_is(true).await;
}

#[tokio::test]
async fn a_store_that_often_stands_still_changes_its_state_once_each_time() {
    let redis = Redis::start();
    let replicas = Replicas::start(1, "", &[redis.url()], &LOCAL).await;
    // Other connections are served by other threads.
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(replicas.programs[0].client().await);
    }
    let stops = 4;
    let still = async {
        for _ in 0..stops {
            tokio::time::sleep(Duration::from_secs(1)).await;
            redis.signal("STOP");
            tokio::time::sleep(Duration::from_secs(1)).await;
            redis.signal("CONT");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let load = async {
        loop {
            let params = replicas.message().await.params.unwrap();
            let opened = join_all(clients.iter().map(|client| open(client, &params, ""))).await;
            assert!(opened.iter().all(Result::is_ok), "{opened:?}");
        }
    };
    tokio::select! {
        () = still => {}
        () = load => {}
    }
    replicas.store_is(true).await;
    let down = changes(&replicas).into_iter().filter(|change| change == "the shared store does not answer").count();
    assert_eq!(down, stops, "{:?}", changes(&replicas));
}

#[tokio::test]
async fn calls_that_wait_for_each_other_are_no_outage() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port).await;
    let more = ["--store-outage", "closed", "--store-timeout-milliseconds", "1000"];
    let replicas = Replicas::start(1, "", &[proxy.url()], &more).await;
    let mut messages = Vec::new();
    for _ in 0..3000 {
        messages.push(replicas.message().await.params.unwrap());
    }
    replicas.store_is(true).await;
    // All at once take at least three times the limit.
    proxy.set(Mode::OneByOne(Duration::from_millis(1)));
    let opened = join_all(messages.iter().map(|params| open(&replicas.clients[0], params, ""))).await;
    assert!(opened.iter().all(|given| answer(given) == "OK"));
    assert_eq!(changes(&replicas), ["the shared store answers"]);
}

#[tokio::test]
async fn an_outage_shows_before_a_call_meets_it() {
    let mut redis = Redis::start();
    let replicas = Replicas::start(1, "", &[redis.url()], &LOCAL).await;
    let params = replicas.message().await.params.unwrap();
    assert_eq!(answer(&open(&replicas.clients[0], &params, "").await), "OK");
    replicas.store_is(true).await;
    let kinds: [(Change, Change); 3] = [
        (Redis::kill, Redis::restart),
        (|redis| redis.signal("STOP"), |redis| redis.signal("CONT")),
        (
            |redis| drop(redis.cli(&["CONFIG", "SET", "maxmemory", "1"])),
            |redis| drop(redis.cli(&["CONFIG", "SET", "maxmemory", "0"])),
        ),
    ];
    for (breaks, fixed) in kinds {
        breaks(&mut redis);
        replicas.store_is(false).await;
        fixed(&mut redis);
        replicas.store_is(true).await;
    }
    let answers = "the shared store answers";
    let fails = "the shared store does not answer";
    assert_eq!(changes(&replicas), [answers, fails, answers, fails, answers, fails, answers]);
}

#[tokio::test]
async fn connections_that_are_cut_fail_no_call() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port).await;
    let replicas = Replicas::start(1, "reopen = \"refuse\"", &[proxy.url()], &["--store-outage", "closed"]).await;
    for _ in 0..10 {
        let mut messages = Vec::new();
        for _ in 0..20 {
            messages.push(replicas.message().await.params.unwrap());
        }
        let calls = join_all(messages.iter().map(|params| open(&replicas.clients[0], params, "")));
        let (answers, ()) = tokio::join!(calls, proxy.cut());
        assert!(answers.iter().all(|given| answer(given) == "OK"), "{answers:?}");
    }
    assert_eq!(replicas.programs[0].events(|event| event["level"] == "ERROR").len(), 0);
}
