//! Opens a message: from an envelope and a key to members.

use thiserror::Error;

use super::{
    Deviation, Deviations, Envelope, Parties,
    cipher::{self, BLOCK},
    kdf::Key,
    members::{self, Callback, Redirect, Unreadable},
    profile::{Authentication, Conventions, Scheme},
    tag::{self, Scope},
    url::Leg,
};

/// An opened message.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened<T> {
    /// Its members.
    pub message: T,
    /// All repairs, in the envelope and in the members.
    pub deviations: Deviations,
    /// Whether it had a right tag.
    pub authenticated: bool,
}

/// Why a key does not open a message. Only the operator may see it: if others could tell the cases apart, CBC without a
/// MAC would be a padding oracle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unopened {
    /// The message has an IV but the scheme has none, or the reverse.
    #[error("the `iv` does not fit the scheme")]
    Scheme,
    /// The padding is wrong, probably because the secret is wrong.
    #[error("the padding is wrong: the sender used another secret or date, or the message was changed")]
    Padding,
    /// The tag is wrong.
    #[error("decrypted, but the tag `mac` is wrong: the message was changed, or the sender has other ids")]
    WrongTag,
    /// The pairing requires a tag, and the text does not end with one.
    #[error("decrypted, but there is no tag `mac` at the end, and the pairing requires one")]
    NoTag,
    /// The decrypted text is not a message.
    #[error("decrypted, but {0}")]
    Members(#[from] Unreadable),
}

/// The members of one leg, as a decrypted text has them.
pub trait Members: Sized {
    /// The leg.
    const LEG: Leg;

    /// Reads a decrypted text without its tag.
    ///
    /// # Errors
    /// What makes the text unreadable.
    fn read(text: &[u8], conventions: &Conventions) -> Result<(Self, Deviations), Unreadable>;
}

impl Members for Redirect {
    const LEG: Leg = Leg::Request;

    fn read(text: &[u8], conventions: &Conventions) -> Result<(Self, Deviations), Unreadable> {
        members::read_redirect(text, conventions)
    }
}

impl Members for Callback {
    const LEG: Leg = Leg::Callback;

    fn read(text: &[u8], conventions: &Conventions) -> Result<(Self, Deviations), Unreadable> {
        members::read_callback(text, conventions)
    }
}

/// Opens `ecreq` or `ecres` with a key derived from a secret and [`Envelope::date`].
///
/// # Errors
/// Why the key does not open it.
pub fn open<M: Members>(
    envelope: &Envelope,
    key: &Key,
    conventions: &Conventions,
    parties: Parties<'_>,
) -> Result<Opened<M>, Unopened> {
    let iv = envelope.iv_for(conventions.profile.scheme).ok_or(Unopened::Scheme)?;
    let decrypted = cipher::decrypt(key, &iv, &envelope.ciphertext).ok_or(Unopened::Padding)?;
    let text = decrypted.text().ok_or(Unopened::Padding)?;
    let scope = Scope { leg: M::LEG, parties, date: envelope.date.text() };
    let (text, authenticated) = authenticated(text, key, scope, conventions.authentication)?;
    let (message, found) = M::read(text, conventions)?;
    let mut deviations = envelope.deviations.clone();
    deviations.note_if(envelope.date.deviates(conventions.date), Deviation::DateDigits, M::LEG.date_name());
    deviations.extend(found);
    Ok(Opened { message, deviations, authenticated })
}

/// `text` without its tag, and whether the tag is right.
fn authenticated<'a>(
    text: &'a [u8],
    key: &Key,
    scope: Scope<'_>,
    authentication: Authentication,
) -> Result<(&'a [u8], bool), Unopened> {
    let tagged = match authentication {
        Authentication::Off => return Ok((text, false)),
        Authentication::Write | Authentication::Require => tag::split(text),
    };
    match tagged {
        Some((covered, tag)) if tag::is_right(tag, key, scope, covered) => Ok((covered, true)),
        Some(_) => Err(Unopened::WrongTag),
        None if authentication == Authentication::Require => Err(Unopened::NoTag),
        None => Ok((text, false)),
    }
}

impl Envelope {
    /// The IV for decryption, if the message fits `scheme`.
    pub fn iv_for(&self, scheme: Scheme) -> Option<[u8; BLOCK]> {
        match (scheme, self.iv) {
            (Scheme::HkdfIv, Some(iv)) => Some(iv),
            (Scheme::Pbkdf2, None) => Some([0; BLOCK]),
            _ => None,
        }
    }
}
