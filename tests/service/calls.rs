//! The five calls through a client: every field of an answer and every reason of a refusal.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{FULL, MILLIS, NOW, Server, TENTHS, face, fields, metadata, names, reason, sender, start};
use aa_redirect::proto::{
    Callback, CallbackParams, CallbackStatus, DecodeCallbackRequest, DecodeRedirectRequest, EncodeCallbackRequest,
    EncodeRedirectRequest, ListPairingsRequest, Pairing, Redirect, RedirectParams, RequestorType, Scheme, SecretState,
    redirect_service_client::RedirectServiceClient,
};
use tonic::Code;

const TXNID: &str = "2d04747e-21c6-4c23-955b-d46c2f820140";
const PLAIN: &str =
    "txnid=2d04747e-21c6-4c23-955b-d46c2f820140&sessionid=s&userid=u@iv&redirect=https://fiu.example/cb&srcref=a";

fn timestamp(text: &str) -> prost_types::Timestamp {
    text.parse().unwrap()
}

/// A request that every pairing accepts.
fn redirect() -> Redirect {
    Redirect {
        txnid: TXNID.into(),
        sessionid: "s".into(),
        userid: "9999988888@iv".into(),
        redirect: "https://fiu.example/cb".into(),
        srcref: vec!["a".into()],
        ..Redirect::default()
    }
}

/// Members full of characters that need care.
fn difficult() -> Redirect {
    Redirect {
        sessionid: "&=%+# \r\n\tसत्र-१🏦\u{0}é".into(),
        userid: "उपयोगकर्ता+%@iv".into(),
        redirect: "https://fiu.example/cb?a=b%20c&d=+&e=%F0#frag?x=1".into(),
        srcref: vec!["a".into(), "b|c=%+d".into(), "e".into()],
        fipid: vec!["HDFC".into(), "ICICI".into()],
        email: "a.b+aa@example.in".into(),
        pan: "ABCDE1234F".into(),
        dob: "2000-02-29".into(),
        iso_language_code: "hi-IN".into(),
        extra: BTreeMap::from([("chid".into(), String::new()), ("x-y.z_1".into(), "&redirect=evil".into())]),
        ..redirect()
    }
}

fn callback() -> Callback {
    Callback {
        txnid: "T1234".into(),
        sessionid: "&=%+# \r\nसत्र🏦".into(),
        userid: "u@iv".into(),
        status: CallbackStatus::Success.into(),
        errorcode: 0,
        srcref: vec!["a".into(), "b".into()],
        extra: BTreeMap::from([("fip".into(), "A&B".into())]),
    }
}

fn encode_redirect(aa_id: &str, redirect: Redirect) -> EncodeRedirectRequest {
    EncodeRedirectRequest {
        fiu_id: "fiu@test".into(),
        aa_id: aa_id.into(),
        redirect: Some(redirect),
        ..EncodeRedirectRequest::default()
    }
}

fn encode_callback(aa_id: &str, callback: Callback) -> EncodeCallbackRequest {
    EncodeCallbackRequest {
        fiu_id: "fiu@test".into(),
        aa_id: aa_id.into(),
        callback: Some(callback),
        redirect_url: "https://fiu.example/cb?x=1#top".into(),
        ..EncodeCallbackRequest::default()
    }
}

/// Every AA of `fiu@test` in the tests' keyring.
const AAS: [&str; 15] = [
    "iv", "v1.0", "v1.1", "v1.2", "v1.3", "v1.4", "v1.5", "comma", "braces", "json", "tenths", "full", "hosts", "open",
    "reuse",
];

#[tokio::test]
async fn a_redirect_gives_back_every_member_in_every_pairing() {
    let mut server = start().await;
    for aa in AAS {
        let request =
            EncodeRedirectRequest { requestor_type: RequestorType::Lsp.into(), ..encode_redirect(aa, difficult()) };
        let sealed = server.client.encode_redirect(request).await.unwrap().into_inner();
        assert_eq!(sealed.url, format!("https://{aa}.example/webview?{}", sealed.query));
        let opened = server.decode_redirect_for(aa, &sealed.url).await.unwrap();
        assert!(opened.redirect == Some(difficult()), "{aa}");
        assert_eq!((&*opened.fiu_id, &*opened.aa_id), ("fiu@test", aa));
        assert_eq!(opened.requestor_type(), RequestorType::Lsp);
        assert_eq!((&*opened.secret_id, opened.primary_secret), ("new", true));
        let unpadded = aa == "comma" && !sealed.params.as_ref().unwrap().ecreq.len().is_multiple_of(4);
        let mut expected = vec!["DEVIATION_EXTRA_MEMBER"];
        if unpadded {
            expected.insert(0, "DEVIATION_BASE64_UNPADDED");
        }
        assert_eq!(names(&opened.deviations), expected, "{aa}");
        let by_params = server.decode_redirect_params(aa, sealed.params.unwrap()).await.unwrap();
        assert!(by_params.redirect == opened.redirect, "{aa}");
    }
}

#[tokio::test]
async fn a_callback_gives_back_every_member_in_every_pairing() {
    let mut server = start().await;
    for aa in AAS {
        let request = encode_callback(aa, callback());
        let sealed = server.client.encode_callback(request).await.unwrap().into_inner();
        assert_eq!(sealed.url, format!("https://fiu.example/cb?x=1&{}#top", sealed.query));
        let opened = server.decode_callback(&sealed.url).await.unwrap();
        assert!(opened.callback == Some(callback()), "{aa}");
        assert_eq!((&*opened.fiu_id, &*opened.aa_id), ("fiu@test", aa));
        let by_params = server.decode_callback_params("fiu@test", sealed.params.unwrap()).await.unwrap();
        assert!(by_params.callback == opened.callback, "{aa}");
        assert_eq!(opened.replay_until.is_none(), aa == "open");
    }
}

/// Seals for `aa`, and opens with code that shares nothing with the service.
async fn plaintext(server: &mut Server, aa: &str, redirect: Redirect) -> String {
    let sealed = server.client.encode_redirect(encode_redirect(aa, redirect)).await.unwrap().into_inner();
    let params = sealed.params.unwrap();
    let scheme = if params.iv.is_empty() { "pbkdf2" } else { "hkdf-iv" };
    let secret = sender::secret(&format!("fiu-{aa}-new"));
    sender::open(scheme, &secret, &params.reqdate, &params.ecreq, &params.iv)
}

#[tokio::test]
async fn members_are_written_for_readers_of_every_kind() {
    let mut server = start().await;
    let begin = "txnid=2d04747e-21c6-4c23-955b-d46c2f820140&sessionid=";
    let text = plaintext(&mut server, "v1.0", redirect()).await;
    assert_eq!(text, format!("{begin}s&userid=9999988888@iv&redirect=https://fiu.example/cb&srcref=a"));
    let text = plaintext(&mut server, "iv", difficult()).await;
    assert_eq!(
        text,
        format!(
            "{begin}%26%3D%25%2B%23%20%0D%0A%09%E0%A4%B8%E0%A4%A4%E0%A5%8D%E0%A4%B0-%E0%A5%A7%F0%9F%8F%A6%00%C3%A9\
             &userid=%E0%A4%89%E0%A4%AA%E0%A4%AF%E0%A5%8B%E0%A4%97%E0%A4%95%E0%A4%B0%E0%A5%8D%E0%A4%A4%E0%A4%BE%2B%25@iv\
             &redirect=https%3A%2F%2Ffiu.example%2Fcb%3Fa%3Db%2520c%26d%3D%2B%26e%3D%25F0%23frag%3Fx%3D1\
             &srcref=a&srcref=b|c%3D%25%2Bd&srcref=e&fipid=HDFC&fipid=ICICI\
             &email=a.b%2Baa@example.in&pan=ABCDE1234F&dob=2000-02-29&isoLanguageCode=hi-IN&chid=&x-y.z_1=%26redirect%3Devil"
        )
    );
    let lists = Redirect { srcref: vec!["a".into(), "b".into()], sessionid: String::new(), ..redirect() };
    for (aa, list) in [("comma", "srcref=a,b"), ("braces", "srcref={a,b}"), ("json", r#"srcref=["a","b"]"#)] {
        let request = encode_redirect(aa, lists.clone());
        let params = server.client.encode_redirect(request).await.unwrap().into_inner().params.unwrap();
        let padding = (4 - params.ecreq.len() % 4) % 4;
        let padded = params.ecreq + &"==="[..padding];
        let secret = sender::secret(&format!("fiu-{aa}-new"));
        let text = sender::open("hkdf-iv", &secret, &params.reqdate, &padded, &params.iv);
        assert_eq!(text, format!("{begin}&userid=9999988888@iv&redirect=https://fiu.example/cb&{list}"));
    }
}

#[tokio::test]
async fn the_specifications_example_date_is_written() {
    let mut server = start().await;
    for (aa, now, expected) in [
        ("iv", "2021-04-06T05:10:00.756Z", "060420210510756"),
        ("v1.0", "2021-04-06T05:10:00.756Z", "060420210510756"),
        ("v1.5", "2021-04-06T05:10:23.756Z", "060420210510237"),
        ("full", "2021-04-06T05:10:23.756Z", "06042021051023756"),
    ] {
        // Two minutes from now, inside the window: the date comes from `issue_time`, not from now.
        server.set_now("2021-04-06T05:12:00Z");
        let request = EncodeRedirectRequest { issue_time: Some(timestamp(now)), ..encode_redirect(aa, redirect()) };
        let sealed = server.client.encode_redirect(request).await.unwrap().into_inner();
        assert_eq!(sealed.params.unwrap().reqdate, expected);
        assert_eq!(sealed.issue_time, Some(timestamp(now)));
        assert_eq!(sealed.expire_time.unwrap().seconds, timestamp(now).seconds + 180);
    }
}

#[tokio::test]
async fn the_handle_selects_the_aa_and_a_given_aa_id_overrides_it() {
    let mut server = start().await;
    for (aa_id, userid, expected) in [("", "u@v1.2", "v1.2"), ("iv", "u@v1.2", "iv"), ("iv", "u@elsewhere", "iv")] {
        let request = encode_redirect(aa_id, Redirect { userid: userid.into(), ..redirect() });
        let sealed = server.client.encode_redirect(request).await.unwrap().into_inner();
        assert!(sealed.url.starts_with(&format!("https://{expected}.example/")), "{}", expected);
    }
    let request = encode_redirect("", Redirect { userid: "u@elsewhere".into(), ..redirect() });
    let refused = server.client.encode_redirect(request).await.unwrap_err();
    assert_eq!(reason(&refused), "PAIRING_UNKNOWN");
    assert_eq!(metadata(&refused, "fiu_id").as_deref(), Some("fiu@test"));
    assert!(!format!("{refused:?}").contains("elsewhere"), "a part of a user id is not echoed");
}

#[tokio::test]
async fn an_empty_txnid_becomes_a_random_uuid() {
    let mut server = start().await;
    let mut seen = BTreeSet::new();
    for _ in 0..2 {
        let request = encode_redirect("iv", Redirect { txnid: String::new(), ..redirect() });
        let sealed = server.client.encode_redirect(request).await.unwrap().into_inner();
        let opened = server.decode_redirect_for("iv", &sealed.url).await.unwrap();
        assert_eq!(opened.redirect.unwrap().txnid, sealed.txnid);
        assert_eq!(uuid::Uuid::parse_str(&sealed.txnid).unwrap().get_version_num(), 4);
        assert!(seen.insert(sealed.txnid));
    }
}

#[tokio::test]
async fn a_pairing_without_web_view_gives_a_query_and_no_url() {
    let mut server = start().await;
    let request = EncodeRedirectRequest { fiu_id: "lsp@test".into(), ..encode_redirect("iv", redirect()) };
    let sealed = server.client.encode_redirect(request).await.unwrap().into_inner();
    assert_eq!(sealed.url, "");
    // The only pairing of this FIU: the AA need not be named.
    let opened = server.decode_redirect(&format!("?{}", sealed.query)).await.unwrap();
    assert_eq!((&*opened.fiu_id, &*opened.aa_id), ("lsp@test", "iv"));
}

#[tokio::test]
async fn an_old_secret_opens_and_answers_but_does_not_encode() {
    let mut server = start().await;
    for aa in ["iv", "v1.5"] {
        let old = sender::secret(&format!("fiu-{aa}-old"));
        let query = sender::request_with(&old, aa, MILLIS, PLAIN).request_query();
        let opened = server.decode_redirect_for(aa, &query).await.unwrap();
        assert_eq!((&*opened.secret_id, opened.primary_secret), ("old", false));
        let request = EncodeCallbackRequest { secret_id: opened.secret_id, ..encode_callback(aa, callback()) };
        let sealed = server.client.encode_callback(request).await.unwrap().into_inner();
        assert_eq!(sealed.secret_id, "old");
        let params = sealed.params.unwrap();
        let scheme = if aa == "iv" { "hkdf-iv" } else { "pbkdf2" };
        let text = sender::open(scheme, &old, &params.resdate, &params.ecres, &params.iv);
        assert!(text.starts_with("txnid=T1234&sessionid="), "{aa}");
        let sealed = server.client.encode_redirect(encode_redirect(aa, redirect())).await.unwrap();
        assert_eq!(sealed.into_inner().secret_id, "new");
    }
}

#[tokio::test]
async fn the_answer_has_issue_time_age_and_replay_until() {
    let mut server = start().await;
    for (aa, date, issued, age, replay_until) in [
        ("iv", MILLIS, "2026-11-21T10:40:00.756Z", (23, 0), "2026-11-21T10:44:00Z"),
        ("tenths", TENTHS, "2026-11-21T10:40:23.700Z", (0, 56_000_000), "2026-11-21T10:43:23.800Z"),
        ("full", FULL, NOW, (0, 0), "2026-11-21T10:43:23.756Z"),
        ("iv", "21112026104030", "2026-11-21T10:40:30Z", (-6, -244_000_000), "2026-11-21T10:43:30Z"),
        // The digits are not tenths: the pairing's style does not fit, and the other reading does.
        ("v1.5", "211120261040631", "2026-11-21T10:40:00.631Z", (23, 125_000_000), "2026-11-21T10:44:00Z"),
    ] {
        let query = sender::request(aa, date, PLAIN).request_query();
        let opened = server.decode_redirect_for(aa, &query).await.unwrap();
        assert_eq!(opened.issue_time, Some(timestamp(issued)), "{date}");
        let opened_age = opened.age.unwrap();
        assert_eq!((opened_age.seconds, opened_age.nanos), age, "{date}");
        assert_eq!(opened.replay_until, Some(timestamp(replay_until)), "{date}");
    }
}

#[tokio::test]
async fn a_date_is_refused_only_if_every_reading_lies_outside_the_window() {
    let mut server = start().await;
    let query = sender::request("iv", MILLIS, PLAIN).request_query();
    for (now, expected) in [
        ("2026-11-21T10:36:59.999Z", Some("DATE_IN_FUTURE")),
        ("2026-11-21T10:37:00Z", None),
        ("2026-11-21T10:44:00Z", None),
        ("2026-11-21T10:44:00.001Z", Some("DATE_EXPIRED")),
    ] {
        server.set_now(now);
        let answer = server.decode_redirect_for("iv", &query).await;
        assert_eq!(answer.err().map(|refused| reason(&refused)).as_deref(), expected, "{now}");
    }
    let refused = server.decode_redirect_for("iv", &query).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(metadata(&refused, "age_seconds").as_deref(), Some("239"));
    assert_eq!(metadata(&refused, "max_age_seconds").as_deref(), Some("180"));
}

#[tokio::test]
async fn a_pairing_can_turn_the_check_of_resdate_off() {
    let mut server = start().await;
    let outcome = "txnid=t&userid=u@iv&status=F&errorcode=1";
    server.set_now("2030-01-01T00:00:00Z");
    let query = sender::callback("open", MILLIS, outcome).callback_query();
    assert_eq!(server.decode_callback(&query).await.unwrap().error_message, "Consent is rejected");
    let query = sender::callback("iv", MILLIS, outcome).callback_query();
    assert_eq!(reason(&server.decode_callback(&query).await.unwrap_err()), "DATE_EXPIRED");
}

#[tokio::test]
async fn all_violations_of_a_request_are_reported_at_once() {
    let mut server = start().await;
    let refused = server.client.encode_redirect(EncodeRedirectRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(fields(&refused), ["fiu_id", "redirect.userid", "redirect.redirect", "redirect.srcref"]);
    let request = EncodeRedirectRequest {
        fiu_id: "fiu@test".into(),
        aa_id: "iv".into(),
        redirect: Some(Redirect {
            txnid: "T1234".into(),
            sessionid: "s".repeat(8193),
            userid: "u u@iv".into(),
            redirect: "javascript://x".into(),
            srcref: vec!["a,b".into()],
            fipid: vec![" x".into()],
            email: "e".repeat(8193),
            pan: "ABCDE12345".into(),
            dob: "1999-02-29".into(),
            iso_language_code: "fr-FR".into(),
            extra: BTreeMap::from([("pan".into(), String::new())]),
        }),
        requestor_type: 7,
        issue_time: Some(timestamp("2026-11-21T10:37:23.755Z")),
    };
    let refused = server.client.encode_redirect(request).await.unwrap_err();
    let expected = [
        "redirect.txnid",
        "redirect.sessionid",
        "redirect.userid",
        "redirect.redirect",
        "redirect.srcref",
        "redirect.fipid",
        "redirect.email",
        "redirect.pan",
        "redirect.dob",
        "redirect.iso_language_code",
        "redirect.extra",
        "requestor_type",
        "issue_time",
    ];
    assert_eq!(fields(&refused), expected);
    let refused = server.client.encode_callback(EncodeCallbackRequest::default()).await.unwrap_err();
    let expected = ["fiu_id", "aa_id", "callback.txnid", "callback.userid", "callback.status", "redirect_url"];
    assert_eq!(fields(&refused), expected);
    let request = EncodeCallbackRequest {
        secret_id: "older".into(),
        redirect_url: "https://fiu.example/cb?ecres=1".into(),
        ..encode_callback("iv", Callback { errorcode: 1, srcref: vec![], ..callback() })
    };
    let refused = server.client.encode_callback(request).await.unwrap_err();
    assert_eq!(fields(&refused), ["callback.errorcode", "callback.srcref", "redirect_url", "secret_id"]);
}

#[tokio::test]
async fn limits_are_exact() {
    let mut server = start().await;
    for (sessionid, srcref, expected) in [
        ("s".repeat(8192), 1, None),
        ("s".repeat(8193), 1, Some("redirect.sessionid")),
        (String::new(), 200, None),
        (String::new(), 201, Some("redirect.srcref")),
        // Each byte becomes three, so the URL has over 48 KiB although no member is too long.
        ("%".repeat(8192), 1, None),
        ("%".repeat(8192), 199, Some("redirect")),
    ] {
        let srcref = (0..srcref).map(|number| format!("{number:036}{}", "x".repeat(60))).collect();
        let request = encode_redirect("iv", Redirect { sessionid, srcref, ..redirect() });
        let answer = server.client.encode_redirect(request).await;
        let violations = answer.err().map(|refused| fields(&refused));
        assert_eq!(violations, expected.map(|field| vec![field.to_owned()]));
    }
}

#[tokio::test]
async fn a_decode_without_a_source_or_with_missing_parameters_names_the_fields() {
    let mut server = start().await;
    let refused = server.client.decode_redirect(DecodeRedirectRequest::default()).await.unwrap_err();
    assert_eq!(fields(&refused), ["url"]);
    let refused = server.client.decode_callback(DecodeCallbackRequest::default()).await.unwrap_err();
    assert_eq!(fields(&refused), ["url"]);
    let refused = server.decode_redirect_params("", RedirectParams::default()).await.unwrap_err();
    assert_eq!(fields(&refused), ["params.fi", "params.reqdate", "params.ecreq"]);
    let refused = server.decode_callback_params("", CallbackParams::default()).await.unwrap_err();
    assert_eq!(fields(&refused), ["params.fi", "params.resdate", "params.ecres"]);
    let refused = server.decode_redirect(&format!("?{}", "&".repeat(48 * 1024))).await.unwrap_err();
    assert_eq!(fields(&refused), ["url"]);
}

/// The refusal of a changed URL: reason, code and the wrong parameter.
async fn refusal(server: &mut Server, url: &str) -> (String, Code, Option<String>) {
    let refused = server.decode_redirect_for("iv", url).await.unwrap_err();
    (reason(&refused), refused.code(), metadata(&refused, "parameter"))
}

#[tokio::test]
async fn problems_that_need_no_key_have_their_own_reasons() {
    let mut server = start().await;
    let message = sender::request("iv", MILLIS, PLAIN);
    let query = message.request_query();
    let escaped = sender::escape(&message.sealed);
    let cases: &[(String, &str, &str)] = &[
        ("https://iv.example/webview".into(), "URL_MALFORMED", "fi, reqdate, ecreq"),
        ("nonsense".into(), "URL_MALFORMED", "fi, reqdate, ecreq"),
        (format!("https://x/?iv=#?{query}"), "URL_MALFORMED", "fi, reqdate, ecreq"),
        (query.replace("reqdate", "resdate").replace("ecreq", "ecres"), "URL_MALFORMED", "reqdate, ecreq"),
        (query.replace("&ecreq", "&other"), "URL_MALFORMED", "ecreq"),
        (format!("{query}&fi=AAAA"), "URL_MALFORMED", "fi"),
        (format!("{query}&%66i=AAAA"), "URL_MALFORMED", "fi"),
        (format!("{query}&requestorType=a&requestorType=b"), "URL_MALFORMED", "requestorType"),
        (query.replace(MILLIS, "310220261040756"), "DATE_MALFORMED", "reqdate"),
        (query.replace(MILLIS, "211120261040756000"), "DATE_MALFORMED", "reqdate"),
        (query.replace(MILLIS, "21112026104075%FF"), "DATE_MALFORMED", "reqdate"),
        (query.replace(MILLIS, "２１112026104075"), "DATE_MALFORMED", "reqdate"),
        (query.replace(MILLIS, ""), "DATE_MALFORMED", "reqdate"),
        (query.replace("fi=", "fi=%ZZ"), "PARAMETER_MALFORMED", "fi"),
        (query.replace("fi=", "fi=%FF"), "PARAMETER_MALFORMED", "fi"),
        (query.replace(&sender::escape(&message.fi), "_w%3D%3D"), "PARAMETER_MALFORMED", "fi"),
        (query.replace(&sender::escape(&message.fi), "Mg%3D%3D"), "PARAMETER_MALFORMED", "fi"),
        (query.replace(&sender::escape(&message.fi), ""), "PARAMETER_MALFORMED", "fi"),
        (query.replace("&iv=", "&iv=AAAA"), "PARAMETER_MALFORMED", "iv"),
        (query.replace(&escaped, &escaped[..escaped.len() - 7]), "PARAMETER_MALFORMED", "ecreq"),
        (query.replace(&escaped, ""), "PARAMETER_MALFORMED", "ecreq"),
        (query.replace(&escaped, "%25252525252525252525"), "PARAMETER_MALFORMED", "ecreq"),
    ];
    for (url, expected, parameter) in cases {
        let got = refusal(&mut server, url).await;
        assert_eq!(got, ((*expected).to_owned(), Code::InvalidArgument, Some((*parameter).to_owned())), "{url}");
    }
}

#[tokio::test]
async fn an_id_over_128_bytes_is_malformed() {
    let mut server = start().await;
    let message = sender::request("iv", MILLIS, PLAIN);
    for (length, expected) in [(128, "PAIRING_UNKNOWN"), (129, "PARAMETER_MALFORMED")] {
        use base64::Engine;
        let masked = sender::mask(&vec![b'x'; length], MILLIS);
        let fi = base64::engine::general_purpose::STANDARD.encode(masked);
        let url = sender::Message { fi, ..message.clone() }.request_query();
        assert_eq!(refusal(&mut server, &url).await.0, expected);
    }
}

#[tokio::test]
async fn unknown_and_ambiguous_pairings_have_their_own_reasons() {
    let mut server = start().await;
    let query = sender::request("iv", MILLIS, PLAIN).request_query();
    let refused = server.decode_redirect_for("elsewhere", &query).await.unwrap_err();
    assert_eq!((reason(&refused).as_str(), refused.code()), ("PAIRING_UNKNOWN", Code::NotFound));
    assert_eq!(metadata(&refused, "fiu_id").as_deref(), Some("fiu@test"));
    assert_eq!(metadata(&refused, "aa_id").as_deref(), Some("elsewhere"));
    let refused = server.decode_redirect(&query).await.unwrap_err();
    assert_eq!((reason(&refused).as_str(), refused.code()), ("PAIRING_AMBIGUOUS", Code::InvalidArgument));
    assert_eq!(metadata(&refused, "fiu_id").as_deref(), Some("fiu@test"));
}

#[tokio::test]
async fn a_message_of_the_other_scheme_is_refused_before_any_key_is_derived() {
    let mut server = start().await;
    for (aa, query) in [
        ("v1.0", sender::request("iv", MILLIS, PLAIN).request_query()),
        ("iv", sender::request("v1.0", MILLIS, PLAIN).request_query()),
        ("iv", sender::request("v1.0", MILLIS, PLAIN).request_query() + "&iv="),
    ] {
        let refused = server.decode_redirect_for(aa, &query).await.unwrap_err();
        assert_eq!((reason(&refused).as_str(), refused.code()), ("SCHEME_MISMATCH", Code::FailedPrecondition));
    }
    let empty = sender::request("v1.0", MILLIS, PLAIN).request_query() + "&iv=";
    assert!(server.decode_redirect_for("v1.0", &empty).await.is_ok(), "an empty iv is an absent one");
}

#[tokio::test]
async fn a_pairing_with_read_date_tenths_refuses_digits_that_are_not_tenths() {
    let query = sender::request("tenths", "211120261040631", PLAIN).request_query();
    let refused = start().await.decode_redirect_for("tenths", &query).await.unwrap_err();
    assert_eq!(reason(&refused), "DATE_MALFORMED");
}

#[tokio::test]
async fn the_first_reason_in_order_is_given() {
    let mut server = start().await;
    let stale = sender::request("v1.0", "211120251040756", PLAIN).request_query();
    for (aa, url, expected) in [
        ("iv", stale.replace("ecreq=", "ecreq=!") + "&fi=", "URL_MALFORMED"),
        ("iv", stale.replace("ecreq=", "ecreq=!").replace("2025", "xxxx"), "DATE_MALFORMED"),
        ("elsewhere", stale.replace("ecreq=", "ecreq=!"), "PARAMETER_MALFORMED"),
        ("elsewhere", stale.clone(), "PAIRING_UNKNOWN"),
        ("iv", stale.clone(), "SCHEME_MISMATCH"),
        ("v1.0", stale, "DATE_EXPIRED"),
    ] {
        let refused = server.decode_redirect_for(aa, &url).await.unwrap_err();
        assert_eq!(reason(&refused), expected);
    }
}

#[tokio::test]
async fn a_forbidden_host_is_refused_on_encode() {
    let mut server = start().await;
    for url in ["https://evil.test/", "https://fiu.example.evil.test/", "myapp://done"] {
        let request = encode_redirect("hosts", Redirect { redirect: url.into(), ..redirect() });
        let refused = server.client.encode_redirect(request).await.unwrap_err();
        assert_eq!((reason(&refused).as_str(), refused.code()), ("REDIRECT_FORBIDDEN", Code::PermissionDenied));
        let request = EncodeCallbackRequest { redirect_url: url.into(), ..encode_callback("hosts", callback()) };
        let refused = server.client.encode_callback(request).await.unwrap_err();
        assert_eq!(reason(&refused), "REDIRECT_FORBIDDEN");
    }
}

#[tokio::test]
async fn every_failure_of_decryption_gets_the_same_answer() {
    let mut server = start().await;
    let good = sender::request("iv", MILLIS, PLAIN);
    let plaintexts: [&[u8]; 6] = [b"", b"txnid", b"\xff\xff", b"txnid=%zz", b"txnid=a&txnid=b", b"txnid=a&&b=c"];
    let mut queries: Vec<String> =
        plaintexts.iter().map(|text| sender::request("iv", MILLIS, text).request_query()).collect();
    queries.push(sender::request_with(b"another secret", "iv", MILLIS, PLAIN).request_query());
    for last in ["A", "B", "C", "D"] {
        // The first byte of the last block: padding and garbage of every kind.
        let at = good.sealed.len() - 24;
        let sealed = [&good.sealed[..at], last, &good.sealed[at + 1..]].concat();
        queries.push(sender::Message { sealed, ..good.clone() }.request_query());
    }
    let mut answers = BTreeSet::new();
    for query in queries {
        let refused = server.decode_redirect_for("iv", &query).await.unwrap_err();
        assert_eq!((reason(&refused).as_str(), refused.code()), ("UNDECIPHERABLE", Code::InvalidArgument));
        answers.insert(face(&refused));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    let (mut answers, other) = (BTreeSet::new(), sender::request("hosts", MILLIS, b"txnid"));
    for query in [other, sender::request("hosts", MILLIS, PLAIN.replace("fiu.example", "evil.test"))] {
        answers.insert(face(&server.decode_redirect_for("hosts", &query.request_query()).await.unwrap_err()));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn a_request_over_64_kib_is_refused_with_a_reason() {
    let mut server = start().await;
    let request = encode_redirect("iv", Redirect { sessionid: "s".repeat(64 * 1024), ..redirect() });
    let refused = server.client.encode_redirect(request).await.unwrap_err();
    assert_eq!((reason(&refused).as_str(), refused.code()), ("REQUEST_TOO_LARGE", Code::ResourceExhausted));
}

#[tokio::test]
async fn a_passed_deadline_is_answered_with_deadline_exceeded() {
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};
    let server = start().await;
    // tonic's own channel would keep the deadline of the header itself, and never send the call.
    let http = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let origin = format!("http://{}", server.address).parse().unwrap();
    let mut client = RedirectServiceClient::with_origin(http, origin);
    let mut request = tonic::Request::new(encode_redirect("v1.0", redirect()));
    request.metadata_mut().insert("grpc-timeout", "1n".parse().unwrap());
    let refused = client.encode_redirect(request).await.unwrap_err();
    assert_eq!((reason(&refused).as_str(), refused.code()), ("TIMED_OUT", Code::DeadlineExceeded));
}

#[tokio::test]
async fn pairings_are_listed_in_pages_without_secrets() {
    let mut server = start().await;
    let mut seen: Vec<Pairing> = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListPairingsRequest { page_size: 4, page_token };
        let page = server.client.list_pairings(request).await.unwrap().into_inner();
        assert!(page.pairings.len() <= 4);
        seen.extend(page.pairings);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let ids: Vec<_> = seen.iter().map(|pairing| (pairing.fiu_id.clone(), pairing.aa_id.clone())).collect();
    assert!(ids.is_sorted());
    assert_eq!(ids.len(), AAS.len() + 1);
    let pairing = seen.iter().find(|pairing| pairing.aa_id == "v1.5").unwrap();
    assert_eq!((&*pairing.profile, pairing.scheme()), ("v1.5", Scheme::Pbkdf2));
    assert_eq!((&*pairing.webview_url, &pairing.handles), ("https://v1.5.example/webview", &vec!["v1.5".to_owned()]));
    let states: Vec<_> = pairing.secrets.iter().map(|secret| (&*secret.id, secret.state())).collect();
    assert_eq!(states, [("new", SecretState::Primary), ("old", SecretState::DecodeOnly)]);
    for (page_size, page_token) in [(-1, ""), (0, "nonsense"), (0, "!")] {
        let request = ListPairingsRequest { page_size, page_token: page_token.into() };
        let refused = server.client.list_pairings(request).await.unwrap_err();
        assert_eq!(fields(&refused), [if page_size < 0 { "page_size" } else { "page_token" }]);
    }
}

#[tokio::test]
async fn no_debug_output_holds_a_payload() {
    let request = encode_redirect("iv", redirect());
    assert_eq!(format!("{request:?} {:?}", request.redirect), "EncodeRedirectRequest { .. } Some(Redirect { .. })");
    let source = aa_redirect::proto::decode_redirect_request::Source::Url("https://aa.example/webview?ecreq=…".into());
    assert_eq!(format!("{source:?}"), "decode_redirect_request::Source { .. }");
}

#[tokio::test]
async fn messages_of_a_span_share_a_date_if_the_pairing_reuses_dates() {
    let mut server = start().await;
    let mut date = async |now: &str| {
        server.set_now(now);
        let sealed = server.client.encode_redirect(encode_redirect("reuse", redirect())).await.unwrap().into_inner();
        let opened = server.decode_redirect_for("reuse", &sealed.query).await.unwrap();
        assert_eq!(names(&opened.deviations), [""; 0]);
        sealed.params.unwrap().reqdate
    };
    let first = date("2026-11-21T10:40:23.001Z").await;
    assert_eq!(first, date("2026-11-21T10:40:23.999Z").await);
    let second = date("2026-11-21T10:40:24.000Z").await;
    assert_ne!(first, second);
    // This style drops the seconds, so the digits must distinguish the spans of a minute.
    assert_ne!(first, date("2026-11-21T10:40:25.000Z").await);
}
