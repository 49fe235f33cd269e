//! The five calls: protobuf to domain, the exchange, domain to protobuf.
//!
//! Cheap refusals come first: no refused call costs a key derivation that a cheaper check could have saved. The server
//! checks who may call a method before a call gets here. This module only checks which pairings the caller may use.

use std::{sync::Arc, time::Instant};

use chrono::{DateTime, Utc};
use tonic::{Request, Response, Status};

use crate::{
    callers::Caller,
    codec::Parties,
    exchange::{Exchange, Opened, Refused, Verdict, Window, Witness},
    keyring::{Pairing, Served},
    memory::{CallName, Opening},
    telemetry::call::Call,
};

mod callback;
mod convert;
pub mod error;
mod fields;
mod pairings;
mod received;
mod redirect;

pub use crate::proto::{
    self,
    redirect_service_server::{RedirectService, RedirectServiceServer, SERVICE_NAME},
};

use error::Refusal;
use fields::Fields;

/// The most bytes of a request.
pub const MAX_REQUEST: usize = 64 * 1024;

/// Returns the current time. A test has its own clock.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// The context of a call, beside its message.
#[derive(Clone)]
pub struct Context {
    /// Its record.
    pub call: Arc<Call>,
    /// Who makes it; `None` if everybody may call.
    pub caller: Option<Arc<Caller>>,
    /// When it ends.
    pub deadline: Instant,
}

/// The service.
pub struct Redirects {
    keyring: Arc<Served>,
    exchange: Arc<Exchange>,
    clock: Clock,
}

impl Redirects {
    /// A service over `keyring` that opens and seals through `exchange` and takes the time from `clock`.
    pub fn new(keyring: Arc<Served>, exchange: Arc<Exchange>, clock: Clock) -> Self {
        Self { keyring, exchange, clock }
    }
}

/// An opened message, with everything that the answer says about it.
struct Answered<M> {
    pairing: Arc<Pairing>,
    window: Window,
    opened: Box<Opened<M>>,
    opening: Opening,
}

impl<M> Answered<M> {
    /// The message of a verdict, noted in the call's record.
    ///
    /// # Errors
    /// The refusal, if the caller does not get the message.
    fn of(verdict: Verdict<M>, context: &Context, parties: Parties<'_>) -> Result<Self, Refusal> {
        let Verdict { pairing, window, opened, opening, refused, .. } = verdict;
        if let Some(refused) = refused {
            let parties = pairing.as_ref().map_or(parties, |pairing| Parties { fiu: &pairing.fiu, aa: &pairing.aa });
            return Err(Refusal::of(refused, parties));
        }
        // A verdict without a refusal has gone every step.
        let (Some(pairing), Some(window), Some(opened), Some(opening)) = (pairing, window, opened, opening) else {
            return Err(Refusal::InternalFault);
        };
        context.call.note_opened(&pairing.secrets[opened.secret].id, &opened.deviations);
        Ok(Self { pairing, window, opened, opening })
    }

    fn secret_id(&self) -> String {
        self.pairing.secrets[self.opened.secret].id.clone()
    }
}

impl Context {
    /// The caller's name for this call, if it gives one.
    fn call_name<'a>(&'a self, attempt_id: &'a str) -> Option<CallName<'a>> {
        let caller = self.caller.as_ref().map(|caller| &*caller.name);
        (!attempt_id.is_empty()).then_some(CallName { caller, attempt_id })
    }

    /// The answer to a call, with a note of why it is refused.
    fn answer<T>(&self, answer: Result<T, Refusal>) -> Result<Response<T>, Status> {
        answer.map(Response::new).map_err(|refusal| self.call.refuse(&refusal))
    }
}

impl Call {
    /// Notes why the call is refused, and returns the status for it.
    pub fn refuse(&self, refusal: &Refusal) -> Status {
        self.note_refused(refusal.reason());
        refusal.status(self.request_id_text())
    }
}

impl Witness for Context {
    fn may_use(&self, pairing: &Pairing) -> bool {
        self.caller.as_ref().is_none_or(|caller| caller.may_use(&pairing.fiu, &pairing.aa))
    }

    fn pairing(&self, pairing: &Pairing) {
        self.call.note_pairing(&pairing.fiu, &pairing.aa, pairing.conventions.profile.scheme);
    }

    fn window(&self, window: &Window) {
        self.call.note_date_skew(window.age);
    }
}

/// A message that is too long is the fault of the field that holds it.
fn sealing_refused(refused: Refused, field: &'static str, pairing: &Pairing) -> Refusal {
    match refused {
        Refused::TooLong => fields::too_long(field),
        refused => Refusal::of(refused, Parties { fiu: &pairing.fiu, aa: &pairing.aa }),
    }
}

/// A request and its context, which the server gives to each.
fn taken<T>(mut request: Request<T>) -> Result<(Context, T), Status> {
    let context = request.extensions_mut().remove::<Context>().ok_or_else(|| Refusal::InternalFault.status(""))?;
    Ok((context, request.into_inner()))
}

#[tonic::async_trait]
impl RedirectService for Redirects {
    async fn encode_redirect(
        &self,
        request: Request<proto::EncodeRedirectRequest>,
    ) -> Result<Response<proto::EncodeRedirectResponse>, Status> {
        let (context, request) = taken(request)?;
        context.answer(self.encode_redirect(&context, request).await)
    }

    async fn decode_redirect(
        &self,
        request: Request<proto::DecodeRedirectRequest>,
    ) -> Result<Response<proto::DecodeRedirectResponse>, Status> {
        let (context, request) = taken(request)?;
        context.answer(self.decode_redirect(&context, request).await)
    }

    async fn encode_callback(
        &self,
        request: Request<proto::EncodeCallbackRequest>,
    ) -> Result<Response<proto::EncodeCallbackResponse>, Status> {
        let (context, request) = taken(request)?;
        context.answer(self.encode_callback(&context, request).await)
    }

    async fn decode_callback(
        &self,
        request: Request<proto::DecodeCallbackRequest>,
    ) -> Result<Response<proto::DecodeCallbackResponse>, Status> {
        let (context, request) = taken(request)?;
        context.answer(self.decode_callback(&context, request).await)
    }

    async fn list_pairings(
        &self,
        request: Request<proto::ListPairingsRequest>,
    ) -> Result<Response<proto::ListPairingsResponse>, Status> {
        let (context, request) = taken(request)?;
        context.answer(pairings::list(&self.keyring.current(), &context, &request))
    }
}
