//! The codec: `cargo bench --bench codec`. The PBKDF2 kernels have their own bench: `cargo bench -p pbkdf2-lanes`.
//!
//! `primitives` is the part that the scheme always needs: HKDF, AES and Base64 of the same bytes. It is measured beside
//! the whole call.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench says what it expects by unwrapping it")]

use std::hint::black_box;

use ::base64::Engine;
use aa_redirect::codec::{
    self, Envelope, Parties, Seal, base64, cipher, kdf,
    members::{self, Redirect},
    profile::{Conventions, ListSyntax, PROFILES},
    url::{self, Leg},
};
use criterion::{Criterion, criterion_group, criterion_main};

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SECRET: &[u8] = b"nsrkGE&-p1Qh*Gn$3P0&Qt0s9!uz1U_I";
const DATE: &str = "060420210510756";
const IV: [u8; 16] = [0xfb; 16];
const PARTIES: Parties<'_> = Parties { fiu: "fiu@example", aa: "aa@example" };

/// 260 bytes of members.
fn redirect() -> Redirect {
    let mut redirect = Redirect::default();
    redirect.txnid = "2d04747e-21c6-4c23-955b-d46c2f820140".into();
    redirect.sessionid = "basket-42-".repeat(4);
    redirect.userid = "9999988888@onemoney".into();
    redirect.redirect = "https://fiu.example/callback/lead/4711/consent".into();
    redirect.srcref = vec!["0b054f6a-a0b3-4424-a668-2b53090bad6f".into()];
    redirect.fipid = vec!["HDFC".into(), "ICICI".into()];
    redirect
}

fn hkdf_iv(criterion: &mut Criterion) {
    let conventions = Conventions::of(&PROFILES[0]);
    let plaintext = members::write_redirect(&redirect(), ListSyntax::Repeated);
    println!("members: {} bytes", plaintext.len());
    let encode = |redirect: &Redirect| {
        let plaintext = members::write_redirect(redirect, ListSyntax::Repeated);
        let key = kdf::hkdf(SECRET, DATE);
        let seal = Seal {
            leg: Leg::Request,
            parties: PARTIES,
            requestor_type: None,
            date: DATE.into(),
            key: &key,
            random_iv: IV,
        };
        let sealed = codec::seal(plaintext, seal, &conventions);
        let query = sealed.query(Leg::Request);
        (url::append("https://aa.example/webview", &query), query, sealed)
    };
    let (url, _, sealed) = encode(&redirect());
    let mut group = criterion.benchmark_group("hkdf-iv");
    group.bench_function("encode", |bencher| {
        let redirect = redirect();
        bencher.iter(|| encode(black_box(&redirect)));
    });
    group.bench_function("encode primitives", |bencher| {
        bencher.iter(|| {
            let key = kdf::hkdf(SECRET, black_box(DATE));
            let ciphertext = cipher::encrypt(&key, &IV, black_box(plaintext.as_bytes()).to_vec());
            base64::url_safe(&ciphertext, true)
        });
    });
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            let envelope = Envelope::from_url(black_box(&url), Leg::Request).unwrap();
            let key = kdf::hkdf(SECRET, envelope.date.text());
            codec::open::<Redirect>(&envelope, &key, &conventions, PARTIES).unwrap()
        });
    });
    group.bench_function("decode primitives", |bencher| {
        bencher.iter(|| {
            let key = kdf::hkdf(SECRET, black_box(DATE));
            let ciphertext = ::base64::engine::general_purpose::URL_SAFE.decode(black_box(&sealed.message)).unwrap();
            cipher::decrypt(&key, &IV, &ciphertext).unwrap()
        });
    });
    // This check protects a release: SHA-NI code mixed with AVX code gives right results, but runs ninety times slower.
    group.bench_function("one key", |bencher| bencher.iter(|| kdf::hkdf(SECRET, black_box(DATE))));
    group.finish();
}

criterion_group!(benches, hkdf_iv);
criterion_main!(benches);
