//! Runs a rehearsal from start to end: the service as `serve` runs it, and the pages, on loopback only.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use tokio::net::TcpListener;

use crate::{
    codec::url::{Leg, names_parameter},
    config::{Address, RehearsalSettings, spare_cores},
    exchange::Exchange,
    files::reload::{self, Reloaded},
    keyring::{self, Absent},
    keys::KdfPool,
    memory::Memory,
    rehearsal::{self, Calls, Checked, Rehearsal, Site},
    server::{Edges, Limits, Listeners, Services, panics, serve_newest, system_clock},
    service::Redirects,
    telemetry::{Telemetry, logs},
};

use super::{BadSettings, Failure, bind_one, keep_memory_private, load_keyring, observe, signals};

/// The limits on a developer's machine: a few callers, and no wait at the end.
const LIMITS: Limits = Limits {
    max_connections: 1000,
    max_held: 64 << 20,
    max_connection_age: Duration::from_mins(30),
    max_deadline: Duration::from_mins(1),
    drain_delay: Duration::ZERO,
    drain_timeout: Duration::from_secs(2),
};

/// The parts of a rehearsal.
struct Parts {
    calls: Calls,
    keyring: Arc<keyring::Served>,
    keys: Arc<KdfPool>,
    telemetry: Arc<Telemetry>,
}

/// Serves calls and pages until SIGTERM, SIGINT or SIGHUP.
///
/// # Errors
/// If the settings cannot be used, or if the system refuses something that a server needs.
pub fn rehearse(settings: &RehearsalSettings) -> Result<(), Failure> {
    let _log = logs::start(logs::Format::Text, tracing::level_filters::LevelFilter::INFO)?;
    panics::install();
    keep_memory_private();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(settings))?;
    runtime.shutdown_background();
    Ok(())
}

/// Runs all journeys of the keyring once.
///
/// # Errors
/// If the settings cannot be used.
pub fn check_journeys(settings: &RehearsalSettings) -> Result<Vec<Checked>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let checked = runtime.block_on(async {
        let site = site(settings, settings.pages, settings.listen.to_string());
        let Parts { calls, keyring, keys, .. } = parts(settings, &site)?;
        Ok::<_, Failure>(rehearsal::check(Rehearsal::new(calls, keyring, keys, site)).await)
    });
    runtime.shutdown_background();
    checked
}

async fn serve(settings: &RehearsalSettings) -> Result<(), Failure> {
    let (stop, closed) = (signals::stop()?, reload::hangups()?);
    // Also when its terminal closes. The keyring is read again without a signal.
    let stop = async move {
        tokio::select! { () = stop => (), _ = closed.into_future() => () }
    };
    let listener = bind_one(&settings.listen, 0o600)?;
    let pages = bind_pages(settings.pages).await?;
    let site = site(settings, pages.local_addr()?, listener.address()?);
    let Parts { calls, keyring, keys, telemetry } = parts(settings, &site)?;
    let report = observe::reloads(&telemetry, &keys, &keyring);
    let source = Arc::clone(&keyring) as Arc<dyn reload::Source>;
    tokio::spawn(reload::watch(vec![source], stream::pending(), [reload::POLL, reload::TIME_LIMIT], report));
    println!("pages  {}/\ngRPC   {}", site.pages, site.grpc);
    tracing::info!(keyring = site.keyring.as_deref().unwrap_or("the sandbox keyring"), "rehearsal");
    let rehearsal = Rehearsal::new(calls.clone(), keyring, keys, site);
    let accept = async move || Ok(pages.accept().await?.0);
    tokio::spawn(serve_newest("pages", rehearsal::MAX_CONNECTIONS, accept, rehearsal::serve_pages(rehearsal)));
    let edges = Edges { tls: None, callers: None, telemetry };
    Services::new(calls, edges)?.run(Listeners { calls: vec![listener], admin: None }, stop, async {}, LIMITS).await?;
    Ok(())
}

fn site(settings: &RehearsalSettings, pages: SocketAddr, grpc: String) -> Site {
    Site {
        pages: Site::origin(pages),
        grpc,
        aa_url: settings.aa_url.clone(),
        keyring: settings.keyring.keyring.as_ref().map(|path| path.display().to_string()),
    }
}

fn parts(settings: &RehearsalSettings, site: &Site) -> Result<Parts, Failure> {
    if settings.aa_url.as_ref().is_some_and(|url| names_parameter(url, Leg::Request)) {
        return Err(BadSettings::AaUrl.into());
    }
    let keyring = Arc::new(match &settings.keyring.keyring {
        Some(_) => load_keyring(&settings.keyring, Absent::Refused)?.0,
        None => sandbox(&site.pages)?,
    });
    let keys = Arc::new(KdfPool::new(spare_cores())?);
    let exchange = Arc::new(Exchange::new(Arc::clone(&keys), Arc::new(Memory::default())));
    let telemetry = Telemetry::new(None);
    let redirects = Redirects::new(Arc::clone(&keyring), exchange, system_clock());
    Ok(Parts { calls: Calls::new(redirects, Arc::clone(&telemetry)), keyring, keys, telemetry })
}

/// The sandbox keyring, whose web views are the AA desks.
fn sandbox(pages: &str) -> Result<keyring::Served, BadSettings> {
    let pages = pages.to_owned();
    Reloaded::load("keyring", move |_| {
        let keyring = keyring::rehearsal(|aa| Site::webview(&pages, aa)).map_err(BadSettings::Sandbox)?;
        Ok::<_, BadSettings>((keyring, Vec::new()))
    })
    .map(|(keyring, _)| keyring)
}

async fn bind_pages(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let text = format!(
            "cannot serve pages on {}: {error}; another program listens there, or --listen has the same address; choose \
             another one with --pages",
            Address::Tcp(address)
        );
        std::io::Error::new(error.kind(), text)
    })
}
