//! What `inspect` says about mistakes that are seldom seen, about two at once, and about messages whose secret is
//! right.

use aes::{
    Aes192, Aes256,
    cipher::{BlockModeEncrypt, KeyIvInit, StreamCipher, block_padding::Pkcs7},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use hkdf::Hkdf;
use sha2::{Digest, Sha256, Sha512};

use crate::support::sender;

use super::diagnosis::{PLAIN, Wrong, assert_cause, date, diagnosed, of_key, of_text, secret};

fn hkdf_iv(secret: &[u8], date: &str) -> [u8; 32] {
    sender::key("hkdf-iv", secret, date)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_rare_derivation_is_named() {
    let (iv, v, date) = (secret("iv"), secret("v1.2"), date());
    for rounds in [1, 4_096, 65_535] {
        let mut key = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(&v, date.as_bytes(), rounds, &mut key);
        assert_cause(&of_key("v1.2", key), "v1.2", &format!("with {rounds} rounds of PBKDF2, not 65536")).await;
    }
    let mut key = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha512>(&v, date.as_bytes(), 65_536, &mut key);
    assert_cause(&of_key("v1.2", key), "v1.2", "SHA-512, not SHA-256").await;
    Hkdf::<sha1::Sha1>::new(Some(date.as_bytes()), &iv).expand(b"", &mut key).unwrap();
    assert_cause(&of_key("iv", key), "iv", "SHA-1, not SHA-256").await;
    assert_cause(&of_key("iv", hkdf_iv(date.as_bytes(), std::str::from_utf8(&iv).unwrap())), "iv", "swaps the secret")
        .await;
    assert_cause(&of_key("iv", &iv[..32]), "iv", "its key is the secret itself").await;
    assert_cause(&of_key("iv", Sha256::digest(&iv)), "iv", "its key is the SHA-256 of the secret,").await;
    let (extracted, _) = Hkdf::<Sha256>::extract(Some(date.as_bytes()), &iv);
    assert_cause(&of_key("iv", extracted), "iv", "HKDF-Expand is missing").await;
}

#[tokio::test]
async fn a_rare_form_of_the_secret_is_named() {
    let right = secret("iv");
    let text = std::str::from_utf8(&right).unwrap();
    for (form, expected) in [
        (format!("{text} "), "followed by a blank"),
        (format!(" {text}"), "behind a blank"),
        (format!("{text}\r"), "followed by a line end (CR)"),
        (STANDARD.encode(text) + "\n", "encoded as Base64 first, and followed by a line end"),
        (STANDARD.encode(format!("{text}\n")), "encoded as Base64 first, together with a line end"),
        (text.chars().flat_map(|character| ['\0', character]).collect(), "in UTF-16, big end first"),
        (format!("\u{feff}{text}"), "byte order mark"),
        (format!("\"{text}\""), "between double quotes"),
        (format!("'{text}'"), "between single quotes"),
        (text.to_ascii_uppercase(), "in upper-case letters"),
        (hexadecimal(&right).to_ascii_uppercase(), "as hexadecimal first, with upper-case digits"),
        (STANDARD.encode(Sha256::digest(text)), "hashed with SHA-256 first, as Base64"),
        (
            hexadecimal(&Sha256::digest(text)).to_ascii_uppercase(),
            "hashed with SHA-256 first, as upper-case hexadecimal digits",
        ),
        (text[..text.len() - 1].to_owned(), "without its last character"),
        (text[1..].to_owned(), "without its first character"),
        (text[..16].to_owned(), "cut to 16 characters"),
    ] {
        let query = of_key("iv", hkdf_iv(form.as_bytes(), &date()));
        assert_cause(&query, "iv", expected).await;
    }
}

#[tokio::test]
async fn a_key_from_another_instant_or_without_the_date_is_named() {
    let of = |aa: &'static str, scheme: &str, salt: &str| of_key(aa, sender::key(scheme, &secret(aa), salt));
    let with_end = |end: &str| format!("{}{end}", &date()[..12]);
    assert_cause(&of("iv", "hkdf-iv", &with_end("001")), "iv", "it must read its clock once").await;
    assert_cause(&of("v1.2", "pbkdf2", &with_end("761")), "v1.2", "it must read its clock once").await;
    assert_cause(&of("iv", "hkdf-iv", "011120261610756"), "iv", "(Indian time)").await;
    assert_cause(&of("iv", "hkdf-iv", ""), "iv", "from the secret alone, without the date").await;
    assert_cause(&of("iv", "hkdf-iv", "202611011040756"), "iv", "(the year first)").await;
}

#[tokio::test]
async fn two_mistakes_at_once_are_named_both() {
    let line = [&*secret("v1.2"), b"\n"].concat();
    let mut key = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(&line, date().as_bytes(), 1_000, &mut key);
    for expected in ["followed by a line end", "1000 rounds of PBKDF2"] {
        assert_cause(&of_key("v1.2", key), "v1.2", expected).await;
    }
    let key = hkdf_iv(&[&*secret("iv"), b"\n"].concat(), &date()).to_vec();
    let wrong = Wrong { key, iv: [0; 16], ..Wrong::of("iv") };
    for expected in ["followed by a line end", "IV is 16 zero bytes"] {
        assert_cause(&wrong.query(), "iv", expected).await;
    }
}

#[tokio::test]
async fn a_rare_cipher_or_iv_is_named() {
    let right = Wrong::of("iv");
    let smaller = cbc::Encryptor::<Aes192>::new_from_slices(&right.key[..24], &right.iv)
        .unwrap()
        .encrypt_padded_vec::<Pkcs7>(PLAIN.as_bytes());
    assert_cause(&right.query_of(&smaller), "iv", "AES-192, not AES-256").await;
    let mut stream = PLAIN.as_bytes().to_vec();
    ctr::Ctr128BE::<Aes256>::new_from_slices(&right.key, &right.iv).unwrap().apply_keystream(&mut stream);
    assert_cause(&right.query_of(&stream), "iv", "CTR, not CBC").await;
    let of_secret = Wrong { iv: secret("iv")[..16].try_into().unwrap(), ..right.clone() };
    assert_cause(&of_secret.query(), "iv", "the first 16 bytes of the secret").await;
    let of_iv = |iv: &[u8], sent: &[u8]| {
        let wrong = Wrong { iv: iv.try_into().unwrap(), ..right.clone() };
        let query = wrong.query();
        let (rest, _) = query.split_once("&iv=").unwrap();
        format!("{rest}&iv={}", URL_SAFE.encode(sent))
    };
    let twelve = [[7; 12].as_slice(), &[0; 4]].concat();
    assert_cause(&of_iv(&twelve, &[7; 12]), "iv", "shorter than 16 bytes, and it fills it with zero bytes").await;
    assert_cause(&of_iv(&[7; 16], &[7; 32]), "iv", "longer than 16 bytes, and it uses the first 16").await;
    let digits = hexadecimal(&[0x7f; 16]);
    assert_cause(&of_iv(&[0x7f; 16], digits.as_bytes()), "iv", "the hexadecimal digits of the IV").await;
    // The IV that the other scheme has.
    let without = Wrong { iv: [0; 16], ..right.clone() }.query();
    assert_cause(without.split("&iv=").next().unwrap(), "iv", "hkdf-iv needs a random one").await;
    let with = format!("{}&iv={}", Wrong { iv: [7; 16], ..Wrong::of("v1.2") }.query(), STANDARD.encode([7; 16]));
    assert_cause(&with, "v1.2", "its IV is the one in iv; pbkdf2 has 16 zero bytes").await;
}

#[tokio::test]
async fn other_paddings_are_named() {
    let right = Wrong::of("iv");
    let missing = 16 - PLAIN.len() % 16;
    let length = u8::try_from(missing).unwrap();
    let ended = |padding: Vec<u8>| {
        let text = [PLAIN.as_bytes(), &padding].concat();
        right.query_of(&Wrong { text, ..right.clone() }.unpadded())
    };
    let filled = |byte: u8, last: u8| [vec![byte; missing - 1], vec![last]].concat();
    assert!(missing > 2, "the paddings differ");
    assert_cause(&ended(vec![b' '; missing]), "iv", "the padding is blanks").await;
    assert_cause(&ended(filled(0, length)), "iv", "ANSI X9.23").await;
    assert_cause(&ended(filled(0xa7, length)), "iv", "ISO 10126").await;
    assert_cause(&ended([vec![0x80], vec![0; missing - 1]].concat()), "iv", "ISO 7816-4").await;
    assert_cause(&ended(vec![length + 16; missing + 16]), "iv", "a cipher with larger blocks").await;
}

#[tokio::test]
async fn a_right_secret_is_not_blamed_for_a_text_that_is_no_message() {
    let wide: Vec<u8> = "\u{feff}".encode_utf16().chain(PLAIN.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    let callback = "txnid=a&userid=u@iv&status=S&errorcode=0";
    for (text, expected) in [
        (PLAIN.replace('&', "&amp;").into_bytes(), "joined with &amp;"),
        (PLAIN.replace('&', ";").into_bytes(), "joined with ;"),
        (callback.into(), "those of a callback"),
        (PLAIN.replace("userid=", "user=").into_bytes(), "`userid` is missing"),
        ([PLAIN.as_bytes(), b"&name=Jos\xe9"].concat(), "not UTF-8"),
        (b"\x1f\x8b\x08compressed".to_vec(), "gzip"),
        (b"a text without members".to_vec(), "it decrypts, but"),
        (wide, "UTF-16, big end first"),
    ] {
        let query = of_text("iv", text);
        assert_cause(&query, "iv", expected).await;
        assert_cause(&query, "iv", "the secret and the date are right").await;
    }
}

#[tokio::test]
async fn a_text_that_is_not_encrypted_or_was_encoded_twice_is_named() {
    let right = Wrong::of("iv");
    assert_cause(&right.query_of(PLAIN.as_bytes()), "iv", "its text is not encrypted").await;
    assert_cause(&right.query_of(URL_SAFE.encode(right.sealed()).as_bytes()), "iv", "Base64 twice").await;
    let digits = hexadecimal(&right.sealed());
    assert_cause(&right.query_of(digits.as_bytes()), "iv", "hexadecimal, and then Base64").await;
    assert_cause(&right.query_of(b"Salted__\xe1\xfe45678and the rest of it"), "iv", "openssl enc").await;
}

#[tokio::test]
async fn a_wrong_fi_is_not_called_a_wrong_seal() {
    let right = Wrong::of("iv").query();
    let with_fi = |bytes: &[u8]| {
        let (_, rest) = right.split_once("&reqdate").unwrap();
        format!("fi={}&reqdate{rest}", sender::escape(&STANDARD.encode(bytes)))
    };
    for fi in [&sender::mask(b"iv", &date())[..], b"fiu@test", b"someone"] {
        assert_cause(&with_fi(fi), "iv", "fi is not the id of the sender, fiu@test, masked with the date").await;
    }
    // The date lost its zero before it became salt and mask.
    let lost = &date()[1..];
    let key = hkdf_iv(&secret("iv"), lost);
    let message = of_key("iv", key).split_once("&ecreq").unwrap().1.to_owned();
    let fi = sender::escape(&STANDARD.encode(sender::mask(b"fiu@test", lost)));
    assert_cause(&format!("fi={fi}&reqdate={lost}&ecreq{message}"), "iv", "the leading zero lost").await;
}

#[tokio::test]
async fn the_secret_of_a_pairing_of_another_scheme_is_named() {
    for (aa, scheme, other) in [("iv", "hkdf-iv", "v1.2"), ("v1.2", "pbkdf2", "hosts")] {
        let query = of_key(aa, sender::key(scheme, &secret(other), &date()));
        assert_cause(&query, aa, &format!("its secret is that of FIU fiu@test with AA {other}")).await;
    }
}

#[tokio::test]
async fn random_bytes_and_short_texts_get_no_false_cause() {
    for length in (1..=20).map(|blocks| blocks * 16) {
        let bytes: Vec<u8> = (0..length).map(|at| Sha256::digest(format!("{length}/{at}"))[0]).collect();
        let report = diagnosed(&Wrong::of("iv").query_of(&bytes), "iv").await;
        assert_eq!(report.cause, None, "{length}");
    }
}
