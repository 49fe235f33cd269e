//! Where the store is: the URLs of the setting, checked.

use std::path::PathBuf;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, io::tcp::TcpSettings};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use super::cluster::Node;

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
    #[error("--store-password-file {0} cannot be used: {1}")]
    PasswordFile(PathBuf, String),
    /// The CAs that `rediss://` needs cannot be read.
    #[error(
        "the CAs for a store with TLS cannot be used: {0}; they are the certificates of the system, or those in the file \
         that SSL_CERT_FILE names, in PEM"
    )]
    Authorities(String),
}

impl Kind {
    /// Whether connections use TLS.
    pub(super) fn has_tls(&self) -> bool {
        let (Self::One(settings) | Self::Cluster { settings, .. } | Self::Sentinel { settings, .. }) = self;
        matches!(settings.addr(), ConnectionAddr::TcpTls { .. })
    }
}

/// What the URLs name.
#[derive(Clone)]
pub(super) enum Kind {
    One(ConnectionInfo),
    /// Some nodes of a cluster, and the settings of a connection to any node.
    Cluster {
        settings: ConnectionInfo,
        seeds: Vec<Node>,
    },
    /// All Sentinels, and the settings of a connection to the master.
    Sentinel {
        settings: ConnectionInfo,
        nodes: Vec<ConnectionInfo>,
        service: String,
        tls: bool,
    },
}

/// One URL of the setting.
struct Url {
    node: ConnectionInfo,
    tls: bool,
    /// The service of a Sentinel.
    service: Option<String>,
    has_path: bool,
}

pub(super) fn kind(urls: &[SecretString]) -> Result<Kind, BadStore> {
    let urls = urls.iter().map(|url| parse(url.expose_secret())).collect::<Result<Vec<_>, _>>()?;
    let [first, others @ ..] = &*urls else { return Err(bad("no URL")) };
    if others.iter().any(|other| other.service != first.service) {
        return Err(bad("the URLs name different services, or Sentinels and others"));
    }
    if others.iter().any(|other| other.tls != first.tls) {
        return Err(bad("redis:// and rediss:// are mixed"));
    }
    let user = |url: &Url| url.node.redis_settings().username().map(str::to_owned);
    if others.iter().any(|other| user(other) != user(first)) {
        return Err(bad("the URLs name different users"));
    }
    if let Some(service) = &first.service {
        let (service, tls, settings) = (service.clone(), first.tls, first.node.clone());
        return Ok(Kind::Sentinel { settings, nodes: urls.into_iter().map(|url| url.node).collect(), service, tls });
    }
    if others.is_empty() {
        return Ok(Kind::One(first.node.clone()));
    }
    if urls.iter().any(|url| url.has_path) {
        return Err(bad("a cluster has no database numbers, so its URLs have no path"));
    }
    let seeds = urls.iter().filter_map(|url| seed(&url.node)).collect();
    Ok(Kind::Cluster { settings: first.node.clone(), seeds })
}

/// Each command is sent at once: else one of two that follow each other waits for the answer to the first.
pub(super) fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

/// The error never repeats the URL itself: it may contain a password in the wrong place.
fn bad(why: &str) -> BadStore {
    BadStore::Url(why.to_owned())
}

fn parse(url: &str) -> Result<Url, BadStore> {
    if url.contains(char::is_whitespace) {
        return Err(bad("a URL has a blank"));
    }
    let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("a URL has no scheme"))?;
    let (scheme, is_sentinel) = scheme.strip_suffix("+sentinel").map_or((scheme, false), |scheme| (scheme, true));
    if !["redis", "rediss"].contains(&scheme) {
        return Err(bad("a URL has another scheme"));
    }
    if rest.contains(['?', '#']) {
        // The client reads settings there, such as one that trusts every certificate.
        return Err(bad("a URL has a query or a fragment"));
    }
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let service = is_sentinel.then(|| path.to_owned());
    if service.as_ref().is_some_and(|service| service.is_empty() || service.contains('/')) {
        return Err(bad("a Sentinel needs one service, the name of the master"));
    }
    let node = format!("{scheme}://{}", if is_sentinel { host } else { rest }).into_connection_info();
    // What the client says of it names neither the part nor what to do.
    let node = node.map_err(|_| bad("a URL does not have this form"))?.set_tcp_settings(tcp());
    if node.redis_settings().db() < 0 {
        return Err(bad("a database number is under 0"));
    }
    if node.redis_settings().password().is_some() {
        return Err(BadStore::Password);
    }
    if seed(&node).is_none_or(|seed| seed.port == 0) {
        return Err(bad("a URL has port 0"));
    }
    Ok(Url { node, tls: scheme == "rediss", service, has_path: !path.is_empty() })
}

/// The host and port of a URL.
fn seed(node: &ConnectionInfo) -> Option<Node> {
    match node.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            Some(Node { host: host.as_str().into(), port: *port })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(urls: &[&str]) -> Result<Kind, BadStore> {
        kind(&urls.iter().map(|&url| url.into()).collect::<Vec<_>>())
    }

    #[test]
    fn urls_name_a_server_a_cluster_or_sentinels() {
        assert!(matches!(parsed(&["redis://store:6379"]), Ok(Kind::One(_))));
        assert!(matches!(parsed(&["rediss://user@store:6379/2"]), Ok(Kind::One(_))));
        assert!(
            matches!(parsed(&["redis://a:6379", "redis://b:6379"]), Ok(Kind::Cluster { seeds, .. }) if seeds.len() == 2)
        );
        let sentinels = ["redis+sentinel://a:26379/main", "redis+sentinel://b:26379/main"];
        assert!(matches!(parsed(&sentinels), Ok(Kind::Sentinel { service, tls: false, .. }) if service == "main"));
        let tls = parsed(&["rediss+sentinel://a:26379/main"]);
        assert!(matches!(tls, Ok(Kind::Sentinel { tls: true, .. })));
    }

    /// Calls share a connection. With Nagle's algorithm each would wait for the answer to the one before it.
    #[test]
    fn each_command_is_sent_at_once() {
        let mut all = Vec::new();
        for urls in [&["redis://a:1"][..], &["rediss://a:1", "rediss://b:1"], &["redis+sentinel://a:1/main"]] {
            match parsed(urls).unwrap() {
                Kind::One(settings) | Kind::Cluster { settings, .. } => all.push(settings),
                Kind::Sentinel { nodes, settings, .. } => all.extend(nodes.into_iter().chain([settings])),
            }
        }
        assert!(all.len() == 4 && all.iter().all(|settings| settings.tcp_settings().nodelay()));
    }

    #[test]
    fn urls_that_name_no_store_are_refused_and_not_repeated() {
        for (wrong, why) in [
            (&["store:6379"][..], "a URL has no scheme"),
            (&[""], "a URL has no scheme"),
            (&["http://SECRET:6379"], "a URL has another scheme"),
            (&["redis://a:6379/?protocol=SECRET"], "a URL has a query or a fragment"),
            (&["rediss://a:6379/#insecure"], "a URL has a query or a fragment"),
            (&["redis://a:0"], "a URL has port 0"),
            (&["redis://a:1", " redis://b:1"], "a URL has a blank"),
            (&["redis://a:1/-1"], "a database number is under 0"),
            (&["redis+sentinel://a:0/main"], "a URL has port 0"),
            (&["redis+sentinel://a:26379"], "a Sentinel needs one service, the name of the master"),
            (&["redis+sentinel://a:26379/"], "a Sentinel needs one service, the name of the master"),
            (&["redis+sentinel://a:26379/main/SECRET"], "a Sentinel needs one service, the name of the master"),
            (
                &["redis+sentinel://a:26379/one", "redis+sentinel://a:26379/two"],
                "the URLs name different services, or Sentinels and others",
            ),
            (
                &["redis+sentinel://a:26379/one", "redis://b:6379"],
                "the URLs name different services, or Sentinels and others",
            ),
            (&["redis://a:6379", "rediss://b:6379"], "redis:// and rediss:// are mixed"),
            (&["redis+sentinel://a:1/m", "rediss+sentinel://b:1/m"], "redis:// and rediss:// are mixed"),
            (&["redis://SECRET@a:6379", "redis://v@b:6379"], "the URLs name different users"),
            (&["redis://SECRET@a:6379", "redis://b:6379"], "the URLs name different users"),
            (&["redis://a:1/3", "redis://b:1"], "a cluster has no database numbers, so its URLs have no path"),
        ] {
            let refused = parsed(wrong).err().unwrap().to_string();
            assert!(refused.starts_with("--store must be redis://HOST:PORT"), "{refused}");
            assert!(refused.ends_with(why) && !refused.contains("SECRET"), "{wrong:?}: {refused}");
        }
        assert!(parsed(&["redis://a:6379/SECRET"]).is_err_and(|refused| !refused.to_string().contains("SECRET")));
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_repeated() {
        let refused = parsed(&["redis://user:SECRET@store:6379"]).err().unwrap().to_string();
        assert!(refused.contains("--store-password-file") && !refused.contains("SECRET"), "{refused}");
    }
}
