//! The fields of a form, and the request of the FIU desk that is made from them.

use std::collections::BTreeSet;

use percent_encoding::percent_decode;
use url::form_urlencoded;

use crate::{
    keyring::Pairing,
    proto::{EncodeRedirectRequest, Redirect, RequestorType},
};

use super::desks::new_uuid;

/// The fields of a form, in their order.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// The fields of a body as browsers send it.
    ///
    /// # Errors
    /// The name of the first field that is not UTF-8: the parser puts U+FFFD in the place of its bytes.
    pub(super) fn of(body: &[u8]) -> Result<Self, String> {
        let is_text = |field: &&[u8]| percent_decode(field).decode_utf8().is_ok();
        match body.split(|&byte| byte == b'&').find(|field| !is_text(field)) {
            Some(wrong) => Err(Self::parsed(wrong).0.into_iter().map(|(name, _)| name).collect()),
            None => Ok(Self::parsed(body)),
        }
    }

    fn parsed(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// The names of all fields.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// The first field with this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| &**value)
    }

    /// The first field with this name; empty if there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// Every field with this name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| &**value)
    }
}

/// The values of the form of the FIU desk, as a browser shows them.
pub(super) struct Filled {
    pub(super) aa: String,
    pub(super) txnid: String,
    pub(super) sessionid: String,
    pub(super) userid: String,
    pub(super) redirect: String,
    /// One item on each line.
    pub(super) srcref: String,
    /// One item on each line.
    pub(super) fipid: String,
    pub(super) email: String,
    pub(super) pan: String,
    pub(super) dob: String,
    pub(super) language: String,
    /// One `name=value` on each line.
    pub(super) extra: String,
    /// `FIU`, `LSP` or empty.
    pub(super) requestor: String,
}

impl Filled {
    /// A form for a user of `pairing`'s AA that returns to `callback`.
    pub(super) fn new(pairing: &Pairing, callback: &str) -> Self {
        let handle = pairing.handles.first().unwrap_or(&pairing.aa);
        let visit = &new_uuid()[..8];
        Self {
            // The handle picks the AA, also if a script sends only another user id.
            aa: if pairing.handles.is_empty() { pairing.aa.clone() } else { String::new() },
            txnid: new_uuid(),
            sessionid: format!("basket-{visit}"),
            userid: format!("9999988888@{handle}"),
            redirect: format!("{callback}?visit={visit}"),
            srcref: new_uuid(),
            fipid: String::new(),
            email: String::new(),
            pan: String::new(),
            dob: String::new(),
            language: String::new(),
            extra: String::new(),
            requestor: String::new(),
        }
    }

    /// A form like this one for another request with the members of `request`: a `txnid` is for one request.
    pub(super) fn like(self, request: &EncodeRedirectRequest) -> Self {
        let Some(redirect) = request.redirect.clone() else { return self };
        Self {
            aa: request.aa_id.clone(),
            txnid: self.txnid,
            sessionid: redirect.sessionid,
            userid: redirect.userid,
            redirect: redirect.redirect,
            srcref: redirect.srcref.join("\n"),
            fipid: redirect.fipid.join("\n"),
            email: redirect.email,
            pan: redirect.pan,
            dob: redirect.dob,
            language: redirect.iso_language_code,
            extra: redirect.extra.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n"),
            requestor: match request.requestor_type() {
                RequestorType::Unspecified => String::new(),
                RequestorType::Fiu => "FIU".to_owned(),
                RequestorType::Lsp => "LSP".to_owned(),
            },
        }
    }

    /// Every field, with its name.
    fn fields(&mut self) -> [(&'static str, &mut String); 13] {
        [
            ("aa", &mut self.aa),
            ("txnid", &mut self.txnid),
            ("sessionid", &mut self.sessionid),
            ("userid", &mut self.userid),
            ("redirect", &mut self.redirect),
            ("srcref", &mut self.srcref),
            ("fipid", &mut self.fipid),
            ("email", &mut self.email),
            ("pan", &mut self.pan),
            ("dob", &mut self.dob),
            ("isoLanguageCode", &mut self.language),
            ("extra", &mut self.extra),
            ("requestorType", &mut self.requestor),
        ]
    }

    /// The names of all fields.
    pub(super) fn names(&mut self) -> impl Iterator<Item = &'static str> {
        self.fields().into_iter().map(|(name, _)| name)
    }

    /// The form as it was sent. A field that was not sent keeps its value: a script sends only the fields that it
    /// needs.
    pub(super) fn sent(mut self, fields: &Fields) -> Self {
        for (name, field) in self.fields() {
            // A list comes in one field with a line for each item, or in several fields.
            let values: Vec<&str> = fields.all(name).collect();
            if !values.is_empty() {
                *field = values.join("\n");
            }
        }
        self
    }

    fn extra(&self) -> impl Iterator<Item = (&str, &str)> {
        lines(&self.extra).map(|line| line.split_once('=').unwrap_or((line, "")))
    }

    /// An extra member with two values.
    pub(super) fn repeated_extra(&self) -> Option<&str> {
        let mut names = BTreeSet::new();
        self.extra().map(|(name, _)| name).find(|name| !names.insert(*name))
    }

    /// The call of the service.
    pub(super) fn request(&self, fiu: &str) -> EncodeRedirectRequest {
        let requestor_type = match &*self.requestor {
            "FIU" => RequestorType::Fiu,
            "LSP" => RequestorType::Lsp,
            _ => RequestorType::Unspecified,
        };
        let extra = self.extra();
        EncodeRedirectRequest {
            fiu_id: fiu.to_owned(),
            aa_id: self.aa.clone(),
            redirect: Some(Redirect {
                txnid: self.txnid.clone(),
                sessionid: self.sessionid.clone(),
                userid: self.userid.clone(),
                redirect: self.redirect.clone(),
                srcref: lines(&self.srcref).map(str::to_owned).collect(),
                fipid: lines(&self.fipid).map(str::to_owned).collect(),
                email: self.email.clone(),
                pan: self.pan.clone(),
                dob: self.dob.clone(),
                iso_language_code: self.language.clone(),
                extra: extra.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            }),
            requestor_type: requestor_type.into(),
            issue_time: None,
        }
    }
}

/// The lines that are not empty.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty())
}
