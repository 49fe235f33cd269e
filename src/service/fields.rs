//! Turns request fields into domain types. Checks every field and collects all violations, so that a caller learns of
//! all of them at once.

use chrono::{DateTime, Datelike, Utc};

use crate::{
    codec::{
        MAX_ID, RequestorType,
        date::YEARS,
        form, members,
        profile::Conventions,
        url::{self, Leg, PARAMETERS},
    },
    exchange::MAX_URL,
    proto,
};

use super::error::{Refusal, Violation};

/// The most bytes of an `attempt_id`.
const MAX_ATTEMPT_ID: usize = 64;
/// The most bytes of a member.
const MAX_MEMBER: usize = 8 * 1024;
/// The most entries of a list.
const MAX_LIST: usize = 200;

/// The refusal of a message in `field` that would not fit into a URL.
pub(super) fn too_long(field: &'static str) -> Refusal {
    let description = format!("is too long: the URL, ecreq or ecres would have more than {MAX_URL} bytes");
    Refusal::FieldInvalid(vec![Violation { field, description }])
}

/// Refuses a URL of `length` bytes that is too long because of `field`.
pub(super) fn check_length(field: &'static str, length: usize) -> Result<(), Refusal> {
    if length > MAX_URL { Err(too_long(field)) } else { Ok(()) }
}

/// The violations found so far.
#[derive(Default)]
pub(super) struct Fields(Vec<Violation>);

impl Fields {
    /// Notes that `field` is wrong. One violation has everything that is wrong with a field.
    pub(super) fn refuse(&mut self, field: &'static str, description: impl Into<String>) {
        let description = description.into();
        match self.0.iter_mut().find(|violation| violation.field == field) {
            Some(violation) => violation.description.extend(["; ", &description]),
            None => self.0.push(Violation { field, description }),
        }
    }

    fn require(&mut self, field: &'static str, holds: bool, description: &str) {
        if !holds {
            self.refuse(field, description);
        }
    }

    /// Ends the collection.
    ///
    /// # Errors
    /// If a field was refused.
    pub(super) fn finish(self) -> Result<(), Refusal> {
        if self.0.is_empty() { Ok(()) } else { Err(Refusal::FieldInvalid(self.0)) }
    }

    /// An id that is required.
    pub(super) fn id(&mut self, field: &'static str, id: &str) {
        self.require(field, !id.is_empty(), "is required");
        self.optional_id(field, id);
    }

    /// An id that may be empty.
    pub(super) fn optional_id(&mut self, field: &'static str, id: &str) {
        let fits = id.len() <= MAX_ID && !form::has_control(id);
        self.require(field, fits, "must have at most 128 bytes and no control characters");
    }

    /// The caller's name for a call, if it is given.
    pub(super) fn attempt_id(&mut self, id: &str) {
        let fits =
            id.len() <= MAX_ATTEMPT_ID && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        self.require("attempt_id", fits, "must have 1 to 64 characters of [A-Za-z0-9._-], or be empty");
    }

    /// A parameter of `params` that is required.
    pub(super) fn parameter(&mut self, field: &'static str, value: &str) {
        self.require(field, !value.is_empty(), "is required");
        self.require(field, value.len() <= MAX_URL, "must have at most 49152 bytes");
    }

    /// A URL to decode.
    pub(super) fn url(&mut self, url: &str) {
        self.require("url", !url.is_empty(), "is required, or `params` instead");
        self.require("url", url.len() <= MAX_URL, "must have at most 49152 bytes");
    }

    /// `requestor_type`, if this version knows it.
    pub(super) fn requestor_type(&mut self, value: i32) -> Option<RequestorType> {
        match proto::RequestorType::try_from(value) {
            Ok(kind) => kind.into(),
            Err(_) => {
                self.refuse("requestor_type", "must be FIU, LSP or UNSPECIFIED");
                None
            }
        }
    }

    /// `issue_time`, if it is given.
    pub(super) fn issue_time(&mut self, given: Option<prost_types::Timestamp>) -> Option<DateTime<Utc>> {
        let given = given?;
        let instant = u32::try_from(given.nanos)
            .ok()
            .filter(|&nanos| nanos < 1_000_000_000)
            .and_then(|nanos| DateTime::from_timestamp(given.seconds, nanos))
            .filter(|instant| u32::try_from(instant.year()).is_ok_and(|year| YEARS.contains(&year)));
        if instant.is_none() {
            let (first, last) = (YEARS.start(), YEARS.end());
            let text = format!("must be a timestamp of the years {first} to {last}, with nanos from 0 to 999999999");
            self.refuse("issue_time", text);
        }
        instant
    }

    /// Refuses an `issue_time` outside the window of the pairing: no receiver would accept it.
    pub(super) fn window(&mut self, issue_time: DateTime<Utc>, now: DateTime<Utc>, conventions: &Conventions) {
        if (issue_time - now).abs() > conventions.max_age {
            let seconds = conventions.max_age.num_seconds();
            self.refuse(
                "issue_time",
                format!("must be at most {seconds} s from now: that is the window of the pairing"),
            );
        }
    }

    /// The members of `ecreq`; an empty `txnid` stays empty.
    pub(super) fn redirect(&mut self, given: Option<proto::Redirect>) -> members::Redirect {
        let given = given.unwrap_or_default();
        let uuid = given.txnid.is_empty() || form::is_uuid(&given.txnid);
        self.require("redirect.txnid", uuid, "must be a UUID such as 2d04747e-21c6-4c23-955b-d46c2f820140, or empty");
        self.text("redirect.sessionid", &given.sessionid);
        self.userid("redirect.userid", &given.userid);
        self.target("redirect.redirect", &given.redirect);
        let free = !url::names_any_parameter(&given.redirect);
        let form = format!("must not name any of {} in its query", PARAMETERS.join(", "));
        self.require("redirect.redirect", free, &form);
        self.require("redirect.srcref", !given.srcref.is_empty(), "is required: at least one consent handle");
        self.list("redirect.srcref", &given.srcref);
        self.list("redirect.fipid", &given.fipid);
        self.text("redirect.email", &given.email);
        let email = !form::is_absent_word(&given.email);
        self.require("redirect.email", email, "must not be a word for a value that is absent; leave it empty");
        let pan = given.pan.is_empty() || form::is_pan(&given.pan);
        self.require(
            "redirect.pan",
            pan,
            "must be five upper-case letters, four digits and an upper-case letter, or empty",
        );
        let dob = given.dob.is_empty() || form::is_dob(&given.dob);
        self.require("redirect.dob", dob, "must be a day of the calendar as YYYY-MM-DD, or empty");
        if !given.iso_language_code.is_empty() && !form::LANGUAGES.contains(&&*given.iso_language_code) {
            let languages = form::LANGUAGES.join(" ");
            self.refuse("redirect.iso_language_code", format!("must be one of {languages}, or empty"));
        }
        self.extra("redirect.extra", &given.extra);
        given.into()
    }

    /// The members of `ecres`.
    pub(super) fn callback(&mut self, given: Option<proto::Callback>) -> members::Callback {
        let given = given.unwrap_or_default();
        self.require("callback.txnid", !given.txnid.is_empty(), "is required: that of the request, unchanged");
        let txnid = form::is_txnid(&given.txnid);
        self.require("callback.txnid", txnid, "must have at most 128 bytes and no control character");
        self.text("callback.sessionid", &given.sessionid);
        self.userid("callback.userid", &given.userid);
        match given.status() {
            proto::CallbackStatus::Success => {
                self.require("callback.errorcode", given.errorcode == 0, "must be 0 with SUCCESS");
                let accepted = !given.srcref.is_empty();
                self.require("callback.srcref", accepted, "is required with SUCCESS: the accepted consent handles");
            }
            proto::CallbackStatus::Failure => {
                self.require(
                    "callback.errorcode",
                    given.errorcode != 0,
                    "is required with FAILURE: a code of 1 or more",
                );
            }
            proto::CallbackStatus::Unspecified => self.refuse("callback.status", "is required: SUCCESS or FAILURE"),
        }
        self.list("callback.srcref", &given.srcref);
        self.extra("callback.extra", &given.extra);
        given.into()
    }

    /// The URL to which a callback leads.
    pub(super) fn redirect_url(&mut self, given: &str) {
        self.target("redirect_url", given);
        let free = !url::names_parameter(given, Leg::Callback);
        self.require("redirect_url", free, "must not name fi, resdate, ecres or iv in its query");
    }

    /// A user id, in the form that either leg needs to be opened.
    fn userid(&mut self, field: &'static str, given: &str) {
        if given.is_empty() {
            self.refuse(field, "is required");
        } else if !form::is_userid(given) {
            let form = "must be a name or mobile number, `@` and the AA's handle, such as 9999988888@aa, of at most 128 \
                        bytes without blanks";
            self.refuse(field, form);
        }
    }

    /// A URL to which a browser will be sent.
    fn target(&mut self, field: &'static str, given: &str) {
        if given.is_empty() {
            self.refuse(field, "is required");
        } else if let Err(problem) = form::check_redirect(given) {
            self.refuse(field, problem);
        }
        self.text(field, given);
    }

    fn text(&mut self, field: &'static str, value: &str) {
        self.require(field, value.len() <= MAX_MEMBER, "must have at most 8192 bytes");
    }

    fn list(&mut self, field: &'static str, items: &[String]) {
        self.require(field, items.len() <= MAX_LIST, "must have at most 200 entries");
        if let Some(at) = items.iter().position(|item| !form::is_list_item(item) || item.len() > MAX_MEMBER) {
            let form = "must have 1 to 8192 bytes, no blanks at its ends, none of , { } [ ] \" ' \\ &, no control \
                        character, and must not be a word for an absent value, such as null";
            self.refuse(field, format!("entry {at} (counted from 0) {form}"));
        }
    }

    fn extra(&mut self, field: &'static str, extra: &std::collections::BTreeMap<String, String>) {
        let names = extra.keys().all(|name| form::is_extra_name(name));
        let form = "a name must be [A-Za-z][A-Za-z0-9_.-]* and, in any case, neither a member of the guideline nor mac";
        self.require(field, names, form);
        let sizes = extra.iter().all(|(name, value)| name.len() <= MAX_MEMBER && value.len() <= MAX_MEMBER);
        self.require(field, sizes, "names and values must have at most 8192 bytes");
    }
}
