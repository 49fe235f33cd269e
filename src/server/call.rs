//! One call: its deadline, what it may cost, and an answer whatever happens inside.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::sleep;
use tonic::{Code, Status, body::Body};
use tower::{Service, ServiceExt};

use crate::{
    error::Refusal,
    proto::redirect_service_server::{RedirectService, SERVICE_NAME},
};

use super::{Shared, connections::InCall, deadline};

/// Calls in flight at most; each may hold a request of 64 KiB.
const MAX_CALLS: usize = 4096;
/// When a caller that found the server full may come back.
const FULL: Duration = Duration::from_secs(1);

/// The other end of a connection.
pub(super) struct Peer {
    /// Whether nobody between can read what it sends: TLS, a Unix socket, or this machine.
    pub(super) private: bool,
    /// Whether it is a mesh's proxy whose word on the caller counts.
    pub(super) trusted: bool,
    /// The names in the certificate that it proved to hold.
    pub(super) sans: Vec<String>,
}

/// The answer to `request`, in whatever way it ends.
pub(super) async fn answer<S: RedirectService>(
    shared: Arc<Shared<S>>,
    peer: Arc<Peer>,
    in_call: InCall,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let _in_call = in_call;
    let is_redirect = request.uri().path().strip_prefix('/').and_then(|path| path.strip_prefix(SERVICE_NAME));
    let response = match is_redirect {
        // Health and reflection answer when all else is refused.
        None => shared.others.clone().oneshot(request).await?,
        Some(_) => guarded(&shared, &peer, request).await.unwrap_or_else(|refusal| Status::from(refusal).into_http()),
    };
    Ok(response)
}

/// A call of the redirect service, within its bounds.
async fn guarded<S: RedirectService>(
    shared: &Shared<S>,
    _peer: &Peer,
    request: Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    let _room = Room::take(&shared.calls).ok_or(Refusal::Overloaded(FULL))?;
    let deadline = deadline::of(request.headers());
    let mut service = shared.redirects.clone();
    let answer = AssertUnwindSafe(service.call(request)).catch_unwind();
    let out_of_time = async {
        match deadline {
            Some(deadline) => sleep(deadline).await,
            None => std::future::pending().await,
        }
    };
    let answer = tokio::select! {
        // The deadline first, so that an answer that comes too late is not given.
        biased;
        () = out_of_time => return Err(Refusal::TimedOut),
        answer = answer => answer,
        () = shared.cut.cancelled() => return Err(Refusal::NotReady),
    };
    let Ok(Ok(response)) = answer else {
        tracing::error!("a call panicked");
        return Err(Refusal::InternalFault);
    };
    // tonic's word for a message over its limit, which no service here says of anything else.
    let too_large = Status::from_header_map(response.headers()).is_some_and(|status| status.code() == Code::OutOfRange);
    if too_large { Err(Refusal::RequestTooLarge) } else { Ok(response) }
}

/// One of the calls that may be in flight.
struct Room<'a>(&'a AtomicUsize);

impl<'a> Room<'a> {
    fn take(calls: &'a AtomicUsize) -> Option<Self> {
        // Counted first, so that the place is given back where there is none.
        let room = Self(calls);
        (calls.fetch_add(1, Ordering::Relaxed) < MAX_CALLS).then_some(room)
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
