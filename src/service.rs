//! The five calls: protobuf to domain, the work, domain to protobuf.
//!
//! Cheap refusals come first: nothing costs a key derivation that could have been refused for free.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tonic::{Request, Response, Status};

use crate::{
    callers::Caller,
    codec::{
        self, Deviations, Envelope, errorcode, form,
        kdf::Key,
        members,
        url::{self, Leg, Parameters, Value},
    },
    error::Refusal,
    kdf_pool::KdfPool,
    keyring::{Keyring, Pairing, Unpicked, budget::Budget},
    proto::{self, redirect_service_server::RedirectService},
    reload::Reloaded,
    telemetry::call::Call,
};

mod convert;
mod fields;
mod pairings;
mod tick;
mod work;

use convert::{duration, timestamp};
use fields::Fields;
use work::{Sealing, check_length, random};

/// Bytes of a request at most.
pub const MAX_REQUEST: usize = 64 * 1024;

/// Tells the time; a test hands in its own.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// What a call brings beside its message.
#[derive(Clone)]
pub struct Context {
    /// Its record.
    pub call: Arc<Call>,
    /// Who makes it; none where everybody may.
    pub caller: Option<Arc<Caller>>,
}

/// The service.
pub struct Redirects {
    keyring: Arc<Reloaded<Keyring>>,
    pool: Arc<KdfPool>,
    budget: Arc<Budget>,
    clock: Clock,
}

impl Redirects {
    /// A service over `keyring` that derives keys in `pool` and takes the time from `clock`.
    pub fn new(keyring: Arc<Reloaded<Keyring>>, pool: Arc<KdfPool>, clock: Clock) -> Self {
        Self { keyring, pool, budget: Arc::default(), clock }
    }

    /// What derives its keys, for whoever counts.
    pub fn pool(&self) -> &Arc<KdfPool> {
        &self.pool
    }

    /// Its failure budget, for whoever counts.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    async fn encode_redirect(
        &self,
        context: &Context,
        request: proto::EncodeRedirectRequest,
    ) -> Result<proto::EncodeRedirectResponse, Refusal> {
        let proto::EncodeRedirectRequest { fiu_id, aa_id, redirect, requestor_type, issue_time } = request;
        let now = (self.clock)();
        let mut fields = Fields::default();
        fields.id("fiu_id", &fiu_id);
        fields.optional_id("aa_id", &aa_id);
        let mut redirect = fields.redirect(redirect);
        let requestor_type = fields.requestor_type(requestor_type);
        let chosen = issue_time.is_some();
        let mut issue_time = fields.issue_time(issue_time, now);
        let picked = {
            let keyring = self.keyring.current();
            if aa_id.is_empty() {
                let handled = form::handle(&redirect.userid).and_then(|handle| keyring.by_handle(&fiu_id, handle));
                handled.filter(|pairing| context.may_use(pairing)).cloned()
            } else {
                keyring.of_fiu(&fiu_id, &aa_id, |pairing| context.may_use(pairing)).ok().cloned()
            }
        };
        if let Some(pairing) = &picked {
            fields.window(issue_time, now, &pairing.conventions);
        }
        fields.finish()?;
        context.may_call("EncodeRedirect")?;
        let pairing = &picked.ok_or(Refusal::PairingUnknown { fiu: fiu_id, aa: aa_id })?;
        context.call.pairing(&pairing.fiu, &pairing.aa);
        if !pairing.redirect_hosts.allow(&redirect.redirect) {
            return Err(Refusal::RedirectForbidden("redirect.redirect"));
        }
        if redirect.txnid.is_empty() {
            redirect.txnid = uuid::Builder::from_random_bytes(random()).into_uuid().to_string();
        }
        if !chosen {
            issue_time = self.shared_instant(pairing, 0, now);
        }
        let plaintext = members::write_redirect(&redirect, pairing.conventions.lists);
        let seal = Sealing { leg: Leg::Request, pairing, secret: 0, issue_time, requestor_type, field: "redirect" };
        let sealed = self.seal(plaintext, &seal).await?;
        let query = sealed.query(Leg::Request);
        let url = pairing.webview.as_ref().map(|webview| url::append(webview, &query)).unwrap_or_default();
        check_length("redirect", url.len())?;
        Ok(proto::EncodeRedirectResponse {
            url,
            query,
            params: Some(sealed.into()),
            txnid: std::mem::take(&mut redirect.txnid),
            secret_id: pairing.primary().id.clone(),
            issue_time: Some(timestamp(issue_time)),
            expire_time: Some(timestamp(issue_time + pairing.conventions.max_age)),
        })
    }

    async fn decode_redirect(
        &self,
        context: &Context,
        request: proto::DecodeRedirectRequest,
    ) -> Result<proto::DecodeRedirectResponse, Refusal> {
        use proto::decode_redirect_request::Source;
        let proto::DecodeRedirectRequest { aa_id, source, .. } = request;
        // A source that is missing is refused as an empty URL is.
        let source = source.unwrap_or_else(|| Source::Url(String::new()));
        let mut fields = Fields::default();
        fields.optional_id("aa_id", &aa_id);
        match &source {
            Source::Url(url) => fields.url(url),
            Source::Params(params) => {
                fields.parameter("params.fi", &params.fi);
                fields.parameter("params.reqdate", &params.reqdate);
                fields.parameter("params.ecreq", &params.ecreq);
            }
        }
        fields.finish()?;
        let envelope = match &source {
            Source::Url(url) => Envelope::from_url(url, Leg::Request),
            Source::Params(params) => {
                let parameters = Parameters {
                    fi: Value::plain(&params.fi),
                    date: Value::plain(&params.reqdate),
                    message: Value::plain(&params.ecreq),
                    iv: Value::plain_or_none(&params.iv),
                    requestor_type: Value::plain_or_none(&params.requestor_type),
                };
                Envelope::from_parameters(parameters, Leg::Request, Deviations::default())
            }
        }
        .map_err(|malformed| Refusal::Malformed(Leg::Request, malformed))?;
        let (fiu, aa) = (&envelope.sender, &aa_id);
        context.may_call("DecodeRedirect")?;
        let picked = self.keyring.current().of_fiu(fiu, aa, |pairing| context.may_use(pairing)).cloned();
        let pairing = &picked.map_err(|unpicked| refuse_pairing(unpicked, fiu, aa))?;
        let open = |key: &Key| {
            let (redirect, deviations) = codec::open_redirect(&envelope, key, &pairing.conventions).ok()?;
            // Part of opening: a forbidden host is a failure as any other.
            pairing.redirect_hosts.allow(&redirect.redirect).then_some((redirect, deviations))
        };
        let opened = self.open(context, pairing, &envelope, Leg::Request, open).await?;
        Ok(proto::DecodeRedirectResponse {
            fiu_id: pairing.fiu.clone(),
            aa_id: pairing.aa.clone(),
            redirect: Some(opened.message.into()),
            requestor_type: convert::requestor_type(envelope.requestor_type).into(),
            issue_time: Some(timestamp(opened.instants.issue)),
            age: Some(duration(opened.age)),
            secret_id: pairing.secrets[opened.secret].id.clone(),
            primary_secret: opened.secret == 0,
            deviations: convert::deviations(opened.deviations),
            replay_until: Some(timestamp(opened.instants.last + pairing.conventions.max_age)),
            ..Default::default()
        })
    }

    async fn encode_callback(
        &self,
        context: &Context,
        request: proto::EncodeCallbackRequest,
    ) -> Result<proto::EncodeCallbackResponse, Refusal> {
        let proto::EncodeCallbackRequest { fiu_id, aa_id, callback, redirect_url, issue_time, secret_id } = request;
        let now = (self.clock)();
        let mut fields = Fields::default();
        fields.id("fiu_id", &fiu_id);
        fields.id("aa_id", &aa_id);
        let callback = fields.callback(callback);
        fields.redirect_url(&redirect_url);
        let chosen = issue_time.is_some();
        let mut issue_time = fields.issue_time(issue_time, now);
        let picked = self.keyring.current().of_fiu(&fiu_id, &aa_id, |pairing| context.may_use(pairing)).ok().cloned();
        let mut secret = 0;
        if let Some(pairing) = &picked {
            fields.window(issue_time, now, &pairing.conventions);
            if !secret_id.is_empty() {
                secret = pairing.secret(&secret_id).unwrap_or_else(|| {
                    fields.refuse("secret_id", "must be one of the pairing's secrets, or empty for the primary one");
                    0
                });
            }
        }
        fields.finish()?;
        context.may_call("EncodeCallback")?;
        let pairing = &picked.ok_or(Refusal::PairingUnknown { fiu: fiu_id, aa: aa_id })?;
        context.call.pairing(&pairing.fiu, &pairing.aa);
        if !pairing.redirect_hosts.allow(&redirect_url) {
            return Err(Refusal::RedirectForbidden("redirect_url"));
        }
        if !chosen {
            issue_time = self.shared_instant(pairing, secret, now);
        }
        let plaintext = members::write_callback(&callback, pairing.conventions.lists);
        let seal = Sealing { leg: Leg::Callback, pairing, secret, issue_time, requestor_type: None, field: "callback" };
        let sealed = self.seal(plaintext, &seal).await?;
        let query = sealed.query(Leg::Callback);
        let url = url::append(&redirect_url, &query);
        check_length("redirect_url", url.len())?;
        Ok(proto::EncodeCallbackResponse {
            url,
            query,
            params: Some(sealed.into()),
            secret_id: pairing.secrets[secret].id.clone(),
            issue_time: Some(timestamp(issue_time)),
            expire_time: Some(timestamp(issue_time + pairing.conventions.max_age)),
        })
    }

    async fn decode_callback(
        &self,
        context: &Context,
        request: proto::DecodeCallbackRequest,
    ) -> Result<proto::DecodeCallbackResponse, Refusal> {
        use proto::decode_callback_request::Source;
        let proto::DecodeCallbackRequest { fiu_id, source, .. } = request;
        // A source that is missing is refused as an empty URL is.
        let source = source.unwrap_or_else(|| Source::Url(String::new()));
        let mut fields = Fields::default();
        fields.optional_id("fiu_id", &fiu_id);
        match &source {
            Source::Url(url) => fields.url(url),
            Source::Params(params) => {
                fields.parameter("params.fi", &params.fi);
                fields.parameter("params.resdate", &params.resdate);
                fields.parameter("params.ecres", &params.ecres);
            }
        }
        fields.finish()?;
        let envelope = match &source {
            Source::Url(url) => Envelope::from_url(url, Leg::Callback),
            Source::Params(params) => {
                let parameters = Parameters {
                    fi: Value::plain(&params.fi),
                    date: Value::plain(&params.resdate),
                    message: Value::plain(&params.ecres),
                    iv: Value::plain_or_none(&params.iv),
                    requestor_type: None,
                };
                Envelope::from_parameters(parameters, Leg::Callback, Deviations::default())
            }
        }
        .map_err(|malformed| Refusal::Malformed(Leg::Callback, malformed))?;
        let (fiu, aa) = (&fiu_id, &envelope.sender);
        context.may_call("DecodeCallback")?;
        let picked = self.keyring.current().of_aa(aa, fiu, |pairing| context.may_use(pairing)).cloned();
        let pairing = &picked.map_err(|unpicked| refuse_pairing(unpicked, fiu, aa))?;
        let open = |key: &Key| codec::open_callback(&envelope, key, &pairing.conventions).ok();
        let opened = self.open(context, pairing, &envelope, Leg::Callback, open).await?;
        let last = opened.instants.last + pairing.conventions.max_age;
        Ok(proto::DecodeCallbackResponse {
            fiu_id: pairing.fiu.clone(),
            aa_id: pairing.aa.clone(),
            error_message: errorcode::text(opened.message.errorcode),
            callback: Some(opened.message.into()),
            issue_time: Some(timestamp(opened.instants.issue)),
            age: Some(duration(opened.age)),
            secret_id: pairing.secrets[opened.secret].id.clone(),
            primary_secret: opened.secret == 0,
            deviations: convert::deviations(opened.deviations),
            replay_until: pairing.conventions.check_resdate.then(|| timestamp(last)),
            ..Default::default()
        })
    }
}

impl Context {
    fn may_use(&self, pairing: &Pairing) -> bool {
        self.caller.as_ref().is_none_or(|caller| caller.may_use(&pairing.fiu, &pairing.aa))
    }

    fn may_call(&self, method: &'static str) -> Result<(), Refusal> {
        let may = self.caller.as_ref().is_none_or(|caller| caller.may_call(method));
        if may { Ok(()) } else { Err(Refusal::CallerForbidden(method)) }
    }

    /// What becomes of the call, with a note of why it is refused.
    fn noted<T>(&self, answer: Result<T, Refusal>) -> Result<Response<T>, Status> {
        answer.map(Response::new).map_err(|refusal| {
            self.call.refused(refusal.kind().0);
            refusal.into()
        })
    }
}

/// A request and its context, which the server gives to each.
fn taken<T>(mut request: Request<T>) -> Result<(Context, T), Status> {
    let context = request.extensions_mut().remove::<Context>().ok_or(Refusal::InternalFault)?;
    Ok((context, request.into_inner()))
}

fn refuse_pairing(unpicked: Unpicked, fiu: &str, aa: &str) -> Refusal {
    let (fiu, aa) = (fiu.to_owned(), aa.to_owned());
    match unpicked {
        Unpicked::Unknown => Refusal::PairingUnknown { fiu, aa },
        Unpicked::Ambiguous => Refusal::PairingAmbiguous { fiu, aa },
    }
}

#[tonic::async_trait]
impl RedirectService for Redirects {
    async fn encode_redirect(
        &self,
        request: Request<proto::EncodeRedirectRequest>,
    ) -> Result<Response<proto::EncodeRedirectResponse>, Status> {
        let (context, request) = taken(request)?;
        context.noted(self.encode_redirect(&context, request).await)
    }

    async fn decode_redirect(
        &self,
        request: Request<proto::DecodeRedirectRequest>,
    ) -> Result<Response<proto::DecodeRedirectResponse>, Status> {
        let (context, request) = taken(request)?;
        context.noted(self.decode_redirect(&context, request).await)
    }

    async fn encode_callback(
        &self,
        request: Request<proto::EncodeCallbackRequest>,
    ) -> Result<Response<proto::EncodeCallbackResponse>, Status> {
        let (context, request) = taken(request)?;
        context.noted(self.encode_callback(&context, request).await)
    }

    async fn decode_callback(
        &self,
        request: Request<proto::DecodeCallbackRequest>,
    ) -> Result<Response<proto::DecodeCallbackResponse>, Status> {
        let (context, request) = taken(request)?;
        context.noted(self.decode_callback(&context, request).await)
    }

    async fn list_pairings(
        &self,
        request: Request<proto::ListPairingsRequest>,
    ) -> Result<Response<proto::ListPairingsResponse>, Status> {
        let (context, request) = taken(request)?;
        context.noted(pairings::list(&self.keyring.current(), &context, &request))
    }
}
