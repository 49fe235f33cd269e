//! The messages of refusals: what is wrong, whose side, what to do. The message alone is enough.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::{
    codec::{
        Malformed,
        date::{ClockFault, DateProblem},
        profile::Scheme,
        url::{Leg, UrlProblem},
    },
    exchange::{Differences, Missing, Refused, Unread},
};

use super::Violation;

/// The message of OVERLOADED.
pub(super) const OVERLOADED: &str = "the server has too much work: try again after the delay in google.rpc.RetryInfo";
/// The message of UNDECIPHERABLE, the same for every cause.
const UNDECIPHERABLE: &str = "the message does not open: the secrets differ, the message was changed, or its members cannot \
                              be read; the operator finds the cause with `aa-redirect inspect`";

/// A message, and every variable of it.
pub(super) struct Text {
    pub(super) message: String,
    pub(super) metadata: BTreeMap<String, String>,
}

impl Text {
    pub(super) fn of<const N: usize>(message: impl Into<String>, metadata: [(&str, String); N]) -> Self {
        let metadata = metadata.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { message: message.into(), metadata }
    }

    pub(super) fn plain(message: impl Into<String>) -> Self {
        Self::of(message, [])
    }

    /// Adds the ids that are known.
    pub(super) fn with_ids(mut self, fiu: &str, aa: &str) -> Self {
        for (name, id) in [("fiu_id", fiu), ("aa_id", aa)] {
            if !id.is_empty() {
                self.metadata.insert(name.to_owned(), id.to_owned());
            }
        }
        self
    }

    pub(super) fn with_hint(mut self, hint: Option<&str>) -> Self {
        self.metadata.extend(hint.map(|hint| ("hint".to_owned(), hint.to_owned())));
        self
    }
}

/// Names the first violation in words, and how many more there are.
#[expect(clippy::expect_used, reason = "without a violation nothing is refused")]
pub(super) fn field_invalid(violations: &[Violation]) -> Text {
    let fields: Vec<&str> = violations.iter().map(|violation| violation.field).collect();
    let first = violations.first().expect("a refusal has a violation");
    let first = format!("{} {}", first.field, first.description);
    let more = match violations.len() {
        0 | 1 => String::new(),
        2 => format!("; 1 more field is wrong: {}", fields[1]),
        count => format!("; {} more fields are wrong: {}", count - 1, fields[1..].join(", ")),
    };
    Text::of(first + &more, [("fields", fields.join(", "))])
}

/// Why a message of `leg` cannot be read.
pub(super) fn unread(leg: Leg, unread: &Unread) -> Text {
    match unread {
        Unread::NotMasked(id) => {
            let problem = "is not masked";
            let message = format!(
                "fi {problem}: without a mask it is the id {id}; the sender must XOR the id with the characters of {}, \
                 and write the result in Base64",
                leg.date_name()
            );
            Text::of(message, [("parameter", "fi".to_owned()), ("problem", problem.to_owned())])
                .with_hint(Some("NOT_MASKED"))
        }
        Unread::Malformed { malformed: Malformed::Url(problem), .. } => url_malformed(leg, problem),
        Unread::Malformed { malformed: Malformed::Date { problem, .. }, fault } => date_malformed(leg, problem, *fault),
        Unread::Malformed { malformed: Malformed::Parameter { parameter, problem, .. }, .. } => {
            let advice = match problem.hint() {
                Some("HEXADECIMAL") => "the sender must write Base64",
                Some("CUT_SHORT") if *parameter == "iv" => {
                    "an IV is 16 bytes: the sender wrote another length, or something on the way cut the URL"
                }
                Some("CUT_SHORT") => "something on the way cut the URL; check length limits of proxies and databases",
                _ if problem.is_garbled() => {
                    "fi is masked with the date, so a date that was changed on the way garbles it"
                }
                _ => "the sender wrote it like that, or something on the way changed it",
            };
            let metadata = [("parameter", (*parameter).to_owned()), ("problem", problem.to_string())];
            Text::of(format!("{parameter} {problem}: {advice}"), metadata).with_hint(problem.hint())
        }
    }
}

fn url_malformed(leg: Leg, problem: &UrlProblem) -> Text {
    let missing = ("is", "are", "missing from the query of the URL");
    let (names, (one, several, what), advice) = match problem {
        UrlProblem::Missing(names) if names.len() == 1 => {
            (names, missing, ": the sender left it out, or the URL was cut on the way")
        }
        UrlProblem::Missing(names) => (names, missing, ": the sender left them out, or the URL was cut on the way"),
        UrlProblem::Repeated(names) => {
            let what = ("comes", "come", "more than once, with different values");
            (names, what, ": the sender or the browser must send it only once")
        }
        UrlProblem::OtherLeg(names) => {
            let advice = match leg {
                Leg::Request => ": the URL is a callback, so call DecodeCallback",
                Leg::Callback => ": the URL is a request, so call DecodeRedirect",
            };
            (names, missing, advice)
        }
    };
    let problem = format!("{} {what}", if names.len() == 1 { one } else { several });
    let parameters = names.join(", ");
    let message = format!("{parameters} {problem}{advice}");
    Text::of(message, [("parameter", parameters), ("problem", problem)])
}

fn date_malformed(leg: Leg, problem: DateProblem, fault: Option<ClockFault>) -> Text {
    let parameter = leg.date_name();
    let explained = fault.map(|fault| format!("; it {fault}")).unwrap_or_default();
    let message =
        format!("{parameter} {problem}{explained}; it must be ddmmyyyyhh24misss in UTC, such as 060420210510756");
    Text::of(message, [("parameter", parameter.to_owned()), ("problem", problem.to_owned())])
        .with_hint(fault.map(ClockFault::name))
}

/// Why the exchange refuses a message between these two. An unknown id is empty.
pub(super) fn exchange(refused: Refused, fiu: &str, aa: &str) -> Text {
    let text = match refused {
        Refused::PairingUnknown(missing) => {
            Text::plain(pairing_unknown(missing, fiu, aa)).with_hint(Some(missing.hint()))
        }
        Refused::PairingAmbiguous => Text::plain(pairing_ambiguous(fiu, aa)),
        Refused::SchemeMismatch(scheme) => scheme_mismatch(scheme, fiu, aa),
        Refused::DateMalformed { leg, problem, fault } => date_malformed(leg, problem, fault),
        Refused::DateExpired { leg, age, max_age, fault } => {
            let causes = "the user waited, the URL was used again, or a clock is wrong; start a new redirect";
            dated(leg, &format!("is {age} s old, and the pairing allows {max_age} s"), causes, fault)
                .with_ages(age, max_age)
        }
        Refused::DateInFuture { leg, age, max_age, fault } => {
            let ahead = age.unsigned_abs();
            let causes = "the sender's clock is wrong, or the sender writes local time instead of UTC";
            dated(leg, &format!("is {ahead} s ahead, and the pairing allows {max_age} s"), causes, fault)
                .with_ages(age, max_age)
        }
        Refused::Overloaded(_) => Text::plain(OVERLOADED),
        Refused::Undecipherable => Text::plain(UNDECIPHERABLE),
        Refused::NotExpected(differences) => not_expected(differences),
        Refused::AlreadyOpened(first) => already_opened(first),
        Refused::StoreUnavailable => Text::plain(
            "the server cannot remember this message, so it does not open it: its shared store does not answer, or its \
             own memory is full; nothing was recorded: try again, and tell the operator if it goes on",
        ),
        Refused::TooLong => Text::plain("the message is too long for a URL: shorten its members"),
    };
    text.with_ids(fiu, aa)
}

fn not_expected(differences: Differences) -> Text {
    let fields = differences.names();
    let message = format!(
        "the callback opens, but differs from your record in {fields}: it belongs to another redirect, or was joined from \
         parts of others; do not act on it"
    );
    Text::of(message, [("fields", fields)])
}

fn already_opened(first: DateTime<Utc>) -> Text {
    let first = first.to_rfc3339_opts(SecondsFormat::Millis, true);
    let message = format!(
        "the message was opened before, first at {first}, and the pairing refuses reopenings: a page that was loaded \
         again, a URL that was used again, or a retry without the attempt_id of the first try"
    );
    Text::of(message, [("first_open_time", first)])
}

/// A date outside the window: with the mistake that explains it, or with the common causes.
fn dated(leg: Leg, problem: &str, causes: &str, fault: Option<ClockFault>) -> Text {
    let parameter = leg.date_name();
    let message = match fault {
        Some(fault) => format!("{parameter} {fault}; read as UTC it {problem}"),
        None => format!("{parameter} {problem}: {causes}"),
    };
    Text::plain(message).with_hint(fault.map(ClockFault::name))
}

impl Text {
    fn with_ages(mut self, age: i64, max_age: i64) -> Self {
        self.metadata.insert("age_seconds".to_owned(), age.to_string());
        self.metadata.insert("max_age_seconds".to_owned(), max_age.to_string());
        self
    }
}

fn scheme_mismatch(scheme: Scheme, fiu: &str, aa: &str) -> Text {
    let problem = match scheme {
        Scheme::HkdfIv => "needs an iv, and the message has none",
        Scheme::Pbkdf2 => "has no iv, and the message has one",
    };
    let message = format!(
        "the pairing of {fiu} with {aa} was chosen, and its scheme {} {problem}: if the other party is a different one, \
         name it in the call; else the two sides follow different versions of the guideline",
        scheme.name()
    );
    Text::of(message, [("scheme", scheme.name().to_owned())])
}

fn pairing_unknown(missing: Missing, fiu: &str, aa: &str) -> String {
    let message = match missing {
        Missing::Fiu => format!("the server has no pairing of the FIU {fiu}"),
        Missing::Aa => format!("the server has no pairing of the AA {aa}"),
        Missing::Pair => {
            format!("the server has no pairing of the FIU {fiu} with the AA {aa}, but each of them has other pairings")
        }
        // Only an encode asks by the handle, so there is no date that could have changed.
        Missing::Handle => {
            return format!(
                "no AA of the FIU {fiu} lists the handle of redirect.userid: name the AA in aa_id, or add the handle to \
                 its pairing in the keyring; ListPairings shows what there is"
            );
        }
    };
    format!(
        "{message}: check the ids, or add the pairing to the keyring; ListPairings lists the pairings that the \
         caller may use. If an id looks garbled, the date was changed on the way, because fi is masked with it"
    )
}

fn pairing_ambiguous(fiu: &str, aa: &str) -> String {
    if aa.is_empty() {
        format!("several AAs have a pairing with the FIU {fiu}: name one in aa_id")
    } else {
        format!("several FIUs have a pairing with the AA {aa}: name one in fiu_id")
    }
}
