//! Reads everything that can be read of a received message without a key.

use std::fmt;

use thiserror::Error;

use super::{
    Deviation, Deviations, MAX_ID, RequestorType,
    base64::{self, Alphabet},
    cipher::BLOCK,
    date::{DateProblem, WireDate},
    form,
    mask::mask,
    url::{self, Leg, Parameters, UrlProblem, Value},
};

/// A text of at least this many hexadecimal digits, and nothing else, counts as hexadecimal: only one of 10¹⁵ Base64
/// texts of that length looks like that.
const HEXADECIMAL: usize = 2 * BLOCK;

/// Why the parameters of a message cannot be read, without a key. The text names parameters, never values.
#[derive(Clone, PartialEq, Eq, Error)]
pub enum Malformed {
    /// Parameters are missing, or come twice with different values.
    #[error("the URL's parameters cannot be read")]
    Url(UrlProblem),
    /// The date cannot be read.
    #[error("{parameter} {problem}")]
    Date {
        /// `reqdate` or `resdate`.
        parameter: &'static str,
        /// What is wrong with it.
        problem: DateProblem,
        /// The received text, percent-decoded, for [`super::date::clock_fault`].
        text: String,
    },
    /// Another parameter cannot be read.
    #[error("{parameter} {problem}")]
    Parameter {
        /// Its name.
        parameter: &'static str,
        /// What is wrong with it.
        problem: ParameterProblem,
        /// `fi` decoded but not unmasked, or `fi` itself if that is no text. If the sender forgot the mask, it is an id
        /// of the keyring.
        unmasked: Option<String>,
    },
}

impl fmt::Debug for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(problem) => f.debug_tuple("Url").field(problem).finish(),
            Self::Date { parameter, problem, .. } => f.debug_tuple("Date").field(parameter).field(problem).finish(),
            Self::Parameter { parameter, problem, .. } => {
                f.debug_tuple("Parameter").field(parameter).field(problem).finish()
            }
        }
    }
}

/// What is wrong with `fi`, `iv`, `ecreq` or `ecres`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParameterProblem {
    /// Present, but without a value.
    #[error("is empty")]
    Empty,
    /// Characters that are not Base64.
    #[error("is not Base64")]
    NotBase64,
    /// Hexadecimal digits in place of Base64.
    #[error("is hexadecimal; it must be Base64")]
    Hexadecimal,
    /// Base64 of an impossible length, probably because its end was cut off.
    #[error("has an impossible length; its end may have been cut off")]
    CutShort,
    /// Base64 of more than 16 bytes in place of an IV.
    #[error("is Base64 of more than 16 bytes")]
    TooLong,
    /// An id that is not text, probably because the sender masked it with another date.
    #[error("does not unmask to UTF-8")]
    NotUtf8,
    /// An id with control characters.
    #[error("unmasks to control characters")]
    ControlCharacters,
    /// An id of over [`MAX_ID`] bytes.
    #[error("unmasks to more than 128 bytes")]
    LongId,
}

impl ParameterProblem {
    /// Whether the id looks as if another date had masked it.
    pub fn is_garbled(self) -> bool {
        matches!(self, Self::NotUtf8 | Self::ControlCharacters)
    }

    /// The hint of the interface for this problem.
    pub fn hint(self) -> Option<&'static str> {
        match self {
            Self::Hexadecimal => Some("HEXADECIMAL"),
            Self::CutShort => Some("CUT_SHORT"),
            _ => None,
        }
    }
}

/// Everything that can be read of a received message without a key.
pub struct Envelope {
    /// The date.
    pub date: WireDate,
    /// The sender's id, unmasked from `fi`: the FIU's on the request leg, the AA's on the callback leg. Anyone can
    /// forge it. At most [`MAX_ID`] bytes without control characters, not empty.
    pub sender: String,
    /// The meaning of `requestorType`.
    pub requestor_type: Option<RequestorType>,
    /// The IV; `None` if it was absent or empty.
    pub iv: Option<[u8; BLOCK]>,
    /// The ciphertext: whole blocks, at least one.
    pub ciphertext: Vec<u8>,
    /// The repairs so far.
    pub deviations: Deviations,
}

impl Envelope {
    /// Reads a whole URL, or a query string with or without its `?`.
    ///
    /// # Errors
    /// The first problem, in this order: URL, date, other parameters.
    pub fn from_url(url: &str, leg: Leg) -> Result<Self, Malformed> {
        let (parameters, deviations) = url::read(url, leg).map_err(Malformed::Url)?;
        Reader { leg, deviations }.read(parameters)
    }

    /// Reads parameters that the caller has taken out of the URL.
    ///
    /// # Errors
    /// The first problem: the date, then other parameters.
    pub fn from_parameters(parameters: Parameters<'_>, leg: Leg) -> Result<Self, Malformed> {
        Reader { leg, deviations: Deviations::default() }.read(parameters)
    }

    /// `fi` decoded but not unmasked, if the result is text. If the sender forgot the mask, it is an id of the keyring.
    pub fn unmasked_sender(&self) -> Option<String> {
        String::from_utf8(mask(self.sender.as_bytes(), self.date.text())).ok()
    }
}

/// Reads one message, and holds the repairs so far.
struct Reader {
    leg: Leg,
    deviations: Deviations,
}

impl Reader {
    fn read(mut self, parameters: Parameters<'_>) -> Result<Envelope, Malformed> {
        let date = self.date(parameters.date)?;
        let sender = self.sender(parameters.fi, &date)?;
        let requestor_type = parameters.requestor_type.and_then(|value| self.requestor_type(value, &date));
        let iv = parameters.iv.map(|value| self.iv(value)).transpose()?;
        let ciphertext = self.message(parameters.message)?;
        Ok(Envelope { date, sender, requestor_type, iv, ciphertext, deviations: self.deviations })
    }

    fn date(&mut self, value: Value<'_>) -> Result<WireDate, Malformed> {
        let parameter = self.leg.date_name();
        let (bytes, twice) = value.decoded();
        let text = String::from_utf8_lossy(&bytes);
        let date = WireDate::parse(&text).map_err(|problem| Malformed::Date {
            parameter,
            problem,
            text: text.clone().into_owned(),
        })?;
        self.deviations.note_if(twice, Deviation::DoubleEncoded, parameter);
        self.deviations.note_if(text.trim_ascii().len() < text.len(), Deviation::Whitespace, parameter);
        self.deviations.note_if(date.zero_lost(), Deviation::DateZeroLost, parameter);
        Ok(date)
    }

    /// Unmasks `fi`. If a value can be read as Base64 in two ways, the way that unmasks to an id is right.
    fn sender(&mut self, value: Value<'_>, date: &WireDate) -> Result<String, Malformed> {
        let mut problem = None;
        let mut unmasked = None;
        let accept = |masked: Vec<u8>| {
            let read = id(&masked, date).map_err(|why| problem.get_or_insert(why));
            if read.is_err() {
                unmasked = String::from_utf8(masked).ok();
            }
            read.ok()
        };
        if let Some(sender) = self.base64("fi", value, Alphabet::Standard, accept) {
            return Ok(sender);
        }
        let hexadecimal = base64::hexadecimal(value).and_then(|digits| base64::from_hexadecimal(&digits));
        let problem = match (hexadecimal, problem) {
            (Some(masked), _) if id(&masked, date).is_ok() => ParameterProblem::Hexadecimal,
            (_, Some(problem)) => problem,
            _ => broken(value),
        };
        let unmasked = unmasked.or_else(|| String::from_utf8(value.decoded().0.trim_ascii().to_vec()).ok());
        Err(Malformed::Parameter { parameter: "fi", problem, unmasked })
    }

    /// An unknown value counts as absent, since the guideline says that more values will come.
    fn requestor_type(&mut self, value: Value<'_>, date: &WireDate) -> Option<RequestorType> {
        let masked = |bytes: Vec<u8>| RequestorType::named(&mask(&bytes, date.text()));
        let known = self.base64("requestorType", value, Alphabet::Standard, masked);
        if known.is_none() {
            self.deviations.note(Deviation::RequestorType, "requestorType");
        }
        let unmasked = || base64::read(value, Alphabet::Standard, |bytes| RequestorType::named(&bytes));
        known.or_else(|| RequestorType::named(value.decoded().0.trim_ascii())).or_else(|| Some(unmasked()?.0))
    }

    fn iv(&mut self, value: Value<'_>) -> Result<[u8; BLOCK], Malformed> {
        let problem = if is_hexadecimal(value) {
            ParameterProblem::Hexadecimal
        } else {
            match self.base64("iv", value, Alphabet::Standard, |bytes| bytes.try_into().ok()) {
                Some(iv) => return Ok(iv),
                None if base64::symbols(value).is_some_and(|symbols| symbols > BLOCK.div_ceil(3) * 4) => {
                    ParameterProblem::TooLong
                }
                None => broken(value),
            }
        };
        Err(Malformed::Parameter { parameter: "iv", problem, unmasked: None })
    }

    fn message(&mut self, value: Value<'_>) -> Result<Vec<u8>, Malformed> {
        let parameter = self.leg.message_name();
        // Hexadecimal digits are Base64 symbols too, so half of all such texts would decode to whole blocks.
        let problem = if is_hexadecimal(value) {
            ParameterProblem::Hexadecimal
        } else {
            let whole_blocks =
                |bytes: Vec<u8>| (!bytes.is_empty() && bytes.len().is_multiple_of(BLOCK)).then_some(bytes);
            match self.base64(parameter, value, Alphabet::UrlSafe, whole_blocks) {
                Some(ciphertext) => return Ok(ciphertext),
                None => broken(value),
            }
        };
        Err(Malformed::Parameter { parameter, problem, unmasked: None })
    }

    /// The value of `parameter` that `accept` takes. Notes the repairs.
    fn base64<T>(
        &mut self,
        parameter: &'static str,
        value: Value<'_>,
        alphabet: Alphabet,
        accept: impl FnMut(Vec<u8>) -> Option<T>,
    ) -> Option<T> {
        let (accepted, repairs) = base64::read(value, alphabet, accept)?;
        for repair in repairs {
            self.deviations.note(repair, parameter);
        }
        Some(accepted)
    }
}

/// The id in `masked`.
fn id(masked: &[u8], date: &WireDate) -> Result<String, ParameterProblem> {
    let id = String::from_utf8(mask(masked, date.text())).map_err(|_| ParameterProblem::NotUtf8)?;
    match &id {
        id if id.is_empty() => Err(ParameterProblem::Empty),
        id if form::has_control(id) => Err(ParameterProblem::ControlCharacters),
        id if id.len() > MAX_ID => Err(ParameterProblem::LongId),
        _ => Ok(id),
    }
}

/// Why a value is not the expected Base64.
fn broken(value: Value<'_>) -> ParameterProblem {
    match base64::symbols(value) {
        Some(0) => ParameterProblem::Empty,
        Some(_) => ParameterProblem::CutShort,
        None => ParameterProblem::NotBase64,
    }
}

fn is_hexadecimal(value: Value<'_>) -> bool {
    base64::hexadecimal(value).is_some_and(|digits| {
        let has = |kind: fn(&u8) -> bool| digits.bytes().any(|digit| kind(&digit));
        let mixed_case = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
        // A text of `A` only is Base64 of zero bytes.
        digits.len() >= HEXADECIMAL && !mixed_case && has(|&digit| digit != b'A')
    })
}
