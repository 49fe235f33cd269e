//! Serves the pages on a connection, within time limits, so that no program of this machine keeps the file descriptors
//! that the service needs.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{net::TcpStream, time::timeout};

/// The time for the headers of a request, also of the next one on a connection.
const HEADERS: Duration = Duration::from_secs(30);
/// The life of a connection, whatever it does.
const LIFE: Duration = Duration::from_mins(5);

/// Serves `router` on a connection.
pub(super) async fn serve(router: Router, stream: TcpStream) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADERS);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // How a connection ends is the browser's affair.
    drop(timeout(LIFE, connection).await);
}
