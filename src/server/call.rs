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

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use http::{HeaderName, Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio::time::{Instant, sleep_until};
use tonic::{Code, Status, body::Body};
use tower::{Service, ServiceExt};

use crate::{
    callers::{Rpc, San},
    service::{Context, MAX_REQUEST, RedirectService, error::Refusal},
    telemetry::call::{Call, REQUEST_ID},
};

use super::{
    Shared,
    body::{Answer, arrived, whole},
    connections::{Holder, InCall},
    deadline,
    identity::identify,
    panics,
};

/// Calls at work at most; each may hold a request of 64 KiB.
pub(super) const MAX_CALLS: usize = 4096;
/// How long a call may take that names no deadline: one whose body never comes must not hold its place for good.
const USUAL_DEADLINE: Duration = Duration::from_mins(1);
/// Bytes in front of a message of gRPC: whether it is compressed, and its length.
const MESSAGE_HEAD: usize = 5;
/// When a caller that found the server full may come back.
const FULL: Duration = Duration::from_secs(1);

/// The other end of a connection.
pub(super) struct Peer {
    /// Whether nobody between can read what it sends: TLS, a Unix socket, or this machine.
    pub(super) private: bool,
    /// Whether it is a mesh's proxy whose word on the caller counts.
    pub(super) trusted: bool,
    /// Whether it proved to hold a certificate.
    pub(super) certified: bool,
    /// The names in that certificate.
    pub(super) sans: Vec<San>,
}

/// The answer to `request`, in whatever way it ends.
pub(super) async fn answer<S: RedirectService>(
    shared: Arc<Shared<S>>,
    peer: Arc<Peer>,
    in_call: InCall,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    let holder = in_call.holder.clone();
    let call = Arc::new(Call::begin(&shared.edges.telemetry, request.headers(), request.uri().path()));
    let mut response = if call.method().is_redirect() {
        guarded(&shared, &peer, &call, &holder, request)
            .await
            .unwrap_or_else(|refusal| call.refuse(&refusal).into_http())
    } else {
        // Health and reflection answer when all else is refused.
        let response = Box::pin(shared.others.clone().oneshot(request)).await?;
        response.map(|body| {
            let held = body.map_frame(move |frame| frame.map_data(|bytes| holder.hold(bytes)));
            Answer::Streamed(Body::new(held))
        })
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
    holder: &Holder,
    mut request: Request<Incoming>,
) -> Result<Response<Answer>, Refusal> {
    let caller = match &shared.edges.callers {
        None => None,
        Some(callers) => Some(identify(&callers.current(), peer, request.headers()).map_err(|unknown| {
            call.note_presented(unknown.presented);
            Refusal::CallerUnknown(unknown.hint)
        })?),
    };
    if let Some(caller) = &caller {
        call.note_caller(&caller.name);
        // Before any field is read: a caller learns nothing from a method that it may not use. A path that is no RPC of the
        // interface is refused by the router.
        match Rpc::of_name(call.method().name()) {
            Some(rpc) if !caller.may_call(rpc) => return Err(Refusal::CallerForbidden(rpc)),
            _ => {}
        }
    }
    let left = deadline::of(request.headers()).unwrap_or(USUAL_DEADLINE);
    let deadline = Instant::now().checked_add(left);
    request.extensions_mut().insert(Context { call: Arc::clone(call), caller });
    let answer = AssertUnwindSafe(async {
        let (head, body) = request.into_parts();
        let (body, _held) = arrived(body, MESSAGE_HEAD + MAX_REQUEST, holder).await?;
        let request = Request::from_parts(head, Full::new(body));
        // Not before: requests that do not arrive would keep others out.
        let _room = Room::take(&shared.calls).ok_or(Refusal::Full(FULL))?;
        let response = shared.redirects.clone().call(request).await.unwrap_or_else(|never| match never {});
        Ok(whole(response, holder).await)
    });
    let answer = answer.catch_unwind();
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
    let Ok(answer) = answer else {
        let request_id = call.request_id().to_str().unwrap_or_default();
        tracing::error!(request_id, place = panics::last_place(), "a call panicked");
        return Err(Refusal::InternalFault);
    };
    let response = answer?;
    // tonic's word for a message over its limit, which no service here says of anything else.
    let too_large = Status::from_header_map(response.headers()).is_some_and(|status| status.code() == Code::OutOfRange);
    if too_large { Err(Refusal::RequestTooLarge) } else { Ok(response) }
}

/// The request with its whole body, held while it arrives.
async fn arrived(request: Request<Incoming>, holder: &Holder) -> Result<Request<Full<Bytes>>, Refusal> {
    let (head, body) = request.into_parts();
    let body = body.map_frame(|frame| frame.map_data(|bytes| holder.hold(bytes)));
    match Limited::new(body, MESSAGE_HEAD + MAX_REQUEST).collect().await {
        Ok(body) => Ok(Request::from_parts(head, Full::new(body.to_bytes()))),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::RequestTooLarge),
        // The peer broke it off, and hears no answer.
        Err(_) => Err(Refusal::NotReady),
    }
}

/// The answer with its whole body, held until the peer has taken it: tonic writes it only when the peer has room.
async fn ready(response: Response<Body>, holder: &Holder) -> Response<Body> {
    let (head, body) = response.into_parts();
    let body = match body.collect().await {
        Ok(body) => body,
        Err(status) => return status.into_http(),
    };
    let trailers = body.trailers().cloned().map(Frame::trailers);
    let bytes = Some(body.to_bytes()).filter(|bytes| !bytes.is_empty());
    let frames = bytes.map(|bytes| Frame::data(holder.hold(bytes))).into_iter().chain(trailers).map(Ok::<_, Status>);
    let frames: Vec<_> = frames.collect();
    let body = if frames.is_empty() { Body::empty() } else { Body::new(StreamBody::new(stream::iter(frames))) };
    Response::from_parts(head, body)
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
