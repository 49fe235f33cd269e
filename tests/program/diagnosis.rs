//! What `inspect` says about wrongly sealed messages: it names the mistake, and it gives no false cause for a wrong
//! secret.

use std::sync::Arc;

use aa_redirect::{
    diagnosis::{Asked, Report, diagnose},
    exchange::Exchange,
    keyring,
    keys::KdfPool,
    memory::Memory,
};
use aes::cipher::{
    BlockModeEncrypt, KeyIvInit,
    block_padding::{NoPadding, Pkcs7},
};
use aes_gcm::{
    KeyInit,
    aead::{Aead, Nonce},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use chrono::Utc;
use proptest::{
    prelude::{Strategy, prop},
    strategy::ValueTree,
    test_runner::TestRunner,
};
use sha2::{Digest, Sha256};

use crate::support::sender::{self, IV};

pub(super) const PLAIN: &str = "txnid=2d04747e-21c6-4c23-955b-d46c2f820140&sessionid=s&userid=9999988888@iv&redirect=https://fiu.example/cb&srcref=a";

/// A date of now with 15 digits that begins with a zero.
pub(super) fn date() -> String {
    "011120261040756".to_owned()
}

/// How a sender seals. The default is correct.
#[derive(Clone)]
pub(super) struct Wrong {
    /// The pairing's AA; `v1.2` has the scheme pbkdf2, `iv` has hkdf-iv.
    pub(super) aa: &'static str,
    pub(super) key: Vec<u8>,
    pub(super) iv: [u8; 16],
    pub(super) text: Vec<u8>,
}

impl Wrong {
    pub(super) fn of(aa: &'static str) -> Self {
        let scheme = if aa == "iv" { "hkdf-iv" } else { "pbkdf2" };
        let key = sender::key(scheme, &secret(aa), &date()).to_vec();
        Self { aa, key, iv: if aa == "iv" { IV } else { [0; 16] }, text: PLAIN.into() }
    }

    pub(super) fn sealed(&self) -> Vec<u8> {
        let (key, iv) = (&*self.key, &self.iv);
        match key.len() {
            16 => cbc::Encryptor::<aes::Aes128>::new(key.try_into().unwrap(), iv.into())
                .encrypt_padded_vec::<Pkcs7>(&self.text),
            _ => cbc::Encryptor::<aes::Aes256>::new(key.try_into().unwrap(), iv.into())
                .encrypt_padded_vec::<Pkcs7>(&self.text),
        }
    }

    pub(super) fn unpadded(&self) -> Vec<u8> {
        cbc::Encryptor::<aes::Aes256>::new((&*self.key).try_into().unwrap(), &self.iv.into())
            .encrypt_padded_vec::<NoPadding>(&self.text)
    }

    pub(super) fn query_of(&self, sealed: &[u8]) -> String {
        let iv = if self.aa == "iv" { STANDARD.encode(IV) } else { String::new() };
        let fi = STANDARD.encode(sender::mask(b"fiu@test", &date()));
        sender::Message { fi, date: date(), sealed: URL_SAFE.encode(sealed), iv }.request_query()
    }

    pub(super) fn query(&self) -> String {
        self.query_of(&self.sealed())
    }
}

pub(super) fn secret(aa: &str) -> Vec<u8> {
    sender::secret(&format!("fiu-{aa}-new"))
}

pub(super) fn of_key(aa: &'static str, key: impl AsRef<[u8]>) -> String {
    Wrong { key: key.as_ref().to_vec(), ..Wrong::of(aa) }.query()
}

pub(super) fn of_text(aa: &'static str, text: impl AsRef<[u8]>) -> String {
    Wrong { text: text.as_ref().to_vec(), ..Wrong::of(aa) }.query()
}

pub(super) async fn diagnosed(query: &str, aa: &str) -> Report {
    let (keyring, _) = keyring::load("tests/support/keyring.toml".as_ref()).unwrap();
    let exchange = Exchange::new(Arc::new(KdfPool::new(1).unwrap()), Arc::new(Memory::default()));
    diagnose(&exchange, &keyring, Asked { text: query, fiu: None, aa: Some(aa), now: Utc::now() }).await
}

pub(super) async fn assert_cause(query: &str, aa: &str, expected: &str) {
    let report = diagnosed(query, aa).await;
    let cause = report.cause.unwrap_or_else(|| panic!("no cause found, expected {expected}"));
    assert!(cause.contains(expected), "{cause}, expected {expected}");
}

#[tokio::test]
async fn a_wrong_derivation_is_named() {
    let hkdf = |secret: &[u8], date: &str| sender::key("hkdf-iv", secret, date);
    let pbkdf2 = |secret: &[u8], date: &str| sender::key("pbkdf2", secret, date);
    let (iv, v) = (secret("iv"), secret("v1.2"));
    assert_cause(&of_key("iv", pbkdf2(&iv, &date())), "iv", "with PBKDF2 (scheme pbkdf2)").await;
    assert_cause(&of_key("v1.2", hkdf(&v, &date())), "v1.2", "with HKDF (scheme hkdf-iv)").await;
    for rounds in [1_000, 10_000, 100_000] {
        let (mut key, mut sha1) = ([0; 32], [0; 32]);
        pbkdf2::pbkdf2_hmac::<Sha256>(&v, date().as_bytes(), rounds, &mut key);
        assert_cause(&of_key("v1.2", key), "v1.2", &format!("{rounds} rounds of PBKDF2, not 65536")).await;
        pbkdf2::pbkdf2_hmac::<sha1::Sha1>(&v, date().as_bytes(), rounds, &mut sha1);
        assert_cause(&of_key("v1.2", sha1), "v1.2", &format!("SHA-1 and {rounds} rounds")).await;
    }
    let mut sha1 = [0; 32];
    pbkdf2::pbkdf2_hmac::<sha1::Sha1>(&v, date().as_bytes(), 65_536, &mut sha1);
    assert_cause(&of_key("v1.2", sha1), "v1.2", "with SHA-1, not SHA-256").await;
    assert_cause(&of_key("v1.2", &pbkdf2(&v, &date())[..16]), "v1.2", "AES-128, not AES-256").await;
}

#[tokio::test]
async fn a_wrong_form_of_the_secret_is_named() {
    let of = |secret: &[u8]| of_key("iv", sender::key("hkdf-iv", secret, &date()));
    let right = secret("iv");
    let line = [&*right, b"\n"].concat();
    assert_cause(&of(&line), "iv", "followed by a line end").await;
    assert_cause(&of(&Sha256::digest(&right)), "iv", "hashed with SHA-256 first").await;
    assert_cause(&of(STANDARD.encode(&right).as_bytes()), "iv", "encoded as Base64 first").await;
    let other = of(&secret("hosts"));
    let report = diagnosed(&other, "hosts").await;
    assert!(report.cause.is_none() || report.answer == "OK", "the right pairing opens it");
}

#[tokio::test]
async fn the_secret_of_another_pairing_is_named() {
    let query = of_key("iv", sender::key("hkdf-iv", &secret("hosts"), &date()));
    let (keyring, _) = keyring::load("tests/support/keyring.toml".as_ref()).unwrap();
    let exchange = Exchange::new(Arc::new(KdfPool::new(1).unwrap()), Arc::new(Memory::default()));
    let asked = Asked { text: &query, fiu: None, aa: None, now: Utc::now() };
    let report = diagnose(&exchange, &keyring, asked).await;
    // The sender's other pairing opens the message, so `inspect` reports an answer and no mistake.
    assert!(report.pairings.iter().any(|pairing| pairing.aa == "hosts"), "{:?}", report.explanation);
}

#[tokio::test]
async fn a_date_that_was_written_again_is_named() {
    for (salt, expected) in [
        (date()[1..].to_owned(), "the leading zero lost"),
        (date()[..14].to_owned(), "cut to seconds"),
        (date()[..12].to_owned(), "cut to the minute"),
        (format!("{}000", &date()[..12]), "the seconds cut to zero"),
    ] {
        let query = of_key("iv", sender::key("hkdf-iv", &secret("iv"), &salt));
        assert_cause(&query, "iv", expected).await;
    }
}

#[tokio::test]
async fn a_date_that_changed_after_fi_was_masked_is_named() {
    let right = Wrong::of("iv");
    let query = right.query().replace(&date(), "021120261040756");
    assert_cause(&query, "iv", "fi is masked with the date 01112026").await;
}

#[tokio::test]
async fn a_wrong_iv_or_mode_is_named() {
    let right = Wrong::of("iv");
    let with_iv = |iv: [u8; 16]| Wrong { iv, ..right.clone() };
    assert_cause(&with_iv([0; 16]).query(), "iv", "IV is 16 zero bytes").await;
    assert_cause(&with_iv([b'0'; 16]).query(), "iv", "16 times the character 0").await;
    assert_cause(&with_iv(right.key[..16].try_into().unwrap()).query(), "iv", "first half of the key").await;
    let front = [&[7; 16], &*with_iv([7; 16]).sealed()].concat();
    assert_cause(&right.query_of(&front), "iv", "in front of the ciphertext").await;
    assert_cause(&with_iv([9; 16]).query(), "iv", "the IV is wrong").await;
    let gcm = aes_gcm::Aes256Gcm::new_from_slice(&right.key).unwrap();
    let nonce: Nonce<aes_gcm::Aes256Gcm> = [0; 12].into();
    let sealed = gcm.encrypt(&nonce, PLAIN.as_bytes()).unwrap();
    assert_cause(&right.query_of(&sealed), "iv", "GCM, not CBC").await;
    let blocks: Vec<u8> = right
        .text
        .chunks(16)
        .flat_map(|block| {
            let padding = 16 - block.len();
            let mut block = block.to_vec();
            block.resize(16, u8::try_from(padding).unwrap());
            Wrong { iv: [0; 16], text: block, ..right.clone() }.unpadded()
        })
        .collect();
    assert_cause(&right.query_of(&blocks), "iv", "ECB, not CBC").await;
}

#[tokio::test]
async fn a_wrong_padding_or_form_of_the_text_is_named() {
    let right = Wrong::of("iv");
    let padded = |byte: u8, to: usize| {
        let mut text = PLAIN.as_bytes().to_vec();
        text.resize(text.len().next_multiple_of(16) + to, byte);
        Wrong { text, ..right.clone() }
    };
    assert_cause(&right.query_of(&padded(0, 0).unpadded()), "iv", "the padding is zero bytes").await;
    let filled = "s".repeat(17 - PLAIN.len() % 16);
    let whole = Wrong { text: PLAIN.replace("sessionid=s", &format!("sessionid={filled}")).into(), ..right.clone() };
    assert_cause(&right.query_of(&whole.unpadded()), "iv", "the padding is missing").await;
    let mut twice = PLAIN.as_bytes().to_vec();
    let padding = 16 - twice.len() % 16;
    twice.resize(twice.len() + padding, u8::try_from(padding).unwrap());
    assert_cause(&of_text("iv", twice), "iv", "the padding is there twice").await;
    assert_cause(&of_text("iv", r#"{"txnid":"a","userid":"u@iv"}"#), "iv", "the text is JSON").await;
    let wide: Vec<u8> = PLAIN.bytes().flat_map(|byte| [byte, 0]).collect();
    assert_cause(&of_text("iv", wide), "iv", "UTF-16").await;
    let digits: String = PLAIN.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert_cause(&of_text("iv", digits), "iv", "hexadecimal digits").await;
    assert_cause(&of_text("iv", STANDARD.encode(PLAIN)), "iv", "the message in Base64").await;
    for url in ["https://aa.in/w?", "https://aa.example/webview?"] {
        assert_cause(&of_text("iv", format!("{url}{PLAIN}")), "iv", "its text is a whole URL").await;
    }
}

#[tokio::test]
async fn a_truly_wrong_secret_and_a_changed_message_get_no_false_cause() {
    for aa in ["iv", "v1.2"] {
        let scheme = if aa == "iv" { "hkdf-iv" } else { "pbkdf2" };
        let query = of_key(aa, sender::key(scheme, b"a secret that nobody here has", &date()));
        let report = diagnosed(&query, aa).await;
        assert_eq!(report.cause, None);
        assert!(report.search.is_some_and(|search| search.keys > 10 && !search.cut_short));
    }
}

#[tokio::test]
async fn a_sound_message_needs_no_search_and_a_pasted_one_is_found() {
    let date = format!("{}756", Utc::now().format("%d%m%Y%H%M"));
    let query = sender::request("iv", &date, PLAIN).request_query();
    for text in [query.clone(), format!("curl 'https://iv.example/?{query}'"), query.replace('&', "\\u0026")] {
        let report = diagnosed(&text, "iv").await;
        assert_eq!(
            (report.answer, report.accepted, report.search.is_none()),
            ("OK", true, true),
            "{}",
            report.explanation
        );
    }
}

#[tokio::test]
async fn the_text_of_a_message_that_decrypts_is_shown_also_if_it_is_cut_or_has_a_wrong_member() {
    let of = |text: &str| Wrong { text: text.into(), ..Wrong::of("iv") };
    let named = |report: &Report, name: &str, value: &str| {
        let members = report.members.as_ref().expect("the members are shown");
        assert!(members.iter().any(|member| (&*member.name, &*member.value) == (name, value)), "{name}");
    };
    let report = diagnosed(&of(&PLAIN.replace("srcref", "consentHandle")).query(), "iv").await;
    named(&report, "consentHandle", "a");
    let json = "{\"txnid\":\"1\",\"a\":\"=\"}";
    named(&diagnosed(&of(json).query(), "iv").await, "text", json);
    // The end of the URL was lost, with a part of a block.
    let right = of(PLAIN);
    let query = right.query_of(&right.sealed());
    let (front, iv) = query.split_once("&iv=").unwrap();
    let front = front.trim_end_matches("%3D").trim_end_matches('=');
    for lost in [1, 2, 5, 30] {
        let report = diagnosed(&format!("{}&iv={iv}", &front[..front.len() - lost]), "iv").await;
        assert!(report.cause.as_ref().is_some_and(|cause| cause.contains("cut off")), "{lost}: {:?}", report.cause);
        named(&report, "txnid", "2d04747e-21c6-4c23-955b-d46c2f820140");
    }
}

#[tokio::test]
async fn any_date_is_searched_to_the_end() {
    let query = |date: &str| {
        let fi = STANDARD.encode(sender::mask(b"fiu@test", date));
        let sealed = URL_SAFE.encode([7; 64]);
        sender::Message { fi, date: date.to_owned(), sealed, iv: STANDARD.encode(IV) }.request_query()
    };
    let mut hostile = vec!["aaaébcd12345678".to_owned(), "é".to_owned(), "0".repeat(500)];
    let any = prop::collection::vec(prop::sample::select(vec!['0', '1', '9', 'é', 'स', '👩', ' ', '%', '\0']), 1..24);
    let mut runner = TestRunner::deterministic();
    hostile.extend((0..20).map(|_| any.new_tree(&mut runner).unwrap().current().into_iter().collect::<String>()));
    for date in hostile {
        let report = diagnosed(&query(&date), "iv").await;
        assert!(report.cause.is_none_or(|cause| !cause.contains("opens")), "{date}");
        assert!(report.search.is_some_and(|search| search.keys > 0), "{date:?} is searched");
    }
}

#[tokio::test]
async fn parameters_that_cannot_be_read_are_shown_as_they_came() {
    let query = Wrong::of("iv").query().replace(&date(), "2026-11-01T20:26");
    let report = diagnosed(&query, "iv").await;
    assert_eq!(report.answer, "DATE_MALFORMED");
    let shown: Vec<(&str, &str)> =
        report.parameters.iter().map(|parameter| (&*parameter.name, &*parameter.value)).collect();
    assert!(shown.contains(&("reqdate", "2026-11-01T20:26")), "{shown:?}");
}
