//! The server: listeners, connections, and the services put together; a drain that ends.

use std::{
    future::Future,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::{
    ServingStatus,
    server::{HealthReporter, health_reporter},
};

use crate::{
    proto::{
        self,
        redirect_service_server::{RedirectService, RedirectServiceServer, SERVICE_NAME},
    },
    service::MAX_REQUEST,
};

mod call;
mod connection;
mod connections;
mod deadline;
mod listener;
pub mod tls;
mod workers;

pub use listener::Listener;

use connections::Connections;
use workers::Workers;

/// The last part of a drain, in which calls that did not end are answered before their connections are cut.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// What a server may take and how long it may last.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; at this many the longest-idle one makes room for a new one.
    pub max_connections: usize,
    /// How old a connection gets, give or take a tenth: so that callers find new replicas.
    pub max_connection_age: Duration,
    /// How long it goes on serving after it was told to stop, so that those who route to it learn of it.
    pub drain_delay: Duration,
    /// How long calls in flight may then take.
    pub drain_timeout: Duration,
}

/// The services of one server.
pub struct Services<S> {
    redirects: RedirectServiceServer<S>,
    others: Routes,
    health: HealthReporter,
}

/// What every connection needs.
struct Shared<S> {
    redirects: RedirectServiceServer<S>,
    others: Routes,
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
    pub async fn new(redirects: S) -> Result<Self, tonic_reflection::server::Error> {
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
        let others = Routes::new(health_service)
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?)
            .prepare();
        Ok(Self { redirects, others, health })
    }

    /// Serves on `listeners` until `stop` resolves; then drains: it says that it does not serve, goes on for the delay of
    /// `limits`, takes no more connections, tells those that are open to end, and lets calls in flight end in time.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub async fn run(
        self,
        listeners: Vec<Listener>,
        stop: impl Future<Output = ()>,
        limits: Limits,
    ) -> std::io::Result<()> {
        let shared = Arc::new(Shared {
            redirects: self.redirects,
            others: self.others,
            limits,
            calls: AtomicUsize::default(),
            draining: CancellationToken::new(),
            cut: CancellationToken::new(),
        });
        let workers = Workers::start()?;
        let connections = Connections::new(limits.max_connections);
        let (sender, mut accepted) = mpsc::channel(64);
        for listener in listeners {
            let sender = sender.clone();
            tokio::spawn(async move {
                while !sender.is_closed() {
                    match listener.accept().await {
                        Ok(connection) => drop(sender.send((connection, listener.trusted)).await),
                        Err(error) => {
                            tracing::warn!(%error, "a connection was not accepted");
                            // Out of file descriptors, most likely: one must be closed first.
                            sleep(Duration::from_millis(50)).await;
                        }
                    }
                }
            });
        }
        let mut stop = std::pin::pin!(async {
            stop.await;
            for service in ["", SERVICE_NAME] {
                self.health.set_service_status(service, ServingStatus::NotServing).await;
            }
            sleep(limits.drain_delay).await;
        });
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some((connection, trusted)) = accepted.recv() => match connections.enter() {
                    Some(place) => {
                        workers.spawn(connection::serve(connection, trusted, place, Arc::clone(&shared)));
                    }
                    None => tracing::warn!("a connection was refused: too many are open"),
                },
            }
        }
        accepted.close();
        shared.draining.cancel();
        if timeout(limits.drain_timeout.saturating_sub(LAST_WORDS), connections.all_closed()).await.is_err() {
            tracing::warn!(connections = connections.len(), "calls did not end in time and are cut");
            shared.cut.cancel();
            let _ = timeout(LAST_WORDS.min(limits.drain_timeout), connections.all_closed()).await;
        }
        Ok(())
    }
}

/// A clock that tells the system's time.
pub fn system_clock() -> crate::service::Clock {
    Arc::new(chrono::Utc::now)
}
