//! Calls as one command for a shell.

use std::collections::BTreeMap;

use chrono::SecondsFormat;
use prost_types::Timestamp;
use serde_json::{Map, Value, json};

use crate::proto::{CallbackStatus, RequestorType};

use super::{Call, Source, field};

pub(super) fn code(call: &Call<'_>, address: &str) -> String {
    let (method, mut request) = match call {
        Call::EncodeRedirect(request) => {
            let redirect = request.redirect.clone().unwrap_or_default();
            let kind = match request.requestor_type() {
                RequestorType::Unspecified => "",
                kind => kind.as_str_name(),
            };
            let members = json!({
                "txnid": redirect.txnid, "sessionid": redirect.sessionid, "userid": redirect.userid,
                "redirect": redirect.redirect, "srcref": redirect.srcref, "fipid": redirect.fipid,
                "email": redirect.email, "pan": redirect.pan, "dob": redirect.dob,
                "iso_language_code": redirect.iso_language_code, "extra": redirect.extra,
            });
            let request = json!({
                "fiu_id": request.fiu_id, "aa_id": request.aa_id, "redirect": members, "requestor_type": kind,
                "issue_time": time(request.issue_time.as_ref()),
            });
            ("EncodeRedirect", request)
        }
        Call::DecodeRedirect { aa, source, attempt } => {
            let (url, params) = parts(source);
            ("DecodeRedirect", json!({ "aa_id": aa, "url": url, "params": params, "attempt_id": attempt }))
        }
        Call::EncodeCallback(request) => {
            let callback = request.callback.clone().unwrap_or_default();
            let status = match callback.status() {
                CallbackStatus::Unspecified => "",
                status => status.as_str_name(),
            };
            let members = json!({
                "txnid": callback.txnid, "sessionid": callback.sessionid, "userid": callback.userid, "status": status,
                "errorcode": callback.errorcode, "srcref": callback.srcref, "extra": callback.extra,
            });
            let request = json!({
                "fiu_id": request.fiu_id, "aa_id": request.aa_id, "callback": members,
                "redirect_url": request.redirect_url, "secret_id": request.secret_id,
                "issue_time": time(request.issue_time.as_ref()),
            });
            ("EncodeCallback", request)
        }
        Call::DecodeCallback { fiu, source, expected, attempt } => {
            let (url, params) = parts(source);
            let expected = expected.map(|expected| {
                json!({
                    "txnid": expected.txnid, "sessionid": expected.sessionid, "userid": expected.userid,
                    "aa_id": expected.aa_id,
                })
            });
            let request = json!({
                "fiu_id": fiu, "url": url, "params": params, "expected": expected, "attempt_id": attempt,
            });
            ("DecodeCallback", request)
        }
    };
    prune(&mut request);
    // Between single quotes a shell leaves everything as it is.
    let body = format!("{request:#}").replace('\'', r"'\''");
    format!("grpcurl -plaintext -d '{body}' \\\n  {address} aa.redirect.v1.RedirectService/{method}")
}

/// The field `url`, or the field `params`.
fn parts(source: &Source) -> (Option<&str>, Option<BTreeMap<&str, &str>>) {
    match source {
        Source::Url(url) => (Some(url), None),
        Source::Params(values) => (None, Some(values.iter().map(|(name, value)| (field(name), &**value)).collect())),
    }
}

fn time(issued: Option<&Timestamp>) -> Option<String> {
    super::issued(issued).map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

/// Removes empty fields: an absent field of protobuf has its default. An extra member may be empty.
fn prune(value: &mut Value) {
    let Value::Object(fields) = value else { return };
    fields.iter_mut().filter(|(name, _)| *name != "extra").for_each(|(_, value)| prune(value));
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => Map::is_empty(fields),
        Value::Number(number) => number.as_u64() == Some(0),
        Value::Bool(_) => false,
    };
    fields.retain(|_, value| !is_empty(value));
}
