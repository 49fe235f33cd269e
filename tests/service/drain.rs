//! The end of a server: callers are told first, calls in flight finish, and the end is never later than the settings
//! allow.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use prost::Message;
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};
use tonic_health::pb::{health_check_response::ServingStatus, health_client::HealthClient};

use crate::{
    health::asked,
    support::program::{PATIENCE, Program, channel, encode, sealed, until},
};

const ARGUMENTS: [&str; 4] = ["--keyring", "tests/support/keyring.toml", "--admin-listen", "127.0.0.1:0"];

fn start(more: &[&str]) -> Program {
    Program::start(&[ARGUMENTS.as_slice(), more].concat())
}

/// A call whose request has arrived except for its last bytes, and those bytes.
struct Unfinished {
    client: SendRequest<Bytes>,
    response: h2::client::ResponseFuture,
    body: h2::SendStream<Bytes>,
    rest: Bytes,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Unfinished {
    async fn begin(program: &Program) -> Self {
        let stream = TcpStream::connect(&program.address).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let path = format!("http://{}/aa.redirect.v1.RedirectService/EncodeRedirect", program.address);
        let request = Request::post(path).header("content-type", "application/grpc").header("te", "trailers");
        let mut ready = client.clone().ready().await.unwrap();
        let (response, mut body) = ready.send_request(request.body(()).unwrap(), false).unwrap();
        let message = encode("fiu@test", "iv").encode_to_vec();
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let mut framed = [&[0][..], &length, &message].concat();
        let rest = framed.split_off(20);
        body.send_data(framed.into(), false).unwrap();
        let started = "grpc_server_started_total{grpc_type=\"unary\",\
                       grpc_service=\"aa.redirect.v1.RedirectService\",grpc_method=\"EncodeRedirect\"}";
        until(|| async { program.metrics().await.of(started).filter(|&count| count > 0.0) }).await;
        Self { client, response, body, rest: rest.into(), connection }
    }

    /// Waits until the server accepts no new call on this connection.
    async fn told_to_go(&self) {
        let refuses = async {
            while self.client.clone().ready().await.is_ok() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, refuses).await.expect("GOAWAY comes");
    }
}

/// The headers or trailers that hold the status of an answer.
async fn status(response: http::Response<h2::RecvStream>) -> HeaderMap {
    if response.headers().contains_key("grpc-status") {
        return response.headers().clone();
    }
    let mut body = response.into_body();
    while let Some(data) = body.data().await {
        let length = data.unwrap().len();
        body.flow_control().release_capacity(length).unwrap();
    }
    body.trailers().await.unwrap().unwrap()
}

#[tokio::test]
async fn during_the_drain_delay_the_server_is_not_ready_and_still_serves() {
    let mut program = start(&["--drain-delay", "10"]);
    let mut watch = HealthClient::new(channel(&program.address).await).watch(asked("")).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    program.signal("TERM");
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert_eq!(program.page("/readyz").await, (503, "draining".to_owned()));
    assert_eq!(program.page("/livez").await, (200, "ok".to_owned()));
    // On a new connection.
    sealed(&mut program.client().await, "fiu@test", "iv").await.unwrap();
    let mut health = HealthClient::new(channel(&program.address).await);
    for (service, expected) in [
        ("", ServingStatus::NotServing),
        ("aa.redirect.v1.RedirectService", ServingStatus::NotServing),
        ("liveness", ServingStatus::Serving),
    ] {
        assert_eq!(health.check(asked(service)).await.unwrap().into_inner().status(), expected, "{service}");
    }
    assert_eq!(program.ended().await, Some(0));
    assert_eq!(program.events(|event| event["message"] == "ended").len(), 1);
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut program = start(&["--drain-delay", "600"]);
    program.signal("TERM");
    program.message(1, "draining").await;
    program.signal("INT");
    assert_eq!(program.ended().await, Some(1));
}

#[tokio::test]
async fn a_call_in_flight_is_answered_within_the_drain() {
    let mut program = start(&["--drain-timeout", "60"]);
    let mut call = Unfinished::begin(&program).await;
    program.signal("TERM");
    call.told_to_go().await;
    call.body.send_data(call.rest, true).unwrap();
    assert_eq!(status(call.response.await.unwrap()).await["grpc-status"], "0");
    assert_eq!(program.ended().await, Some(0));
    timeout(PATIENCE, call.connection).await.expect("it ends").unwrap().expect("GOAWAY comes, and no error");
}

#[tokio::test]
async fn a_call_that_outlasts_the_drain_is_answered_not_ready_and_the_program_exits_0() {
    let mut program = start(&["--drain-timeout", "1"]);
    let call = Unfinished::begin(&program).await;
    program.signal("TERM");
    let answer = status(timeout(PATIENCE, call.response).await.expect("it is answered").unwrap()).await;
    assert_eq!(answer["grpc-status"], "14", "{answer:?}");
    let details = answer["grpc-status-details-bin"].to_str().unwrap().trim_end_matches('=');
    let details = STANDARD_NO_PAD.decode(details).unwrap();
    assert!(details.windows(9).any(|part| part == b"NOT_READY"));
    assert_eq!(program.ended().await, Some(0));
}
