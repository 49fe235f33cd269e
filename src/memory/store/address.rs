//! Where the store is: the URLs of the setting as clients of the `redis` crate.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo, RedisError, TlsMode,
    cluster::ClusterClient,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use thiserror::Error;
use tokio::{
    sync::{Semaphore, oneshot},
    time::timeout,
};
use zeroize::Zeroizing;

/// How long connecting may take.
pub(super) const CONNECT: Duration = Duration::from_secs(1);
/// How long reading the password may take, of the time to connect: a network mount that hangs never answers.
const READ: Duration = Duration::from_millis(500);

/// Why the settings of the store cannot be used. Names no password.
#[derive(Debug, Error)]
pub enum BadStore {
    /// A URL does not have the form of a store's URL.
    #[error(
        "--store must be redis://HOST:PORT or rediss://HOST:PORT, once for one server and several times for nodes of a \
         cluster, or redis+sentinel://HOST:PORT/SERVICE for each Sentinel: {0}"
    )]
    Url(String),
    /// A URL has a password, which `ps` and logs would show.
    #[error("--store has a password in its URL; write it to a file, and name that with --store-password-file")]
    Password,
    /// The password file cannot be read.
    #[error("--store-password-file {0} cannot be read: {1}")]
    PasswordFile(PathBuf, String),
}

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
    /// A permit to read the password, so that at most one thread waits for a file that does not answer.
    reading: Arc<Semaphore>,
}

#[derive(Clone)]
enum Kind {
    One(ConnectionInfo),
    Cluster(Vec<ConnectionInfo>),
    Sentinel { nodes: Vec<ConnectionInfo>, service: String, tls: bool },
}

/// A connection that many calls share.
#[derive(Clone)]
pub(super) enum Connection {
    One(redis::aio::MultiplexedConnection),
    Cluster(redis::cluster_async::ClusterConnection),
}

impl Address {
    /// The store that `urls` name, with this password.
    pub(super) fn parse(urls: &[String], password: Option<PasswordFile>) -> Result<Self, BadStore> {
        let address = Self { kind: kind(urls)?, password, reading: Arc::new(Semaphore::new(1)) };
        let password = address.password.as_ref().map(PasswordFile::text).transpose()?;
        if password.is_none() && urls.iter().any(|url| url.contains('@')) {
            // The client would connect as the default user.
            return Err(BadStore::Url("a user name needs a password: name its file with --store-password-file".into()));
        }
        Ok(address)
    }

    /// The password. It is read again for each connection, so that it can be changed while the server runs, and on a
    /// thread of its own, so that no call waits for the file.
    async fn password(&self) -> Result<Option<Zeroizing<String>>, BadStore> {
        let Some(file) = self.password.clone() else { return Ok(None) };
        let late = file.unreadable("it does not answer");
        let reading = async {
            let permit = Arc::clone(&self.reading).acquire_owned().await.ok()?;
            let (tell, told) = oneshot::channel();
            // Not a task of the runtime, whose end would wait for it.
            thread::spawn(move || {
                // If nobody waits for the password any longer, it is dropped.
                let _ = tell.send(file.text());
                drop(permit);
            });
            told.await.ok()
        };
        timeout(READ, reading).await.ok().flatten().ok_or(late)?.map(Some)
    }

    /// A new connection.
    pub(super) async fn connect(&self) -> Result<Connection, Unconnected> {
        let password = self.password().await?;
        let with_password = |node: &ConnectionInfo| {
            let mut settings = node.redis_settings().clone().set_skip_set_lib_name();
            if let Some(password) = &password {
                settings = settings.set_password(&**password);
            }
            node.clone().set_redis_settings(settings)
        };
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(None);
        match &self.kind {
            Kind::One(node) => {
                let client = Client::open(with_password(node))?;
                Ok(Connection::One(client.get_multiplexed_async_connection_with_config(&config).await?))
            }
            Kind::Cluster(nodes) => {
                let nodes = nodes.iter().map(with_password);
                let client = ClusterClient::builder(nodes).retries(3).min_retry_wait(1).max_retry_wait(10);
                let client = client.connection_timeout(CONNECT).response_timeout(CONNECT).build()?;
                Ok(Connection::Cluster(client.get_async_connection().await?))
            }
            Kind::Sentinel { nodes, service, tls } => {
                let mut client = sentinel(nodes, service, *tls, password.as_deref().map(String::as_str))?;
                Ok(Connection::One(client.get_async_connection_with_config(&config).await?))
            }
        }
    }
}

impl PasswordFile {
    /// Its content without the line end.
    fn text(&self) -> Result<Zeroizing<String>, BadStore> {
        let bytes = (self.read)(&self.path).map_err(|error| self.unreadable(&error.to_string()))?;
        let text = str::from_utf8(&bytes).map_err(|_| self.unreadable("it is not UTF-8"))?;
        Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
    }

    fn unreadable(&self, why: &str) -> BadStore {
        BadStore::PasswordFile(self.path.clone(), why.to_owned())
    }
}

/// Why connecting failed.
#[derive(Debug, Error)]
pub(super) enum Unconnected {
    #[error("{0}")]
    Redis(#[from] RedisError),
    #[error("{0}")]
    Settings(#[from] BadStore),
}

fn kind(urls: &[String]) -> Result<Kind, BadStore> {
    let mut nodes = Vec::new();
    let mut services = Vec::new();
    for url in urls {
        // The error never repeats the text itself: it may contain a password in the wrong place.
        let bad = |why: &str| BadStore::Url(why.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("a URL has no scheme"))?;
        let (scheme, is_sentinel) = scheme.strip_suffix("+sentinel").map_or((scheme, false), |scheme| (scheme, true));
        if !["redis", "rediss"].contains(&scheme) {
            return Err(bad("a URL has another scheme"));
        }
        if rest.contains(['?', '#']) {
            // The client reads settings there, such as one that trusts every certificate.
            return Err(bad("a URL has a query or a fragment"));
        }
        let rest = match rest.split_once('/') {
            Some((host, service)) if is_sentinel => {
                services.push(service.to_owned());
                host
            }
            _ if is_sentinel => return Err(bad("a Sentinel without a service")),
            _ => rest,
        };
        let node = format!("{scheme}://{rest}").into_connection_info();
        let node = node.map_err(|error| BadStore::Url(error.to_string()))?;
        if node.redis_settings().password().is_some() {
            return Err(BadStore::Password);
        }
        nodes.push((node, scheme == "rediss"));
    }
    let tls = nodes.first().is_some_and(|(_, tls)| *tls);
    let nodes: Vec<_> = nodes.into_iter().map(|(node, _)| node).collect();
    match (&*nodes, &*services) {
        ([node], []) => Ok(Kind::One(node.clone())),
        ([_, _, ..], []) => Ok(Kind::Cluster(nodes)),
        ([_, ..], [service, others @ ..]) if services.len() == nodes.len() && !service.is_empty() => {
            if others.iter().any(|other| other != service) {
                return Err(BadStore::Url("the Sentinels name different services".to_owned()));
            }
            Ok(Kind::Sentinel { service: service.clone(), nodes, tls })
        }
        _ => Err(BadStore::Url("a Sentinel without a service, or a mix of kinds".to_owned())),
    }
}

fn sentinel(
    nodes: &[ConnectionInfo],
    service: &str,
    tls: bool,
    password: Option<&str>,
) -> Result<SentinelClient, RedisError> {
    let addresses = nodes.iter().map(|node| node.addr().clone());
    let mut client = SentinelClientBuilder::new(addresses, service, SentinelServerType::Master)?;
    if tls {
        client = client.set_client_to_redis_tls_mode(TlsMode::Secure);
    }
    if let Some(password) = password {
        client = client.set_client_to_redis_password(password);
    }
    if let Some(username) = nodes.first().and_then(|node| node.redis_settings().username()) {
        client = client.set_client_to_redis_username(username);
    }
    client.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(urls: &[&str]) -> Result<Kind, BadStore> {
        kind(&urls.iter().map(|&url| url.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn urls_name_a_server_a_cluster_or_sentinels() {
        assert!(matches!(parsed(&["redis://store:6379"]), Ok(Kind::One(_))));
        assert!(matches!(parsed(&["rediss://user@store:6379/2"]), Ok(Kind::One(_))));
        assert!(matches!(parsed(&["redis://a:6379", "redis://b:6379"]), Ok(Kind::Cluster(nodes)) if nodes.len() == 2));
        let sentinels = ["redis+sentinel://a:26379/main", "redis+sentinel://b:26379/main"];
        assert!(matches!(parsed(&sentinels), Ok(Kind::Sentinel { service, tls: false, .. }) if service == "main"));
        let tls = parsed(&["rediss+sentinel://a:26379/main"]);
        assert!(matches!(tls, Ok(Kind::Sentinel { tls: true, .. })));
    }

    #[test]
    fn a_url_that_names_no_store_is_refused_and_not_repeated() {
        for wrong in [
            &["store:6379"][..],
            &["http://SECRET:6379"],
            &["redis://a:6379/?protocol=SECRET"],
            &["rediss://a:6379/#insecure"],
            &["redis+sentinel://a:26379"],
            &["redis+sentinel://a:26379/"],
            &["redis+sentinel://a:26379/one", "redis+sentinel://a:26379/two"],
            &["redis+sentinel://a:26379/one", "redis://b:6379"],
        ] {
            let refused = parsed(wrong).err().unwrap().to_string();
            assert!(
                refused.starts_with("--store must be redis://HOST:PORT") && !refused.contains("SECRET"),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_user_name_without_a_password_is_refused() {
        let refused = Address::parse(&["redis://user@store:6379".to_owned()], None).err().unwrap().to_string();
        assert!(
            refused.ends_with("a user name needs a password: name its file with --store-password-file"),
            "{refused}"
        );
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_repeated() {
        let refused = parsed(&["redis://user:SECRET@store:6379"]).err().unwrap().to_string();
        assert!(refused.contains("--store-password-file") && !refused.contains("SECRET"), "{refused}");
    }
}
