//! A bug in one call: only that call fails, and nothing of its content is shown.

use std::{fs::File, sync::Arc, time::Duration};

use aa_redirect::{
    proto::{
        DecodeCallbackRequest, DecodeCallbackResponse, DecodeRedirectRequest, DecodeRedirectResponse,
        EncodeCallbackRequest, EncodeCallbackResponse, EncodeRedirectRequest, EncodeRedirectResponse,
        ListPairingsRequest, ListPairingsResponse, redirect_service_client::RedirectServiceClient,
        redirect_service_server::RedirectService,
    },
    server::{Edges, Listener, Listeners, Services},
    telemetry::Telemetry,
};
use tokio::sync::Notify;
use tonic::{Code, Request, Response, Status, async_trait};

use crate::support::{limits, program, reason};

/// A service with two bugs: one before its first wait, and one after it.
#[derive(Clone, Default)]
struct Buggy {
    waiting: Arc<Notify>,
    go_on: Arc<Notify>,
}

#[async_trait]
impl RedirectService for Buggy {
    async fn encode_redirect(
        &self,
        request: Request<EncodeRedirectRequest>,
    ) -> Result<Response<EncodeRedirectResponse>, Status> {
        panic!("{}", request.get_ref().fiu_id)
    }

    async fn decode_redirect(
        &self,
        request: Request<DecodeRedirectRequest>,
    ) -> Result<Response<DecodeRedirectResponse>, Status> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        panic!("{}", request.get_ref().aa_id)
    }

    async fn encode_callback(
        &self,
        _: Request<EncodeCallbackRequest>,
    ) -> Result<Response<EncodeCallbackResponse>, Status> {
        Ok(Response::new(EncodeCallbackResponse::default()))
    }

    async fn decode_callback(
        &self,
        _: Request<DecodeCallbackRequest>,
    ) -> Result<Response<DecodeCallbackResponse>, Status> {
        Ok(Response::new(DecodeCallbackResponse::default()))
    }

    async fn list_pairings(&self, _: Request<ListPairingsRequest>) -> Result<Response<ListPairingsResponse>, Status> {
        self.waiting.notify_one();
        self.go_on.notified().await;
        Ok(Response::new(ListPairingsResponse::default()))
    }
}

#[tokio::test]
async fn a_panic_fails_only_its_own_call_and_logs_its_request_id() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let lines = Arc::new(File::create(log.path()).unwrap());
    // This is the only server in this process: the other tests run the program in separate processes.
    tracing_subscriber::fmt().json().flatten_event(true).with_writer(lines).init();
    let listener = Listener::bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.address().unwrap();
    let buggy = Buggy::default();
    let edges = Edges { tls: None, callers: None, telemetry: Telemetry::new(None) };
    let services = Services::new(buggy.clone(), edges).unwrap();
    let listeners = Listeners { calls: vec![listener], admin: None };
    tokio::spawn(services.run(listeners, std::future::pending(), async {}, limits()));
    let mut client = RedirectServiceClient::new(program::channel(&address).await);
    let in_flight = {
        let mut client = client.clone();
        tokio::spawn(async move { client.list_pairings(ListPairingsRequest::default()).await })
    };
    buggy.waiting.notified().await;
    let mut broken = Request::new(EncodeRedirectRequest { fiu_id: "marker-1".into(), ..Default::default() });
    broken.metadata_mut().insert("x-request-id", "broken-1".parse().unwrap());
    let at_once = client.encode_redirect(broken).await.unwrap_err();
    let later = client
        .decode_redirect(DecodeRedirectRequest { aa_id: "marker-2".into(), source: None, ..Default::default() })
        .await;
    let later = later.unwrap_err();
    for status in [&at_once, &later] {
        assert_eq!((status.code(), &*reason(status)), (Code::Internal, "INTERNAL_FAULT"));
        assert!(!format!("{status:?}").contains("marker"), "{status:?}");
    }
    assert_eq!(at_once.metadata().get("x-request-id").unwrap(), "broken-1");
    client.encode_callback(EncodeCallbackRequest::default()).await.unwrap();
    buggy.go_on.notify_one();
    in_flight.await.unwrap().expect("the other call is served to its end");
    let log = std::fs::read_to_string(log.path()).unwrap();
    let told = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let told: Vec<_> = told.filter(|event| event["request_id"] == "broken-1").collect();
    assert!(told.iter().any(|event| event["message"] == "a call panicked"), "{log}");
    assert!(told.iter().any(|event| event["message"] == "call" && event["reason"] == "INTERNAL_FAULT"), "{log}");
    assert!(!log.contains("marker"), "{log}");
}
