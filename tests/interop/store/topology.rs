//! A cluster, Sentinel, and a store that needs a password.

use std::{process::Command, time::Duration};

use crate::{
    redis::Redis,
    replicas::{Replicas, answer, open},
    together::{budget_holds, one_opens},
};

async fn cluster() -> Vec<Redis> {
    let node = || {
        Redis::start_with(&[
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            "1000",
            "--cluster-require-full-coverage",
            "no",
        ])
    };
    let nodes: Vec<Redis> = (0..3).map(|_| node()).collect();
    let addresses = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port));
    let made = Command::new("redis-cli").args(["--cluster", "create"]).args(addresses).arg("--cluster-yes").output();
    assert!(made.unwrap().status.success());
    for node in &nodes {
        crate::support::program::until(|| async {
            node.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok").then_some(())
        })
        .await;
    }
    nodes
}

#[tokio::test]
async fn a_cluster_of_three_is_one_store() {
    let mut nodes = cluster().await;
    let urls: Vec<String> = nodes.iter().map(Redis::url).collect();
    let replicas = Replicas::start(3, "reopen = \"refuse\"", &urls, &[]).await;
    for _ in 0..5 {
        budget_holds(&replicas).await;
        one_opens(&replicas).await;
    }
    // The messages of a third of all dates are on a node that is gone. All other messages are still served.
    let lasting = Replicas::start(1, "", &urls, &["--store-timeout-milliseconds", "300"]).await;
    nodes[2].kill();
    for _ in 0..40 {
        let params = lasting.message().await.params.unwrap();
        assert_eq!(answer(&open(&lasting.clients[0], &params, "").await), "OK");
    }
    nodes[2].restart();
    replicas.store_is(true).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    for _ in 0..3 {
        one_opens(&replicas).await;
    }
}

#[tokio::test]
async fn the_new_master_after_a_sentinel_failover_knows_all_opened_messages() {
    let mut master = Redis::start();
    let follower = Redis::start_with(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
    let sentinel = Redis::sentinel(master.port);
    crate::support::program::until(|| async {
        (master.cli(&["INFO", "replication"]).contains("state=online")
            && sentinel.cli(&["SENTINEL", "REPLICAS", "main"]).contains(&follower.port.to_string()))
        .then_some(())
    })
    .await;
    let url = format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port);
    let replicas = Replicas::start(2, "reopen = \"refuse\"", &[url], &["--store-timeout-milliseconds", "300"]).await;
    let params = replicas.message().await.params.unwrap();
    assert_eq!(answer(&open(&replicas.clients[0], &params, "").await), "OK");
    assert_eq!(master.cli(&["WAIT", "1", "5000"]), "1");
    master.kill();
    crate::support::program::until(|| async {
        let other = replicas.message().await.params.unwrap();
        (answer(&open(&replicas.clients[1], &other, "").await) == "OK").then_some(())
    })
    .await;
    assert_eq!(answer(&open(&replicas.clients[1], &params, "").await), "ALREADY_OPENED");
}

#[tokio::test]
async fn a_password_comes_from_a_file_and_a_user_needs_only_the_documented_commands() {
    let redis = Redis::start();
    let rule = [
        "ACL",
        "SETUSER",
        "aa-redirect",
        "on",
        ">store-password",
        "resetkeys",
        "~aar:*",
        "resetchannels",
        "-@all",
        "+eval",
        "+evalsha",
        "+time",
        "+hget",
        "+hmget",
        "+hgetall",
        "+hexists",
        "+hset",
        "+hincrby",
        "+hdel",
        "+pexpire",
    ];
    assert_eq!(redis.cli(&rule), "OK");
    assert_eq!(redis.cli(&["ACL", "SETUSER", "default", "off"]), "OK");
    let files = crate::support::program::Files::new();
    let password = files.write("password", "store-password\n");
    let url = format!("redis://aa-redirect@127.0.0.1:{}", redis.port);
    let more = ["--store-outage", "closed", "--store-password-file", password.to_str().unwrap()];
    let replicas = Replicas::start(1, "", &[url], &more).await;
    let params = replicas.message().await.params.unwrap();
    assert_eq!(answer(&open(&replicas.clients[0], &params, "").await), "OK");
    assert!(!replicas.programs[0].log().contains("store-password"));
}
