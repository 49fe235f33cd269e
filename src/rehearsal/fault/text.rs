//! Faults in the text of the members.

use percent_encoding::percent_decode_str;

use crate::codec::{Deviation, members::Member, profile::ListSyntax, url::Leg};

use super::{Fault, NO_UUID};

/// The members of `text`, a message of `leg`, with `fault`; `None` if the fault is not in the text.
pub(super) fn with_fault(fault: Fault, leg: Leg, text: &str, lists: ListSyntax) -> Option<String> {
    Some(match fault {
        Fault::Missing(member) => pieces_but(text, member.name()).join("&"),
        Fault::Deviates(deviation) => match deviation {
            Deviation::ListSyntax => relisted(text, lists),
            Deviation::RedirectUnescaped => unescaped(text),
            Deviation::TxnidNotUuid => replaced(text, Member::Txnid, NO_UUID),
            Deviation::ExtraMember => format!("{text}&aaVersion=2.1"),
            Deviation::BlankOptional if leg == Leg::Callback => format!("{text}&srcref="),
            Deviation::BlankOptional => format!("{text}&pan=&dob="),
            Deviation::StatusMismatch => replaced(&replaced(text, Member::Status, "S"), Member::Errorcode, "1"),
            Deviation::StrayCharacters => text.replacen('&', "&&", 1),
            Deviation::NameCase => text.replacen("&srcref=", "&srcRef=", 1),
            Deviation::InvalidEscape => format!("{text}&note=100%"),
            Deviation::Repeated => format!("{text}&txnid={}", value(text, Member::Txnid)),
            Deviation::RawNonAscii => format!("{text}&note=सहमति"),
            _ => return None,
        },
        _ => return None,
    })
}

/// The received value of a member; empty if it is absent.
fn value(text: &str, member: Member) -> &str {
    text.split('&').find_map(|piece| piece.strip_prefix(member.name())?.strip_prefix('=')).unwrap_or_default()
}

fn is_named(piece: &str, name: &str) -> bool {
    piece.split_once('=').is_some_and(|(found, _)| found == name)
}

fn pieces_but<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    text.split('&').filter(|piece| !is_named(piece, name)).collect()
}

fn replaced(text: &str, member: Member, value: &str) -> String {
    let piece = format!("{}={value}", member.name());
    let pieces: Vec<&str> =
        text.split('&').map(|found| if is_named(found, member.name()) { &*piece } else { found }).collect();
    pieces.join("&")
}

/// `text` with `srcref` in a syntax that is neither repeated members nor `lists`.
fn relisted(text: &str, lists: ListSyntax) -> String {
    let items: Vec<&str> = text
        .split('&')
        .filter_map(|piece| piece.strip_prefix("srcref="))
        .flat_map(|value| value.trim_matches(['{', '}', '[', ']']).split(','))
        .map(|item| item.trim_matches('"'))
        .collect();
    let (open, quote, close) = if lists == ListSyntax::Braces { ('[', "\"", ']') } else { ('{', "", '}') };
    let items: Vec<String> = items.into_iter().map(|item| format!("{quote}{item}{quote}")).collect();
    let rest = pieces_but(text, "srcref").join("&");
    format!("{rest}&srcref={open}{}{close}", items.join(","))
}

/// `text` with a `redirect` that has a query and is not escaped.
fn unescaped(text: &str) -> String {
    let mut url = percent_decode_str(value(text, Member::Redirect)).decode_utf8_lossy().into_owned();
    if !url.contains(['?', '#']) {
        url.push_str("?lang=en");
    }
    replaced(text, Member::Redirect, &url)
}
