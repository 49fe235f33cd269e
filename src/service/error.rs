//! Why a call is refused, and the only place where that becomes a gRPC status.
//!
//! Every status carries one `google.rpc.ErrorInfo`: the reason never changes, the message may, and the metadata holds
//! every variable of the message, in sorted order. No payload, user id, secret or URL is ever part of one.

use std::{collections::BTreeMap, time::Duration};

use prost::Message;
use tonic::{Code, Status, metadata::MetadataMap};
use tonic_types::pb;

use crate::{
    callers::Rpc,
    codec::{Malformed, Parties, url::Leg},
    exchange::{Refused, Unread},
    proto::ErrorReason,
};

use super::MAX_REQUEST;

mod hint;
mod text;

pub use hint::CallerHint;

use text::Text;

/// The domain of every `ErrorInfo`.
const DOMAIN: &str = "aa.redirect.v1";
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
    Unread(Leg, Unread),
    /// The exchange refuses the message. An unknown id is empty.
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
    /// The call has no credentials, or the callers file does not have them.
    CallerUnknown(CallerHint),
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
    /// The request has too many headers, or too large ones.
    HeadersTooLarge {
        /// How many there may be.
        max_fields: usize,
        /// How many bytes they may have.
        max_bytes: usize,
    },
    /// The body is not one message of the method; what is wrong, as the rest of a sentence about it.
    NotProtobuf(&'static str),
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
    /// The refusal of a message between `parties` by the exchange.
    pub fn of(refused: Refused, parties: Parties<'_>) -> Self {
        Self::Exchange { refused, fiu: parties.fiu.to_owned(), aa: parties.aa.to_owned() }
    }

    /// The reason that callers read.
    pub fn reason(&self) -> ErrorReason {
        match self {
            Self::FieldInvalid(_) | Self::NotProtobuf(_) => ErrorReason::FieldInvalid,
            Self::Unread(_, unread) => match unread {
                Unread::Malformed { malformed: Malformed::Url(_), .. } => ErrorReason::UrlMalformed,
                Unread::Malformed { malformed: Malformed::Date { .. }, .. } => ErrorReason::DateMalformed,
                Unread::Malformed { malformed: Malformed::Parameter { .. }, .. } | Unread::NotMasked(_) => {
                    ErrorReason::ParameterMalformed
                }
            },
            Self::Exchange { refused, .. } => reason_of(*refused),
            Self::RedirectForbidden { .. } => ErrorReason::RedirectForbidden,
            Self::CallerUnknown(_) => ErrorReason::CallerUnknown,
            Self::CallerForbidden(_) => ErrorReason::CallerForbidden,
            Self::Full(_) => ErrorReason::Overloaded,
            Self::NotReady => ErrorReason::NotReady,
            Self::TimedOut => ErrorReason::TimedOut,
            Self::InternalFault => ErrorReason::InternalFault,
            Self::RequestTooLarge | Self::HeadersTooLarge { .. } => ErrorReason::RequestTooLarge,
        }
    }

    /// The message for the caller: what is wrong, whose side, what to do.
    pub fn message(&self) -> String {
        self.text().message
    }

    /// The hint in the metadata, if there is one.
    pub fn hint(&self) -> Option<String> {
        self.text().metadata.remove("hint")
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
            None if self.reason() == ErrorReason::RequestTooLarge => drop(metadata.insert(PUSHBACK, (-1).into())),
            None => {}
        }
        metadata
    }

    fn text(&self) -> Text {
        match self {
            Self::FieldInvalid(violations) => text::field_invalid(violations),
            Self::NotProtobuf(problem) => {
                let message = format!(
                    "the body of the request {problem}; call with a client that is made from the proto of this version"
                );
                Text::plain(message).with_hint(Some("NOT_PROTOBUF"))
            }
            Self::HeadersTooLarge { max_fields, max_bytes } => {
                let message = format!(
                    "the call has more than {max_fields} headers, or more than {max_bytes} bytes of them; send fewer"
                );
                Text::of(message, [("max_fields", max_fields.to_string()), ("max_bytes", max_bytes.to_string())])
            }
            Self::Unread(leg, unread) => text::unread(*leg, unread),
            Self::Exchange { refused, fiu, aa } => text::exchange(*refused, fiu, aa),
            Self::RedirectForbidden { field, fiu, aa } => {
                let message = format!(
                    "the pairing does not allow the host of {field}: \
                     use an allowed host, or add this one to redirect_hosts in the keyring"
                );
                Text::of(message, [("field", (*field).to_owned())]).with_ids(fiu, aa)
            }
            Self::CallerUnknown(hint) => {
                let message = format!("the server does not know this caller: {}", hint.words());
                Text::of(message, [("hint", hint.name().to_owned())])
            }
            Self::CallerForbidden(rpc) => {
                let message =
                    format!("this caller may not call {rpc}: add it to the caller's `methods` in the callers file");
                Text::of(message, [("method", rpc.to_string())])
            }
            Self::Full(_) => Text::plain(text::OVERLOADED),
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

/// The name of a reason as `ErrorInfo` has it, without the enum's prefix.
pub fn reason_name(reason: ErrorReason) -> &'static str {
    reason.as_str_name().trim_start_matches("ERROR_REASON_")
}

fn reason_of(refused: Refused) -> ErrorReason {
    match refused {
        Refused::PairingUnknown(_) => ErrorReason::PairingUnknown,
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

/// The gRPC code of a reason, as the comments of `ErrorReason` in the proto say.
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
