//! Callers: how the server identifies them, what each may do, and that a caller learns nothing about other pairings.

use aa_redirect::proto::{
    Callback, CallbackStatus, DecodeCallbackRequest, EncodeCallbackRequest, EncodeRedirectRequest, ListPairingsRequest,
    decode_callback_request, redirect_service_client::RedirectServiceClient,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use tonic::{
    Code, Request, Status,
    metadata::{AsciiMetadataKey, AsciiMetadataValue},
};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_types::StatusExt;

use crate::support::{
    certificates::{self, Ca, config},
    program::{self, Client, Files, Program, decode, encode, text},
    reason,
};

const HEADER: &str = "x-forwarded-client-cert";
const KEYRING: &str = "tests/support/keyring.toml";
const OPERATOR: &str = "operator-token-0123456789abcdefgh";
const LENDER: &str = "lender-token-0123456789abcdefghij";
const PAYER: &str = "payer-token-0123456789abcdefghijk";

fn callers() -> String {
    let sha256 =
        |token: &str| Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let (operator, lender, payer) = (sha256(OPERATOR), sha256(LENDER), sha256(PAYER));
    format!(
        r#"
[[caller]]
name = "operator"
token_sha256 = "{operator}"

[[caller]]
name = "lender"
token_sha256 = "{lender}"
fiu = ["fiu@test"]
aa = ["iv", "json", "v1.5"]

[[caller]]
name = "payer"
token_sha256 = "{payer}"
methods = ["EncodeRedirect"]
fiu = ["fiu@test"]
aa = ["iv"]

[[caller]]
name = "meshed"
san = "spiffe://mesh/ns/lending/sa/backend"
"#
    )
}

/// A server with callers on a plain and on a trusted address of loopback.
struct Guarded {
    files: Files,
    program: Program,
}

fn start(more: &[&str]) -> Guarded {
    let files = Files::new();
    let path = files.write("callers.toml", &callers());
    let mut arguments = vec!["--keyring", KEYRING, "--callers", text(&path), "--admin-listen", "127.0.0.1:0"];
    arguments.extend(["--trusted-listen", "127.0.0.1:0"]);
    arguments.extend(more);
    let program = Program::start(&arguments);
    Guarded { files, program }
}

/// `message` with headers.
fn with<T>(message: T, headers: &[(&str, &str)]) -> Request<T> {
    let mut request = Request::new(message);
    for (name, value) in headers {
        let (name, value): (AsciiMetadataKey, AsciiMetadataValue) = (name.parse().unwrap(), value.parse().unwrap());
        request.metadata_mut().append(name, value);
    }
    request
}

/// `message` of the caller with this token.
fn of<T>(token: &str, message: T) -> Request<T> {
    with(message, &[("authorization", &format!("Bearer {token}"))])
}

fn list(page_size: i32, page_token: &str) -> ListPairingsRequest {
    ListPairingsRequest { page_size, page_token: page_token.to_owned() }
}

/// The code and reason of a refused call; `None` if the call is not refused.
fn refusal<T>(answer: Result<T, Status>) -> Option<(Code, String)> {
    answer.err().map(|status| (status.code(), reason(&status)))
}

/// The answer to an unknown caller.
fn assert_unknown<T>(answer: Result<T, Status>, who: impl std::fmt::Debug) {
    assert_eq!(refusal(answer), Some((Code::Unauthenticated, "CALLER_UNKNOWN".to_owned())), "{who:?}");
}

/// The hint of a refusal, and what the log says of the credentials.
async fn hinted(program: &Program, number: usize, message: Request<ListPairingsRequest>) -> (String, Option<String>) {
    let refused = program.client().await.list_pairings(message).await.unwrap_err();
    assert_eq!(reason(&refused), "CALLER_UNKNOWN");
    let line = program.event(number, |event| event["reason"] == "CALLER_UNKNOWN").await;
    (crate::support::metadata(&refused, "hint").unwrap(), line["presented"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn an_unknown_caller_learns_the_likely_mistake_and_the_log_shows_how_to_admit_it() {
    let guarded = start(&[]);
    let program = &guarded.program;
    let sha256: String = Sha256::digest("abc").iter().map(|byte| format!("{byte:02x}")).collect();
    for (number, (headers, hint, presented)) in [
        (&[][..], "NO_CREDENTIALS", None),
        (&[("authorization", "Basic abc")], "NOT_A_BEARER_TOKEN", None),
        (&[("authorization", "Bearer abc")], "UNKNOWN_TOKEN", Some(format!("token_sha256 {sha256}"))),
    ]
    .into_iter()
    .enumerate()
    {
        let message = with(list(0, ""), headers);
        assert_eq!(hinted(program, number + 1, message).await, (hint.to_owned(), presented));
    }
    assert!(!program.log().contains("Bearer abc"), "the token itself stays out of the log");
    // The line in the log is enough to admit the caller.
    let added = format!("{}\n[[caller]]\nname = \"added\"\ntoken_sha256 = \"{sha256}\"\n", callers());
    guarded.files.write("callers.toml", &added);
    program.signal("HUP");
    program.message(1, "reloaded").await;
    program.client().await.list_pairings(of("abc", list(0, ""))).await.unwrap();
}

#[tokio::test]
async fn the_log_names_a_certificate_that_no_caller_has() {
    let guarded = start(&[]);
    let mut client = Client::new(program::channel(&guarded.program.trusted).await);
    let forwarded = "By=spiffe://mesh/a;URI=spiffe://mesh/ns/other/sa/else";
    let refused = client.list_pairings(with(list(0, ""), &[(HEADER, forwarded)])).await.unwrap_err();
    assert_eq!(crate::support::metadata(&refused, "hint").unwrap(), "UNKNOWN_CERTIFICATE");
    let line = guarded.program.event(1, |event| event["reason"] == "CALLER_UNKNOWN").await;
    assert_eq!(line["presented"], "san spiffe://mesh/ns/other/sa/else");
}

#[tokio::test]
async fn a_token_over_loopback_identifies_a_caller() {
    let guarded = start(&[]);
    let mut client = guarded.program.client().await;
    client.list_pairings(of(OPERATOR, list(0, ""))).await.unwrap();
    for headers in [
        &[][..],
        &[("authorization", "Bearer operator-token-0123456789abcdefg")],
        &[("authorization", "Basic operator-token-0123456789abcdefgh")],
        &[("authorization", "Bearer")],
    ] {
        assert_unknown(client.list_pairings(with(list(0, ""), headers)).await, headers);
    }
    let twice = format!("Bearer {OPERATOR}");
    let twice = with(list(0, ""), &[("authorization", &twice), ("authorization", &twice)]);
    assert_unknown(client.list_pairings(twice).await, "");
    let named = |event: &serde_json::Value| event["message"] == "call" && event["caller"] == "operator";
    guarded.program.event(1, named).await;
    assert_eq!(guarded.program.events(named).len(), 1);
    assert!(!guarded.program.log().contains("operator-token"));
}

#[tokio::test]
async fn a_caller_is_identified_by_a_name_of_its_client_certificate() {
    let ca = Ca::new();
    let files = Files::new();
    let pair = ca.issue("localhost", 2999);
    let (cert, key) = (files.write("cert.pem", &pair.cert), files.write("key.pem", &pair.key));
    let client_ca = files.write("ca.pem", &ca.pem());
    let guarded = start(&["--tls-cert", text(&cert), "--tls-key", text(&key), "--tls-client-ca", text(&client_ca)]);
    let client = async |name: &str| {
        let config = config(&ca, Some(&ca.issue(name, 2999)), &["h2"]);
        RedirectServiceClient::new(certificates::channel(&guarded.program.address, config).await.unwrap())
    };
    let mut meshed = client("spiffe://mesh/ns/lending/sa/backend").await;
    meshed.list_pairings(list(0, "")).await.unwrap();
    guarded.program.event(1, |event| event["message"] == "call" && event["caller"] == "meshed").await;
    let mut stranger = client("spiffe://mesh/ns/lending/sa/backend2").await;
    assert_unknown(stranger.list_pairings(list(0, "")).await, "");
    // Nobody can read a token that TLS carries.
    stranger.list_pairings(of(OPERATOR, list(0, ""))).await.unwrap();
    // The certificate of the connection counts, not the forwarded one.
    let header = [("x-forwarded-client-cert", "URI=spiffe://mesh/ns/lending/sa/backend")];
    assert_unknown(stranger.list_pairings(with(list(0, ""), &header)).await, "");
}

#[tokio::test]
async fn a_forwarded_certificate_counts_only_on_a_trusted_address() {
    let guarded = start(&[]);
    let mut trusted: Client = RedirectServiceClient::new(program::channel(&guarded.program.trusted).await);
    let mut open = guarded.program.client().await;
    let good = "By=spiffe://mesh/us;Hash=00ff;Subject=\"\";URI=spiffe://mesh/ns/lending/sa/backend";
    trusted.list_pairings(with(list(0, ""), &[(HEADER, good)])).await.unwrap();
    assert_unknown(open.list_pairings(with(list(0, ""), &[(HEADER, good)])).await, "");
    let token = format!("Bearer {OPERATOR}");
    let earlier = format!("{good},By=spiffe://mesh/us;URI=spiffe://mesh/other");
    for headers in [
        &[][..],
        &[(HEADER, "URI=spiffe://mesh/other")],
        &[(HEADER, &*earlier)],
        &[(HEADER, good), (HEADER, good)],
        // A malformed header is refused even with a good token.
        &[(HEADER, "URI=\"spiffe://mesh"), ("authorization", &*token)],
        &[(HEADER, ""), ("authorization", &*token)],
        &[(HEADER, good), (HEADER, good), ("authorization", &*token)],
    ] {
        assert_unknown(trusted.list_pairings(with(list(0, ""), headers)).await, headers);
    }
}

#[tokio::test]
async fn credentials_come_before_the_method_the_method_before_fields_and_fields_before_the_pairing() {
    let guarded = start(&[]);
    let mut client = guarded.program.client().await;
    let first = |answer: Result<_, Status>| refusal(answer).unwrap().1;
    let incomplete = EncodeCallbackRequest::default();
    assert_eq!(first(client.encode_callback(incomplete.clone()).await.map(drop)), "CALLER_UNKNOWN");
    assert_eq!(first(client.encode_callback(of(PAYER, incomplete)).await.map(drop)), "CALLER_FORBIDDEN");
    let malformed = decode("", "https://x.example/?fi=%FF");
    assert_eq!(first(client.decode_redirect(of(PAYER, malformed.clone())).await.map(drop)), "CALLER_FORBIDDEN");
    assert_eq!(first(client.decode_redirect(of(OPERATOR, malformed)).await.map(drop)), "URL_MALFORMED");
    let unnamed = EncodeRedirectRequest::default();
    assert_eq!(first(client.encode_redirect(of(PAYER, unnamed)).await.map(drop)), "FIELD_INVALID");
    let forbidden = client.encode_callback(of(PAYER, callback("fiu@nowhere", "iv"))).await.unwrap_err();
    assert_eq!((forbidden.code(), &*reason(&forbidden)), (Code::PermissionDenied, "CALLER_FORBIDDEN"));
    let method = forbidden.get_details_error_info().unwrap().metadata.remove("method");
    assert_eq!(method.as_deref(), Some("EncodeCallback"));
    assert_eq!(first(client.list_pairings(of(PAYER, list(0, ""))).await.map(drop)), "CALLER_FORBIDDEN");
    assert_eq!(first(client.list_pairings(of(PAYER, list(-1, ""))).await.map(drop)), "CALLER_FORBIDDEN");
    assert_eq!(
        first(client.encode_redirect(of(PAYER, encode("fiu@nowhere", "iv"))).await.map(drop)),
        "PAIRING_UNKNOWN"
    );
    client.encode_redirect(of(PAYER, encode("fiu@test", "iv"))).await.unwrap();
}

fn callback(fiu: &str, aa: &str) -> EncodeCallbackRequest {
    EncodeCallbackRequest {
        fiu_id: fiu.into(),
        aa_id: aa.into(),
        callback: Some(Callback {
            txnid: "T1".into(),
            userid: "9999988888@handle".into(),
            status: CallbackStatus::Failure.into(),
            errorcode: 1,
            ..Callback::default()
        }),
        redirect_url: "https://fiu.example/return".into(),
        ..EncodeCallbackRequest::default()
    }
}

/// Everything that a caller sees of a refusal, with one id in place of another.
fn seen(status: &Status, from: &str, to: &str) -> (Code, String, Vec<(String, String)>, usize, Vec<String>) {
    let info = status.get_details_error_info().unwrap();
    let mut metadata: Vec<_> = info.metadata.into_iter().map(|(name, value)| (name, value.replace(from, to))).collect();
    metadata.sort();
    metadata.push((info.reason, info.domain));
    let names = status.metadata().keys().map(|key| format!("{key:?}"));
    let mut names: Vec<_> = names.filter(|name| !name.contains("x-request-id")).collect();
    names.sort();
    (status.code(), status.message().replace(from, to), metadata, status.details().len(), names)
}

#[tokio::test]
async fn a_pairing_of_another_caller_answers_like_a_pairing_that_does_not_exist() {
    let guarded = start(&[]);
    let mut client = guarded.program.client().await;
    let own = client.encode_redirect(of(OPERATOR, encode("fiu@test", "hosts"))).await.unwrap().into_inner();
    let answer = client.encode_callback(of(OPERATOR, callback("fiu@test", "hosts"))).await.unwrap().into_inner();
    // `hosts` is in a pairing, `hostz` is not. The ids have the same length.
    let long_ago = Some(prost_types::Timestamp { seconds: 1_000_000_000, nanos: 0 });
    let mut refused = Vec::new();
    for aa in ["hosts", "hostz"] {
        let dated = EncodeRedirectRequest { issue_time: long_ago, ..encode("fiu@test", aa) };
        let mut elsewhere = encode("fiu@test", aa);
        elsewhere.redirect.as_mut().unwrap().redirect = "https://forbidden.example/".into();
        let odd_secret = EncodeCallbackRequest { secret_id: "none".into(), ..callback("fiu@test", aa) };
        let without_iv = own.query.split("&iv=").next().unwrap();
        let source = |url: &str| DecodeCallbackRequest {
            fiu_id: "fiu@test".into(),
            source: Some(decode_callback_request::Source::Url(url.into())),
            ..Default::default()
        };
        let mut answers = Vec::new();
        for request in [encode("fiu@test", aa), dated, elsewhere] {
            answers.push(client.encode_redirect(of(LENDER, request)).await.unwrap_err());
        }
        for request in [callback("fiu@test", aa), odd_secret] {
            answers.push(client.encode_callback(of(LENDER, request)).await.unwrap_err());
        }
        for request in [decode(aa, &own.query), decode(aa, without_iv)] {
            answers.push(client.decode_redirect(of(LENDER, request)).await.unwrap_err());
        }
        // The callback itself names its AA.
        let forged = crate::support::sender::callback_of(&answer.query, "hosts", aa);
        answers.push(client.decode_callback(of(LENDER, source(&forged))).await.unwrap_err());
        refused.push(answers.iter().map(|status| seen(status, aa, "hosts")).collect::<Vec<_>>());
    }
    assert_eq!(refused[0], refused[1]);
    assert!(refused[0].iter().all(|(code, ..)| *code == Code::NotFound), "{refused:?}");
    // The operator may use the pairing and is told more.
    let dated = EncodeRedirectRequest { issue_time: long_ago, ..encode("fiu@test", "hosts") };
    assert_eq!(refusal(client.encode_redirect(of(OPERATOR, dated)).await).unwrap().1, "FIELD_INVALID");
}

#[tokio::test]
async fn every_page_lists_only_the_callers_pairings() {
    let guarded = start(&[]);
    let mut client = guarded.program.client().await;
    let (mut own, mut token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = client.list_pairings(of(LENDER, list(1, &token))).await.unwrap().into_inner();
        own.extend(page.pairings.into_iter().map(|pairing| (pairing.fiu_id, pairing.aa_id)));
        (token, pages) = (page.next_page_token, pages + 1);
        if token.is_empty() {
            break;
        }
        let shown = String::from_utf8(URL_SAFE_NO_PAD.decode(&token).unwrap()).unwrap();
        let (fiu, aa) = shown.split_once('\0').unwrap();
        assert!(own.contains(&(fiu.to_owned(), aa.to_owned())), "a token names no other pairing: {shown}");
    }
    let expected = ["iv", "json", "v1.5"].map(|aa| ("fiu@test".to_owned(), aa.to_owned()));
    assert_eq!((own, pages), (expected.to_vec(), 3), "an empty page would show that there are other pairings");
    let all = client.list_pairings(of(OPERATOR, list(0, ""))).await.unwrap().into_inner();
    assert!(all.pairings.len() > 3);
    let page = client.list_pairings(of(OPERATOR, list(9, ""))).await.unwrap().into_inner();
    let behind = client.list_pairings(of(LENDER, list(9, &page.next_page_token))).await.unwrap().into_inner();
    assert!(behind.pairings.iter().all(|pairing| ["iv", "json", "v1.5"].contains(&&*pairing.aa_id)));
}

#[tokio::test]
async fn an_unnamed_party_is_chosen_among_the_callers_pairings() {
    let guarded = start(&[]);
    let mut client = guarded.program.client().await;
    let files = &guarded.files;
    let sealed = client.encode_redirect(of(OPERATOR, encode("fiu@test", "iv"))).await.unwrap().into_inner();
    let ambiguous = client.decode_redirect(of(OPERATOR, decode("", &sealed.query))).await;
    assert_eq!(refusal(ambiguous).unwrap().1, "PAIRING_AMBIGUOUS");
    let ambiguous = client.decode_redirect(of(LENDER, decode("", &sealed.query))).await;
    assert_eq!(refusal(ambiguous).unwrap().1, "PAIRING_AMBIGUOUS");
    files.write("callers.toml", &callers().replace("[\"EncodeRedirect\"]", "[\"DecodeRedirect\", \"EncodeRedirect\"]"));
    guarded.program.signal("HUP");
    guarded.program.message(1, "reloaded").await;
    let opened = client.decode_redirect(of(PAYER, decode("", &sealed.query))).await.unwrap().into_inner();
    assert_eq!(opened.aa_id, "iv");
    // A handle also leads only to the caller's own pairings.
    let mut handled = encode("fiu@test", "");
    handled.redirect.as_mut().unwrap().userid = "9999988888@comma".into();
    client.encode_redirect(of(OPERATOR, handled.clone())).await.unwrap();
    assert_eq!(refusal(client.encode_redirect(of(PAYER, handled)).await).unwrap().1, "PAIRING_UNKNOWN");
}

#[tokio::test]
async fn health_reflection_and_the_admin_port_need_no_credentials() {
    let guarded = start(&[]);
    let channel = program::channel(&guarded.program.address).await;
    let health = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(health.status(), ServingStatus::Serving);
    crate::health::reflect(channel.clone()).await;
    assert_eq!(guarded.program.page("/readyz").await.0, 200);
    assert_eq!(guarded.program.page("/metrics").await.0, 200);
    assert_unknown(RedirectServiceClient::new(channel).list_pairings(list(0, "")).await, "");
}

#[tokio::test]
async fn a_changed_callers_file_counts_from_the_next_call_and_a_broken_one_is_not_used() {
    let guarded = start(&[]);
    let mut client = guarded.program.client().await;
    guarded.files.write("callers.toml", "[[caller]]\nname = \"nobody\"\n");
    guarded.program.signal("HUP");
    let refused = guarded.program.message(1, "not reloaded").await;
    assert!(refused["message"].as_str().unwrap().contains("callers.toml:2: a caller needs"), "{refused}");
    client.list_pairings(of(LENDER, list(0, ""))).await.unwrap();
    guarded.files.write("callers.toml", &callers().replace("\"lender\"", "\"renamed\""));
    guarded.program.signal("HUP");
    guarded.program.message(1, "reloaded").await;
    client.list_pairings(of(LENDER, list(0, ""))).await.unwrap();
    guarded.program.event(1, |event| event["caller"] == "renamed").await;
    let all = callers();
    let others = all.split("[[caller]]").filter(|caller| !caller.contains("\"lender\"")).collect::<Vec<_>>();
    guarded.files.write("callers.toml", &others.join("[[caller]]"));
    guarded.program.signal("HUP");
    guarded.program.message(2, "reloaded").await;
    assert_unknown(client.list_pairings(of(LENDER, list(0, ""))).await, "");
    let metrics = guarded.program.metrics().await;
    assert_eq!(metrics.of("aa_redirect_reloads_total{source=\"callers\",outcome=\"applied\"}"), Some(2.0));
    assert_eq!(metrics.of("aa_redirect_reloads_total{source=\"callers\",outcome=\"refused\"}"), Some(1.0));
}
