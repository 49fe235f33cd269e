//! Serves the newest connections of a port that serves people and probes: one above the limit ends the oldest, so that
//! no client can lock out the others.

use std::{collections::VecDeque, io, time::Duration};

use tokio::{
    task::{AbortHandle, JoinSet, yield_now},
    time::sleep,
};

/// Serves the connections that `accept` brings, at most `limit` at the same time, until it is dropped; its connections
/// end with it. `port` names the port in the log.
pub(crate) async fn serve_newest<Io, Served>(
    port: &'static str,
    limit: usize,
    mut accept: impl AsyncFnMut() -> io::Result<Io>,
    serve: impl Fn(Io) -> Served,
) where
    Served: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    let mut oldest_first: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let io = match accept().await {
            Ok(io) => io,
            Err(error) => {
                tracing::warn!(port, %error, "a connection was not accepted");
                // Probably the process has no free file descriptor. One must close first.
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        oldest_first.retain(|connection| !connection.is_finished());
        if oldest_first.len() == limit
            && let Some(oldest) = oldest_first.pop_front()
        {
            oldest.abort();
        }
        oldest_first.push_back(connections.spawn(serve(io)));
        // If many connections come at once, each gets a turn before the next is accepted.
        yield_now().await;
    }
}
