//! The parameters of a redirect in a URL: their names, how to write them, and how to find them. `read` finds them where
//! real senders place them.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode_byte};

mod read;

pub use read::{leg_of, names_any_parameter, names_parameter, read};

/// The characters that need no escape in a parameter value: the unreserved characters of RFC 3986.
pub(super) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The names of both legs' parameters.
pub const PARAMETERS: [&str; 7] = ["fi", "reqdate", "ecreq", "iv", "requestorType", "resdate", "ecres"];

/// How often one value is percent-decoded at most, so that escapes of escapes have a limited cost. A value that still
/// has a `%` after that is neither a date nor Base64.
const MOST_DECODINGS: usize = 8;

/// The direction of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// FIU → AA: `fi`, `reqdate`, `ecreq`, `iv`, `requestorType`.
    Request,
    /// AA → FIU: `fi`, `resdate`, `ecres`, `iv`.
    Callback,
}

impl Leg {
    /// The parameter that carries the date.
    pub fn date_name(self) -> &'static str {
        match self {
            Self::Request => "reqdate",
            Self::Callback => "resdate",
        }
    }

    /// The parameter that carries the ciphertext.
    pub fn message_name(self) -> &'static str {
        match self {
            Self::Request => "ecreq",
            Self::Callback => "ecres",
        }
    }

    /// The other direction.
    fn other(self) -> Self {
        match self {
            Self::Request => Self::Callback,
            Self::Callback => Self::Request,
        }
    }

    /// Every parameter of the leg.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Request => &["fi", "reqdate", "ecreq", "iv", "requestorType"],
            Self::Callback => &["fi", "resdate", "ecres", "iv"],
        }
    }
}

/// The received value of a parameter.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    /// The characters. They are percent-encoded if they come from a URL.
    pub text: &'a str,
    /// Whether they come from a URL.
    pub from_url: bool,
}

impl<'a> Value<'a> {
    /// A value that the caller has taken out of the URL.
    pub fn plain(text: &'a str) -> Self {
        Self { text, from_url: false }
    }

    /// A value that the caller has taken out of the URL. `None` if it is empty.
    pub fn plain_or_none(text: &'a str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::plain(text))
    }

    /// The bytes after percent-decoding, repeated while a `%` is left, and whether they were decoded more than once.
    pub(super) fn decoded(self) -> (Cow<'a, [u8]>, bool) {
        let mut bytes = Cow::Borrowed(self.text.as_bytes());
        let mut twice = false;
        for round in 0..MOST_DECODINGS {
            // Base64 has its escapes at its end, so this skips most of a value in one step.
            let Some(first) = memchr::memchr(b'%', &bytes) else { break };
            twice |= round > 0 || !self.from_url;
            let mut decoded = Vec::with_capacity(bytes.len());
            decoded.extend_from_slice(&bytes[..first]);
            decoded.extend(percent_decode(&bytes[first..]));
            bytes = Cow::Owned(decoded);
        }
        (bytes, twice)
    }
}

/// The parameters of a message, not yet decoded.
#[derive(Clone, Copy)]
pub struct Parameters<'a> {
    /// The sender's masked id.
    pub fi: Value<'a>,
    /// `reqdate` or `resdate`.
    pub date: Value<'a>,
    /// `ecreq` or `ecres`.
    pub message: Value<'a>,
    /// The IV; `None` if it is absent or empty.
    pub iv: Option<Value<'a>>,
    /// The masked requestor type; `None` if it is absent or empty.
    pub requestor_type: Option<Value<'a>>,
}

/// Why the parameters cannot be read from a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlProblem {
    /// All missing required parameters, in the order of writing.
    Missing(Vec<&'static str>),
    /// All missing required parameters, if the URL has the parameters of the other leg.
    OtherLeg(Vec<&'static str>),
    /// All parameters that come more than once with different values.
    Repeated(Vec<&'static str>),
}

/// `parameters` as a query string with percent-encoded values. Values are Base64 or digits, so only `+`, `/` and `=`
/// need an escape.
pub fn query<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut query = String::with_capacity(1024);
    for (name, value) in parameters {
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(name);
        query.push('=');
        let mut begin = 0;
        for at in memchr::memchr3_iter(b'+', b'/', b'=', value.as_bytes()) {
            query.push_str(&value[begin..at]);
            query.push_str(percent_encode_byte(value.as_bytes()[at]));
            begin = at + 1;
        }
        query.push_str(&value[begin..]);
    }
    query
}

/// `url` up to its fragment, and the fragment with its `#`, which is empty if `url` has no fragment.
pub fn split_fragment(url: &str) -> (&str, &str) {
    url.split_at(url.find('#').unwrap_or(url.len()))
}

/// `url` with `query` appended before its fragment. The rest of `url` is unchanged, byte for byte.
pub fn append(url: &str, query: &str) -> String {
    let (base, fragment) = split_fragment(url);
    let joint = match base.split_once('?') {
        None => "?",
        Some((_, old)) if old.is_empty() || old.ends_with('&') => "",
        Some(_) => "&",
    };
    [base, joint, query, fragment].concat()
}
