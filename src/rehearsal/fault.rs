//! Faults on purpose: what a sender can do wrong, by name, and what the receiver then sees.
//!
//! [`Draft`] writes such messages, which the service would never write.

use std::fmt;

use thiserror::Error;

use crate::{
    codec::{Deviation, members::Member, profile::Authentication, url::Leg},
    keyring::{Pairing, Reopen},
    proto::ExpectedCallback,
};

mod parameters;
mod seal;
mod splice;
mod text;

pub(super) use seal::Draft;

/// Why a message cannot show a fault.
#[derive(Clone, Copy, Debug, Error)]
#[error("This message cannot show the fault: {0}")]
pub(super) struct Impossible(&'static str);

/// A txnid that is not a UUID.
const NO_UUID: &str = "T1234";

/// What a sender does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It seals under another secret.
    WrongSecret,
    /// Its date is older than the window.
    Stale,
    /// Its date is ahead of the window.
    Ahead,
    /// It seals with a scheme that is not the pairing's.
    OtherScheme,
    /// A character of the ciphertext has changed on the way.
    Changed,
    /// Somebody has joined the blocks of two messages.
    Spliced,
    /// It leaves a required member out.
    Missing(Member),
    /// Somebody sends a message of another journey.
    Replay,
    /// The same message arrives a second time.
    Reload,
    /// It writes in a way that the service repairs and reports.
    Deviates(Deviation),
}

/// What the receiver's service answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It opens, as if nothing were wrong.
    Opened,
    /// It opens, and this deviation is reported.
    Repaired(Deviation),
    /// It opens, and `reopened` is set.
    Reopened,
    /// It is refused for this reason.
    Refused(&'static str),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened => f.write_str("OK"),
            Self::Repaired(deviation) => write!(f, "OK with the deviation {}", deviation.name()),
            Self::Reopened => f.write_str("OK with reopened"),
            Self::Refused(reason) => write!(f, "the error {reason}"),
        }
    }
}

/// The faults that are not deviations, in the order of the pages.
const FAULTS: [Fault; 15] = [
    Fault::WrongSecret,
    Fault::Stale,
    Fault::Ahead,
    Fault::OtherScheme,
    Fault::Changed,
    Fault::Spliced,
    Fault::Replay,
    Fault::Reload,
    Fault::Missing(Member::Txnid),
    Fault::Missing(Member::Sessionid),
    Fault::Missing(Member::Userid),
    Fault::Missing(Member::Redirect),
    Fault::Missing(Member::Srcref),
    Fault::Missing(Member::Status),
    Fault::Missing(Member::Errorcode),
];

impl Fault {
    /// Every fault of a message of `leg`: first the faults that break it, then the deviations.
    pub(super) fn of(leg: Leg) -> impl Iterator<Item = Self> {
        FAULTS.into_iter().chain(Deviation::ALL.map(Self::Deviates)).filter(move |fault| fault.is_of(leg))
    }

    /// The fault of `leg` with this name.
    pub(super) fn named(name: &str, leg: Leg) -> Option<Self> {
        Self::of(leg).find(|fault| fault.name() == name)
    }

    fn is_of(self, leg: Leg) -> bool {
        match (self, leg) {
            // A callback without handles is right: a failure has none.
            (Self::Missing(Member::Srcref), Leg::Callback) => false,
            (Self::Missing(member), leg) => Member::of(leg).contains(&member),
            (Self::Deviates(Deviation::StatusMismatch), leg) => leg == Leg::Callback,
            (Self::Deviates(Deviation::RedirectUnescaped | Deviation::RequestorType), leg) => leg == Leg::Request,
            _ => true,
        }
    }

    /// The name in forms and user ids, such as `second-question-mark`.
    pub(super) fn name(self) -> String {
        match self {
            Self::WrongSecret => "wrong-secret".to_owned(),
            Self::Stale => "stale".to_owned(),
            Self::Ahead => "ahead".to_owned(),
            Self::OtherScheme => "other-scheme".to_owned(),
            Self::Changed => "changed".to_owned(),
            Self::Spliced => "spliced".to_owned(),
            Self::Replay => "replay".to_owned(),
            Self::Reload => "reload".to_owned(),
            Self::Missing(member) => format!("missing-{}", member.name()),
            Self::Deviates(Deviation::InFragment) => "hash-route".to_owned(),
            Self::Deviates(deviation) => deviation.name().to_ascii_lowercase().replace('_', "-"),
        }
    }

    /// A few words for a button.
    pub(super) fn title(self) -> String {
        let title = match self {
            Self::WrongSecret => "Wrong secret",
            Self::Stale => "Stale date",
            Self::Ahead => "Date ahead",
            Self::OtherScheme => "Other scheme",
            Self::Changed => "Changed byte",
            Self::Spliced => "Spliced message",
            Self::Replay => "Replay",
            Self::Reload => "Reload",
            Self::Missing(member) => return format!("Missing {}", member.name()),
            Self::Deviates(Deviation::SecondQuestionMark) => "Second ? (SECOND_QUESTION_MARK)",
            Self::Deviates(Deviation::InFragment) => "Hash route (IN_FRAGMENT)",
            Self::Deviates(deviation) => return deviation.name().to_owned(),
        };
        title.to_owned()
    }

    /// What was done to the message, as a sentence.
    pub(super) fn explanation(self) -> String {
        let text = match self {
            Self::WrongSecret => "The sender seals under another secret than the pairing's.",
            Self::Stale => "The date is older than the window of the pairing: the user waited, or the clock is slow.",
            Self::Ahead => "The date is ahead of the window of the pairing: the sender's clock is fast, or not in UTC.",
            Self::OtherScheme => {
                "The sender uses the other scheme: an iv where the pairing has none, or no iv where it has one."
            }
            Self::Changed => "One character of the ciphertext has changed on the way.",
            Self::Spliced => {
                "Somebody who knows no secret has joined the first block of this message with blocks of another one. Without \
                 the tag the format cannot show this: the receiver must compare the members with its own record."
            }
            Self::Replay => "Somebody sends the message of another journey of this pairing in place of this one.",
            Self::Reload => {
                "The same message was opened before: the user has reloaded the page, or somebody has copied the URL."
            }
            Self::Missing(member) => return format!("The sender leaves the member {} out.", member.name()),
            Self::Deviates(deviation) => deviation_text(deviation),
        };
        text.to_owned()
    }

    /// `base` with `query` appended as a sender with this fault does it.
    pub(super) fn append(self, base: &str, query: &str) -> String {
        parameters::append(self, base, query)
    }

    /// Changes the record of the request's sender: it is of the message that was sent.
    pub(super) fn changes(self, expected: &mut ExpectedCallback) {
        match self {
            Self::Deviates(Deviation::TxnidNotUuid) => NO_UUID.clone_into(&mut expected.txnid),
            Self::Missing(Member::Sessionid) => expected.sessionid.clear(),
            _ => {}
        }
    }

    /// What a receiver sees if it compares callbacks with its own record (`expected`).
    pub(super) fn outcome(self, leg: Leg, pairing: &Pairing) -> Outcome {
        let dated = leg == Leg::Request || pairing.conventions.check_resdate;
        let tagged = pairing.conventions.authentication != Authentication::Off;
        match self {
            Self::Missing(Member::Sessionid) if leg == Leg::Request => Outcome::Opened,
            Self::Replay | Self::Missing(Member::Sessionid) | Self::Deviates(Deviation::TxnidNotUuid)
                if leg == Leg::Callback =>
            {
                Outcome::Refused("NOT_EXPECTED")
            }
            Self::Stale | Self::Ahead if !dated => Outcome::Opened,
            Self::Stale => Outcome::Refused("DATE_EXPIRED"),
            Self::Ahead => Outcome::Refused("DATE_IN_FUTURE"),
            Self::OtherScheme => Outcome::Refused("SCHEME_MISMATCH"),
            Self::Spliced if !tagged && leg == Leg::Request => Outcome::Repaired(Deviation::TxnidNotUuid),
            Self::Spliced if !tagged => Outcome::Refused("NOT_EXPECTED"),
            Self::WrongSecret | Self::Changed | Self::Spliced | Self::Missing(_) => Outcome::Refused("UNDECIPHERABLE"),
            Self::Replay | Self::Reload if pairing.reopen == Reopen::Refuse => Outcome::Refused("ALREADY_OPENED"),
            Self::Replay | Self::Reload => Outcome::Reopened,
            // A browser does not send what stands behind `#`.
            Self::Deviates(Deviation::InFragment) => Outcome::Refused("URL_MALFORMED"),
            Self::Deviates(deviation) => Outcome::Repaired(deviation),
        }
    }
}

/// What the sender does differently, as a sentence.
fn deviation_text(deviation: Deviation) -> &'static str {
    match deviation {
        Deviation::Base64Alphabet => {
            "The ciphertext is in the standard Base64 alphabet (+ /), not in the URL-safe one (- _)."
        }
        Deviation::Base64Unpadded => "The = at the end of Base64 is stripped. Without iv, some messages have none.",
        Deviation::PlusAsSpace => "The + of Base64 is not escaped in the URL, so form decoders read it as a blank.",
        Deviation::DoubleEncoded => "A parameter is percent-encoded twice.",
        Deviation::Whitespace => "A line end stands behind the last parameter.",
        Deviation::DateDigits => "The date has other digits than the pairing writes.",
        Deviation::SecondQuestionMark => "The sender appends ? to a URL that already has a query.",
        Deviation::ListSyntax => "The list srcref is written in another syntax than the pairing's.",
        Deviation::RedirectUnescaped => "The member redirect has its own query, and it is not escaped.",
        Deviation::TxnidNotUuid => "The txnid is T1234, which is not a UUID.",
        Deviation::ExtraMember => "The message has a member that the guideline does not have.",
        Deviation::BlankOptional => "An optional member is there without a value.",
        Deviation::StatusMismatch => {
            "The status is S, and the errorcode is not 0: the receiver must treat this as a failure."
        }
        Deviation::StrayCharacters => "There are two & in place of one.",
        Deviation::NameCase => "The member srcref is named srcRef.",
        Deviation::InvalidEscape => "A member has a % that does not begin an escape.",
        Deviation::Repeated => "The member txnid comes twice.",
        Deviation::HtmlEscaped => "The URL was escaped for HTML: &amp; stands between the parameters.",
        Deviation::InFragment => {
            "The parameters stand behind #, where the routers of some single-page apps expect them. A browser does not send them."
        }
        Deviation::RequestorType => "requestorType is LSP, and it is not masked with the date.",
        Deviation::DateZeroLost => {
            "The date was stored as a number and has lost its leading zero. Only dates of days 1 to 9 (UTC) have one."
        }
        Deviation::RawNonAscii => "A member has letters above ASCII that are not percent-encoded.",
    }
}
