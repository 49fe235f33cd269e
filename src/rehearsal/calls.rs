//! Calls of the service, from the pages and over gRPC. Each is recorded in its journey.
//!
//! A page is served like every other caller: the same method, the same field checks, the same errors.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::HeaderMap;
use prost::Message;
use tonic::{Code, Request, Response, Status};

use crate::{
    proto::{
        DecodeCallbackRequest, DecodeCallbackResponse, DecodeRedirectRequest, DecodeRedirectResponse,
        EncodeCallbackRequest, EncodeCallbackResponse, EncodeRedirectRequest, EncodeRedirectResponse,
        ListPairingsRequest, ListPairingsResponse,
    },
    service::{Context, MAX_REQUEST, RedirectService, Redirects, error::Refusal},
    telemetry::{Telemetry, call::Call},
};

use super::journeys::{Called, Event, Journeys, Who};

/// How long a call of a page may take.
const TIME_LIMIT: Duration = Duration::from_mins(1);

/// The service, with its journeys.
#[derive(Clone)]
pub struct Calls {
    service: Arc<Redirects>,
    telemetry: Arc<Telemetry>,
    pub(super) journeys: Arc<Journeys>,
}

impl Calls {
    /// The service, with an empty record of journeys.
    pub fn new(service: Redirects, telemetry: Arc<Telemetry>) -> Self {
        Self { service: Arc::new(service), telemetry, journeys: Arc::default() }
    }

    /// A call's answer. The call has its own telemetry record.
    async fn answer<Q: Message + Clone, A>(
        &self,
        method: &str,
        request: &Q,
        call: impl AsyncFnOnce(Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, Status> {
        let path = format!("/aa.redirect.v1.RedirectService/{method}");
        let record = Arc::new(Call::begin(&self.telemetry, &HeaderMap::new(), &path));
        if request.encoded_len() > MAX_REQUEST {
            let refused = record.refuse(&Refusal::RequestTooLarge);
            record.end(refused.code());
            return Err(refused);
        }
        let mut given = Request::new(request.clone());
        given.extensions_mut().insert(Context {
            call: Arc::clone(&record),
            caller: None,
            deadline: Instant::now() + TIME_LIMIT,
        });
        let answer = call(given).await.map(Response::into_inner);
        record.end(answer.as_ref().map_or_else(Status::code, |_| Code::Ok));
        answer
    }
}

macro_rules! methods {
    ($($method:ident, $quietly:ident, $name:ident, $request:ty, $response:ty;)*) => {
        impl Calls {$(
            /// The answer to a call of a page, and the number of its journey.
            pub(super) async fn $method(&self, who: Who, request: $request) -> (u64, Result<$response, Status>) {
                let answer = self.$quietly(&request).await;
                let event = Event::$name(Called { request, answer: answer.clone() });
                (self.journeys.note(who, event), answer)
            }

            /// The answer to a call that is not a step of a journey.
            pub(super) async fn $quietly(&self, request: &$request) -> Result<$response, Status> {
                let call = async |request| RedirectService::$method(&*self.service, request).await;
                self.answer(stringify!($name), request, call).await
            }
        )*}

        #[tonic::async_trait]
        impl RedirectService for Calls {
            $(async fn $method(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                let noted = request.get_ref().clone();
                let answer = RedirectService::$method(&*self.service, request).await;
                let told = answer.as_ref().map(|answer| answer.get_ref().clone()).map_err(Clone::clone);
                self.journeys.note(Who::Caller, Event::$name(Called { request: noted, answer: told }));
                answer
            })*

            async fn list_pairings(
                &self,
                request: Request<ListPairingsRequest>,
            ) -> Result<Response<ListPairingsResponse>, Status> {
                RedirectService::list_pairings(&*self.service, request).await
            }
        }
    };
}

methods! {
    encode_redirect, encode_redirect_quietly, EncodeRedirect, EncodeRedirectRequest, EncodeRedirectResponse;
    decode_redirect, decode_redirect_quietly, DecodeRedirect, DecodeRedirectRequest, DecodeRedirectResponse;
    encode_callback, encode_callback_quietly, EncodeCallback, EncodeCallbackRequest, EncodeCallbackResponse;
    decode_callback, decode_callback_quietly, DecodeCallback, DecodeCallbackRequest, DecodeCallbackResponse;
}
