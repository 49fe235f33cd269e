//! A received message of either leg: from the fields of a call to its envelope.

use chrono::{DateTime, Utc};

use crate::{
    codec::{
        Envelope,
        url::{Leg, Parameters, Value},
    },
    exchange::{self, Witness},
    keyring::Keyring,
    proto::{self, decode_callback_request, decode_redirect_request},
};

use super::{Context, Fields, Refusal};

/// A message, as a caller sends it.
pub(super) struct Received<'a> {
    pub(super) leg: Leg,
    /// The receiver's id, and the path of its field.
    pub(super) receiver: (&'static str, &'a str),
    pub(super) attempt_id: &'a str,
    pub(super) source: Source<'a>,
}

/// Where the parameters of a message are.
pub(super) enum Source<'a> {
    Url(&'a str),
    /// Parameters that the caller has taken out of the URL, with the field path of each required one.
    Params([&'static str; 3], Parameters<'a>),
}

impl<'a> Source<'a> {
    /// The source of a request. A missing one is refused like an empty URL.
    pub(super) fn of_request(source: Option<&'a decode_redirect_request::Source>) -> Self {
        use decode_redirect_request::Source;
        match source {
            None => Self::Url(""),
            Some(Source::Url(url)) => Self::Url(url),
            Some(Source::Params(proto::RedirectParams { fi, reqdate, ecreq, iv, requestor_type })) => Self::Params(
                ["params.fi", "params.reqdate", "params.ecreq"],
                Parameters {
                    fi: Value::plain(fi),
                    date: Value::plain(reqdate),
                    message: Value::plain(ecreq),
                    iv: Value::plain_or_none(iv),
                    requestor_type: Value::plain_or_none(requestor_type),
                },
            ),
        }
    }

    /// The source of a callback. A missing one is refused like an empty URL.
    pub(super) fn of_callback(source: Option<&'a decode_callback_request::Source>) -> Self {
        use decode_callback_request::Source;
        match source {
            None => Self::Url(""),
            Some(Source::Url(url)) => Self::Url(url),
            Some(Source::Params(proto::CallbackParams { fi, resdate, ecres, iv })) => Self::Params(
                ["params.fi", "params.resdate", "params.ecres"],
                Parameters {
                    fi: Value::plain(fi),
                    date: Value::plain(resdate),
                    message: Value::plain(ecres),
                    iv: Value::plain_or_none(iv),
                    requestor_type: None,
                },
            ),
        }
    }
}

impl Received<'_> {
    /// The envelope of the message, for a caller who may use the pairings of `context`.
    ///
    /// # Errors
    /// All fields that are missing or malformed; then what makes the message unreadable.
    pub(super) fn envelope(
        self,
        context: &Context,
        keyring: &Keyring,
        now: DateTime<Utc>,
    ) -> Result<Envelope, Refusal> {
        let Self { leg, receiver: (field, id), attempt_id, source } = self;
        let mut fields = Fields::default();
        fields.optional_id(field, id);
        fields.attempt_id(attempt_id);
        match &source {
            Source::Url(url) => fields.url(url),
            Source::Params(paths, Parameters { fi, date, message, .. }) => {
                for (path, value) in paths.iter().zip([fi, date, message]) {
                    fields.parameter(path, value.text);
                }
            }
        }
        fields.finish()?;
        let envelope = match source {
            Source::Url(url) => Envelope::from_url(url, leg),
            Source::Params(_, parameters) => Envelope::from_parameters(parameters, leg),
        };
        exchange::read(keyring, leg, envelope, now, |pairing| context.may_use(pairing))
            .map_err(|unread| Refusal::Unread(leg, unread))
    }
}
