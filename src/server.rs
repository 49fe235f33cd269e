//! The server: listeners, connections, and the services put together; a drain that ends.

use std::{convert::Infallible, future::Future, io, sync::Arc, time::Duration};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::mpsc,
    time::{sleep, timeout},
};
use tonic::{Code, Status, body::Body, service::Routes};
use tonic_health::{
    ServingStatus,
    server::{HealthReporter, health_reporter},
};
use tower::ServiceExt;

use crate::{
    config::{Address, bind_advice},
    error::Refusal,
    proto::{
        self,
        redirect_service_server::{RedirectService, RedirectServiceServer, SERVICE_NAME},
    },
    service::MAX_REQUEST,
};

#[cfg_attr(not(test), expect(dead_code, reason = "the server does not run it yet"))]
mod admin;
mod deadline;
#[cfg_attr(not(test), expect(dead_code, reason = "the server does not run it yet"))]
mod health;

/// Calls at a time of one connection: hyper's default, which tonic's own server takes away.
const MAX_STREAMS: u32 = 200;
/// Bytes of a request's headers at most: hyper's default.
const MAX_HEADERS: u32 = 16 * 1024;

/// Bytes of a peer, whatever brings them.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A bound socket.
pub enum Listener {
    /// TCP, without Nagle's delay.
    Tcp(TcpListener),
    /// A Unix domain socket.
    Unix(UnixListener),
}

impl Listener {
    /// Binds `address`. A Unix socket that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// Where it cannot be bound, with what to do.
    pub async fn bind(address: &Address) -> io::Result<Self> {
        let bound = match address {
            Address::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp),
            Address::Unix(path) => {
                if std::os::unix::net::UnixStream::connect(path)
                    .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
                {
                    std::fs::remove_file(path)?;
                }
                UnixListener::bind(path).map(Self::Unix)
            }
        };
        bound.map_err(|error| io::Error::new(error.kind(), bind_advice(address, &error)))
    }

    /// Where it listens; the port of a TCP socket is the one that the system gave.
    ///
    /// # Errors
    /// Where the system does not say.
    pub fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Self::Unix(listener) => {
                let address = listener.local_addr()?;
                Ok(Address::Unix(address.as_pathname().unwrap_or("".as_ref()).to_owned()))
            }
        }
    }

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Without this, throughput falls to a fiftieth.
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            Self::Unix(listener) => Ok(Box::new(listener.accept().await?.0)),
        }
    }
}

/// The services of one server.
pub struct Services {
    routes: Routes,
    health: HealthReporter,
}

impl Services {
    /// The redirect service, [`crate::service::Redirects`] or another in its place, gRPC health and reflection (v1 and v1alpha).
    ///
    /// # Errors
    /// Where the embedded descriptors cannot be read.
    pub async fn new(redirects: impl RedirectService) -> Result<Self, tonic_reflection::server::Error> {
        let redirects = RedirectServiceServer::new(redirects).max_decoding_message_size(MAX_REQUEST);
        let (health, health_service) = health_reporter();
        health.set_service_status(SERVICE_NAME, ServingStatus::Serving).await;
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
                // Not a service: lets grpcurl show the details of an error.
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
        };
        let routes = Routes::new(redirects)
            .add_service(health_service)
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?)
            .prepare();
        Ok(Self { routes, health })
    }

    /// Serves on `listeners` until `stop` resolves; then takes no new connection and lets calls in flight end, for
    /// `drain` at most.
    pub async fn run(self, listeners: Vec<Listener>, stop: impl Future<Output = ()>, drain: Duration) {
        let (connections, mut accepted) = mpsc::channel(1);
        for listener in listeners {
            let connections = connections.clone();
            tokio::spawn(async move {
                while !connections.is_closed() {
                    match listener.accept().await {
                        Ok(stream) => drop(connections.send(stream).await),
                        Err(error) => {
                            tracing::warn!(%error, "a connection was not accepted");
                            // Out of file descriptors, most likely: one must be closed first.
                            sleep(Duration::from_millis(50)).await;
                        }
                    }
                }
            });
        }
        let graceful = GracefulShutdown::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(stream) = accepted.recv() => self.spawn(stream, &graceful),
            }
        }
        accepted.close();
        for service in ["", SERVICE_NAME] {
            self.health.set_service_status(service, ServingStatus::NotServing).await;
        }
        if timeout(drain, graceful.shutdown()).await.is_err() {
            tracing::warn!(seconds = drain.as_secs(), "calls or connections did not end in time and are cut");
        }
    }

    fn spawn(&self, stream: Box<dyn Stream>, graceful: &GracefulShutdown) {
        let routes = self.routes.clone();
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEADERS)
            .serve_connection(TokioIo::new(stream), service_fn(move |request| call(routes.clone(), request)));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke");
            }
        });
    }
}

/// One call, within its deadline.
async fn call(routes: Routes, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let deadline = deadline::of(request.headers());
    let answer = routes.oneshot(request);
    let response = match deadline {
        None => answer.await,
        Some(deadline) => tokio::select! {
            // First, so that an answer that comes too late is not given.
            biased;
            () = sleep(deadline) => return Ok(Status::from(Refusal::TimedOut).into_http()),
            response = answer => response,
        },
    };
    response.map(|response| {
        // tonic's word for a message over its limit, which no service here says of anything else.
        let too_large =
            Status::from_header_map(response.headers()).is_some_and(|status| status.code() == Code::OutOfRange);
        if too_large { Status::from(Refusal::RequestTooLarge).into_http() } else { response }
    })
}

/// A clock that tells the system's time.
pub fn system_clock() -> crate::service::Clock {
    Arc::new(chrono::Utc::now)
}
