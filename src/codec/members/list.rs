//! The syntaxes of `srcref` and `fipid` (wire format, section 5 and section 6, rule 7).

use crate::codec::{
    Deviation, form,
    profile::ListSyntax,
    scan::{holds, split_at_each},
};

use super::{
    Member, escape,
    reader::{Reader, Unreadable},
};

/// Appends `items` as the member `name` in `syntax`. Appends nothing for an empty list. No item has a character that
/// JSON escapes.
pub(super) fn push(text: &mut String, name: &str, items: &[String], syntax: ListSyntax) {
    let (open, quote, close) = match syntax {
        ListSyntax::Repeated => {
            for item in items {
                push_name(text, name);
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
            push_name(text, name);
            text.push_str(open);
        } else {
            text.push(',');
        }
        text.push_str(quote);
        escape::push_value(text, item);
        text.push_str(quote);
    }
    if !items.is_empty() {
        text.push_str(close);
    }
}

fn push_name(text: &mut String, name: &str) {
    text.push('&');
    text.push_str(name);
    text.push('=');
}

impl Reader<'_> {
    /// Adds the items of one decoded `value` of the list `member` to `items`.
    pub(super) fn read_list(&mut self, member: Member, value: &str, items: &mut Vec<String>) -> Result<(), Unreadable> {
        let name = member.name();
        if form::has_control(value) {
            return Err(Unreadable::Malformed(name, "holds a control character"));
        }
        if value.is_empty() || member.is_optional() && form::is_absent_word(value) {
            self.deviations.note(Deviation::BlankOptional, name);
            return Ok(());
        }
        let trimmed = value.trim_matches(' ');
        self.deviations.note_if(trimmed.len() < value.len(), Deviation::Whitespace, name);
        if !holds(trimmed, b'&') {
            self.read_part(name, trimmed, items);
            return Ok(());
        }
        let parts = split_at_joints(name, trimmed);
        self.deviations.note_if(parts.len() > 1, Deviation::ListSyntax, name);
        for part in parts {
            self.read_part(name, part.trim_matches(' '), items);
        }
        Ok(())
    }

    /// Adds the items of a value that is not escaped repeated members.
    fn read_part(&mut self, name: &'static str, part: &str, items: &mut Vec<String>) {
        let between = |open, close| part.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        let (syntax, inner, separator) = if let Some(inner) = between('{', '}') {
            (Some(ListSyntax::Braces), inner, b',')
        } else if let Some(inner) = between('[', ']') {
            if inner.is_empty() || inner.contains([',', '"', '\'']) {
                (Some(ListSyntax::Json), inner, b',')
            } else {
                (None, inner, b' ')
            }
        } else if holds(part, b',') {
            (Some(ListSyntax::Comma), part, b',')
        } else {
            (Some(ListSyntax::Repeated), part, b',')
        };
        let quote = (syntax == Some(ListSyntax::Json)).then_some('"');
        let mut own = syntax == Some(ListSyntax::Repeated) || syntax == Some(self.conventions.lists);
        for item in split_at_each(inner, separator).map(|item| item.trim_matches(' ')).filter(|item| !item.is_empty()) {
            let (item, quoted_with) = unquoted(item);
            own &= quoted_with == quote;
            if !item.is_empty() {
                items.push(item.to_owned());
            }
        }
        self.deviations.note_if(!own, Deviation::ListSyntax, name);
    }
}

/// Splits `value` if a sender joined repeated members and escaped the result: `a%26srcref%3Db`, with the name in any
/// case.
fn split_at_joints<'a>(name: &str, value: &'a str) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let mut begin = 0;
    for at in memchr::memchr_iter(b'&', value.as_bytes()) {
        let (found, rest) = value[at + 1..].split_once('=').unwrap_or_default();
        if at >= begin && found.eq_ignore_ascii_case(name) {
            parts.push(&value[begin..at]);
            begin = value.len() - rest.len();
        }
    }
    parts.push(&value[begin..]);
    parts
}

/// `item` without one pair of outer quotes, and the kind of quotes.
fn unquoted(item: &str) -> (&str, Option<char>) {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| Some((item.strip_prefix(quote)?.strip_suffix(quote)?, Some(quote))))
        .unwrap_or((item, None))
}
