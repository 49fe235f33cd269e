//! What the service remembers about opened messages, as a caller sees it: first openings and reopenings, expected
//! callbacks, and retries.

use std::{fs, path::PathBuf};

use crate::support::{MILLIS, NOW, Server, fields, metadata, reason, sender, start, start_with};
use aa_redirect::proto::{
    DecodeCallbackRequest, DecodeCallbackResponse, DecodeRedirectRequest, DecodeRedirectResponse, ExpectedCallback,
    ListPairingsRequest, Reopen, decode_callback_request, decode_redirect_request::Source,
};
use futures_util::future::join_all;
use sha2::{Digest, Sha256};
use tonic::{Code, Status};

const PLAIN: &str =
    "txnid=2d04747e-21c6-4c23-955b-d46c2f820140&sessionid=s&userid=u@iv&redirect=https://fiu.example/cb&srcref=a";
const OUTCOME: &str = "txnid=T1234&sessionid=s&userid=u@iv&status=S&errorcode=0";
/// It has the same end as [`OUTCOME`], so that one can be made from the other.
const REJECTED: &str = "txnid=T9999&sessionid=s&userid=u@iv&status=S&errorcode=0";

/// A server whose pairing `iv` of `fiu@test` has these settings.
async fn start_iv(name: &str, settings: &str) -> Server {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("opened-{name}"));
    fs::create_dir_all(&folder).unwrap();
    let secrets = fs::canonicalize("tests/support/secrets").unwrap();
    let keyring = folder.join("keyring.toml");
    let text = format!(
        "[[pairing]]\nfiu = \"fiu@test\"\naa = \"iv\"\nprofile = \"iv\"\n{settings}\n\
         secrets = [{{ id = \"new\", file = \"{}/fiu-iv-new\" }}]\n",
        secrets.display()
    );
    fs::write(&keyring, text).unwrap();
    start_with(&keyring).await
}

async fn redirect(server: &Server, query: &str, attempt_id: &str) -> Result<DecodeRedirectResponse, Status> {
    let source = Some(Source::Url(query.to_owned()));
    let request = DecodeRedirectRequest { aa_id: "iv".into(), source, attempt_id: attempt_id.into() };
    server.client.clone().decode_redirect(request).await.map(tonic::Response::into_inner)
}

async fn callback(
    server: &Server,
    query: &str,
    expected: Option<ExpectedCallback>,
) -> Result<DecodeCallbackResponse, Status> {
    let source = Some(decode_callback_request::Source::Url(query.to_owned()));
    let request = DecodeCallbackRequest { fiu_id: "fiu@test".into(), source, expected, ..Default::default() };
    server.client.clone().decode_callback(request).await.map(tonic::Response::into_inner)
}

fn expected() -> ExpectedCallback {
    ExpectedCallback { txnid: "T1234".into(), sessionid: "s".into(), userid: "u@iv".into(), aa_id: "iv".into() }
}

fn rfc3339(instant: Option<prost_types::Timestamp>) -> String {
    instant.unwrap().to_string()
}

#[tokio::test]
async fn every_later_opening_reports_the_first_one_on_both_legs() {
    let server = start_iv("told", "").await;
    let request = sender::request("iv", MILLIS, PLAIN).request_query();
    let query = sender::callback("iv", MILLIS, OUTCOME).callback_query();
    let first = redirect(&server, &request, "").await.unwrap();
    assert_eq!((first.reopened, rfc3339(first.first_open_time)), (false, NOW.to_owned()));
    let first = callback(&server, &query, None).await.unwrap();
    assert_eq!((first.reopened, rfc3339(first.first_open_time)), (false, NOW.to_owned()));
    server.set_now("2026-11-21T10:41:00Z");
    let again = redirect(&server, &request, "").await.unwrap();
    assert_eq!((again.reopened, rfc3339(again.first_open_time)), (true, NOW.to_owned()));
    let again = callback(&server, &query, None).await.unwrap();
    assert_eq!((again.reopened, rfc3339(again.first_open_time)), (true, NOW.to_owned()));
}

#[tokio::test]
async fn a_replay_key_is_the_hash_of_ids_date_and_last_block() {
    let server = start_iv("replay-key", "").await;
    let hash = |message: &sender::Message| {
        use base64::{Engine, engine::general_purpose::URL_SAFE};
        let sealed = URL_SAFE.decode(&message.sealed).unwrap();
        let bytes = [b"fiu@test\0iv\0", MILLIS.as_bytes(), b"\0", &sealed[sealed.len() - 16..]].concat();
        Sha256::digest(bytes)[..16].iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    };
    let request = sender::request("iv", MILLIS, PLAIN);
    assert_eq!(redirect(&server, &request.request_query(), "").await.unwrap().replay_key, hash(&request));
    let message = sender::callback("iv", MILLIS, OUTCOME);
    assert_eq!(callback(&server, &message.callback_query(), None).await.unwrap().replay_key, hash(&message));
}

#[tokio::test]
async fn a_pairing_that_refuses_reopenings_opens_a_message_once() {
    let server = start_iv("refuse", "reopen = \"refuse\"").await;
    let query = sender::request("iv", MILLIS, PLAIN).request_query();
    assert!(!redirect(&server, &query, "").await.unwrap().reopened);
    server.set_now("2026-11-21T10:41:00Z");
    let refused = redirect(&server, &query, "").await.unwrap_err();
    assert_eq!((reason(&refused).as_str(), refused.code()), ("ALREADY_OPENED", Code::FailedPrecondition));
    assert_eq!(metadata(&refused, "first_open_time").unwrap(), NOW);
    assert_eq!(metadata(&refused, "fiu_id").unwrap(), "fiu@test");
    assert_eq!(server.memory.spent(), 0, "a reopening is not a failure");
}

#[tokio::test]
async fn one_of_many_simultaneous_openings_is_answered_and_the_others_are_refused() {
    let server = start_iv("at-once", "reopen = \"refuse\"").await;
    let query = sender::request("iv", MILLIS, PLAIN).request_query();
    let answers = join_all((0..24).map(|_| redirect(&server, &query, ""))).await;
    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert_eq!(refused.len(), 23);
    assert!(refused.iter().all(|status| reason(status) == "ALREADY_OPENED"));
}

#[tokio::test]
async fn a_retry_with_the_same_attempt_id_gets_the_first_answer_again() {
    let server = start_iv("retry", "reopen = \"refuse\"").await;
    let query = sender::request("iv", MILLIS, PLAIN).request_query();
    let first = redirect(&server, &query, "attempt-1").await.unwrap();
    server.set_now("2026-11-21T10:41:20Z");
    assert_eq!(redirect(&server, &query, "attempt-1").await.unwrap().first_open_time, first.first_open_time);
    for other in ["attempt-2", ""] {
        assert_eq!(reason(&redirect(&server, &query, other).await.unwrap_err()), "ALREADY_OPENED", "{other}");
    }
    server.set_now("2026-11-21T10:41:24Z");
    assert_eq!(
        reason(&redirect(&server, &query, "attempt-1").await.unwrap_err()),
        "ALREADY_OPENED",
        "a minute is over"
    );
}

#[tokio::test]
async fn an_attempt_id_of_the_wrong_form_is_refused() {
    let server = start_iv("attempt-id", "").await;
    let query = sender::request("iv", MILLIS, PLAIN).request_query();
    for wrong in ["a b", "ä", "a/b", &"a".repeat(65)] {
        assert_eq!(fields(&redirect(&server, &query, wrong).await.unwrap_err()), ["attempt_id"], "{wrong}");
    }
    assert!(!redirect(&server, &query, &"aZ0._-".repeat(10)).await.unwrap().reopened);
}

#[tokio::test]
async fn a_callback_that_is_not_the_expected_one_is_refused_with_the_names_of_the_different_fields() {
    let server = start_iv("expected", "reopen = \"refuse\"").await;
    let query = sender::callback("iv", MILLIS, OUTCOME).callback_query();
    let of = |name: &str| {
        let mut other = expected();
        match name {
            "txnid" => other.txnid.clear(),
            "sessionid" => other.sessionid.push('s'),
            "userid" => other.userid.make_ascii_uppercase(),
            _ => other.aa_id = "v1.2".into(),
        }
        other
    };
    for name in ["txnid", "sessionid", "userid", "aa_id"] {
        let refused = callback(&server, &query, Some(of(name))).await.unwrap_err();
        assert_eq!((reason(&refused).as_str(), refused.code()), ("NOT_EXPECTED", Code::FailedPrecondition), "{name}");
        assert_eq!(metadata(&refused, "fields").unwrap(), name);
    }
    let all = ExpectedCallback { aa_id: "x".into(), ..Default::default() };
    let refused = callback(&server, &query, Some(all)).await.unwrap_err();
    assert_eq!(metadata(&refused, "fields").unwrap(), "txnid, sessionid, userid, aa_id");
    assert!(!refused.message().contains("T1234") && !refused.message().contains("u@iv"), "{refused}");
    // These calls count neither as opened nor as failed.
    let any_aa = ExpectedCallback { aa_id: String::new(), ..expected() };
    assert!(!callback(&server, &query, Some(any_aa)).await.unwrap().reopened);
    assert_eq!(reason(&callback(&server, &query, Some(of("txnid"))).await.unwrap_err()), "NOT_EXPECTED");
    assert_eq!(reason(&callback(&server, &query, Some(expected())).await.unwrap_err()), "ALREADY_OPENED");
    assert_eq!(server.memory.spent(), 0);
}

#[tokio::test]
async fn an_unexpected_callback_counts_as_the_message_of_its_last_block() {
    let server = start_iv("not-expected", "").await;
    // Two callbacks with the same end, under a new date: with the same key, and an IV that the sender picks.
    let seen = sender::callback("iv", MILLIS, OUTCOME);
    let iv = {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let mut iv = sender::IV;
        for (byte, (old, new)) in iv.iter_mut().zip(OUTCOME.bytes().zip(REJECTED.bytes())) {
            *byte ^= old ^ new;
        }
        STANDARD.encode(iv)
    };
    let changed = sender::Message { iv, ..seen.clone() }.callback_query();
    let refused = callback(&server, &changed, Some(expected())).await.unwrap_err();
    assert_eq!(metadata(&refused, "fields").unwrap(), "txnid");
    let refused = callback(&server, &seen.callback_query(), Some(expected())).await.unwrap_err();
    assert_eq!(reason(&refused), "UNDECIPHERABLE");
}

#[tokio::test]
async fn first_openings_are_also_remembered_without_a_failure_budget() {
    let server = start_iv("unlimited", "failure_budget = 0\nreopen = \"refuse\"").await;
    let seen = sender::request("iv", MILLIS, PLAIN);
    assert!(!redirect(&server, &seen.request_query(), "").await.unwrap().reopened);
    assert_eq!(reason(&redirect(&server, &seen.request_query(), "").await.unwrap_err()), "ALREADY_OPENED");
    let mut iv = sender::IV;
    iv[8] ^= 1;
    let iv = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, iv);
    let changed = sender::Message { iv, ..seen }.request_query();
    for _ in 0..40 {
        assert_eq!(reason(&redirect(&server, &changed, "").await.unwrap_err()), "UNDECIPHERABLE");
    }
}

#[tokio::test]
async fn the_list_of_pairings_shows_what_happens_to_a_reopening() {
    for (name, settings, reopen) in [
        ("list-default", "", Reopen::Report),
        ("list-report", "reopen = \"report\"", Reopen::Report),
        ("list-refuse", "reopen = \"refuse\"", Reopen::Refuse),
    ] {
        let server = start_iv(name, settings).await;
        let list = server.client.clone().list_pairings(ListPairingsRequest::default()).await.unwrap().into_inner();
        assert_eq!(list.pairings[0].reopen(), reopen);
    }
}

#[tokio::test]
async fn a_message_whose_date_never_expires_is_remembered_too() {
    let mut server = start().await;
    let query = sender::callback("open", MILLIS, OUTCOME).callback_query();
    assert!(!server.decode_callback(&query).await.unwrap().reopened);
    server.set_now("2027-11-21T10:41:20Z");
    let again = server.decode_callback(&query).await.unwrap();
    assert_eq!((again.reopened, rfc3339(again.first_open_time)), (true, NOW.to_owned()));
}
