//! The command line: serve, check, inspect, rehearse, descriptor, keygen, health.

use std::{
    io::{self, Read, Write},
    process::ExitCode,
    time::Duration,
};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use thiserror::Error;

use crate::{
    compose::{self, BadSettings},
    config::{Address, DEFAULT_LISTEN, KeyringSettings, RehearsalSettings, Settings},
    rehearsal,
};

mod check;
mod descriptor;
mod health;
mod inspect;
mod keygen;
mod rehearse;

/// Settings or arguments that cannot be used (`EX_USAGE` of sysexits).
const BAD_SETTINGS: u8 = 64;

/// How long `health` waits for an answer.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(3);

/// Encodes and decodes the browser redirects between FIUs and Account Aggregators, over gRPC.
///
/// Without a subcommand it serves. Without a keyring it serves the built-in sandbox keyring, on loopback only.
#[derive(Parser)]
#[command(name = "aa-redirect", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Subcommand)]
enum Command {
    /// Serve (the default)
    Serve {
        #[command(flatten)]
        settings: Settings,
    },
    /// Check the settings and every file, and print the pairings without secrets. Exits 64 if anything is wrong
    Check {
        #[command(flatten)]
        settings: Settings,
        /// Exit 64 on a warning too
        #[arg(long)]
        strict: bool,
        /// For a machine that must not see the secrets: accept that a secret's file or variable is missing, and say
        /// which secrets were not checked
        #[arg(long)]
        without_secrets: bool,
    },
    /// Open a request or callback URL offline, and say step by step what was read or why it failed
    ///
    /// For the operator who holds the secrets: it prints the members, and the cause that the service must not tell.
    /// Exits 0 if the service would accept the message now, else 1.
    Inspect {
        #[command(flatten)]
        keyring: KeyringSettings,
        /// Look only at pairings of this FIU
        #[arg(long, value_name = "ID")]
        fiu: Option<String>,
        /// Look only at pairings of this AA
        #[arg(long, value_name = "ID")]
        aa: Option<String>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
        /// The URL or query string. `-` reads it from standard input: an argument is visible in ps
        url: String,
    },
    /// Rehearse a redirect in a browser: run the service and pages for both sides, on this machine only
    ///
    /// Without a keyring it uses the sandbox keyring. The web views of that keyring are pages of this rehearsal.
    #[command(after_help = rehearsal::help())]
    Rehearse {
        #[command(flatten)]
        settings: RehearsalSettings,
        /// Run all journeys of the keyring once without serving, and print a table. Exits 0 if all end as expected,
        /// else 1
        #[arg(long)]
        check: bool,
    },
    /// Write the descriptor set of the service to standard output, with the google.rpc messages that its errors contain
    Descriptor,
    /// Print a new secret: 32 random characters
    Keygen,
    /// Ask a server without TLS whether it serves. Exits 0 if it does, else 1
    Health {
        /// The server's address, host:port or unix:path
        #[arg(value_name = "ADDR", default_value = DEFAULT_LISTEN)]
        address: Address,
    },
}

/// Why the program ends without success.
#[derive(Debug, Error)]
enum Failure {
    #[error("{0}")]
    Settings(#[from] BadSettings),
    #[error("{0}")]
    Other(String),
    /// There are warnings, and `check --strict` does not accept them.
    #[error("--strict accepts no warnings; there are {0}")]
    Warned(usize),
    /// The command has already printed the whole reason.
    #[error("")]
    Reported,
}

impl From<compose::Failure> for Failure {
    fn from(failure: compose::Failure) -> Self {
        match failure {
            compose::Failure::Settings(settings) => Self::Settings(settings),
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Other(error.to_string())
    }
}

/// Runs the program with its arguments: 0 on success, 64 on bad settings, 1 on failure.
pub fn run() -> ExitCode {
    let cli = match Cli::command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            // If the stream is closed, nobody reads the message.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(BAD_SETTINGS) } else { ExitCode::SUCCESS };
        }
    };
    let outcome = match cli.command.unwrap_or(Command::Serve { settings: cli.settings }) {
        Command::Serve { settings } => compose::serve(&settings).map_err(Failure::from),
        Command::Check { settings, strict, without_secrets } => check::check(&settings, strict, without_secrets),
        Command::Inspect { keyring, fiu, aa, json, url } => {
            read_url(url).and_then(|url| inspect::run(&keyring, &url, &inspect::Parties { fiu, aa }, json))
        }
        Command::Rehearse { settings, check: true } => rehearse::check(&settings),
        Command::Rehearse { settings, check: false } => compose::rehearse(&settings).map_err(Failure::from),
        Command::Descriptor => io::stdout().write_all(&descriptor::set()).map_err(Failure::from),
        Command::Keygen => keygen::secret().map(|secret| println!("{secret}")),
        Command::Health { address } => health::ask(&address),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Reported) => ExitCode::FAILURE,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "aa-redirect: {failure}");
            if matches!(failure, Failure::Settings(_) | Failure::Warned(_)) {
                ExitCode::from(BAD_SETTINGS)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// The argument itself, or standard input for `-`.
fn read_url(argument: String) -> Result<String, Failure> {
    if argument != "-" {
        return Ok(argument);
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    // The line end that `echo` adds is not part of the URL.
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
