//! The rights of the store's user, and what the log says about a store that cannot be used: what to do.

use std::fs;

use crate::{
    cluster::{cluster, urls},
    proxy::{Mode, Proxy},
    redis::Redis,
    replicas::{Replicas, answer, open},
    support::program::{Files, text},
};

const USER: &str = "aa-redirect";
const PASSWORD: &str = "secret-of-the-store";
const CLOSED: [&str; 4] = ["--store-outage", "closed", "--store-timeout-milliseconds", "500"];

/// The rule of `docs/operations.md` for the user, and what it adds for a kind of store.
fn documented(kind: &str) -> Vec<String> {
    let chapter = fs::read_to_string("docs/operations.md").unwrap();
    let (_, rule) = chapter.split_once("```sh\nredis-cli ACL SETUSER ").unwrap();
    let (rule, _) = rule.split_once("```").unwrap();
    let rule = rule.replace("PASSWORD", PASSWORD).replace(['\'', '\\'], "");
    let mut words: Vec<String> = rule.split_whitespace().map(str::to_owned).collect();
    if !kind.is_empty() {
        let (_, added) = chapter.split_once(kind).unwrap();
        let added = added.trim_start().strip_prefix("add `").unwrap().split_once('`').unwrap().0;
        words.extend(added.split(' ').map(str::to_owned));
    }
    words
}

/// Gives the user these rights and no others, and forgets what was refused before.
fn give(redis: &Redis, rule: &[String]) {
    let mut words = vec!["ACL", "SETUSER", USER, "reset"];
    words.extend(rule[1..].iter().map(String::as_str));
    assert_eq!(redis.cli(&words), "OK");
    redis.cli(&["ACL", "LOG", "RESET"]);
}

/// Opens messages before and after all connections of the user are closed. The stores refuse no command.
async fn is_enough(replicas: &Replicas, stores: &[&Redis]) {
    for _ in 0..2 {
        for _ in 0..20 {
            let params = replicas.message().await.params.unwrap();
            assert_eq!(answer(&open(&replicas.clients[0], &params, "").await), "OK");
        }
        replicas.store_is(true).await;
        for store in stores {
            store.cli(&["CLIENT", "KILL", "USER", USER]);
        }
    }
    for store in stores {
        assert_eq!(store.cli(&["ACL", "LOG"]), "");
    }
    assert!(!replicas.programs[0].log().contains(PASSWORD));
}

fn with_user(url: &str) -> String {
    url.replace("://", &format!("://{USER}@"))
}

#[tokio::test]
async fn the_documented_rights_are_enough_for_one_server() {
    let redis = Redis::start();
    let files = Files::new();
    let password = files.write("password", &format!("{PASSWORD}\n"));
    let more = [&CLOSED[..], &["--store-password-file", text(&password)]].concat();
    for (kind, path) in [("", ""), ("for a database number", "/3")] {
        give(&redis, &documented(kind));
        let replicas = Replicas::start(1, "", &[with_user(&redis.url()) + path], &more).await;
        is_enough(&replicas, &[&redis]).await;
    }
    assert!(redis.cli(&["INFO", "KEYSPACE"]).contains("db3:"));
}

#[tokio::test]
async fn the_documented_rights_are_enough_for_a_cluster() {
    let nodes = cluster(0).await;
    for node in &nodes {
        give(node, &documented("For a cluster"));
    }
    let files = Files::new();
    let password = files.write("password", PASSWORD);
    let more = [&CLOSED[..], &["--store-password-file", text(&password)]].concat();
    // As with the configuration endpoint of a managed cluster.
    let twice = vec![with_user(&nodes[0].url()); 2];
    for urls in [urls(&nodes).iter().map(|url| with_user(url)).collect(), twice] {
        let replicas = Replicas::start(1, "", &urls, &more).await;
        is_enough(&replicas, &nodes.iter().collect::<Vec<_>>()).await;
    }
}

#[tokio::test]
async fn the_documented_rights_are_enough_behind_sentinel() {
    let master = Redis::start();
    let sentinel = Redis::sentinel(master.port);
    give(&master, &documented("for Sentinel"));
    let files = Files::new();
    let password = files.write("password", PASSWORD);
    let more = [&CLOSED[..], &["--store-password-file", text(&password)]].concat();
    let url = format!("redis+sentinel://{USER}@127.0.0.1:{}/main", sentinel.port);
    let replicas = Replicas::start(1, "", &[url], &more).await;
    is_enough(&replicas, &[&master]).await;
}

#[tokio::test]
async fn a_user_that_lacks_one_command_is_an_outage_until_it_has_it() {
    let redis = Redis::start();
    let all = documented("");
    let commands: Vec<&String> = all.iter().filter(|word| word.starts_with('+')).collect();
    assert_eq!(commands.len(), 11);
    let files = Files::new();
    let password = files.write("password", PASSWORD);
    let more = [&CLOSED[..], &["--store-password-file", text(&password)]].concat();
    give(&redis, &all);
    // The store knows the scripts from here on.
    let first = Replicas::start(1, "", &[with_user(&redis.url())], &more).await;
    is_enough(&first, &[&redis]).await;
    for lacking in commands {
        let others: Vec<String> = all.iter().filter(|word| *word != lacking).cloned().collect();
        give(&redis, &others);
        let replicas = Replicas::start(1, "", &[with_user(&redis.url())], &more).await;
        let told = replicas.programs[0].message(1, "the shared store does not answer").await;
        let problem = told["problem"].as_str().unwrap();
        assert!(problem.starts_with("the store's user may not run a command that the service needs"), "{problem}");
        assert!(problem.to_lowercase().contains(&lacking[1..]), "{lacking}: {problem}");
        let params = replicas.message().await.params.unwrap();
        assert_eq!(answer(&open(&replicas.clients[0], &params, "").await), "STORE_UNAVAILABLE", "{lacking}");
        replicas.store_is(false).await;
        let eternal = |key: &&str| redis.cli(&["PTTL", key]) == "-1";
        assert_eq!(redis.cli(&["KEYS", "*"]).lines().find(eternal), None, "{lacking}");
        give(&redis, &all);
        replicas.store_is(true).await;
        assert_eq!(answer(&open(&replicas.clients[0], &params, "").await), "OK", "{lacking}");
    }
}

/// The first problem that a replica with this store tells.
async fn problem(urls: &[String], password: &str) -> String {
    let files = Files::new();
    let file = files.write("password", password);
    let given = ["--store-password-file", text(&file)];
    let more = [&CLOSED[..], if password.is_empty() { &[] } else { &given }].concat();
    let replicas = Replicas::start(1, "", urls, &more).await;
    let told = replicas.programs[0].message(1, "the shared store does not answer").await;
    let log = replicas.programs[0].log();
    assert!(password.is_empty() || !log.contains(password), "{log}");
    told["problem"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_log_tells_of_a_second_problem_while_the_store_stays_down() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port).await;
    proxy.set(Mode::Cut);
    let replicas = Replicas::start(1, "", &[proxy.url()], &[]).await;
    replicas.programs[0].message(1, "the shared store does not answer").await;
    proxy.set(Mode::Answer(b"-NOAUTH Authentication required.\r\n"));
    let told = replicas.programs[0].message(1, "the shared store is still down, and now has another problem").await;
    assert!(told["problem"].as_str().unwrap().starts_with("the store needs a password"), "{told}");
}

#[tokio::test]
async fn the_log_says_what_to_do_about_a_store_that_cannot_be_used() {
    let redis = Redis::start();
    let url = [redis.url()];
    let keys: Vec<String> = documented("").into_iter().map(|word| word.replace("~aar:*", "~other:*")).collect();
    give(&redis, &keys);
    let told = problem(&[with_user(&url[0])], PASSWORD).await;
    assert!(told.starts_with("the store's user may not use keys that begin with `aar:`"), "{told}");
    let told = problem(&[with_user(&url[0])], "another").await;
    assert!(told.starts_with("the store does not take this user and password"), "{told}");
    let told = problem(&[url[0].clone(), url[0].clone()], "").await;
    assert!(told.starts_with("this server is not in a cluster: name it once"), "{told}");
    redis.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let told = problem(&url, "").await;
    assert!(told.starts_with("the store is full"), "{told}");
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    redis.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    let told = problem(&url, "").await;
    assert!(told.starts_with("the store has fewer followers"), "{told}");
    redis.cli(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    redis.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    let told = problem(&url, "").await;
    assert!(told.starts_with("this is a follower"), "{told}");
    redis.cli(&["REPLICAOF", "NO", "ONE"]);
    redis.cli(&["CONFIG", "SET", "requirepass", "needed"]);
    let told = problem(&url, "").await;
    assert!(told.starts_with("the store needs a password"), "{told}");
    let proxy = Proxy::start(redis.port).await;
    proxy.set(Mode::Answer(b"-LOADING Redis is loading the dataset in memory\r\n"));
    let told = problem(&[proxy.url()], "").await;
    assert!(told.starts_with("the store is starting"), "{told}");
    let nodes = cluster(0).await;
    // The node has not the slot of the first proof.
    let slot: u16 = nodes[0].cli(&["CLUSTER", "KEYSLOT", "aar:{}:probe"]).parse().unwrap();
    let other = &nodes[usize::from(slot < 5461)];
    let told = problem(&[other.url()], "").await;
    assert!(told.starts_with("this is a node of a cluster: name several of its nodes"), "{told}");
}
