//! Why a call is refused, and the only place where that becomes a gRPC status.
//!
//! Every status carries one `google.rpc.ErrorInfo`: the reason never changes, the message may, and the metadata holds
//! every variable of the message. No payload, user id, secret or URL is ever part of one.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{
    codec::{
        Malformed,
        profile::Scheme,
        url::{Leg, UrlProblem},
    },
    proto::ErrorReason,
};

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "aa.redirect.v1";

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
    /// URL, date or another parameter of the leg cannot be read.
    Malformed(Leg, Malformed),
    /// Older than the window.
    DateExpired {
        /// Now less the date's instant, in seconds.
        age: i64,
        /// The window.
        max_age: i64,
    },
    /// Ahead of the window.
    DateInFuture {
        /// Now less the date's instant, in seconds: negative.
        age: i64,
        /// The window.
        max_age: i64,
    },
    /// No such pairing, or none that this caller may use; an id that is not known is empty.
    PairingUnknown {
        /// The FIU's id.
        fiu: String,
        /// The AA's id.
        aa: String,
    },
    /// Several pairings fit; the id that would tell them apart is empty.
    PairingAmbiguous {
        /// The FIU's id.
        fiu: String,
        /// The AA's id.
        aa: String,
    },
    /// An `iv` where the pairing's scheme has none, or none where it needs one.
    SchemeMismatch(Scheme),
    /// The host that the named field leads to is not allowed.
    RedirectForbidden(&'static str),
    /// No credentials, or none that the callers file has.
    CallerUnknown,
    /// The caller may not use the RPC of this name.
    CallerForbidden(&'static str),
    /// Anything that goes wrong once decryption has begun.
    Undecipherable,
    /// Too much work waits; try again after this time.
    Overloaded(Duration),
    /// The server ends before the call does.
    NotReady,
    /// The caller's deadline has passed.
    TimedOut,
    /// A bug, or a system that does not serve us; the detail goes to the log.
    InternalFault,
    /// The request is over the limit of 64 KiB.
    RequestTooLarge,
}

/// The message of a refusal and its variables.
type Text = (String, Vec<(&'static str, String)>);

impl Refusal {
    /// The reason that callers read, and its gRPC code.
    pub fn kind(&self) -> (ErrorReason, Code) {
        match self {
            Self::FieldInvalid(_) => (ErrorReason::FieldInvalid, Code::InvalidArgument),
            Self::Malformed(_, Malformed::Url(_)) => (ErrorReason::UrlMalformed, Code::InvalidArgument),
            Self::Malformed(_, Malformed::Date { .. }) => (ErrorReason::DateMalformed, Code::InvalidArgument),
            Self::Malformed(_, Malformed::Parameter { .. }) => (ErrorReason::ParameterMalformed, Code::InvalidArgument),
            Self::DateExpired { .. } => (ErrorReason::DateExpired, Code::FailedPrecondition),
            Self::DateInFuture { .. } => (ErrorReason::DateInFuture, Code::FailedPrecondition),
            Self::PairingUnknown { .. } => (ErrorReason::PairingUnknown, Code::NotFound),
            Self::PairingAmbiguous { .. } => (ErrorReason::PairingAmbiguous, Code::InvalidArgument),
            Self::SchemeMismatch(_) => (ErrorReason::SchemeMismatch, Code::FailedPrecondition),
            Self::RedirectForbidden(_) => (ErrorReason::RedirectForbidden, Code::PermissionDenied),
            Self::CallerUnknown => (ErrorReason::CallerUnknown, Code::Unauthenticated),
            Self::CallerForbidden(_) => (ErrorReason::CallerForbidden, Code::PermissionDenied),
            Self::Undecipherable => (ErrorReason::Undecipherable, Code::InvalidArgument),
            Self::Overloaded(_) => (ErrorReason::Overloaded, Code::ResourceExhausted),
            Self::NotReady => (ErrorReason::NotReady, Code::Unavailable),
            Self::TimedOut => (ErrorReason::TimedOut, Code::DeadlineExceeded),
            Self::InternalFault => (ErrorReason::InternalFault, Code::Internal),
            Self::RequestTooLarge => (ErrorReason::RequestTooLarge, Code::ResourceExhausted),
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let ((reason, code), (message, metadata)) = (refusal.kind(), text(&refusal));
        let metadata: HashMap<_, _> = metadata.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let reason = reason.as_str_name().trim_start_matches("ERROR_REASON_");
        let mut details = ErrorDetails::with_error_info(reason, DOMAIN, metadata);
        match refusal {
            Refusal::FieldInvalid(violations) => {
                for violation in violations {
                    details.add_bad_request_violation(violation.field, violation.description);
                }
            }
            Refusal::Overloaded(after) => {
                details.set_retry_info(Some(after));
            }
            _ => {}
        }
        Status::with_error_details(code, message, details)
    }
}

fn text(refusal: &Refusal) -> Text {
    match refusal {
        Refusal::FieldInvalid(violations) => {
            let fields: Vec<&str> = violations.iter().map(|violation| violation.field).collect();
            let fields = fields.join(", ");
            (
                format!("request fields are missing or malformed: {fields}; google.rpc.BadRequest says how"),
                vec![("fields", fields)],
            )
        }
        Refusal::Malformed(leg, malformed) => malformed_text(*leg, *malformed),
        Refusal::DateExpired { age, max_age } => (
            format!(
                "the date is {age} s old, more than the {max_age} s that the pairing allows: \
                 a user who waited, a replayed URL, or a clock that is wrong"
            ),
            vec![("age_seconds", age.to_string()), ("max_age_seconds", max_age.to_string())],
        ),
        Refusal::DateInFuture { age, max_age } => (
            format!(
                "the date's age is {age} s, further ahead than the {max_age} s that the pairing allows: \
                 a clock that is wrong, or a sender that writes local time instead of UTC"
            ),
            vec![("age_seconds", age.to_string()), ("max_age_seconds", max_age.to_string())],
        ),
        Refusal::PairingUnknown { fiu, aa } => pairing_unknown(fiu, aa),
        Refusal::PairingAmbiguous { fiu, aa } => pairing_ambiguous(fiu, aa),
        Refusal::SchemeMismatch(scheme) => (
            match scheme {
                Scheme::HkdfIv => "the pairing's scheme is hkdf-iv, but the message has no iv".to_owned(),
                Scheme::Pbkdf2 => "the pairing's scheme is pbkdf2, but the message has an iv".to_owned(),
            } + "; the sender follows another version of the guideline than the keyring's profile",
            vec![("scheme", scheme.name().to_owned())],
        ),
        Refusal::RedirectForbidden(field) => (
            format!("the host of {field} is not among the redirect_hosts of the pairing"),
            vec![("field", (*field).to_owned())],
        ),
        Refusal::CallerUnknown => (
            "the call brings no credentials that are known here: a client certificate or a bearer token of the callers \
             file"
                .to_owned(),
            Vec::new(),
        ),
        Refusal::CallerForbidden(method) => (
            format!("this caller may not call {method}; its `methods` in the callers file say what it may"),
            vec![("method", (*method).to_owned())],
        ),
        Refusal::Undecipherable => (
            "the message cannot be opened; whoever holds the secrets finds the cause with `aa-redirect inspect`"
                .to_owned(),
            Vec::new(),
        ),
        Refusal::Overloaded(_) => (
            "too much work waits; try again after the time that google.rpc.RetryInfo names".to_owned(),
            Vec::new(),
        ),
        Refusal::NotReady => (
            "this server is ending; another one, or this one in a while, will take the call".to_owned(),
            Vec::new(),
        ),
        Refusal::TimedOut => (
            "the call's deadline passed before the work was done: its grpc-timeout, or a minute where it names none".to_owned(),
            Vec::new(),
        ),
        Refusal::InternalFault => (
            "a fault of this service; its log has the detail".to_owned(),
            Vec::new(),
        ),
        Refusal::RequestTooLarge => (
            "the request is over 65536 bytes; no call needs that many".to_owned(),
            vec![("max_bytes", crate::service::MAX_REQUEST.to_string())],
        ),
    }
}

fn pairing_unknown(fiu: &str, aa: &str) -> Text {
    let message = match (fiu, aa) {
        (fiu, "") => {
            format!("no pairing here has the FIU {fiu}, or none of its AAs lists the handle of redirect.userid")
        }
        ("", aa) => format!("no pairing here has the AA {aa}"),
        (fiu, aa) => format!("no pairing here has the FIU {fiu} and the AA {aa}"),
    };
    let message = message + "; ListPairings shows what the keyring holds";
    (message, ids(fiu, aa))
}

fn pairing_ambiguous(fiu: &str, aa: &str) -> Text {
    let message = if aa.is_empty() {
        format!("several AAs here share a secret with the FIU {fiu}; name one in aa_id")
    } else {
        format!("several FIUs here share a secret with the AA {aa}; name one in fiu_id")
    };
    (message, ids(fiu, aa))
}

fn malformed_text(leg: Leg, malformed: Malformed) -> Text {
    let (parameter, problem, advice) = match malformed {
        Malformed::Url(UrlProblem::Missing(parameter)) => (parameter, "is missing from the query of the URL", ""),
        Malformed::Url(UrlProblem::Repeated(parameter)) => (parameter, "is there more than once", ""),
        Malformed::Url(UrlProblem::OtherLeg(parameter)) => (
            parameter,
            "is missing from the query of the URL",
            match leg {
                Leg::Request => "; this is a callback, so call DecodeCallback",
                Leg::Callback => "; this is a request, so call DecodeRedirect",
            },
        ),
        Malformed::Date { parameter, problem } => {
            (parameter, problem, "; it must be ddmmyyyyhh24misss in UTC, such as 060420210510756")
        }
        Malformed::Parameter { parameter, problem } => {
            (parameter, problem, "; the sender or the way here has changed it")
        }
    };
    let metadata = vec![("parameter", parameter.to_owned()), ("problem", problem.to_owned())];
    (format!("{parameter} {problem}{advice}"), metadata)
}

/// The ids that are known.
fn ids(fiu: &str, aa: &str) -> Vec<(&'static str, String)> {
    [("fiu_id", fiu), ("aa_id", aa)]
        .into_iter()
        .filter(|(_, id)| !id.is_empty())
        .map(|(name, id)| (name, id.to_owned()))
        .collect()
}
