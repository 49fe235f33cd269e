//! The CAs that the certificate of a store may come from: the system's, or those of the file in `SSL_CERT_FILE`.

use rustls::RootCertStore;
use rustls_native_certs::load_native_certs;

use super::address::BadStore;

/// Reads the CAs as the client does for each connection, to say what is wrong with them. This may take as long as the
/// file system does.
pub(super) fn check() -> Result<(), BadStore> {
    let read = load_native_certs();
    if let Some(error) = read.errors.first() {
        return Err(BadStore::Authorities(error.to_string()));
    }
    let mut known = RootCertStore::empty();
    for certificate in read.certs {
        known.add(certificate).map_err(|error| BadStore::Authorities(format!("one of them is damaged ({error})")))?;
    }
    if known.is_empty() { Err(BadStore::Authorities("there are none".to_owned())) } else { Ok(()) }
}
