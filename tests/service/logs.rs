//! The log: one event for each call, and never the content of a call.

use aa_redirect::proto::{Callback, CallbackStatus, EncodeCallbackRequest, ListPairingsRequest};
use serde_json::Value;
use tonic::Request;

use crate::support::program::{Files, Program, decode, encode, opened, sealed, text};

const SECRET: &str = "marker-secret-0123456789abcdefghi";

fn is_call(event: &Value) -> bool {
    event["message"] == "call"
}

#[tokio::test]
async fn each_call_is_one_event_under_the_request_id_that_the_caller_gave_or_got() {
    let files = Files::new();
    let program = Program::start(&["--keyring", text(&files.keyring("iv", &[("one", SECRET)]))]);
    let mut client = program.client().await;
    let mut given = Request::new(encode("fiu", "aa"));
    given.metadata_mut().insert("x-request-id", "My-id_1.2".parse().unwrap());
    let answer = client.encode_redirect(given).await.unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "My-id_1.2");
    assert!(answer.metadata().get("date").is_none(), "no header that gRPC does not need");
    let query = answer.into_inner().query;
    let too_long = "a".repeat(65);
    for malformed in ["a b", "", "a\"}", "é", &too_long] {
        let mut request = Request::new(decode("aa", &query));
        // A text that cannot be a header is not sent.
        let Ok(value) = tonic::metadata::AsciiMetadataValue::try_from(malformed.as_bytes()) else { continue };
        request.metadata_mut().insert("x-request-id", value);
        let answer = client.decode_redirect(request).await.unwrap();
        let fresh = answer.metadata().get("x-request-id").unwrap().to_str().unwrap().to_owned();
        assert!(fresh.len() == 32 && fresh.bytes().all(|byte| byte.is_ascii_hexdigit()), "{malformed}: {fresh}");
        program.event(1, |event| event["request_id"] == *fresh).await;
    }
    let refused = client.decode_redirect(decode("aa", &query.replace("ecreq=", "ecreq=AAAA"))).await.unwrap_err();
    let refused_id = refused.metadata().get("x-request-id").unwrap().to_str().unwrap().to_owned();
    let event = program.event(1, |event| is_call(event) && event["request_id"] == "My-id_1.2").await;
    assert_eq!(
        [&event["level"], &event["method"], &event["fiu"], &event["aa"], &event["code"]],
        ["INFO", "EncodeRedirect", "fiu", "aa", "OK"]
    );
    assert!(event["duration_us"].is_u64() && event["reason"].is_null() && event["caller"].is_null(), "{event}");
    let event = program.event(1, |event| is_call(event) && event["request_id"] == *refused_id).await;
    assert_eq!(
        [&event["method"], &event["code"], &event["reason"]],
        ["DecodeRedirect", "INVALID_ARGUMENT", "PARAMETER_MALFORMED"]
    );
    assert!(event["fiu"].is_null(), "the message's word for it does not go to the log: {event}");
    assert_eq!(program.events(|event| event["request_id"] == "My-id_1.2").len(), 1);
}

#[tokio::test]
async fn no_line_has_a_payload_a_user_id_a_secret_a_token_or_a_url() {
    let files = Files::new();
    let keyring = files.keyring("v1.2", &[("one", SECRET)]);
    let mut program = Program::start(&["--keyring", text(&keyring), "--log-level", "debug"]);
    let mut client = program.client().await;
    let mut request = encode("fiu", "aa");
    let redirect = request.redirect.as_mut().unwrap();
    redirect.sessionid = "marker-session".into();
    redirect.userid = "marker-user@handle".into();
    redirect.redirect = "https://marker-host.example/marker-path".into();
    redirect.srcref = vec!["marker-srcref".into()];
    redirect.email = "marker@mail.example".into();
    redirect.extra.insert("markerextra".into(), "marker-value".into());
    let mut with_token = Request::new(request.clone());
    with_token.metadata_mut().insert("authorization", "Bearer marker-token".parse().unwrap());
    with_token.metadata_mut().insert("x-request-id", "marker id".parse().unwrap());
    let good = client.encode_redirect(with_token).await.unwrap().into_inner();
    opened(&mut client, "aa", &good.query).await.unwrap();
    let sealed_text = good.params.unwrap().ecreq;
    // Calls that are refused: for fields, pairing, URL, date, parameter and key.
    request.redirect.as_mut().unwrap().redirect = "marker-no-url".into();
    client.encode_redirect(request.clone()).await.unwrap_err();
    request.fiu_id = "marker-fiu".into();
    client.encode_redirect(request).await.unwrap_err();
    for query in [
        "https://marker-host.example/?fi=marker".to_owned(),
        format!("{}&fi=marker", good.query),
        good.query.replace("reqdate=", "reqdate=marker"),
        good.query.replace("ecreq=", "ecreq=marker"),
        good.query.replace("fi=", "fi=bWFya2Vy"),
        good.query.replace(&sealed_text[..8], "markerab"),
    ] {
        opened(&mut client, "aa", &query).await.unwrap_err();
    }
    sealed(&mut client, "fiu", "marker-aa").await.unwrap_err();
    let callback = EncodeCallbackRequest {
        fiu_id: "fiu".into(),
        aa_id: "aa".into(),
        callback: Some(Callback {
            txnid: "marker-txnid".into(),
            userid: "marker-user@handle".into(),
            status: CallbackStatus::Failure.into(),
            errorcode: 1,
            ..Callback::default()
        }),
        redirect_url: "https://marker-host.example/".into(),
        ..EncodeCallbackRequest::default()
    };
    client.encode_callback(callback).await.unwrap();
    client.list_pairings(ListPairingsRequest { page_size: 0, page_token: "marker-page".into() }).await.unwrap_err();
    // A file with a secret in the wrong place.
    files.write("keyring.toml", &format!("[[pairing]]\nfiu = \"fiu\"\nsecret = \"{SECRET}\"\n"));
    program.signal("HUP");
    program.message(1, "not reloaded").await;
    program.signal("TERM");
    assert_eq!(program.ended().await, Some(0));
    assert_eq!(program.events(is_call).len(), 13);
    let log = program.log();
    for unspoken in ["marker", "9999988888", &sealed_text[..16], "https://", "Bearer"] {
        assert!(!log.contains(unspoken), "{unspoken}: {log}");
    }
}

#[tokio::test]
async fn the_start_line_has_the_settings_without_a_secret() {
    let files = Files::new();
    let secrets = "secrets = [{ id = \"one\", env = \"THE_SECRET\" }]\n";
    let pairing = crate::support::program::pairing("iv");
    let keyring = files.write("keyring.toml", &format!("[[pairing]]\n{pairing}{secrets}"));
    let program = Program::start_with(&["--keyring", text(&keyring)], &[("THE_SECRET", SECRET)]);
    let settings = program.message(1, "settings").await;
    assert_eq!(settings["keyring"], text(&keyring));
    assert_eq!(settings["callers"], "everybody who can connect");
    assert!(!program.log().contains(SECRET));
}
