//! The cost of the stack alone: a service that answers without work, behind the same layers as the real one.

use std::{future::pending, time::Duration};

use aa_redirect::{
    codec::kdf,
    proto::{
        self, DecodeCallbackRequest, DecodeCallbackResponse, DecodeRedirectRequest, DecodeRedirectResponse,
        EncodeCallbackRequest, EncodeCallbackResponse, EncodeRedirectRequest, EncodeRedirectResponse,
        ListPairingsRequest, ListPairingsResponse, redirect_service_server::RedirectService,
    },
    server::{Edges, Limits, Listener, Listeners, Services},
    telemetry::{
        Telemetry,
        logs::{self, Format},
    },
};
use tonic::{Request, Response, Status, async_trait};
use tracing::level_filters::LevelFilter;

/// This environment variable makes the process the echo server.
pub(crate) const VARIABLE: &str = "AA_REDIRECT_BENCH_ECHO";
/// Gives back its text.
pub(crate) const TEXT: &str = "/aa.redirect.v1.RedirectService/EncodeCallback";
/// Derives a key with the library on a thread of `spawn_blocking`.
pub(crate) const BLOCKING: &str = "/aa.redirect.v1.RedirectService/DecodeCallback";
/// Gives back nothing.
pub(crate) const EMPTY: &str = "/aa.redirect.v1.RedirectService/ListPairings";

/// Answers of the same size as those of the service.
struct Echo {
    encode: EncodeRedirectResponse,
    decode: DecodeRedirectResponse,
}

/// Serves on a free port and prints it.
pub(crate) fn serve() {
    let _log = logs::start(Format::Text, LevelFilter::INFO).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = Listener::bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        println!("{}", listener.address().unwrap());
        let services =
            Services::new(Echo::new(), Edges { tls: None, callers: None, telemetry: Telemetry::new(None) }).unwrap();
        let limits = Limits {
            max_connections: 1000,
            max_held: 128 << 20,
            max_connection_age: Duration::from_hours(24),
            max_deadline: Duration::from_mins(1),
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::ZERO,
        };
        services.run(Listeners { calls: vec![listener], admin: None }, pending(), async {}, limits).await.unwrap();
    });
}

impl Echo {
    fn new() -> Self {
        let instant = Some(prost_types::Timestamp { seconds: 1_795_257_600, nanos: 123_456_789 });
        let query = "q".repeat(410);
        Self {
            encode: EncodeRedirectResponse {
                url: "u".repeat(437),
                query,
                params: Some(proto::RedirectParams {
                    fi: "f".repeat(12),
                    reqdate: "0".repeat(15),
                    ecreq: "e".repeat(320),
                    iv: "i".repeat(24),
                    requestor_type: String::new(),
                }),
                txnid: "t".repeat(36),
                secret_id: "new".into(),
                issue_time: instant,
                expire_time: instant,
            },
            decode: DecodeRedirectResponse {
                fiu_id: "fiu@bench".into(),
                aa_id: "hkdf".into(),
                redirect: Some(proto::Redirect {
                    txnid: "t".repeat(36),
                    sessionid: "s".repeat(40),
                    userid: "u".repeat(16),
                    redirect: "r".repeat(32),
                    srcref: vec!["c".repeat(36)],
                    ..proto::Redirect::default()
                }),
                issue_time: instant,
                age: Some(prost_types::Duration { seconds: 1, nanos: 123_456_789 }),
                secret_id: "new".into(),
                primary_secret: true,
                replay_until: instant,
                ..DecodeRedirectResponse::default()
            },
        }
    }
}

#[async_trait]
impl RedirectService for Echo {
    async fn encode_redirect(
        &self,
        _: Request<EncodeRedirectRequest>,
    ) -> Result<Response<EncodeRedirectResponse>, Status> {
        Ok(Response::new(self.encode.clone()))
    }

    async fn decode_redirect(
        &self,
        _: Request<DecodeRedirectRequest>,
    ) -> Result<Response<DecodeRedirectResponse>, Status> {
        Ok(Response::new(self.decode.clone()))
    }

    async fn encode_callback(
        &self,
        request: Request<EncodeCallbackRequest>,
    ) -> Result<Response<EncodeCallbackResponse>, Status> {
        let url = request.into_inner().redirect_url;
        Ok(Response::new(EncodeCallbackResponse { url, ..EncodeCallbackResponse::default() }))
    }

    async fn decode_callback(
        &self,
        _: Request<DecodeCallbackRequest>,
    ) -> Result<Response<DecodeCallbackResponse>, Status> {
        let derived = tokio::task::spawn_blocking(|| kdf::pbkdf2(b"nsrkGE&-p1Qh", "060420210510756"));
        derived.await.map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(DecodeCallbackResponse::default()))
    }

    async fn list_pairings(&self, _: Request<ListPairingsRequest>) -> Result<Response<ListPairingsResponse>, Status> {
        Ok(Response::new(ListPairingsResponse::default()))
    }
}
