//! The admin port: `/livez`, `/readyz`, `/metrics` over HTTP/1.1 and HTTP/2, and gRPC health, all without TLS or
//! credentials. It answers from the start of the process to its end, also during a drain. It has its own thread, so
//! that its work takes no time from calls.

use std::{
    convert::Infallible,
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{ACCEPT, ALLOW, CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tonic::body::Body;
use tonic_health::pb::health_server::HealthServer;
use tower::ServiceExt;

use crate::telemetry::metrics::Format;

use super::{
    health::{Readiness, Statuses},
    newest::serve_newest,
    pages::{Pages, Render},
};

/// The most connections that are open at the same time.
const MAX_CONNECTIONS: usize = 256;
/// The most calls that run at the same time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 16;
/// The most bytes of a request's headers.
const MAX_HEADERS: u32 = 16 * 1024;
/// The media type of every answer except metrics.
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The state that the admin port reports.
#[derive(Clone)]
pub(crate) struct Admin {
    readiness: Readiness,
    health: HealthServer<Statuses>,
    metrics: Arc<Pages>,
    times: Times,
}

/// The time limits of a connection.
#[derive(Clone, Copy)]
struct Times {
    /// The time until its first request is read.
    first_request: Duration,
    /// The time until the server accepts no further request on it. Probes use many short connections.
    life: Duration,
    /// The time from then until the server closes it.
    grace: Duration,
}

impl Admin {
    /// The pages and `health`, which is [`super::health::service`].
    pub(crate) fn new(readiness: Readiness, health: HealthServer<Statuses>, metrics: Render) -> Self {
        let times = Times {
            first_request: Duration::from_secs(5),
            life: Duration::from_mins(1),
            grace: Duration::from_secs(5),
        };
        Self { readiness, health, metrics: Arc::new(Pages::new(metrics)), times }
    }

    /// Serves the connections that `accept` brings, until it is dropped; its connections end with it. A connection
    /// above the limit of 256 ends the oldest one.
    pub(crate) async fn serve<Io>(self, accept: impl AsyncFnMut() -> io::Result<Io>)
    where
        Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        serve_newest("admin", MAX_CONNECTIONS, accept, |io| self.clone().serve_connection(io)).await;
    }

    /// Serves one connection. HTTP/1.1 gets one answer. HTTP/2 is recognised by its preface, and gets answers for about
    /// a minute, also from a watch.
    async fn serve_connection(self, io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let times = self.times;
        let asked = Arc::new(AtomicBool::new(false));
        let service = {
            let asked = Arc::clone(&asked);
            service_fn(move |request| {
                asked.store(true, Ordering::Relaxed);
                self.clone().answer(request)
            })
        };
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).keep_alive(false).max_buf_size(MAX_HEADERS as usize);
        builder.http2().timer(TokioTimer::new()).max_concurrent_streams(MAX_STREAMS).max_header_list_size(MAX_HEADERS);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
        if timeout(times.first_request, connection.as_mut()).await.is_ok() || !asked.load(Ordering::Relaxed) {
            return;
        }
        if timeout(times.life, connection.as_mut()).await.is_err() {
            connection.as_mut().graceful_shutdown();
            // The connection is over, whether it ended by itself or not.
            let _ = timeout(times.grace, connection).await;
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        if request.version() == Version::HTTP_2 && request.uri().path().starts_with("/grpc.health.v1.Health/") {
            return self.health.oneshot(request).await;
        }
        Ok(self.page(request.method(), request.uri().path(), request.headers().get(ACCEPT)).await)
    }

    async fn page(&self, method: &Method, path: &str, accept: Option<&HeaderValue>) -> Response<Body> {
        let (status, media_type, text) = match path {
            _ if !matches!(path, "/livez" | "/readyz" | "/metrics") => {
                (StatusCode::NOT_FOUND, PLAIN, Bytes::from_static(b"not found"))
            }
            _ if !matches!(*method, Method::GET | Method::HEAD) => {
                (StatusCode::METHOD_NOT_ALLOWED, PLAIN, Bytes::from_static(b"method not allowed"))
            }
            "/metrics" => {
                let format = Format::accepted(accept.and_then(|accept| accept.to_str().ok()));
                (StatusCode::OK, HeaderValue::from_static(format.content_type()), self.metrics.page(format).await)
            }
            "/readyz" if let Some(reason) = self.readiness.reason() => {
                (StatusCode::SERVICE_UNAVAILABLE, PLAIN, Bytes::from_static(reason.as_bytes()))
            }
            _ => (StatusCode::OK, PLAIN, Bytes::from_static(b"ok")),
        };
        let length = text.len();
        let body = if method == Method::HEAD { Body::empty() } else { Body::new(Full::new(text)) };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, media_type);
        headers.insert(CONTENT_LENGTH, length.into());
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use hyper::body::Body as _;
    use hyper_util::client::legacy::Client;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };
    use tonic::{Code, transport::Endpoint};
    use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

    use super::super::health;
    use super::*;

    /// An admin port with these times in milliseconds: its task, its address, its readiness.
    async fn admin([first_request, life, grace]: [u64; 3]) -> (tokio::task::JoinHandle<()>, SocketAddr, Readiness) {
        let readiness = Readiness::new();
        let health = health::service(readiness.clone(), vec![]);
        let metrics: Render = Arc::new(|_| "calls 1\n".to_owned());
        let mut admin = Admin::new(readiness.clone(), health, metrics);
        admin.times = Times {
            first_request: Duration::from_millis(first_request),
            life: Duration::from_millis(life),
            grace: Duration::from_millis(grace),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(admin.serve(async move || Ok(listener.accept().await?.0)));
        (task, address, readiness)
    }

    /// Time limits too long for a test to reach.
    const LONG: [u64; 3] = [600_000, 600_000, 600_000];

    /// Everything that the port answers to `request` before it closes or resets the connection.
    async fn answer(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The status line with the headers, and the body.
    async fn page(address: SocketAddr, method: &str, path: &str) -> (String, String) {
        let answer = answer(address, &format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    async fn client(address: SocketAddr) -> HealthClient<tonic::transport::Channel> {
        HealthClient::new(Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap())
    }

    #[tokio::test]
    async fn livez_is_ok_even_if_not_ready() {
        let (_admin, address, readiness) = admin(LONG).await;
        let changes: [fn(&Readiness); 4] =
            [|_| (), |it| it.set_serving(true), |it| it.set_serving(false), Readiness::end_watches];
        for change in changes {
            change(&readiness);
            let (head, body) = page(address, "GET", "/livez").await;
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
            assert_eq!(body, "ok");
        }
    }

    #[tokio::test]
    async fn readyz_follows_readiness_and_says_why_not() {
        let (_admin, address, readiness) = admin(LONG).await;
        let (head, body) = page(address, "GET", "/readyz").await;
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
        assert_eq!(body, "starting");
        readiness.set_serving(true);
        let (head, body) = page(address, "GET", "/readyz").await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(body, "ok");
        readiness.set_serving(false);
        let (head, body) = page(address, "GET", "/readyz").await;
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
        assert_eq!(body, "draining");
    }

    #[tokio::test]
    async fn metrics_come_with_their_media_type() {
        let (_admin, address, _) = admin(LONG).await;
        let (head, body) = page(address, "GET", "/metrics").await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{head}");
        assert_eq!(body, "calls 1\n");
    }

    #[tokio::test]
    async fn head_has_the_headers_of_get_and_no_body() {
        let (_admin, address, _) = admin(LONG).await;
        let (head, body) = page(address, "HEAD", "/metrics").await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.contains("content-length: 8\r\n"), "{head}");
        assert_eq!(body, "");
    }

    #[tokio::test]
    async fn the_admin_pages_answer_over_http2_too() {
        let (_admin, address, _) = admin(LONG).await;
        let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<String>();
        for (method, path, status, bodiless) in [
            (Method::GET, "livez", StatusCode::OK, false),
            (Method::HEAD, "livez", StatusCode::OK, true),
            (Method::GET, "readyz", StatusCode::SERVICE_UNAVAILABLE, false),
            (Method::POST, "aa.redirect.v1.RedirectService/EncodeRequest", StatusCode::NOT_FOUND, false),
        ] {
            let uri = format!("http://{address}/{path}");
            let request = Request::builder().method(method).uri(uri).body(String::new()).unwrap();
            let response = client.request(request).await.unwrap();
            assert_eq!(response.status(), status, "{path}");
            assert_eq!(response.body().is_end_stream(), bodiless, "{path}");
        }
    }

    #[tokio::test]
    async fn other_paths_are_not_found_and_other_methods_not_allowed() {
        let (_admin, address, _) = admin(LONG).await;
        for path in ["/", "/livez/", "/LIVEZ", "/grpc.health.v1.Health/Check"] {
            let (head, _) = page(address, "GET", path).await;
            assert!(head.starts_with("HTTP/1.1 404 "), "{path}: {head}");
        }
        for method in ["POST", "DELETE", "OPTIONS"] {
            let (head, _) = page(address, method, "/metrics").await;
            assert!(head.starts_with("HTTP/1.1 405 "), "{method}: {head}");
            assert!(head.contains("allow: GET, HEAD\r\n"), "{method}: {head}");
        }
    }

    #[tokio::test]
    async fn grpc_health_answers_on_the_same_port_without_tls() {
        let (_admin, address, readiness) = admin(LONG).await;
        let mut client = client(address).await;
        let mut check = async |name: &str| {
            client
                .check(HealthCheckRequest { service: name.to_owned() })
                .await
                .map(|answer| answer.into_inner().status())
        };
        assert_eq!(check("readiness").await.unwrap(), ServingStatus::NotServing);
        assert_eq!(check("liveness").await.unwrap(), ServingStatus::Serving);
        readiness.set_serving(true);
        assert_eq!(check("readiness").await.unwrap(), ServingStatus::Serving);
        assert_eq!(check("nobody").await.unwrap_err().code(), Code::NotFound);
    }

    #[tokio::test]
    async fn a_client_that_sends_headers_slowly_delays_no_one_and_is_disconnected() {
        let (_admin, address, _) = admin([2_000, 600_000, 600_000]).await;
        let mut slow = Vec::new();
        for part in ["", "PRI * HTTP/2.0", "GET /livez HTTP/1.1\r\nHost:"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(part.as_bytes()).await.unwrap();
            slow.push(stream);
        }
        assert_eq!(page(address, "GET", "/livez").await.1, "ok");
        for mut stream in slow {
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            assert_eq!(answer, b"");
        }
    }

    #[tokio::test]
    async fn a_connection_above_the_limit_ends_the_oldest() {
        let (_admin, address, _) = admin(LONG).await;
        let mut streams = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            streams.push(TcpStream::connect(address).await.unwrap());
        }
        assert_eq!(page(address, "GET", "/livez").await.1, "ok");
        let mut answer = Vec::new();
        let _ = streams[0].read_to_end(&mut answer).await;
        assert_eq!(answer, b"");
        // The other connections are still served.
        streams[1].write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        streams[1].read_to_end(&mut answer).await.unwrap();
        assert!(answer.ends_with(b"\r\n\r\nok"));
    }

    #[tokio::test]
    async fn a_peer_that_does_not_speak_http_is_disconnected() {
        let (_admin, address, _) = admin(LONG).await;
        for garbage in [
            "\u{16}\u{3}\u{1}\0\u{5}\u{1}\0\0\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnot a frame of HTTP/2, but text",
        ] {
            let answer = answer(address, garbage).await;
            assert!(!answer.contains(" 200 "), "{answer}");
        }
        let endless = format!("GET /livez HTTP/1.1\r\nx: {}", "x".repeat(64 * 1024));
        assert!(!answer(address, &endless).await.contains(" 200 "));
        assert_eq!(page(address, "GET", "/livez").await.1, "ok");
    }

    #[tokio::test]
    async fn a_connection_ends_at_its_age() {
        let (_admin, address, _) = admin([3_000, 100, 100]).await;
        let mut watch = client(address).await.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
        assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
        assert!(watch.message().await.is_err());
    }

    #[tokio::test]
    async fn connections_end_with_their_server() {
        let (task, address, _) = admin(LONG).await;
        let mut watch = client(address).await.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
        assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
        task.abort();
        assert!(watch.message().await.is_err());
    }
}
