//! A store with TLS.

use std::{fs, process::Command, time::Duration};

use aa_redirect::proto::RedirectParams;

use crate::{
    redis::{Redis, free_port},
    replicas::{answer, open},
    support::{
        certificates::Ca,
        program::{Client, Files, Program, sealed, text},
    },
};

/// A store with TLS whose certificate `ca` issued. It has a port without TLS too.
fn store(files: &Files, ca: &Ca, more: &[&str]) -> (Redis, String) {
    let issued = ca.issue("localhost", 2999);
    let (cert, key) = (files.write("store.pem", &issued.cert), files.write("store.key", &issued.key));
    let trusted = files.write("trusted.pem", &ca.pem());
    let port = free_port().to_string();
    let tls = ["--tls-port", &port, "--tls-cert-file", text(&cert), "--tls-key-file", text(&key)];
    let redis = Redis::start_with(&[&tls[..], &["--tls-ca-cert-file", text(&trusted)], more].concat());
    (redis, format!("rediss://localhost:{port}"))
}

fn program(files: &Files, url: &str, trusted: &str) -> Program {
    let keyring = files.keyring("iv", &[("a", "0123456789abcdefghijABCDEFGHIJ-_")]);
    let arguments = ["--keyring", text(&keyring), "--store", url, "--store-timeout-milliseconds", "500"];
    Program::start_with(&arguments, &[("SSL_CERT_FILE", trusted)])
}

async fn message(client: &Client) -> RedirectParams {
    sealed(&mut client.clone(), "fiu", "aa").await.unwrap().params.unwrap()
}

async fn problem(program: &Program) -> String {
    let told = program.message(1, "the shared store does not answer").await;
    told["problem"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_store_with_tls_is_used_if_its_ca_is_known() {
    let (files, ca) = (Files::new(), Ca::new());
    let (redis, url) = store(&files, &ca, &["--tls-auth-clients", "no"]);
    let program = program(&files, &url, text(&files.path("trusted.pem")));
    program.message(1, "the shared store answers").await;
    let client = program.client().await;
    let params = message(&client).await;
    let reopened = async || open(&client, &params, "").await.unwrap().reopened;
    assert_eq!((reopened().await, reopened().await), (false, true));
    let noted = redis.cli(&["KEYS", "aar:{*}:*"]);
    let opened = |key: &str| redis.cli(&["HEXISTS", key, "o"]) == "1";
    assert!(noted.lines().any(opened), "the store does not have the opening: {noted}");
}

#[tokio::test]
async fn the_log_says_what_to_do_about_certificates() {
    let (files, ca) = (Files::new(), Ca::new());
    let (_redis, url) = store(&files, &ca, &[]);
    let known = program(&files, &url, text(&files.path("trusted.pem")));
    let told = problem(&known).await;
    assert!(told.contains("set tls-auth-clients no in the store"), "{told}");
    let other = files.write("other.pem", &Ca::new().pem());
    let unknown = program(&files, &url, text(&other));
    let told = problem(&unknown).await;
    assert!(told.contains("name its file in SSL_CERT_FILE"), "{told}");
}

#[tokio::test]
async fn a_file_of_cas_that_does_not_answer_delays_no_call() {
    let (files, ca) = (Files::new(), Ca::new());
    let (mut redis, url) = store(&files, &ca, &["--tls-auth-clients", "no"]);
    let trusted = files.path("trusted.pem");
    let mut program = program(&files, &url, text(&trusted));
    program.message(1, "the shared store answers").await;
    fs::remove_file(&trusted).unwrap();
    assert!(Command::new("mkfifo").arg(&trusted).status().unwrap().success());
    redis.kill();
    let client = program.client().await;
    assert_eq!(answer(&open(&client, &message(&client).await, "").await), "OK");
    let told = problem(&program).await;
    // By now each thread has tried to connect again.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..20 {
        let client = program.client().await;
        let params = message(&client).await;
        let opened = tokio::time::timeout(Duration::from_secs(10), open(&client, &params, "")).await;
        assert_eq!(opened.as_ref().map(answer), Ok("OK".to_owned()), "{told}");
    }
    program.signal("TERM");
    assert_eq!(program.ended().await, Some(0));
}
