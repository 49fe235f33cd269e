//! One call: who makes it, its deadline, what it may cost, an answer whatever happens inside, and a record of it.

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
use http::{HeaderMap, HeaderName, Request, Response};
use hyper::body::Incoming;
use tokio::time::{Instant, sleep_until};
use tonic::{Code, Status, body::Body};
use tower::{Service, ServiceExt};

use crate::{
    callers::{self, Caller, Callers, San},
    error::Refusal,
    proto::redirect_service_server::RedirectService,
    service::Context,
    telemetry::call::{Call, REQUEST_ID},
};

use super::{Shared, connections::InCall, deadline, panics};

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
    pub(super) sans: Vec<San>,
}

/// The answer to `request`, in whatever way it ends.
pub(super) async fn answer<S: RedirectService>(
    shared: Arc<Shared<S>>,
    peer: Arc<Peer>,
    in_call: InCall,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let _in_call = in_call;
    let call = Arc::new(Call::begin(&shared.edges.telemetry, request.headers(), request.uri().path()));
    let mut response = if call.method().is_redirect() {
        guarded(&shared, &peer, &call, request).await.unwrap_or_else(|refusal| {
            call.refused(refusal.kind().0);
            Status::from(refusal).into_http()
        })
    } else {
        // Health and reflection answer when all else is refused.
        Box::pin(shared.others.clone().oneshot(request)).await?
    };
    // A stream's status comes behind it: it counts by how it begins.
    call.end(Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code()));
    response.headers_mut().insert(HeaderName::from_static(REQUEST_ID), call.request_id().clone());
    Ok(response)
}

/// A call of the redirect service, within its bounds.
async fn guarded<S: RedirectService>(
    shared: &Shared<S>,
    peer: &Peer,
    call: &Arc<Call>,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    let caller = match &shared.edges.callers {
        None => None,
        Some(callers) => Some(identify(&callers.current(), peer, request.headers())?),
    };
    if let Some(caller) = &caller {
        call.caller(&caller.name);
    }
    let _room = Room::take(&shared.calls).ok_or(Refusal::Overloaded(FULL))?;
    let deadline = deadline::of(request.headers()).and_then(|left| Instant::now().checked_add(left));
    request.extensions_mut().insert(Context { call: Arc::clone(call), caller });
    let mut service = shared.redirects.clone();
    let answer = AssertUnwindSafe(service.call(request)).catch_unwind();
    let out_of_time = async {
        match deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    let answer = tokio::select! {
        biased;
        answer = answer => answer,
        () = out_of_time => return Err(Refusal::TimedOut),
        () = shared.cut.cancelled() => return Err(Refusal::NotReady),
    };
    // An answer that comes too late is not given, even where the timer, which counts milliseconds, does not know yet.
    if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
        return Err(Refusal::TimedOut);
    }
    let Ok(Ok(response)) = answer else {
        let request_id = call.request_id().to_str().unwrap_or_default();
        tracing::error!(request_id, place = panics::last_place(), "a call panicked");
        return Err(Refusal::InternalFault);
    };
    // tonic's word for a message over its limit, which no service here says of anything else.
    let too_large = Status::from_header_map(response.headers()).is_some_and(|status| status.code() == Code::OutOfRange);
    if too_large { Err(Refusal::RequestTooLarge) } else { Ok(response) }
}

/// The caller that a call's credentials prove: the certificate's where one fits, else what a mesh's proxy forwards, else a
/// bearer token where nobody between can have read it.
fn identify(callers: &Callers, peer: &Peer, headers: &HeaderMap) -> Result<Arc<Caller>, Refusal> {
    let mut forwarded = Vec::new();
    if peer.trusted {
        forwarded = callers::forwarded::sans(headers).map_err(|_| Refusal::CallerUnknown)?.unwrap_or_default();
    }
    let mut token = None;
    if peer.private {
        token = callers::bearer(headers).map_err(|_| Refusal::CallerUnknown)?;
    }
    let caller = callers
        .by_sans(&peer.sans)
        .or_else(|| callers.by_sans(&forwarded))
        .or_else(|| token.and_then(|token| callers.by_token(token)));
    caller.cloned().ok_or(Refusal::CallerUnknown)
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
