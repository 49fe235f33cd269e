//! Attacks by a peer that can connect and has no credentials: requests that take memory, time or places, over real
//! sockets.

use std::time::Duration;

use aa_redirect::server::Limits;
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, Request, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};
use tonic::Status;

use crate::support::{self, limits, metadata, program::Program, reason};

const LIST_PAIRINGS: &str = "/aa.redirect.v1.RedirectService/ListPairings";
const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
/// Longer than every time limit of the server here.
const PATIENCE: Duration = Duration::from_secs(30);
/// An empty message of gRPC.
const EMPTY: &[u8] = &[0; 5];

/// A connection that an attacker, or an honest caller, has opened.
struct Peer {
    client: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Peer {
    async fn connect(address: &str) -> Result<Self, h2::Error> {
        let stream = TcpStream::connect(address).await.map_err(|_| h2::Reason::CONNECT_ERROR)?;
        let (client, connection) = h2::client::handshake(stream).await?;
        Ok(Self { client, connection: tokio::spawn(connection) })
    }

    /// A call with these additional headers. Without a body its request never ends.
    async fn begin(
        &self,
        path: &str,
        headers: &[(String, String)],
        body: Option<&[u8]>,
    ) -> Result<ResponseFuture, h2::Error> {
        let mut request = Request::post(format!("http://test{path}")).header("te", "trailers");
        if !headers.iter().any(|(name, _)| name == "content-type") {
            request = request.header("content-type", "application/grpc");
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut client = self.client.clone().ready().await?;
        let (response, mut stream) = client.send_request(request.body(()).unwrap(), false)?;
        match body {
            Some(body) => stream.send_data(Bytes::copy_from_slice(body), true)?,
            // If it were dropped, it would be reset.
            None => std::mem::forget(stream),
        }
        Ok(response)
    }

    async fn call(&self, path: &str, headers: &[(String, String)], body: Option<&[u8]>) -> Result<Status, h2::Error> {
        whole(self.begin(path, headers, body).await?).await
    }
}

/// The status of a whole answer.
async fn whole(response: ResponseFuture) -> Result<Status, h2::Error> {
    let (head, mut body) = response.await?.into_parts();
    assert_eq!(head.status, StatusCode::OK);
    while let Some(data) = body.data().await.transpose()? {
        body.flow_control().release_capacity(data.len())?;
    }
    let trailers = body.trailers().await?.unwrap_or_default();
    Ok(status(&head.headers).or_else(|| status(&trailers)).expect("a status"))
}

fn status(headers: &HeaderMap) -> Option<Status> {
    Status::from_header_map(headers)
}

fn header(name: &str, value: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.to_owned())]
}

/// `count` headers whose values have `length` bytes.
fn headers(count: usize, length: usize) -> Vec<(String, String)> {
    (0..count).map(|number| (format!("x-{number:03}"), "v".repeat(length))).collect()
}

#[tokio::test]
async fn a_call_has_at_most_64_headers_and_8_kib_of_them() {
    let server = support::start().await;
    let peer = Peer::connect(&server.address).await.unwrap();
    // `te` and `content-type` count too.
    for path in [LIST_PAIRINGS, CHECK] {
        assert_eq!(peer.call(path, &headers(62, 4), Some(EMPTY)).await.unwrap().code(), tonic::Code::Ok);
        for too_many in [headers(63, 4), headers(8, 1020)] {
            let refused = peer.call(path, &too_many, Some(EMPTY)).await.unwrap();
            assert_eq!(reason(&refused), "REQUEST_TOO_LARGE");
            assert_eq!(refused.metadata().get("grpc-retry-pushback-ms").unwrap(), "-1");
            assert_eq!(metadata(&refused, "max_fields").unwrap(), "64");
        }
    }
}

#[tokio::test]
async fn a_call_ends_at_the_servers_own_deadline_with_any_deadline_of_the_caller() {
    let server = support::start_limited(Limits { max_deadline: Duration::from_secs(1), ..limits() }).await;
    let peer = Peer::connect(&server.address).await.unwrap();
    for timeout in [header("grpc-timeout", "99999999H"), header("grpc-timeout", "1H"), vec![]] {
        for path in [LIST_PAIRINGS, CHECK, WATCH, "/no.such.Service/Method"] {
            let refused = peer.call(path, &timeout, None).await.unwrap();
            assert_eq!(reason(&refused), "TIMED_OUT", "{path}");
        }
    }
}

#[tokio::test]
async fn headers_of_calls_that_never_end_count_and_their_connection_is_closed() {
    for path in [LIST_PAIRINGS, CHECK, WATCH] {
        let server = support::start_limited(Limits { max_held: 2 << 20, ..limits() }).await;
        let (attacker, honest) =
            (Peer::connect(&server.address).await.unwrap(), Peer::connect(&server.address).await.unwrap());
        let open = honest.begin(path, &[], None).await.unwrap();
        // 60 headers of 107 bytes take 14 KiB of memory: 150 such calls take more than 2 MiB, and without these headers
        // they take less.
        for _ in 0..150 {
            if attacker.begin(path, &headers(60, 100), None).await.is_err() {
                break;
            }
        }
        timeout(PATIENCE, attacker.connection).await.expect("it is closed").unwrap().ok();
        assert_eq!(honest.call(LIST_PAIRINGS, &[], Some(EMPTY)).await.unwrap().code(), tonic::Code::Ok, "{path}");
        drop(open);
    }
}

#[tokio::test]
async fn bodies_of_health_checks_count_and_the_connection_that_holds_the_most_is_closed() {
    let server = support::start_limited(Limits { max_held: 1 << 20, ..limits() }).await;
    // The beginning of a message of 61,440 bytes. A connection's window takes twelve, and five connections a megabyte.
    let body = [&[0, 0, 0, 0xF0, 0][..], &vec![7; 20_000]].concat();
    let mut peers = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..5 {
        let peer = Peer::connect(&server.address).await.unwrap();
        for _ in 0..12 {
            let request = Request::post(format!("http://test{CHECK}")).header("content-type", "application/grpc");
            let Ok(mut client) = peer.client.clone().ready().await else { break };
            let Ok((response, mut stream)) = client.send_request(request.body(()).unwrap(), false) else { break };
            let _ = stream.send_data(Bytes::from(body.clone()), false);
            streams.push((response, stream));
        }
        peers.push(peer);
    }
    let ends = peers.into_iter().map(|peer| peer.connection);
    let _ = timeout(PATIENCE, futures_util::future::select_all(ends)).await.expect("one of them is closed");
}

#[tokio::test]
async fn waiting_answers_count_with_all_the_memory_that_they_take() {
    // Each answer has seven bytes, and takes 4 KiB with its stream, task and trailers.
    for path in [CHECK, LIST_PAIRINGS] {
        let server = support::start_limited(Limits { max_held: 512 << 10, ..limits() }).await;
        let stream = TcpStream::connect(&server.address).await.unwrap();
        let (client, connection) = h2::client::Builder::new().initial_window_size(0).handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let peer = Peer { client, connection };
        let mut unread = Vec::new();
        for _ in 0..200 {
            let Ok(answer) = peer.begin(path, &[], Some(EMPTY)).await else { break };
            let Ok(answer) = answer.await else { break };
            unread.push(answer);
        }
        let _ = timeout(PATIENCE, peer.connection).await.expect("it is cut");
        assert!((16..200).contains(&unread.len()), "{path}: {}", unread.len());
    }
}

#[tokio::test]
async fn a_request_with_too_many_headers_is_refused_before_it_is_held() {
    let server = support::start_limited(Limits { max_held: 4 << 20, ..limits() }).await;
    let peer = Peer::connect(&server.address).await.unwrap();
    // The limits of HTTP/2 allow this many headers: 33 KiB of memory for each call, 6 MiB for all calls.
    let many = headers(250, 1);
    let calls = (0..180).map(|_| peer.call(LIST_PAIRINGS, &many, None));
    for refused in futures_util::future::join_all(calls).await {
        assert_eq!(reason(&refused.unwrap()), "REQUEST_TOO_LARGE");
    }
}

#[tokio::test]
async fn a_connection_has_at_most_16_streams() {
    let server = support::start().await;
    for path in [WATCH, REFLECTION] {
        let (greedy, other) =
            (Peer::connect(&server.address).await.unwrap(), Peer::connect(&server.address).await.unwrap());
        let mut open = Vec::new();
        for _ in 0..16 {
            let response =
                greedy.begin(path, &[], if path == WATCH { Some(EMPTY) } else { None }).await.unwrap().await.unwrap();
            assert!(status(response.headers()).is_none(), "{path}: a stream begins");
            open.push(response);
        }
        let refused = greedy.call(path, &[], Some(EMPTY)).await.unwrap();
        assert_eq!(reason(&refused), "OVERLOADED", "{path}");
        let response = other.begin(path, &[], Some(EMPTY)).await.unwrap().await.unwrap();
        assert!(status(response.headers()).is_none(), "{path}: another connection has its own");
        if path == REFLECTION {
            // Its requests have not ended.
            continue;
        }
        // The end of a stream gives its place back.
        open.pop();
        support::program::until(|| async {
            let response = greedy.begin(path, &[], Some(EMPTY)).await.unwrap().await.unwrap();
            status(response.headers()).is_none().then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn headers_or_frames_that_stay_unfinished_end_their_connection() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let server = support::start().await;
    let idle = Peer::connect(&server.address).await.unwrap();
    // HEADERS without END_HEADERS; only the head of a frame; half of a frame of settings.
    for unfinished in [&[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82][..], &[0, 0], &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0]] {
        let mut stream = TcpStream::connect(&server.address).await.unwrap();
        stream.write_all(&[PREFACE, &SETTINGS, unfinished].concat()).await.unwrap();
        let mut rest = Vec::new();
        // A reset is an end too.
        let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("the server closes the connection");
    }
    assert_eq!(idle.call(LIST_PAIRINGS, &[], Some(EMPTY)).await.unwrap().code(), tonic::Code::Ok, "a quiet peer stays");
}

#[tokio::test]
async fn bytes_that_are_not_a_message_are_the_callers_fault_and_log_no_error() {
    let program = Program::start(&["--log-level", "debug"]);
    let peer = Peer::connect(&program.address).await.unwrap();
    let framed = |flag: u8, length: u8, bytes: &[u8]| [&[flag, 0, 0, 0, length][..], bytes].concat();
    for path in [LIST_PAIRINGS, CHECK, WATCH] {
        for (body, problem) in [
            (framed(0, 4, b"\xFF\xFF\xFF\xFF"), "has a message that is not one of this method"),
            (framed(2, 0, b""), "neither 0 nor 1"),
            (framed(1, 0, b""), "marked as compressed"),
            (framed(0, 9, b"abc"), "ends before its message does"),
            (vec![0, 0], "ends within the five bytes"),
            (vec![], "has no message"),
            ([EMPTY, EMPTY].concat(), "takes only one"),
        ] {
            let refused = peer.call(path, &[], Some(&body)).await.unwrap();
            assert_eq!((reason(&refused).as_str(), refused.code()), ("FIELD_INVALID", tonic::Code::InvalidArgument));
            assert_eq!(metadata(&refused, "hint").unwrap(), "NOT_PROTOBUF", "{path} {body:?}");
            assert!(refused.message().contains(problem), "{path}: {}", refused.message());
        }
    }
    // The answer to an unknown compression names the known ones, so that the client can choose one.
    let gzip = peer.call(LIST_PAIRINGS, &header("grpc-encoding", "gzip"), Some(&framed(1, 0, b""))).await.unwrap();
    assert_eq!(gzip.code(), tonic::Code::Unimplemented);
    assert_eq!(program.events(|event| event["level"] == "ERROR"), [] as [serde_json::Value; 0]);
}

#[tokio::test]
async fn another_content_type_is_http_415() {
    let server = support::start().await;
    let peer = Peer::connect(&server.address).await.unwrap();
    for (content_type, expected) in [
        ("application/json", 415),
        ("application/grpc-web", 415),
        ("application/grpc+json", 415),
        ("", 415),
        ("application/grpc", 200),
        ("application/grpc+proto", 200),
        ("application/grpc;charset=utf-8", 200),
        ("Application/GRPC", 200),
    ] {
        for path in [LIST_PAIRINGS, CHECK] {
            let response = peer.begin(path, &header("content-type", content_type), Some(EMPTY)).await.unwrap();
            assert_eq!(response.await.unwrap().status(), expected, "{content_type} {path}");
        }
    }
}

#[tokio::test]
async fn connections_that_never_call_make_room_at_once_and_honest_ones_are_served() {
    let server = support::start_limited(Limits { max_connections: 20, ..limits() }).await;
    let old = Peer::connect(&server.address).await.unwrap();
    assert_eq!(old.call(LIST_PAIRINGS, &[], Some(EMPTY)).await.unwrap().code(), tonic::Code::Ok);
    let mut flood = Vec::new();
    for number in 0..2_000 {
        flood.push(TcpStream::connect(&server.address).await.unwrap());
        if number % 100 == 99 {
            let honest = Peer::connect(&server.address).await.unwrap();
            assert_eq!(honest.call(LIST_PAIRINGS, &[], Some(EMPTY)).await.unwrap().code(), tonic::Code::Ok, "{number}");
        }
    }
    assert_eq!(
        old.call(LIST_PAIRINGS, &[], Some(EMPTY)).await.unwrap().code(),
        tonic::Code::Ok,
        "it was never told to go"
    );
}
