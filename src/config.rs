//! Settings as plain data: flags first, then the environment (`AA_REDIRECT_<FLAG>`), then the defaults, each with its
//! reason. Loads no file and binds no port.

use std::{
    fmt,
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    str::FromStr,
    thread,
};

use clap::{Args, ValueEnum, builder::FalseyValueParser};
use secrecy::SecretString;
use tracing::level_filters::LevelFilter;

/// Loopback only, so that a first start exposes nothing.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:50051";
/// Loopback only: the pages show the members of every message.
const DEFAULT_PAGES: &str = "127.0.0.1:8080";
/// Callers commonly wait this long. Kubernetes kills after 30 seconds.
const DEFAULT_DRAIN_TIMEOUT: u64 = 10;
/// If other machines can reach an address: a load balancer that routes by health sends calls for some more seconds,
/// until it notices. Loopback has no balancer, and a person at a terminal does not want to wait.
const DEFAULT_DRAIN_DELAY: u64 = 5;
/// Half an hour. After a rollout, callers spread over the new replicas within this time.
const DEFAULT_MAX_CONNECTION_AGE: u64 = 1800;
/// A store nearby answers in a hundredth of this time.
const DEFAULT_STORE_TIMEOUT: u64 = 50;
/// Callers give up earlier than this.
const MAX_STORE_TIMEOUT: u64 = 10_000;
/// Longer than anybody waits for a page; a call whose request never ends holds memory for this time.
const DEFAULT_MAX_DEADLINE: u64 = 60;
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
    /// Whether only this machine can reach it.
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

/// What happens to decoding while the shared store does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StoreOutage {
    /// Each replica remembers for itself.
    Local,
    /// Decoding answers STORE_UNAVAILABLE.
    Closed,
}

impl StoreOutage {
    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Closed => "closed",
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
    /// Also what an operator should look at.
    Warn,
    /// Also one line for each call.
    Info,
    /// Also probes and the ends of connections.
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

/// The settings of `serve` and `check`.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// The address for calls, host:port or unix:path. May be given several times
    #[arg(long, value_name = "ADDR", env = "AA_REDIRECT_LISTEN", value_delimiter = ',', default_value = DEFAULT_LISTEN)]
    pub listen: Vec<Address>,

    /// An address without TLS that only the proxy of a mesh can reach. The service trusts the identity in the proxy's
    /// x-forwarded-client-cert
    #[arg(long, value_name = "ADDR", env = "AA_REDIRECT_TRUSTED_LISTEN", value_delimiter = ',')]
    pub trusted_listen: Vec<Address>,

    /// Who may connect to Unix sockets, as permissions in octal: 0660 allows the owner and the group
    #[arg(long, value_name = "OCTAL", env = "AA_REDIRECT_UNIX_MODE", default_value = "0660", value_parser = octal)]
    pub unix_mode: u32,

    /// The address for /livez, /readyz, /metrics and gRPC health, without TLS and credentials
    #[arg(long, value_name = "ADDR", env = "AA_REDIRECT_ADMIN_LISTEN")]
    pub admin_listen: Option<Address>,

    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would take a doc comment for the help of the whole group")]
    pub keyring: KeyringSettings,

    /// The file that lists who may call. Without it everybody who can connect may call
    #[arg(long, value_name = "FILE", env = "AA_REDIRECT_CALLERS")]
    pub callers: Option<PathBuf>,

    /// The server's certificate chain, in PEM. With it every TCP address of --listen speaks TLS
    #[arg(long, value_name = "FILE", env = "AA_REDIRECT_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// The key of the server's certificate, in PEM
    #[arg(long, value_name = "FILE", env = "AA_REDIRECT_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// The CAs of client certificates, in PEM. With it each client must present a certificate of these CAs
    #[arg(long, value_name = "FILE", env = "AA_REDIRECT_TLS_CLIENT_CA", requires = "tls_cert")]
    pub tls_client_ca: Option<PathBuf>,

    /// The Redis or Valkey store that all replicas share, redis://HOST:PORT or rediss://HOST:PORT. Give it once for
    /// each node of a cluster. With Sentinel, give redis+sentinel://HOST:PORT/SERVICE once for each Sentinel. Commas
    /// separate several URLs in the environment variable
    #[arg(long, value_name = "URL", env = "AA_REDIRECT_STORE", value_delimiter = ',')]
    pub store: Vec<SecretString>,

    /// What happens while the store does not answer
    #[arg(long, value_name = "WHAT", env = "AA_REDIRECT_STORE_OUTAGE", requires = "store", default_value = "local")]
    pub store_outage: StoreOutage,

    /// How long the store may take to answer
    #[arg(long, value_name = "N", env = "AA_REDIRECT_STORE_TIMEOUT_MILLISECONDS", requires = "store", default_value_t = DEFAULT_STORE_TIMEOUT, value_parser = clap::value_parser!(u64).range(1..=MAX_STORE_TIMEOUT))]
    pub store_timeout_milliseconds: u64,

    /// The file that holds the store's password
    #[arg(long, value_name = "FILE", env = "AA_REDIRECT_STORE_PASSWORD_FILE", requires = "store")]
    pub store_password_file: Option<PathBuf>,

    /// Serve the sandbox keyring, whose secrets are public, even if other machines can reach the address
    #[arg(long, env = "AA_REDIRECT_SANDBOX", conflicts_with = "keyring", value_parser = FalseyValueParser::new())]
    pub sandbox: bool,

    /// The number of threads that derive PBKDF2 keys [default: the number of cores minus one]
    #[arg(long, value_name = "N", env = "AA_REDIRECT_KDF_THREADS", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub kdf_threads: Option<u32>,

    /// At shutdown: how long calls in flight have to finish after --drain-delay
    #[arg(long, value_name = "SECONDS", env = "AA_REDIRECT_DRAIN_TIMEOUT", default_value_t = DEFAULT_DRAIN_TIMEOUT, value_parser = clap::value_parser!(u64).range(..=MAX_SECONDS))]
    pub drain_timeout: u64,

    /// At shutdown: how long to continue to serve, with health NOT_SERVING, before connections are told to go away
    /// [default: 5 if other machines can reach an address, else 0]
    #[arg(long, value_name = "SECONDS", env = "AA_REDIRECT_DRAIN_DELAY", value_parser = clap::value_parser!(u64).range(..=MAX_SECONDS))]
    pub drain_delay: Option<u64>,

    /// The longest time that a call may take. It limits a call's own deadline, and holds for a call without one
    #[arg(long, value_name = "SECONDS", env = "AA_REDIRECT_MAX_DEADLINE", default_value_t = DEFAULT_MAX_DEADLINE, value_parser = clap::value_parser!(u64).range(1..=MAX_SECONDS))]
    pub max_deadline: u64,

    /// The most connections at a time. At the limit, a new connection takes the place of one that never made a call,
    /// else of the one that has been idle longest [default: 10000, or fewer if memory or open files do not allow so
    /// many]
    #[arg(long, value_name = "N", env = "AA_REDIRECT_MAX_CONNECTIONS", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: Option<u32>,

    /// The age at which a connection is told to go away, plus or minus a tenth, so that callers find new replicas
    #[arg(long, value_name = "SECONDS", env = "AA_REDIRECT_MAX_CONNECTION_AGE", default_value_t = DEFAULT_MAX_CONNECTION_AGE, value_parser = clap::value_parser!(u64).range(1..=MAX_SECONDS))]
    pub max_connection_age: u64,

    /// In the metrics, show all pairings as one, with `*` for their ids. For keyrings with thousands of pairings
    #[arg(long, env = "AA_REDIRECT_NO_PAIRING_METRICS", value_parser = FalseyValueParser::new())]
    pub no_pairing_metrics: bool,

    /// Write log lines of this level and above
    #[arg(long, value_name = "LEVEL", env = "AA_REDIRECT_LOG_LEVEL", default_value = "info")]
    pub log_level: LogLevel,

    /// The form of log lines
    #[arg(long, value_name = "FORM", env = "AA_REDIRECT_LOG", default_value = "text")]
    pub log: LogFormat,
}

/// Which keyring.
#[derive(Args, Clone, Debug)]
pub struct KeyringSettings {
    /// The keyring file. Without it the built-in sandbox keyring is used
    #[arg(long, value_name = "FILE", env = "AA_REDIRECT_KEYRING")]
    pub keyring: Option<PathBuf>,
}

/// The settings of `rehearse`.
#[derive(Args, Clone, Debug)]
pub struct RehearsalSettings {
    /// The address for calls, host:port of loopback or unix:path
    #[arg(long, value_name = "ADDR", env = "AA_REDIRECT_LISTEN", default_value = DEFAULT_LISTEN, value_parser = local)]
    pub listen: Address,

    /// The address of the pages, host:port of loopback. Port 0 picks a free port
    #[arg(long, value_name = "ADDR", env = "AA_REDIRECT_PAGES", default_value = DEFAULT_PAGES, value_parser = loopback)]
    pub pages: SocketAddr,

    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would take a doc comment for the help of the whole group")]
    pub keyring: KeyringSettings,

    /// The web view of your own AA, to which the FIU desk sends the browser
    #[arg(long, value_name = "URL", env = "AA_REDIRECT_AA_URL", value_parser = web_url)]
    pub aa_url: Option<String>,
}

/// An address that only this machine can reach.
fn local(text: &str) -> Result<Address, String> {
    let address: Address = text.parse()?;
    if address.is_local() {
        return Ok(address);
    }
    Err("must be a loopback address or a Unix socket: a rehearsal shows the members of every message".into())
}

/// A TCP address of loopback.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    match text.parse()? {
        Address::Tcp(address) if address.ip().is_loopback() => Ok(address),
        Address::Tcp(_) => Err("must be a loopback address: the pages show the members of every message".into()),
        Address::Unix(_) => Err("must be host:port: a browser cannot open a Unix socket".into()),
    }
}

/// A URL that a browser opens.
fn web_url(text: &str) -> Result<String, String> {
    let web = url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    // The other characters of a URL are escaped.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&byte));
    if web && is_plain && text.contains("://") {
        return Ok(text.to_owned());
    }
    Err("must be an absolute http or https URL, such as http://127.0.0.1:8081/webview".into())
}

/// The permissions of a file, in octal.
fn octal(text: &str) -> Result<u32, String> {
    let digits = !text.is_empty() && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    u32::from_str_radix(text, 8).ok().filter(|mode| digits && *mode <= 0o777).ok_or_else(|| {
        "must be an octal number up to 0777, such as 0660, which lets the owner and the group connect".into()
    })
}

/// The number of cores minus one, but at least 1. One core stays free for calls.
pub fn spare_cores() -> u32 {
    let cores = thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX));
    cores.saturating_sub(1).max(1)
}

impl Settings {
    /// Whether the built-in sandbox keyring is served.
    pub fn is_sandbox(&self) -> bool {
        self.keyring.keyring.is_none()
    }

    /// How long to continue to serve at shutdown, in seconds: as set, else 0 if only this machine can reach the
    /// addresses for calls, else 5.
    pub fn drain_delay(&self) -> u64 {
        let is_local = self.listen.iter().chain(&self.trusted_listen).all(Address::is_local);
        self.drain_delay.unwrap_or(if is_local { 0 } else { DEFAULT_DRAIN_DELAY })
    }

    /// The number of threads for key derivation: as set, else the number of cores minus one, so that other calls find a
    /// free core.
    pub fn kdf_threads(&self) -> u32 {
        self.kdf_threads.unwrap_or_else(spare_cores)
    }
}
