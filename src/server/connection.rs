//! One connection, from its first byte to its end: handshakes with time limits, HTTP/2 with fixed limits, a maximum
//! age, and an end that lets the calls in flight finish.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_rustls::TlsAcceptor;

use crate::{callers::peer_sans, service::RedirectService, telemetry::metrics::Cause};

use super::{
    Shared, call,
    connections::Place,
    frames::Timed,
    framing,
    identity::Peer,
    listener::{Accepted, Stream},
    pressure::Pressed,
    tls::{self, negotiated_h2},
};

/// How long TLS and HTTP/2 may take to begin: enough for the slowest round trips of a phone network. Then the
/// connection of a silent peer is closed.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// The most calls at a time on one connection: hyper's default, which tonic's own server removes.
const MAX_STREAMS: u32 = 200;
/// The most bytes of a request's headers, with 32 for each header as HTTP/2 counts them (RFC 9113, 6.5.2): enough for
/// all headers that [`framing::refuse`] accepts. Nothing above it is decoded.
const MAX_HEADERS: u32 = 10 * 1024 + 512;
/// The most bytes of a frame: the smallest limit that RFC 9113 allows.
const MAX_FRAME: u32 = 16 * 1024;
/// The most bytes of a connection that may wait to be read: four of the largest requests.
const CONNECTION_WINDOW: u32 = 256 * 1024;
/// The most bytes of answers of one stream that may wait for a slow reader.
const SEND_BUFFER: usize = 128 * 1024;
/// The most streams that a peer may open and reset before they are read: h2's default against rapid resets
/// (CVE-2023-44487).
const MAX_RESETS: usize = 20;
/// The most streams that are reset because of errors of the peer: h2's default.
const MAX_ERRORS: usize = 1024;
/// How often a quiet peer gets a ping, and how long its answer may take.
const KEEPALIVE: (Duration, Duration) = (Duration::from_mins(1), Duration::from_secs(20));
/// How long a closing connection without a call stays open. A caller may pause for a second (garbage collection, no
/// free processor). The call that it then sends can cross the GOAWAY on the network.
const QUIET: Duration = Duration::from_secs(2);
/// How long calls in flight may still take if their connection has reached its age or must make room for another.
const GRACE: Duration = Duration::from_mins(1);

/// What an HTTP/2 client sends first (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves `accepted` until it ends, and counts it.
pub(super) async fn serve<S: RedirectService>(accepted: Accepted, trusted: bool, place: Place, shared: Arc<Shared<S>>) {
    let telemetry = Arc::clone(&shared.edges.telemetry);
    telemetry.metrics.connection_opened();
    let cause = serve_until(accepted, trusted, place, shared).await;
    telemetry.metrics.connection_closed(cause);
}

async fn serve_until<S: RedirectService>(
    accepted: Accepted,
    trusted: bool,
    place: Place,
    shared: Arc<Shared<S>>,
) -> Cause {
    let begun = timeout(HANDSHAKE, begin(accepted, trusted, shared.edges.tls.as_deref()));
    let (io, peer) = tokio::select! {
        begun = begun => match begun {
            Ok(Ok(begun)) => begun,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a connection did not begin");
                return Cause::Handshake;
            }
            Err(_) => {
                tracing::debug!("a connection did not begin in time");
                return Cause::Handshake;
            }
        },
        () = place.closing() => return Cause::Cap,
        () = place.cut() => return Cause::Cap,
        () = shared.draining.cancelled() => return Cause::Drain,
    };
    let (place, peer) = (Arc::new(place), Arc::new(peer));
    let service = {
        let (place, shared) = (Arc::clone(&place), Arc::clone(&shared));
        service_fn(move |request| {
            let mut request = call::Incomplete::new(request);
            let refused = framing::refuse(&mut request);
            let in_call = place.call(framing::cost(&request));
            // It is boxed here, since hyper and the runtime move it several times before they poll it, and its size is
            // kilobytes.
            Box::pin(call::answer(Arc::clone(&shared), Arc::clone(&peer), in_call, request, refused))
        })
    };
    let io = TokioIo::new(Pressed::new(io, place.holder()));
    let mut connection = pin!(protocol().serve_connection(io, service));
    let cause = tokio::select! {
        ended = served(connection.as_mut(), &place) => {
            let Err(error) = ended else { return Cause::Peer };
            tracing::debug!(%error, "a connection broke");
            return Cause::Error;
        }
        () = sleep(age(shared.limits.max_connection_age)) => Cause::Age,
        () = place.closing() => Cause::Cap,
        () = place.cut() => return Cause::Cap,
        () = shared.draining.cancelled() => Cause::Drain,
    };
    // GOAWAY in two phases: calls that cross the first one on the network are still served.
    connection.as_mut().graceful_shutdown();
    finish(connection, &place).await;
    cause
}

/// Drives `connection`, and gives back what was held until its answers left.
async fn served<T>(mut connection: Pin<&mut impl Future<Output = T>>, place: &Place) -> T {
    poll_fn(|context| {
        let polled = connection.as_mut().poll(context);
        place.settle();
        polled
    })
    .await
}

/// Lets the calls in flight finish on a connection that was told to close.
async fn finish(mut connection: Pin<&mut impl Future>, place: &Place) {
    let told = Instant::now();
    let end = told + GRACE;
    loop {
        // A peer without a call in flight loses nothing if its connection is closed.
        let quiet = place.idle().map_or(QUIET, |idle| QUIET.saturating_sub(idle.min(told.elapsed())));
        if quiet.is_zero() || Instant::now() >= end {
            return;
        }
        tokio::select! {
            _ = served(connection.as_mut(), place) => return,
            () = place.cut() => return,
            () = sleep_until(end.min(Instant::now() + quiet)) => {}
        }
    }
}

/// HTTP/2 with fixed limits.
fn protocol() -> http2::Builder<TokioExecutor> {
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        // gRPC does not need the header `date`.
        .auto_date_header(false)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADERS)
        .max_frame_size(MAX_FRAME)
        .initial_stream_window_size(framing::STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_ERRORS)
        .keep_alive_interval(KEEPALIVE.0)
        .keep_alive_timeout(KEEPALIVE.1);
    http
}

/// The age at which a connection ends: `standard`, plus or minus up to a tenth, so that connections that were opened
/// together are not closed together.
fn age(standard: Duration) -> Duration {
    standard.mul_f64(0.9 + rand::random::<f64>() / 5.0)
}

/// The handshakes. A connection that does not speak HTTP/2, or does not speak TLS if it must, is closed at once.
async fn begin(accepted: Accepted, trusted: bool, tls: Option<&tls::Served>) -> io::Result<(Prefaced, Peer)> {
    // A Unix socket is protected by its permissions. On a trusted listener the proxy of the mesh handles TLS.
    let tls = tls.filter(|_| accepted.is_tcp() && !trusted);
    let mut peer = Peer { private: accepted.is_local() || tls.is_some(), trusted, certified: false, sans: Vec::new() };
    let mut io = accepted.adopt()?;
    if let Some(tls) = tls {
        let acceptor = TlsAcceptor::from(Arc::clone(&tls.current().config));
        let stream = acceptor.accept(io).await?;
        let (_, session) = stream.get_ref();
        if !negotiated_h2(session) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the peer did not ask for h2 in ALPN"));
        }
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        peer.certified = certificate.is_some();
        peer.sans = certificate.map(|certificate| peer_sans(certificate)).unwrap_or_default();
        io = Box::new(stream);
    }
    let mut first = [0; PREFACE.len()];
    let mut read = 0;
    while read < first.len() {
        match io.read(&mut first[read..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => read += more,
        }
        if !PREFACE.starts_with(&first[..read]) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the peer does not speak HTTP/2"));
        }
    }
    Ok((Prefaced { io: Timed::new(io), given: 0 }, peer))
}

/// A connection whose preface was already read; a reader gets the preface again.
struct Prefaced {
    io: Timed<Box<dyn Stream>>,
    /// How many bytes of the preface the reader already has.
    given: usize,
}

impl AsyncRead for Prefaced {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.given < PREFACE.len() {
            let rest = &PREFACE[self.given..];
            let length = rest.len().min(buf.remaining());
            buf.put_slice(&rest[..length]);
            self.given += length;
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_read(context, buf)
    }
}

impl AsyncWrite for Prefaced {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        future::ready,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use super::*;
    use crate::server::body::Answer;
    use bytes::Bytes;
    use http::{HeaderMap, Request, Response};

    /// Counts the writes of the transport that it wraps. It takes vectored writes, as a socket does.
    struct Counting<T>(T, Arc<AtomicUsize>);

    impl<T: AsyncRead + Unpin> AsyncRead for Counting<T> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            to: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(context, to)
        }
    }

    impl<T: AsyncWrite + Unpin> AsyncWrite for Counting<T> {
        fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.1.fetch_add(1, Ordering::Relaxed);
            Pin::new(&mut self.0).poll_write(context, bytes)
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(context)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(context)
        }
    }

    /// The number of writes of a server that answers `calls` calls at a time, each with `length` bytes.
    async fn writes(calls: usize, length: usize) -> usize {
        let (near, far) = tokio::io::duplex(1 << 20);
        let count = Arc::new(AtomicUsize::new(0));
        let io = Prefaced { io: Timed::new(Box::new(Counting(far, Arc::clone(&count)))), given: PREFACE.len() };
        let service = service_fn(move |_: Request<hyper::body::Incoming>| {
            let trailers = HeaderMap::from_iter([(http::header::AGE, 0.into())]);
            let data = Bytes::from(vec![b'x'; length]);
            ready(Ok::<_, Infallible>(Response::new(Answer::Whole { data, trailers: Some(trailers) })))
        });
        tokio::spawn(protocol().serve_connection(TokioIo::new(io), service));
        let (client, connection) = h2::client::handshake(near).await.unwrap();
        tokio::spawn(connection);
        // Settings are exchanged with the first call.
        let ask = async || {
            let request = Request::get("http://localhost/").body(()).unwrap();
            let (response, _) = client.clone().ready().await.unwrap().send_request(request, true).unwrap();
            let mut body = response.await.unwrap().into_body();
            let mut received = 0;
            while let Some(data) = body.data().await {
                let data = data.unwrap();
                body.flow_control().release_capacity(data.len()).unwrap();
                received += data.len();
            }
            assert_eq!(received, length);
            assert!(body.trailers().await.unwrap().is_some());
        };
        ask().await;
        count.store(0, Ordering::Relaxed);
        futures_util::future::join_all((0..calls).map(|_| ask())).await;
        count.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn an_answer_with_its_head_and_trailers_leaves_in_one_write() {
        for length in [0, 255, 256, 1023, 1024, 8192] {
            assert_eq!(writes(1, length).await, 1, "{length} bytes");
        }
    }

    #[tokio::test]
    async fn answers_of_many_calls_leave_in_few_writes() {
        let writes = writes(64, 414).await;
        assert!(writes <= 8, "{writes} writes");
    }
}
