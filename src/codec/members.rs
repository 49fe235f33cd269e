//! The members of `ecreq` and `ecres`: the two kinds of message as data. `write` turns them into text, `read` turns
//! text into them.

use std::collections::BTreeMap;

use zeroize::Zeroize;

use super::url::Leg;

mod escape;
mod list;
mod pieces;
mod read;
mod reader;
mod text;
mod write;

pub use read::{read_callback, read_redirect};
pub use reader::Unreadable;
pub use write::{write_callback, write_redirect};

/// A member that the guideline has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Member {
    /// `txnid`
    Txnid,
    /// `sessionid`
    Sessionid,
    /// `userid`
    Userid,
    /// `redirect`
    Redirect,
    /// `srcref`
    Srcref,
    /// `fipid`
    Fipid,
    /// `email`
    Email,
    /// `pan`
    Pan,
    /// `dob`
    Dob,
    /// `isoLanguageCode`
    IsoLanguageCode,
    /// `status`
    Status,
    /// `errorcode`
    Errorcode,
}

impl Member {
    /// Every member of either leg.
    pub const ALL: [Self; 12] = [
        Self::Txnid,
        Self::Sessionid,
        Self::Userid,
        Self::Redirect,
        Self::Srcref,
        Self::Fipid,
        Self::Email,
        Self::Pan,
        Self::Dob,
        Self::IsoLanguageCode,
        Self::Status,
        Self::Errorcode,
    ];

    /// The members of `leg`, in the order in which they are written.
    pub fn of(leg: Leg) -> &'static [Self] {
        const REQUEST: &[Member] = Member::ALL.split_at(10).0;
        const CALLBACK: &[Member] =
            &[Member::Txnid, Member::Sessionid, Member::Userid, Member::Status, Member::Errorcode, Member::Srcref];
        match leg {
            Leg::Request => REQUEST,
            Leg::Callback => CALLBACK,
        }
    }

    /// The name in the text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Txnid => "txnid",
            Self::Sessionid => "sessionid",
            Self::Userid => "userid",
            Self::Redirect => "redirect",
            Self::Srcref => "srcref",
            Self::Fipid => "fipid",
            Self::Email => "email",
            Self::Pan => "pan",
            Self::Dob => "dob",
            Self::IsoLanguageCode => "isoLanguageCode",
            Self::Status => "status",
            Self::Errorcode => "errorcode",
        }
    }

    fn is_list(self) -> bool {
        matches!(self, Self::Srcref | Self::Fipid)
    }

    /// Whether it is optional in a request.
    fn is_optional(self) -> bool {
        matches!(self, Self::Fipid | Self::Email | Self::Pan | Self::Dob | Self::IsoLanguageCode)
    }
}

/// The members of `ecreq` (wire format, section 3). Empty means absent. Zeroed when dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Redirect {
    /// Names one redirect; a UUID.
    pub txnid: String,
    /// Opaque state of the FIU.
    pub sessionid: String,
    /// `<name or mobile>@<aa handle>`.
    pub userid: String,
    /// The absolute URL to return to.
    pub redirect: String,
    /// Consent handles.
    pub srcref: Vec<String>,
    /// FIP ids.
    pub fipid: Vec<String>,
    /// E-mail address.
    pub email: String,
    /// Permanent account number.
    pub pan: String,
    /// Date of birth.
    pub dob: String,
    /// Language, such as `en-IN`.
    pub iso_language_code: String,
    /// Members that the guideline does not have, by name.
    pub extra: BTreeMap<String, String>,
}

/// The members of `ecres` (wire format, section 4). Zeroed when dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Callback {
    /// The request's.
    pub txnid: String,
    /// The request's.
    pub sessionid: String,
    /// The request's.
    pub userid: String,
    /// `S` or `F`.
    pub success: bool,
    /// The code of the table; see [`super::errorcode`].
    pub errorcode: u32,
    /// The accepted consent handles.
    pub srcref: Vec<String>,
    /// Members that the guideline does not have, by name.
    pub extra: BTreeMap<String, String>,
}

impl Redirect {
    /// The optional members that are not lists and not empty, by name, in the order of writing.
    pub fn optional(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let Self { email, pan, dob, iso_language_code, .. } = self;
        [("email", &**email), ("pan", pan), ("dob", dob), ("isoLanguageCode", iso_language_code)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
    }
}

impl Drop for Redirect {
    fn drop(&mut self) {
        let Self { txnid, sessionid, userid, redirect, srcref, fipid, email, pan, dob, iso_language_code, extra } =
            self;
        let texts = [txnid, sessionid, userid, redirect, email, pan, dob, iso_language_code].into_iter();
        texts.chain(srcref).chain(fipid).chain(extra.values_mut()).for_each(Zeroize::zeroize);
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        let Self { txnid, sessionid, userid, success: _, errorcode: _, srcref, extra } = self;
        [txnid, sessionid, userid].into_iter().chain(srcref).chain(extra.values_mut()).for_each(Zeroize::zeroize);
    }
}

impl std::fmt::Debug for Redirect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redirect").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Callback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callback").finish_non_exhaustive()
    }
}
