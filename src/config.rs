//! Settings: flags first, then the environment (`AA_REDIRECT_<FLAG>`), then the defaults; all checked before a port is
//! bound.

use std::{
    fmt, io,
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    str::FromStr,
    sync::Arc,
    thread,
    time::Duration,
};

use clap::{Args, ValueEnum, builder::FalseyValueParser};
use thiserror::Error;
use tracing::level_filters::LevelFilter;

use crate::{
    callers::Callers,
    file_check::{Problem, Refused},
    files::ReadFile,
    keyring::{self, Keyring},
    reload::Reloaded,
    server::{
        Limits,
        tls::{Tls, TlsFiles, TlsRefused},
    },
    telemetry::traces::BadTracing,
};

/// Loopback only, so that a first start exposes nothing.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:50051";
/// As long as a caller usually waits; Kubernetes kills after 30 seconds.
const DEFAULT_DRAIN_TIMEOUT: u64 = 10;
/// None: who routes by health needs one, who runs it by hand does not want to wait.
const DEFAULT_DRAIN_DELAY: u64 = 0;
/// More than a mesh opens; some 400 MiB where each is idle.
const DEFAULT_MAX_CONNECTIONS: u32 = 10_000;
/// Half an hour: callers then spread over the replicas of a rollout within that time.
const DEFAULT_MAX_CONNECTION_AGE: u64 = 1800;
/// A hundred years, so that no sum of times overflows.
const MAX_SECONDS: u64 = 100 * 365 * 86_400;

/// Where a server listens: `host:port` or `unix:path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP socket.
    Tcp(SocketAddr),
    /// A Unix domain socket.
    Unix(PathBuf),
}

impl Address {
    /// Whether only this machine reaches it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err("unix: needs a path".into()) } else { Ok(Self::Unix(path.into())) };
        }
        let resolved = text.to_socket_addrs().map_err(|error| format!("neither host:port nor unix:path ({error})"))?;
        resolved.into_iter().next().map(Self::Tcp).ok_or_else(|| "the host has no address".into())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Faults of the service, and files that are refused.
    Error,
    /// What an operator should look at, too.
    Warn,
    /// One line a call, too.
    Info,
    /// Probes and the ends of connections, too.
    Debug,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
        }
    }
}

/// What `serve` and `check` can be told.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Where to listen, host:port or unix:path; may be given several times
    #[arg(long, value_name = "ADDR", env = "AA_REDIRECT_LISTEN", value_delimiter = ',', default_value = DEFAULT_LISTEN)]
    pub listen: Vec<Address>,

    /// Where a mesh's proxy alone connects, without TLS: the identity in its x-forwarded-client-cert counts there
    #[arg(long, value_name = "ADDR", env = "AA_REDIRECT_TRUSTED_LISTEN", value_delimiter = ',')]
    pub trusted_listen: Vec<Address>,

    /// Where to answer /livez, /readyz, /metrics and gRPC health, without TLS or credentials
    #[arg(long, value_name = "ADDR", env = "AA_REDIRECT_ADMIN_LISTEN")]
    pub admin_listen: Option<Address>,

    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would take a doc comment for the help of the whole group")]
    pub keyring: KeyringSettings,

    /// The file of those who may call; without it everybody who can connect may
    #[arg(long, value_name = "FILE", env = "AA_REDIRECT_CALLERS")]
    pub callers: Option<PathBuf>,

    /// The server's certificate chain, in PEM; TCP other than that of --trusted-listen then speaks TLS
    #[arg(long, value_name = "FILE", env = "AA_REDIRECT_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// The key of the server's certificate, in PEM
    #[arg(long, value_name = "FILE", env = "AA_REDIRECT_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// The CAs of clients' certificates, in PEM; each client must then show one
    #[arg(long, value_name = "FILE", env = "AA_REDIRECT_TLS_CLIENT_CA", requires = "tls_cert")]
    pub tls_client_ca: Option<PathBuf>,

    /// Serve the sandbox keyring even on an address that other machines reach
    #[arg(long, env = "AA_REDIRECT_SANDBOX", conflicts_with = "keyring", value_parser = FalseyValueParser::new())]
    pub sandbox: bool,

    /// Threads that derive PBKDF2 keys [default: one fewer than cores]
    #[arg(long, value_name = "N", env = "AA_REDIRECT_KDF_THREADS", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub kdf_threads: Option<u32>,

    /// How long calls in flight may take to end after that
    #[arg(long, value_name = "SECONDS", env = "AA_REDIRECT_DRAIN_TIMEOUT", default_value_t = DEFAULT_DRAIN_TIMEOUT, value_parser = clap::value_parser!(u64).range(..=MAX_SECONDS))]
    pub drain_timeout: u64,

    /// How long to go on serving after SIGTERM, as not ready, before connections are told to end
    #[arg(long, value_name = "SECONDS", env = "AA_REDIRECT_DRAIN_DELAY", default_value_t = DEFAULT_DRAIN_DELAY, value_parser = clap::value_parser!(u64).range(..=MAX_SECONDS))]
    pub drain_delay: u64,

    /// Connections at a time; at this many the longest-idle one makes room for a new one
    #[arg(long, value_name = "N", env = "AA_REDIRECT_MAX_CONNECTIONS", default_value_t = DEFAULT_MAX_CONNECTIONS, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,

    /// How old a connection gets, give or take a tenth, so that callers find new replicas
    #[arg(long, value_name = "SECONDS", env = "AA_REDIRECT_MAX_CONNECTION_AGE", default_value_t = DEFAULT_MAX_CONNECTION_AGE, value_parser = clap::value_parser!(u64).range(1..=MAX_SECONDS))]
    pub max_connection_age: u64,

    /// Which log lines are written: those of this level and above
    #[arg(long, value_name = "LEVEL", env = "AA_REDIRECT_LOG_LEVEL", default_value = "info")]
    pub log_level: LogLevel,

    /// The form of log lines
    #[arg(long, value_name = "FORM", env = "AA_REDIRECT_LOG", default_value = "text")]
    pub log: LogFormat,
}

/// Which keyring.
#[derive(Args, Clone, Debug)]
pub struct KeyringSettings {
    /// The keyring file; without it the embedded sandbox keyring is used
    #[arg(long, value_name = "FILE", env = "AA_REDIRECT_KEYRING")]
    pub keyring: Option<PathBuf>,
}

/// Settings that cannot be used.
#[derive(Debug, Error)]
pub enum BadSettings {
    /// The keyring file is refused.
    #[error("{0}")]
    Keyring(#[from] Refused),
    /// The sandbox keyring would be reachable from other machines.
    #[error(
        "{0} is reached from other machines, and the sandbox keyring's secrets are public: name a keyring with \
         --keyring, listen on a loopback address, or say --sandbox to serve it all the same"
    )]
    SandboxExposed(Address),
    /// The sandbox keyring would be served in what looks like production.
    #[error(
        "{0} is given without --keyring, and the sandbox keyring's secrets are public: name a keyring, or say --sandbox \
         to serve it all the same"
    )]
    SandboxInEarnest(&'static str),
    /// The callers file is refused.
    #[error("{0}")]
    Callers(Refused),
    /// Certificate, key or client CAs are refused.
    #[error("{0}")]
    Tls(#[from] TlsRefused),
    /// The settings of OpenTelemetry cannot be used.
    #[error("{0}")]
    Tracing(#[from] BadTracing),
    /// The embedded keyring is faulty.
    #[error("the embedded keyring is faulty: {0:?}")]
    Sandbox(Vec<Problem>),
}

/// What is served from files, loaded and fit.
pub struct Loaded {
    /// The pairings.
    pub keyring: Arc<Reloaded<Keyring>>,
    /// Who may call.
    pub callers: Option<Arc<Reloaded<Callers>>>,
    /// Certificate and key.
    pub tls: Option<Arc<Reloaded<Tls>>>,
    /// What to look at, each with the file that it is about.
    pub warnings: Vec<(PathBuf, Problem)>,
}

impl KeyringSettings {
    /// The keyring with its warnings, or the sandbox one where no file is named.
    ///
    /// # Errors
    /// Where the file is refused.
    pub fn load(&self) -> Result<(Reloaded<Keyring>, Vec<Problem>), BadSettings> {
        if let Some(path) = self.keyring.clone() {
            return Ok(Reloaded::load("keyring", move |read| keyring::load_with(&path, read))?);
        }
        let sandbox = |_: &ReadFile<'_>| keyring::sandbox().map(|keyring| (keyring, Vec::new()));
        Reloaded::load("keyring", move |read| sandbox(read).map_err(BadSettings::Sandbox))
    }
}

impl Settings {
    /// Whether the embedded keyring is served.
    pub fn is_sandbox(&self) -> bool {
        self.keyring.keyring.is_none()
    }

    /// Checks what no single setting shows, and loads every file.
    ///
    /// # Errors
    /// What makes the settings unfit.
    pub fn load(&self) -> Result<Loaded, BadSettings> {
        self.check_sandbox()?;
        let (keyring, found) = self.keyring.load()?;
        let at = |path: &Option<PathBuf>| path.clone().unwrap_or_default();
        let mut warnings: Vec<_> = found.into_iter().map(|problem| (at(&self.keyring.keyring), problem)).collect();
        let callers = self.callers.clone().map(|path| {
            Reloaded::load("callers", move |read| Callers::load_with(&path, read)).map_err(BadSettings::Callers)
        });
        let callers = callers.transpose()?.map(|(callers, found)| {
            warnings.extend(found.into_iter().map(|problem| (at(&self.callers), problem)));
            Arc::new(callers)
        });
        let tls = self.tls_files().map(|files| {
            Reloaded::load("certificates", move |read| Tls::load(&files, read).map(|tls| (tls, Vec::new())))
        });
        let tls = tls.transpose()?.map(|(tls, _)| Arc::new(tls));
        Ok(Loaded { keyring: Arc::new(keyring), callers, tls, warnings })
    }

    /// The sandbox keyring serves only where nothing speaks of production, or where that is insisted on.
    fn check_sandbox(&self) -> Result<(), BadSettings> {
        if !self.is_sandbox() || self.sandbox {
            return Ok(());
        }
        let listening = self.listen.iter().chain(&self.trusted_listen);
        if let Some(exposed) = { listening }.find(|address| !address.is_local()) {
            return Err(BadSettings::SandboxExposed(exposed.clone()));
        }
        let in_earnest = [
            ("--callers", self.callers.is_some()),
            ("--tls-cert", self.tls_cert.is_some()),
            ("--admin-listen", self.admin_listen.is_some()),
        ];
        match in_earnest.into_iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(BadSettings::SandboxInEarnest(flag)),
            None => Ok(()),
        }
    }

    fn tls_files(&self) -> Option<TlsFiles> {
        let (cert, key) = (self.tls_cert.clone()?, self.tls_key.clone()?);
        Some(TlsFiles { cert, key, client_ca: self.tls_client_ca.clone() })
    }

    /// Threads for key derivation: as told, else one fewer than cores, so that calls without PBKDF2 find one free.
    pub fn kdf_threads(&self) -> u32 {
        let cores =
            || thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX));
        self.kdf_threads.unwrap_or_else(|| cores().saturating_sub(1).max(1))
    }

    /// What the server may take and how long it may last, where that many `files` may be open for connections.
    pub fn limits_for(&self, files: Option<u64>) -> Limits {
        let connections = files.map_or(u64::MAX, |files| files.max(1)).min(self.max_connections.into());
        Limits {
            max_connections: usize::try_from(connections).unwrap_or(usize::MAX),
            max_connection_age: Duration::from_secs(self.max_connection_age),
            drain_delay: Duration::from_secs(self.drain_delay),
            drain_timeout: Duration::from_secs(self.drain_timeout),
        }
    }
}

/// What `error` says, and the way out where one is known.
pub(crate) fn bind_advice(address: &Address, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => "; another process listens there, or name another address with --listen",
        io::ErrorKind::PermissionDenied => "; ports under 1024 need a privilege",
        _ => "",
    };
    format!("cannot listen on {address}: {error}{advice}")
}
