//! More work than the server can do: calls above its capacity are refused at once, and health and metrics still answer.

use aa_redirect::proto::{DecodeRedirectRequest, RedirectParams, decode_redirect_request::Source};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{TimeDelta, Utc};
use tokio::{sync::mpsc, time::timeout};
use tonic::{Code, Request};
use tonic_health::pb::{health_check_response::ServingStatus, health_client::HealthClient};
use tonic_types::StatusExt;

use crate::{
    health::{asked, reflect},
    support::{
        program::{Files, PATIENCE, Program, channel, text},
        reason,
        sender::mask,
    },
};

/// The deadline of a call of the second test.
const DEADLINE: &str = "500m";

/// A message of `fiu` that costs its own derivation and does not open.
fn message(number: i64) -> DecodeRedirectRequest {
    // A date has no seconds: a thousand of them make a minute.
    let minute = (Utc::now() - TimeDelta::minutes(number / 1000)).format("%d%m%Y%H%M");
    let date = format!("{minute}{:03}", number % 1000);
    let params = RedirectParams {
        fi: STANDARD.encode(mask(b"fiu", &date)),
        ecreq: STANDARD.encode([0; 16]),
        reqdate: date,
        ..RedirectParams::default()
    };
    DecodeRedirectRequest { aa_id: "aa".into(), source: Some(Source::Params(params)), ..Default::default() }
}

#[tokio::test]
async fn a_full_queue_of_derivations_refuses_calls_and_probes_still_answer() {
    let files = Files::new();
    let keyring = files.keyring("v1.2", &[("one", "a-secret-of-32-characters-0123456")]);
    let arguments = ["--keyring", text(&keyring), "--kdf-threads", "1", "--admin-listen", "127.0.0.1:0"];
    let program = Program::start(&arguments);
    let (sender, mut refusals) = mpsc::unbounded_channel();
    let mut flood = tokio::task::JoinSet::new();
    // Each connection takes 200 calls at a time.
    for connection in 0..12 {
        let client = program.client().await;
        for number in 0..200 {
            let (mut client, sender) = (client.clone(), sender.clone());
            flood.spawn(async move {
                let answer = client.decode_redirect(message(connection * 200 + number)).await;
                let _ = sender.send(answer.unwrap_err());
            });
        }
    }
    let overloaded = async {
        loop {
            let status = refusals.recv().await.unwrap();
            if status.code() == Code::ResourceExhausted {
                return status;
            }
        }
    };
    let overloaded = timeout(PATIENCE, overloaded).await.expect("calls above the capacity are refused");
    assert_eq!(reason(&overloaded), "OVERLOADED");
    let retry = overloaded.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(!retry.is_zero() && retry < PATIENCE, "{retry:?}");
    let mut health = HealthClient::new(channel(&program.address).await);
    assert_eq!(health.check(asked("")).await.unwrap().into_inner().status(), ServingStatus::Serving);
    reflect(channel(&program.address).await).await;
    assert_eq!(program.page("/readyz").await.0, 200);
    let metrics = program.metrics().await;
    assert!(metrics.of("aa_redirect_derivations_refused_total") > Some(0.0));
    assert!(metrics.of("aa_redirect_derivation_queue") > Some(100.0), "all this while the queue was long");
    let refused = "aa_redirect_refusals_total{method=\"DecodeRedirect\",reason=\"OVERLOADED\"}";
    assert!(metrics.of(refused) > Some(0.0));
    flood.shutdown().await;
}

#[tokio::test]
async fn a_call_that_cannot_finish_in_time_is_refused_at_once() {
    let files = Files::new();
    let keyring = files.keyring("v1.2", &[("one", "a-secret-of-32-characters-0123456")]);
    let arguments = ["--keyring", text(&keyring), "--kdf-threads", "1", "--admin-listen", "127.0.0.1:0"];
    let program = Program::start(&arguments);
    let mut flood = tokio::task::JoinSet::new();
    // All of them have room in the queue. They are far more than one thread can derive within the deadline of a call.
    for connection in 0..4 {
        let client = program.client().await;
        for number in 0..200 {
            let mut client = client.clone();
            let mut request = Request::new(message(connection * 200 + number));
            request.metadata_mut().insert("grpc-timeout", DEADLINE.parse().unwrap());
            flood.spawn(async move { client.decode_redirect(request).await.unwrap_err() });
        }
    }
    let (mut done, mut refused, mut late) = (0, 0, 0);
    for status in flood.join_all().await {
        match status.code() {
            // These messages do not open, so each of these answers needed a derivation.
            Code::InvalidArgument => done += 1,
            Code::ResourceExhausted => {
                assert_eq!(reason(&status), "OVERLOADED");
                let retry = status.get_details_retry_info().unwrap().retry_delay.unwrap();
                assert!(!retry.is_zero() && retry < PATIENCE, "{retry:?}");
                assert!(status.metadata().contains_key("grpc-retry-pushback-ms"));
                refused += 1;
            }
            _ => late += 1,
        }
    }
    let metrics = program.metrics().await;
    // How many calls finish in time depends on the other work of the machine. Without an estimate, no call would be
    // refused.
    assert!(refused > 0, "{done} done, {refused} refused, {late} late");
    assert!(metrics.of("aa_redirect_derivations_refused_total") >= Some(f64::from(refused)));
}
