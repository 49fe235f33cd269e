//! The common budgets and openings of replicas, and what they write to the store.

use futures_util::future::join_all;

use crate::{
    redis::Redis,
    replicas::{Replicas, answer, broken, changed, open},
};

#[tokio::test]
async fn simultaneous_failures_over_three_replicas_stay_within_one_budget() {
    let redis = Redis::start();
    let replicas = Replicas::start(3, "", &[redis.url()], &[]).await;
    budget_holds(&replicas).await;
}

/// 300 failures at the same time: 32 are decrypted.
pub async fn budget_holds(replicas: &Replicas) {
    let before = replicas.sum("aa_redirect_failure_budget_refused_total").await;
    let params = replicas.message().await.params.unwrap();
    let calls = (0..300).map(|number| {
        let client = &replicas.clients[usize::try_from(number).unwrap() % replicas.clients.len()];
        let params = broken(&params, number);
        async move { open(client, &params, "").await }
    });
    let answers = join_all(calls).await;
    assert!(answers.iter().all(|given| answer(given) == "UNDECIPHERABLE"));
    let refused = replicas.sum("aa_redirect_failure_budget_refused_total").await - before;
    assert!((refused - 268.0).abs() < 0.5, "{refused}");
    // The valid message shares its last block, and every replica refuses it.
    for client in &replicas.clients {
        assert_eq!(answer(&open(client, &params, "").await), "UNDECIPHERABLE");
    }
}

#[tokio::test]
async fn one_of_the_simultaneous_openings_over_three_replicas_is_the_first() {
    let redis = Redis::start();
    let replicas = Replicas::start(3, "reopen = \"refuse\"", &[redis.url()], &[]).await;
    one_opens(&replicas).await;
}

/// 24 openings at the same time: one is answered, the others are ALREADY_OPENED.
pub async fn one_opens(replicas: &Replicas) {
    let params = replicas.message().await.params.unwrap();
    let calls = (0..24).map(|number| open(&replicas.clients[number % replicas.clients.len()], &params, ""));
    let mut answers: Vec<String> = join_all(calls).await.iter().map(answer).collect();
    answers.sort();
    let expected: Vec<_> = (0..23).map(|_| "ALREADY_OPENED").chain(["OK"]).collect();
    assert_eq!(answers, expected);
}

#[tokio::test]
async fn every_replica_knows_what_another_one_opened() {
    let redis = Redis::start();
    let replicas = Replicas::start(3, "", &[redis.url()], &[]).await;
    let params = replicas.message().await.params.unwrap();
    let first = open(&replicas.clients[0], &params, "one").await.unwrap();
    assert!(!first.reopened);
    for client in &replicas.clients {
        assert_eq!(answer(&open(client, &changed(&params), "").await), "UNDECIPHERABLE");
        let again = open(client, &params, "").await.unwrap();
        assert_eq!((again.reopened, again.first_open_time), (true, first.first_open_time));
        let retry = open(client, &params, "one").await.unwrap();
        assert_eq!((retry.reopened, retry.first_open_time), (false, first.first_open_time));
    }
}

#[tokio::test]
async fn any_number_of_simultaneous_successes_costs_no_budget() {
    let redis = Redis::start();
    let replicas = Replicas::start(2, "failure_budget = 1", &[redis.url()], &[]).await;
    let params = replicas.message().await.params.unwrap();
    let answers = join_all((0..100).map(|number| open(&replicas.clients[number % 2], &params, ""))).await;
    assert!(answers.iter().all(|given| answer(given) == "OK"), "a call waits for those that hold the budget");
}

#[tokio::test]
async fn an_abandoned_call_keeps_no_reservation() {
    let redis = Redis::start();
    let replicas = Replicas::start(1, "failure_budget = 2", &[redis.url()], &[]).await;
    let params = replicas.message().await.params.unwrap();
    for _ in 0..50 {
        let call = open(&replicas.clients[0], &params, "");
        // The call is dropped at any point of its work.
        let _ = tokio::time::timeout(std::time::Duration::from_micros(rand::random_range(100..3000)), call).await;
    }
    assert_eq!(answer(&open(&replicas.clients[0], &params, "").await), "OK");
}

#[tokio::test]
async fn an_unresolved_reservation_counts_as_a_failure_after_five_seconds() {
    let redis = Redis::start();
    let mut replicas = Replicas::start(2, "failure_budget = 1", &[redis.url()], &[]).await;
    let params = replicas.message().await.params.unwrap();
    assert_eq!(answer(&open(&replicas.clients[0], &params, "").await), "OK");
    // The state that a replica leaves if it is killed between its two steps.
    let keys = redis.cli(&["KEYS", "aar:*"]);
    let block = keys.lines().find(|key| key.matches(':').count() == 2 && !key.ends_with(":probe")).unwrap();
    let (date, id) = block.rsplit_once(':').unwrap();
    let now = chrono::Utc::now().timestamp_millis();
    redis.cli(&["HSET", date, "f", "1", "pdead", &format!("{now} {id}")]);
    redis.cli(&["HSET", block, "f", "1"]);
    assert_eq!(answer(&open(&replicas.clients[1], &params, "").await), "UNDECIPHERABLE");
    let asked = replicas.programs[1]
        .metrics()
        .await
        .of("aa_redirect_store_operations_total{operation=\"reserve\",outcome=\"ok\"}");
    assert!(asked.is_some_and(|asked| asked > 10.0), "it waits for the other replica first, and asks again: {asked:?}");
    replicas.programs.clear();
}

#[tokio::test]
async fn the_store_holds_nothing_in_clear_and_every_key_expires() {
    let redis = Redis::start();
    let replicas = Replicas::start(1, "", &[redis.url()], &[]).await;
    let message = replicas.message().await;
    let params = message.params.unwrap();
    open(&replicas.clients[0], &params, "attempt-name").await.unwrap();
    open(&replicas.clients[0], &broken(&replicas.message().await.params.unwrap(), 1), "").await.unwrap_err();
    let keys: Vec<String> = redis.cli(&["KEYS", "*"]).lines().map(str::to_owned).collect();
    assert!(keys.len() >= 3, "{keys:?}");
    let mut all = keys.join(" ");
    for key in &keys {
        all += &redis.cli(&["HGETALL", key]);
        let life: i64 = redis.cli(&["PTTL", key]).parse().unwrap();
        assert!(life > 0, "{key}");
    }
    for clear in ["fiu", "9999988888", "handle", "attempt-name", &params.reqdate, &message.txnid, "0123456789abcdef"] {
        assert!(!all.contains(clear), "{clear}");
    }
    // The window is a million seconds. A message that was accepted last is kept for this time again.
    let block = keys.iter().find(|key| redis.cli(&["HEXISTS", key, "o"]) == "1").unwrap();
    let life: i64 = redis.cli(&["PTTL", block]).parse().unwrap();
    assert!((1_999_000_000..=2_000_060_000).contains(&life), "{life}");
}
