//! Lists (wire format, section 6, rule 7).

use super::Stop;

/// A list syntax by its name in the keyring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    Repeated,
    Comma,
    Braces,
    Json,
}

/// The items of one decoded `value` of the list `name`, and the repairs.
pub(crate) fn items(name: &str, value: &str, own: Syntax) -> Result<(Vec<String>, Vec<&'static str>), Stop> {
    if value.chars().any(|c| matches!(u32::from(c), 0..=0x1f | 0x7f..=0x9f)) {
        return Err(Stop::Refused);
    }
    let whole = value.trim_matches(' ');
    let mut repairs = Vec::new();
    if whole != value {
        repairs.push("WHITESPACE");
    }
    let parts = parts(name, whole);
    if parts.len() > 1 {
        repairs.push("LIST_SYNTAX");
    }
    let mut items = Vec::new();
    for part in parts {
        let (found, is_own) = of_part(part.trim_matches(' '), own);
        items.extend(found);
        if !is_own {
            repairs.push("LIST_SYNTAX");
        }
    }
    Ok((items, repairs))
}

/// Splits at `&`, the name in any case and `=`.
fn parts(name: &str, value: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for (at, piece) in value.split('&').enumerate() {
        let joint = piece.get(..name.len()).filter(|found| found.eq_ignore_ascii_case(name));
        match joint.and_then(|_| piece[name.len()..].strip_prefix('=')) {
            Some(rest) if at > 0 => parts.push(rest.to_owned()),
            _ => {
                let last = parts.last_mut().expect("there is always a part");
                if at > 0 {
                    last.push('&');
                }
                last.push_str(piece);
            }
        }
    }
    parts
}

/// The items of a value that is not joined members, and whether repeated keys or the pairing's own syntax write them
/// like this.
fn of_part(part: &str, own: Syntax) -> (Vec<String>, bool) {
    let inside = |open: char, close: char| {
        (part.len() >= 2 && part.starts_with(open) && part.ends_with(close)).then(|| &part[1..part.len() - 1])
    };
    let (texts, syntax): (Vec<&str>, Syntax) = match (inside('{', '}'), inside('[', ']')) {
        (Some(inner), _) => (inner.split(',').collect(), Syntax::Braces),
        (None, Some(inner)) if !inner.is_empty() && !inner.contains([',', '"', '\'']) => {
            let items: Vec<String> = inner.split(' ').filter(|item| !item.is_empty()).map(str::to_owned).collect();
            return (items, false);
        }
        (None, Some(inner)) => (inner.split(',').collect(), Syntax::Json),
        (None, None) if part.contains(',') => (part.split(',').collect(), Syntax::Comma),
        (None, None) => (vec![part], Syntax::Repeated),
    };
    let mut is_own = syntax == Syntax::Repeated || syntax == own;
    let mut items = Vec::new();
    for text in texts {
        let text = text.trim_matches(' ');
        if text.is_empty() {
            continue;
        }
        let quote = text.chars().next().filter(|first| ['"', '\''].contains(first));
        let quoted = quote.filter(|quote| text.len() >= 2 && text.ends_with(*quote));
        is_own &= quoted == (syntax == Syntax::Json).then_some('"');
        let item = if quoted.is_some() { &text[1..text.len() - 1] } else { text };
        if !item.is_empty() {
            items.push(item.to_owned());
        }
    }
    (items, is_own)
}
