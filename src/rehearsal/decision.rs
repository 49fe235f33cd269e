//! What an AA's user decides: with a button of the AA desk, or with a user id that decides by itself.

use crate::codec::url::Leg;

use super::fault::Fault;

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// All consent handles are accepted.
    Accept,
    /// The consent handles at these places are accepted.
    AcceptSome(Vec<usize>),
    /// It fails with this code, 1 or more.
    Fail(u32),
    /// All handles are accepted, and the answer has a fault.
    Faulty(Fault),
}

impl Decision {
    /// The decision with this name, as buttons and user ids name it: `accept`, `reject`, `error-6`, or a fault.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "accept" => Some(Self::Accept),
            "accept-first" => Some(Self::AcceptSome(vec![0])),
            "reject" => Some(Self::Fail(1)),
            _ => match name.strip_prefix("error-") {
                Some(code) => code.parse().ok().filter(|&code| code > 0).map(Self::Fail),
                None => Fault::named(name, Leg::Callback).map(Self::Faulty),
            },
        }
    }

    /// The decision of a user id: what stands before its last `@`, in any case. `None` if a user with this id decides.
    ///
    /// # Errors
    /// If it says `error-` without a code: a test with a mistyped one must not wait for a user.
    pub(super) fn of_user(userid: &str) -> Result<Option<Self>, NoCode> {
        let Some((name, _)) = userid.rsplit_once('@') else { return Ok(None) };
        let name = name.to_ascii_lowercase();
        let decision = Self::named(&name);
        if decision.is_none() && name.starts_with("error-") { Err(NoCode) } else { Ok(decision) }
    }
}

/// A user id that says `error-` and no errorcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoCode;

/// Every user name that decides by itself, and its effect.
pub(super) fn names() -> impl Iterator<Item = (String, String)> {
    let plain = [
        ("accept", "The user accepts all consent handles."),
        ("accept-first", "The user accepts the first consent handle only."),
        ("reject", "The user rejects the consent: errorcode 1."),
        ("error-N", "The callback has the errorcode N, such as error-6: session timeout."),
    ];
    let plain = plain.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned()));
    plain.chain(Fault::of(Leg::Callback).map(|fault| (fault.name(), fault.explanation())))
}

/// The list for `--help`.
pub fn help() -> String {
    let names: Vec<String> = names().map(|(name, _)| name).collect();
    format!(
        "For these user names, in front of the AA's handle (accept@alpha), the AA desk answers at once with a \
         redirect, so a test needs no click. If a message cannot show a fault, the answer is HTTP 422: \
         date-zero-lost, for example, needs a day from 1 to 9 (UTC).\n\n{}",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Deviation;

    #[test]
    fn a_user_id_decides_by_the_name_before_its_last_at_sign() {
        for (userid, decision) in [
            ("accept@alpha", Some(Decision::Accept)),
            ("ACCEPT@alpha", Some(Decision::Accept)),
            ("reject@alpha", Some(Decision::Fail(1))),
            ("error-6@alpha", Some(Decision::Fail(6))),
            ("error-4294967295@alpha", Some(Decision::Fail(u32::MAX))),
            ("stale@alpha", Some(Decision::Faulty(Fault::Stale))),
            ("hash-route@alpha", Some(Decision::Faulty(Fault::Deviates(Deviation::InFragment)))),
            ("accept@x@alpha", None),
            ("9999988888@alpha", None),
            ("accept", None),
        ] {
            assert_eq!(Decision::of_user(userid), Ok(decision), "{userid}");
        }
        for userid in ["error-0@alpha", "error-@alpha", "error-x@alpha", "ERROR-4294967296@alpha"] {
            assert_eq!(Decision::of_user(userid), Err(NoCode), "{userid}");
        }
    }

    #[test]
    fn every_name_of_the_list_decides() {
        for (name, text) in names() {
            assert!(Decision::named(&name.replace('N', "7")).is_some(), "{name}");
            assert!(text.ends_with('.'), "{name}");
        }
    }
}
