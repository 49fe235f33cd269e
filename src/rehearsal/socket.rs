//! Serves the pages on a socket. Connections and their times have limits, so that no program of this machine takes the
//! file descriptors that the service needs.

use std::{collections::VecDeque, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::TcpListener,
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout},
};

/// A browser has at most six connections to a server. If one more than this comes, the oldest is closed.
const CONNECTIONS: usize = 128;
/// The time for the headers of a request, also of the next one on a connection.
const HEADERS: Duration = Duration::from_secs(30);
/// The life of a connection, whatever it does.
const LIFE: Duration = Duration::from_mins(5);

/// Serves `router` on `socket` until the program ends.
pub(super) async fn serve(socket: TcpListener, router: Router) {
    let mut connections = JoinSet::new();
    let mut oldest_first: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let Ok((stream, _)) = socket.accept().await else {
            // Probably the process has no free file descriptor. One must close first.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        oldest_first.retain(|connection| !connection.is_finished());
        if oldest_first.len() == CONNECTIONS
            && let Some(oldest) = oldest_first.pop_front()
        {
            oldest.abort();
        }
        let service = TowerToHyperService::new(router.clone());
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEADERS);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        // How a connection ends is the browser's affair.
        oldest_first.push_back(connections.spawn(async move { drop(timeout(LIFE, connection).await) }));
    }
}
