//! `serve` and `check`: settings and files in, a server or a table out.

use std::{io, sync::Arc, time::Duration};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    config::{BadSettings, Loaded, Settings},
    environment,
    kdf_pool::KdfPool,
    keyring::Keyring,
    reload::{self, Outcome, Source},
    server::{Edges, Listener, Listeners, Services, panics, system_clock},
    service::Redirects,
    telemetry::{
        Telemetry, logs,
        metrics::{self, Reading},
        traces::Tracer,
    },
};

use super::Failure;

/// How long the spans that wait may take at the end.
const LAST_SPANS: Duration = Duration::from_secs(2);
/// File descriptors beside those of connections: files, signals, runtimes, the admin port.
const OTHER_FILES: u64 = 128;

/// Serves until SIGTERM or SIGINT.
pub(super) fn serve(settings: &Settings) -> Result<(), Failure> {
    let loaded = settings.load()?;
    let tracer = Tracer::from_environment().map_err(BadSettings::from)?;
    let log = logs::start(settings.log, settings.log_level.into())?;
    panics::install();
    // Secrets would be in it. A system that refuses leaves the limit that was set for the process.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    take_environment(&loaded.keyring.current());
    for (file, warning) in &loaded.warnings {
        tracing::warn!(file = %file.display(), line = warning.line, "{}", warning.text);
    }
    let telemetry = Telemetry::new(tracer);
    telemetry.metrics.observe(Reading::LogLinesDropped, log.dropped());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve_loaded(settings, loaded, &telemetry))?;
    // What did not end within the drain is not waited for.
    runtime.shutdown_background();
    telemetry.shutdown(LAST_SPANS);
    Ok(())
}

async fn serve_loaded(settings: &Settings, loaded: Loaded, telemetry: &Arc<Telemetry>) -> Result<(), Failure> {
    let (stop, hangups) = (stop_signal()?, reload::hangups()?);
    let Loaded { keyring, callers, tls, .. } = loaded;
    let listeners = bind(settings)?;
    let addresses = |listeners: &[Listener], trusted| {
        let of = listeners.iter().filter(|listener| listener.is_trusted() == trusted);
        of.map(|listener| Ok(listener.address()?.to_string())).collect::<io::Result<Vec<_>>>()
    };
    let (listen, trusted) = (addresses(&listeners.calls, false)?, addresses(&listeners.calls, true)?);
    let admin = listeners.admin.as_ref().map(Listener::address).transpose()?;
    let pool = Arc::new(KdfPool::new(settings.kdf_threads())?);
    let redirects = Redirects::new(Arc::clone(&keyring), Arc::clone(&pool), system_clock());
    observe(telemetry, &pool, &redirects, tls.as_ref());
    let sources = [
        Some(Arc::clone(&keyring) as Arc<dyn Source>),
        callers.clone().map(|callers| callers as Arc<dyn Source>),
        tls.clone().map(|tls| tls as Arc<dyn Source>),
    ];
    let report = {
        let (telemetry, pool, keyring) = (Arc::clone(telemetry), Arc::clone(&pool), Arc::clone(&keyring));
        move |source: &'static str, outcome: &Outcome| {
            let applied = match outcome {
                Outcome::Applied(_) => true,
                Outcome::Refused(_) => false,
                Outcome::Unchanged | Outcome::StillRefused(_) => return,
            };
            let source = match source {
                "keyring" => metrics::Source::Keyring,
                "callers" => metrics::Source::Callers,
                _ => metrics::Source::Certificates,
            };
            telemetry.metrics.reloaded(source, applied);
            if applied && source == metrics::Source::Keyring {
                let keyring = keyring.current();
                pool.forget_before(&keyring);
                take_environment(&keyring);
                telemetry.metrics.retain_pairings(|fiu, aa| keyring.holds(fiu, aa));
            }
        }
    };
    tokio::spawn(reload::watch(sources.into_iter().flatten().collect(), hangups, reload::POLL, report));
    let limits = settings.limits_for(file_descriptors());
    if settings.is_sandbox() {
        tracing::warn!("SANDBOX KEYRING: its secrets are public, nothing is protected; name your own with --keyring");
    }
    let named = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        keyring = named(&settings.keyring.keyring).as_deref().unwrap_or("embedded"),
        callers = named(&settings.callers).as_deref().unwrap_or("everybody who can connect"),
        tls_cert = named(&settings.tls_cert),
        tls_client_ca = named(&settings.tls_client_ca),
        kdf_threads = settings.kdf_threads(),
        kernels = pool.kernels(),
        max_connections = limits.max_connections,
        max_connection_age = limits.max_connection_age.as_secs(),
        drain_delay = limits.drain_delay.as_secs(),
        drain_timeout = limits.drain_timeout.as_secs(),
        "settings"
    );
    let services = Services::new(redirects, Edges { tls, callers, telemetry: Arc::clone(telemetry) })
        .map_err(|error| Failure::Other(error.to_string()))?;
    tracing::info!(
        listen = listen.join(" "),
        trusted_listen = Some(trusted.join(" ")).filter(|addresses| !addresses.is_empty()),
        admin_listen = admin.map(|admin| admin.to_string()),
        pairings = keyring.current().pairings().count(),
        "serving"
    );
    services.run(listeners, stop, limits).await?;
    tracing::info!("ended");
    Ok(())
}

/// Takes the secrets that the keyring has from the environment out of it.
fn take_environment(keyring: &Keyring) {
    if let Err(error) = environment::take(keyring.variables()) {
        tracing::warn!("the system goes on to show secrets in the environment of this process: {error}; prefer files");
    }
}

fn bind(settings: &Settings) -> io::Result<Listeners> {
    let mut calls = Vec::new();
    for address in &settings.listen {
        calls.push(Listener::bind(address)?);
    }
    for address in &settings.trusted_listen {
        calls.push(Listener::bind(address)?.trusted());
    }
    let admin = match &settings.admin_listen {
        Some(address) => Some(Listener::bind(address)?),
        None => None,
    };
    Ok(Listeners { calls, admin })
}

/// Hands the metrics what is counted elsewhere.
fn observe(
    telemetry: &Telemetry,
    pool: &Arc<KdfPool>,
    redirects: &Redirects,
    tls: Option<&Arc<reload::Reloaded<crate::server::tls::Tls>>>,
) {
    let pool_reading = |reading, read: fn(&KdfPool) -> u64| {
        let pool = Arc::clone(pool);
        telemetry.metrics.observe(reading, move || read(&pool));
    };
    pool_reading(Reading::Derivations, KdfPool::derivations);
    pool_reading(Reading::DerivationsRefused, KdfPool::refused);
    pool_reading(Reading::DerivationQueue, |pool| pool.waiting() as u64);
    pool_reading(Reading::DerivedKeys, |pool| pool.remembered() as u64);
    let (spent, refused) = (Arc::clone(redirects.budget()), Arc::clone(redirects.budget()));
    telemetry.metrics.observe(Reading::FailureBudgetSpent, move || spent.spent());
    telemetry.metrics.observe(Reading::FailureBudgetRefused, move || refused.refused());
    if let Some(tls) = tls.cloned() {
        let expiry = move || u64::try_from(tls.current().not_after.timestamp()).unwrap_or_default();
        telemetry.metrics.observe(Reading::CertificateExpiry, expiry);
    }
}

/// How many files the process may have open, after it has asked for as many as it can get.
fn file_descriptors() -> Option<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    let soft = limit.current;
    limit.current = limit.maximum;
    // A system that refuses leaves the process with what it had.
    if setrlimit(Resource::Nofile, limit).is_ok() { limit.maximum } else { soft }
        .map(|files| files.saturating_sub(OTHER_FILES))
}

/// Resolves at the first SIGTERM or SIGINT; a second one ends the process at once.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        let mut next = async || tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () };
        next().await;
        tracing::info!("draining");
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () }
            std::process::exit(1);
        });
    })
}

/// Prints the pairings without their secrets, and warnings.
pub(super) fn check(settings: &Settings) -> Result<(), Failure> {
    let loaded = settings.load()?;
    Tracer::from_environment().map_err(BadSettings::from)?;
    let source = match &settings.keyring.keyring {
        Some(path) => path.display().to_string(),
        None => "the embedded sandbox keyring".to_owned(),
    };
    for (file, warning) in &loaded.warnings {
        eprintln!("warning: {}:{}: {}", file.display(), warning.line.unwrap_or_default(), warning.text);
    }
    let keyring = loaded.keyring.current();
    let rows: Vec<[String; 6]> = keyring
        .pairings()
        .map(|pairing| {
            let secrets: Vec<String> = pairing
                .secrets
                .iter()
                .map(|secret| if secret.decode_only { format!("{} (decode)", secret.id) } else { secret.id.clone() })
                .collect();
            [
                pairing.fiu.clone(),
                pairing.aa.clone(),
                pairing.conventions.profile.name.to_owned(),
                pairing.conventions.profile.scheme.name().to_owned(),
                pairing.handles.join(" "),
                secrets.join(", "),
            ]
        })
        .collect();
    let head = ["FIU", "AA", "PROFILE", "SCHEME", "HANDLES", "SECRETS"].map(str::to_owned);
    let width =
        |column: usize| rows.iter().chain([&head]).map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 6] = std::array::from_fn(width);
    for row in [&head].into_iter().chain(&rows) {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        println!("{}", cells.join("  ").trim_end());
    }
    println!("\n{source} can be served; pairings: {}", rows.len());
    Ok(())
}
