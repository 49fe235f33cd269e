//! Counts calls by method and code, by reason, by the scheme of the pairing, and by caller.

use std::{sync::Arc, time::Duration};

use opentelemetry::trace::TraceId;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tonic::Code;

use super::{
    exemplars::Exemplars,
    histogram::{HANDLING, Histogram},
    labels::{Counters, Labels},
};
use crate::{
    codec::profile::Scheme,
    proto::ErrorReason,
    telemetry::method::{Method, code_names},
};

/// A call that has ended.
#[derive(Clone, Copy)]
pub(crate) struct Ended<'a> {
    pub(crate) method: Method,
    pub(crate) code: Code,
    pub(crate) duration: Duration,
    /// Why it was refused.
    pub(crate) reason: Option<ErrorReason>,
    /// The scheme of its pairing; `None` if the call ended before the pairing was known.
    pub(crate) scheme: Option<Scheme>,
    /// The caller's name in the callers file.
    pub(crate) caller: Option<&'a Arc<str>>,
    /// The trace with the span of this call.
    pub(crate) trace: Option<TraceId>,
}

/// The counts of calls. All except those of callers exist from the start, at 0.
pub(super) struct Calls {
    /// In the order of [`Method::ALL`].
    methods: Vec<CallCounts>,
    by_caller: Family<ByCaller, Counter>,
    exemplars: Exemplars,
}

/// The counts of one method.
struct CallCounts {
    started: Counter,
    /// By code.
    handled: Vec<Counter>,
    handling: Histogram,
    /// By reason; empty for a method without its own refusals.
    refusals: Vec<Counter>,
    /// By scheme; empty for a method that uses no pairing.
    schemes: Vec<(Scheme, Histogram)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCaller {
    caller: Arc<str>,
    method: &'static str,
    grpc_code: &'static str,
}

impl Calls {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let (started, handled) = (Counters::<3>::default(), Counters::<4>::default());
        let (refusals, by_caller) = (Counters::<2>::default(), Family::<ByCaller, Counter>::default());
        let (handling, schemes) =
            (Histograms::<3>::new_with_constructor(new), Histograms::<2>::new_with_constructor(new));
        registry.register("grpc_server_started", "Calls begun", started.clone());
        registry.register("grpc_server_handled", "Calls ended, by code", handled.clone());
        registry.register("grpc_server_handling_seconds", "Time from the start of a call to its end", handling.clone());
        let own = registry.sub_registry_with_prefix("aa_redirect");
        own.register("refusals", "Calls refused, by method and reason", refusals.clone());
        own.register("caller_calls", "Calls ended, by the caller's name in the callers file", by_caller.clone());
        own.register(
            "handling_seconds",
            "Time from the start of a call to its end, by the scheme of its pairing",
            schemes.clone(),
        );
        let counts = |method: Method| {
            let [kind, service, name] =
                [("grpc_type", method.kind()), ("grpc_service", method.service()), ("grpc_method", method.name())];
            let of_code = |code: i32| {
                let (code, _) = code_names(Code::from_i32(code));
                handled.get_or_create_owned(&[kind, service, name, ("grpc_code", code)])
            };
            let of_reason = |reason| refusals.get_or_create_owned(&[("method", method.name()), ("reason", reason)]);
            let of_scheme = |scheme: Scheme| {
                (scheme, schemes.get_or_create_owned(&[("method", method.name()), ("scheme", scheme.name())]))
            };
            let reasons = reasons().filter(|_| method.is_redirect());
            let known = [Scheme::HkdfIv, Scheme::Pbkdf2].into_iter().filter(|_| method.has_scheme());
            CallCounts {
                started: started.get_or_create_owned(&[kind, service, name]),
                handled: (0..=Code::Unauthenticated as i32).map(of_code).collect(),
                handling: handling.get_or_create_owned(&[kind, service, name]),
                refusals: reasons.map(of_reason).collect(),
                schemes: known.map(of_scheme).collect(),
            }
        };
        Self { methods: Method::ALL.map(counts).into(), by_caller, exemplars: Exemplars::new() }
    }

    pub(super) fn started(&self, method: Method) {
        self.methods[method as usize].started.inc();
    }

    pub(super) fn ended(&self, call: Ended<'_>) {
        let Ended { method, code, duration, reason, scheme, caller, trace } = call;
        let counts = &self.methods[method as usize];
        let nanoseconds = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        counts.handled[code as usize].inc();
        counts.handling.observe(nanoseconds);
        if let Some(counter) = reason.and_then(|reason| counts.refusals.get(reason as usize - 1)) {
            counter.inc();
        }
        if let Some((_, handling)) = counts.schemes.iter().find(|(known, _)| Some(*known) == scheme) {
            handling.observe(nanoseconds);
        }
        if let Some(caller) = caller {
            let (grpc_code, _) = code_names(code);
            let labels = ByCaller { caller: Arc::clone(caller), method: method.name(), grpc_code };
            self.by_caller.get_or_create(&labels).inc();
        }
        if let Some(trace) = trace {
            self.exemplars.note(method, nanoseconds, trace);
        }
    }

    /// A page of OpenMetrics with the exemplars in it.
    pub(super) fn with_exemplars(&self, page: &str) -> String {
        self.exemplars.written_into(page)
    }
}

type Histograms<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

fn new() -> Histogram {
    Histogram::new(&HANDLING)
}

/// The names of the reasons without their prefix, from number 1 on.
fn reasons() -> impl Iterator<Item = &'static str> {
    (1..).map_while(|number| ErrorReason::try_from(number).ok()).map(name_of)
}

/// A reason's name without its prefix.
fn name_of(reason: ErrorReason) -> &'static str {
    reason.as_str_name().trim_start_matches("ERROR_REASON_")
}
