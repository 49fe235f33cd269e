//! Published vectors through the codec's own entry points, one test for each vector: Wycheproof (AES-CBC-PKCS5,
//! HKDF-SHA256, HMAC-SHA256), NIST SP 800-38A, RFC 5869. The vectors of PBKDF2 are in the crate `pbkdf2-lanes`, and
//! every kernel passes them.
//!
//! The codec derives 32 bytes with empty info, so vectors with info are left out. If a vector's output is longer or
//! shorter, the common beginning is compared, since the bytes of HKDF's output do not depend on its length.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects by unwrapping it")]

use aa_redirect::codec::{
    cipher::{self, BLOCK},
    kdf::{self, Key},
};
use aes::cipher::{BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7};
use hmac::{Hmac, KeyInit, Mac};
use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;
use sha2::Sha256;
use wycheproof::{cipher as ciphers, hkdf, mac};

/// How many vectors each suite has, and how many of them are used.
const COUNTS: [(&str, usize, usize); 3] = [
    // 144 have keys of 128 and 192 bits.
    ("wycheproof::aes_cbc_pkcs5", 216, 72),
    // 55 have info.
    ("wycheproof::hkdf_sha256", 86, 31),
    // 87 have tags cut to 128 bits.
    ("wycheproof::hmac_sha256", 174, 87),
];

/// `tests/vectors/published.json`.
#[derive(Deserialize)]
struct Published {
    cbc_aes256: Vec<CbcVector>,
    hkdf_sha256: Vec<HkdfVector>,
}

#[derive(Deserialize)]
struct CbcVector {
    name: String,
    key: String,
    iv: String,
    plaintext: String,
    ciphertext: String,
}

#[derive(Deserialize)]
struct HkdfVector {
    name: String,
    ikm: String,
    salt: String,
    okm: String,
}

fn main() {
    let mut trials = Vec::new();
    let suites = [aes_cbc_pkcs5(&mut trials), hkdf_sha256(&mut trials), hmac_sha256(&mut trials)];
    trials.push(Trial::test("wycheproof::as_many_as_ever_go_through", move || equal(&suites, &COUNTS)));
    let text = std::fs::read_to_string("tests/vectors/published.json").unwrap();
    let published: Published = serde_json::from_str(&text).unwrap();
    for vector in published.cbc_aes256 {
        trials.push(Trial::test(vector.name.clone(), move || cbc_aes256(&vector)));
    }
    for HkdfVector { name, ikm, salt, okm } in published.hkdf_sha256 {
        trials.push(Trial::test(name, move || equal(&kdf::hkdf(&hex(&ikm), &hex(&salt))[..], &hex(&okm)[..32])));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Keys of 256 bits: 24 valid vectors, and 48 whose padding is bad or missing.
fn aes_cbc_pkcs5(trials: &mut Vec<Trial>) -> (&'static str, usize, usize) {
    const NAME: &str = COUNTS[0].0;
    let set = ciphers::TestSet::load(ciphers::TestName::AesCbcPkcs5).unwrap();
    let before = trials.len();
    for test in set.test_groups.into_iter().filter(|group| group.key_size == 256).flat_map(|group| group.tests) {
        trials.push(Trial::test(format!("{NAME}::{}", test.tc_id), move || {
            let (key, iv) = (key(&test.key), test.nonce[..].try_into()?);
            if test.result.must_fail() {
                return equal(&opened(&key, &iv, &test.ct), &None);
            }
            equal(&cipher::encrypt(&key, &iv, test.pt.to_vec()), &test.ct.to_vec())?;
            equal(&opened(&key, &iv, &test.ct), &Some(test.pt.to_vec()))
        }));
    }
    (NAME, set.number_of_tests, trials.len() - before)
}

fn hkdf_sha256(trials: &mut Vec<Trial>) -> (&'static str, usize, usize) {
    const NAME: &str = COUNTS[1].0;
    let set = hkdf::TestSet::load(hkdf::TestName::HkdfSha256).unwrap();
    let before = trials.len();
    for test in set.test_groups.into_iter().flat_map(|group| group.tests).filter(|test| test.info.is_empty()) {
        trials.push(Trial::test(format!("{NAME}::{}", test.tc_id), move || {
            let common = test.size.min(32);
            equal(&kdf::hkdf(&test.ikm, &test.salt[..])[..common], &test.okm[..common])
        }));
    }
    (NAME, set.number_of_tests, trials.len() - before)
}

/// With empty info and one block of output, HKDF is two HMACs: `HMAC(HMAC(salt, IKM), 01)`. So a vector's key is the
/// salt, its message is the secret, and its tag is the key of the second HMAC, which the `hmac` crate computes.
fn hmac_sha256(trials: &mut Vec<Trial>) -> (&'static str, usize, usize) {
    const NAME: &str = COUNTS[2].0;
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    let before = trials.len();
    for test in set.test_groups.into_iter().filter(|group| group.tag_size == 256).flat_map(|group| group.tests) {
        trials.push(Trial::test(format!("{NAME}::{}", test.tc_id), move || {
            equal(&(hmac(&test.key, &test.msg)[..] == test.tag[..]), &!test.result.must_fail())?;
            let right = *kdf::hkdf(&test.msg, &test.key[..]) == hmac(&test.tag, &[1]);
            equal(&right, &!test.result.must_fail())
        }));
    }
    (NAME, set.number_of_tests, trials.len() - before)
}

/// NIST's vectors have no padding. The codec's padding fills one more block behind them.
fn cbc_aes256(vector: &CbcVector) -> Result<(), Failed> {
    let (key, iv) = (key(&hex(&vector.key)), hex(&vector.iv)[..].try_into()?);
    let (plaintext, ciphertext) = (hex(&vector.plaintext), hex(&vector.ciphertext));
    let sealed = cipher::encrypt(&key, &iv, plaintext.clone());
    equal(&sealed[..ciphertext.len()], &ciphertext[..])?;
    equal(&sealed.len(), &(ciphertext.len() + BLOCK))?;
    let last: [u8; BLOCK] = *ciphertext.last_chunk().unwrap();
    let padding = cbc::Encryptor::<aes::Aes256>::new((&*key).into(), &last.into()).encrypt_padded_vec::<Pkcs7>(&[]);
    equal(&opened(&key, &iv, &[ciphertext, padding].concat()), &Some(plaintext))
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(message).finalize().into_bytes().into()
}

fn key(bytes: &[u8]) -> Key {
    Key::new(bytes.try_into().unwrap())
}

fn opened(key: &Key, iv: &[u8; BLOCK], ciphertext: &[u8]) -> Option<Vec<u8>> {
    cipher::decrypt(key, iv, ciphertext)?.text().map(<[u8]>::to_vec)
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn equal<T: PartialEq + std::fmt::Debug + ?Sized>(got: &T, expected: &T) -> Result<(), Failed> {
    if got == expected { Ok(()) } else { Err(format!("got {got:?}, expected {expected:?}").into()) }
}
