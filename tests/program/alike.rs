//! The answer that `inspect` predicts is the answer of the service, for every wild vector and every refusal of a
//! message.

use std::{fs, sync::Arc};

use aa_redirect::{
    codec::url::{Leg, leg_of},
    diagnosis::{Asked, diagnose},
    exchange::Exchange,
    keyring,
    keys::KdfPool,
    memory::Memory,
};
use serde_json::Value;

use crate::support::{self, MILLIS, NOW, Server, reason, sender};

const PLAIN: &str = "txnid=T1&sessionid=s&userid=9999988888@iv&redirect=https://fiu.example/cb&srcref=a";

/// The service's answer: `OK` or the reason, and the message of a refusal.
async fn served(server: &mut Server, url: &str) -> (String, Option<String>) {
    let refused = match leg_of(url) {
        Some(Leg::Request) | None => server.decode_redirect_for("", url).await.err(),
        Some(Leg::Callback) => server.decode_callback(url).await.err(),
    };
    refused.map_or(("OK".to_owned(), None), |refused| (reason(&refused), Some(refused.message().to_owned())))
}

/// The answer that `inspect` predicts.
async fn inspected(keyring: &str, url: &str) -> (String, Option<String>) {
    let (keyring, _) = keyring::load(keyring.as_ref()).unwrap();
    let exchange = Exchange::new(Arc::new(KdfPool::new(1).unwrap()), Arc::new(Memory::default()));
    let asked = Asked { text: url, fiu: None, aa: None, now: NOW.parse().unwrap() };
    let report = diagnose(&exchange, &keyring, asked).await;
    (report.answer.to_owned(), (!report.accepted).then_some(report.explanation))
}

#[tokio::test]
async fn inspect_and_the_service_give_every_wild_vector_the_same_answer() {
    let cases: Vec<Value> = serde_json::from_str(&fs::read_to_string("tests/vectors/wild.json").unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("wild"), cases[0]["secret"].as_str().unwrap()).unwrap();
    let keyring = folder.path().join("keyring.toml");
    let pairing = "[[pairing]]\nfiu = \"fiu@wild\"\naa = \"alpha-aa\"\nprofile = \"v1.5\"\nmax_age_seconds = 1000000000\n\
                   secrets = [{ id = \"a\", file = \"wild\" }]\n";
    fs::write(&keyring, pairing).unwrap();
    let mut server = support::start_with(&keyring).await;
    for case in &cases {
        let url = case["url"].as_str().unwrap();
        let mut service = served(&mut server, url).await;
        if leg_of(url) == Some(Leg::Callback) && service.0 == "PAIRING_UNKNOWN" {
            // The test support names another FIU.
            service = inspected(keyring.to_str().unwrap(), url).await;
        }
        assert_eq!(inspected(keyring.to_str().unwrap(), url).await, service, "{}", case["name"]);
    }
}

#[tokio::test]
async fn inspect_and_the_service_refuse_a_message_with_the_same_answer() {
    let keyring = "tests/support/keyring.toml";
    let mut server = support::start().await;
    let good = sender::request("hosts", MILLIS, PLAIN).request_query();
    let mut reasons = Vec::new();
    for url in [
        "https://fiu.example/".to_owned(),
        format!("{good}&iv=x"),
        good.replace(MILLIS, "310220261040756"),
        good.replace(MILLIS, "311120261040756"),
        good.replace("ecreq=", "ecreq=x"),
        good.replace("fi=", "fi=Zml1QHRlc3Q%3D&x="),
        good.replace("fi=V", "fi=U"),
        sender::request("hosts", "211120261010756", PLAIN).request_query(),
        sender::request("hosts", "211120261610756", PLAIN).request_query(),
    ] {
        let service = served(&mut server, &url).await;
        // Without a receiver, the service finds several pairings of this FIU and refuses the message. `inspect` tries
        // each pairing.
        if service.0 == "PAIRING_AMBIGUOUS" {
            continue;
        }
        assert_eq!(inspected(keyring, &url).await, service, "{url}");
        reasons.push(service.0);
    }
    for (aa, url) in [
        ("hosts", sender::request("hosts", "211120261010756", PLAIN).request_query()),
        ("hosts", sender::request("hosts", "211120261610756", PLAIN).request_query()),
        ("hosts", sender::request_with(b"another secret", "hosts", MILLIS, PLAIN).request_query()),
        ("v1.2", good.clone()),
    ] {
        let refused = server.decode_redirect_for(aa, &url).await.unwrap_err();
        let (keyring, _) = keyring::load(keyring.as_ref()).unwrap();
        let exchange = Exchange::new(Arc::new(KdfPool::new(1).unwrap()), Arc::new(Memory::default()));
        let asked = Asked { text: &url, fiu: None, aa: Some(aa), now: NOW.parse().unwrap() };
        let report = diagnose(&exchange, &keyring, asked).await;
        assert_eq!((report.answer, &*report.explanation), (&*reason(&refused), refused.message()), "{aa}");
        reasons.push(reason(&refused));
    }
    reasons.sort();
    reasons.dedup();
    assert!(reasons.len() >= 7, "{reasons:?}");
}
