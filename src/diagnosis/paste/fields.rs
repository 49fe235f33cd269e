//! Finds parameters that stand in the fields of a printed value: of JSON, YAML, a table, or what the languages and
//! frameworks of senders print.

use url::form_urlencoded;

use crate::codec::url::PARAMETERS;

/// The query string of the parameters in the fields of `text`; `None` if they are no message.
pub(super) fn query_of(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let values = PARAMETERS.map(|name| Some((name, field(text, &lower, name)?)));
    let has = |wanted: &[&str]| values.iter().flatten().any(|(name, _)| wanted.contains(name));
    let is_message = has(&["fi"]) && has(&["reqdate", "resdate"]) && has(&["ecreq", "ecres"]);
    let mut query = form_urlencoded::Serializer::new(String::new());
    is_message.then(|| query.extend_pairs(values.iter().flatten()).finish())
}

/// The value of a field: what stands behind its name and a separator, perhaps in quotes. `lower` is `text` in lower
/// case.
fn field(text: &str, lower: &str, name: &str) -> Option<String> {
    let is_word = |at: usize| {
        let before = text[..at].chars().next_back();
        let behind = text[at + name.len()..].chars().next();
        // Behind ? and & it is a parameter of a URL.
        before.is_none_or(|before| !before.is_alphanumeric() && !"?&_%#".contains(before))
            && behind.is_some_and(|behind| !behind.is_alphanumeric())
    };
    let places = lower.match_indices(name).map(|(at, _)| at).filter(|at| is_word(*at));
    places.filter_map(|at| value(text, &text[at + name.len()..])).find(|value| fits(name, value))
}

/// Whether the value can be one of this parameter: prose names parameters too.
fn fits(name: &str, value: &str) -> bool {
    !value.is_empty()
        && !value.contains('&')
        && (!name.ends_with("date") || value.starts_with(|c: char| c.is_ascii_digit()))
}

/// The value at the beginning of `rest`, behind a separator.
fn value(text: &str, rest: &str) -> Option<String> {
    // Scala's arrow is made of a character that values have too.
    let arrow = rest.trim_start().strip_prefix("->");
    let rest = arrow.unwrap_or(rest);
    let value = rest.trim_start_matches(|c: char| c.is_whitespace() || "\"'\\[](){},:=>|".contains(c));
    let separator = &rest[..rest.len() - value.len()];
    // A form and a HAR file have the value in a field of this name.
    let named = value.strip_prefix("value").map(|value| value.trim_start_matches(['"', '\'', ':', '=', ' ']));
    let separates = arrow.is_some()
        || separator.contains([':', '>', ',', '|', '\t', '\n'])
        // In a query string a parameter ends with &.
        || separator.contains('=') && (text.contains(", ") || !text.contains('&'));
    if !separates && named.is_none() {
        return None;
    }
    let value = named.unwrap_or(value);
    // PHP's `var_dump` says the length first.
    let value =
        value.strip_prefix("string(").and_then(|value| value.split_once(" \"")).map_or(value, |(_, value)| value);
    Some(continued(value))
}

/// The value up to its end, with the parts that JavaScript prints in lines of their own: `'…' +`.
fn continued(mut text: &str) -> String {
    let mut value = String::new();
    loop {
        let end = text.find(|c: char| c.is_whitespace() || "\"',;}])<\\".contains(c)).unwrap_or(text.len());
        value.push_str(&text[..end]);
        let next = text[end..].trim_start_matches(['\'', '"']).trim_start();
        let Some(next) = next.strip_prefix("+").map(|next| next.trim_start().trim_start_matches(['\'', '"'])) else {
            return value;
        };
        text = next;
    }
}
