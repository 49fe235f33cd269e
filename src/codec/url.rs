//! The parameters of a redirect in a URL: found as real senders place them, written so that everyone finds them.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_decode_str, percent_encode_byte};

use super::{Deviation, Deviations, form, split_at_ampersands, split_at_first};

/// What stays as it is in a parameter value: RFC 3986's unreserved characters.
pub(super) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-decodings of one value at most, so that escapes of escapes cost no more than that many passes; what still has
/// a `%` after them is neither a date nor Base64.
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

    /// Every parameter of the leg, in the order in which they are written.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Request => &["fi", "reqdate", "ecreq", "iv", "requestorType"],
            Self::Callback => &["fi", "resdate", "ecres", "iv"],
        }
    }
}

/// A parameter's value as it was received.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    /// The characters, percent-encoded where they come from a URL.
    pub text: &'a str,
    /// Whether they come from a URL.
    pub from_url: bool,
}

impl<'a> Value<'a> {
    /// A value that the caller has taken out of its URL.
    pub fn plain(text: &'a str) -> Self {
        Self { text, from_url: false }
    }

    /// The bytes after percent-decoding, which is done again while a `%` is left.
    pub(super) fn decoded(self, deviations: &mut Deviations) -> Cow<'a, [u8]> {
        let mut bytes = Cow::Borrowed(self.text.as_bytes());
        for round in 0..MOST_DECODINGS {
            // Base64's escapes stand at its end, so that most of a value is skipped at once.
            let Some(first) = memchr::memchr(b'%', &bytes) else { break };
            deviations.note(Deviation::DoubleEncoded, round > 0 || !self.from_url);
            let mut decoded = Vec::with_capacity(bytes.len());
            decoded.extend_from_slice(&bytes[..first]);
            decoded.extend(percent_decode(&bytes[first..]));
            bytes = Cow::Owned(decoded);
        }
        bytes
    }

    /// A value that the caller has taken out of its URL, where an empty one means none.
    pub fn plain_or_none(text: &'a str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::plain(text))
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
    /// The IV; none where it is absent or empty.
    pub iv: Option<Value<'a>>,
    /// The masked requestor type; none where it is absent or empty.
    pub requestor_type: Option<Value<'a>>,
}

/// Why the parameters cannot be taken from a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlProblem {
    /// The named parameter is not there.
    Missing(&'static str),
    /// The named parameter is there more than once.
    Repeated(&'static str),
    /// The parameters are those of the other leg.
    OtherLeg(&'static str),
}

/// Takes the parameters of `leg` from a whole URL or from a query string with or without its `?`.
///
/// # Errors
/// Where one is missing or repeated.
pub fn read<'a>(url: &'a str, leg: Leg, deviations: &mut Deviations) -> Result<Parameters<'a>, UrlProblem> {
    let names = leg.names();
    let mut values: [Option<&str>; 5] = [None; 5];
    deviations.note(Deviation::Whitespace, url.starts_with(|first: char| first.is_ascii_whitespace()));
    let query = query_of(url);
    let second_question_mark = memchr::memchr_iter(b'?', query.as_bytes()).any(|at| begins(&query[at + 1..], names));
    deviations.note(Deviation::SecondQuestionMark, second_question_mark);
    let mut take = |segment: &'a str| {
        let Some((name, value)) = split_at_first(segment, b'=') else { return Ok(()) };
        let Some(slot) = position(names, name) else { return Ok(()) };
        deviations.note(Deviation::Whitespace, name != names[slot] && has_outer_blanks(name));
        match values[slot].replace(value) {
            None => Ok(()),
            Some(_) => Err(UrlProblem::Repeated(names[slot])),
        }
    };
    if second_question_mark {
        segments(query, names).try_for_each(&mut take)?;
    } else {
        split_at_ampersands(query).try_for_each(&mut take)?;
    }
    let given = |slot: usize| values[slot].map(|text| Value { text, from_url: true });
    let missing = |slot: usize| {
        let other = match leg {
            Leg::Request => Leg::Callback,
            Leg::Callback => Leg::Request,
        };
        let carries = |name| names_any(query, &[name]);
        if carries(other.date_name()) && carries(other.message_name()) {
            UrlProblem::OtherLeg(names[slot])
        } else {
            UrlProblem::Missing(names[slot])
        }
    };
    Ok(Parameters {
        fi: given(0).ok_or_else(|| missing(0))?,
        date: given(1).ok_or_else(|| missing(1))?,
        message: given(2).ok_or_else(|| missing(2))?,
        iv: given(3).filter(|value| !value.text.is_empty()),
        requestor_type: given(4).filter(|value| !value.text.is_empty()),
    })
}

/// The leg that the parameters of `url` belong to: the callback leg where it names `ecres` or `resdate`.
pub fn leg_of(url: &str) -> Leg {
    let callback = names_any(query_of(url), &[Leg::Callback.date_name(), Leg::Callback.message_name()]);
    if callback { Leg::Callback } else { Leg::Request }
}

/// Whether the query of `url` names a parameter of `leg`, as a tolerant reader finds them.
pub fn names_parameter(url: &str, leg: Leg) -> bool {
    names_any(query_of(url), leg.names())
}

/// `parameters` as a query string, every value percent-encoded. Values are Base64 or digits, so that `+`, `/` and `=` are
/// all that needs an escape.
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

/// `url` with `query` appended before its fragment; everything else of it stays byte for byte.
pub fn append(url: &str, query: &str) -> String {
    let (base, fragment) = url.split_at(url.find('#').unwrap_or(url.len()));
    let joint = match base.split_once('?') {
        None => "?",
        Some((_, old)) if old.is_empty() || old.ends_with('&') => "",
        Some(_) => "&",
    };
    [base, joint, query, fragment].concat()
}

/// The query of a URL, or a query string itself; a fragment is dropped.
fn query_of(url: &str) -> &str {
    let url = url.trim_ascii_start();
    let url = split_at_first(url, b'#').map_or(url, |(before, _)| before);
    match split_at_first(url, b'?') {
        // A `=` before the first `?` belongs to a query string, unless a scheme tells that a path stands there.
        Some((before, query))
            if !before.contains('=') || before.split_once(':').is_some_and(|(scheme, _)| form::is_scheme(scheme)) =>
        {
            query
        }
        _ => url,
    }
}

/// Whether `rest` begins with a parameter of one of `names`.
fn begins(rest: &str, names: &[&str]) -> bool {
    names.iter().any(|name| rest.strip_prefix(name).is_some_and(|value| value.starts_with('=')))
}

/// The segments of `query` between `&`, and between each later `?` that a parameter of one of `names` follows.
fn segments<'a>(query: &'a str, names: &[&str]) -> impl Iterator<Item = &'a str> {
    let mut rest = Some(query);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text.bytes().enumerate().position(|(at, byte)| match byte {
            b'&' => true,
            b'?' => begins(&text[at + 1..], names),
            _ => false,
        });
        rest = end.map(|end| &text[end + 1..]);
        Some(end.map_or(text, |end| &text[..end]))
    })
}

/// Whether `query` has a parameter of one of `names`, behind an `&` or any `?`.
fn names_any(query: &str, names: &[&'static str]) -> bool {
    query.split(['&', '?']).any(|segment| {
        let name = segment.split_once('=').map_or(segment, |(name, _)| name);
        position(names, name).is_some()
    })
}

/// The place of `name`, less outer blanks and percent-encoding, among `names`.
fn position(names: &[&'static str], name: &str) -> Option<usize> {
    if let Some(place) = names.iter().position(|known| *known == name) {
        return Some(place);
    }
    if !name.bytes().any(|byte| byte == b'%' || byte.is_ascii_whitespace()) {
        return None;
    }
    let decoded: Cow<'_, [u8]> = percent_decode_str(name).into();
    let decoded = decoded.trim_ascii();
    names.iter().position(|known| known.as_bytes() == decoded)
}

/// Whether `name` has outer blanks, raw or percent-encoded.
fn has_outer_blanks(name: &str) -> bool {
    let decoded: Cow<'_, [u8]> = percent_decode_str(name).into();
    decoded.trim_ascii().len() < decoded.len()
}
