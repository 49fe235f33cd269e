//! The request leg: `EncodeRedirect` for an FIU, `DecodeRedirect` for an AA.

use std::sync::Arc;

use crate::{
    codec::{
        Parties, members,
        url::{self, Leg},
    },
    exchange::{Asked, Question, Refused, Sealing, Witness, pick, pick_by_handle},
    keyring::Pairing,
    memory, proto,
};

use super::{
    Answered, Context, Fields, Redirects, Refusal,
    convert::{self, duration, timestamp},
    received::{Received, Source},
    sealing_refused,
};

impl Redirects {
    /// Seals the members of a redirect.
    pub(super) async fn encode_redirect(
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
        let chosen = fields.issue_time(issue_time);
        let picked = self.receiver_of(context, &fiu_id, &aa_id, &redirect.userid);
        if let (Ok(pairing), Some(chosen)) = (&picked, chosen) {
            fields.window(chosen, now, &pairing.conventions);
        }
        fields.finish()?;
        let pairing = &picked.map_err(|refused| Refusal::of(refused, Parties { fiu: &fiu_id, aa: &aa_id }))?;
        context.pairing(pairing);
        if !pairing.redirect_hosts.allow(&redirect.redirect) {
            return Err(forbidden("redirect.redirect", pairing));
        }
        if redirect.txnid.is_empty() {
            redirect.txnid = uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string();
        }
        let issue_time = chosen.unwrap_or_else(|| self.exchange.issue_time(pairing, 0, now));
        let plaintext = members::write_redirect(&redirect, pairing.conventions.lists);
        let deadline = Some(context.deadline);
        let sealing = Sealing { leg: Leg::Request, pairing, secret: 0, issue_time, requestor_type, deadline };
        let sealed = self.exchange.seal(plaintext, &sealing).await;
        let sealed = sealed.map_err(|refused| sealing_refused(refused, "redirect", pairing))?;
        let query = sealed.query(Leg::Request);
        let url = pairing.webview.as_ref().map(|webview| url::append(webview, &query)).unwrap_or_default();
        super::fields::check_length("redirect", url.len())?;
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

    /// The pairing of an FIU that names an AA, or a user whose handle leads to one.
    fn receiver_of(&self, context: &Context, fiu: &str, aa: &str, userid: &str) -> Result<Arc<Pairing>, Refused> {
        let keyring = self.keyring.current();
        if !aa.is_empty() {
            return pick(&keyring, Leg::Request, Parties { fiu, aa }, |pairing| context.may_use(pairing));
        }
        pick_by_handle(&keyring, fiu, userid, |pairing| context.may_use(pairing))
    }

    /// Opens the redirect that a browser brought.
    pub(super) async fn decode_redirect(
        &self,
        context: &Context,
        request: proto::DecodeRedirectRequest,
    ) -> Result<proto::DecodeRedirectResponse, Refusal> {
        let proto::DecodeRedirectRequest { aa_id, source, attempt_id } = request;
        let (keyring, now) = (self.keyring.current().clone(), (self.clock)());
        let source = Source::of_request(source.as_ref());
        let receiver = ("aa_id", &*aa_id);
        let received = Received { leg: Leg::Request, receiver, attempt_id: &attempt_id, source };
        let envelope = received.envelope(context, &keyring, now)?;
        let asked = Asked { expected: None, call: context.call_name(&attempt_id), deadline: Some(context.deadline) };
        let question = Question { keyring: &keyring, envelope: &envelope, receiver: &aa_id, now, asked };
        let verdict = self.exchange.open::<members::Redirect>(question, context).await;
        let answered = Answered::of(verdict, context, Parties::of(Leg::Request, &envelope.sender, &aa_id))?;
        Ok(proto::DecodeRedirectResponse {
            fiu_id: answered.pairing.fiu.clone(),
            aa_id: answered.pairing.aa.clone(),
            secret_id: answered.secret_id(),
            primary_secret: answered.opened.secret == 0,
            requestor_type: convert::requestor_type(envelope.requestor_type).into(),
            issue_time: Some(timestamp(answered.window.instants.issue)),
            age: Some(duration(answered.window.age)),
            deviations: convert::deviations(&answered.opened.deviations),
            deviation_details: convert::details(&answered.opened.deviations),
            authenticated: answered.opened.authenticated,
            replay_until: answered.window.end().map(timestamp),
            replay_key: memory::replay_key(&answered.pairing, &envelope),
            reopened: answered.opening.reopened,
            first_open_time: Some(timestamp(answered.opening.first)),
            redirect: Some(answered.opened.message.into()),
        })
    }
}

/// The host that `field` leads to is not allowed.
pub(super) fn forbidden(field: &'static str, pairing: &Pairing) -> Refusal {
    Refusal::RedirectForbidden { field, fiu: pairing.fiu.clone(), aa: pairing.aa.clone() }
}
