//! The last hundred journeys: what was sealed, sent and opened, who did it, and what the service answered.
//!
//! They are kept only in the memory of this process. Everything here comes from a browser or a caller, so everything
//! has a limit.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use prost::Message;
use tonic::Status;

use crate::{
    codec::url::Leg,
    proto::{
        DecodeCallbackRequest, DecodeCallbackResponse, DecodeRedirectRequest, DecodeRedirectResponse,
        EncodeCallbackRequest, EncodeCallbackResponse, EncodeRedirectRequest, EncodeRedirectResponse, ExpectedCallback,
        decode_callback_request, decode_redirect_request,
    },
};

use super::fault::Fault;

/// The most journeys.
const MOST: usize = 100;
/// The most steps of one journey: each reload of a page adds one.
const MOST_STEPS: usize = 40;
/// The most bytes of all journeys together.
const MOST_BYTES: usize = 32 << 20;

/// Who did a step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    FiuDesk,
    AaDesk,
    /// A caller over gRPC.
    Caller,
}

/// A call with its answer.
pub(super) struct Called<Q, A> {
    pub(super) request: Q,
    pub(super) answer: Result<A, Status>,
}

/// What happened.
pub(super) enum Event {
    EncodeRedirect(Called<EncodeRedirectRequest, EncodeRedirectResponse>),
    DecodeRedirect(Called<DecodeRedirectRequest, DecodeRedirectResponse>),
    EncodeCallback(Called<EncodeCallbackRequest, EncodeCallbackResponse>),
    DecodeCallback(Called<DecodeCallbackRequest, DecodeCallbackResponse>),
    /// A desk has sent a message with a fault in place of the one that the service sealed.
    Faulty {
        leg: Leg,
        fault: Fault,
        url: String,
    },
}

/// One step of a journey.
pub(super) struct Step {
    pub(super) at: DateTime<Utc>,
    pub(super) who: Who,
    pub(super) event: Event,
}

/// One redirect, from the request to the outcome.
#[derive(Clone, Default)]
pub(super) struct Journey {
    /// Counts from 1.
    pub(super) number: u64,
    pub(super) fiu: String,
    pub(super) aa: String,
    /// Empty for a message that did not open.
    pub(super) txnid: String,
    pub(super) steps: Vec<Arc<Step>>,
    /// Stands for a browser's session with the FIU desk; see [`visit`].
    visit: String,
    expected: Option<ExpectedCallback>,
    /// The queries that were sent last, to recognize what arrives.
    sent: Vec<String>,
    /// The answers of an AA desk, each with the form that asked for it.
    answers: Vec<(String, String)>,
    bytes: usize,
}

/// The journeys of a rehearsal.
#[derive(Default)]
pub(super) struct Journeys(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    last: u64,
    /// The oldest first.
    journeys: VecDeque<Journey>,
}

impl Journeys {
    /// Adds a step to the journey that it belongs to. Returns the journey's number.
    pub(super) fn note(&self, who: Who, event: Event) -> u64 {
        let mut kept = self.kept();
        let about = About::of(&event);
        let at = kept.journeys.iter().rposition(|journey| about.is_of(journey));
        let at = at.unwrap_or_else(|| kept.begin());
        let journey = &mut kept.journeys[at];
        about.fill(journey);
        journey.add(who, event);
        let number = journey.number;
        kept.shrink();
        number
    }

    /// Adds a message with a fault to a journey.
    pub(super) fn note_fault(&self, number: u64, who: Who, (leg, fault): (Leg, Fault), url: &str) {
        if let Some(journey) = self.kept().find(number) {
            journey.sends(query_of(url));
            journey.add(who, Event::Faulty { leg, fault, url: url.to_owned() });
        }
    }

    /// All of them, the newest first.
    pub(super) fn all(&self) -> Vec<Journey> {
        self.kept().journeys.iter().rev().cloned().collect()
    }

    /// The journey with this number, if it is not forgotten.
    pub(super) fn get(&self, number: u64) -> Option<Journey> {
        self.kept().find(number).cloned()
    }

    /// The record of the FIU desk for a visit.
    pub(super) fn expected(&self, fiu: &str, visit: &str) -> Option<ExpectedCallback> {
        let kept = self.kept();
        let mut newest = kept.journeys.iter().rev();
        newest.find(|journey| !visit.is_empty() && journey.visit == visit && journey.fiu == fiu)?.expected.clone()
    }

    /// The URL with which the desk has answered this form before.
    pub(super) fn answered(&self, number: u64, form: &str) -> Option<String> {
        let mut kept = self.kept();
        let answers = &kept.find(number)?.answers;
        answers.iter().find(|(found, _)| found == form).map(|(_, url)| url.clone())
    }

    /// Remembers the answer to a form: a double click sends one answer.
    pub(super) fn keep_answer(&self, number: u64, form: String, url: String) {
        if let Some(journey) = self.kept().find(number)
            && journey.answers.len() < MOST_STEPS
        {
            journey.bytes += url.len();
            journey.answers.push((form, url));
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn begin(&mut self) -> usize {
        self.last += 1;
        self.journeys.push_back(Journey { number: self.last, ..Journey::default() });
        self.journeys.len() - 1
    }

    fn find(&mut self, number: u64) -> Option<&mut Journey> {
        self.journeys.iter_mut().find(|journey| journey.number == number)
    }

    fn shrink(&mut self) {
        let mut bytes: usize = self.journeys.iter().map(|journey| journey.bytes).sum();
        while self.journeys.len() > MOST || (bytes > MOST_BYTES && self.journeys.len() > 1) {
            bytes -= self.journeys.pop_front().map_or(0, |journey| journey.bytes);
        }
    }
}

impl Journey {
    fn sends(&mut self, query: &str) {
        if self.sent.len() == MOST_STEPS {
            self.bytes -= self.sent.remove(0).len();
        }
        self.bytes += query.len();
        self.sent.push(query.to_owned());
    }

    fn add(&mut self, who: Who, event: Event) {
        if self.steps.len() == MOST_STEPS {
            self.bytes -= size(&self.steps.remove(0).event);
        }
        self.bytes += size(&event);
        self.steps.push(Arc::new(Step { at: Utc::now(), who, event }));
    }

    /// The latest request of this journey that an AA has opened.
    pub(super) fn opened(&self) -> Option<&DecodeRedirectResponse> {
        self.steps.iter().rev().find_map(|step| match &step.event {
            Event::DecodeRedirect(called) => called.answer.as_ref().ok(),
            _ => None,
        })
    }

    /// The latest call that sealed the request, with its answer.
    pub(super) fn sealed(&self) -> Option<(&EncodeRedirectRequest, &EncodeRedirectResponse)> {
        self.steps.iter().rev().find_map(|step| match &step.event {
            Event::EncodeRedirect(Called { request, answer: Ok(answer) }) => Some((request, answer)),
            _ => None,
        })
    }

    /// The fault with which the message of `leg` was sent last, and its URL.
    pub(super) fn faulty(&self, leg: Leg) -> Option<(Fault, &str)> {
        let last = self.steps.iter().rev().find_map(|step| match (&step.event, leg) {
            (Event::Faulty { leg: of, fault, url }, leg) if *of == leg => Some(Some((*fault, &**url))),
            (Event::EncodeRedirect(_), Leg::Request) | (Event::EncodeCallback(_), Leg::Callback) => Some(None),
            _ => None,
        });
        last.flatten()
    }
}

/// What a step says about the journey that it belongs to.
#[derive(Default)]
struct About<'a> {
    fiu: &'a str,
    aa: &'a str,
    txnid: &'a str,
    /// The URL that was received. It contains the query that was sent, even if it does not open.
    received: &'a str,
    sent: &'a str,
    visit: String,
    expected: Option<ExpectedCallback>,
}

impl<'a> About<'a> {
    fn of(event: &'a Event) -> Self {
        match event {
            Event::EncodeRedirect(called) => Self::sealed(called),
            Event::DecodeRedirect(Called { request, answer }) => Self {
                fiu: answer.as_ref().map_or("", |opened| &opened.fiu_id),
                aa: answer.as_ref().map_or(&request.aa_id, |opened| &opened.aa_id),
                txnid: answer
                    .as_ref()
                    .ok()
                    .and_then(|opened| opened.redirect.as_ref())
                    .map_or("", |members| &members.txnid),
                received: match &request.source {
                    Some(decode_redirect_request::Source::Url(url)) => url,
                    _ => "",
                },
                ..Self::default()
            },
            Event::EncodeCallback(Called { request, answer }) => Self {
                fiu: &request.fiu_id,
                aa: &request.aa_id,
                txnid: request.callback.as_ref().map_or("", |callback| &callback.txnid),
                sent: answer.as_ref().map_or("", |answer| &answer.query),
                ..Self::default()
            },
            Event::DecodeCallback(Called { request, answer }) => Self {
                fiu: &request.fiu_id,
                aa: answer.as_ref().map_or("", |opened| &opened.aa_id),
                txnid: match (answer, &request.expected) {
                    (Ok(opened), _) => opened.callback.as_ref().map_or("", |callback| &callback.txnid),
                    (Err(_), Some(expected)) => &expected.txnid,
                    (Err(_), None) => "",
                },
                received: match &request.source {
                    Some(decode_callback_request::Source::Url(url)) => url,
                    _ => "",
                },
                ..Self::default()
            },
            Event::Faulty { .. } => Self::default(),
        }
    }

    #[expect(clippy::expect_used, reason = "the service seals only a request with members")]
    fn sealed(Called { request, answer }: &'a Called<EncodeRedirectRequest, EncodeRedirectResponse>) -> Self {
        let Ok(sealed) = answer else {
            return Self { fiu: &request.fiu_id, aa: &request.aa_id, ..Self::default() };
        };
        let redirect = request.redirect.clone().expect("a sealed request has members");
        Self {
            fiu: &request.fiu_id,
            aa: &request.aa_id,
            txnid: &sealed.txnid,
            sent: &sealed.query,
            visit: visit(&redirect.redirect),
            expected: Some(ExpectedCallback {
                txnid: sealed.txnid.clone(),
                sessionid: redirect.sessionid,
                userid: redirect.userid,
                aa_id: request.aa_id.clone(),
            }),
            ..Self::default()
        }
    }

    fn is_of(&self, journey: &Journey) -> bool {
        let alike = |own: &str, other: &str| own.is_empty() || other.is_empty() || own == other;
        if !alike(self.fiu, &journey.fiu) || !alike(self.aa, &journey.aa) {
            return false;
        }
        (!self.txnid.is_empty() && self.txnid == journey.txnid)
            || (!self.received.is_empty() && journey.sent.iter().any(|sent| self.received.contains(&**sent)))
    }

    fn fill(self, journey: &mut Journey) {
        let fill = |own: &mut String, text: &str| {
            if own.is_empty() {
                text.clone_into(own);
            }
        };
        fill(&mut journey.fiu, self.fiu);
        fill(&mut journey.aa, self.aa);
        fill(&mut journey.txnid, self.txnid);
        if !self.sent.is_empty() {
            journey.sends(self.sent);
        }
        if self.expected.is_some() {
            journey.visit = self.visit;
            journey.expected = self.expected;
        }
    }
}

/// The parameter `visit` of a URL. It stands for the cookie with which a backend recognises the browser that comes
/// back. Empty if the URL has no such parameter.
pub(super) fn visit(url: &str) -> String {
    let query = url.split('#').next().and_then(|url| url.split_once('?')).map_or("", |(_, query)| query);
    // A sender may append ? to a URL that already has a query, as the service knows too.
    let mut parts = query.split('?').flat_map(|part| url::form_urlencoded::parse(part.as_bytes()));
    parts.find(|(name, _)| name == "visit").map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// The part of a URL that has the parameters.
fn query_of(url: &str) -> &str {
    url.split_once(['?', '#']).map_or(url, |(_, query)| query)
}

fn size(event: &Event) -> usize {
    fn of<Q: Message, A: Message>(Called { request, answer }: &Called<Q, A>) -> usize {
        request.encoded_len() + answer.as_ref().map_or(1024, Message::encoded_len)
    }
    match event {
        Event::EncodeRedirect(called) => of(called),
        Event::DecodeRedirect(called) => of(called),
        Event::EncodeCallback(called) => of(called),
        Event::DecodeCallback(called) => of(called),
        Event::Faulty { url, .. } => url.len(),
    }
}
