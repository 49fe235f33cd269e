//! Tests whether failures of different kinds take the same time through the socket of a running server.
//!
//! Callers choose a pair and one of its two messages at random, wait for a random part of a tick, and call. Both
//! messages have the same length. In the control, both messages are refused without a tick, and the test must show the
//! difference in their work.

use std::{
    fs,
    path::Path,
    sync::Mutex,
    time::{Duration, Instant},
};

use aa_redirect::proto::{DecodeRedirectRequest, decode_redirect_request::Source};
use base64::{Engine, engine::general_purpose::URL_SAFE};
use futures_util::future::join_all;

use crate::{
    BOUND,
    statistics::{Random, Tests},
    support::{MILLIS, sender, start_with},
};

const CALLERS: usize = 4;
/// The number of measurements of a pair that are added together. The first ones only set the percentiles.
const BATCH: usize = 500;
/// The fewest measurements of a class for which a test has a meaning.
const LEAST: f64 = 1000.0;

/// The members of every message, without `srcref`.
const MEMBERS: &str = "txnid=2d04747e-21c6-4c23-955b-d46c2f820140&sessionid=s&userid=u@iv";
/// A date in the distant past.
const STALE: &str = "211120251040756";

struct Pair {
    name: &'static str,
    urls: [String; 2],
    is_control: bool,
}

fn pairs() -> Vec<Pair> {
    let filler = (0..700).map(|number| format!("&x{number}=%61")).collect::<Vec<_>>().concat();
    let url = |text: &[u8]| sender::request("iv", MILLIS, text).request_query();
    let sound = format!("{MEMBERS}&redirect=https://fiu.example/cb{filler}&srcref=a");
    let with = |old: &str, new: &str| url(sound.replacen(old, new, 1).as_bytes());
    // A changed byte in the block before the last one makes the padding of the last block invalid.
    let mut padding = sender::request("iv", MILLIS, &sound);
    let mut bytes = URL_SAFE.decode(&padding.sealed).unwrap();
    let before_last = bytes.len() - 17;
    bytes[before_last] ^= 0x80;
    padding.sealed = URL_SAFE.encode(bytes);
    let padding = padding.request_query();
    let mut text = sound.clone().into_bytes();
    text[0] = 0xff;
    let stale =
        |filler: &str| format!("{}&z={}", sender::request("iv", STALE, MEMBERS).request_query(), filler.repeat(4000));
    let pair = |name, other| Pair { name, urls: [padding.clone(), other], is_control: false };
    vec![
        pair("bad padding, or the same", padding.clone()),
        pair("bad padding, or bad UTF-8 in the first byte", url(&text)),
        pair("bad padding, or an escape that is no UTF-8 in the first member", with("txnid=2d0", "txnid=%ff")),
        pair("bad padding, or an escape that is no UTF-8 in the last member", with("x699=%61", "x699=%ff")),
        pair("bad padding, or no `srcref`, all else read", with("&srcref=a", "&srcreg=a")),
        pair("bad padding, or a forbidden host, all read", with("fiu.example", "fiu.exampel")),
        Pair { name: "control: refusals without a tick", urls: [stale("&"), stale("x")], is_control: true },
    ]
}

/// Measures for this many seconds. Returns true if two kinds of failures differ in time, or if the control does not.
pub(crate) async fn fails(seconds: u64) -> bool {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("timing");
    fs::create_dir_all(&folder).unwrap();
    let secret = fs::canonicalize("tests/support/secrets/fiu-iv-new").unwrap();
    // The pairing has no budget, so that each failure does all of its work.
    let keyring = format!(
        "[[pairing]]\nfiu = \"fiu@test\"\naa = \"iv\"\nprofile = \"iv\"\nfailure_budget = 0\n\
         redirect_hosts = [\"fiu.example\"]\nsecrets = [{{ id = \"new\", file = \"{}\" }}]\n",
        secret.display()
    );
    fs::write(folder.join("keyring.toml"), keyring).unwrap();
    let pairs = pairs();
    let tests: Vec<_> = pairs.iter().map(|_| Mutex::new((Vec::new(), Tests::default()))).collect();
    let server = start_with(&folder.join("keyring.toml")).await;
    let end = Instant::now() + Duration::from_secs(seconds);
    join_all((0..CALLERS).map(async |_| {
        let (mut client, mut random) = (server.client.clone(), Random::new());
        while Instant::now() < end {
            let (at, class) = (random.below(pairs.len()), random.below(2));
            let source = Some(Source::Url(pairs[at].urls[class].clone()));
            tokio::time::sleep(Duration::from_micros(random.below(5000) as u64)).await;
            let begin = Instant::now();
            let answer = client
                .decode_redirect(DecodeRedirectRequest { aa_id: "iv".into(), source, ..Default::default() })
                .await;
            let time = begin.elapsed().as_nanos() as f64;
            assert!(answer.is_err(), "{}", pairs[at].name);
            let (times, tests) = &mut *tests[at].lock().unwrap();
            times.push((class, time));
            if times.len() == BATCH {
                tests.add(times);
                times.clear();
            }
        }
    }))
    .await;
    let mut failed = false;
    for (pair, tests) in pairs.iter().zip(&tests) {
        let tests = &tests.lock().unwrap().1;
        let (t, slower) = tests.greatest(LEAST);
        failed |= (t > BOUND) != pair.is_control;
        let micros = slower / 1000.0;
        println!("|t| {t:8.1}  {micros:+8.3} µs  {:11.0} measurements  {}", tests.measurements(), pair.name);
    }
    failed
}
