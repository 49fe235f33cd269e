//! Members from text, as real senders write them (wire format, section 6); every repair is noted.
//!
//! What is wrong is told to the operator's `inspect` only: the service answers all of it alike.

use std::{borrow::Cow, collections::BTreeMap};

use thiserror::Error;

use crate::codec::{Deviation, Deviations, form, holds, profile::Conventions, split_at_ampersands, split_at_first};

use super::{CALLBACK_NAMES, Callback, REDIRECT_NAMES, Redirect, escape, list};

/// Why a decrypted text is no message. Names members, never values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// Not UTF-8.
    #[error("the text is no UTF-8")]
    NotUtf8,
    /// An `&&`, an `&` at either end, a member without `=` or without a name.
    #[error("member {0} (counted from 1) has no name or no `=`")]
    NotAMember(usize),
    /// A `%` without two hexadecimal digits, or bytes that are no UTF-8.
    #[error("member {0} (counted from 1) has an invalid `%` escape or is no UTF-8")]
    BadEscape(usize),
    /// A member that is no list, twice.
    #[error("the member `{0}` is there twice")]
    Repeated(&'static str),
    /// An extra member, twice.
    #[error("a member that the guideline does not have is there twice")]
    ExtraRepeated,
    /// Absent or empty.
    #[error("the member `{0}` is missing or empty")]
    Missing(&'static str),
    /// Of a form that cannot be read.
    #[error("the member `{0}` {1}")]
    Malformed(&'static str, &'static str),
}

/// The members of a text by name, decoded.
struct Members<const N: usize> {
    values: [Option<String>; N],
    lists: [Vec<String>; N],
    extra: BTreeMap<String, String>,
}

/// Reads the plaintext of `ecreq`.
///
/// # Errors
/// What makes the text unreadable.
pub fn read_redirect(
    text: &[u8],
    conventions: &Conventions,
    deviations: &mut Deviations,
) -> Result<Redirect, Unreadable> {
    let mut members = Members::read(text, &REDIRECT_NAMES, conventions, deviations)?;
    let mut redirect = Redirect {
        txnid: members.take(0),
        sessionid: members.take(1),
        userid: members.take(2),
        redirect: members.take(3),
        srcref: members.list(4),
        fipid: members.list(5),
        email: members.take(6),
        pan: members.take(7),
        dob: members.take(8),
        iso_language_code: members.take(9),
        extra: std::mem::take(&mut members.extra),
    };
    if !form::is_absolute_url(&redirect.redirect)
        && let Some(once_more) = escape::decode(&redirect.redirect, false).filter(|url| form::is_absolute_url(url))
    {
        deviations.note(Deviation::DoubleEncoded, true);
        redirect.redirect = once_more.into_owned();
    }
    required("txnid", &redirect.txnid)?;
    required("userid", &redirect.userid)?;
    required("redirect", &redirect.redirect)?;
    if redirect.srcref.is_empty() {
        return Err(Unreadable::Missing("srcref"));
    }
    if !form::is_userid(&redirect.userid) {
        return Err(Unreadable::Malformed("userid", "is not `<something>@<something>` without blanks"));
    }
    form::check_redirect(&redirect.redirect).map_err(|problem| Unreadable::Malformed("redirect", problem))?;
    deviations.note(Deviation::TxnidNotUuid, !form::is_uuid(&redirect.txnid));
    Ok(redirect)
}

/// Reads the plaintext of `ecres`.
///
/// # Errors
/// What makes the text unreadable.
pub fn read_callback(
    text: &[u8],
    conventions: &Conventions,
    deviations: &mut Deviations,
) -> Result<Callback, Unreadable> {
    let mut members = Members::read(text, &CALLBACK_NAMES, conventions, deviations)?;
    let (status, errorcode) = (members.take(3), members.take(4));
    let callback = Callback {
        txnid: members.take(0),
        sessionid: members.take(1),
        userid: members.take(2),
        success: match &*status {
            "S" => true,
            "F" => false,
            "" => return Err(Unreadable::Missing("status")),
            _ => return Err(Unreadable::Malformed("status", "is neither S nor F")),
        },
        errorcode: match errorcode.parse() {
            Ok(code) if errorcode.bytes().all(|byte| byte.is_ascii_digit()) => code,
            _ if errorcode.is_empty() => return Err(Unreadable::Missing("errorcode")),
            _ => return Err(Unreadable::Malformed("errorcode", "is no decimal number of 32 bits")),
        },
        srcref: members.list(5),
        extra: std::mem::take(&mut members.extra),
    };
    required("txnid", &callback.txnid)?;
    required("userid", &callback.userid)?;
    deviations.note(Deviation::TxnidNotUuid, !form::is_uuid(&callback.txnid));
    deviations.note(Deviation::StatusMismatch, callback.success != (callback.errorcode == 0));
    Ok(callback)
}

fn required(name: &'static str, value: &str) -> Result<(), Unreadable> {
    if value.is_empty() { Err(Unreadable::Missing(name)) } else { Ok(()) }
}

impl<const N: usize> Members<N> {
    /// Splits and decodes `text`, whose known members are `names`.
    fn read(
        text: &[u8],
        names: &[&'static str; N],
        conventions: &Conventions,
        deviations: &mut Deviations,
    ) -> Result<Self, Unreadable> {
        let text = std::str::from_utf8(text).map_err(|_| Unreadable::NotUtf8)?;
        let plus_is_space = conventions.profile.plus_is_space;
        let mut members: Self =
            Self { values: [const { None }; N], lists: [const { Vec::new() }; N], extra: BTreeMap::new() };
        // The place of a `redirect` whose raw query may go on in the members after it, and its text as it was received.
        let mut open_redirect: Option<(usize, Option<&str>)> = None;
        for (number, segment) in (1..).zip(split_at_ampersands(text)) {
            let (name, raw) = split_at_first(segment, b'=').ok_or(Unreadable::NotAMember(number))?;
            let name = escape::decode(name, plus_is_space).ok_or(Unreadable::BadEscape(number))?;
            let place = names.iter().position(|known| *known == name);
            if let (None, Some((redirect, first))) = (place, &mut open_redirect) {
                let redirect: &mut String = members.values[*redirect].get_or_insert_default();
                // Who lets `&` stand has escaped nothing: the escapes before it are the URL's own, as those behind it are.
                if let Some(first) = first.take() {
                    first.clone_into(redirect);
                }
                redirect.extend(["&", segment]);
                continue;
            }
            open_redirect = None;
            if name.is_empty() {
                return Err(Unreadable::NotAMember(number));
            }
            // A blank cannot stand in a URL, so a `+` in one that was not escaped is its own.
            let raw_redirect = name == "redirect" && place.is_some() && holds(raw, b'?');
            let value = escape::decode(raw, plus_is_space && !raw_redirect).ok_or(Unreadable::BadEscape(number))?;
            if raw_redirect {
                deviations.note(Deviation::RedirectUnescaped, true);
                open_redirect = place.map(|place| (place, Some(raw)));
            }
            members.insert(names, place, name, value, conventions, deviations)?;
        }
        Ok(members)
    }

    fn insert(
        &mut self,
        names: &[&'static str; N],
        place: Option<usize>,
        name: Cow<'_, str>,
        value: Cow<'_, str>,
        conventions: &Conventions,
        deviations: &mut Deviations,
    ) -> Result<(), Unreadable> {
        let Some(place) = place else {
            deviations.note(Deviation::ExtraMember, true);
            return match self.extra.insert(name.into_owned(), value.into_owned()) {
                None => Ok(()),
                Some(_) => Err(Unreadable::ExtraRepeated),
            };
        };
        let name = names[place];
        if matches!(name, "srcref" | "fipid") {
            list::read(name, &value, conventions.lists, &mut self.lists[place], deviations);
            return Ok(());
        }
        deviations.note(
            Deviation::BlankOptional,
            value.is_empty() && matches!(name, "email" | "pan" | "dob" | "isoLanguageCode"),
        );
        match self.values[place].replace(value.into_owned()) {
            None => Ok(()),
            Some(_) => Err(Unreadable::Repeated(name)),
        }
    }

    /// The value at `place` of the names; empty where it is absent.
    fn take(&mut self, place: usize) -> String {
        self.values[place].take().unwrap_or_default()
    }

    fn list(&mut self, place: usize) -> Vec<String> {
        std::mem::take(&mut self.lists[place])
    }
}
