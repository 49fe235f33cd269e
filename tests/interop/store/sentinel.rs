//! A store behind Sentinel.

use std::net::TcpListener;

use crate::{
    redis::Redis,
    replicas::{Replicas, answer, open},
};

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
    master.is_followed().await;
    master.kill();
    crate::support::program::until(|| async {
        let other = replicas.message().await.params.unwrap();
        (answer(&open(&replicas.clients[1], &other, "").await) == "OK").then_some(())
    })
    .await;
    assert_eq!(answer(&open(&replicas.clients[1], &params, "").await), "ALREADY_OPENED");
}

#[tokio::test]
async fn a_silent_sentinel_keeps_no_replica_from_the_master() {
    let master = Redis::start();
    let sentinel = Redis::sentinel(master.port);
    // The system accepts connections, and nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let ports = [silent.local_addr().unwrap().port(), sentinel.port];
    let urls = ports.map(|port| format!("redis+sentinel://127.0.0.1:{port}/main"));
    let replicas = Replicas::start(2, "reopen = \"refuse\"", &urls, &["--store-timeout-milliseconds", "300"]).await;
    for client in &replicas.clients {
        crate::support::program::until(|| async {
            let params = replicas.message().await.params.unwrap();
            (answer(&open(client, &params, "").await) == "OK").then_some(())
        })
        .await;
    }
}
