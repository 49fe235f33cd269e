//! What the two desks do, without a page: the FIU desk seals a request, the AA desk answers one.

use std::sync::Arc;

use thiserror::Error;
use tokio::{sync::Mutex, task::spawn_blocking};
use tonic::Status;

use crate::{
    codec::{
        Parties,
        url::{self, Leg},
    },
    exchange::{pick, pick_by_handle},
    keyring::{Keyring, Pairing, Served},
    proto::{
        Callback, CallbackStatus, DecodeCallbackRequest, DecodeRedirectRequest, DecodeRedirectResponse,
        EncodeCallbackRequest, EncodeCallbackResponse, EncodeRedirectRequest, decode_callback_request,
        decode_redirect_request,
    },
};

use super::{
    calls::Calls,
    decision::Decision,
    draft,
    fault::{Draft, Fault, Impossible},
    journeys::Who,
};

/// Why a desk cannot do what it was asked to do.
#[derive(Debug, Error)]
pub(super) enum Failed {
    /// The service refuses the call.
    #[error("{}", .0.message())]
    Refused(Box<Status>),
    #[error("{0}")]
    Impossible(#[from] Impossible),
    #[error(
        "This request is forgotten: only the last hundred journeys are kept, and the last 40 steps of each. Open it again"
    )]
    Forgotten,
    #[error("The keyring has changed since this request was sealed or opened. Begin again at the desk of the FIU")]
    KeyringChanged,
    #[error("No consent handle is chosen: choose one, or reject the consent")]
    NothingChosen,
}

impl Failed {
    /// The fault that a message cannot show.
    pub(super) fn impossible(&self) -> Option<Impossible> {
        match self {
            Self::Impossible(why) => Some(*why),
            Self::Refused(_) | Self::Forgotten | Self::KeyringChanged | Self::NothingChosen => None,
        }
    }
}

impl From<Status> for Failed {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

/// The desks of all FIUs and AAs of a keyring.
pub(super) struct Desks {
    pub(super) calls: Calls,
    pub(super) keyring: Arc<Served>,
    /// Locked while a request is answered: a second click waits for the answer to the first.
    answering: Mutex<()>,
}

impl Desks {
    /// The desks of `keyring`, which call the service through `calls`.
    pub(super) fn new(calls: Calls, keyring: Arc<Served>) -> Self {
        Self { calls, keyring, answering: Mutex::default() }
    }

    /// Seals a request, and sends it with `fault` if there is one. `desk` gives the URL of an AA's desk. Returns the
    /// number of the journey that is sent.
    pub(super) async fn send(
        &self,
        mut request: EncodeRedirectRequest,
        fault: Option<Fault>,
        desk: impl Fn(&str) -> String,
    ) -> Result<u64, (u64, Failed)> {
        let keyring = self.keyring.current().clone();
        if let Some(pairing) = pairing_of(&keyring, &request) {
            // The journey and the record need the AA, even if the handle picks it.
            request.aa_id.clone_from(&pairing.aa);
        }
        let (number, sealed) = self.calls.encode_redirect(Who::FiuDesk, request.clone()).await;
        let sealed = sealed.map_err(|status| (number, status.into()))?;
        let (Some(fault), Some(pairing)) = (fault, pairing_of(&keyring, &request)) else { return Ok(number) };
        let base = pairing.webview.clone().unwrap_or_else(|| desk(&pairing.aa));
        let query = match fault {
            Fault::Replay | Fault::Reload => {
                let again = fault == Fault::Replay;
                let query = if again { self.other_request(&request).await } else { Ok(sealed.query) };
                let query = query.map_err(|failed| (number, failed))?;
                self.open_request(&pairing.aa, &query).await;
                url::append(&base, &query)
            }
            _ => {
                let draft = draft::of_request(&pairing, &request, &sealed, &base);
                faulty(draft, fault).await.map_err(|failed| (number, failed.into()))?
            }
        };
        self.calls.journeys.note_fault(number, Who::FiuDesk, (Leg::Request, fault), &query);
        Ok(number)
    }

    /// The URL that answers the opened request with this `replay_key` in a journey. A form that comes twice gets the
    /// same answer.
    pub(super) async fn answer(
        &self,
        (number, replay_key): (u64, &str),
        form: &str,
        decision: &Decision,
    ) -> Result<String, Failed> {
        let _one = self.answering.lock().await;
        if let Some(url) = self.calls.journeys.answered(number, form) {
            return Ok(url);
        }
        let journey = self.calls.journeys.get(number).ok_or(Failed::Forgotten)?;
        let opened = journey.opened(replay_key).ok_or(Failed::Forgotten)?;
        if matches!(decision, Decision::AcceptSome(places) if places.is_empty()) {
            return Err(Failed::NothingChosen);
        }
        let request = callback(opened, decision);
        let (_, sealed) = self.calls.encode_callback(Who::AaDesk, request.clone()).await;
        let sealed = sealed?;
        let url = match *decision {
            Decision::Faulty(fault) => self.faulty_answer(number, fault, &request, sealed).await?,
            _ => sealed.url,
        };
        self.calls.journeys.keep_answer(number, form.to_owned(), url.clone());
        Ok(url)
    }

    async fn faulty_answer(
        &self,
        number: u64,
        fault: Fault,
        request: &EncodeCallbackRequest,
        sealed: EncodeCallbackResponse,
    ) -> Result<String, Failed> {
        let url = match fault {
            Fault::Replay => url::append(&request.redirect_url, &self.other_callback(request).await?),
            Fault::Reload => {
                self.open_callback(request, &sealed.url).await;
                sealed.url
            }
            _ => {
                let keyring = self.keyring.current().clone();
                let parties = Parties { fiu: &request.fiu_id, aa: &request.aa_id };
                let pairing = pick(&keyring, Leg::Request, parties, |_| true).map_err(|_| Failed::KeyringChanged)?;
                let draft = draft::of_callback(&pairing, request, &sealed).ok_or(Failed::KeyringChanged)?;
                faulty(draft, fault).await?
            }
        };
        self.calls.journeys.note_fault(number, Who::AaDesk, (Leg::Callback, fault), &url);
        Ok(url)
    }

    /// A request like this one, but of another journey.
    async fn other_request(&self, request: &EncodeRedirectRequest) -> Result<String, Failed> {
        let mut other = request.clone();
        if let Some(redirect) = &mut other.redirect {
            redirect.txnid.clear();
        }
        Ok(self.calls.encode_redirect_quietly(&other).await?.query)
    }

    /// A callback like this one, but of another journey.
    async fn other_callback(&self, request: &EncodeCallbackRequest) -> Result<String, Failed> {
        let mut other = request.clone();
        if let Some(callback) = &mut other.callback {
            callback.txnid = new_uuid();
        }
        Ok(self.calls.encode_callback_quietly(&other).await?.query)
    }

    /// Opens a request once, so that the next reader learns that it was opened before.
    async fn open_request(&self, aa: &str, query: &str) {
        let source = Some(decode_redirect_request::Source::Url(query.to_owned()));
        let request = DecodeRedirectRequest { aa_id: aa.to_owned(), source, attempt_id: String::new() };
        // If it does not open, the receiver learns why.
        drop(self.calls.decode_redirect_quietly(&request).await);
    }

    /// Opens a callback once, so that the next reader learns that it was opened before.
    async fn open_callback(&self, sealed: &EncodeCallbackRequest, url: &str) {
        let source = Some(decode_callback_request::Source::Url(url.to_owned()));
        let request =
            DecodeCallbackRequest { fiu_id: sealed.fiu_id.clone(), source, ..DecodeCallbackRequest::default() };
        // If it does not open, the receiver learns why.
        drop(self.calls.decode_callback_quietly(&request).await);
    }
}

/// A new random UUID.
pub(super) fn new_uuid() -> String {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string()
}

/// The pairing that a request names, by its AA or by the handle of its user.
fn pairing_of(keyring: &Keyring, request: &EncodeRedirectRequest) -> Option<Arc<Pairing>> {
    let userid = request.redirect.as_ref().map_or("", |redirect| &redirect.userid);
    let picked = if request.aa_id.is_empty() {
        pick_by_handle(keyring, &request.fiu_id, userid, |_| true)
    } else {
        pick(keyring, Leg::Request, Parties { fiu: &request.fiu_id, aa: &request.aa_id }, |_| true)
    };
    picked.ok()
}

#[expect(clippy::expect_used, reason = "a panic while a message is sealed is a bug")]
async fn faulty(draft: Draft, fault: Fault) -> Result<String, Impossible> {
    spawn_blocking(move || draft.url(fault)).await.expect("sealing does not panic")
}

/// The answer to `opened`: its members, unchanged, with the outcome.
#[expect(clippy::expect_used, reason = "the service answers with the members")]
fn callback(opened: &DecodeRedirectResponse, decision: &Decision) -> EncodeCallbackRequest {
    let redirect = opened.redirect.clone().expect("an opened request has members");
    let (errorcode, srcref) = match decision {
        Decision::Accept | Decision::Faulty(_) => (0, redirect.srcref),
        Decision::AcceptSome(places) => {
            (0, places.iter().filter_map(|&place| redirect.srcref.get(place).cloned()).collect())
        }
        Decision::Fail(code) => (*code, Vec::new()),
    };
    let status = if errorcode == 0 { CallbackStatus::Success } else { CallbackStatus::Failure };
    EncodeCallbackRequest {
        fiu_id: opened.fiu_id.clone(),
        aa_id: opened.aa_id.clone(),
        callback: Some(Callback {
            txnid: redirect.txnid,
            sessionid: redirect.sessionid,
            userid: redirect.userid,
            status: status.into(),
            errorcode,
            srcref,
            ..Callback::default()
        }),
        redirect_url: redirect.redirect,
        secret_id: opened.secret_id.clone(),
        issue_time: None,
    }
}
