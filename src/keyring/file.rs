//! Reads and checks the keyring file. A file with any problem is refused as a whole: all problems at once, each with
//! its line and what to fix.
//!
//! No message repeats a value of the file that could be a secret in the wrong place.

use std::{collections::HashMap, fmt, io, path::Path};

use chrono::TimeDelta;
use toml::Spanned;
use zeroize::Zeroizing;

use crate::{
    codec::{
        MAX_ID,
        date::{DateStyle, ReadDate},
        form,
        profile::{Authentication, Conventions, ListSyntax, PROFILES, Profile},
        url::{Leg, names_parameter},
    },
    files::problem::{Lines, Problem, Refused, shaped},
    files::{MAX_FILE, MAX_LIST, ReadFile, read_file},
};

mod secrets;
mod shape;

use super::{HostRules, Keyring, Pairing, Reopen};
use shape::{RawFile, RawPairing};

/// The most `max_age_seconds`: about 31 years.
const MAX_AGE: i64 = 1_000_000_000;
/// The most `date_reuse_milliseconds`.
const MAX_DATE_REUSE: i64 = 1000;
/// The default of `failure_budget`.
const DEFAULT_FAILURE_BUDGET: u32 = 32;
/// The most `failure_budget`: failures above it are limited by the budget of the date.
const MAX_FAILURE_BUDGET: i64 = 4096;

/// Reads the keyring file at `path` and the secrets that it names. Returns the keyring and warnings.
///
/// # Errors
/// All problems of the file at once.
pub fn load(path: &Path) -> Result<(Keyring, Vec<Problem>), Refused> {
    load_with(path, &read_file)
}

/// [`load`], with every file read by `read`.
///
/// # Errors
/// As for [`load`].
pub fn load_with(path: &Path, read: &ReadFile<'_>) -> Result<(Keyring, Vec<Problem>), Refused> {
    load_as(path, read, Absent::Refused)
}

/// [`load_with`], but random bytes may replace absent secrets.
///
/// # Errors
/// As for [`load`]; with [`Absent::StandIn`] an absent secret file or variable is not a problem.
pub fn load_as(path: &Path, read: &ReadFile<'_>, absent: Absent) -> Result<(Keyring, Vec<Problem>), Refused> {
    let refused = |problems| Refused { file: path.to_owned(), problems };
    let unreadable = |error: &dyn fmt::Display| {
        let text = format!("cannot be read: {error}; fix that, or choose another file with --keyring");
        refused(vec![Problem { line: None, text }])
    };
    let bytes = read(path, MAX_LIST).map_err(|error| unreadable(&error))?;
    let text = str::from_utf8(&bytes).map_err(|error| unreadable(&error))?;
    let directory = path.parent().unwrap_or(Path::new("."));
    parse(text, &|file: &str| read(&directory.join(file), MAX_FILE), absent).map_err(refused)
}

/// Reads the bytes of a secret file, named as in the keyring.
type ReadSecret<'a> = dyn Fn(&str) -> io::Result<Zeroizing<Vec<u8>>> + 'a;

/// What happens if the file or variable of a secret is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The keyring is refused.
    Refused,
    /// For a check only: random bytes replace it ([`super::Secret::is_stand_in`]). No existing message opens under
    /// them.
    StandIn,
}

/// The findings of the check of one file.
struct Check<'a> {
    lines: Lines,
    read: &'a ReadSecret<'a>,
    absent: Absent,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    /// The line where each pairing, each handle of an FIU and each secret's SHA-256 was first seen.
    pairings: HashMap<(String, String), usize>,
    handles: HashMap<(String, String), usize>,
    secrets: HashMap<[u8; 32], usize>,
}

/// Checks `text` and builds the keyring. Secret files are read with `read`.
pub(crate) fn parse(
    text: &str,
    read: &ReadSecret<'_>,
    absent: Absent,
) -> Result<(Keyring, Vec<Problem>), Vec<Problem>> {
    pairings(text, read, absent).map(|(pairings, warnings)| (Keyring::new(pairings), warnings))
}

/// Checks `text` and gives its pairings, with warnings. Secret files are read with `read`.
pub(super) fn pairings(
    text: &str,
    read: &ReadSecret<'_>,
    absent: Absent,
) -> Result<(Vec<Pairing>, Vec<Problem>), Vec<Problem>> {
    let file: RawFile = shaped(text)?;
    let mut check = Check {
        lines: Lines::of(text),
        read,
        absent,
        problems: Vec::new(),
        warnings: Vec::new(),
        pairings: HashMap::new(),
        handles: HashMap::new(),
        secrets: HashMap::new(),
    };
    if file.pairing.is_empty() {
        check.problems.push(Problem { line: None, text: "has no [[pairing]]: write at least one".into() });
    }
    let pairings = file.pairing.iter().filter_map(|raw| check.pairing(raw)).collect();
    if check.problems.is_empty() { Ok((pairings, check.warnings)) } else { Err(check.problems) }
}

impl Check<'_> {
    fn line(&self, span: &std::ops::Range<usize>) -> usize {
        self.lines.at(span.start)
    }

    fn refuse<T>(&mut self, at: &Spanned<T>, text: impl Into<String>) {
        let line = Some(self.line(&at.span()));
        self.problems.push(Problem { line, text: text.into() });
    }

    fn warn<T>(&mut self, at: &Spanned<T>, text: impl Into<String>) {
        let line = Some(self.line(&at.span()));
        self.warnings.push(Problem { line, text: text.into() });
    }

    /// The pairing that `raw` describes. `None` if it has a problem.
    #[expect(clippy::expect_used, reason = "`number` gives nothing out of range")]
    fn pairing(&mut self, raw: &RawPairing) -> Option<Pairing> {
        let problems = self.problems.len();
        self.id(&raw.fiu, "fiu");
        self.id(&raw.aa, "aa");
        self.unique_pairing(raw);
        let profile = self.choice(&raw.profile, "profile", &PROFILES.each_ref().map(|profile| (profile.name, profile)));
        // The other settings are checked even if the profile is unknown.
        let conventions = self.conventions(raw, profile.unwrap_or(&PROFILES[0]));
        if let Some(webview) = &raw.webview {
            self.webview(webview);
        }
        for handle in &raw.handles {
            self.handle(raw.fiu.get_ref(), handle);
        }
        let redirect_hosts = self.redirect_hosts(raw.redirect_hosts.as_deref());
        let secrets = self.secrets(&raw.secrets);
        let date_reuse =
            self.number(raw.date_reuse_milliseconds.as_ref(), "date_reuse_milliseconds", 0, MAX_DATE_REUSE);
        let failure_budget = self.number(raw.failure_budget.as_ref(), "failure_budget", 0, MAX_FAILURE_BUDGET);
        let reopen = self.reopen(raw);
        if self.problems.len() > problems {
            return None;
        }
        Some(Pairing {
            fiu: raw.fiu.get_ref().clone(),
            aa: raw.aa.get_ref().clone(),
            conventions,
            webview: raw.webview.as_ref().map(|webview| webview.get_ref().clone()),
            handles: raw.handles.iter().map(|handle| handle.get_ref().clone()).collect(),
            redirect_hosts,
            secrets,
            failure_budget: failure_budget
                .map_or(DEFAULT_FAILURE_BUDGET, |budget| u32::try_from(budget).expect("between 0 and 4,096")),
            reopen,
            date_reuse: TimeDelta::milliseconds(date_reuse.unwrap_or(0)),
        })
    }

    fn id(&mut self, id: &Spanned<String>, field: &str) {
        let text = id.get_ref();
        if text.is_empty() {
            self.refuse(id, format!("`{field}` is empty: write the id that `fi` carries"));
        } else if text.len() > MAX_ID || text.chars().any(char::is_control) {
            self.refuse(id, format!("`{field}` must have 1 to {MAX_ID} bytes and no control characters"));
        }
    }

    fn unique_pairing(&mut self, raw: &RawPairing) {
        let line = self.line(&raw.fiu.span());
        let pairing = (raw.fiu.get_ref().clone(), raw.aa.get_ref().clone());
        if let Some(first) = self.pairings.insert(pairing, line) {
            self.refuse(&raw.fiu, format!("line {first} has the same pairing of `fiu` and `aa`: keep one of them"));
        }
    }

    fn conventions(&mut self, raw: &RawPairing, profile: &'static Profile) -> Conventions {
        let default = Conventions::of(profile);
        let styles = DateStyle::ALL.map(|style| (style.name(), style));
        let syntaxes = ListSyntax::ALL.map(|syntax| (syntax.name(), syntax));
        let authentications = Authentication::ALL.map(|authentication| (authentication.name(), authentication));
        let readings = [("any", ReadDate::Any), ("tenths", ReadDate::Tenths)];
        let conventions = Conventions {
            profile,
            date: raw.date.as_ref().and_then(|at| self.choice(at, "date", &styles)).unwrap_or(default.date),
            read_date: raw
                .read_date
                .as_ref()
                .and_then(|at| self.choice(at, "read_date", &readings))
                .unwrap_or(default.read_date),
            lists: raw.lists.as_ref().and_then(|at| self.choice(at, "lists", &syntaxes)).unwrap_or(default.lists),
            padding: raw.padding.unwrap_or(default.padding),
            max_age: self
                .number(raw.max_age_seconds.as_ref(), "max_age_seconds", 1, MAX_AGE)
                .map_or(default.max_age, TimeDelta::seconds),
            check_resdate: raw.check_resdate.unwrap_or(default.check_resdate),
            authentication: raw
                .authentication
                .as_ref()
                .and_then(|at| self.choice(at, "authentication", &authentications))
                .unwrap_or(default.authentication),
        };
        if let (Some(read_date), DateStyle::Millis, ReadDate::Tenths) =
            (&raw.read_date, conventions.date, conventions.read_date)
        {
            self.warn(
                read_date,
                "this pairing writes milliseconds, and its own `read_date` cannot read them: set `date`",
            );
        }
        conventions
    }

    /// What happens to a message that was opened before. A pairing that refuses it must remember it until its date
    /// expires.
    fn reopen(&mut self, raw: &RawPairing) -> Reopen {
        let choices = [("report", Reopen::Report), ("refuse", Reopen::Refuse)];
        let Some(at) = &raw.reopen else { return Reopen::Report };
        let reopen = self.choice(at, "reopen", &choices).unwrap_or(Reopen::Report);
        if reopen == Reopen::Refuse && raw.check_resdate == Some(false) {
            let text = "`reopen = \"refuse\"` needs dates that expire, since the server cannot remember a message for ever; \
                        drop `check_resdate = false`, or write `reopen = \"report\"`";
            self.refuse(at, text);
        }
        reopen
    }

    fn choice<T: Copy>(&mut self, at: &Spanned<String>, field: &str, choices: &[(&str, T)]) -> Option<T> {
        let found = choices.iter().find(|(name, _)| name == at.get_ref());
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.refuse(at, format!("`{field}` must be one of {}", names.join(", ")));
        }
        found.map(|(_, choice)| *choice)
    }

    fn number(&mut self, at: Option<&Spanned<i64>>, field: &str, least: i64, most: i64) -> Option<i64> {
        let at = at?;
        if (least..=most).contains(at.get_ref()) {
            return Some(*at.get_ref());
        }
        self.refuse(at, format!("`{field}` must be a whole number from {least} to {most}"));
        None
    }

    fn webview(&mut self, webview: &Spanned<String>) {
        let text = webview.get_ref();
        let host = |url: &url::Url| match url.host() {
            Some(url::Host::Domain(domain)) => domain == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let fits = form::check_redirect(text).is_ok()
            && url::Url::parse(text).is_ok_and(|url| match url.scheme() {
                "https" => url.has_host(),
                "http" => host(&url),
                _ => false,
            });
        if !fits {
            self.refuse(webview, "`webview` must be an absolute https URL; http only to a loopback host");
        } else if names_parameter(text, Leg::Request) {
            self.refuse(webview, "the query of `webview` names a parameter of the redirect: remove it");
        }
    }

    fn handle(&mut self, fiu: &str, handle: &Spanned<String>) {
        let text = handle.get_ref();
        if text.is_empty() || text.contains(|c: char| c == '@' || c.is_whitespace() || c.is_control()) {
            self.refuse(handle, "a handle is the part of a user id behind its `@`: not empty, without `@` and blanks");
            return;
        }
        let line = self.line(&handle.span());
        if let Some(first) = self.handles.insert((fiu.to_owned(), text.to_ascii_lowercase()), line) {
            self.refuse(
                handle,
                format!("line {first} has the same handle for this FIU: a handle leads to one AA, so keep one of them"),
            );
        }
    }

    fn redirect_hosts(&mut self, entries: Option<&[Spanned<String>]>) -> HostRules {
        let Some(entries) = entries else { return HostRules::any() };
        if entries.is_empty() {
            let text = "an empty `redirect_hosts` forbids every redirect: list hosts, or remove it to allow all";
            self.warnings.push(Problem { line: None, text: text.into() });
        }
        HostRules::of(entries.iter().map(|entry| entry.get_ref().as_str())).unwrap_or_else(|at| {
            self.refuse(
                &entries[at],
                "an entry of `redirect_hosts` must be a host such as fiu.example or *.fiu.example",
            );
            HostRules::any()
        })
    }
}
