//! Vectors, one test for each. The published Java samples of both schemes made the vectors of
//! `tests/vectors/vectors.json`. The codec seals and opens them byte for byte, with the received date as salt and mask.
//! The service reads them as `tests/vectors/readings.json` says, with members and deviations, or refuses them.
//!
//! The vectors of `tests/vectors/wild.json` are messages as senders' libraries write them, one for each kind. The
//! service reads them as the sender meant them, and reports their deviations.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects by unwrapping it")]

mod support;

use std::{collections::BTreeMap, fmt::Write, fs, path::Path, sync::Arc};

use aa_redirect::codec::{
    base64, cipher,
    kdf::{self, Key},
    mask,
};
use aa_redirect::proto::{Callback, CallbackParams, CallbackStatus, Redirect, RedirectParams};
use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{runtime::Runtime, sync::Mutex};

#[derive(Clone, Deserialize)]
struct Vector {
    name: String,
    profile: String,
    secret: Option<String>,
    date: String,
    fi_plain: String,
    fi_encoded: String,
    iv_b64: Option<String>,
    plaintext: Option<String>,
    ciphertext_b64url_padded: Option<String>,
}

impl Vector {
    /// The name of the vector's test and of its reading.
    fn title(&self) -> String {
        format!("{}::{}", self.profile, self.name).replace('-', "_")
    }

    fn is_callback(&self) -> bool {
        self.plaintext.as_ref().is_some_and(|text| text.contains("errorcode="))
    }

    fn has_iv(&self) -> bool {
        self.iv_b64.is_some()
    }
}

/// A message of `tests/vectors/wild.json`.
#[derive(Clone, Deserialize)]
struct Wild {
    name: String,
    leg: String,
    secret: String,
    url: String,
    /// Members by name, or `reason`.
    want: BTreeMap<String, Value>,
    deviations: Vec<String>,
    requestor_type: Option<i32>,
}

/// The parties of all vectors.
const WILD: (&str, &str) = ("fiu@wild", "alpha-aa");

fn main() {
    let vectors: Vec<Vector> = read_json("tests/vectors/vectors.json");
    let readings: BTreeMap<String, Value> = read_json("tests/vectors/readings.json");
    let runtime = Arc::new(Runtime::new().unwrap());
    let wild: Vec<Wild> = read_json("tests/vectors/wild.json");
    let server = runtime.block_on(support::start_with(&keyring(&vectors, &wild[0].secret)));
    let server = Arc::new(Mutex::new(server));
    let mut trials: Vec<Trial> = wild
        .into_iter()
        .map(|case| {
            let (runtime, server) = (Arc::clone(&runtime), Arc::clone(&server));
            Trial::test(format!("wild::{}", case.name), move || {
                let got = runtime.block_on(async { read_wild(&mut *server.lock().await, &case).await });
                let want = json!({
                    "want": case.want,
                    "deviations": case.deviations,
                    "requestor_type": case.requestor_type.unwrap_or_default(),
                });
                equal("reading", &got, &want)
            })
        })
        .collect();
    trials.extend(vectors.into_iter().enumerate().map(|(number, vector)| {
        let reading = readings.get(&vector.title()).cloned();
        let (runtime, server) = (Arc::clone(&runtime), Arc::clone(&server));
        Trial::test(vector.title(), move || {
            check(&vector)?;
            if vector.plaintext.is_none() {
                return Ok(());
            }
            let expected = reading.ok_or("readings.json does not have it")?;
            let got = runtime.block_on(async { read(&mut *server.lock().await, &vector, number).await });
            equal("reading", &got, &expected)
        })
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn read_json<T: serde::de::DeserializeOwned>(path: &str) -> T {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// A keyring with a pairing for each vector. The vector's number names the other party, and the window reaches back to
/// the oldest vector. The wild vectors share one pairing, whose secret is `wild`.
fn keyring(vectors: &[Vector], wild: &str) -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vectors");
    fs::create_dir_all(&folder).unwrap();
    let mut keyring = String::new();
    for (number, vector) in vectors.iter().enumerate() {
        let Some(secret) = &vector.secret else { continue };
        fs::write(folder.join(number.to_string()), secret).unwrap();
        let (mut fiu, mut aa) = (vector.fi_plain.clone(), number.to_string());
        if vector.is_callback() {
            (fiu, aa) = (aa, fiu);
        }
        let profile = if vector.has_iv() { "iv" } else { "v1.2" };
        writeln!(
            keyring,
            "[[pairing]]\nfiu = {fiu:?}\naa = {aa:?}\nprofile = \"{profile}\"\nmax_age_seconds = 1000000000\n\
             secrets = [{{ id = \"a\", file = \"{number}\" }}]"
        )
        .unwrap();
    }
    fs::write(folder.join("wild"), wild).unwrap();
    let (fiu, aa) = WILD;
    writeln!(
        keyring,
        "[[pairing]]\nfiu = {fiu:?}\naa = {aa:?}\nprofile = \"v1.5\"\nmax_age_seconds = 1000000000\n\
         secrets = [{{ id = \"a\", file = \"wild\" }}]"
    )
    .unwrap();
    fs::write(folder.join("keyring.toml"), keyring).unwrap();
    folder.join("keyring.toml")
}

/// How the service reads a vector.
async fn read(server: &mut support::Server, vector: &Vector, number: usize) -> Value {
    let (fi, date) = (vector.fi_encoded.clone(), vector.date.clone());
    let sealed = vector.ciphertext_b64url_padded.clone().unwrap_or_default();
    let iv = vector.iv_b64.clone().unwrap_or_default();
    let other = number.to_string();
    let answer = if vector.is_callback() {
        let params = CallbackParams { fi, resdate: date, ecres: sealed, iv };
        let answer = server.decode_callback_params(&other, params).await;
        answer.map(|opened| (callback_members(&opened.callback.unwrap()), opened.deviations))
    } else {
        let params = RedirectParams { fi, reqdate: date, ecreq: sealed, iv, requestor_type: String::new() };
        let answer = server.decode_redirect_params(&other, params).await;
        answer.map(|opened| (redirect_members(&opened.redirect.unwrap()), opened.deviations))
    };
    match answer {
        Ok((members, deviations)) => json!({ "members": members, "deviations": support::names(&deviations) }),
        Err(refused) => json!({ "reason": support::reason(&refused) }),
    }
}

/// How the service reads a wild message, in the form of its vector.
async fn read_wild(server: &mut support::Server, case: &Wild) -> Value {
    let (fiu, aa) = WILD;
    let read = if case.leg == "callback" {
        let opened = server.decode_callback_for(fiu, &case.url).await;
        opened.map(|opened| (by_name(&callback_members(&opened.callback.unwrap()), &CALLBACK), opened.deviations, 0))
    } else {
        let opened = server.decode_redirect_for(aa, &case.url).await;
        opened.map(|opened| {
            let members = by_name(&redirect_members(&opened.redirect.unwrap()), &REDIRECT);
            (members, opened.deviations, opened.requestor_type)
        })
    };
    match read {
        Ok((want, deviations, requestor_type)) => {
            let names = support::names(&deviations).into_iter().map(|name| name.trim_start_matches("DEVIATION_"));
            let deviations: Vec<_> = names.collect();
            json!({ "want": want, "deviations": deviations, "requestor_type": requestor_type })
        }
        Err(refused) => {
            json!({ "want": { "reason": support::reason(&refused) }, "deviations": [], "requestor_type": 0 })
        }
    }
}

const REDIRECT: [&str; 11] =
    ["txnid", "sessionid", "userid", "redirect", "srcref", "fipid", "email", "pan", "dob", "isoLanguageCode", "extra"];
const CALLBACK: [&str; 7] = ["txnid", "sessionid", "userid", "status", "errorcode", "srcref", "extra"];

/// Members as a wild vector has them: by name, the status as it is written, numbers as text, without absent optional
/// members.
fn by_name(members: &Value, names: &[&str]) -> Value {
    let values = members.as_array().unwrap().iter().cloned();
    let named = names.iter().zip(values).map(|(name, value)| match *name {
        "status" => (*name, json!(if value == json!(i32::from(CallbackStatus::Success)) { "S" } else { "F" })),
        "errorcode" => (*name, json!(value.to_string())),
        _ => (*name, value),
    });
    let is_absent = |name: &str, value: &Value| match name {
        "fipid" => value == &json!([]),
        "email" | "pan" | "dob" | "isoLanguageCode" => value == &json!(""),
        "extra" => value == &json!({}),
        _ => false,
    };
    named.filter(|(name, value)| !is_absent(name, value)).map(|(name, value)| (name.to_owned(), value)).collect()
}

fn redirect_members(redirect: &Redirect) -> Value {
    let Redirect { txnid, sessionid, userid, redirect, srcref, fipid, email, pan, dob, iso_language_code, extra } =
        redirect;
    json!([txnid, sessionid, userid, redirect, srcref, fipid, email, pan, dob, iso_language_code, extra])
}

fn callback_members(callback: &Callback) -> Value {
    let Callback { txnid, sessionid, userid, status, errorcode, srcref, extra } = callback;
    json!([txnid, sessionid, userid, status, errorcode, srcref, extra])
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, got: &T, expected: &T) -> Result<(), Failed> {
    if got == expected { Ok(()) } else { Err(format!("{what}: got {got:?}, expected {expected:?}").into()) }
}

fn check(vector: &Vector) -> Result<(), Failed> {
    let fi = base64::standard(&mask::mask(vector.fi_plain.as_bytes(), &vector.date));
    equal("fi", &fi, &vector.fi_encoded)?;
    let (Some(secret), Some(plaintext), Some(sealed)) =
        (&vector.secret, &vector.plaintext, &vector.ciphertext_b64url_padded)
    else {
        // A real `fi` and date without a message.
        return Ok(());
    };
    let derive: fn(&[u8], &str) -> Key = match &*vector.profile {
        "hkdf-random-iv" => kdf::hkdf,
        _ => kdf::pbkdf2,
    };
    let key = derive(secret.as_bytes(), &vector.date);
    let iv = iv(vector)?;
    equal("sealed", &base64::url_safe(&cipher::encrypt(&key, &iv, plaintext.clone().into_bytes()), true), sealed)?;
    let ciphertext = decode(sealed)?;
    let opened = cipher::decrypt(&key, &iv, &ciphertext).ok_or("not opened")?;
    equal("opened", &opened.text(), &Some(plaintext.as_bytes()))
}

fn iv(vector: &Vector) -> Result<[u8; 16], Failed> {
    let Some(iv) = &vector.iv_b64 else { return Ok([0; 16]) };
    decode(iv)?.try_into().map_err(|_| "an IV has 16 bytes".into())
}

fn decode(text: &str) -> Result<Vec<u8>, Failed> {
    use ::base64::Engine;
    let text = text.replace('-', "+").replace('_', "/");
    Ok(::base64::engine::general_purpose::STANDARD.decode(text)?)
}
