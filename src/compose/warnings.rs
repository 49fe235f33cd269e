//! The warnings of a server at its start, and of `check`: access that may be open by accident, secrets that others can
//! read, and variables of the environment that look like misspelt settings.

use std::{
    env, fmt,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use clap::{Args, Command};

use crate::{
    config::{Address, Settings},
    files::problem::Problem,
};

/// The permission of everybody else to read a file.
const OTHERS_READ: u32 = 0o004;
/// A variable whose name differs from that of a setting by up to this many letters counts as misspelt.
const MISSPELT: usize = 2;

/// A problem that does not stop the server from starting.
#[derive(Clone, Debug)]
pub struct Warning {
    /// The file with the problem; `None` if the settings have it.
    pub file: Option<PathBuf>,
    /// The line in the file, counted from 1.
    pub line: Option<usize>,
    /// What is wrong and what to do.
    pub text: String,
}

impl Warning {
    /// A warning about a file that is accepted.
    pub(super) fn of(file: &Path, found: Vec<Problem>) -> impl Iterator<Item = Self> {
        found.into_iter().map(|Problem { line, text }| Self { file: Some(file.to_owned()), line, text })
    }

    fn settings(text: String) -> Self {
        Self { file: None, line: None, text }
    }

    /// Writes it to the log.
    pub(super) fn log(&self) {
        let file = self.file.as_ref().map(|file| file.display().to_string());
        tracing::warn!(file, line = self.line, "{}", self.text);
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{}:{line}: {}", file.display(), self.text),
            (Some(file), None) => write!(f, "{}: {}", file.display(), self.text),
            (None, _) => f.write_str(&self.text),
        }
    }
}

/// Warnings about what the settings leave open, perhaps by accident.
pub(super) fn exposed(settings: &Settings) -> Vec<Warning> {
    let mut found = Vec::new();
    let beyond = settings.listen.iter().find(|address| !address.is_local());
    if let Some(address) = beyond {
        if settings.callers.is_none() && settings.tls_client_ca.is_none() {
            found.push(format!(
                "everybody who can reach {address} may call: list the callers with --callers, or name the CAs of \
                 clients' certificates with --tls-client-ca"
            ));
        }
        if settings.tls_cert.is_none() {
            found.push(format!(
                "calls to {address} cross the network in plain text, with their secrets and tokens: give --tls-cert and \
                 --tls-key, or listen on loopback or a Unix socket behind a proxy"
            ));
        }
    }
    let mut all = settings.listen.iter().chain(&settings.trusted_listen);
    if settings.is_sandbox()
        && let Some(address) = all.find(|address| !address.is_local())
    {
        found.push(format!(
            "other machines can reach {address}, and the sandbox keyring's secrets are public: name a keyring with --keyring"
        ));
    }
    let everywhere = |address: &&Address| matches!(address, Address::Tcp(address) if address.ip().is_unspecified());
    if let Some(address) = settings.trusted_listen.iter().find(everywhere) {
        found.push(format!(
            "--trusted-listen {address} is on all addresses, and everybody who can reach it can pretend to be any \
             caller: name the loopback address on which the mesh's proxy connects"
        ));
    }
    found.into_iter().map(Warning::settings).collect()
}

/// The first of `files` (they hold `what`) that others can read, and how many more such files there are.
pub(super) fn readable(files: &[PathBuf], what: &str) -> Option<Warning> {
    let open = |file: &&PathBuf| file.metadata().is_ok_and(|metadata| metadata.mode() & OTHERS_READ != 0);
    let mut open = files.iter().filter(open);
    let first = open.next()?;
    let more = match open.count() {
        0 => String::new(),
        more => format!(", and so can {more} more such files"),
    };
    let text = format!("every user of this machine can read this file with {what}{more}: chmod o-rwx");
    Some(Warning { file: Some(first.clone()), line: None, text })
}

/// The variables of the environment whose names are nearly that of a setting.
pub(super) fn misspelt() -> Vec<Warning> {
    let command = Settings::augment_args(Command::new("aa-redirect"));
    let known: Vec<&str> = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str()).collect();
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let near = |name: String| {
        if known.contains(&&*name) {
            return None;
        }
        let meant = known.iter().find(|known| strsim::osa_distance(known, &name) <= MISSPELT)?;
        Some(Warning::settings(format!("{name} is not a setting and has no effect: did you mean {meant}?")))
    };
    let mut found: Vec<_> = names.filter_map(near).collect();
    found.sort_by(|one, other| one.text.cmp(&other.text));
    found
}
