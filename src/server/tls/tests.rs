//! Certificates and keys that belong together or do not, and handshakes with them.

use std::fs;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519,
    SignatureAlgorithm, date_time_ymd,
};
use rustls::{CertificateError, ClientConfig, Error, HandshakeKind, SupportedProtocolVersion, version};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::files::read_file;

type Ca = CertifiedIssuer<'static, KeyPair>;

fn ca() -> Ca {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for `localhost` and its key, both PEM, valid from one year to another.
fn issued(ca: &Ca, kind: &'static SignatureAlgorithm, from: i32, until: i32) -> (String, String) {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let key = KeyPair::generate_for(kind).unwrap();
    (params.signed_by(&key, ca).unwrap().pem(), key.serialize_pem())
}

fn good(ca: &Ca) -> (String, String) {
    issued(ca, &PKCS_ECDSA_P256_SHA256, 2020, 2999)
}

fn files(cert: &str, key: &str, client_ca: Option<&str>) -> (TempDir, TlsFiles) {
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str, text: &str| {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        file
    };
    let files = TlsFiles {
        cert: written("cert.pem", cert),
        key: written("key.pem", key),
        client_ca: client_ca.map(|text| written("ca.pem", text)),
    };
    (folder, files)
}

fn loaded(cert: &str, key: &str, client_ca: Option<&str>) -> Result<Tls, String> {
    let (folder, files) = files(cert, key, client_ca);
    let prefix = format!("{}/", folder.path().display());
    Tls::load(&files, &read_file).map_err(|refused| refused.to_string().replace(&prefix, ""))
}

fn refusal(cert: &str, key: &str, client_ca: Option<&str>) -> String {
    loaded(cert, key, client_ca).err().expect("the files must be refused")
}

#[test]
fn a_certificate_and_key_of_each_kind_are_accepted_with_their_expiry() {
    for kind in [&PKCS_ECDSA_P256_SHA256, &PKCS_ED25519] {
        let ca = ca();
        let (cert, key) = issued(&ca, kind, 2020, 2999);
        let tls = loaded(&format!("{cert}{}", ca.pem()), &key, None).unwrap();
        assert_eq!(tls.not_after.to_rfc3339(), "2999-01-01T00:00:00+00:00");
        assert_eq!(tls.config.alpn_protocols, [b"h2"]);
        // Certificate and key in one file, as some tools write them.
        assert!(loaded(&format!("{key}{cert}"), &format!("{cert}{key}"), None).is_ok());
    }
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let ca = ca();
    let (cert, other_key) = (good(&ca).0, good(&ca).1);
    assert!(refusal(&cert, &other_key, None).starts_with("key.pem: is not the key of the first certificate in "));
    // The CA's certificate before the server's own.
    let (cert, key) = good(&ca);
    assert!(refusal(&format!("{}{cert}", ca.pem()), &key, None).starts_with("key.pem: is not the key"));
}

#[test]
fn a_certificate_that_is_not_valid_now_is_refused_with_its_date() {
    for (from, until, text) in [
        (2019, 2020, "cert.pem: its first certificate expired at 2020-01-01T00:00:00Z"),
        (2998, 2999, "cert.pem: its first certificate is valid from 2998-01-01T00:00:00Z on"),
    ] {
        let (cert, key) = issued(&ca(), &PKCS_ECDSA_P256_SHA256, from, until);
        let refused = refusal(&cert, &key, None);
        assert!(refused.starts_with(text), "{refused}");
    }
}

#[test]
fn every_bad_file_is_named_at_once_and_its_content_is_not_shown() {
    let (cert, key) = good(&ca());
    let refused = refusal("garbage", &cert, Some(""));
    let lines: Vec<&str> = refused.lines().collect();
    assert_eq!(lines.len(), 3, "{refused}");
    for (line, start) in lines.iter().zip([
        "cert.pem: holds no certificate in PEM",
        "key.pem: holds no private key in PEM",
        "ca.pem: holds no certificate in PEM",
    ]) {
        assert!(line.starts_with(start), "{line}");
    }
    let body = |pem: &str| pem.lines().nth(1).unwrap().to_owned();
    let damaged = |pem: &str| pem.replace(&body(pem), &format!("*{}", body(pem)));
    let refused = refusal(&damaged(&cert), &damaged(&key), Some(&damaged(&cert)));
    assert_eq!(refused.lines().count(), 3, "{refused}");
    assert!(!refused.contains(&body(&key)) && !refused.contains(&body(&cert)), "{refused}");
    // Complete PEM whose content is neither a certificate nor a key.

    let hollow = |what: &str| format!("-----BEGIN {what}-----\nAAAA\n-----END {what}-----\n");
    let refused = refusal(&hollow("CERTIFICATE"), &hollow("PRIVATE KEY"), Some(&hollow("CERTIFICATE")));
    assert_eq!(refused.lines().count(), 3, "{refused}");
}

#[test]
fn a_missing_file_is_named() {
    let (folder, files) = files("", "", None);
    fs::remove_file(&files.key).unwrap();
    let refused = Tls::load(&files, &read_file).err().unwrap().to_string();
    let text = format!("{}: cannot be read: No such file", folder.path().join("key.pem").display());
    assert!(refused.contains(&text), "{refused}");
}

/// A client of one TLS version that trusts `ca`, with the certificate and key in PEM.
fn client(ca: &Ca, identity: Option<&(String, String)>, version: &'static SupportedProtocolVersion) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// The result of a connection of `client`: whether HTTP/2 was agreed on, and the kind of the handshake.
async fn handshake(tls: &Tls, client: Arc<ClientConfig>) -> Result<(bool, Option<HandshakeKind>), Error> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let connecting = async {
        let mut stream = TlsConnector::from(client).connect("localhost".try_into().unwrap(), near).await?;
        // The read also processes the session tickets that the server could send for a later connection.
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    };
    let accepting = async {
        let mut stream = TlsAcceptor::from(Arc::clone(&tls.config)).accept(far).await?;
        stream.shutdown().await?;
        let connection = stream.get_ref().1;
        Ok((negotiated_h2(connection), connection.handshake_kind()))
    };
    let (_, accepted) = tokio::join!(connecting, accepting);
    accepted.map_err(|error: std::io::Error| error.downcast().unwrap())
}

#[tokio::test]
async fn a_client_must_show_a_valid_certificate_of_the_client_ca() {
    let (server_ca, client_ca, other_ca) = (ca(), ca(), ca());
    let (cert, key) = good(&server_ca);
    let tls = loaded(&cert, &key, Some(&client_ca.pem())).unwrap();
    let try_with = async |identity: Option<(String, String)>| {
        handshake(&tls, client(&server_ca, identity.as_ref(), &version::TLS13).into()).await
    };
    assert_eq!(try_with(None).await, Err(Error::NoCertificatesPresented));
    // The other CA has the same name.
    let unknown = try_with(Some(good(&other_ca))).await;
    assert_eq!(unknown, Err(Error::InvalidCertificate(CertificateError::BadSignature)));
    let expired = try_with(Some(issued(&client_ca, &PKCS_ED25519, 2019, 2020))).await;
    assert!(
        matches!(
            expired,
            Err(Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }))
        ),
        "{expired:?}"
    );
    assert_eq!(try_with(Some(good(&client_ca))).await, Ok((true, Some(HandshakeKind::Full))));
}

#[tokio::test]
async fn no_session_is_resumed_in_either_version() {
    let ca = ca();
    let (cert, key) = good(&ca);
    let tls = loaded(&cert, &key, Some(&ca.pem())).unwrap();
    for version in [&version::TLS12, &version::TLS13] {
        let client = Arc::new(client(&ca, Some(&good(&ca)), version));
        for _ in 0..2 {
            assert_eq!(handshake(&tls, Arc::clone(&client)).await, Ok((true, Some(HandshakeKind::Full))));
        }
    }
}

#[tokio::test]
async fn without_a_client_ca_a_client_needs_http2_but_no_certificate() {
    let ca = ca();
    let (cert, key) = good(&ca);
    let tls = loaded(&cert, &key, None).unwrap();
    let mut config = client(&ca, None, &version::TLS13);
    assert_eq!(handshake(&tls, config.clone().into()).await, Ok((true, Some(HandshakeKind::Full))));
    config.alpn_protocols = Vec::new();
    assert_eq!(handshake(&tls, config.clone().into()).await, Ok((false, Some(HandshakeKind::Full))));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    assert_eq!(handshake(&tls, config.into()).await, Err(Error::NoApplicationProtocol));
}
