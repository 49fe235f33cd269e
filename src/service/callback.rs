//! The callback leg: `EncodeCallback` for an AA, `DecodeCallback` for an FIU.

use crate::{
    codec::{
        Parties, errorcode, members,
        url::{self, Leg},
    },
    exchange::{Asked, Expected, Question, Sealing, Witness, pick},
    memory, proto,
};

use super::{
    Answered, Context, Fields, Redirects, Refusal,
    convert::{self, duration, timestamp},
    fields::check_length,
    received::{Received, Source},
    redirect::forbidden,
    sealing_refused,
};

impl Redirects {
    /// Seals the outcome of a request.
    pub(super) async fn encode_callback(
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
        let chosen = fields.issue_time(issue_time);
        let parties = Parties { fiu: &fiu_id, aa: &aa_id };
        let picked = pick(&self.keyring.current(), Leg::Request, parties, |pairing| context.may_use(pairing));
        let mut secret = 0;
        if let Ok(pairing) = &picked {
            if let Some(chosen) = chosen {
                fields.window(chosen, now, &pairing.conventions);
            }
            if !secret_id.is_empty() {
                match pairing.secret(&secret_id) {
                    Some(named) => secret = named,
                    None => {
                        fields
                            .refuse("secret_id", "must be one of the pairing's secrets, or empty for the primary one");
                    }
                }
            }
        }
        fields.finish()?;
        let pairing = &picked.map_err(|refused| Refusal::of(refused, parties))?;
        context.pairing(pairing);
        if !pairing.redirect_hosts.allow(&redirect_url) {
            return Err(forbidden("redirect_url", pairing));
        }
        let issue_time = chosen.unwrap_or_else(|| self.exchange.issue_time(pairing, secret, now));
        let plaintext = members::write_callback(&callback, pairing.conventions.lists);
        let deadline = Some(context.deadline);
        let sealing = Sealing { leg: Leg::Callback, pairing, secret, issue_time, requestor_type: None, deadline };
        let sealed = self.exchange.seal(plaintext, &sealing).await;
        let sealed = sealed.map_err(|refused| sealing_refused(refused, "callback", pairing))?;
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

    /// Opens the callback that a browser brought.
    pub(super) async fn decode_callback(
        &self,
        context: &Context,
        request: proto::DecodeCallbackRequest,
    ) -> Result<proto::DecodeCallbackResponse, Refusal> {
        let proto::DecodeCallbackRequest { fiu_id, source, expected, attempt_id } = request;
        let (keyring, now) = (self.keyring.current().clone(), (self.clock)());
        let source = Source::of_callback(source.as_ref());
        let receiver = ("fiu_id", &*fiu_id);
        let received = Received { leg: Leg::Callback, receiver, attempt_id: &attempt_id, source };
        let envelope = received.envelope(context, &keyring, now)?;
        let expected = expected.as_ref().map(|expected| Expected {
            txnid: &expected.txnid,
            sessionid: &expected.sessionid,
            userid: &expected.userid,
            aa: &expected.aa_id,
        });
        let asked = Asked { expected, call: context.call_name(&attempt_id), deadline: Some(context.deadline) };
        let question = Question { keyring: &keyring, envelope: &envelope, receiver: &fiu_id, now, asked };
        let verdict = self.exchange.open::<members::Callback>(question, context).await;
        let answered = Answered::of(verdict, context, Parties::of(Leg::Callback, &envelope.sender, &fiu_id))?;
        Ok(proto::DecodeCallbackResponse {
            fiu_id: answered.pairing.fiu.clone(),
            aa_id: answered.pairing.aa.clone(),
            secret_id: answered.secret_id(),
            primary_secret: answered.opened.secret == 0,
            error_message: errorcode::text(answered.opened.message.errorcode),
            issue_time: Some(timestamp(answered.window.instants.issue)),
            age: Some(duration(answered.window.age)),
            deviations: convert::deviations(&answered.opened.deviations),
            deviation_details: convert::details(&answered.opened.deviations),
            authenticated: answered.opened.authenticated,
            replay_until: answered.window.end().map(timestamp),
            replay_key: memory::replay_key(&answered.pairing, &envelope),
            reopened: answered.opening.reopened,
            first_open_time: Some(timestamp(answered.opening.first)),
            callback: Some(answered.opened.message.into()),
        })
    }
}
