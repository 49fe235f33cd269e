//! TLS: which clients are accepted, and certificates that are renewed while the server runs.

use std::time::Duration;

use aa_redirect::proto::{ListPairingsRequest, redirect_service_client::RedirectServiceClient};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tonic::transport::Channel;

use crate::support::{
    certificates::{Ca, Issued, channel, config, handshake},
    program::{Files, PATIENCE, Program, text, until},
};

const KEYRING: &str = "tests/support/keyring.toml";

/// A server with a certificate of `ca` for `localhost`.
struct Tls {
    files: Files,
    program: Program,
}

fn write(files: &Files, pair: &Issued) {
    files.write("cert.pem", &pair.cert);
    files.write("key.pem", &pair.key);
}

fn start(pair: &Issued, clients: Option<&Ca>, more: &[&str]) -> Tls {
    let files = Files::new();
    write(&files, pair);
    let (cert, key) = (files.path("cert.pem"), files.path("key.pem"));
    let mut arguments = vec!["--keyring", KEYRING, "--admin-listen", "127.0.0.1:0"];
    arguments.extend(["--tls-cert", text(&cert), "--tls-key", text(&key)]);
    let client_ca = clients.map(|ca| files.write("ca.pem", &ca.pem()));
    if let Some(client_ca) = &client_ca {
        arguments.extend(["--tls-client-ca", text(client_ca)]);
    }
    arguments.extend(more);
    let program = Program::start(&arguments);
    Tls { files, program }
}

async fn call(channel: Channel) -> Result<(), String> {
    let answer = RedirectServiceClient::new(channel).list_pairings(ListPairingsRequest::default()).await;
    answer.map(drop).map_err(|status| status.to_string())
}

/// The certificate that a new connection gets.
pub(crate) async fn shown(address: &str, ca: &Ca) -> Vec<u8> {
    let stream = handshake(address, config(ca, None, &["h2"])).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn a_plain_caller_of_a_tls_port_is_closed_and_others_are_served() {
    let ca = Ca::new();
    let tls = start(&ca.issue("localhost", 2999), None, &[]);
    let mut plain = TcpStream::connect(&tls.program.address).await.unwrap();
    plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    call(channel(&tls.program.address, config(&ca, None, &["h2"])).await.unwrap()).await.unwrap();
    let mut rest = Vec::new();
    // A reset also ends the connection.
    let _ = timeout(PATIENCE, plain.read_to_end(&mut rest)).await.expect("the server closes it");
    let closed = "aa_redirect_connections_closed_total{cause=\"handshake\"}";
    until(|| async { tls.program.metrics().await.of(closed).filter(|&count| count > 0.0) }).await;
}

#[tokio::test]
async fn only_a_valid_client_certificate_of_the_given_ca_is_accepted() {
    let (ca, other) = (Ca::new(), Ca::new());
    let tls = start(&ca.issue("localhost", 2999), Some(&ca), &[]);
    let as_client = async |identity: Option<&Issued>| {
        // In TLS 1.3 a client learns of its refusal after the handshake.
        call(channel(&tls.program.address, config(&ca, identity, &["h2"])).await?).await
    };
    for (who, identity) in [
        ("nobody", None),
        ("one of another CA", Some(other.issue("client.example", 2999))),
        ("an expired one", Some(ca.issue("client.example", 2021))),
    ] {
        assert!(as_client(identity.as_ref()).await.is_err(), "{who}");
    }
    as_client(Some(&ca.issue("client.example", 2999))).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_does_not_agree_on_h2_is_refused() {
    let ca = Ca::new();
    let tls = start(&ca.issue("localhost", 2999), None, &[]);
    let other = handshake(&tls.program.address, config(&ca, None, &["http/1.1"])).await;
    assert!(other.is_err(), "the two sides have no common protocol");
    let mut silent = handshake(&tls.program.address, config(&ca, None, &[])).await.unwrap();
    let _ = silent.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, silent.read_to_end(&mut answer)).await.expect("the server closes it");
    assert_eq!(answer, b"", "not a frame of HTTP/2 comes");
    call(channel(&tls.program.address, config(&ca, None, &["h2"])).await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_renewed_certificate_is_used_for_new_connections_and_old_connections_still_serve() {
    let ca = Ca::new();
    let (first, second) = (ca.issue("localhost", 2998), ca.issue("localhost", 2999));
    let tls = start(&first, None, &[]);
    let expiry = async || tls.program.metrics().await.of("aa_redirect_certificate_expiry_timestamp_seconds").unwrap();
    let old = channel(&tls.program.address, config(&ca, None, &["h2"])).await.unwrap();
    call(old.clone()).await.unwrap();
    assert!(shown(&tls.program.address, &ca).await == first.der().to_vec());
    // 1 January 2998 and 2999, in seconds of the Unix epoch.
    assert!((expiry().await - 32_440_608_000.0).abs() < 1.0);
    write(&tls.files, &second);
    tls.program.signal("HUP");
    tls.program.event(1, |event| event["message"] == "reloaded" && event["source"] == "certificates").await;
    assert!(shown(&tls.program.address, &ca).await == second.der().to_vec());
    call(old).await.unwrap();
    assert!((expiry().await - 32_472_144_000.0).abs() < 1.0);
    let applied = "aa_redirect_reloads_total{source=\"certificates\",outcome=\"applied\"}";
    assert_eq!(tls.program.metrics().await.of(applied), Some(1.0));
}

#[tokio::test]
async fn a_key_that_does_not_fit_is_refused_and_the_old_pair_is_still_used() {
    let ca = Ca::new();
    let (first, second) = (ca.issue("localhost", 2999), ca.issue("localhost", 2999));
    let tls = start(&first, None, &[]);
    tls.files.write("cert.pem", &second.cert);
    tls.program.signal("HUP");
    let refused = tls.program.message(1, "not reloaded").await;
    assert!(refused["message"].as_str().unwrap().contains("is not the key of the first certificate"), "{refused}");
    assert!(shown(&tls.program.address, &ca).await == first.der().to_vec());
    let metrics = tls.program.metrics().await;
    assert_eq!(metrics.of("aa_redirect_reloads_total{source=\"certificates\",outcome=\"refused\"}"), Some(1.0));
    assert_eq!(metrics.of("aa_redirect_reload_failing{source=\"certificates\"}"), Some(1.0));
    assert_eq!(tls.program.page("/readyz").await.0, 200);
    write(&tls.files, &second);
    tls.program.signal("HUP");
    tls.program.message(1, "reloaded").await;
    assert!(shown(&tls.program.address, &ca).await == second.der().to_vec());
    let failing = tls.program.metrics().await.of("aa_redirect_reload_failing{source=\"certificates\"}");
    assert_eq!(failing, Some(0.0));
}

#[tokio::test]
async fn a_unix_socket_and_the_admin_port_do_not_use_tls() {
    let ca = Ca::new();
    let sockets = Files::new();
    let address = format!("unix:{}", sockets.path("s").display());
    let tls = start(&ca.issue("localhost", 2999), Some(&ca), &["--listen", &address]);
    let channel = tonic::transport::Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    call(channel).await.unwrap();
    assert_eq!(tls.program.page("/livez").await, (200, "ok".to_owned()));
}

#[tokio::test]
async fn a_silent_tls_peer_is_closed() {
    let ca = Ca::new();
    let tls = start(&ca.issue("localhost", 2999), None, &[]);
    let mut silent = TcpStream::connect(&tls.program.address).await.unwrap();
    let mut rest = Vec::new();
    let _ = timeout(Duration::from_secs(30), silent.read_to_end(&mut rest)).await.expect("the server closes it");
    assert_eq!(rest, b"");
}
