//! The server: it listens, serves connections with the services, and ends with a drain of limited time.

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
    time::{Instant, sleep, timeout, timeout_at},
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
mod newest;
mod pages;
pub mod panics;
mod pressure;
pub mod tls;
mod workers;

pub(crate) use connections::excess;
pub use listener::Listener;
pub(crate) use newest::serve_newest;

use admin::Admin;
use connections::Connections;
use health::Readiness;
use listener::Accepted;
use workers::Workers;

/// The services whose health is reported.
const SERVICES: [&str; 4] = [
    SERVICE_NAME,
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// The most bytes of a request to reflection, which names a symbol or a file. Each stream can hold one unfinished
/// request.
const MAX_REFLECTION: usize = 4 * 1024;
/// The last part of a drain. Calls that are still running get an answer before their connections are cut.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// How much of a drain waits for what calls have left to do.
const REST: Duration = Duration::from_secs(1);

/// How much a server may hold, and its times.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most connections at a time. At this number a new connection closes the one that has been idle the longest.
    pub max_connections: usize,
    /// The most bytes of calls in memory at a time: requests that arrive, and answers that peers have not taken.
    pub max_held: usize,
    /// The age, within a tenth, at which a connection ends, so that callers find new replicas.
    pub max_connection_age: Duration,
    /// The longest time of a call, even if its own deadline is later.
    pub max_deadline: Duration,
    /// How long the server still serves after it was told to stop, so that load balancers notice.
    pub drain_delay: Duration,
    /// How long calls in flight may take after that.
    pub drain_timeout: Duration,
}

/// TLS, callers and telemetry of a server.
pub struct Edges {
    /// Certificate and key. `None` if TCP is without TLS.
    pub tls: Option<Arc<tls::Served>>,
    /// Who may call. `None` if everybody who can connect may call.
    pub callers: Option<Arc<callers::Served>>,
    /// Records the calls.
    pub telemetry: Arc<Telemetry>,
}

/// The sockets of a server.
#[derive(Default)]
pub struct Listeners {
    /// For callers.
    pub calls: Vec<Listener>,
    /// For operators and probes; needs neither TLS nor credentials.
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
    /// True from the moment when connections must end.
    draining: CancellationToken,
    /// True from the moment when calls must end.
    cut: CancellationToken,
}

impl<S: RedirectService> Services<S> {
    /// The given redirect service (usually [`crate::service::Redirects`]), gRPC health, and reflection (v1 and
    /// v1alpha).
    ///
    /// # Errors
    /// If the embedded descriptors cannot be read.
    pub fn new(redirects: S, edges: Edges) -> Result<Self, tonic_reflection::server::Error> {
        let redirects = RedirectServiceServer::new(redirects).max_decoding_message_size(MAX_REQUEST);
        let readiness = Readiness::new();
        let health = health::service(readiness.clone(), SERVICES.to_vec());
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
                // This is not a service. With it grpcurl can show the details of an error.
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

    /// Serves on `listeners` until `stop` resolves, and then drains: health reports `NOT_SERVING`; after the delay of
    /// `limits` the server accepts no new connections and asks the open ones to end; calls in flight may finish in
    /// time, and so may `rest`, what calls have left to do.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub async fn run(
        self,
        listeners: Listeners,
        stop: impl Future<Output = ()>,
        rest: impl Future<Output = ()>,
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
                    // If too many connections have not closed yet, this one is dropped.
                    if let Some(place) = connections.enter() {
                        workers.spawn(connection::serve(connection, trusted, place, Arc::clone(&shared)));
                    }
                }
            }
        }
        accepted.close();
        shared.draining.cancel();
        self.readiness.end_watches();
        drain(&shared, &connections, rest).await;
        Ok(())
    }
}

/// Waits until calls have ended and done the `rest`; cuts those that do not end in time.
async fn drain<S: RedirectService>(shared: &Shared<S>, connections: &Connections, rest: impl Future<Output = ()>) {
    let limit = shared.limits.drain_timeout;
    let end = Instant::now() + limit;
    if timeout(limit.saturating_sub(LAST_WORDS), connections.all_closed()).await.is_err() {
        tracing::warn!(connections = connections.len(), "calls did not end in time and are cut");
        shared.cut.cancel();
        let _ = timeout(LAST_WORDS.min(limit), connections.all_closed()).await;
    }
    let _ = timeout_at(end.min(Instant::now() + REST), rest).await;
}

/// Reports to the metrics how full the server is and whether it serves.
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

/// Sends each connection of `listener` to `taker`, until the receiver is dropped.
async fn accept(listener: Listener, taker: mpsc::Sender<(Accepted, bool)>) {
    while !taker.is_closed() {
        match listener.accept().await {
            Ok(connection) => drop(taker.send((connection, listener.trusted)).await),
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                // Probably the process has no free file descriptor. One must close first.
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// A clock that tells the system's time.
pub fn system_clock() -> Clock {
    Arc::new(chrono::Utc::now)
}
