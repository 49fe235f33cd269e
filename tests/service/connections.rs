//! Connections over real sockets: peers that do not speak HTTP/2, silent peers, peers that ask for too much, the cap
//! and the age.

use std::time::Duration;

use crate::support::Server;
use aa_redirect::server::Limits;
use bytes::Bytes;
use h2::{
    Reason,
    client::{Connection, SendRequest},
};
use http::{Request, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};

const LIST_PAIRINGS: &str = "http://test/aa.redirect.v1.RedirectService/ListPairings";
/// Longer than a peer may be silent.
const PATIENCE: Duration = Duration::from_secs(20);

async fn tcp(server: &Server) -> TcpStream {
    TcpStream::connect(&server.address).await.unwrap()
}

type Client = (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>);

async fn http2(server: &Server) -> Client {
    let (client, connection): (_, Connection<TcpStream, Bytes>) =
        h2::client::handshake(tcp(server).await).await.unwrap();
    (client, tokio::spawn(connection))
}

fn request() -> Request<()> {
    let builder = Request::post(LIST_PAIRINGS).header("content-type", "application/grpc").header("te", "trailers");
    builder.body(()).unwrap()
}

/// The HTTP status and the gRPC one of a whole call.
async fn call(client: &SendRequest<Bytes>) -> Result<String, h2::Error> {
    let mut client = client.clone().ready().await?;
    let (response, mut body) = client.send_request(request(), false)?;
    body.send_data(Bytes::from_static(&[0; 5]), true)?;
    grpc_status(response.await?).await
}

async fn grpc_status(response: http::Response<h2::RecvStream>) -> Result<String, h2::Error> {
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    while let Some(data) = body.data().await.transpose()? {
        body.flow_control().release_capacity(data.len())?;
    }
    let trailers = body.trailers().await?.unwrap();
    Ok(trailers["grpc-status"].to_str().unwrap().to_owned())
}

/// Reads until the server closes.
async fn closed(mut stream: TcpStream) {
    let mut rest = Vec::new();
    // A reset also ends the connection.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("the server closes the connection");
}

#[tokio::test]
async fn a_silent_client_is_disconnected_and_others_are_served_meanwhile() {
    let server = crate::support::start().await;
    let (silent, mut slow) = (tcp(&server).await, tcp(&server).await);
    // Half of the preface, and then nothing.
    slow.write_all(b"PRI * HTTP/2").await.unwrap();
    let (client, _connection) = http2(&server).await;
    assert_eq!(call(&client).await.unwrap(), "0");
    closed(silent).await;
    closed(slow).await;
}

#[tokio::test]
async fn a_peer_that_does_not_speak_http2_is_disconnected() {
    let server = crate::support::start().await;
    for bytes in
        [&b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"\0\0\0\0", b"PRI\n"]
    {
        let mut stream = tcp(&server).await;
        stream.write_all(bytes).await.unwrap();
        closed(stream).await;
    }
}

#[tokio::test]
async fn garbage_after_the_preface_ends_only_its_connection() {
    let server = crate::support::start().await;
    let (client, _connection) = http2(&server).await;
    for garbage in [[0xff; 64], [0x00; 64], *b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"] {
        let mut stream = tcp(&server).await;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        stream.write_all(&garbage).await.unwrap();
        closed(stream).await;
        assert_eq!(call(&client).await.unwrap(), "0");
    }
}

#[tokio::test]
async fn headers_over_the_limit_are_refused_and_the_connection_still_serves() {
    let server = crate::support::start().await;
    let (client, _connection) = http2(&server).await;
    let mut ready = client.clone().ready().await.unwrap();
    let mut large = request();
    large.headers_mut().insert("x-large", "x".repeat(20 * 1024).parse().unwrap());
    let (response, _) = ready.send_request(large, true).unwrap();
    let refused = match response.await {
        Ok(response) => response.status() == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Err(error) => error.is_reset(),
    };
    assert!(refused);
    assert_eq!(call(&client).await.unwrap(), "0");
}

#[tokio::test]
async fn a_client_that_opens_and_resets_streams_endlessly_is_disconnected() {
    let server = crate::support::start().await;
    let (honest, _connection) = http2(&server).await;
    let (client, connection) = http2(&server).await;
    let mut opened = 0;
    while let Ok(mut ready) = client.clone().ready().await {
        let Ok((response, mut body)) = ready.send_request(request(), false) else { break };
        body.send_reset(Reason::CANCEL);
        drop(response);
        opened += 1;
        assert!(opened < 100_000, "the server takes it all");
        tokio::task::yield_now().await;
    }
    let error = connection.await.unwrap().expect_err("the server ends the connection");
    // TCP may answer later bytes of the client with a reset, which can arrive before GOAWAY.
    assert!(error.reason() == Some(Reason::ENHANCE_YOUR_CALM) || error.is_io(), "{error:?} after {opened}");
    assert_eq!(call(&honest).await.unwrap(), "0");
}

#[tokio::test]
async fn at_the_limit_the_longest_idle_connection_is_told_to_go_away() {
    let limits = Limits { max_connections: 3, ..crate::support::limits() };
    // The test's own channel is the first connection.
    let server = crate::support::start_limited(limits).await;
    let (busy, _busy_connection) = http2(&server).await;
    let (idle, idle_connection) = http2(&server).await;
    assert_eq!(call(&idle).await.unwrap(), "0");
    // The server records the end of a call when the peer has taken the answer, a little after the client has it.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(call(&busy).await.unwrap(), "0");
    server.client.clone().list_pairings(aa_redirect::proto::ListPairingsRequest::default()).await.unwrap();
    let (newcomer, _newcomer_connection) = http2(&server).await;
    assert_eq!(call(&newcomer).await.unwrap(), "0");
    timeout(PATIENCE, idle_connection).await.expect("it ends").unwrap().expect("GOAWAY comes, and no error");
    assert!(idle.ready().await.is_err());
    assert_eq!(call(&busy).await.unwrap(), "0");
}

#[tokio::test]
async fn calls_in_flight_at_the_end_of_a_connections_age_finish() {
    let limits = Limits { max_connection_age: Duration::from_millis(300), ..crate::support::limits() };
    let server = crate::support::start_limited(limits).await;
    let (client, mut connection) = http2(&server).await;
    let mut ready = client.clone().ready().await.unwrap();
    let (response, mut body) = ready.send_request(request(), false).unwrap();
    // When no new call can begin, GOAWAY has come.
    let refuses = async {
        while client.clone().ready().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, refuses).await.expect("the connection's age ends");
    assert!(
        timeout(Duration::from_millis(100), &mut connection).await.is_err(),
        "the connection stays open while the call runs"
    );
    body.send_data(Bytes::from_static(&[0; 5]), true).unwrap();
    assert_eq!(grpc_status(response.await.unwrap()).await.unwrap(), "0");
    timeout(PATIENCE, connection).await.expect("it ends").unwrap().expect("GOAWAY comes, and no error");
}

#[tokio::test]
async fn a_connection_has_at_most_200_calls_at_a_time_and_only_further_calls_are_refused() {
    let server = crate::support::start().await;
    let mut client = h2::client::Builder::new();
    // The value that the peer assumes until the server's settings arrive.
    client.initial_max_send_streams(1000);
    let (client, connection): (SendRequest<Bytes>, _) = client.handshake(tcp(&server).await).await.unwrap();
    // Nothing is sent before the connection runs, so that the server sees all of them at once.
    let mut calls: Vec<_> = (0..201).map(|_| client.clone().send_request(request(), false).unwrap()).collect();
    tokio::spawn(connection);
    let (refused, _body) = calls.pop().unwrap();
    assert_eq!(refused.await.unwrap_err().reason(), Some(Reason::REFUSED_STREAM));
    for (response, mut body) in calls {
        body.send_data(Bytes::from_static(&[0; 5]), true).unwrap();
        assert_eq!(grpc_status(response.await.unwrap()).await.unwrap(), "0");
    }
}
