//! Runs every journey of a keyring once, through the pages themselves, without a socket.

use std::{fmt, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, Response, header},
};
use tower::ServiceExt;

use crate::{
    codec::{Deviation, url::Leg},
    keyring::Pairing,
    proto,
};

use super::{
    Rehearsal,
    decision::Decision,
    fault::{Fault, Impossible, Outcome},
    journeys::{Called, Event, Journey},
    pages::router,
    view,
};

/// How the journeys of one pairing ended.
pub struct Checked {
    /// The FIU's id.
    pub fiu: String,
    /// The AA's id.
    pub aa: String,
    /// The profile of the pairing.
    pub profile: &'static str,
    /// How many ended as expected.
    pub good: usize,
    /// The journeys that this pairing cannot show today, and why.
    pub skipped: Vec<String>,
    /// The journeys that did not end as expected, and how they ended.
    pub failed: Vec<String>,
}

/// One journey: what its sender does, on which leg.
#[derive(Clone, Copy)]
enum Plan {
    Decides(&'static str),
    Faulty(Leg, Fault),
}

/// How a journey ended.
enum End {
    Good,
    Skipped(String),
    Failed(String),
}

/// Runs every journey of every pairing.
pub async fn check(mut rehearsal: Rehearsal) -> Vec<Checked> {
    rehearsal.explanations.is_on = false;
    let rehearsal = Arc::new(rehearsal);
    let keyring = rehearsal.desks.keyring.current().clone();
    let router = router(Arc::clone(&rehearsal));
    let mut checked = Vec::new();
    // One after another: only a hundred journeys are kept.
    for pairing in keyring.pairings() {
        checked.push(of_pairing(&rehearsal, &router, pairing).await);
    }
    checked
}

async fn of_pairing(rehearsal: &Rehearsal, router: &Router, pairing: &Pairing) -> Checked {
    let mut checked = Checked {
        fiu: pairing.fiu.clone(),
        aa: pairing.aa.clone(),
        profile: pairing.conventions.profile.name,
        good: 0,
        skipped: Vec::new(),
        failed: Vec::new(),
    };
    let decisions = ["accept", "accept-first", "reject", "error-6", "error-4294967295"].map(Plan::Decides);
    let of_leg = |leg| Fault::of(leg).map(move |fault| Plan::Faulty(leg, fault));
    for plan in decisions.into_iter().chain(of_leg(Leg::Request)).chain(of_leg(Leg::Callback)) {
        let walk = Walk { rehearsal, router, pairing };
        match walk.end(plan).await {
            End::Good => checked.good += 1,
            End::Skipped(why) => checked.skipped.push(format!("{}: {why}", name(plan))),
            End::Failed(why) => checked.failed.push(format!("{}: {why}", name(plan))),
        }
    }
    checked
}

fn name(plan: Plan) -> String {
    match plan {
        Plan::Decides(name) => name.to_owned(),
        Plan::Faulty(Leg::Request, fault) => format!("request {}", fault.name()),
        Plan::Faulty(Leg::Callback, fault) => format!("callback {}", fault.name()),
    }
}

/// What the service answered to the receiver of a message.
#[derive(Default)]
struct Seen {
    /// `OK`, or the reason of an error; empty if nothing was asked.
    answer: String,
    reopened: bool,
    deviations: Vec<&'static str>,
    callback: Option<proto::Callback>,
}

impl Seen {
    fn of<Q, A>(called: &Called<Q, A>, read: impl Fn(&A) -> (bool, Vec<i32>, Option<proto::Callback>)) -> Self {
        match &called.answer {
            Err(status) => Self { answer: view::reason(status), ..Self::default() },
            Ok(opened) => {
                let (reopened, kinds, callback) = read(opened);
                let kinds = kinds.into_iter().filter_map(|kind| proto::Deviation::try_from(kind).ok());
                let deviations = kinds.map(view::deviation).collect();
                Self { answer: "OK".to_owned(), reopened, deviations, callback }
            }
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answer, reopened, deviations, .. } = self;
        let answer = if answer.is_empty() { "nothing" } else { answer };
        write!(f, "{answer}{}", if *reopened { ", reopened" } else { "" })?;
        if deviations.is_empty() { Ok(()) } else { write!(f, ", deviations: {}", deviations.join(", ")) }
    }
}

/// A browser without a screen.
struct Walk<'a> {
    rehearsal: &'a Rehearsal,
    router: &'a Router,
    pairing: &'a Pairing,
}

impl Walk<'_> {
    async fn end(&self, plan: Plan) -> End {
        let (user, fault) = match plan {
            Plan::Decides(name) => (name.to_owned(), None),
            Plan::Faulty(Leg::Request, fault) => ("accept".to_owned(), Some(fault)),
            Plan::Faulty(Leg::Callback, fault) => (fault.name(), None),
        };
        let journey = match self.send(&user, fault).await {
            Ok(number) => number,
            Err(end) => return end,
        };
        let back = match self.to_aa(journey).await {
            Ok(back) => back,
            Err(end) => return end,
        };
        if !matches!(plan, Plan::Faulty(Leg::Request, _)) {
            let Some(back) = back else { return End::Failed("the AA desk does not answer".to_owned()) };
            self.to_fiu(&back).await;
        }
        let (leg, outcome) = match plan {
            Plan::Decides(_) => (Leg::Callback, Outcome::Opened),
            // A whole URL with its fragment is pasted here, since a browser does not send the fragment.
            Plan::Faulty(Leg::Request, Fault::Deviates(Deviation::InFragment)) => {
                (Leg::Request, Outcome::Repaired(Deviation::InFragment))
            }
            Plan::Faulty(leg, fault) => (leg, fault.outcome(leg, self.pairing)),
        };
        self.judge(journey, leg, outcome, plan)
    }

    /// Sends a request from the FIU desk. Returns the number of its journey.
    async fn send(&self, user: &str, fault: Option<Fault>) -> Result<u64, End> {
        let Pairing { fiu, aa, handles, .. } = self.pairing;
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("aa", aa);
        form.append_pair("userid", &format!("{user}@{}", handles.first().unwrap_or(aa)));
        if let Some(host) = self.pairing.redirect_hosts.entries().first() {
            let visit = super::desks::new_uuid();
            form.append_pair("redirect", &format!("https://{}/callback?visit={visit}", host.replace('*', "www")));
        }
        if let Some(fault) = fault {
            form.append_pair("fault", &fault.name());
        }
        let sent = self.post(&format!("/fiu/{}", view::segment(fiu)), form.finish()).await;
        let number = location(&sent).and_then(|to| to.rsplit('/').next().and_then(|number| number.parse().ok()));
        number.ok_or_else(|| not_done(&sent))
    }

    /// Goes to the AA desk. Returns where the desk sends the browser, if it answers.
    async fn to_aa(&self, journey: u64) -> Result<Option<String>, End> {
        let path = format!("/aa/{}/webview", view::segment(&self.pairing.aa));
        let journey = self.journey(journey).unwrap_or_default();
        let Some((_, sealed)) = journey.sealed() else {
            return Err(End::Failed("the request is forgotten".to_owned()));
        };
        let url = journey.faulty(Leg::Request).map_or_else(|| format!("?{}", sealed.query), |(_, url)| url.to_owned());
        let answer = if url.contains('#') {
            let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("url", &url).finish();
            self.post(&path, form).await
        } else {
            let query = url.split_once('?').map_or("", |(_, query)| query);
            self.get(&format!("{path}?{query}")).await
        };
        match answer.extensions().get::<Impossible>() {
            Some(why) => Err(End::Skipped(why.to_string())),
            None => Ok(location(&answer)),
        }
    }

    /// Comes back to the FIU desk, for any host in the URL.
    async fn to_fiu(&self, back: &str) {
        match back.strip_prefix(&*self.rehearsal.site.pages) {
            // A browser does not send the fragment.
            Some(path) => drop(self.get(path.split('#').next().unwrap_or_default()).await),
            None => {
                let sent = back.split('#').next().unwrap_or_default();
                let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("url", sent).finish();
                self.post(&format!("/fiu/{}/callback", view::segment(&self.pairing.fiu)), form).await;
            }
        }
    }

    fn journey(&self, number: u64) -> Option<Journey> {
        self.rehearsal.desks.calls.journeys.get(number)
    }

    /// The last answer of the service to the receiver of `leg`.
    fn seen(&self, journey: u64, leg: Leg) -> Seen {
        let steps = self.journey(journey).map(|journey| journey.steps).unwrap_or_default();
        let found = steps.iter().rev().find_map(|step| match (&step.event, leg) {
            (Event::DecodeRedirect(called), Leg::Request) => {
                Some(Seen::of(called, |opened| (opened.reopened, opened.deviations.clone(), None)))
            }
            (Event::DecodeCallback(called), Leg::Callback) => {
                Some(Seen::of(called, |opened| (opened.reopened, opened.deviations.clone(), opened.callback.clone())))
            }
            _ => None,
        });
        found.unwrap_or_default()
    }

    fn judge(&self, journey: u64, leg: Leg, outcome: Outcome, plan: Plan) -> End {
        let seen = self.seen(journey, leg);
        let decided = match plan {
            Plan::Decides(name) => decided(name, &seen),
            Plan::Faulty(..) => true,
        };
        let good = decided
            && match outcome {
                Outcome::Opened => seen.answer == "OK" && !seen.reopened,
                Outcome::Repaired(deviation) => seen.answer == "OK" && seen.deviations.contains(&deviation.name()),
                Outcome::Reopened => seen.answer == "OK" && seen.reopened,
                Outcome::Refused(reason) => seen.answer == reason,
            };
        if good { End::Good } else { End::Failed(format!("expected {outcome}, but the service answered {seen}")) }
    }

    async fn get(&self, path: &str) -> Response<Body> {
        self.ask(Method::GET, path, String::new()).await
    }

    async fn post(&self, path: &str, form: String) -> Response<Body> {
        self.ask(Method::POST, path, form).await
    }

    #[expect(clippy::expect_used, reason = "the paths are percent-encoded, and a router answers everything")]
    async fn ask(&self, method: Method, path: &str, form: String) -> Response<Body> {
        let request = Request::builder().method(method).uri(path).header(header::HOST, "127.0.0.1");
        let request = request.body(Body::from(form)).expect("a path");
        self.router.clone().oneshot(request).await.expect("an answer")
    }
}

/// Whether the callback says what the user decided.
fn decided(name: &str, seen: &Seen) -> bool {
    let code = match Decision::named(name) {
        Some(Decision::Fail(code)) => code,
        _ => 0,
    };
    seen.callback
        .as_ref()
        .is_some_and(|callback| callback.errorcode == code && callback.srcref.is_empty() == (code > 0))
}

/// Why a desk sends nothing.
fn not_done(answer: &Response<Body>) -> End {
    match answer.extensions().get::<Impossible>() {
        Some(why) => End::Skipped(why.to_string()),
        None => End::Failed(format!("the FIU desk sends nothing: HTTP {}", answer.status())),
    }
}

fn location(answer: &Response<Body>) -> Option<String> {
    let location = answer.headers().get(header::LOCATION)?;
    String::from_utf8(location.as_bytes().to_vec()).ok()
}
