//! Turns domain types into protobuf, and members into domain types. Moves values instead of copying them if it can.

use std::mem::take;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    codec::{Deviation, Deviations, Place, RequestorType, Sealed, members},
    proto,
};

#[expect(clippy::expect_used, reason = "nanoseconds are cut to the range of the type")]
pub(super) fn timestamp(instant: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: instant.timestamp(),
        // The nanoseconds of a leap second exceed the range of the protobuf type.
        nanos: i32::try_from(instant.timestamp_subsec_nanos().min(999_999_999)).expect("below 2^31"),
    }
}

/// Seconds and nanoseconds have the same sign, as the protobuf type asks.
pub(super) fn duration(span: TimeDelta) -> prost_types::Duration {
    prost_types::Duration { seconds: span.num_seconds(), nanos: span.subsec_nanos() }
}

pub(super) fn requestor_type(kind: Option<RequestorType>) -> proto::RequestorType {
    match kind {
        None => proto::RequestorType::Unspecified,
        Some(RequestorType::Fiu) => proto::RequestorType::Fiu,
        Some(RequestorType::Lsp) => proto::RequestorType::Lsp,
    }
}

/// Each kind of deviation once.
pub(super) fn deviations(deviations: &Deviations) -> Vec<i32> {
    deviations.kinds().map(|kind| deviation(kind).into()).collect()
}

/// Each deviation with its place.
pub(super) fn details(deviations: &Deviations) -> Vec<proto::DeviationDetail> {
    let detail = |(kind, place): (_, Place)| proto::DeviationDetail {
        deviation: deviation(kind).into(),
        place: place.to_owned(),
    };
    deviations.details().map(detail).collect()
}

fn deviation(deviation: Deviation) -> proto::Deviation {
    match deviation {
        Deviation::Base64Alphabet => proto::Deviation::Base64Alphabet,
        Deviation::Base64Unpadded => proto::Deviation::Base64Unpadded,
        Deviation::PlusAsSpace => proto::Deviation::PlusAsSpace,
        Deviation::DoubleEncoded => proto::Deviation::DoubleEncoded,
        Deviation::Whitespace => proto::Deviation::Whitespace,
        Deviation::DateDigits => proto::Deviation::DateDigits,
        Deviation::SecondQuestionMark => proto::Deviation::SecondQuestionMark,
        Deviation::ListSyntax => proto::Deviation::ListSyntax,
        Deviation::RedirectUnescaped => proto::Deviation::RedirectUnescaped,
        Deviation::TxnidNotUuid => proto::Deviation::TxnidNotUuid,
        Deviation::ExtraMember => proto::Deviation::ExtraMember,
        Deviation::BlankOptional => proto::Deviation::BlankOptional,
        Deviation::StatusMismatch => proto::Deviation::StatusMismatch,
        Deviation::StrayCharacters => proto::Deviation::StrayCharacters,
        Deviation::NameCase => proto::Deviation::NameCase,
        Deviation::InvalidEscape => proto::Deviation::InvalidEscape,
        Deviation::Repeated => proto::Deviation::Repeated,
        Deviation::HtmlEscaped => proto::Deviation::HtmlEscaped,
        Deviation::InFragment => proto::Deviation::InFragment,
        Deviation::RequestorType => proto::Deviation::RequestorType,
        Deviation::DateZeroLost => proto::Deviation::DateZeroLost,
        Deviation::RawNonAscii => proto::Deviation::RawNonAscii,
    }
}

impl From<proto::RequestorType> for Option<RequestorType> {
    fn from(kind: proto::RequestorType) -> Self {
        match kind {
            proto::RequestorType::Unspecified => None,
            proto::RequestorType::Fiu => Some(RequestorType::Fiu),
            proto::RequestorType::Lsp => Some(RequestorType::Lsp),
        }
    }
}

impl From<Sealed> for proto::RedirectParams {
    fn from(sealed: Sealed) -> Self {
        Self {
            fi: sealed.fi,
            reqdate: sealed.date,
            ecreq: sealed.message,
            iv: sealed.iv,
            requestor_type: sealed.requestor_type,
        }
    }
}

impl From<Sealed> for proto::CallbackParams {
    fn from(sealed: Sealed) -> Self {
        Self { fi: sealed.fi, resdate: sealed.date, ecres: sealed.message, iv: sealed.iv }
    }
}

impl From<members::Redirect> for proto::Redirect {
    fn from(mut members: members::Redirect) -> Self {
        Self {
            txnid: take(&mut members.txnid),
            sessionid: take(&mut members.sessionid),
            userid: take(&mut members.userid),
            redirect: take(&mut members.redirect),
            srcref: take(&mut members.srcref),
            fipid: take(&mut members.fipid),
            email: take(&mut members.email),
            pan: take(&mut members.pan),
            dob: take(&mut members.dob),
            iso_language_code: take(&mut members.iso_language_code),
            extra: take(&mut members.extra),
        }
    }
}

impl From<members::Callback> for proto::Callback {
    fn from(mut members: members::Callback) -> Self {
        let status = if members.success { proto::CallbackStatus::Success } else { proto::CallbackStatus::Failure };
        Self {
            txnid: take(&mut members.txnid),
            sessionid: take(&mut members.sessionid),
            userid: take(&mut members.userid),
            status: status.into(),
            errorcode: members.errorcode,
            srcref: take(&mut members.srcref),
            extra: take(&mut members.extra),
        }
    }
}

impl From<proto::Redirect> for members::Redirect {
    fn from(given: proto::Redirect) -> Self {
        Self {
            txnid: given.txnid,
            sessionid: given.sessionid,
            userid: given.userid,
            redirect: given.redirect,
            srcref: given.srcref,
            fipid: given.fipid,
            email: given.email,
            pan: given.pan,
            dob: given.dob,
            iso_language_code: given.iso_language_code,
            extra: given.extra,
        }
    }
}

impl From<proto::Callback> for members::Callback {
    fn from(given: proto::Callback) -> Self {
        Self {
            success: given.status() == proto::CallbackStatus::Success,
            errorcode: given.errorcode,
            txnid: given.txnid,
            sessionid: given.sessionid,
            userid: given.userid,
            srcref: given.srcref,
            extra: given.extra,
        }
    }
}
