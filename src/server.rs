//! The server: listeners, connections, and the services put together; a drain that ends.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::{
    callers,
    service::{Clock, MAX_REQUEST, RedirectService, RedirectServiceServer, SERVICE_NAME, proto},
    telemetry::{Telemetry, metrics::Reading},
};

mod admin;
mod body;
mod call;
mod connection;
mod connections;
mod deadline;
mod frames;
mod framing;
mod health;
mod identity;
mod listener;
mod pages;
pub mod panics;
pub mod tls;
mod workers;

pub use listener::Listener;

use admin::Admin;
use connections::Connections;
use health::Readiness;
use listener::Accepted;
use workers::Workers;

/// The services that health tells of.
const SERVICES: [&str; 4] = [
    SERVICE_NAME,
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// Bytes of a request to reflection at most: it names a symbol or a file. Each stream can hold one that never ends.
const MAX_REFLECTION: usize = 4 * 1024;
/// The last part of a drain, in which calls that did not end are answered before their connections are cut.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// What a server may take and how long it may last.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; at this many the longest-idle one makes room for a new one.
    pub max_connections: usize,
    /// Bytes of calls that may be held at a time: requests that arrive, and answers that peers have not taken.
    pub max_held: usize,
    /// How old a connection gets, give or take a tenth: so that callers find new replicas.
    pub max_connection_age: Duration,
    /// How long a call may take, whatever deadline it names.
    pub max_deadline: Duration,
    /// How long it goes on serving after it was told to stop, so that those who route to it learn of it.
    pub drain_delay: Duration,
    /// How long calls in flight may then take.
    pub drain_timeout: Duration,
}

/// What stands between a server's sockets and its services.
pub struct Edges {
    /// Certificate and key; without them TCP is plain.
    pub tls: Option<Arc<tls::Served>>,
    /// Who may call; without them everybody who can connect.
    pub callers: Option<Arc<callers::Served>>,
    /// Where calls are recorded.
    pub telemetry: Arc<Telemetry>,
}

/// Where a server listens.
#[derive(Default)]
pub struct Listeners {
    /// For callers.
    pub calls: Vec<Listener>,
    /// For operators and probes, without TLS or credentials.
    pub admin: Option<Listener>,
}

/// The services of one server.
pub struct Services<S> {
    redirects: RedirectServiceServer<S>,
    others: Routes,
    readiness: Readiness,
    admin: Admin,
    edges: Edges,
}

/// What every connection needs.
struct Shared<S> {
    redirects: RedirectServiceServer<S>,
    others: Routes,
    edges: Edges,
    limits: Limits,
    /// Calls of the redirect service in flight.
    calls: AtomicUsize,
    /// Connections are to end.
    draining: CancellationToken,
    /// Calls are to end.
    cut: CancellationToken,
}

impl<S: RedirectService> Services<S> {
    /// The redirect service, [`crate::service::Redirects`] or another in its place, gRPC health and reflection (v1 and v1alpha).
    ///
    /// # Errors
    /// Where the embedded descriptors cannot be read.
    pub fn new(redirects: S, edges: Edges) -> Result<Self, tonic_reflection::server::Error> {
        let redirects = RedirectServiceServer::new(redirects).max_decoding_message_size(MAX_REQUEST);
        let readiness = Readiness::new();
        let health = health::service(readiness.clone(), SERVICES.to_vec());
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
                // Not a service: lets grpcurl show the details of an error.
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET)
        };
        let others = Routes::new(health.clone())
            .add_service(reflection().build_v1()?.max_decoding_message_size(MAX_REFLECTION))
            .add_service(reflection().build_v1alpha()?.max_decoding_message_size(MAX_REFLECTION))
            .prepare();
        let telemetry = Arc::clone(&edges.telemetry);
        let text = Arc::new(move |format| telemetry.metrics.text(format));
        let admin = Admin::new(readiness.clone(), health, text);
        Ok(Self { redirects, others, readiness, admin, edges })
    }

    /// Serves on `listeners` until `stop` resolves; then drains: it says that it does not serve, goes on for the delay of
    /// `limits`, takes no more connections, tells those that are open to end, and lets calls in flight end in time.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub async fn run(
        self,
        listeners: Listeners,
        stop: impl Future<Output = ()>,
        limits: Limits,
    ) -> std::io::Result<()> {
        let shared = Arc::new(Shared {
            redirects: self.redirects,
            others: self.others,
            edges: self.edges,
            limits,
            calls: AtomicUsize::default(),
            draining: CancellationToken::new(),
            cut: CancellationToken::new(),
        });
        observe(&shared, &self.readiness);
        let (workers, admin_thread) = (Workers::start()?, Workers::start_one("admin")?);
        let connections = Connections::new(limits.max_connections, limits.max_held);
        let (sender, mut accepted) = mpsc::channel(64);
        if let Some(listener) = listeners.admin {
            let admin = self.admin;
            admin_thread.spawn(async move {
                match listener.adopted() {
                    Ok(listener) => admin.serve(async move || listener.accept().await?.adopt()).await,
                    Err(error) => tracing::error!(%error, "the admin port cannot be served"),
                }
            });
        }
        for listener in listeners.calls {
            tokio::spawn(accept(listener, sender.clone()));
        }
        let mut stop = std::pin::pin!(async {
            stop.await;
            self.readiness.set_serving(false);
            sleep(limits.drain_delay).await;
        });
        self.readiness.set_serving(true);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some((connection, trusted)) = accepted.recv() => {
                    // Where too many have not closed yet, it is dropped.
                    if let Some(place) = connections.enter() {
                        workers.spawn(connection::serve(connection, trusted, place, Arc::clone(&shared)));
                    }
                }
            }
        }
        accepted.close();
        shared.draining.cancel();
        self.readiness.end_watches();
        if timeout(limits.drain_timeout.saturating_sub(LAST_WORDS), connections.all_closed()).await.is_err() {
            tracing::warn!(connections = connections.len(), "calls did not end in time and are cut");
            shared.cut.cancel();
            let _ = timeout(LAST_WORDS.min(limits.drain_timeout), connections.all_closed()).await;
        }
        Ok(())
    }
}

/// Tells the metrics how full the server is and whether it serves.
fn observe<S: RedirectService>(shared: &Arc<Shared<S>>, readiness: &Readiness) {
    let metrics = &shared.edges.telemetry.metrics;
    let (ready, draining) = (readiness.clone(), readiness.clone());
    metrics.observe(Reading::Ready, move || ready.is_serving().into());
    metrics.observe(Reading::Draining, move || draining.is_draining().into());
    let connections = shared.limits.max_connections as u64;
    metrics.observe(Reading::MaxConnections, move || connections);
    metrics.observe(Reading::MaxCalls, || call::MAX_CALLS as u64);
    // The metrics may outlive the server, which holds them.
    let calls = Arc::downgrade(shared);
    let read = move || calls.upgrade().map_or(0, |shared| shared.calls.load(Ordering::Relaxed) as u64);
    metrics.observe(Reading::Calls, read);
}

/// Hands over what `listener` accepts, until nobody takes it.
async fn accept(listener: Listener, taker: mpsc::Sender<(Accepted, bool)>) {
    while !taker.is_closed() {
        match listener.accept().await {
            Ok(connection) => drop(taker.send((connection, listener.trusted)).await),
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                // Out of file descriptors, most likely: one must be closed first.
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// A clock that tells the system's time.
pub fn system_clock() -> Clock {
    Arc::new(chrono::Utc::now)
}
