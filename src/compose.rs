//! The program from its settings to its end, in the order in which things happen: settings, files, services, listeners,
//! serve, drain.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use secrecy::ExposeSecret;
use thiserror::Error;

use crate::{
    config::{Address, LogFormat, Settings},
    exchange::Exchange,
    files::reload,
    keyring::Absent,
    keys::KdfPool,
    server::{Edges, Limits, Listener, Listeners, Services, panics, system_clock},
    service::Redirects,
    telemetry::{Telemetry, logs, metrics::Reading, traces::Tracer},
};

mod capacity;
mod load;
mod observe;
mod rehearse;
mod signals;
mod warnings;

use capacity::Capacity;

pub use load::{BadSettings, Loaded, load, load_keyring};
pub use rehearse::{check_journeys, rehearse};
pub use warnings::Warning;

/// How long the export of waiting spans may take at the end.
const LAST_SPANS: Duration = Duration::from_secs(2);
/// File descriptors that are not for connections: files, signals, runtimes, the admin port.
const OTHER_FILES: u64 = 128;

/// Why a server does not start, or why it ends with a failure.
#[derive(Debug, Error)]
pub enum Failure {
    /// The settings cannot be used.
    #[error("{0}")]
    Settings(#[from] BadSettings),
    /// The system refuses something that a server needs, such as a port or a thread.
    #[error("{0}")]
    System(#[from] io::Error),
    /// The embedded descriptors cannot be read.
    #[error("{0}")]
    Descriptors(#[from] tonic_reflection::server::Error),
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// If the settings cannot be used, or if the system refuses something that a server needs.
pub fn serve(settings: &Settings) -> Result<(), Failure> {
    let loaded = load(settings, Absent::Refused)?;
    let tracer = Tracer::from_environment().map_err(BadSettings::from)?;
    let log = logs::start(log_format(settings.log), settings.log_level.into())?;
    panics::install();
    keep_memory_private();
    for warning in &loaded.warnings {
        warning.log();
    }
    let telemetry = Telemetry::new(tracer);
    if settings.no_pairing_metrics {
        telemetry.metrics.merge_pairings();
    }
    telemetry.metrics.observe(Reading::LogLinesDropped, log.dropped());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve_loaded(settings, loaded, &telemetry))?;
    // It does not wait for calls that take longer than the drain.
    runtime.shutdown_background();
    telemetry.shutdown(LAST_SPANS);
    Ok(())
}

/// Protects the secrets in memory: the system writes no core file, with any `core_pattern`, and other processes of the
/// same user cannot read the memory or the environment. If the system refuses, the old setting stays.
fn keep_memory_private() {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    // The limit does not stop a program behind a pipe in `core_pattern`: such a program gets the memory of every
    // dumpable process.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

async fn serve_loaded(settings: &Settings, loaded: Loaded, telemetry: &Arc<Telemetry>) -> Result<(), Failure> {
    let (stop, hangups) = (signals::stop()?, reload::hangups()?);
    let listeners = bind(settings)?;
    let keys = Arc::new(KdfPool::new(settings.kdf_threads())?);
    let limits = limits(settings, file_descriptors());
    loaded.memory.start();
    let exchange = Arc::new(Exchange::new(Arc::clone(&keys), Arc::clone(&loaded.memory)));
    observe::readings(telemetry, &exchange, loaded.tls.as_ref());
    let report = observe::reloads(telemetry, &keys, &loaded.keyring);
    // They were read just now.
    loaded.sources().iter().for_each(|source| report(source.name(), &reload::Outcome::Unchanged));
    tokio::spawn(reload::watch(loaded.sources(), hangups, [reload::POLL, reload::TIME_LIMIT], report));
    tell_settings(settings, &keys, &limits);
    tracing::info!(fingerprint = loaded.keyring.current().fingerprint(), "keyring");
    tell_listeners(&listeners, loaded.keyring.current().pairings().count())?;
    let redirects = Redirects::new(loaded.keyring, exchange, system_clock());
    let edges = Edges { tls: loaded.tls, callers: loaded.callers, telemetry: Arc::clone(telemetry) };
    Services::new(redirects, edges)?.run(listeners, stop, loaded.memory.settled(), limits).await?;
    tracing::info!("ended");
    Ok(())
}

fn tell_settings(settings: &Settings, keys: &KdfPool, limits: &Limits) {
    if settings.is_sandbox() {
        tracing::warn!(
            "SANDBOX KEYRING: its secrets are public and protect nothing; name your own keyring with --keyring"
        );
    }
    let named = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    // They have no password: a store with one in its URL is refused before.
    let store: Vec<&str> = settings.store.iter().map(ExposeSecret::expose_secret).collect();
    let store = (!store.is_empty()).then(|| store.join(" "));
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        keyring = named(&settings.keyring.keyring).as_deref().unwrap_or("embedded"),
        callers = named(&settings.callers).as_deref().unwrap_or("everybody who can connect"),
        tls_cert = named(&settings.tls_cert),
        tls_client_ca = named(&settings.tls_client_ca),
        store_outage = store.is_some().then(|| settings.store_outage.name()),
        store_timeout_milliseconds = store.is_some().then_some(settings.store_timeout_milliseconds),
        store,
        kdf_threads = settings.kdf_threads(),
        kernels = keys.kernels(),
        max_connections = limits.max_connections,
        max_held = limits.max_held,
        memory_at_most = capacity::total(limits.max_connections, limits.max_held),
        max_connection_age = limits.max_connection_age.as_secs(),
        max_deadline = limits.max_deadline.as_secs(),
        drain_delay = limits.drain_delay.as_secs(),
        drain_timeout = limits.drain_timeout.as_secs(),
        "settings"
    );
}

fn tell_listeners(listeners: &Listeners, pairings: usize) -> io::Result<()> {
    let addresses = |trusted| {
        let of = listeners.calls.iter().filter(|listener| listener.is_trusted() == trusted);
        of.map(Listener::address).collect::<io::Result<Vec<_>>>()
    };
    let (listen, trusted) = (addresses(false)?, addresses(true)?);
    let admin = listeners.admin.as_ref().map(Listener::address).transpose()?;
    tracing::info!(
        listen = listen.join(" "),
        trusted_listen = Some(trusted.join(" ")).filter(|addresses| !addresses.is_empty()),
        admin_listen = admin,
        pairings,
        "serving"
    );
    Ok(())
}

fn bind(settings: &Settings) -> io::Result<Listeners> {
    let bind = |address| bind_one(address, settings.unix_mode);
    let trusted = settings.trusted_listen.iter().map(|address| Ok(bind(address)?.trusted()));
    let calls = settings.listen.iter().map(bind).chain(trusted).collect::<io::Result<_>>()?;
    Ok(Listeners { calls, admin: settings.admin_listen.as_ref().map(bind).transpose()? })
}

fn bind_one(address: &Address, unix_mode: u32) -> io::Result<Listener> {
    let bound = match address {
        Address::Tcp(address) => Listener::bind_tcp(*address),
        Address::Unix(path) => Listener::bind_unix(path, unix_mode),
    };
    bound.map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => "; another process listens there: stop it, or choose another address",
            io::ErrorKind::PermissionDenied => "; ports below 1024 need a privilege: choose a higher port",
            _ => "",
        };
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}{advice}"))
    })
}

/// The limits of a server that may open this many `files` for connections.
fn limits(settings: &Settings, files: Option<u64>) -> Limits {
    let capacity = Capacity::of(capacity::memory_limit());
    let wanted = settings.max_connections.map_or(capacity.connections, u64::from);
    let connections = files.map_or(u64::MAX, |files| files.max(1)).min(wanted);
    Limits {
        max_connections: usize::try_from(connections).unwrap_or(usize::MAX),
        max_held: usize::try_from(capacity.held).unwrap_or(usize::MAX),
        max_connection_age: Duration::from_secs(settings.max_connection_age),
        max_deadline: Duration::from_secs(settings.max_deadline),
        drain_delay: Duration::from_secs(settings.drain_delay()),
        drain_timeout: Duration::from_secs(settings.drain_timeout),
    }
}

/// How many files the process may open, after it has asked for the most that it can get.
fn file_descriptors() -> Option<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    let soft = limit.current;
    limit.current = limit.maximum;
    // If the system refuses, the old limit stays.
    if setrlimit(Resource::Nofile, limit).is_ok() { limit.maximum } else { soft }
        .map(|files| files.saturating_sub(OTHER_FILES))
}

fn log_format(format: LogFormat) -> logs::Format {
    match format {
        LogFormat::Text => logs::Format::Text,
        LogFormat::Json => logs::Format::Json,
    }
}
