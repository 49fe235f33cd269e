//! The format: seal and open, bytes and fields in, bytes and fields out.
//!
//! Pure: no clock, no randomness, no I/O. A message is read in two steps, because dates, ids and lengths must be checked
//! before a key is derived: [`Envelope`] is all that needs no key, [`open_redirect`] and [`open_callback`] need one.

use thiserror::Error;
use zeroize::Zeroizing;

pub mod base64;
pub mod cipher;
pub mod date;
mod deviation;
pub mod errorcode;
pub mod form;
pub mod kdf;
pub mod mask;
pub mod members;
pub mod profile;
pub mod url;

pub use deviation::{Deviation, Deviations};

use base64::Alphabet;
use cipher::{BLOCK, Decrypted};
use date::{DateProblem, WireDate};
use kdf::Key;
use members::{Callback, Redirect, Unreadable};
use profile::{Conventions, Scheme};
use url::{Leg, Parameters, UrlProblem, Value};

/// Bytes of an FIU's or AA's id at most.
pub const MAX_ID: usize = 128;

/// The URL parameter `requestorType`: who asks for the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestorType {
    /// A Financial Information User.
    Fiu,
    /// A Lending Service Provider.
    Lsp,
}

impl RequestorType {
    /// The text that is masked.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fiu => "FIU",
            Self::Lsp => "LSP",
        }
    }
}

/// Why the parameters of a message cannot be read; needs no key to see. Names parameters, never values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// A parameter is missing or repeated.
    #[error("the URL's parameters cannot be read")]
    Url(UrlProblem),
    /// The date is none.
    #[error("{parameter} {problem}")]
    Date {
        /// `reqdate` or `resdate`.
        parameter: &'static str,
        /// What is wrong with it.
        problem: DateProblem,
    },
    /// Another parameter cannot be read.
    #[error("{parameter} {problem}")]
    Parameter {
        /// Its name.
        parameter: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// All of a received message that needs no key to read.
pub struct Envelope {
    /// The date.
    pub date: WireDate,
    /// The sender's id, unmasked from `fi`: the FIU's on the request leg, the AA's on the callback leg. Anyone can forge
    /// it. At most [`MAX_ID`] bytes without control characters, not empty.
    pub sender: String,
    /// What `requestorType` said.
    pub requestor_type: Option<RequestorType>,
    /// The IV; none where it was absent or empty.
    pub iv: Option<[u8; BLOCK]>,
    /// The ciphertext: whole blocks, at least one.
    pub ciphertext: Vec<u8>,
    /// What had to be repaired so far.
    pub deviations: Deviations,
}

impl Envelope {
    /// Reads a whole URL, or a query string with or without its `?`.
    ///
    /// # Errors
    /// The first of URL, date and other parameters that cannot be read.
    pub fn from_url(url: &str, leg: Leg) -> Result<Self, Malformed> {
        let mut deviations = Deviations::default();
        let parameters = url::read(url, leg, &mut deviations).map_err(Malformed::Url)?;
        Self::from_parameters(parameters, leg, deviations)
    }

    /// Reads parameters that were found with `deviations`.
    ///
    /// # Errors
    /// The first of date and other parameters that cannot be read.
    pub fn from_parameters(
        parameters: Parameters<'_>,
        leg: Leg,
        mut deviations: Deviations,
    ) -> Result<Self, Malformed> {
        let date = read_date(parameters.date, &mut deviations)
            .map_err(|problem| Malformed::Date { parameter: leg.date_name(), problem })?;
        let sender = unmask("fi", parameters.fi, &date, &mut deviations, |id| match id {
            id if id.chars().any(char::is_control) => Err("unmasks to control characters"),
            id if id.len() > MAX_ID => Err("unmasks to over 128 bytes"),
            id => Ok(id),
        })?;
        let requestor_type = parameters
            .requestor_type
            .map(|value| {
                unmask("requestorType", value, &date, &mut deviations, |name| match &*name {
                    "FIU" => Ok(RequestorType::Fiu),
                    "LSP" => Ok(RequestorType::Lsp),
                    _ => Err("unmasks to neither FIU nor LSP"),
                })
            })
            .transpose()?;
        let iv = parameters
            .iv
            .map(|value| {
                base64::read(value, Alphabet::Standard, |bytes| bytes.try_into().ok(), &mut deviations)
                    .ok_or(Malformed::Parameter { parameter: "iv", problem: "is no Base64 of 16 bytes" })
            })
            .transpose()?;
        let whole_blocks = |bytes: Vec<u8>| (!bytes.is_empty() && bytes.len().is_multiple_of(BLOCK)).then_some(bytes);
        let ciphertext = base64::read(parameters.message, Alphabet::UrlSafe, whole_blocks, &mut deviations).ok_or(
            Malformed::Parameter {
                parameter: leg.message_name(),
                problem: "is no Base64 of whole 16-byte blocks; it may have been cut short",
            },
        )?;
        Ok(Self { date, sender, requestor_type, iv, ciphertext, deviations })
    }

    /// The IV to decrypt with, where the message fits `scheme`.
    pub fn iv_for(&self, scheme: Scheme) -> Option<[u8; BLOCK]> {
        match (scheme, self.iv) {
            (Scheme::HkdfIv, Some(iv)) => Some(iv),
            (Scheme::Pbkdf2, None) => Some([0; BLOCK]),
            _ => None,
        }
    }

    /// All that had to be repaired to read the envelope of a pairing with `conventions`.
    fn deviations_for(&self, conventions: &Conventions) -> Deviations {
        let mut deviations = self.deviations;
        deviations.note(Deviation::DateDigits, self.date.deviates(conventions.date));
        deviations
    }
}

/// Why a message cannot be opened with a key. For the operator alone: whoever sits at the browser must not tell one from
/// another, since CBC without a MAC is a padding oracle to him who can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unopened {
    /// The message has an IV that the scheme lacks, or lacks one that it needs.
    #[error("the `iv` does not fit the scheme")]
    Scheme,
    /// The padding is wrong, most likely because the secret is.
    #[error("the padding is wrong: another secret or date, or a changed message")]
    Padding,
    /// The decrypted text is no message.
    #[error("decrypted, but {0}")]
    Members(#[from] Unreadable),
}

/// Opens `ecreq` with a key derived from a secret and [`Envelope::date`].
///
/// # Errors
/// Why the key does not open it.
pub fn open_redirect(
    envelope: &Envelope,
    key: &Key,
    conventions: &Conventions,
) -> Result<(Redirect, Deviations), Unopened> {
    let mut deviations = envelope.deviations_for(conventions);
    let decrypted = decrypt(envelope, key, conventions)?;
    let text = decrypted.text().ok_or(Unopened::Padding)?;
    let redirect = members::read_redirect(text, conventions, &mut deviations)?;
    Ok((redirect, deviations))
}

/// Opens `ecres` with a key derived from a secret and [`Envelope::date`].
///
/// # Errors
/// Why the key does not open it.
pub fn open_callback(
    envelope: &Envelope,
    key: &Key,
    conventions: &Conventions,
) -> Result<(Callback, Deviations), Unopened> {
    let mut deviations = envelope.deviations_for(conventions);
    let decrypted = decrypt(envelope, key, conventions)?;
    let text = decrypted.text().ok_or(Unopened::Padding)?;
    let callback = members::read_callback(text, conventions, &mut deviations)?;
    Ok((callback, deviations))
}

fn decrypt(envelope: &Envelope, key: &Key, conventions: &Conventions) -> Result<Decrypted, Unopened> {
    let iv = envelope.iv_for(conventions.profile.scheme).ok_or(Unopened::Scheme)?;
    cipher::decrypt(key, &iv, &envelope.ciphertext).ok_or(Unopened::Padding)
}

/// The parameters of a sealed message, before percent-encoding.
pub struct Sealed {
    /// The sender's masked id.
    pub fi: String,
    /// The date, as it was given.
    pub date: String,
    /// The ciphertext.
    pub message: String,
    /// The IV; empty in a scheme without one.
    pub iv: String,
    /// The masked requestor type; empty where none was given.
    pub requestor_type: String,
}

impl Sealed {
    /// The parameters as a query string of `leg` without `?`.
    pub fn query(&self, leg: Leg) -> String {
        let parameters = [
            ("fi", &self.fi),
            (leg.date_name(), &self.date),
            (leg.message_name(), &self.message),
            ("iv", &self.iv),
            ("requestorType", &self.requestor_type),
        ];
        url::query(parameters.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name, &**value)))
    }
}

/// What a message is sealed with, beside its members.
pub struct Seal<'a> {
    /// The sender's id, for `fi`.
    pub sender: &'a str,
    /// For `requestorType`.
    pub requestor_type: Option<RequestorType>,
    /// The date in the pairing's style.
    pub date: String,
    /// The key derived from a secret and that date.
    pub key: &'a Key,
    /// 16 fresh random bytes, used by the scheme that sends an IV.
    pub random_iv: [u8; BLOCK],
}

/// Seals `plaintext`, written by [`members::write_redirect`] or [`members::write_callback`].
pub fn seal(mut plaintext: Zeroizing<String>, seal: Seal<'_>, conventions: &Conventions) -> Sealed {
    let iv = match conventions.profile.scheme {
        Scheme::HkdfIv => Some(seal.random_iv),
        Scheme::Pbkdf2 => None,
    };
    let plaintext = std::mem::take(&mut *plaintext).into_bytes();
    let ciphertext = cipher::encrypt(seal.key, &iv.unwrap_or_default(), plaintext);
    let masked = |text: &str| base64::standard(&mask::mask(text.as_bytes(), &seal.date));
    Sealed {
        fi: masked(seal.sender),
        message: base64::url_safe(&ciphertext, conventions.padding),
        iv: iv.map(|iv| base64::standard(&iv)).unwrap_or_default(),
        requestor_type: seal.requestor_type.map(|kind| masked(kind.name())).unwrap_or_default(),
        date: seal.date,
    }
}

/// Zeroes all that `bytes` has room for, and empties it. The library's own zeroing writes byte by byte, which took a tenth
/// of the time in which a message is opened.
fn wipe(bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.resize(bytes.capacity(), 0);
    zeroize::optimization_barrier(bytes.as_slice());
    bytes.clear();
}

/// Whether `text` holds the ASCII character `byte`, looked for with vector instructions.
fn holds(text: &str, byte: u8) -> bool {
    memchr::memchr(byte, text.as_bytes()).is_some()
}

/// What stands before and after the first ASCII character `byte` of `text`, found with vector instructions.
fn split_at_first(text: &str, byte: u8) -> Option<(&str, &str)> {
    memchr::memchr(byte, text.as_bytes()).map(|at| (&text[..at], &text[at + 1..]))
}

/// What stands between the `&` of `text`, as `str::split` gives it, found with vector instructions.
fn split_at_ampersands(text: &str) -> impl Iterator<Item = &str> {
    let mut begin = 0;
    memchr::memchr_iter(b'&', text.as_bytes()).chain([text.len()]).map(move |end| {
        let part = &text[begin..end];
        begin = end + 1;
        part
    })
}

fn read_date(value: Value<'_>, deviations: &mut Deviations) -> Result<WireDate, DateProblem> {
    let bytes = value.decoded(deviations);
    let text = std::str::from_utf8(&bytes).map_err(|_| "holds something other than ASCII digits")?;
    let date = WireDate::parse(text)?;
    deviations.note(Deviation::Whitespace, date.text().len() < text.len());
    Ok(date)
}

/// Unmasks a value that `read` makes sense of. Of a value that is Base64 in two ways, that one is meant which does.
fn unmask<T>(
    parameter: &'static str,
    value: Value<'_>,
    date: &WireDate,
    deviations: &mut Deviations,
    read: impl Fn(String) -> Result<T, &'static str>,
) -> Result<T, Malformed> {
    let mut problem = "is no Base64, or of an impossible length";
    let accept = |masked: Vec<u8>| {
        if masked.is_empty() {
            return None;
        }
        let text = String::from_utf8(mask::mask(&masked, date.text())).map_err(|_| "unmasks to no UTF-8");
        text.and_then(&read).map_err(|why| problem = why).ok()
    };
    base64::read(value, Alphabet::Standard, accept, deviations).ok_or(Malformed::Parameter { parameter, problem })
}
