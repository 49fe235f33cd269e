//! Which journey a step belongs to: what it says about the parties, the request and the message.

use crate::proto::{
    EncodeRedirectRequest, EncodeRedirectResponse, ExpectedCallback, decode_callback_request, decode_redirect_request,
};

use super::{Called, Event, Journey};

/// What a step says about the journey that it belongs to.
#[derive(Default)]
pub(super) struct About<'a> {
    fiu: &'a str,
    aa: &'a str,
    txnid: &'a str,
    sessionid: &'a str,
    /// The URL that was received. It contains the query that was sent, even if it does not open.
    received: &'a str,
    sent: &'a str,
    visit: String,
    pub(super) expected: Option<ExpectedCallback>,
}

impl<'a> About<'a> {
    pub(super) fn of(event: &'a Event) -> Self {
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
                sessionid: answer
                    .as_ref()
                    .ok()
                    .and_then(|opened| opened.redirect.as_ref())
                    .map_or("", |members| &members.sessionid),
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
                sessionid: request.callback.as_ref().map_or("", |callback| &callback.sessionid),
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
        let redirect = request.redirect.as_ref().expect("a sealed request has members");
        Self {
            fiu: &request.fiu_id,
            aa: &request.aa_id,
            txnid: &sealed.txnid,
            sessionid: &redirect.sessionid,
            sent: &sealed.query,
            visit: visit(&redirect.redirect),
            expected: Some(ExpectedCallback {
                txnid: sealed.txnid.clone(),
                sessionid: redirect.sessionid.clone(),
                userid: redirect.userid.clone(),
                aa_id: request.aa_id.clone(),
            }),
            ..Self::default()
        }
    }

    /// Whether what both know of the parties is the same.
    pub(super) fn is_alike(&self, journey: &Journey) -> bool {
        alike(self.fiu, &journey.fiu) && alike(self.aa, &journey.aa)
    }

    pub(super) fn was_sent_in(&self, journey: &Journey) -> bool {
        !self.received.is_empty() && journey.sent.iter().any(|sent| self.received.contains(&**sent))
    }

    pub(super) fn is_of(&self, journey: &Journey) -> bool {
        journey.txnids.iter().any(|txnid| txnid == self.txnid) && alike(self.sessionid, &journey.sessionid)
    }

    pub(super) fn fill(self, journey: &mut Journey) {
        let fill = |own: &mut String, text: &str| {
            if own.is_empty() {
                text.clone_into(own);
            }
        };
        fill(&mut journey.fiu, self.fiu);
        fill(&mut journey.aa, self.aa);
        fill(&mut journey.sessionid, self.sessionid);
        journey.knows(self.txnid);
        if !self.sent.is_empty() {
            journey.sends(self.sent);
        }
        if self.expected.is_some() {
            journey.visit = self.visit;
            journey.expected = self.expected;
        }
    }
}

/// Whether two values are the same, as far as both are known.
fn alike(one: &str, other: &str) -> bool {
    one.is_empty() || other.is_empty() || one == other
}

/// The parameter `visit` of a URL. It stands for the cookie with which a backend recognises the browser that comes
/// back. Empty if the URL has no such parameter.
pub(in crate::rehearsal) fn visit(url: &str) -> String {
    let query = url.split('#').next().and_then(|url| url.split_once('?')).map_or("", |(_, query)| query);
    // A sender may append ? to a URL that already has a query, as the service knows too.
    let mut parts = query.split('?').flat_map(|part| url::form_urlencoded::parse(part.as_bytes()));
    parts.find(|(name, _)| name == "visit").map(|(_, value)| value.into_owned()).unwrap_or_default()
}
