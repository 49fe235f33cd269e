//! Calls over HTTP/2 with prepared requests, so that the client costs little compared with the server.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use http::Request;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::mpsc,
    task::JoinSet,
};
use tokio_rustls::TlsConnector;

use crate::servers::Server;

/// Bodies of requests, each with its gRPC frame.
pub(crate) type Bodies = Vec<Bytes>;

/// The number of rounds of each comparison.
pub(crate) const ROUNDS: usize = 5;
/// How long one side of one round is loaded.
pub(crate) const SPAN: Duration = Duration::from_millis(1500);
/// The connections of a load: as many as a mesh opens to one replica.
const CONNECTIONS: usize = 4;

/// The `grpc-status` of a call that succeeds.
pub(crate) const OK: &str = "0";

/// The result of a load.
pub(crate) struct Load {
    seconds: f64,
    /// Milliseconds of each call, sorted.
    times: Vec<f64>,
    /// Microseconds of the server's processor time for each call.
    pub(crate) cpu_micros: f64,
}

impl Load {
    /// Calls a second.
    pub(crate) fn rate(&self) -> f64 {
        self.times.len() as f64 / self.seconds
    }

    /// The milliseconds within which this share of the calls ends.
    pub(crate) fn percentile(&self, part: f64) -> f64 {
        self.times[((self.times.len() - 1) as f64 * part) as usize]
    }

    fn new(begin: Instant, times: &Mutex<Vec<f64>>, server: &Server, cpu: u64) -> Self {
        let seconds = begin.elapsed().as_secs_f64();
        let mut times = std::mem::take(&mut *times.lock().unwrap());
        times.sort_by(f64::total_cmp);
        let cpu_micros = (server.cpu_micros() - cpu) as f64 / times.len() as f64;
        Self { seconds, times, cpu_micros }
    }
}

/// A message in its gRPC frame.
pub(crate) fn frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(message);
    frame.freeze()
}

/// Makes `in_flight` calls at a time for `span`, and reuses the bodies. If the span has no end, sends each body once.
pub(crate) async fn drive(
    server: &Server,
    path: &'static str,
    bodies: Bodies,
    in_flight: usize,
    span: Duration,
) -> Load {
    drive_to(OK, server, path, bodies, in_flight, span).await
}

/// [`drive`], but each answer must have this `grpc-status`.
pub(crate) async fn drive_to(
    status: &'static str,
    server: &Server,
    path: &'static str,
    bodies: Bodies,
    in_flight: usize,
    span: Duration,
) -> Load {
    drive_over(in_flight.min(CONNECTIONS), status, server, path, bodies, in_flight, span).await
}

/// [`drive_to`] over this many connections.
pub(crate) async fn drive_over(
    connections: usize,
    status: &'static str,
    server: &Server,
    path: &'static str,
    bodies: Bodies,
    in_flight: usize,
    span: Duration,
) -> Load {
    let connections = connect(server, connections).await;
    let (bodies, next) = (Arc::new(bodies), Arc::new(AtomicUsize::new(0)));
    let times = Arc::new(Mutex::new(Vec::new()));
    let (begin, cpu) = (Instant::now(), server.cpu_micros());
    let mut callers = JoinSet::new();
    for caller in 0..in_flight {
        let mut connection = connections[caller % connections.len()].clone();
        let (bodies, next, times, uri) = (Arc::clone(&bodies), Arc::clone(&next), Arc::clone(&times), server.uri(path));
        callers.spawn(async move {
            let mut own = Vec::new();
            while begin.elapsed() < span {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if span == Duration::MAX && at >= bodies.len() {
                    break;
                }
                let sent = Instant::now();
                call(&mut connection, &uri, bodies[at % bodies.len()].clone(), status).await;
                own.push(sent.elapsed().as_secs_f64() * 1e3);
            }
            times.lock().unwrap().extend(own);
        });
    }
    while callers.join_next().await.transpose().unwrap().is_some() {}
    Load::new(begin, &times, server, cpu)
}

/// Makes `rate` calls a second for `span`, even if earlier calls have not ended. The time of a call counts from the
/// moment when it was due.
pub(crate) async fn pace(server: &Server, path: &'static str, bodies: Bodies, rate: u32, span: Duration) -> Load {
    let connections = connect(server, CONNECTIONS).await;
    let times = Arc::new(Mutex::new(Vec::new()));
    let (begin, cpu) = (Instant::now(), server.cpu_micros());
    let mut calls = JoinSet::new();
    let (clock, mut ticks) = mpsc::unbounded_channel();
    // The runtime's own timer rounds up to milliseconds, which would count as the server's time.
    thread::spawn(move || {
        for number in 0..u32::try_from(span.as_millis()).unwrap() * rate / 1000 {
            let due = begin + Duration::from_secs(1) * number / rate;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            clock.send((number, due)).unwrap();
        }
    });
    while let Some((number, due)) = ticks.recv().await {
        let mut connection = connections[number as usize % CONNECTIONS].clone();
        let (times, uri, body) = (Arc::clone(&times), server.uri(path), bodies[number as usize % bodies.len()].clone());
        calls.spawn(async move {
            call(&mut connection, &uri, body, OK).await;
            times.lock().unwrap().push(due.elapsed().as_secs_f64() * 1e3);
        });
    }
    while calls.join_next().await.transpose().unwrap().is_some() {}
    Load::new(begin, &times, server, cpu)
}

async fn connect(server: &Server, count: usize) -> Vec<SendRequest<Bytes>> {
    let mut connections = Vec::new();
    for _ in 0..count {
        let stream = TcpStream::connect(&server.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        connections.push(match &server.tls {
            None => speak(stream).await,
            Some(tls) => {
                let name = ServerName::try_from("localhost").unwrap();
                speak(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await.unwrap()).await
            }
        });
    }
    connections
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> SendRequest<Bytes> {
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The body of the answer. A `grpc-status` other than the expected one ends the bench.
async fn call(connection: &mut SendRequest<Bytes>, uri: &http::Uri, body: Bytes, expected: &str) -> Bytes {
    let (status, answer) = answer(connection, uri, body).await;
    assert_eq!(status, expected, "{uri}");
    answer
}

/// The `grpc-status` and the body of the answer.
async fn answer(connection: &mut SendRequest<Bytes>, uri: &http::Uri, body: Bytes) -> (String, Bytes) {
    let request = Request::post(uri.clone())
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let mut ready = connection.clone().ready().await.unwrap();
    let (response, mut stream) = ready.send_request(request, false).unwrap();
    stream.send_data(body, true).unwrap();
    let response = response.await.unwrap();
    let status = response.headers().get("grpc-status").cloned();
    let mut body = response.into_body();
    let mut answer = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        answer.extend_from_slice(&data);
    }
    let status = match status {
        None => body.trailers().await.unwrap().and_then(|trailers| trailers.get("grpc-status").cloned()),
        given => given,
    };
    let status = status.expect("every answer has a status");
    (status.to_str().unwrap().to_owned(), answer.freeze())
}

/// The `grpc-status` of one call over its own connection.
pub(crate) async fn status(server: &Server, path: &str, body: Bytes) -> String {
    answer(&mut connect(server, 1).await[0], &server.uri(path), body).await.0
}

/// Makes one call over its own connection. Returns the answer.
pub(crate) async fn ask(server: &Server, path: &str, body: Bytes) -> Bytes {
    call(&mut connect(server, 1).await[0], &server.uri(path), body, OK).await
}
