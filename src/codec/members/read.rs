//! Reads members from text, as real senders write them (wire format, section 6), and notes every repair. The text
//! itself shows how it was written: no rule depends on the profile of the pairing.
//!
//! Only the operator's `inspect` shows what is wrong with a text. The service gives the same answer to every unreadable
//! text.

use std::{
    borrow::Cow,
    collections::{BTreeMap, btree_map::Entry},
};

use zeroize::Zeroize;

use crate::codec::{
    Deviation, Deviations,
    deviation::{EXTRA, Place},
    form,
    profile::{Authentication, Conventions},
    scan::holds,
    url::Leg,
};

use super::{
    Callback, Member, Redirect, escape,
    pieces::{Name, Piece, is_raw_url},
    reader::{Reader, Unreadable},
};

/// Reads the plaintext of `ecreq`.
///
/// # Errors
/// What makes the text unreadable.
pub fn read_redirect(text: &[u8], conventions: &Conventions) -> Result<(Redirect, Deviations), Unreadable> {
    let mut reader = Reader::new(Leg::Request, conventions);
    let mut values = reader.values(text)?;
    let redirect = Redirect {
        txnid: values.take(Member::Txnid),
        sessionid: values.take(Member::Sessionid),
        userid: values.take(Member::Userid),
        redirect: values.take(Member::Redirect),
        srcref: std::mem::take(&mut values.srcref),
        fipid: std::mem::take(&mut values.fipid),
        email: values.take(Member::Email),
        pan: values.take(Member::Pan),
        dob: values.take(Member::Dob),
        iso_language_code: values.take(Member::IsoLanguageCode),
        extra: std::mem::take(&mut values.extra),
    };
    reader.check_names(&redirect.txnid, &redirect.userid)?;
    required(Member::Redirect, &redirect.redirect)?;
    if redirect.srcref.is_empty() {
        return Err(Unreadable::Missing(Member::Srcref.name()));
    }
    form::check_redirect(&redirect.redirect)
        .map_err(|problem| Unreadable::Malformed(Member::Redirect.name(), problem))?;
    Ok((redirect, reader.deviations))
}

/// Reads the plaintext of `ecres`.
///
/// # Errors
/// What makes the text unreadable.
pub fn read_callback(text: &[u8], conventions: &Conventions) -> Result<(Callback, Deviations), Unreadable> {
    let mut reader = Reader::new(Leg::Callback, conventions);
    let mut values = reader.values(text)?;
    let success = match &*values.take(Member::Status) {
        "S" => true,
        "F" => false,
        "" => return Err(Unreadable::Missing(Member::Status.name())),
        _ => return Err(Unreadable::Malformed(Member::Status.name(), "is neither S nor F")),
    };
    let callback = Callback {
        success,
        errorcode: error_code(&values.take(Member::Errorcode))?,
        txnid: values.take(Member::Txnid),
        sessionid: values.take(Member::Sessionid),
        userid: values.take(Member::Userid),
        srcref: std::mem::take(&mut values.srcref),
        extra: std::mem::take(&mut values.extra),
    };
    reader.check_names(&callback.txnid, &callback.userid)?;
    let fits = callback.success == (callback.errorcode == 0);
    reader.deviations.note_if(!fits, Deviation::StatusMismatch, Member::Status.name());
    Ok((callback, reader.deviations))
}

fn error_code(text: &str) -> Result<u32, Unreadable> {
    required(Member::Errorcode, text)?;
    let code = text.parse().ok().filter(|_| text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit()));
    code.ok_or(Unreadable::Malformed(Member::Errorcode.name(), "is not a number of 1 to 10 digits up to 4294967295"))
}

fn required(member: Member, value: &str) -> Result<(), Unreadable> {
    if value.is_empty() { Err(Unreadable::Missing(member.name())) } else { Ok(()) }
}

/// The decoded members of a text. Zeroed when dropped, so that a text that does not open leaves nothing.
#[derive(Default)]
struct Values {
    /// The members that are not lists, at their places in [`Member::ALL`].
    single: [Option<String>; Member::ALL.len()],
    srcref: Vec<String>,
    fipid: Vec<String>,
    extra: BTreeMap<String, String>,
}

impl Values {
    /// The value of a member that is not a list. An absent member reads as empty.
    fn take(&mut self, member: Member) -> String {
        self.single[member as usize].take().unwrap_or_default()
    }
}

impl Drop for Values {
    fn drop(&mut self) {
        let Self { single, srcref, fipid, extra } = self;
        let texts = single.iter_mut().flatten().chain(srcref).chain(fipid).chain(extra.values_mut());
        texts.for_each(Zeroize::zeroize);
    }
}

impl Reader<'_> {
    fn values(&mut self, text: &[u8]) -> Result<Values, Unreadable> {
        let text = self.members_of(text)?;
        let pieces = self.pieces(&text)?;
        self.look_at_userid(&pieces)?;
        let mut values = Values::default();
        for piece in pieces {
            self.read_piece(piece, &mut values)?;
        }
        Ok(values)
    }

    /// The first `userid` shows how the text was written: only a form encoder escapes its `@`.
    fn look_at_userid(&mut self, pieces: &[Piece<'_>]) -> Result<(), Unreadable> {
        let userid = Name::Known(Member::Userid);
        let Some(Piece { raw, .. }) = pieces.iter().find(|piece| piece.name == userid) else {
            return Err(Unreadable::Missing(Member::Userid.name()));
        };
        self.plus_is_space = !holds(raw, b'@');
        if self.plus_is_space {
            let once = escape::decode(raw).ok_or(Unreadable::BadValue(Member::Userid.name()))?.text;
            // The bytes around the `@` may not be UTF-8. That shows when they are read.
            let again: Cow<'_, [u8]> = percent_encoding::percent_decode_str(&once).into();
            self.twice = !holds(&once, b'@') && again.contains(&b'@');
        }
        Ok(())
    }

    fn read_piece(&mut self, Piece { name, raw }: Piece<'_>, values: &mut Values) -> Result<(), Unreadable> {
        let place = name.place();
        let value =
            if name.is_redirect(self.leg) { self.redirect(place, raw)?.into() } else { self.value(place, raw)? };
        match name {
            Name::Known(Member::Srcref) => self.read_list(Member::Srcref, &value, &mut values.srcref),
            Name::Known(Member::Fipid) => self.read_list(Member::Fipid, &value, &mut values.fipid),
            Name::Known(member) => {
                let value = self.present(member, value.into_owned());
                match &mut values.single[member as usize] {
                    free @ None => *free = Some(value),
                    Some(there) => self.repeated(place, there, &value).ok_or(Unreadable::Repeated(place))?,
                }
                Ok(())
            }
            Name::Extra(name) => {
                if self.conventions.authentication != Authentication::Off && name.eq_ignore_ascii_case("mac") {
                    return Err(Unreadable::MisplacedTag);
                }
                self.deviations.note(Deviation::ExtraMember, EXTRA);
                match values.extra.entry(name.into_owned()) {
                    Entry::Vacant(free) => _ = free.insert(value.into_owned()),
                    Entry::Occupied(there) => {
                        self.repeated(place, there.get(), &value).ok_or(Unreadable::ExtraRepeated)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Notes that a member came again with the same value. `None` if the value is another.
    fn repeated(&mut self, place: Place, there: &str, value: &str) -> Option<()> {
        (there == value).then(|| self.deviations.note(Deviation::Repeated, place))
    }

    /// `value`, or an empty text if `value` means that an optional member is absent.
    fn present(&mut self, member: Member, value: String) -> String {
        if !member.is_optional() || !value.is_empty() && !form::is_absent_word(&value) {
            return value;
        }
        self.deviations.note(Deviation::BlankOptional, member.name());
        String::new()
    }

    /// A value, decoded in the way that the whole text was written.
    fn value<'t>(&mut self, place: Place, raw: &'t str) -> Result<Cow<'t, str>, Unreadable> {
        let raw = if self.plus_is_space && holds(raw, b'+') { Cow::Owned(raw.replace('+', " ")) } else { raw.into() };
        let once = self.decoded(place, raw)?;
        if !self.twice || !holds(&once, b'%') {
            return Ok(once);
        }
        let again = self.decoded(place, Cow::Borrowed(&*once))?.into_owned();
        self.deviations.note_if(again != once, Deviation::DoubleEncoded, place);
        Ok(Cow::Owned(again))
    }

    fn decoded<'t>(&mut self, place: Place, text: Cow<'t, str>) -> Result<Cow<'t, str>, Unreadable> {
        if !self.has_escapes || !holds(&text, b'%') {
            return Ok(text);
        }
        let decoded = escape::decode(&text).ok_or(Unreadable::BadValue(place))?;
        self.deviations.note_if(decoded.invalid_escape, Deviation::InvalidEscape, place);
        Ok(Cow::Owned(decoded.text.into_owned()))
    }

    /// The value of `redirect`: unchanged if it was not escaped, else decoded until it is a URL.
    fn redirect(&mut self, place: Place, raw: &str) -> Result<String, Unreadable> {
        if is_raw_url(raw) {
            return Ok(raw.to_owned());
        }
        let once = self.decoded(place, Cow::Borrowed(raw))?;
        if !form::is_absolute_url(&once)
            && let Some(again) = escape::decode(&once).filter(|again| form::is_absolute_url(&again.text))
        {
            self.deviations.note(Deviation::DoubleEncoded, place);
            self.deviations.note_if(again.invalid_escape, Deviation::InvalidEscape, place);
            return Ok(again.text.into_owned());
        }
        Ok(once.into_owned())
    }

    /// Checks the forms that both legs need.
    fn check_names(&mut self, txnid: &str, userid: &str) -> Result<(), Unreadable> {
        required(Member::Txnid, txnid)?;
        required(Member::Userid, userid)?;
        if !form::is_txnid(txnid) {
            return Err(Unreadable::Malformed("txnid", "has over 128 bytes or a control character"));
        }
        if !form::is_userid(userid) {
            let problem = "must have something on both sides of its last `@`, at most 128 bytes and no blanks";
            return Err(Unreadable::Malformed("userid", problem));
        }
        self.deviations.note_if(!form::is_uuid(txnid), Deviation::TxnidNotUuid, Member::Txnid.name());
        Ok(())
    }
}
