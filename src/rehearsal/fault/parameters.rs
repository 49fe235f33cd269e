//! Faults in the parameters of the URL, and in how the URL is put together.

use crate::codec::{
    Deviation, RequestorType, Sealed,
    url::{self, Leg},
};

use super::{Fault, Impossible};

/// The query of `sealed` with `fault`. It has no fault if `fault` is not in the parameters.
///
/// # Errors
/// If this message cannot show the fault.
#[expect(clippy::expect_used, reason = "a sealed message has at least a block")]
pub(super) fn query(fault: Fault, leg: Leg, mut sealed: Sealed) -> Result<String, Impossible> {
    let unchanged = |before: &str, after: &str, why| if before == after { Err(Impossible(why)) } else { Ok(()) };
    match fault {
        Fault::Changed => {
            // It is in the first block, which holds the txnid.
            let other = if sealed.message.starts_with('A') { "B" } else { "A" };
            sealed.message.replace_range(0..1, other);
        }
        Fault::Deviates(Deviation::Base64Alphabet) => {
            let before = sealed.query(leg);
            sealed.message = sealed.message.replace('-', "+").replace('_', "/");
            if sealed.query(leg) == before {
                sealed.fi = sealed.fi.replace('+', "-").replace('/', "_");
                sealed.iv = sealed.iv.replace('+', "-").replace('/', "_");
            }
            unchanged(&before, &sealed.query(leg), "its Base64 has the same characters in both alphabets")?;
        }
        Fault::Deviates(Deviation::Base64Unpadded) => {
            let before = sealed.query(leg);
            for value in [&mut sealed.fi, &mut sealed.message, &mut sealed.iv, &mut sealed.requestor_type] {
                value.truncate(value.trim_end_matches('=').len());
            }
            unchanged(&before, &sealed.query(leg), "its Base64 has no padding")?;
        }
        Fault::Deviates(Deviation::PlusAsSpace) => {
            if !sealed.fi.contains('+') && !sealed.iv.contains('+') {
                sealed.message = sealed.message.replace('-', "+").replace('_', "/");
            }
            let before = sealed.query(leg);
            let raw = before.replace("%2B", "+");
            unchanged(&before, &raw, "its Base64 has no +")?;
            return Ok(raw);
        }
        Fault::Deviates(Deviation::DateZeroLost) => {
            let Some(rest) = sealed.date.strip_prefix('0') else {
                return Err(Impossible("a date loses its zero only on days 1 to 9 of a month"));
            };
            sealed.date = rest.to_owned();
        }
        Fault::Deviates(Deviation::RequestorType) => RequestorType::Lsp.name().clone_into(&mut sealed.requestor_type),
        _ => {}
    }
    let query = sealed.query(leg);
    Ok(match fault {
        Fault::Deviates(Deviation::DoubleEncoded) => {
            let first = sealed.message.bytes().next().expect("a sealed message is not empty");
            query.replacen(
                &format!("{}={}", leg.message_name(), char::from(first)),
                &format!("{}=%25{first:02X}", leg.message_name()),
                1,
            )
        }
        Fault::Deviates(Deviation::Whitespace) => format!("{query}%0A"),
        Fault::Deviates(Deviation::HtmlEscaped) => query.replace('&', "&amp;"),
        _ => query,
    })
}

/// `base` with `query` appended, with `fault`.
pub(super) fn append(fault: Fault, base: &str, query: &str) -> String {
    let (front, fragment) = url::split_fragment(base);
    match fault {
        Fault::Deviates(Deviation::SecondQuestionMark) => {
            let own = if front.contains('?') { "" } else { "?lang=en" };
            format!("{front}{own}?{query}{fragment}")
        }
        Fault::Deviates(Deviation::InFragment) => {
            let route = if fragment.is_empty() { "#/return" } else { fragment };
            let joint = if route.contains('?') { '&' } else { '?' };
            format!("{front}{route}{joint}{query}")
        }
        _ => url::append(base, query),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_message_differs_in_one_character() {
        for message in ["AAAABBBB", "wxyzBBBB"] {
            let sealed = Sealed {
                fi: "VA==".to_owned(),
                date: "011120261040756".to_owned(),
                message: message.to_owned(),
                iv: String::new(),
                requestor_type: String::new(),
            };
            let right = sealed.query(Leg::Request);
            let changed = query(Fault::Changed, Leg::Request, sealed).expect("every message can change");
            assert_eq!(right.len(), changed.len());
            assert_eq!(right.chars().zip(changed.chars()).filter(|(one, other)| one != other).count(), 1);
        }
    }
}
