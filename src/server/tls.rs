//! TLS of the server: all files are read and checked before any of them is used.
//!
//! No session is resumed: each new connection, and each client's certificate if clients need one, is checked with the
//! files of that moment. Connections of gRPC are long, so this costs little.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono::{DateTime, SecondsFormat, Utc};
use rustls::{
    InconsistentKeys, RootCertStore, ServerConfig, ServerConnection,
    crypto::{CryptoProvider, ring},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SigningKey, SingleCertAndKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use thiserror::Error;
use x509_cert::{Certificate, der::Decode};
use zeroize::Zeroizing;

use crate::files::{MAX_FILE, ReadFile, reload::Reloaded};

/// HTTP/2 in ALPN (RFC 9113, 3.1): gRPC uses only this protocol.
const H2: &[u8] = b"h2";

/// The files of certificates and key, all in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's own certificate first, then the CAs between it and the root.
    pub cert: PathBuf,
    /// The private key of the server's certificate, not encrypted.
    pub key: PathBuf,
    /// The CAs of clients' certificates. With them each client must present a certificate (mutual TLS).
    pub client_ca: Option<PathBuf>,
}

/// Checked certificates and key.
pub struct Tls {
    /// The settings for `tokio_rustls::TlsAcceptor`.
    pub config: Arc<ServerConfig>,
    /// When the server's own certificate expires.
    pub not_after: DateTime<Utc>,
    /// The earliest expiry among the client CAs.
    pub client_ca_not_after: Option<DateTime<Utc>>,
}

/// Certificates and key that are replaced when their files change.
pub type Served = Reloaded<Tls>;

/// Refused certificates or key. The text has one line for each problem, with the file's name, and never bytes of the
/// files.
#[derive(Debug, Error)]
pub struct TlsRefused {
    problems: Vec<(PathBuf, String)>,
}

impl fmt::Display for TlsRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (file, text)) in self.problems.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            write!(f, "{}: {text}", file.display())?;
        }
        Ok(())
    }
}

impl Tls {
    /// Reads certificates and key with `read`, and checks them: the key fits, the certificate is valid now, the CAs can
    /// be used. The permissions of the key's file are not checked here, since mounted volumes often let everybody read.
    ///
    /// # Errors
    /// Every problem of the files.
    pub fn load(files: &TlsFiles, read: &ReadFile<'_>) -> Result<Self, TlsRefused> {
        let provider = Arc::new(ring::default_provider());
        let mut problems = Vec::new();
        let mut noted = |file: &Path, text| problems.push((file.to_owned(), text));
        let cert = chain(&files.cert, read).map_err(|text| noted(&files.cert, text));
        let key = key(&files.key, read, &provider).map_err(|text| noted(&files.key, text));
        let clients = files
            .client_ca
            .as_ref()
            .map(|file| clients(file, read, &provider).map_err(|text| noted(file, text)))
            .transpose();
        let (Ok((chain, not_after)), Ok(key), Ok(clients)) = (cert, key, clients) else {
            return Err(TlsRefused { problems });
        };
        let certified = CertifiedKey::new(chain, key);
        let refused = |file: &Path, text| TlsRefused { problems: vec![(file.to_owned(), text)] };
        certified.keys_match().map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => refused(
                &files.key,
                format!(
                    "is not the key of the first certificate in {}; give a certificate and key that belong together",
                    files.cert.display()
                ),
            ),
            _ => refused(&files.cert, UNREADABLE.into()),
        })?;
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(&files.cert, format!("TLS cannot be set up: {error}")))?;
        let (builder, client_ca_not_after) = match clients {
            Some((verifier, not_after)) => (builder.with_client_cert_verifier(verifier), not_after),
            None => (builder.with_no_client_auth(), None),
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![H2.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), not_after, client_ca_not_after })
    }
}

/// Whether the peer agreed on HTTP/2 in its handshake.
pub(super) fn negotiated_h2(connection: &ServerConnection) -> bool {
    connection.alpn_protocol() == Some(H2)
}

const UNREADABLE: &str = "its first certificate cannot be read as the X.509 v3 certificate of a server; \
     put the server's own certificate first";

/// The certificates of `file`, and the expiry of the first one.
fn chain(file: &Path, read: &ReadFile<'_>) -> Result<(Vec<CertificateDer<'static>>, DateTime<Utc>), String> {
    let chain = certificates(file, read, "the server's own certificate first, then the CAs that lead to the root")?;
    let leaf = chain.first().ok_or(UNREADABLE)?;
    let (not_before, not_after) = validity(leaf).ok_or(UNREADABLE)?;
    let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let now = Utc::now();
    if now > not_after {
        return Err(format!("its first certificate expired at {}; give a renewed one", text(not_after)));
    }
    if now < not_before {
        let (from, now) = (text(not_before), text(now));
        return Err(format!(
            "its first certificate is valid from {from} on, and the clock here says {now}; correct the clock, or give a \
             certificate that is valid now"
        ));
    }
    Ok((chain, not_after))
}

/// The first and last instant at which a certificate is valid (RFC 5280, 4.1.2.5).
fn validity(certificate: &CertificateDer<'_>) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let validity = certificate.tbs_certificate().validity();
    let instant = |time: x509_cert::time::Time| {
        let since_epoch: i64 = time.to_unix_duration().as_secs().try_into().ok()?;
        DateTime::from_timestamp(since_epoch, 0)
    };
    Some((instant(validity.not_before)?, instant(validity.not_after)?))
}

fn key(file: &Path, read: &ReadFile<'_>, provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, String> {
    let pem = read(file, MAX_FILE).map_err(|error| format!("cannot be read: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map(Zeroizing::new).map_err(
        |_| "holds no private key in PEM (PKCS#8, PKCS#1 or SEC1, not encrypted); `openssl pkey -in FILE` writes one",
    )?;
    provider.key_provider.load_private_key(key.clone_key()).map_err(|_| {
        "holds a private key that cannot be used; take ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 8192 bits; an EC \
         key without its public half, as the JDK writes it, gets it by `openssl ec -in KEY -out NEW`"
            .into()
    })
}

/// The verifier of clients' certificates, and the earliest expiry of a CA.
type Clients = (Arc<dyn ClientCertVerifier>, Option<DateTime<Utc>>);

/// The verifier that checks clients' certificates against the CAs of `file`.
fn clients(file: &Path, read: &ReadFile<'_>, provider: &Arc<CryptoProvider>) -> Result<Clients, String> {
    let mut roots = RootCertStore::empty();
    let cas = certificates(file, read, "the CAs of clients' certificates")?;
    let first_to_expire = cas.iter().filter_map(validity).map(|(_, not_after)| not_after).min();
    for (at, ca) in cas.into_iter().enumerate() {
        roots
            .add(ca)
            .map_err(|_| format!("its certificate {} cannot be read as the certificate of a CA; remove it", at + 1))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| format!("clients cannot be checked with it: {error}"))?;
    Ok((verifier, first_to_expire))
}

/// The certificates of `file`, at least one. `wanted` says which ones the file must hold.
fn certificates(file: &Path, read: &ReadFile<'_>, wanted: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read(file, MAX_FILE).map_err(|error| format!("cannot be read: {error}"))?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| format!("is damaged PEM; write {wanted}"))?;
    if certificates.is_empty() { Err(format!("holds no certificate in PEM; write {wanted}")) } else { Ok(certificates) }
}

#[cfg(test)]
mod tests;
