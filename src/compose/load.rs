//! Loads and checks all files of a server before it binds a port.

use std::{path::Path, sync::Arc, time::Duration};

use thiserror::Error;

use crate::{
    callers::{self, Callers},
    config::{Address, KeyringSettings, Settings, StoreOutage},
    files::{
        MAX_FILE, ReadFile,
        problem::{Problem, Refused},
        read_file,
        reload::{Reloaded, Source},
    },
    keyring::{self, Absent},
    memory::{BadStore, Memory, PasswordFile, StoreSettings},
    server::tls::{self, Tls, TlsFiles, TlsRefused},
    telemetry::traces::BadTracing,
};

use super::warnings::{self, Warning};

/// Settings that cannot be used.
#[derive(Debug, Error)]
pub enum BadSettings {
    /// The keyring file is refused.
    #[error("{0}")]
    Keyring(#[from] Refused),
    /// The sandbox keyring would be reachable from other machines.
    #[error(
        "other machines can reach {0}, and the sandbox keyring's secrets are public: name a keyring with --keyring, listen on \
         a loopback address, or add --sandbox to serve it anyway"
    )]
    SandboxExposed(Address),
    /// The sandbox keyring would be served with settings that look like production.
    #[error(
        "{0} is given without --keyring, and the sandbox keyring's secrets are public: name a keyring, or add --sandbox \
         to serve it anyway"
    )]
    SandboxInProduction(&'static str),
    /// The callers file is refused.
    #[error("{0}")]
    Callers(Refused),
    /// The settings of the shared store cannot be used.
    #[error("{0}")]
    Store(#[from] BadStore),
    /// Certificate, key or client CAs are refused.
    #[error("{0}")]
    Tls(#[from] TlsRefused),
    /// The settings of OpenTelemetry cannot be used.
    #[error("{0}")]
    Tracing(#[from] BadTracing),
    /// The web view of the developer's own AA cannot take the parameters of a redirect.
    #[error("the query of --aa-url names a parameter of the redirect (fi, reqdate, ecreq, iv): remove it")]
    AaUrl,
    /// The built-in sandbox keyring is faulty.
    #[error("the built-in sandbox keyring is faulty: {0:?}; this is a bug of the program")]
    Sandbox(Vec<Problem>),
}

/// The content of all files, loaded and checked.
pub struct Loaded {
    /// The pairings.
    pub keyring: Arc<keyring::Served>,
    /// Who may call.
    pub callers: Option<Arc<callers::Served>>,
    /// Certificate and key.
    pub tls: Option<Arc<tls::Served>>,
    /// The memory of messages. It has not connected to a store yet.
    pub memory: Arc<Memory>,
    /// Problems that do not stop the server, for an operator.
    pub warnings: Vec<Warning>,
}

impl Loaded {
    /// What is reloaded while the server runs.
    pub(super) fn sources(&self) -> Vec<Arc<dyn Source>> {
        let keyring = Some(Arc::clone(&self.keyring) as Arc<dyn Source>);
        let callers = self.callers.clone().map(|callers| callers as Arc<dyn Source>);
        let tls = self.tls.clone().map(|tls| tls as Arc<dyn Source>);
        [keyring, callers, tls].into_iter().flatten().collect()
    }
}

/// Checks the settings together, and loads every file.
///
/// # Errors
/// If the settings cannot be used.
pub fn load(settings: &Settings, absent: Absent) -> Result<Loaded, BadSettings> {
    check_sandbox(settings)?;
    let (keyring, found) = load_keyring(&settings.keyring, absent)?;
    let mut warnings = [warnings::exposed(settings), warnings::misspelt()].concat();
    let file = settings.keyring.keyring.as_deref().unwrap_or(Path::new("embedded"));
    warnings.extend(Warning::of(file, found));
    // The keyring comes first, and then the files of its secrets.
    warnings.extend(warnings::readable(keyring.files().get(1..).unwrap_or_default(), "a secret"));
    let callers = settings.callers.clone().map(|path| {
        let (callers, found) = Reloaded::load("callers", {
            let path = path.clone();
            move |read| Callers::load_with(&path, read)
        })
        .map_err(BadSettings::Callers)?;
        warnings.extend(Warning::of(&path, found));
        Ok::<_, BadSettings>(Arc::new(callers))
    });
    let callers = callers.transpose()?;
    let tls = tls_files(settings)
        .map(|files| Reloaded::load("certificates", move |read| Tls::load(&files, read).map(|tls| (tls, Vec::new()))));
    let tls = tls.transpose()?.map(|(tls, _)| Arc::new(tls));
    let memory = Arc::new(memory(settings)?);
    warnings.extend(warnings::readable(settings.tls_key.as_slice(), "a private key"));
    warnings.extend(warnings::readable(settings.store_password_file.as_slice(), "a password"));
    Ok(Loaded { keyring: Arc::new(keyring), callers, tls, memory, warnings })
}

/// The keyring with its warnings, or the sandbox one if no file is named.
///
/// # Errors
/// If the file is refused.
pub fn load_keyring(
    settings: &KeyringSettings,
    absent: Absent,
) -> Result<(keyring::Served, Vec<Problem>), BadSettings> {
    if let Some(path) = settings.keyring.clone() {
        return Ok(Reloaded::load("keyring", move |read| keyring::load_as(&path, read, absent))?);
    }
    let sandbox = |_: &ReadFile<'_>| keyring::sandbox().map(|keyring| (keyring, Vec::new()));
    Reloaded::load("keyring", move |read| sandbox(read).map_err(BadSettings::Sandbox))
}

/// Allows the sandbox keyring only if nothing looks like production, or if the operator insists with --sandbox.
fn check_sandbox(settings: &Settings) -> Result<(), BadSettings> {
    if !settings.is_sandbox() || settings.sandbox {
        return Ok(());
    }
    let mut listening = settings.listen.iter().chain(&settings.trusted_listen);
    if let Some(exposed) = listening.find(|address| !address.is_local()) {
        return Err(BadSettings::SandboxExposed(exposed.clone()));
    }
    let production = [
        ("--callers", settings.callers.is_some()),
        ("--tls-cert", settings.tls_cert.is_some()),
        ("--admin-listen", settings.admin_listen.is_some()),
    ];
    match production.into_iter().find(|(_, given)| *given) {
        Some((flag, _)) => Err(BadSettings::SandboxInProduction(flag)),
        None => Ok(()),
    }
}

/// The memory of this process, or the memory that it shares with other replicas.
fn memory(settings: &Settings) -> Result<Memory, BadStore> {
    if settings.store.is_empty() {
        return Ok(Memory::default());
    }
    Memory::shared(StoreSettings {
        urls: settings.store.clone(),
        password: settings
            .store_password_file
            .clone()
            .map(|path| PasswordFile { path, read: |path| read_file(path, MAX_FILE) }),
        limit: Duration::from_millis(settings.store_timeout_milliseconds),
        closed: settings.store_outage == StoreOutage::Closed,
    })
}

fn tls_files(settings: &Settings) -> Option<TlsFiles> {
    let (cert, key) = (settings.tls_cert.clone()?, settings.tls_key.clone()?);
    Some(TlsFiles { cert, key, client_ca: settings.tls_client_ca.clone() })
}
