//! A sender of messages written from the format's description alone: no code of the crate under test.

use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use hkdf::Hkdf;
use sha2::Sha256;

/// The IV of every message that this sender makes.
pub const IV: [u8; 16] = [0xfb; 16];

/// A message before it is put into a URL.
#[derive(Clone)]
pub struct Message {
    pub fi: String,
    pub date: String,
    pub sealed: String,
    /// Empty in a scheme without an IV.
    pub iv: String,
}

/// The secret of a pairing in `tests/support/secrets`.
pub fn secret(name: &str) -> Vec<u8> {
    let mut secret = std::fs::read(format!("tests/support/secrets/{name}")).unwrap();
    assert_eq!(secret.pop(), Some(b'\n'));
    secret
}

pub fn key(scheme: &str, secret: &[u8], date: &str) -> [u8; 32] {
    let mut key = [0; 32];
    if scheme == "hkdf-iv" {
        Hkdf::<Sha256>::new(Some(date.as_bytes()), secret).expand(b"", &mut key).unwrap();
    } else {
        pbkdf2::pbkdf2_hmac::<Sha256>(secret, date.as_bytes(), 65_536, &mut key);
    }
    key
}

pub fn mask(text: &[u8], date: &str) -> Vec<u8> {
    let date = date.as_bytes();
    (0..text.len()).map(|at| text[at] ^ date[at % date.len()]).collect()
}

fn seal_as(scheme: &str, secret: &[u8], sender: &str, date: &str, plaintext: &[u8]) -> Message {
    let iv = if scheme == "hkdf-iv" { IV } else { [0; 16] };
    let key = key(scheme, secret, date);
    let sealed = cbc::Encryptor::<aes::Aes256>::new(&key.into(), &iv.into()).encrypt_padded_vec::<Pkcs7>(plaintext);
    Message {
        fi: STANDARD.encode(mask(sender.as_bytes(), date)),
        date: date.to_owned(),
        sealed: URL_SAFE.encode(sealed),
        iv: if scheme == "hkdf-iv" { STANDARD.encode(iv) } else { String::new() },
    }
}

/// Seals with the first secret of `fiu@test` and the AA `aa` of the tests' keyring.
fn seal_for(sender: &str, aa: &str, date: &str, plaintext: &[u8]) -> Message {
    let scheme = if aa.starts_with("v1.") { "pbkdf2" } else { "hkdf-iv" };
    seal_as(scheme, &secret(&format!("fiu-{aa}-new")), sender, date, plaintext)
}

/// A request of `fiu@test` to `aa`.
pub fn request(aa: &str, date: &str, plaintext: impl AsRef<[u8]>) -> Message {
    seal_for("fiu@test", aa, date, plaintext.as_ref())
}

/// A callback of `aa` to `fiu@test`.
pub fn callback(aa: &str, date: &str, plaintext: impl AsRef<[u8]>) -> Message {
    seal_for(aa, aa, date, plaintext.as_ref())
}

/// A message under another secret than the pairing's first.
pub fn request_with(secret: &[u8], aa: &str, date: &str, plaintext: impl AsRef<[u8]>) -> Message {
    let scheme = if aa.starts_with("v1.") { "pbkdf2" } else { "hkdf-iv" };
    seal_as(scheme, secret, "fiu@test", date, plaintext.as_ref())
}

/// Opens a message that the service sealed, without any tolerance.
pub fn open(scheme: &str, secret: &[u8], date: &str, sealed: &str, iv: &str) -> String {
    let iv: [u8; 16] = if scheme == "hkdf-iv" { STANDARD.decode(iv).unwrap().try_into().unwrap() } else { [0; 16] };
    let sealed = URL_SAFE.decode(sealed).unwrap();
    let key = key(scheme, secret, date);
    let text = cbc::Decryptor::<aes::Aes256>::new(&key.into(), &iv.into()).decrypt_padded_vec::<Pkcs7>(&sealed);
    String::from_utf8(text.unwrap()).unwrap()
}

/// Percent-encodes everything except the unreserved characters.
pub fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

impl Message {
    /// A query string of the request leg, as a careful sender writes it.
    pub fn request_query(&self) -> String {
        self.query("reqdate", "ecreq")
    }

    /// A query string of the callback leg, as a careful sender writes it.
    pub fn callback_query(&self) -> String {
        self.query("resdate", "ecres")
    }

    fn query(&self, date: &str, sealed: &str) -> String {
        let iv = if self.iv.is_empty() { String::new() } else { format!("&iv={}", escape(&self.iv)) };
        let fi = escape(&self.fi);
        format!("fi={fi}&{date}={}&{sealed}={}{iv}", escape(&self.date), escape(&self.sealed))
    }
}

/// The query of a callback with another AA's id in place of its sender's id.
pub fn callback_of(query: &str, sender: &str, other: &str) -> String {
    let value = |name: &str| {
        let of_name = |part: &'_ str| part.strip_prefix(name).map(str::to_owned);
        query.split('&').find_map(of_name).unwrap()
    };
    let date = value("resdate=");
    let fi = |sender: &str| format!("fi={}", escape(&STANDARD.encode(mask(sender.as_bytes(), &date))));
    assert!(query.contains(&fi(sender)), "{query}");
    query.replace(&fi(sender), &fi(other))
}
