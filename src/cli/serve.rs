//! `serve` and `check`: settings and keyring in, a server or a table out.

use std::{io, sync::Arc};

use tokio::signal::unix::{SignalKind, signal};

use crate::{
    config::{LogFormat, Settings},
    kdf_pool::KdfPool,
    keyring::{Keyring, Problem},
    server::{Listener, Services, system_clock},
    service::Redirects,
};

use super::Failure;

/// Serves until SIGTERM or SIGINT.
pub(super) fn serve(settings: &Settings) -> Result<(), Failure> {
    let (keyring, warnings) = settings.load()?;
    start_log(settings.log);
    for warning in warnings {
        tracing::warn!(line = warning.line, "keyring: {}", warning.text);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve_keyring(settings, keyring))?;
    // What did not end within the drain is not waited for.
    runtime.shutdown_background();
    Ok(())
}

async fn serve_keyring(settings: &Settings, keyring: Keyring) -> Result<(), Failure> {
    let stop = stop_signal()?;
    let mut listeners = Vec::new();
    for address in &settings.listen {
        listeners.push(Listener::bind(address).await?);
    }
    let addresses: Vec<String> =
        listeners.iter().map(|listener| Ok(listener.address()?.to_string())).collect::<io::Result<_>>()?;
    let pairings = keyring.pairings().count();
    let pool = KdfPool::new(settings.kdf_threads())?;
    let kernels = pool.kernels();
    let redirects = Redirects::new(Arc::new(keyring), pool, system_clock());
    let services = Services::new(redirects).await.map_err(|error| Failure::Other(error.to_string()))?;
    if settings.is_sandbox() {
        tracing::warn!("SANDBOX KEYRING: its secrets are public, nothing is protected; name your own with --keyring");
    }
    tracing::info!(listen = addresses.join(" "), pairings, kdf_threads = settings.kdf_threads(), kernels, "serving");
    services.run(listeners, stop, settings.limits()).await?;
    tracing::info!("ended");
    Ok(())
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

fn start_log(format: LogFormat) {
    // A closed standard error must not end the server.
    let log = tracing_subscriber::fmt().with_writer(io::stderr).with_target(false).log_internal_errors(false);
    match format {
        LogFormat::Text => log.with_ansi(false).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}

/// Prints the pairings without their secrets, and warnings.
pub(super) fn check(settings: &Settings) -> Result<(), Failure> {
    let (keyring, warnings) = settings.load()?;
    let source = match &settings.keyring.keyring {
        Some(path) => path.display().to_string(),
        None => "the embedded sandbox keyring".to_owned(),
    };
    for Problem { line, text } in warnings {
        eprintln!("warning: {source}:{}: {text}", line.unwrap_or_default());
    }
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
