//! Serves one call: finds the caller, keeps the deadline and the limits, always gives an answer, and records the call.

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
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, sleep_until};
use tonic::{Code, Status, body::Body};
use tower::{Service, ServiceExt};

use crate::{
    callers::Rpc,
    service::{Context, MAX_REQUEST, RedirectService, error::Refusal},
    telemetry::{
        call::{Call, REQUEST_ID},
        method::Method,
    },
};

use super::{
    Shared,
    body::{Answer, arrived, whole},
    connections::{Held, Holder, InCall, StreamPlace},
    deadline,
    framing::{self, MESSAGE_HEAD},
    identity::{Peer, identify},
    panics,
};

/// The most calls in flight; each may hold a request of 64 KiB.
pub(super) const MAX_CALLS: usize = 4096;
/// How long a caller should wait if the server is full.
const FULL: Duration = Duration::from_secs(1);

/// A request whose body may still be on its way. Boxed, like an answer: every layer would copy its 300 bytes.
pub(super) type Incomplete = Box<Request<Incoming>>;
/// The answer to a call.
type Answered = Result<Box<Response<Answer>>, Refusal>;

/// The answer to `request`, also if it fails. A request whose headers are not acceptable is refused at once.
pub(super) async fn answer<S: RedirectService>(
    shared: Arc<Shared<S>>,
    peer: Arc<Peer>,
    in_call: InCall,
    request: Incomplete,
    refused: Option<Refusal>,
) -> Result<Response<Answer>, Infallible> {
    let holder = &in_call.holder;
    let call = Arc::new(Call::begin(&shared.edges.telemetry, request.headers(), request.uri().path()));
    let mut response = if framing::is_grpc(request.headers()) {
        let answer = match (refused, call.method()) {
            (Some(refusal), _) => Err(refusal),
            (_, method) if method.is_redirect() => guarded(&shared, &peer, &call, holder, request).await,
            (_, Method::Reflection | Method::ReflectionV1Alpha) => reflected(&shared, holder, request).await,
            (_, method) => Box::pin(told(&shared, &call, holder, request, method == Method::HealthWatch)).await,
        };
        answer.unwrap_or_else(|refusal| Box::new(call.refuse(&refusal).into_http()))
    } else {
        let mut response = Box::new(Response::new(Answer::default()));
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        response
    };
    let code = if response.status().is_success() { Code::Ok } else { Code::InvalidArgument };
    // The status of a stream comes at its end, so a stream is counted by the status at its beginning.
    call.end(Status::from_header_map(response.headers()).map_or(code, |status| status.code()));
    response.headers_mut().insert(REQUEST_ID.clone(), call.request_id().clone());
    Ok(*response)
}

/// A call of the redirect service, within its limits.
async fn guarded<S: RedirectService>(
    shared: &Shared<S>,
    peer: &Peer,
    call: &Arc<Call>,
    holder: &Holder,
    mut request: Incomplete,
) -> Answered {
    let caller = match &shared.edges.callers {
        None => None,
        Some(callers) => Some(identify(&callers.current(), peer, request.headers()).map_err(|unknown| {
            call.note_presented(unknown.presented);
            Refusal::CallerUnknown(unknown.hint)
        })?),
    };
    if let Some(caller) = &caller {
        call.note_caller(&caller.name);
        // Before any field is read: a caller learns nothing from a method that it may not use. Every method of the
        // service is an RPC; one that is not would be refused.
        let rpc = Rpc::of_name(call.method().name()).ok_or(Refusal::InternalFault)?;
        if !caller.may_call(rpc) {
            return Err(Refusal::CallerForbidden(rpc));
        }
    }
    let deadline = deadline(shared, call, &request);
    request.extensions_mut().insert(Context { call: Arc::clone(call), caller, deadline: deadline.into_std() });
    let response = within(shared, call, deadline, async {
        let (request, _held) = whole_request(request, holder).await?;
        holder.room().await;
        // Not earlier: requests that never arrive would keep others out.
        let _room = Room::take(&shared.calls).ok_or(Refusal::Full(FULL))?;
        let response = shared.redirects.clone().call(request).await.unwrap_or_else(|never| match never {});
        Ok(whole(response, holder).await)
    });
    response.await.and_then(readable)
}

/// A call of health, or of an unknown method. These get an answer even if all other calls are refused.
async fn told<S: RedirectService>(
    shared: &Shared<S>,
    call: &Call,
    holder: &Holder,
    request: Incomplete,
    is_stream: bool,
) -> Answered {
    let response = within(shared, call, deadline(shared, call, &request), async {
        let (request, _held) = whole_request(request, holder).await?;
        holder.room().await;
        let place = if is_stream { Some(holder.stream(0).ok_or(Refusal::Full(FULL))?) } else { None };
        let response = shared.others.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        match place {
            Some(place) => Ok(streamed(response, holder, place)),
            None => Ok(whole(response, holder).await),
        }
    });
    response.await.and_then(readable)
}

/// A call of reflection. More requests can come while it answers.
async fn reflected<S: RedirectService>(shared: &Shared<S>, holder: &Holder, request: Incomplete) -> Answered {
    holder.room().await;
    // While the peer does not take the answers, its requests wait in the stream's window.
    let place = holder.stream(framing::STREAM_WINDOW as usize).ok_or(Refusal::Full(FULL))?;
    let response = Box::pin(shared.others.clone().oneshot(*request)).await.unwrap_or_else(|never| match never {});
    Ok(streamed(response, holder, place))
}

/// The deadline of a call.
fn deadline<S>(shared: &Shared<S>, call: &Call, request: &Incomplete) -> Instant {
    Instant::from_std(call.begin_time())
        + deadline::of(request.headers()).unwrap_or(Duration::MAX).min(shared.limits.max_deadline)
}

/// The result of `work`, or a refusal if it panics, if its deadline passes, or if the server ends first.
async fn within<S>(
    shared: &Shared<S>,
    call: &Call,
    deadline: Instant,
    work: impl Future<Output = Answered>,
) -> Answered {
    let answer = tokio::select! {
        biased;
        answer = AssertUnwindSafe(work).catch_unwind() => answer,
        () = sleep_until(deadline) => return Err(Refusal::TimedOut),
        () = shared.cut.cancelled() => return Err(Refusal::NotReady),
    };
    // The timer counts whole milliseconds, so it can be late. An answer after the deadline is not sent.
    if deadline <= Instant::now() {
        return Err(Refusal::TimedOut);
    }
    answer.unwrap_or_else(|_| {
        let request_id = call.request_id_text();
        tracing::error!(request_id, place = panics::last_place(), "a call panicked");
        Err(Refusal::InternalFault)
    })
}

/// A request with its one whole message; its bytes count as held until the second value is dropped.
async fn whole_request(request: Incomplete, holder: &Holder) -> Result<(Request<Full<Bytes>>, Held), Refusal> {
    let (head, body) = request.into_parts();
    let (body, held) = arrived(body, MESSAGE_HEAD + MAX_REQUEST, holder).await?;
    framing::check_message(&head.headers, &body)?;
    Ok((Request::from_parts(head, Full::new(body)), held))
}

/// Turns tonic's answer to an unreadable message into a refusal, since that is the caller's fault. tonic answers
/// INTERNAL without details, and every refusal of the services has details.
fn readable(response: Box<Response<Answer>>) -> Answered {
    let status = Status::from_header_map(response.headers());
    match status {
        Some(status) if status.code() == Code::Internal && status.details().is_empty() => {
            Err(Refusal::NotProtobuf("has a message that is not one of this method"))
        }
        _ => Ok(response),
    }
}

/// An answer that is sent piece by piece, each made when there is room for it. It has a place among the streams until
/// it ends.
fn streamed(response: Response<Body>, holder: &Holder, place: StreamPlace) -> Box<Response<Answer>> {
    if response.body().is_end_stream() {
        return Box::new(response.map(Answer::Streamed));
    }
    let holder = holder.clone();
    Box::new(response.map(|body| {
        let pieces = stream::unfold((body, holder, place), async |(mut body, holder, place)| {
            holder.room().await;
            let frame = body.frame().await?.map(|frame| frame.map_data(|bytes| holder.hold(bytes)));
            Some((frame, (body, holder, place)))
        });
        Answer::Streamed(Body::new(StreamBody::new(pieces)))
    }))
}

/// One of the calls that may be in flight.
struct Room<'a>(&'a AtomicUsize);

impl<'a> Room<'a> {
    fn take(calls: &'a AtomicUsize) -> Option<Self> {
        // The call is counted first. If there is no room, the drop of `room` gives the place back.
        let room = Self(calls);
        (calls.fetch_add(1, Ordering::Relaxed) < MAX_CALLS).then_some(room)
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
