//! A server in the test's own process, with a clock that the test sets, and a sender that shares no code with it.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test binary uses a part")]

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use aa_redirect::{
    exchange::Exchange,
    files::reload::Reloaded,
    keyring,
    keys::KdfPool,
    memory::Memory,
    proto::{
        CallbackParams, DecodeCallbackRequest, DecodeCallbackResponse, DecodeRedirectRequest, DecodeRedirectResponse,
        Deviation, RedirectParams, decode_callback_request, decode_redirect_request,
        redirect_service_client::RedirectServiceClient,
    },
    server::{Edges, Limits, Listener, Listeners, Services},
    service::Redirects,
    telemetry::Telemetry,
};
use chrono::{DateTime, Utc};
use prost::Message;
use tokio::sync::oneshot;
use tonic::{Status, transport::Channel};
use tonic_types::StatusExt;

pub mod certificates;
pub mod program;
pub mod sender;

/// The instant at which a test's clock starts: 23.756 seconds into a minute.
pub const NOW: &str = "2026-11-21T10:40:23.756Z";
/// That instant as each style writes it.
pub const MILLIS: &str = "211120261040756";
pub const TENTHS: &str = "211120261040237";
pub const FULL: &str = "21112026104023756";
pub const SECONDS: &str = "21112026104023";

/// A running server.
pub struct Server {
    pub client: RedirectServiceClient<Channel>,
    pub channel: Channel,
    pub address: String,
    pub pool: Arc<KdfPool>,
    pub memory: Arc<Memory>,
    now: Arc<Mutex<DateTime<Utc>>>,
    _stop: oneshot::Sender<()>,
}

/// Starts a server over `tests/support/keyring.toml`.
pub async fn start() -> Server {
    start_with(Path::new("tests/support/keyring.toml")).await
}

/// Starts a server over another keyring file.
pub async fn start_with(keyring: &Path) -> Server {
    start_server(keyring, limits()).await
}

/// Starts a server with other limits.
pub async fn start_limited(limits: Limits) -> Server {
    start_server(Path::new("tests/support/keyring.toml"), limits).await
}

async fn start_server(keyring: &Path, limits: Limits) -> Server {
    let keyring = keyring.to_owned();
    let (keyring, _) = Reloaded::load("keyring", move |read| keyring::load_with(&keyring, read)).unwrap();
    let now = Arc::new(Mutex::new(NOW.parse().unwrap()));
    let clock = Arc::clone(&now);
    let (pool, memory) = (Arc::new(KdfPool::new(2).unwrap()), Arc::new(Memory::default()));
    let exchange = Arc::new(Exchange::new(Arc::clone(&pool), Arc::clone(&memory)));
    let redirects = Redirects::new(Arc::new(keyring), exchange, Arc::new(move || *clock.lock().unwrap()));
    let listener = Listener::bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.address().unwrap();
    let (stop, stopped) = oneshot::channel();
    let services =
        Services::new(redirects, Edges { tls: None, callers: None, telemetry: Telemetry::new(None) }).unwrap();
    tokio::spawn(services.run(
        Listeners { calls: vec![listener], admin: None },
        async { drop(stopped.await) },
        async {},
        limits,
    ));
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    Server { client: RedirectServiceClient::new(channel.clone()), channel, address, pool, memory, now, _stop: stop }
}

/// Limits with which a test's server ends at once.
pub fn limits() -> Limits {
    Limits {
        max_connections: 1000,
        max_held: 128 << 20,
        max_connection_age: Duration::from_hours(1),
        max_deadline: Duration::from_mins(1),
        drain_delay: Duration::ZERO,
        drain_timeout: Duration::ZERO,
    }
}

impl Server {
    pub fn set_now(&self, now: &str) {
        *self.now.lock().unwrap() = now.parse().unwrap();
    }

    pub async fn decode_redirect(&mut self, url: &str) -> Result<DecodeRedirectResponse, Status> {
        self.decode_redirect_for("", url).await
    }

    pub async fn decode_redirect_for(&mut self, aa_id: &str, url: &str) -> Result<DecodeRedirectResponse, Status> {
        let source = Some(decode_redirect_request::Source::Url(url.to_owned()));
        let request = DecodeRedirectRequest { aa_id: aa_id.to_owned(), source, ..Default::default() };
        self.client.decode_redirect(request).await.map(tonic::Response::into_inner)
    }

    pub async fn decode_redirect_params(
        &mut self,
        aa_id: &str,
        params: RedirectParams,
    ) -> Result<DecodeRedirectResponse, Status> {
        let source = Some(decode_redirect_request::Source::Params(params));
        let request = DecodeRedirectRequest { aa_id: aa_id.to_owned(), source, ..Default::default() };
        self.client.decode_redirect(request).await.map(tonic::Response::into_inner)
    }

    pub async fn decode_callback(&mut self, url: &str) -> Result<DecodeCallbackResponse, Status> {
        self.decode_callback_for("fiu@test", url).await
    }

    pub async fn decode_callback_for(&mut self, fiu_id: &str, url: &str) -> Result<DecodeCallbackResponse, Status> {
        let source = Some(decode_callback_request::Source::Url(url.to_owned()));
        let request = DecodeCallbackRequest { fiu_id: fiu_id.to_owned(), source, ..Default::default() };
        self.client.decode_callback(request).await.map(tonic::Response::into_inner)
    }

    pub async fn decode_callback_params(
        &mut self,
        fiu_id: &str,
        params: CallbackParams,
    ) -> Result<DecodeCallbackResponse, Status> {
        let source = Some(decode_callback_request::Source::Params(params));
        let request = DecodeCallbackRequest { fiu_id: fiu_id.to_owned(), source, ..Default::default() };
        self.client.decode_callback(request).await.map(tonic::Response::into_inner)
    }
}

/// The names of deviations, in the order of the answer.
pub fn names(deviations: &[i32]) -> Vec<&'static str> {
    deviations.iter().map(|&deviation| Deviation::try_from(deviation).unwrap().as_str_name()).collect()
}

/// The reason of a refusal, whose domain is checked.
pub fn reason(status: &Status) -> String {
    let info = status.get_details_error_info().expect("every refusal has an ErrorInfo");
    assert_eq!(info.domain, "aa.redirect.v1");
    assert!(status.details().len() < 4096, "details stay under 4 KiB");
    info.reason
}

/// A variable of a refusal.
pub fn metadata(status: &Status, name: &str) -> Option<String> {
    status.get_details_error_info()?.metadata.get(name).cloned()
}

/// Everything that a refusal shows, except the request id, which is different for each call.
pub fn face(status: &Status) -> (i32, String, Vec<u8>) {
    let mut details = tonic_types::pb::Status::decode(status.details()).unwrap();
    let all = details.details.len();
    details.details.retain(|detail| detail.type_url != "type.googleapis.com/google.rpc.RequestInfo");
    assert_eq!(details.details.len(), all - 1, "one request id");
    (status.code().into(), status.message().to_owned(), details.encode_to_vec())
}

/// The paths of the fields that a refusal names.
pub fn fields(status: &Status) -> Vec<String> {
    assert_eq!(reason(status), "FIELD_INVALID", "{status:?}");
    let violations = status.get_details_bad_request().unwrap().field_violations;
    violations.into_iter().map(|violation| violation.field).collect()
}
