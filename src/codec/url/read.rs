//! Finds the parameters in a URL where real senders place them (wire format, section 6).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::codec::{
    Deviation, Deviations, WHOLE, form,
    scan::{split_at_each, split_at_first},
};

use super::{Leg, PARAMETERS, Parameters, UrlProblem, Value};

/// Reads the parameters of `leg` from a whole URL, or from a query string with or without `?`, and notes the repairs.
///
/// # Errors
/// If parameters are missing, or come twice with different values.
pub fn read(url: &str, leg: Leg) -> Result<(Parameters<'_>, Deviations), UrlProblem> {
    let mut deviations = Deviations::default();
    let trimmed = url.trim_ascii_start();
    deviations.note_if(trimmed.len() < url.len(), Deviation::Whitespace, WHOLE);
    // Pages that route by the fragment have the query in it: `https://fiu.example/#/cb?fi=…`. The real query is read
    // first.
    let mut parts = split_at_each(trimmed, b'#').map(query_of);
    let mut finder = Finder::new(leg, deviations);
    finder.read(parts.next().unwrap_or_default());
    if finder.found.is_empty() {
        for fragment in parts {
            finder.read(fragment);
            if !finder.found.is_empty() {
                finder.deviations.note(Deviation::InFragment, WHOLE);
                break;
            }
        }
    }
    finder.finish(url)
}

/// The parameters found so far.
#[derive(Default)]
struct Found<'a> {
    fi: Option<&'a str>,
    date: Option<&'a str>,
    message: Option<&'a str>,
    iv: Option<&'a str>,
    requestor_type: Option<&'a str>,
}

impl<'a> Found<'a> {
    /// Where the value of the parameter `name` belongs.
    fn slot(&mut self, name: &str) -> &mut Option<&'a str> {
        match name {
            "fi" => &mut self.fi,
            "iv" => &mut self.iv,
            "requestorType" => &mut self.requestor_type,
            "reqdate" | "resdate" => &mut self.date,
            _ => &mut self.message,
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self { fi: None, date: None, message: None, iv: None, requestor_type: None })
    }
}

struct Finder<'a> {
    leg: Leg,
    found: Found<'a>,
    /// The names of the parameters that came twice with different values.
    contradicted: Vec<&'static str>,
    deviations: Deviations,
}

impl<'a> Finder<'a> {
    fn new(leg: Leg, deviations: Deviations) -> Self {
        Self { leg, found: Found::default(), contradicted: Vec::new(), deviations }
    }

    /// Adds the parameters of `query`.
    fn read(&mut self, query: &'a str) {
        let names = self.leg.names();
        let begins = |at: usize| begins(&query[at + 1..], names);
        if memchr::memchr_iter(b'?', query.as_bytes()).any(begins) {
            self.deviations.note(Deviation::SecondQuestionMark, WHOLE);
            pieces(query, names).for_each(|piece| self.take(piece));
        } else {
            split_at_each(query, b'&').for_each(|piece| self.take(piece));
        }
    }

    fn take(&mut self, piece: &'a str) {
        let Some((written, value)) = split_at_first(piece, b'=') else { return };
        let Some(found) = find(self.leg.names(), written) else { return };
        let name = found.name;
        self.deviations.note_if(found.html_escaped, Deviation::HtmlEscaped, WHOLE);
        self.deviations.note_if(found.outer_blanks, Deviation::Whitespace, name);
        self.deviations.note_if(found.other_case, Deviation::NameCase, name);
        let slot = self.found.slot(name);
        let Some(first) = *slot else {
            *slot = Some(value);
            return;
        };
        if given(first).decoded().0 == given(value).decoded().0 {
            self.deviations.note(Deviation::Repeated, name);
        } else if !self.contradicted.contains(&name) {
            self.contradicted.push(name);
        }
    }

    fn finish(self, url: &str) -> Result<(Parameters<'a>, Deviations), UrlProblem> {
        let Self { leg, found, contradicted, deviations } = self;
        if !contradicted.is_empty() {
            return Err(UrlProblem::Repeated(contradicted));
        }
        let Found { fi: Some(fi), date: Some(date), message: Some(message), iv, requestor_type } = found else {
            let required = [("fi", found.fi), (leg.date_name(), found.date), (leg.message_name(), found.message)];
            let missing = required.into_iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
            let other = leg.other();
            let carries = |name| queries(url).any(|query| has_any(query, &[name]));
            return Err(if carries(other.date_name()) && carries(other.message_name()) {
                UrlProblem::OtherLeg(missing)
            } else {
                UrlProblem::Missing(missing)
            });
        };
        let optional = |value: Option<&'a str>| value.filter(|text| !text.is_empty()).map(given);
        let parameters = Parameters {
            fi: given(fi),
            date: given(date),
            message: given(message),
            iv: optional(iv),
            requestor_type: optional(requestor_type),
        };
        Ok((parameters, deviations))
    }
}

fn given(text: &str) -> Value<'_> {
    Value { text, from_url: true }
}

/// The leg of the parameters of `url`: the callback leg if it names `ecres` or `resdate`. `None` if it names none of
/// our parameters.
pub fn leg_of(url: &str) -> Option<Leg> {
    let callback = [Leg::Callback.date_name(), Leg::Callback.message_name()];
    // Only the first part with a parameter is read.
    let query = queries(url).find(|query| has_any(query, &PARAMETERS))?;
    Some(if has_any(query, &callback) { Leg::Callback } else { Leg::Request })
}

/// Whether the query of `url` names a parameter of `leg`, as a tolerant reader finds them.
pub fn names_parameter(url: &str, leg: Leg) -> bool {
    queries(url).next().is_some_and(|query| names_any(query, leg.names()))
}

/// Whether the query of `url` names a parameter of either leg, as a tolerant reader finds them: a callback cannot be
/// appended to such a `redirect`.
pub fn names_any_parameter(url: &str) -> bool {
    queries(url).next().is_some_and(|query| names_any(query, &PARAMETERS))
}

/// The query of `url`, then the queries in its fragments.
fn queries(url: &str) -> impl Iterator<Item = &str> {
    url.trim_ascii_start().split('#').map(query_of)
}

/// The query of a URL without fragment, or a query string itself.
fn query_of(url: &str) -> &str {
    match split_at_first(url, b'?') {
        // A `=` before the first `?` belongs to a query string, unless there is a path before it.
        Some((before, query)) if is_path(before) => query,
        _ => url,
    }
}

/// Whether a query follows `before`: it has no `=`, or it has a `/` or a scheme in front of its first `=`.
fn is_path(before: &str) -> bool {
    before.split_once('=').is_none_or(|(begin, _)| begin.contains('/')) || form::split_scheme(before).is_some()
}

/// Whether `rest` begins with a parameter of one of `names`.
fn begins(rest: &str, names: &[&str]) -> bool {
    names.iter().any(|name| {
        rest.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name))
            && rest[name.len()..].starts_with('=')
    })
}

/// The pieces of `query` between `&`, and between each later `?` that a parameter of one of `names` follows.
fn pieces<'a>(query: &'a str, names: &[&str]) -> impl Iterator<Item = &'a str> {
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
fn has_any(query: &str, names: &[&'static str]) -> bool {
    let mut pieces = query.split(['&', '?']).filter_map(|piece| piece.split_once('='));
    pieces.any(|(name, _)| find(names, name).is_some())
}

/// Whether `query` has such a parameter, even without a value.
fn names_any(query: &str, names: &[&'static str]) -> bool {
    has_any(query, names) || query.split(['&', '?']).any(|name| find(names, name).is_some())
}

/// The name of a parameter, and how the sender wrote it.
struct Named {
    name: &'static str,
    /// Behind `&amp;`, or behind `&amp;amp;` of a URL that was HTML-escaped twice.
    html_escaped: bool,
    outer_blanks: bool,
    other_case: bool,
}

/// Which of `names` was `written`, in any case, with outer blanks or percent-encoded.
fn find(names: &[&'static str], written: &str) -> Option<Named> {
    if let Some(name) = names.iter().find(|name| **name == written) {
        return Some(Named { name, html_escaped: false, outer_blanks: false, other_case: false });
    }
    let rest = written.trim_start_matches("amp;");
    let decoded: Cow<'_, [u8]> = percent_decode_str(rest).into();
    let trimmed = decoded.trim_ascii();
    let name = names.iter().find(|name| name.as_bytes().eq_ignore_ascii_case(trimmed))?;
    Some(Named {
        name,
        html_escaped: rest.len() < written.len(),
        outer_blanks: trimmed.len() < decoded.len(),
        other_case: name.as_bytes() != trimmed,
    })
}
