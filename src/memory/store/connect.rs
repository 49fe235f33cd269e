//! Connections to the store, and its password.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, RedisConnectionInfo, RedisError, TlsMode,
    sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType},
};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use tokio::{
    sync::{Semaphore, oneshot},
    time::timeout,
};
use zeroize::Zeroizing;

use super::{
    address::{BadStore, Kind, kind, tcp},
    authorities,
    cluster::{Node, Place},
};

/// How long connecting may take.
pub(super) const CONNECT: Duration = Duration::from_secs(1);
/// How long reading a file may take, of the time to connect: a network mount that hangs never answers.
const READ: Duration = Duration::from_millis(500);
/// How long reading a file may take at the start.
const START: Duration = Duration::from_secs(5);

/// A connection that many calls share.
pub(super) type Connection = redis::aio::MultiplexedConnection;

/// The file of the store's password.
#[derive(Clone, Debug)]
pub struct PasswordFile {
    /// Its path.
    pub path: PathBuf,
    /// Reads it. This must refuse what is not a regular file, and what is too large.
    pub read: fn(&Path) -> io::Result<Zeroizing<Vec<u8>>>,
}

/// A checked address of a store.
pub(super) struct Address {
    kind: Kind,
    password: Option<PasswordFile>,
    /// How often the Sentinels were asked.
    tries: AtomicUsize,
    /// A permit to read a file, so that at most one thread waits for a file that does not answer.
    reading: Arc<Semaphore>,
}

impl Address {
    /// The store that `urls` name, with this password.
    pub(super) fn parse(urls: &[SecretString], password: Option<PasswordFile>) -> Result<Self, BadStore> {
        let address =
            Self { kind: kind(urls)?, password, tries: AtomicUsize::new(0), reading: Arc::new(Semaphore::new(1)) };
        if let Some(file) = address.password.clone() {
            at_start(file.late(), move || file.text().map(drop))?;
        } else if urls.iter().any(|url| url.expose_secret().contains('@')) {
            // The client would connect as the default user.
            return Err(BadStore::Url("a user name needs a password: name its file with --store-password-file".into()));
        }
        if address.kind.has_tls() {
            at_start(late_authorities(), authorities::check)?;
        }
        Ok(address)
    }

    /// The password. It is read again for each connection, so that it can be changed while the server runs.
    async fn password(&self) -> Result<Option<Zeroizing<String>>, BadStore> {
        let Some(file) = self.password.clone() else { return Ok(None) };
        self.read(file.late(), move || file.text()).await.map(Some)
    }

    /// The result of `read`, or `late` if it takes too long. It runs on a thread of its own, so that no call waits for
    /// its file.
    async fn read<T: Send + 'static>(
        &self,
        late: BadStore,
        read: impl FnOnce() -> Result<T, BadStore> + Send + 'static,
    ) -> Result<T, BadStore> {
        let reading = async {
            let permit = Arc::clone(&self.reading).acquire_owned().await.ok()?;
            let (tell, told) = oneshot::channel();
            // Not a task of the runtime, whose end would wait for it.
            thread::spawn(move || {
                // If nobody waits for the result any longer, it is dropped.
                let _ = tell.send(read());
                drop(permit);
            });
            told.await.ok()
        };
        timeout(READ, reading).await.ok().flatten().ok_or(late)?
    }

    /// The nodes of a cluster that the settings name; none for another kind of store.
    pub(super) fn seeds(&self) -> &[Node] {
        if let Kind::Cluster { seeds, .. } = &self.kind { seeds } else { &[] }
    }

    /// A new connection to the whole store or to a node of the cluster.
    pub(super) async fn connect(&self, place: &Place) -> Result<Connection, Unconnected> {
        if self.kind.has_tls() {
            // The client reads them on this thread, which serves calls.
            self.read(late_authorities(), authorities::check).await?;
        }
        let password = self.password().await?;
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(None);
        let info = match (&self.kind, place) {
            (Kind::Cluster { settings, .. }, Place::Node(node)) => at(settings, node),
            (Kind::One(settings) | Kind::Cluster { settings, .. } | Kind::Sentinel { settings, .. }, _) => {
                settings.clone()
            }
        };
        let mut settings = info.redis_settings().clone().set_skip_set_lib_name();
        if let Some(password) = &password {
            settings = settings.set_password(&**password);
        }
        if let Kind::Sentinel { nodes, service, tls, .. } = &self.kind {
            // They are asked one after another, and a silent one takes the whole time of a try.
            let mut nodes = nodes.clone();
            let first = self.tries.fetch_add(1, Relaxed) % nodes.len();
            nodes.rotate_left(first);
            let mut client = sentinel(&nodes, service, *tls, settings)?;
            return Ok(client.get_async_connection_with_config(&config).await?);
        }
        let client = Client::open(info.set_redis_settings(settings))?;
        Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
    }
}

impl PasswordFile {
    /// Its content without the line end.
    fn text(&self) -> Result<Zeroizing<String>, BadStore> {
        let bytes = (self.read)(&self.path).map_err(|error| self.unreadable(&error.to_string()))?;
        let text = str::from_utf8(&bytes).map_err(|_| self.unreadable("it is not UTF-8"))?;
        let text = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
        if text.is_empty() { Err(self.unreadable("it is empty")) } else { Ok(text) }
    }

    fn late(&self) -> BadStore {
        self.unreadable("it does not answer")
    }

    fn unreadable(&self, why: &str) -> BadStore {
        BadStore::PasswordFile(self.path.clone(), why.to_owned())
    }
}

/// The result of `read`, or `late` if it takes too long.
fn at_start(late: BadStore, read: impl FnOnce() -> Result<(), BadStore> + Send + 'static) -> Result<(), BadStore> {
    let (tell, told) = mpsc::channel();
    // If it ends after the time, nobody waits for it.
    thread::spawn(move || drop(tell.send(read())));
    told.recv_timeout(START).map_err(|_| late)?
}

fn late_authorities() -> BadStore {
    BadStore::Authorities("their file does not answer".to_owned())
}

/// Why connecting failed.
#[derive(Debug, Error)]
pub(super) enum Unconnected {
    #[error("{0}")]
    Redis(#[from] RedisError),
    #[error("{0}")]
    Settings(#[from] BadStore),
}

/// These settings for another node.
fn at(settings: &ConnectionInfo, node: &Node) -> ConnectionInfo {
    let mut address = settings.addr().clone();
    if let ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } = &mut address {
        (*host, *port) = (node.host.to_string(), node.port);
    }
    settings.clone().set_addr(address)
}

/// The client of Sentinels. User, password and what is not sent concern the master; Sentinels are asked as anybody.
fn sentinel(
    nodes: &[ConnectionInfo],
    service: &str,
    tls: bool,
    settings: RedisConnectionInfo,
) -> Result<SentinelClient, RedisError> {
    let anybody = RedisConnectionInfo::default().set_skip_set_lib_name();
    let nodes = nodes.iter().map(|node| node.clone().set_redis_settings(anybody.clone())).collect();
    let mut master = SentinelNodeConnectionInfo::default().set_redis_connection_info(settings).set_tcp_settings(tcp());
    if tls {
        master = master.set_tls_mode(TlsMode::Secure);
    }
    SentinelClient::build(nodes, service, Some(master), SentinelServerType::Master)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_name_without_a_password_is_refused() {
        let refused = Address::parse(&["redis://user@store:6379".into()], None).err().unwrap().to_string();
        assert!(
            refused.ends_with("a user name needs a password: name its file with --store-password-file"),
            "{refused}"
        );
    }

    #[test]
    fn an_empty_password_file_is_refused() {
        let file = |read| PasswordFile { path: "password".into(), read };
        for file in [file(|_| Ok(Zeroizing::default())), file(|_| Ok(Zeroizing::new(b"\r\n".to_vec())))] {
            let refused = Address::parse(&["redis://store:6379".into()], Some(file)).err().unwrap().to_string();
            assert_eq!(refused, "--store-password-file password cannot be used: it is empty");
        }
    }
}
