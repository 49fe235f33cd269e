//! gRPC health (`grpc.health.v1`): `Check` and `Watch` as the specification describes them. A drain ends the watches.
//!
//! The service of tonic-health answers `SERVING` for `""` from its start, and `NOT_FOUND` to a watch of an unknown
//! service. Its messages have no `List`, which therefore is `UNIMPLEMENTED`.

use std::{pin::Pin, sync::Arc};

use futures_util::{Stream, stream};
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus,
    health_server::{Health, HealthServer},
};

/// The name that is `SERVING` while the process lives, also during a drain.
const LIVENESS: &str = "liveness";
/// The names that are `SERVING` while calls are served, in addition to the names of the services. `""` is the server as
/// a whole.
const READINESS: [&str; 2] = ["", "readiness"];
/// The most bytes of a request. The longest known name has fewer than 50.
const MAX_REQUEST: usize = 1024;

/// Whether the server takes calls. Clones share one state, which begins as not serving.
#[derive(Clone)]
pub(crate) struct Readiness(Arc<watch::Sender<State>>);

impl Readiness {
    /// The state of a server that has not begun to serve.
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(State::Starting)))
    }

    /// Sets whether the server serves (`true`) or drains (`false`). Before the first `true`, `false` changes nothing.
    /// After [`Readiness::end_watches`] this method changes nothing.
    pub(crate) fn set_serving(&self, serving: bool) {
        self.0.send_if_modified(|state| {
            let next = match (*state, serving) {
                (State::Starting | State::Serving | State::Draining, true) => State::Serving,
                (State::Serving, false) => State::Draining,
                (unchanged, _) => unchanged,
            };
            std::mem::replace(state, next) != next
        });
    }

    /// Whether the server takes calls and no shutdown has begun.
    pub(crate) fn is_serving(&self) -> bool {
        *self.0.borrow() == State::Serving
    }

    /// Whether a shutdown has begun.
    pub(crate) fn is_draining(&self) -> bool {
        matches!(*self.0.borrow(), State::Draining | State::Ended)
    }

    /// Why the server takes no calls, as a text for people. `None` while it takes calls.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        match *self.0.borrow() {
            State::Starting => Some("starting"),
            State::Serving => None,
            State::Draining | State::Ended => Some("draining"),
        }
    }

    /// Ends every watch: each sends the final status if it has not sent it yet, and closes with `OK`. From this call on
    /// the server counts as draining.
    pub(crate) fn end_watches(&self) {
        self.0.send_replace(State::Ended);
    }
}

/// The health service for a server of `services`, by their full names.
pub(crate) fn service(readiness: Readiness, services: Vec<&'static str>) -> HealthServer<Statuses> {
    HealthServer::new(Statuses { readiness, services }).max_decoding_message_size(MAX_REQUEST)
}

/// The status of each name.
pub(crate) struct Statuses {
    readiness: Readiness,
    services: Vec<&'static str>,
}

impl Statuses {
    fn subject(&self, name: &str) -> Subject {
        if name == LIVENESS {
            Subject::Liveness
        } else if READINESS.contains(&name) || self.services.contains(&name) {
            Subject::Readiness
        } else {
            Subject::Unknown
        }
    }
}

#[tonic::async_trait]
impl Health for Statuses {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        match self.subject(&request.get_ref().service) {
            Subject::Unknown => Err(Status::not_found("no service of this name")),
            known => Ok(Response::new(response(known.status(*self.readiness.0.borrow())))),
        }
    }

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let watch = Watch {
            subject: self.subject(&request.get_ref().service),
            states: self.readiness.0.subscribe(),
            sent: None,
        };
        Ok(Response::new(Box::pin(stream::unfold(watch, |mut watch| async {
            let status = watch.next().await?;
            Some((Ok(response(status)), watch))
        }))))
    }
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Starting,
    Serving,
    Draining,
    /// The server drains, and watches end.
    Ended,
}

/// The meaning of a name.
#[derive(Clone, Copy)]
enum Subject {
    Liveness,
    Readiness,
    Unknown,
}

impl Subject {
    fn status(self, state: State) -> ServingStatus {
        match (self, state) {
            (Self::Liveness, _) | (Self::Readiness, State::Serving) => ServingStatus::Serving,
            (Self::Readiness, _) => ServingStatus::NotServing,
            (Self::Unknown, _) => ServingStatus::ServiceUnknown,
        }
    }
}

/// One caller's watch of one name.
struct Watch {
    subject: Subject,
    states: watch::Receiver<State>,
    sent: Option<ServingStatus>,
}

impl Watch {
    /// The current status, or the next one that differs from the last one sent. `None` at the end.
    async fn next(&mut self) -> Option<ServingStatus> {
        loop {
            let state = *self.states.borrow_and_update();
            let status = self.subject.status(state);
            if self.sent.replace(status) != Some(status) {
                return Some(status);
            }
            if state == State::Ended {
                return None;
            }
            self.states.changed().await.ok()?;
        }
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, thread};

    use futures_util::{FutureExt, StreamExt};
    use hyper::server::conn::http2;
    use hyper_util::{
        rt::{TokioExecutor, TokioIo},
        service::TowerToHyperService,
    };
    use tokio::net::TcpListener;
    use tonic::{
        Code, Streaming,
        transport::{Channel, Endpoint},
    };
    use tonic_health::pb::health_client::HealthClient;

    use super::*;

    const SERVICE: &str = "a.Service";

    /// A client of a server that has its own runtime and thread, as a worker has.
    async fn client(readiness: &Readiness) -> HealthClient<Channel> {
        let server = service(readiness.clone(), vec![SERVICE]);
        let (sender, address) = tokio::sync::oneshot::channel::<SocketAddr>();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                sender.send(listener.local_addr().unwrap()).unwrap();
                let stream = TokioIo::new(listener.accept().await.unwrap().0);
                let server = TowerToHyperService::new(server);
                let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(stream, server).await;
            });
        });
        let uri = format!("http://{}", address.await.unwrap());
        HealthClient::new(Endpoint::from_shared(uri).unwrap().connect().await.unwrap())
    }

    fn request(name: &str) -> HealthCheckRequest {
        HealthCheckRequest { service: name.to_owned() }
    }

    async fn check(client: &mut HealthClient<Channel>, name: &str) -> Result<ServingStatus, Code> {
        client.check(request(name)).await.map(|answer| answer.into_inner().status()).map_err(|status| status.code())
    }

    async fn watch(client: &mut HealthClient<Channel>, name: &str) -> Streaming<HealthCheckResponse> {
        client.watch(request(name)).await.unwrap().into_inner()
    }

    async fn next(watch: &mut Streaming<HealthCheckResponse>) -> Option<ServingStatus> {
        watch.message().await.unwrap().map(|answer| answer.status())
    }

    #[tokio::test]
    async fn health_check_follows_readiness_from_start_to_drain() {
        let readiness = Readiness::new();
        let mut client = client(&readiness).await;
        for (serving, expected) in [
            (None, ServingStatus::NotServing),
            (Some(true), ServingStatus::Serving),
            (Some(false), ServingStatus::NotServing),
        ] {
            if let Some(serving) = serving {
                readiness.set_serving(serving);
            }
            for name in ["", "readiness", SERVICE] {
                assert_eq!(check(&mut client, name).await, Ok(expected), "{name}");
            }
            assert_eq!(readiness.is_serving(), expected == ServingStatus::Serving);
            assert_eq!(check(&mut client, "liveness").await, Ok(ServingStatus::Serving));
        }
        readiness.end_watches();
        assert_eq!(check(&mut client, "").await, Ok(ServingStatus::NotServing));
        assert_eq!(check(&mut client, "liveness").await, Ok(ServingStatus::Serving));
    }

    #[tokio::test]
    async fn check_of_an_unknown_name_is_not_found() {
        let mut client = client(&Readiness::new()).await;
        for name in ["Readiness", "a.service", "a.Service ", "/"] {
            assert_eq!(check(&mut client, name).await, Err(Code::NotFound), "{name}");
        }
    }

    #[tokio::test]
    async fn a_name_above_the_limit_is_not_read() {
        let mut client = client(&Readiness::new()).await;
        assert_eq!(check(&mut client, &"x".repeat(MAX_REQUEST)).await, Err(Code::OutOfRange));
    }

    #[tokio::test]
    async fn a_watch_sends_the_status_at_once_and_then_only_changes() {
        let readiness = Readiness::new();
        let mut client = client(&readiness).await;
        for name in ["", "readiness", SERVICE] {
            readiness.set_serving(false);
            let mut watch = watch(&mut client, name).await;
            assert_eq!(next(&mut watch).await, Some(ServingStatus::NotServing), "{name}");
            readiness.set_serving(true);
            assert_eq!(next(&mut watch).await, Some(ServingStatus::Serving), "{name}");
            // This change sends no message. The next message is the change after it.
            readiness.set_serving(true);
            readiness.set_serving(false);
            assert_eq!(next(&mut watch).await, Some(ServingStatus::NotServing), "{name}");
        }
    }

    #[tokio::test]
    async fn a_watch_of_liveness_does_not_report_a_drain() {
        let readiness = Readiness::new();
        let mut client = client(&readiness).await;
        let mut liveness = watch(&mut client, LIVENESS).await;
        assert_eq!(next(&mut liveness).await, Some(ServingStatus::Serving));
        // A second watch shows that each change has reached the server before the next one.
        let mut whole = watch(&mut client, "").await;
        assert_eq!(next(&mut whole).await, Some(ServingStatus::NotServing));
        for (serving, expected) in [(true, ServingStatus::Serving), (false, ServingStatus::NotServing)] {
            readiness.set_serving(serving);
            assert_eq!(next(&mut whole).await, Some(expected));
        }
        readiness.end_watches();
        assert_eq!(next(&mut liveness).await, None);
    }

    #[tokio::test]
    async fn a_watch_of_an_unknown_name_says_so_and_stays_open() {
        let readiness = Readiness::new();
        let mut client = client(&readiness).await;
        let mut unknown = watch(&mut client, "nobody").await;
        assert_eq!(next(&mut unknown).await, Some(ServingStatus::ServiceUnknown));
        let mut known = watch(&mut client, "").await;
        assert_eq!(next(&mut known).await, Some(ServingStatus::NotServing));
        readiness.set_serving(true);
        assert_eq!(next(&mut known).await, Some(ServingStatus::Serving));
        assert!(unknown.message().now_or_never().is_none());
        readiness.end_watches();
        assert_eq!(next(&mut unknown).await, None);
    }

    #[tokio::test]
    async fn at_the_end_of_a_drain_a_watch_says_not_serving_and_closes() {
        let readiness = Readiness::new();
        let mut client = client(&readiness).await;
        readiness.set_serving(true);
        let mut before = watch(&mut client, "").await;
        assert_eq!(next(&mut before).await, Some(ServingStatus::Serving));
        readiness.set_serving(false);
        readiness.end_watches();
        assert_eq!(next(&mut before).await, Some(ServingStatus::NotServing));
        assert_eq!(next(&mut before).await, None);
        let mut after = watch(&mut client, "").await;
        assert_eq!(next(&mut after).await, Some(ServingStatus::NotServing));
        assert_eq!(next(&mut after).await, None);
        readiness.set_serving(true);
        assert!(!readiness.is_serving());
    }

    #[tokio::test]
    async fn ten_thousand_health_watches_end_together_at_a_drain() {
        let readiness = Readiness::new();
        let statuses = Statuses { readiness: readiness.clone(), services: vec![] };
        let mut watches = Vec::new();
        for _ in 0..10_000 {
            let mut watch = statuses.watch(Request::new(request(""))).await.unwrap().into_inner();
            assert!(watch.next().await.is_some());
            watches.push(tokio::spawn(watch.collect::<Vec<_>>()));
        }
        tokio::task::yield_now().await;
        readiness.end_watches();
        for watch in watches {
            assert!(watch.await.unwrap().is_empty());
        }
    }

    #[test]
    fn readyz_says_whether_the_server_starts_or_drains() {
        let readiness = Readiness::new();
        readiness.set_serving(false);
        assert_eq!(readiness.reason(), Some("starting"));
        readiness.set_serving(true);
        assert_eq!(readiness.reason(), None);
        readiness.set_serving(false);
        assert_eq!(readiness.reason(), Some("draining"));
    }
}
