//! What the sender should change: a sentence for each deviation, ready to forward.

use crate::codec::Deviation;

/// What a sender should change to avoid the deviation. `place` is where it was, empty for the whole message.
pub(super) fn advice(deviation: Deviation, place: &str) -> String {
    let place = if place.is_empty() { "the message" } else { place };
    match deviation {
        Deviation::Base64Alphabet => {
            format!("Write {place} in the right Base64 alphabet: URL-safe (- _) for ecreq and ecres, standard (+ /) for fi, iv and requestorType.")
        }
        Deviation::Base64Unpadded => format!("Keep the = at the end of the Base64 text of {place}."),
        Deviation::PlusAsSpace => format!("Percent-encode {place} in the URL: write + as %2B."),
        Deviation::DoubleEncoded => format!("Percent-encode {place} once, not twice."),
        Deviation::Whitespace => format!("Write {place} without line ends and without blanks around it."),
        Deviation::DateDigits => format!("Write {place} with 15 digits: ddmmyyyyhh24misss in UTC."),
        Deviation::SecondQuestionMark => {
            "If the URL already has a query, append the parameters with &: a URL has only one ?.".to_owned()
        }
        Deviation::ListSyntax => format!("Write each item of {place} as its own member: {place}=a&{place}=b."),
        Deviation::RedirectUnescaped => {
            "Percent-encode the value of redirect (encodeURIComponent, URLEncoder): it has its own query or fragment."
                .to_owned()
        }
        Deviation::TxnidNotUuid => "Use a UUID as txnid, a new one for each redirect.".to_owned(),
        Deviation::ExtraMember => "Leave out members that the guideline does not have, or agree on them with the receiver.".to_owned(),
        Deviation::BlankOptional => format!("Leave {place} out if it has no value."),
        Deviation::StatusMismatch => {
            "Send status S with errorcode 0, and status F with any other code; the receiver must treat this as a failure."
                .to_owned()
        }
        Deviation::StrayCharacters => {
            "Put one & between two members, and nothing before the first member or after the last.".to_owned()
        }
        Deviation::NameCase => format!("Write the name {place} exactly like this, with the same upper-case and lower-case letters."),
        Deviation::InvalidEscape => format!("Write a % in {place} as %25."),
        Deviation::Repeated => format!("Write {place} once."),
        Deviation::HtmlEscaped => "Write & between parameters, not &amp;: the URL was escaped for HTML.".to_owned(),
        Deviation::InFragment => "Put the parameters into the query, in front of #.".to_owned(),
        Deviation::RequestorType => {
            "Write FIU or LSP in requestorType, masked with the date like fi.".to_owned()
        }
        Deviation::DateZeroLost => format!("Store {place} as text: a number loses the leading zero of days 1 to 9."),
        Deviation::RawNonAscii => format!("Percent-encode {place}: bytes above 0x7E must be escaped."),
    }
}
