//! The text of a message as the service writes it, and the draft from which a fault is made.

use std::{mem::take, sync::Arc};

use chrono::Utc;

use crate::{
    codec::{RequestorType, members, url::Leg},
    keyring::Pairing,
    proto,
};

use super::fault::Draft;

/// The draft of a request that the service has just sealed.
#[expect(clippy::expect_used, reason = "the service always answers with the parameters")]
pub(super) fn of_request(
    pairing: &Arc<Pairing>,
    request: &proto::EncodeRedirectRequest,
    sealed: &proto::EncodeRedirectResponse,
    base: &str,
) -> Draft {
    let redirect = request.redirect.clone().unwrap_or_default();
    let members = redirect_members(proto::Redirect { txnid: sealed.txnid.clone(), ..redirect });
    Draft {
        leg: Leg::Request,
        secret: 0,
        requestor_type: match request.requestor_type() {
            proto::RequestorType::Unspecified => None,
            proto::RequestorType::Fiu => Some(RequestorType::Fiu),
            proto::RequestorType::Lsp => Some(RequestorType::Lsp),
        },
        date: sealed.params.as_ref().expect("an answer has them").reqdate.clone(),
        text: members::write_redirect(&members, pairing.conventions.lists),
        base: base.to_owned(),
        now: Utc::now(),
        pairing: Arc::clone(pairing),
    }
}

/// The draft of a callback that the service has just sealed.
#[expect(clippy::expect_used, reason = "the service always answers with the parameters")]
pub(super) fn of_callback(
    pairing: &Arc<Pairing>,
    request: &proto::EncodeCallbackRequest,
    sealed: &proto::EncodeCallbackResponse,
) -> Draft {
    let members = callback_members(request.callback.clone().unwrap_or_default());
    Draft {
        leg: Leg::Callback,
        // A keyring that has just changed may have another one: then the primary one.
        secret: pairing.secret(&sealed.secret_id).unwrap_or(0),
        requestor_type: None,
        date: sealed.params.as_ref().expect("an answer has them").resdate.clone(),
        text: members::write_callback(&members, pairing.conventions.lists),
        base: request.redirect_url.clone(),
        now: Utc::now(),
        pairing: Arc::clone(pairing),
    }
}

fn redirect_members(mut redirect: proto::Redirect) -> members::Redirect {
    members::Redirect {
        txnid: take(&mut redirect.txnid),
        sessionid: take(&mut redirect.sessionid),
        userid: take(&mut redirect.userid),
        redirect: take(&mut redirect.redirect),
        srcref: take(&mut redirect.srcref),
        fipid: take(&mut redirect.fipid),
        email: take(&mut redirect.email),
        pan: take(&mut redirect.pan),
        dob: take(&mut redirect.dob),
        iso_language_code: take(&mut redirect.iso_language_code),
        extra: take(&mut redirect.extra),
    }
}

fn callback_members(mut callback: proto::Callback) -> members::Callback {
    members::Callback {
        success: callback.status() == proto::CallbackStatus::Success,
        errorcode: callback.errorcode,
        txnid: take(&mut callback.txnid),
        sessionid: take(&mut callback.sessionid),
        userid: take(&mut callback.userid),
        srcref: take(&mut callback.srcref),
        extra: take(&mut callback.extra),
    }
}
