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
    },
};

use super::fault::Fault;

mod about;

use about::About;
pub(super) use about::visit;

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
    /// The first one that was sealed or opened, and those that faults have put in its place.
    pub(super) txnids: Vec<String>,
    sessionid: String,
    pub(super) steps: Vec<Arc<Step>>,
    /// Stands for a browser's session with the FIU desk; see [`visit`].
    visit: String,
    expected: Option<ExpectedCallback>,
    /// The queries that were sent last, to recognise what arrives.
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
        let at = kept.place(&about).unwrap_or_else(|| kept.begin());
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
            journey.sends(parameters_of(url));
            if leg == Leg::Request
                && let Some(mut expected) = journey.expected.take()
            {
                fault.changes(&mut expected);
                journey.knows(&expected.txnid);
                journey.expected = Some(expected);
            }
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
        if let Some(journey) = self.kept().find(number) {
            if journey.answers.len() == MOST_STEPS {
                let (form, url) = journey.answers.remove(0);
                journey.bytes -= form.len() + url.len();
            }
            journey.bytes += form.len() + url.len();
            journey.answers.push((form, url));
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// The journey of a step: the one that has sent the message, or else the newest one about the same request.
    fn place(&self, about: &About<'_>) -> Option<usize> {
        if about.expected.is_some() {
            return None;
        }
        let newest = |fits: &dyn Fn(&Journey) -> bool| {
            self.journeys.iter().rposition(|journey| about.is_alike(journey) && fits(journey))
        };
        newest(&|journey| about.was_sent_in(journey)).or_else(|| newest(&|journey| about.is_of(journey)))
    }

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

    /// Adds a `txnid` to those of this journey.
    fn knows(&mut self, txnid: &str) {
        let is_new = !txnid.is_empty() && !self.txnids.iter().any(|known| known == txnid);
        if is_new && self.txnids.len() < MOST_STEPS {
            self.bytes += txnid.len();
            self.txnids.push(txnid.to_owned());
        }
    }

    fn add(&mut self, who: Who, event: Event) {
        if self.steps.len() == MOST_STEPS {
            self.bytes -= size(&self.steps.remove(0).event);
        }
        self.bytes += size(&event);
        self.steps.push(Arc::new(Step { at: Utc::now(), who, event }));
    }

    /// The request with this `replay_key` that an AA has opened.
    pub(super) fn opened(&self, replay_key: &str) -> Option<&DecodeRedirectResponse> {
        let opened = self.steps.iter().rev().filter_map(|step| match &step.event {
            Event::DecodeRedirect(called) => called.answer.as_ref().ok(),
            _ => None,
        });
        opened.into_iter().find(|opened| opened.replay_key == replay_key)
    }

    /// A callback of this journey that was opened before the one with this `replay_key`.
    pub(super) fn answered_before(&self, replay_key: &str) -> Option<&DecodeCallbackResponse> {
        let opened = self.steps.iter().filter_map(|step| match &step.event {
            Event::DecodeCallback(called) => called.answer.as_ref().ok(),
            _ => None,
        });
        opened.take_while(|opened| opened.replay_key != replay_key).last()
    }

    /// The user of this journey; empty if nothing has opened.
    pub(super) fn userid(&self) -> &str {
        let found = self.steps.iter().find_map(|step| match &step.event {
            Event::EncodeRedirect(Called { request, .. }) => Some(&request.redirect.as_ref()?.userid),
            Event::DecodeRedirect(Called { answer, .. }) => Some(&answer.as_ref().ok()?.redirect.as_ref()?.userid),
            Event::EncodeCallback(Called { request, .. }) => Some(&request.callback.as_ref()?.userid),
            Event::DecodeCallback(Called { answer, .. }) => Some(&answer.as_ref().ok()?.callback.as_ref()?.userid),
            Event::Faulty { .. } => None,
        });
        found.map_or("", |userid| userid)
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

/// The parameters of a message in a URL, without the URL's own query in front of them and the fragment behind them.
pub(super) fn parameters_of(url: &str) -> &str {
    let begins = |at: &usize| url[..*at].ends_with(['?', '&', '#']);
    let begin = url.match_indices("fi=").map(|(at, _)| at).find(begins);
    let parameters = begin.map_or(url, |at| &url[at..]);
    parameters.split_once('#').map_or(parameters, |(parameters, _)| parameters)
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
