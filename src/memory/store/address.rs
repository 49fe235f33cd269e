//! Where the store is: the URLs of the setting as clients of the `redis` crate.

use std::{fs, path::PathBuf, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo, RedisError, TlsMode,
    cluster::ClusterClient,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use thiserror::Error;
use zeroize::Zeroizing;

/// How long connecting may take.
pub(super) const CONNECT: Duration = Duration::from_secs(1);

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

/// A checked address of a store.
#[derive(Clone)]
pub(super) struct Address {
    kind: Kind,
    password: Option<PathBuf>,
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
    /// The store that `urls` name; its password is in the file `password`.
    pub(super) fn parse(urls: &[String], password: Option<PathBuf>) -> Result<Self, BadStore> {
        let address = Self { kind: kind(urls)?, password };
        address.password()?;
        Ok(address)
    }

    /// The password. It is read again for each connection, so that it can be changed while the server runs.
    fn password(&self) -> Result<Option<Zeroizing<String>>, BadStore> {
        let Some(file) = &self.password else { return Ok(None) };
        let text = fs::read_to_string(file).map(Zeroizing::new);
        let text = text.map_err(|error| BadStore::PasswordFile(file.clone(), error.to_string()))?;
        Ok(Some(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned())))
    }

    /// A new connection.
    pub(super) async fn connect(&self) -> Result<Connection, Unconnected> {
        let password = self.password()?;
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
    fn a_password_in_a_url_is_refused_and_not_repeated() {
        let refused = parsed(&["redis://user:SECRET@store:6379"]).err().unwrap().to_string();
        assert!(refused.contains("--store-password-file") && !refused.contains("SECRET"), "{refused}");
    }
}
