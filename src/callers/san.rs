//! The subject alternative names that identify callers: DNS names and SPIFFE IDs, kept apart.

use rustls_pki_types::{CertificateDer, DnsName};
use webpki::EndEntityCert;

/// The most bytes of a SPIFFE ID (SPIFFE ID standard, 2.3).
const MAX_SPIFFE: usize = 2048;
/// The most bytes of its trust domain (2.1).
const MAX_TRUST_DOMAIN: usize = 255;

/// A name that a certificate proves. A URI never equals a DNS name, even if the text is the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum San {
    /// A DNS name without wildcard, in lower case, since its case has no meaning (RFC 4343).
    Dns(String),
    /// The SPIFFE ID of a workload, compared byte for byte.
    Spiffe(String),
}

impl San {
    /// `text` as the DNS name of one host. `None` for a wildcard, an IP address or a name that ends with a dot.
    pub fn dns(text: &str) -> Option<Self> {
        let name = DnsName::try_from(text).ok().filter(|_| !text.ends_with('.'))?;
        Some(Self::Dns(name.to_lowercase_owned().as_ref().to_owned()))
    }

    /// `text` as the SPIFFE ID of a workload: `spiffe://`, a trust domain, and a path that is not empty.
    pub fn spiffe(text: &str) -> Option<Self> {
        let (domain, path) = text.strip_prefix("spiffe://")?.split_once('/')?;
        let of_domain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
        let segment = |segment: &str| {
            !matches!(segment, "" | "." | "..") && segment.bytes().all(|byte| of_domain(byte.to_ascii_lowercase()))
        };
        let fits = text.len() <= MAX_SPIFFE
            && (1..=MAX_TRUST_DOMAIN).contains(&domain.len())
            && domain.bytes().all(of_domain)
            && path.split('/').all(segment);
        fits.then(|| Self::Spiffe(text.to_owned()))
    }
}

/// The DNS names and SPIFFE IDs of an X.509 certificate (DER) that TLS has verified. Other names are left out. A
/// certificate that cannot be read has no names.
pub fn peer_sans(der: &[u8]) -> Vec<San> {
    let der = CertificateDer::from(der);
    let Ok(certificate) = EndEntityCert::try_from(&der) else { return Vec::new() };
    let dns = certificate.valid_dns_names().filter_map(San::dns);
    dns.chain(certificate.valid_uri_names().filter_map(San::spiffe)).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    #[test]
    fn a_dns_name_is_one_host_and_its_case_does_not_count() {
        assert_eq!(San::dns("Lending.Example"), San::dns("lending.example"));
        for name in ["lending.example", "localhost", "a-b.c_d.xn--bcher-kva.example"] {
            assert_eq!(San::dns(name), Some(San::Dns(name.to_owned())));
        }
        for name in
            ["", ".", "a.", ".a", "a..b", "*.a", "*", "127.0.0.1", "::1", "a b", "a/b", "bücher.a", "-a.b", "a:1"]
        {
            assert_eq!(San::dns(name), None, "{name}");
        }
    }

    #[test]
    fn a_spiffe_id_has_a_trust_domain_and_a_path_and_its_case_counts() {
        let id = "spiffe://cluster.local/ns/lending/sa/Backend_1.a-b";
        assert_eq!(San::spiffe(id), Some(San::Spiffe(id.to_owned())));
        assert_ne!(San::spiffe(id), San::spiffe(&id.replace("Backend", "backend")));
        for id in [
            "",
            "spiffe://",
            "spiffe://mesh",
            "spiffe://mesh/",
            "spiffe:///ns",
            "spiffe://mesh/ns/",
            "spiffe://mesh//ns",
            "spiffe://mesh/./ns",
            "spiffe://mesh/ns/..",
            "spiffe://Mesh/ns",
            "spiffe://user@mesh/ns",
            "spiffe://mesh:1/ns",
            "spiffe://mesh/n%73",
            "spiffe://mesh/ns?a",
            "spiffe://mesh/ns#a",
            "spiffe://mesh/*",
            "SPIFFE://mesh/ns",
            "https://mesh/ns",
            "mesh/ns",
        ] {
            assert_eq!(San::spiffe(id), None, "{id}");
        }
        assert_eq!(San::spiffe(&format!("spiffe://{}/a", "a".repeat(256))), None);
        assert_eq!(San::spiffe(&format!("spiffe://a/{}", "a".repeat(2048))), None);
    }

    fn certificate(sans: &[SanType]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = sans.to_vec();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_gives_its_dns_names_and_spiffe_ids() {
        let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
        let uri = |name: &str| SanType::URI(name.try_into().unwrap());
        let der = certificate(&[
            uri("spiffe://mesh/ns/lending/sa/backend"),
            SanType::IpAddress([127, 0, 0, 1].into()),
            dns("Lending.example"),
            dns("*.example"),
            // Each has the text of the other kind of name.
            uri("admin.example"),
            dns("spiffe://mesh/ns/admin"),
            SanType::Rfc822Name("admin@example".try_into().unwrap()),
            dns("b.example"),
        ]);
        let expected =
            [San::dns("lending.example"), San::dns("b.example"), San::spiffe("spiffe://mesh/ns/lending/sa/backend")];
        assert_eq!(peer_sans(&der), expected.map(Option::unwrap));
    }

    #[test]
    fn a_broken_certificate_or_one_without_names_gives_no_names() {
        assert_eq!(peer_sans(&certificate(&[])), []);
        let der = certificate(&[SanType::DnsName("a.example".try_into().unwrap())]);
        for length in 0..der.len() {
            assert_eq!(peer_sans(&der[..length]), [], "{length}");
        }
    }
}
