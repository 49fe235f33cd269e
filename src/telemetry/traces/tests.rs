//! Spans as a collector gets them, over a real connection.

use std::sync::mpsc;

use http::HeaderValue;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value,
    trace::v1::Span as Exported,
};
use tokio::net::TcpListener;
use tonic::{Code, Request, Response};

use super::*;
use crate::{
    proto::ErrorReason,
    telemetry::{Telemetry, call::Call},
};

const PATH: &str = "/aa.redirect.v1.RedirectService/DecodeRedirect";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const LONG: Duration = Duration::from_secs(30);

struct Collector(mpsc::Sender<ExportTraceServiceRequest>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, tonic::Status> {
        self.0.send(request.into_inner()).unwrap();
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// The resource attributes and spans that reach a collector while `calls` runs.
fn exported(calls: impl FnOnce(&Arc<Telemetry>)) -> (Vec<String>, Vec<Exported>) {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (collector, requests) = mpsc::channel();
    runtime.spawn(async move {
        let service = TowerToHyperService::new(TraceServiceServer::new(Collector(collector)));
        loop {
            let stream = TokioIo::new(listener.accept().await.unwrap().0);
            let service = service.clone();
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new()).http2_only();
                builder.serve_connection(stream, service).await
            });
        }
    });
    let telemetry = Telemetry::new(Some(Tracer::new(&endpoint).unwrap()));
    calls(&telemetry);
    telemetry.shutdown(LONG);
    runtime.shutdown_background();
    let resources: Vec<_> = requests.try_iter().flat_map(|request| request.resource_spans).collect();
    let of_resource =
        |value: &opentelemetry_proto::tonic::common::v1::KeyValue| format!("{}={}", value.key, text(value));
    let names = resources.iter().flat_map(|all| all.resource.iter().flat_map(|one| &one.attributes)).map(of_resource);
    let names = names.collect();
    let spans = resources.into_iter().flat_map(|all| all.scope_spans).flat_map(|scope| scope.spans).collect();
    (names, spans)
}

fn text(value: &opentelemetry_proto::tonic::common::v1::KeyValue) -> String {
    match value.value.as_ref().and_then(|value| value.value.clone()) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn headers(traceparent: &str) -> HeaderMap {
    [("traceparent", traceparent), ("x-request-id", "req-1")]
        .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
        .into_iter()
        .collect()
}

#[test]
fn a_sampled_call_is_one_span_below_its_callers() {
    let (resource, spans) = exported(|telemetry| {
        let call = Call::begin(telemetry, &headers(&format!("00-{TRACE}-b7ad6b7169203331-01")), PATH);
        call.note_refused(ErrorReason::Overloaded);
        call.end(Code::ResourceExhausted);
    });
    assert!(resource.contains(&"service.name=aa-redirect".to_owned()), "{resource:?}");
    assert_eq!(spans.len(), 1);
    let span = &spans[0];
    assert_eq!(span.name, "aa.redirect.v1.RedirectService/DecodeRedirect");
    assert_eq!(span.kind, 2, "a server's");
    assert_eq!(TraceId::from_bytes(span.trace_id.clone().try_into().unwrap()).to_string(), TRACE);
    assert_eq!(SpanId::from_bytes(span.parent_span_id.clone().try_into().unwrap()).to_string(), "b7ad6b7169203331");
    assert!(span.start_time_unix_nano <= span.end_time_unix_nano && span.start_time_unix_nano > 0);
    let attributes: Vec<String> =
        span.attributes.iter().map(|attribute| format!("{}={}", attribute.key, text(attribute))).collect();
    assert_eq!(
        attributes,
        [
            "rpc.system=grpc",
            "rpc.service=aa.redirect.v1.RedirectService",
            "rpc.method=DecodeRedirect",
            "rpc.grpc.status_code=8",
            "aa_redirect.request_id=req-1",
            "aa_redirect.reason=OVERLOADED",
        ]
    );
}

#[test]
fn the_caller_decides_on_sampling_and_a_malformed_traceparent_is_ignored() {
    let (_, spans) = exported(|telemetry| {
        Call::begin(telemetry, &headers(&format!("00-{TRACE}-b7ad6b7169203331-00")), PATH).end(Code::Ok);
        Call::begin(telemetry, &headers("00-0-0-01"), PATH).end(Code::Ok);
        Call::begin(telemetry, &HeaderMap::new(), PATH).end(Code::Internal);
        Call::begin(telemetry, &HeaderMap::new(), "/grpc.health.v1.Health/Check").end(Code::Ok);
    });
    let roots: Vec<i32> = spans
        .iter()
        .map(|span| {
            assert!(span.parent_span_id.is_empty(), "it begins a trace");
            span.status.as_ref().map(|status| status.code).unwrap_or_default()
        })
        .collect();
    assert_eq!(roots, [0, 2], "the second is the server's fault");
}

#[test]
fn an_absent_collector_delays_nothing() {
    // A port that was bound and left again: nobody listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let telemetry = Telemetry::new(Some(Tracer::new(&format!("http://{free}")).unwrap()));
    for _ in 0..10_000 {
        Call::begin(&telemetry, &HeaderMap::new(), PATH).end(Code::Ok);
    }
    telemetry.shutdown(Duration::from_millis(100));
}

#[tokio::test]
async fn a_tracer_may_be_dropped_within_async_code() {
    drop(Tracer::new("http://127.0.0.1:1").unwrap());
}

#[test]
fn an_endpoint_that_cannot_be_used_is_refused() {
    for endpoint in ["https://127.0.0.1:4317", "no url"] {
        assert!(Tracer::new(endpoint).is_err(), "{endpoint}");
    }
}

#[test]
fn traceparent_is_read_by_the_rules_of_w3c() {
    let good = format!("00-{TRACE}-b7ad6b7169203331-01");
    let context = parent(&headers(&good)).unwrap();
    assert_eq!(context.trace_id().to_string(), TRACE);
    assert_eq!(context.span_id().to_string(), "b7ad6b7169203331");
    assert!(context.is_sampled() && context.is_remote());
    let later = format!("cc-{TRACE}-b7ad6b7169203331-08-what-the-future-will-be-like");
    assert!(!parent(&headers(&later)).unwrap().is_sampled());
    for bad in [
        String::new(),
        good.to_uppercase(),
        good.replace("00-", "ff-"),
        format!("{good}-more"),
        format!("{good} "),
        good[..54].to_owned(),
        good.replace(TRACE, &"0".repeat(32)),
        good.replace("b7ad6b7169203331", &"0".repeat(16)),
        good.replace('-', "_"),
        good.replace("b7ad", "g7ad"),
        later.replace("-what", ".what"),
    ] {
        assert!(parent(&headers(&bad)).is_none(), "{bad}");
    }
    let mut two = headers(&good);
    two.append("traceparent", HeaderValue::from_str(&good).unwrap());
    assert!(parent(&two).is_none(), "which of them?");
}
