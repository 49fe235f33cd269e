//! Steps of a decryption whose answers are lost, and steps that come to the store late: no failure is charged twice, no
//! message opens first twice, and none is lost.

use std::time::Duration;

use aa_redirect::proto::RedirectParams;
use futures_util::future::join_all;

use crate::{
    proxy::{Mode, Proxy},
    redis::Redis,
    replicas::{Replicas, answer, broken, open},
    support::program::{Client, until},
};

#[tokio::test]
async fn a_reservation_whose_answer_was_lost_is_given_back() {
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
    lost_or_late("reopen = \"refuse\"").await;
}

/// Without a budget nothing is reserved, so the end is the first thing that the store hears of a message.
#[tokio::test]
async fn a_message_without_a_budget_whose_end_was_lost_or_late_opens_on_any_replica_and_only_once() {
    lost_or_late("reopen = \"refuse\"\nfailure_budget = 0").await;
}

async fn lost_or_late(settings: &str) {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port).await;
    let here = Replicas::start(1, settings, &[proxy.url()], &["--store-timeout-milliseconds", "100"]).await;
    let there = Replicas::start(1, settings, &[redis.url()], &[]).await;
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

#[tokio::test]
async fn a_replica_that_ends_confirms_the_openings_that_it_answered() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port).await;
    let more = ["--store-timeout-milliseconds", "100"];
    let mut replicas = Replicas::start(1, "reopen = \"refuse\"", &[proxy.url()], &more).await;
    let params = replicas.message().await.params.unwrap();
    proxy.set(Mode::LoseRelease);
    assert_eq!(answer(&open(&replicas.clients[0], &params, "").await), "OK");
    replicas.programs[0].signal("TERM");
    tokio::time::sleep(Duration::from_millis(20)).await;
    proxy.set(Mode::Pass);
    assert_eq!(replicas.programs[0].ended().await, Some(0));
    let keys = redis.cli(&["KEYS", "aar:{*}:*"]);
    let lengths: Vec<String> = keys.lines().map(|key| redis.cli(&["HSTRLEN", key, "c"])).collect();
    // The call in 12 bytes and the clock in 13; until it is confirmed, a mark and a token in 13 more.
    assert!(lengths.iter().any(|length| length == "25"), "{lengths:?}");
    assert!(lengths.iter().all(|length| length != "38"), "{lengths:?}");
}
