//! Health over the port of the calls and over the admin port, and the admin port's pages.

use std::time::Duration;

use http::uri::PathAndQuery;
use tokio::time::timeout;
use tonic::{Code, Request, client::Grpc, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};

use crate::support::program::{Program, channel};

const KEYRING: [&str; 2] = ["--keyring", "tests/support/keyring.toml"];

pub(crate) fn asked(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

/// Asks reflection for the services; each must be listed.
pub(crate) async fn reflect(channel: Channel) {
    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answers = ServerReflectionClient::new(channel).server_reflection_info(tokio_stream::once(list)).await;
    answers.unwrap().into_inner().message().await.unwrap().unwrap();
}

#[tokio::test]
async fn both_ports_report_health_of_server_services_and_liveness() {
    let program = Program::start(&[KEYRING.as_slice(), &["--admin-listen", "127.0.0.1:0"][..]].concat());
    for address in [&program.address, &program.admin] {
        let channel = channel(address).await;
        let mut client = HealthClient::new(channel.clone());
        for service in ["", "liveness", "readiness", "aa.redirect.v1.RedirectService", "grpc.health.v1.Health"] {
            let answer = client.check(asked(service)).await.unwrap().into_inner();
            assert_eq!(answer.status(), ServingStatus::Serving, "{service} on {address}");
        }
        let unknown = client.check(asked("aa.redirect.v2.RedirectService")).await.unwrap_err();
        assert_eq!(unknown.code(), Code::NotFound);
        // The messages of tonic-health are older than `List`, and a client does not need it.
        let mut raw = Grpc::new(channel);
        raw.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
        let list = PathAndQuery::from_static("/grpc.health.v1.Health/List");
        let list = raw.unary(Request::new(asked("")), list, codec).await.unwrap_err();
        assert_eq!(list.code(), Code::Unimplemented);
    }
}

#[tokio::test]
async fn a_watch_of_an_unknown_service_says_so_and_stays_open() {
    let program = Program::start(&KEYRING);
    let mut client = HealthClient::new(channel(&program.address).await);
    let mut unknown = client.watch(asked("no.such.Service")).await.unwrap().into_inner();
    let mut known = client.watch(asked("")).await.unwrap().into_inner();
    assert_eq!(unknown.message().await.unwrap().unwrap().status(), ServingStatus::ServiceUnknown);
    assert_eq!(known.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let more = timeout(Duration::from_millis(500), unknown.message()).await;
    assert!(more.is_err(), "{more:?}");
}

#[tokio::test]
async fn the_admin_port_has_three_pages_and_no_calls() {
    let program = Program::start(&[KEYRING.as_slice(), &["--admin-listen", "127.0.0.1:0"][..]].concat());
    assert_eq!(program.page("/livez").await, (200, "ok".to_owned()));
    assert_eq!(program.page("/readyz").await, (200, "ok".to_owned()));
    let (status, metrics) = program.page("/metrics").await;
    assert_eq!(status, 200);
    assert!(metrics.contains("\naa_redirect_ready 1\n") && metrics.contains("\naa_redirect_draining 0\n"), "{metrics}");
    assert!(!metrics.contains("# EOF"), "the plain text form has no end mark");
    assert_eq!(program.page("/").await.0, 404);
    let mut calls =
        aa_redirect::proto::redirect_service_client::RedirectServiceClient::new(channel(&program.admin).await);
    assert!(calls.list_pairings(aa_redirect::proto::ListPairingsRequest::default()).await.is_err());
}
