//! The text of a message as the service writes it, and the draft from which a fault is made.

use std::sync::Arc;

use chrono::Utc;

use crate::{
    codec::{members, url::Leg},
    keyring::Pairing,
    proto,
};

use super::fault::Draft;

/// The draft of a request that the service has just sealed.
#[expect(
    clippy::expect_used,
    reason = "the service seals only a request with members, and answers with the parameters"
)]
pub(super) fn of_request(
    pairing: &Arc<Pairing>,
    request: &proto::EncodeRedirectRequest,
    sealed: &proto::EncodeRedirectResponse,
    base: &str,
) -> Draft {
    let redirect = request.redirect.clone().expect("a sealed request has members");
    let members = proto::Redirect { txnid: sealed.txnid.clone(), ..redirect }.into();
    Draft {
        leg: Leg::Request,
        secret: 0,
        requestor_type: request.requestor_type().into(),
        date: sealed.params.as_ref().expect("an answer has them").reqdate.clone(),
        text: members::write_redirect(&members, pairing.conventions.lists),
        base: base.to_owned(),
        now: Utc::now(),
        pairing: Arc::clone(pairing),
    }
}

/// The draft of a callback that the service has just sealed. `None` if its secret has left the keyring since.
#[expect(
    clippy::expect_used,
    reason = "the service seals only a request with members, and answers with the parameters"
)]
pub(super) fn of_callback(
    pairing: &Arc<Pairing>,
    request: &proto::EncodeCallbackRequest,
    sealed: &proto::EncodeCallbackResponse,
) -> Option<Draft> {
    let members = request.callback.clone().expect("a sealed callback has members").into();
    Some(Draft {
        leg: Leg::Callback,
        secret: pairing.secret(&sealed.secret_id)?,
        requestor_type: None,
        date: sealed.params.as_ref().expect("an answer has them").resdate.clone(),
        text: members::write_callback(&members, pairing.conventions.lists),
        base: request.redirect_url.clone(),
        now: Utc::now(),
        pairing: Arc::clone(pairing),
    })
}
