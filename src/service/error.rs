//! Why a call is refused, and the only place where that becomes a gRPC status.
//!
//! Every status carries one `google.rpc.ErrorInfo`: the reason never changes, the message may, and the metadata holds
//! every variable of the message, in sorted order. No payload, user id, secret or URL is ever part of one.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use prost::Message;
use tonic::{Code, Status, metadata::MetadataMap};
use tonic_types::pb;

use crate::{
    callers::Rpc,
    codec::{
        Malformed, Parties,
        profile::Scheme,
        url::{Leg, UrlProblem},
    },
    exchange::{Differences, Refused},
    proto::ErrorReason,
};

use super::MAX_REQUEST;

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "aa.redirect.v1";
/// Tells clients when to try again, in milliseconds; a negative number tells them not to (gRFC A6).
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// A request field that is missing or malformed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its path, such as `redirect.userid`.
    pub field: &'static str,
    /// What it must be, without an echo of what it was.
    pub description: String,
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// All fields that are missing or malformed.
    FieldInvalid(Vec<Violation>),
    /// The URL, the date or another parameter of the leg cannot be read.
    Malformed(Leg, Malformed),
    /// The exchange refuses the message; an id that is not known is empty.
    Exchange {
        /// Why.
        refused: Refused,
        /// The FIU's id.
        fiu: String,
        /// The AA's id.
        aa: String,
    },
    /// The host that a field leads to is not allowed.
    RedirectForbidden {
        /// The field's path.
        field: &'static str,
        /// The FIU's id.
        fiu: String,
        /// The AA's id.
        aa: String,
    },
    /// The call has no credentials, or none of the callers file.
    CallerUnknown,
    /// The caller may not use this RPC.
    CallerForbidden(Rpc),
    /// The server is full; try again after this time.
    Full(Duration),
    /// The server ends before the call does.
    NotReady,
    /// The caller's deadline has passed.
    TimedOut,
    /// A bug, or a failure of the system. The detail goes to the log.
    InternalFault,
    /// The request is over [`MAX_REQUEST`].
    RequestTooLarge,
}

/// The message and metadata of a refusal.
struct Text {
    message: String,
    metadata: BTreeMap<String, String>,
}

/// `google.rpc.ErrorInfo` with its metadata in sorted order: equal refusals are equal bytes.
#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: BTreeMap<String, String>,
}

impl Refusal {
    /// What the exchange refuses of a message between `parties`.
    pub fn of(refused: Refused, parties: Parties<'_>) -> Self {
        Self::Exchange { refused, fiu: parties.fiu.to_owned(), aa: parties.aa.to_owned() }
    }

    /// The reason that callers read.
    pub fn reason(&self) -> ErrorReason {
        match self {
            Self::FieldInvalid(_) => ErrorReason::FieldInvalid,
            Self::Malformed(_, Malformed::Url(_)) => ErrorReason::UrlMalformed,
            Self::Malformed(_, Malformed::Date { .. }) => ErrorReason::DateMalformed,
            Self::Malformed(_, Malformed::Parameter { .. }) => ErrorReason::ParameterMalformed,
            Self::Exchange { refused, .. } => reason_of(*refused),
            Self::RedirectForbidden { .. } => ErrorReason::RedirectForbidden,
            Self::CallerUnknown => ErrorReason::CallerUnknown,
            Self::CallerForbidden(_) => ErrorReason::CallerForbidden,
            Self::Full(_) => ErrorReason::Overloaded,
            Self::NotReady => ErrorReason::NotReady,
            Self::TimedOut => ErrorReason::TimedOut,
            Self::InternalFault => ErrorReason::InternalFault,
            Self::RequestTooLarge => ErrorReason::RequestTooLarge,
        }
    }

    /// The message for the caller: what is wrong, whose side, what to do.
    pub fn message(&self) -> String {
        self.text().message
    }

    /// The status of a call that is refused, under the call's request id.
    #[expect(clippy::expect_used, reason = "delays come from the queue, which is bounded")]
    pub fn status(&self, request_id: &str) -> Status {
        let reason = self.reason();
        let Text { message, metadata } = self.text();
        let info = ErrorInfo { reason: reason_name(reason).to_owned(), domain: DOMAIN.to_owned(), metadata };
        let mut details = vec![any("ErrorInfo", &info)];
        if let Self::FieldInvalid(violations) = self {
            details.push(any("BadRequest", &bad_request(violations)));
        }
        let after = self.retry_after();
        if let Some(after) = after {
            let retry_delay = after.try_into().expect("a delay is seconds at most, far inside the range of the type");
            details.push(any("RetryInfo", &pb::RetryInfo { retry_delay: Some(retry_delay) }));
        }
        details.push(any(
            "RequestInfo",
            &pb::RequestInfo { request_id: request_id.to_owned(), serving_data: String::new() },
        ));
        let code = code_of(reason);
        let details = pb::Status { code: code.into(), message: message.clone(), details }.encode_to_vec();
        Status::with_details_and_metadata(code, message, details.into(), self.pushback(after))
    }

    /// When the call may be tried again, if the refusal says so.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Full(after) | Self::Exchange { refused: Refused::Overloaded(after), .. } => Some(*after),
            _ => None,
        }
    }

    fn pushback(&self, after: Option<Duration>) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        match after {
            Some(after) => drop(metadata.insert(PUSHBACK, i64::try_from(after.as_millis()).unwrap_or(i64::MAX).into())),
            None if matches!(self, Self::RequestTooLarge) => drop(metadata.insert(PUSHBACK, (-1).into())),
            None => {}
        }
        metadata
    }

    fn text(&self) -> Text {
        match self {
            Self::FieldInvalid(violations) => field_invalid(violations),
            Self::Malformed(leg, malformed) => malformed_text(*leg, malformed),
            Self::Exchange { refused, fiu, aa } => exchange_text(*refused, fiu, aa),
            Self::RedirectForbidden { field, fiu, aa } => {
                let message = format!(
                    "the pairing does not allow the host of {field}: \
                     use an allowed host, or add this one to redirect_hosts in the keyring"
                );
                Text::of(message, [("field", (*field).to_owned())]).with_ids(fiu, aa)
            }
            Self::CallerUnknown => Text::plain(
                "the server does not know this caller: send a client certificate or a bearer token that its callers file \
                 lists",
            ),
            Self::CallerForbidden(rpc) => {
                let message =
                    format!("this caller may not call {rpc}: add it to the caller's `methods` in the callers file");
                Text::of(message, [("method", rpc.to_string())])
            }
            Self::Full(_) => Text::plain(OVERLOADED),
            Self::NotReady => Text::plain("the server is shutting down: try again, and another replica takes the call"),
            Self::TimedOut => {
                Text::plain("the deadline of the call passed before the work was done: allow more time, or try again")
            }
            Self::InternalFault => Text::plain(
                "a fault of the service: report it to the operator, who finds the detail in the log under the request id",
            ),
            Self::RequestTooLarge => {
                let message =
                    format!("the request has more than {MAX_REQUEST} bytes: shorten it; a retry fails in the same way");
                Text::of(message, [("max_bytes", MAX_REQUEST.to_string())])
            }
        }
    }
}

const OVERLOADED: &str = "the server has too much work: try again after the delay in google.rpc.RetryInfo";

impl Text {
    fn of<const N: usize>(message: impl Into<String>, metadata: [(&str, String); N]) -> Self {
        let metadata = metadata.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { message: message.into(), metadata }
    }

    fn plain(message: &str) -> Self {
        Self::of(message, [])
    }

    /// With the ids that are known.
    fn with_ids(mut self, fiu: &str, aa: &str) -> Self {
        for (name, id) in [("fiu_id", fiu), ("aa_id", aa)] {
            if !id.is_empty() {
                self.metadata.insert(name.to_owned(), id.to_owned());
            }
        }
        self
    }
}

/// The name of a reason as `ErrorInfo` has it, without the enum's prefix.
pub fn reason_name(reason: ErrorReason) -> &'static str {
    reason.as_str_name().trim_start_matches("ERROR_REASON_")
}

fn reason_of(refused: Refused) -> ErrorReason {
    match refused {
        Refused::PairingUnknown => ErrorReason::PairingUnknown,
        Refused::PairingAmbiguous => ErrorReason::PairingAmbiguous,
        Refused::SchemeMismatch(_) => ErrorReason::SchemeMismatch,
        Refused::DateMalformed { .. } => ErrorReason::DateMalformed,
        Refused::DateExpired { .. } => ErrorReason::DateExpired,
        Refused::DateInFuture { .. } => ErrorReason::DateInFuture,
        Refused::Overloaded(_) => ErrorReason::Overloaded,
        Refused::Undecipherable => ErrorReason::Undecipherable,
        Refused::NotExpected(_) => ErrorReason::NotExpected,
        Refused::AlreadyOpened(_) => ErrorReason::AlreadyOpened,
        Refused::StoreUnavailable => ErrorReason::StoreUnavailable,
        Refused::TooLong => ErrorReason::FieldInvalid,
    }
}

/// The gRPC code of a reason, as the comments of `ErrorReason` have it.
fn code_of(reason: ErrorReason) -> Code {
    match reason {
        ErrorReason::FieldInvalid
        | ErrorReason::UrlMalformed
        | ErrorReason::ParameterMalformed
        | ErrorReason::DateMalformed
        | ErrorReason::PairingAmbiguous
        | ErrorReason::Undecipherable => Code::InvalidArgument,
        ErrorReason::DateExpired
        | ErrorReason::DateInFuture
        | ErrorReason::SchemeMismatch
        | ErrorReason::AlreadyOpened
        | ErrorReason::NotExpected => Code::FailedPrecondition,
        ErrorReason::PairingUnknown => Code::NotFound,
        ErrorReason::RedirectForbidden | ErrorReason::CallerForbidden => Code::PermissionDenied,
        ErrorReason::CallerUnknown => Code::Unauthenticated,
        ErrorReason::Overloaded | ErrorReason::RequestTooLarge => Code::ResourceExhausted,
        ErrorReason::NotReady | ErrorReason::StoreUnavailable => Code::Unavailable,
        ErrorReason::TimedOut => Code::DeadlineExceeded,
        ErrorReason::InternalFault | ErrorReason::Unspecified => Code::Internal,
    }
}

/// A detail of `google.rpc`, by its name there.
fn any(name: &str, detail: &impl Message) -> prost_types::Any {
    prost_types::Any { type_url: format!("type.googleapis.com/google.rpc.{name}"), value: detail.encode_to_vec() }
}

fn bad_request(violations: &[Violation]) -> pb::BadRequest {
    let field_violations = violations
        .iter()
        .map(|Violation { field, description }| pb::bad_request::FieldViolation {
            field: (*field).to_owned(),
            description: description.clone(),
            ..Default::default()
        })
        .collect();
    pb::BadRequest { field_violations }
}

/// Names the first violation in words, and how many more there are.
fn field_invalid(violations: &[Violation]) -> Text {
    let fields: Vec<&str> = violations.iter().map(|violation| violation.field).collect();
    let first = violations.first().map_or_else(String::new, |first| format!("{} {}", first.field, first.description));
    let more = match violations.len() {
        0 | 1 => String::new(),
        2 => format!("; 1 more field is wrong: {}", fields[1]),
        count => format!("; {} more fields are wrong: {}", count - 1, fields[1..].join(", ")),
    };
    Text::of(first + &more, [("fields", fields.join(", "))])
}

fn exchange_text(refused: Refused, fiu: &str, aa: &str) -> Text {
    let text = match refused {
        Refused::PairingUnknown => Text::plain(&pairing_unknown(fiu, aa)),
        Refused::PairingAmbiguous => Text::plain(&pairing_ambiguous(fiu, aa)),
        Refused::SchemeMismatch(scheme) => scheme_mismatch(scheme, fiu, aa),
        Refused::DateMalformed { leg, problem } => date_malformed(leg, problem),
        Refused::DateExpired { age, max_age } => dated(
            format!(
                "the date is {age} s old, and the pairing allows {max_age} s: the user waited, the URL was used again, \
                 or a clock is wrong; start a new redirect"
            ),
            age,
            max_age,
        ),
        Refused::DateInFuture { age, max_age } => dated(
            format!(
                "the date is {} s ahead, and the pairing allows {max_age} s: the sender's clock is wrong, \
                 or the sender writes local time instead of UTC",
                age.unsigned_abs()
            ),
            age,
            max_age,
        ),
        Refused::Overloaded(_) => Text::plain(OVERLOADED),
        Refused::Undecipherable => Text::plain(
            "the message does not open: the secrets differ, the message was changed, or its members cannot be read; \
             the operator finds the cause with `aa-redirect inspect`",
        ),
        Refused::NotExpected(differences) => not_expected(differences),
        Refused::AlreadyOpened(first) => already_opened(first),
        Refused::StoreUnavailable => Text::plain(
            "the server cannot remember this message, so it does not open it: its shared store does not answer, or its \
             own memory is full; nothing was recorded: try again, and tell the operator if it goes on",
        ),
        Refused::TooLong => Text::plain("the message is too long for a URL: shorten its members"),
    };
    text.with_ids(fiu, aa)
}

fn not_expected(differences: Differences) -> Text {
    let fields = differences.names();
    let message = format!(
        "the callback opens, but differs from your record in {fields}: it belongs to another redirect, or was joined from \
         parts of others; do not act on it"
    );
    Text::of(message, [("fields", fields)])
}

fn already_opened(first: DateTime<Utc>) -> Text {
    let first = first.to_rfc3339_opts(SecondsFormat::Millis, true);
    let message = format!(
        "the message was opened before, first at {first}, and the pairing refuses reopenings: a page that was loaded \
         again, a URL that was used again, or a retry without the attempt_id of the first try"
    );
    Text::of(message, [("first_open_time", first)])
}

fn dated(message: String, age: i64, max_age: i64) -> Text {
    Text::of(message, [("age_seconds", age.to_string()), ("max_age_seconds", max_age.to_string())])
}

fn scheme_mismatch(scheme: Scheme, fiu: &str, aa: &str) -> Text {
    let problem = match scheme {
        Scheme::HkdfIv => "needs an iv, and the message has none",
        Scheme::Pbkdf2 => "has no iv, and the message has one",
    };
    let message = format!(
        "the pairing of {fiu} with {aa} was chosen, and its scheme {} {problem}: if the other party is a different one, \
         name it in the call; else the two sides follow different versions of the guideline",
        scheme.name()
    );
    Text::of(message, [("scheme", scheme.name().to_owned())])
}

fn pairing_unknown(fiu: &str, aa: &str) -> String {
    let message = match (fiu, aa) {
        (fiu, "") => {
            format!("the server has no pairing of the FIU {fiu} with an AA that lists the handle of redirect.userid")
        }
        ("", aa) => format!("the server has no pairing of the AA {aa}"),
        (fiu, aa) => format!("the server has no pairing of the FIU {fiu} with the AA {aa}"),
    };
    message + ": check the ids, or add the pairing to the keyring; ListPairings shows what there is"
}

fn pairing_ambiguous(fiu: &str, aa: &str) -> String {
    if aa.is_empty() {
        format!("several AAs have a pairing with the FIU {fiu}: name one in aa_id")
    } else {
        format!("several FIUs have a pairing with the AA {aa}: name one in fiu_id")
    }
}

fn date_malformed(leg: Leg, problem: &str) -> Text {
    let parameter = leg.date_name();
    let message = format!("{parameter} {problem}; it must be ddmmyyyyhh24misss in UTC, such as 060420210510756");
    Text::of(message, [("parameter", parameter.to_owned()), ("problem", problem.to_owned())])
}

fn malformed_text(leg: Leg, malformed: &Malformed) -> Text {
    let (parameter, problem, advice, hint) = match malformed {
        Malformed::Url(UrlProblem::Missing(names)) => {
            (names.join(", "), missing(names), ": the sender left that out, or the URL was cut on the way", None)
        }
        Malformed::Url(UrlProblem::Repeated(names)) => {
            (names.join(", "), repeated(names), ": the sender or the browser must send that once", None)
        }
        Malformed::Url(UrlProblem::OtherLeg(names)) => {
            let advice = match leg {
                Leg::Request => ": the URL is a callback, so call DecodeCallback",
                Leg::Callback => ": the URL is a request, so call DecodeRedirect",
            };
            (names.join(", "), missing(names), advice, None)
        }
        Malformed::Date { problem, .. } => return date_malformed(leg, problem),
        Malformed::Parameter { parameter, problem, .. } => {
            let advice = ": the sender wrote it so, or something on the way changed it";
            ((*parameter).to_owned(), problem.to_string(), advice, problem.hint())
        }
    };
    let message = format!("{parameter} {problem}{advice}");
    let mut text = Text::of(message, [("parameter", parameter), ("problem", problem)]);
    text.metadata.extend(hint.map(|hint| ("hint".to_owned(), hint.to_owned())));
    text
}

fn missing(names: &[&str]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{verb} missing from the query of the URL")
}

fn repeated(names: &[&str]) -> String {
    let verb = if names.len() == 1 { "comes" } else { "come" };
    format!("{verb} more than once, with different values")
}
