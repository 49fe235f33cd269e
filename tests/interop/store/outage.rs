//! What happens to calls while the store hangs, dies, is full, or answers errors or garbage, and after it is back.

use std::time::Duration;

use aa_redirect::proto::RedirectParams;
use futures_util::future::join_all;

use crate::{
    proxy::{Mode, Proxy},
    redis::Redis,
    replicas::{Replicas, answer, broken, open},
    support::program::{Client, until},
};

const CLOSED: [&str; 4] = ["--store-outage", "closed", "--store-timeout-milliseconds", "500"];
const LOCAL: [&str; 4] = ["--store-outage", "local", "--store-timeout-milliseconds", "500"];

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
    assert!(down <= stops, "{:?}", changes(&replicas));
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

#[tokio::test]
async fn a_message_that_was_answered_store_unavailable_is_not_recorded() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port).await;
    let settings = "reopen = \"refuse\"\nfailure_budget = 1";
    let replicas = Replicas::start(1, settings, &[proxy.url()], &["--store-timeout-milliseconds", "300"]).await;
    for _ in 0..5 {
        let params = replicas.message().await.params.unwrap();
        // The store runs each command, but its answers are lost.
        proxy.set(Mode::Hang);
        assert_eq!(answer(&open(&replicas.clients[0], &params, "").await), "STORE_UNAVAILABLE");
        proxy.set(Mode::Pass);
        replicas.store_is(true).await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(answer(&open(&replicas.clients[0], &params, "").await), "OK");
        assert_eq!(answer(&open(&replicas.clients[0], &params, "").await), "ALREADY_OPENED");
    }
}

#[tokio::test]
async fn a_message_that_was_answered_store_unavailable_opens_on_any_replica_after_a_store_that_stood_still_goes_on() {
    let redis = Redis::start();
    let with_budget = async |budget: u32| {
        let settings = format!("reopen = \"refuse\"\nfailure_budget = {budget}");
        Replicas::start(2, &settings, &[redis.url()], &["--store-timeout-milliseconds", "300"]).await
    };
    let (short, long) = (with_budget(1).await, with_budget(2).await);
    let mut refused = 0;
    // Shorter than a reservation runs, and longer: then it counts as a failure until the first replica gives it back.
    for (still, replicas) in [(1, &short), (6, &long), (1, &short), (6, &long)] {
        let still = Duration::from_secs(still);
        let mut messages = Vec::new();
        for _ in 0..100 {
            messages.push(replicas.message().await.params.unwrap());
        }
        let calls = join_all(messages.iter().map(|params| open(&replicas.clients[0], params, "")));
        let stop = async {
            tokio::time::sleep(Duration::from_micros(rand::random_range(1000..8000))).await;
            redis.signal("STOP");
        };
        let (answers, ()) = tokio::join!(calls, stop);
        tokio::time::sleep(still).await;
        redis.signal("CONT");
        let again = join_all(messages.iter().map(|params| opened(&replicas.clients[1], params))).await;
        for (first, again) in answers.iter().zip(again) {
            let expected = if first.is_ok() { "ALREADY_OPENED" } else { "OK" };
            assert_eq!(again, expected, "after {}", answer(first));
            refused += usize::from(first.is_err());
        }
    }
    println!("{refused} calls refused");
    assert!(refused > 0, "the store stood still after all calls");
}

/// The first answer that does not come from an outage.
async fn opened(client: &Client, params: &RedirectParams) -> String {
    opened_as(client, params, "").await
}

/// The first answer to a call with this name that does not come from an outage.
async fn opened_as(client: &Client, params: &RedirectParams, name: &str) -> String {
    until(|| async {
        let given = answer(&open(client, params, name).await);
        (given != "STORE_UNAVAILABLE").then_some(given)
    })
    .await
}

#[tokio::test]
async fn a_message_whose_end_was_lost_or_late_opens_on_any_replica_and_only_once() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port).await;
    let refuse = "reopen = \"refuse\"";
    let here = Replicas::start(1, refuse, &[proxy.url()], &["--store-timeout-milliseconds", "100"]).await;
    let there = Replicas::start(1, refuse, &[redis.url()], &[]).await;
    let modes = [Mode::LoseEnd, Mode::LateEnd(Duration::from_millis(300))];
    // The names of the call, of its repetition, and of a later call.
    let names = [["", "", ""], ["one", "one", "two"], ["one", "two", "three"]];
    for (mode, names) in modes.into_iter().flat_map(|mode| names.map(|names| (mode, names))) {
        for pause in [0, 100, 1000] {
            let what = format!("{mode:?}, {names:?}, {pause} ms");
            here.store_is(true).await;
            let params = here.message().await.params.unwrap();
            proxy.set(mode);
            assert_eq!(answer(&open(&here.clients[0], &params, names[0]).await), "STORE_UNAVAILABLE", "{what}");
            tokio::time::sleep(Duration::from_millis(pause)).await;
            proxy.set(Mode::Pass);
            assert_eq!(opened_as(&there.clients[0], &params, names[1]).await, "OK", "{what}");
            here.store_is(true).await;
            // What is left of the first call must not forget the opening of its repetition.
            tokio::time::sleep(Duration::from_millis(500)).await;
            for replicas in [&here, &there] {
                assert_eq!(opened_as(&replicas.clients[0], &params, names[2]).await, "ALREADY_OPENED", "{what}");
            }
        }
    }
}

#[tokio::test]
async fn a_failure_whose_end_is_sent_again_is_charged_once() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port).await;
    let replicas = Replicas::start(1, "", &[proxy.url()], &["--store-outage", "closed"]).await;
    let params = replicas.message().await.params.unwrap();
    for number in 0..5 {
        let before = proxy.connections();
        proxy.set(Mode::CutEnd);
        let heals = async {
            until(|| async { (proxy.connections() > before + 2).then_some(()) }).await;
            proxy.set(Mode::Pass);
        };
        let failing = broken(&params, number);
        let (given, ()) = tokio::join!(open(&replicas.clients[0], &failing, ""), heals);
        assert_eq!(answer(&given), "UNDECIPHERABLE");
    }
    let keys = redis.cli(&["KEYS", "aar:*"]);
    let failures: Vec<String> =
        keys.lines().map(|key| redis.cli(&["HGET", key, "f"])).filter(|f| !f.is_empty()).collect();
    assert_eq!(failures, ["5", "5"], "of the date and of the last block");
}

#[tokio::test]
async fn a_reservation_that_comes_after_its_call_was_given_up_costs_no_budget() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port).await;
    let settings = "reopen = \"refuse\"\nfailure_budget = 1";
    let limit = Duration::from_millis(100);
    let replicas = Replicas::start(1, settings, &[proxy.url()], &["--store-timeout-milliseconds", "100"]).await;
    for _ in 0..3 {
        replicas.store_is(true).await;
        let params = replicas.message().await.params.unwrap();
        let late = limit * 10;
        proxy.set(Mode::LateReservation(late));
        assert_eq!(answer(&open(&replicas.clients[0], &params, "").await), "STORE_UNAVAILABLE");
        proxy.set(Mode::Pass);
        tokio::time::sleep(late * 2).await;
        assert_eq!(opened(&replicas.clients[0], &params).await, "OK");
    }
}

#[tokio::test]
async fn an_opening_that_one_of_two_tries_of_a_call_got_is_not_forgotten_with_the_other() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port).await;
    let refuse = "reopen = \"refuse\"";
    let here = Replicas::start(1, refuse, &[proxy.url()], &["--store-timeout-milliseconds", "100"]).await;
    let there = Replicas::start(1, refuse, &[redis.url()], &[]).await;
    for _ in 0..10 {
        here.store_is(true).await;
        let params = here.message().await.params.unwrap();
        proxy.set(Mode::LoseEnd);
        // Both at once, under one name. The answer to one of them is lost.
        let both = tokio::join!(open(&here.clients[0], &params, "one"), open(&there.clients[0], &params, "one"));
        assert_eq!((&*answer(&both.0), &*answer(&both.1)), ("STORE_UNAVAILABLE", "OK"));
        proxy.set(Mode::Pass);
        here.store_is(true).await;
        assert_eq!(opened_as(&there.clients[0], &params, "two").await, "ALREADY_OPENED");
    }
}
