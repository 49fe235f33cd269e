//! The syntaxes of `srcref` and `fipid`.

use crate::codec::{Deviation, Deviations, holds, profile::ListSyntax};

use super::escape;

/// Appends `items` as the member `name` in `syntax`; nothing for no item.
pub(super) fn push(text: &mut String, name: &str, items: &[String], syntax: ListSyntax) {
    let (open, quote, close) = match syntax {
        ListSyntax::Repeated => {
            for item in items {
                text.push('&');
                text.push_str(name);
                text.push('=');
                escape::push_value(text, item);
            }
            return;
        }
        ListSyntax::Comma => ("", "", ""),
        ListSyntax::Braces => ("{", "", "}"),
        ListSyntax::Json => ("[", "\"", "]"),
    };
    for (at, item) in items.iter().enumerate() {
        if at == 0 {
            text.push('&');
            text.push_str(name);
            text.push('=');
            text.push_str(open);
        } else {
            text.push(',');
        }
        text.push_str(quote);
        match syntax {
            ListSyntax::Json => escape::push_value(text, &json_escaped(item)),
            _ => escape::push_value(text, item),
        }
        text.push_str(quote);
    }
    if !items.is_empty() {
        text.push_str(close);
    }
}

/// Adds the items of one decoded `value` of the member `name` to `items`; a syntax other than the pairing's `own` is
/// added to `deviations`. Items lose outer blanks, empty ones are dropped.
pub(super) fn read(name: &str, value: &str, own: ListSyntax, items: &mut Vec<String>, deviations: &mut Deviations) {
    deviations.note(Deviation::BlankOptional, value.is_empty());
    let trimmed = value.trim();
    deviations.note(Deviation::Whitespace, trimmed.len() < value.len());
    if !holds(trimmed, b'&') {
        read_part(trimmed, own, items, deviations);
        return;
    }
    // A sender that escapes the joined repetition: `a%26srcref%3Db`.
    let joint = ["&", name, "="].concat();
    deviations.note(Deviation::ListSyntax, trimmed.contains(&joint));
    for part in trimmed.split(&joint) {
        read_part(part.trim(), own, items, deviations);
    }
}

fn read_part(part: &str, own: ListSyntax, items: &mut Vec<String>, deviations: &mut Deviations) {
    let bracketed = |open, close| part.strip_prefix(open).and_then(|rest: &str| rest.strip_suffix(close));
    let mut push = |item: &str| {
        let item = item.trim();
        if !item.is_empty() {
            items.push(item.to_owned());
        }
    };
    let (syntax, inner) = if let Some(inner) = bracketed('[', ']') {
        if let Ok(strings) = serde_json::from_str::<Vec<String>>(part) {
            for item in &strings {
                push(item);
            }
            deviations.note(Deviation::ListSyntax, own != ListSyntax::Json);
            return;
        }
        // Brackets without JSON's quotes: no pairing's own syntax.
        (None, inner)
    } else if let Some(inner) = bracketed('{', '}') {
        (Some(ListSyntax::Braces), inner)
    } else if holds(part, b',') {
        (Some(ListSyntax::Comma), part)
    } else {
        push(part);
        return;
    };
    deviations.note(Deviation::ListSyntax, syntax != Some(own));
    // No item holds `"`. Python prints lists and sets with `'`, which an item of the pairing's own syntax may hold.
    let foreign = syntax != Some(own);
    let unquoted = |item| match syntax {
        None | Some(ListSyntax::Braces) => between(item, '"').or_else(|| between(item, '\'').filter(|_| foreign)),
        Some(_) => None,
    };
    for item in inner.split(',') {
        let item = item.trim();
        push(unquoted(item).unwrap_or(item));
    }
}

/// What stands between two `quote` in `item`.
fn between(item: &str, quote: char) -> Option<&str> {
    item.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote))
}

/// `item` as the inside of a JSON string.
fn json_escaped(item: &str) -> String {
    let quoted = serde_json::Value::from(item).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}
