//! `aa-redirect rehearse` over real sockets: journeys, user ids that decide by themselves, faults, hostile input, and
//! defence against other sites.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    reason = "a test says what it expects by unwrapping it"
)]

mod browser;

use std::process::{Command, Output};

use aa_redirect::proto::{
    DecodeCallbackRequest, DecodeRedirectRequest, EncodeRedirectRequest, Redirect, decode_callback_request::Source,
    decode_redirect_request, redirect_service_client::RedirectServiceClient,
};
use browser::{Answer, Rehearsal, html};

/// The pairings of the sandbox, with the handle of each.
const PAIRINGS: [(&str, &str, &str); 8] = [
    ("fiu@sandbox", "alpha-aa", "alpha"),
    ("fiu@sandbox", "beta-aa", "beta"),
    ("fiu@sandbox", "gamma-aa", "gamma"),
    ("fiu@sandbox", "delta-aa", "delta"),
    ("lender@sandbox", "alpha-aa", "alpha"),
    ("lender@sandbox", "beta-aa", "beta"),
    ("lender@sandbox", "gamma-aa", "gamma"),
    ("lender@sandbox", "delta-aa", "delta"),
];
const HOSTILE: &str = "<script>alert(1)</script>";

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_aa-redirect")).args(arguments).env_clear().output().unwrap()
}

fn holds(answer: &Answer, text: &str) {
    assert!(answer.body.contains(text), "no {text:?} in {}", answer.body);
}

/// The number at the end of the last link to a journey.
fn journey_of(answer: &Answer) -> String {
    let (_, rest) = answer.body.rsplit_once("/journeys/").unwrap();
    rest.chars().take_while(char::is_ascii_digit).collect()
}

/// The name of the message in the form of the AA desk.
fn message_of(answer: &Answer) -> String {
    let (_, rest) = answer.body.split_once("name=\"message\" value=\"").unwrap();
    rest.chars().take_while(char::is_ascii_hexdigit).collect()
}

#[test]
fn a_user_comes_back_with_the_consent_in_every_pairing() {
    let pages = Rehearsal::start(&[]);
    for (fiu, aa, handle) in PAIRINGS {
        let (back, url) = pages.journey(fiu, aa, &format!("accept@{handle}"), &[("sessionid", "a&b=c%d+e#सत्र👩‍🌾")]);
        assert_eq!(back.status, 200, "{fiu} {aa}: {}", back.body);
        assert!(url.starts_with(&format!("{}/fiu/{fiu}/callback?visit=", pages.origin())), "{url}");
        holds(&back, "Consent given");
        holds(&back, &html("a&b=c%d+e#सत्र👩‍🌾"));
        holds(&back, "yes, it is the answer to the request");
    }
}

#[test]
fn a_user_id_decides_by_itself() {
    let pages = Rehearsal::start(&[]);
    for (userid, status, text) in [
        ("reject@alpha", 200, "Error 1: Consent is rejected"),
        ("error-6@alpha", 200, "Error 6: Session timeout"),
        ("error-9@alpha", 200, "Error 9: Account not discovered: nothing at any FIP"),
        ("error-4000000000@alpha", 200, "Unlisted error code 4000000000"),
        ("wrong-secret@alpha", 422, "UNDECIPHERABLE"),
        ("changed@alpha", 422, "UNDECIPHERABLE"),
        ("missing-status@alpha", 422, "UNDECIPHERABLE"),
        ("stale@alpha", 422, "DATE_EXPIRED"),
        ("ahead@alpha", 422, "DATE_IN_FUTURE"),
        ("other-scheme@alpha", 422, "SCHEME_MISMATCH"),
        ("spliced@alpha", 422, "NOT_EXPECTED"),
        ("replay@alpha", 422, "NOT_EXPECTED"),
        ("hash-route@alpha", 422, "URL_MALFORMED"),
        ("reload@alpha", 200, "Opened before."),
        ("base64-unpadded@alpha", 200, "<code>BASE64_UNPADDED</code>"),
        ("second-question-mark@alpha", 200, "<code>SECOND_QUESTION_MARK</code>"),
        ("status-mismatch@alpha", 200, "treat this as a failure"),
    ] {
        let (back, _) = pages.journey("fiu@sandbox", "alpha-aa", userid, &[]);
        assert_eq!(back.status, status, "{userid}: {}", back.body);
        holds(&back, text);
    }
}

#[test]
fn a_message_that_does_not_open_is_explained() {
    let pages = Rehearsal::start(&[]);
    let (back, _) = pages.journey("fiu@sandbox", "beta-aa", "missing-errorcode@beta", &[]);
    holds(&back, "Diagnosis");
    holds(&back, "errorcode");
    let (arrived, _) = pages.journey("fiu@sandbox", "alpha-aa", "9999988888@alpha", &[("fault", "missing-redirect")]);
    assert_eq!(arrived.status, 422);
    holds(&arrived, "UNDECIPHERABLE");
    holds(&arrived, "Diagnosis");
}

#[test]
fn the_aa_desk_answers_with_the_decision_of_its_user() {
    let pages = Rehearsal::start(&[]);
    let (desk, _) = pages.journey("fiu@sandbox", "alpha-aa", "9999988888@alpha", &[("srcref", "one\r\ntwo")]);
    assert_eq!(desk.status, 200);
    for text in ["9999988888@alpha", "one", "two", "Session timeout", "hkdf-iv", "no, opened for the first time"] {
        holds(&desk, text);
    }
    let (journey, message) = (journey_of(&desk), message_of(&desk));
    let answer = |decide: &str, more: &[(&str, &str)]| {
        let form = [("journey", &*journey), ("message", &*message), ("form", decide), ("decide", decide)];
        let form = [&form, more].concat();
        pages.post("/aa/alpha-aa/answer", &form)
    };
    let (some, _) = pages.follow(answer("accept-chosen", &[("handle", "1")]));
    holds(&some, "Accepted consent handles: 1.");
    holds(&pages.follow(answer("error-12", &[])).0, "Error 12");
    holds(&pages.follow(answer("code", &[("code", "77")])).0, "Unlisted error code 77");
    assert_eq!(answer("code", &[("code", "0")]).status, 422);
    assert_eq!(answer("no-such-thing", &[]).status, 422);
    let none = answer("accept-chosen", &[]);
    assert_eq!(none.status, 422);
    holds(&none, "No consent handle is chosen");
}

#[test]
fn a_double_click_sends_one_answer() {
    let pages = Rehearsal::start(&[]);
    let (desk, url) = pages.journey("fiu@sandbox", "alpha-aa", "9999988888@alpha", &[]);
    let (journey, message) = (journey_of(&desk), message_of(&desk));
    let click = |form: &str| {
        let fields = [("journey", &*journey), ("message", &*message), ("form", form), ("decide", "accept")];
        pages.post("/aa/alpha-aa/answer", &fields).location().to_owned()
    };
    let (first, second) = (click("one"), click("one"));
    assert_eq!(first, second);
    assert_ne!(first, click("two"));
    for other in 0..45 {
        // A reload keeps the request among the last steps.
        pages.get(url.strip_prefix(&pages.origin()).unwrap());
        click(&other.to_string());
    }
    assert_eq!(click("after many"), click("after many"));
}

#[test]
fn a_reload_is_shown_on_both_sides() {
    let pages = Rehearsal::start(&[]);
    let (desk, url) = pages.journey("fiu@sandbox", "alpha-aa", "9999988888@alpha", &[]);
    holds(&desk, "no, opened for the first time");
    holds(&pages.get(url.strip_prefix(&pages.origin()).unwrap()), "Opened before.");
    let (_, url) = pages.journey("fiu@sandbox", "alpha-aa", "accept@alpha", &[]);
    holds(&pages.get(url.strip_prefix(&pages.origin()).unwrap()), "Opened before.");
}

#[test]
fn an_app_gets_its_url_with_every_byte() {
    let pages = Rehearsal::start(&[]);
    let redirect = "com.fiu.app:/aa-callback?lead=4%202#done";
    let sent = pages.post("/fiu/fiu@sandbox", &[("userid", "accept@alpha"), ("redirect", redirect), ("then", "go")]);
    let desk = sent.location().strip_prefix(&pages.origin()).unwrap().to_owned();
    let back = pages.get(&desk);
    assert_eq!(back.status, 303);
    let location = back.location();
    assert!(location.starts_with("com.fiu.app:/aa-callback?lead=4%202&fi="), "{location}");
    assert!(location.ends_with("#done"), "{location}");
}

#[test]
fn the_largest_members_reach_the_other_side() {
    let pages = Rehearsal::start(&[]);
    let session = "x".repeat(8 * 1024);
    let handles: Vec<String> = (0..200).map(|at| format!("consent-handle-{at:03}-{}", "y".repeat(60))).collect();
    let form = [("sessionid", &*session), ("srcref", &*handles.join("\r\n"))];
    let (back, _) = pages.journey("lender@sandbox", "delta-aa", "accept@delta", &form);
    assert_eq!(back.status, 200, "{}", back.body);
    holds(&back, "Accepted consent handles: 200.");
    holds(&back, &session);
    let (refused, _) =
        pages.journey("fiu@sandbox", "alpha-aa", "accept@alpha", &[("sessionid", &format!("{session}x"))]);
    assert_eq!(refused.status, 422);
    holds(&refused, "redirect.sessionid");
    let huge = "x".repeat(300 * 1024);
    assert_eq!(pages.post("/inspect", &[("text", &huge)]).status, 413);
}

#[test]
fn wrong_fields_are_named_and_the_form_keeps_its_input() {
    let pages = Rehearsal::start(&[]);
    let form =
        [("txnid", "T1"), ("userid", "nobody"), ("redirect", "javascript:alert(1)"), ("srcref", ""), ("pan", "x")];
    let refused = pages.post("/fiu/fiu@sandbox", &form);
    assert_eq!(refused.status, 422);
    for text in [
        "FIELD_INVALID",
        "INVALID_ARGUMENT",
        "redirect.txnid",
        "redirect.userid",
        "redirect.redirect",
        "redirect.srcref",
        "redirect.pan",
    ] {
        holds(&refused, text);
    }
    holds(&refused, "value=\"javascript:alert(1)\"");
    assert!(!refused.body.contains("href=\"javascript:"), "never a link");
}

#[test]
fn a_field_that_is_not_utf_8_is_refused_by_its_name() {
    let pages = Rehearsal::start(&[]);
    let send = |path: &str, body: &str| {
        let (host, length) = (&pages.pages, body.len());
        pages.ask(&format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
    };
    for (path, body, field) in [
        ("/fiu/fiu@sandbox", "userid=%ff%fe%40alpha&sessionid=x", "userid"),
        ("/fiu/fiu@sandbox", "userid=9%40alpha&sessionid=%E9t%E9&then=go", "sessionid"),
        ("/inspect", "text=%C3", "text"),
        ("/fiu/fiu@sandbox/callback", "url=%C3%28", "url"),
        ("/aa/alpha-aa/webview", "url=%80", "url"),
        ("/aa/alpha-aa/answer", "journey=1&decide=%FF", "decide"),
    ] {
        let refused = send(path, body);
        assert_eq!(refused.status, 422, "{path}");
        holds(&refused, &format!("The field {field} of the form is not UTF-8."));
    }
    holds(&pages.get("/journeys"), "None yet.");
    assert_eq!(send("/fiu/fiu@sandbox", "userid=9%40alpha&sessionid=%C3%A9t%C3%A9").status, 303);
}

#[test]
fn a_user_id_with_a_mistyped_errorcode_does_not_wait_for_a_click() {
    let pages = Rehearsal::start(&[]);
    for userid in ["error-0@alpha", "error-x@alpha", "ERROR-@alpha"] {
        let (refused, _) = pages.journey("fiu@sandbox", "alpha-aa", userid, &[]);
        assert_eq!(refused.status, 422, "{userid}");
        holds(&refused, &format!("The user id {userid} names no errorcode."));
    }
}

#[test]
fn a_request_whose_pairing_has_left_the_keyring_is_not_called_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "0123456789abcdefghijABCDEFGHIJ-_").unwrap();
    let keyring = folder.path().join("keyring.toml");
    let write = |fiu: &str| {
        let pairing = format!(
            "[[pairing]]\nfiu = \"{fiu}\"\naa = \"a\"\nprofile = \"v1.5\"\nhandles = [\"h\"]\n\
             secrets = [{{ id = \"s\", file = \"secret\" }}]\n"
        );
        std::fs::write(&keyring, pairing).unwrap();
    };
    write("f");
    let pages = Rehearsal::start(&["--keyring", keyring.to_str().unwrap()]);
    let sent = pages.post("/fiu/f", &[("userid", "9@h"), ("redirect", "https://f.example/cb")]);
    let (desk, _) = pages.follow(pages.post("/fiu/f", &[("userid", "9@h"), ("then", "go")]));
    let (journey, message) = (journey_of(&desk), message_of(&desk));
    write("other");
    // It looks at its files every few seconds.
    while pages.get("/fiu/other").status != 200 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let page = pages.get(sent.location());
    assert_eq!(page.status, 409);
    holds(&page, "The keyring has changed since");
    let answer = [("journey", &*journey), ("message", &*message), ("form", "x"), ("decide", "accept")];
    assert!(!pages.post("/aa/a/answer", &answer).body.contains("forgotten"));
}

#[test]
fn a_request_can_be_changed_and_sent_again() {
    let pages = Rehearsal::start(&[]);
    let members = [
        ("userid", "77@beta"),
        ("sessionid", "a \"basket\""),
        ("redirect", "https://f.example/cb?visit=7"),
        ("srcref", "one\ntwo"),
        ("pan", "ABCDE1234F"),
        ("extra", "a=1\nb=x=y"),
        ("requestorType", "LSP"),
    ];
    let sent = pages.post("/fiu/fiu@sandbox", &members);
    let page = pages.get(sent.location());
    let link = page.body.split("href=\"").find(|part| part.contains("/like/")).unwrap().split('"').next().unwrap();
    let form = pages.get(link);
    for (_, value) in &members[..6] {
        holds(&form, &html(value));
    }
    holds(&form, "<option value=\"LSP\" selected>");
    assert_eq!(pages.get(&link.replace("fiu@", "lender@")).status, 404, "another FIU");
    assert_eq!(pages.get("/fiu/fiu@sandbox/like/99").status, 404);
    assert_eq!(pages.get("/fiu/fiu@sandbox/like/x").status, 400);
}

#[test]
fn hostile_values_are_text_on_every_page() {
    let pages = Rehearsal::start(&["--aa-url", "http://127.0.0.1:9/webview?a=%3Cb%3E"]);
    let hostile = format!("{HOSTILE}\"'&");
    let extra = format!("note={hostile}");
    let form = [
        ("aa", "alpha-aa"),
        ("userid", "<script>alert(1)</script>\"'&@alpha"),
        ("sessionid", &*hostile),
        ("redirect", "http://127.0.0.1:9/<script>alert(1)</script>?a=\"'"),
        ("srcref", "<script>alert(1)</script>"),
        ("email", &*hostile),
        ("extra", &*extra),
    ];
    let sent = pages.post("/fiu/fiu@sandbox", &form);
    let sent_path = sent.location().to_owned();
    let journey = sent_path.rsplit('/').next().unwrap().to_owned();
    let page = pages.get(&sent_path);
    let link = page.body.split("href=\"").find(|part| part.starts_with(&format!("{}/aa/", pages.origin()))).unwrap();
    let desk = link.split('"').next().unwrap().replace("&amp;", "&");
    let desk = pages.get(desk.strip_prefix(&pages.origin()).unwrap());
    holds(&desk, &html(&hostile));
    let paths = [
        "/",
        "/journeys",
        &format!("/journeys/{journey}"),
        &format!("/fiu/fiu@sandbox/like/{journey}"),
        "/fiu/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/aa/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/%3Cscript%3Ealert(1)%3C/script%3E",
        "/fiu/fiu@sandbox/callback?fi=%3Cscript%3Ealert(1)%3C/script%3E&resdate=%3Cscript%3E&ecres=%3Cscript%3E&visit=%3Cscript%3E",
        "/aa/alpha-aa/webview?fi=%3Cscript%3Ealert(1)%3C/script%3E&reqdate=%3Cscript%3E&ecreq=%3Cscript%3E",
        "/journeys/%3Cscript%3E",
        // A date with a letter of two bytes where a date has its year.
        "/aa/alpha-aa/webview?fi=BwgUg9oDDQBTXUs%3D&reqdate=aaa%C3%A9bcd12345678&ecreq=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8%3D&iv=AAAAAAAAAAAAAAAAAAAAAA%3D%3D",
    ];
    let mut all: Vec<Answer> = paths.into_iter().map(|path| pages.get(path)).collect();
    all.extend([page, desk]);
    all.push(pages.post("/inspect", &[("text", &*hostile)]));
    all.push(pages.post("/inspect", &[("text", paths[10])]));
    all.push(pages.post("/fiu/fiu@sandbox", &[("txnid", &*hostile), ("userid", &*hostile)]));
    all.push(pages.post("/fiu/fiu@sandbox/callback", &[("url", &*hostile)]));
    all.push(pages.post("/aa/alpha-aa/webview", &[("url", &*hostile)]));
    all.push(pages.post("/aa/alpha-aa/answer", &[("journey", &*hostile), ("decide", &*hostile)]));
    all.push(pages.get("/journeys"));
    for Answer { status, head, body } in all {
        assert!(!body.contains("<script>alert"), "{status} {head}\n{body}");
        assert!(!head.contains("<script>"), "{head}");
    }
}

#[test]
fn other_sites_can_read_and_send_nothing() {
    let pages = Rehearsal::start(&[]);
    let get = |path: &str, host: &str| {
        pages.ask(&format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"))
    };
    for path in ["/", "/journeys", "/inspect", "/fiu/fiu@sandbox", "/aa/alpha-aa/webview?fi=x", "/style.css"] {
        assert_eq!(get(path, "evil.example").status, 403, "{path}");
        assert_eq!(get(path, "localhost:1234").status / 100, if path.contains('?') { 4 } else { 2 }, "{path}");
    }
    for path in
        ["/inspect", "/fiu/fiu@sandbox", "/aa/alpha-aa/answer", "/aa/alpha-aa/webview", "/fiu/fiu@sandbox/callback"]
    {
        for headers in ["origin: http://evil.example\r\n", "origin: null\r\n", "sec-fetch-site: cross-site\r\n"] {
            assert_eq!(pages.post_with(path, &[("text", "x")], headers).status, 403, "{path} {headers}");
        }
        assert_ne!(pages.post(path, &[("text", "x")]).status, 403, "{path}");
    }
}

#[test]
fn every_answer_has_the_headers_that_protect_it() {
    let pages = Rehearsal::start(&[]);
    for path in ["/", "/fiu/fiu@sandbox", "/nothing", "/style.css", "/journeys"] {
        let answer = pages.get(path);
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("set-cookie"), None, "{path}");
        assert!(!answer.body.contains("style=\"") && !answer.body.contains("<style"), "{path}");
    }
}

#[test]
fn an_inspected_message_is_not_stored() {
    let pages = Rehearsal::start(&[]);
    let text = format!("{}/aa/alpha-aa/webview?fi=x&reqdate=y&ecreq=z", pages.origin());
    let found = pages.post("/inspect", &[("text", &text)]);
    holds(&found, "DATE_MALFORMED");
    holds(&pages.get("/journeys"), "None yet.");
}

#[tokio::test]
async fn a_backend_that_calls_over_grpc_works_with_the_desks() {
    let pages = Rehearsal::start(&[]);
    let mut client = RedirectServiceClient::connect(format!("http://{}", pages.grpc)).await.unwrap();
    let redirect = Redirect {
        sessionid: "basket".to_owned(),
        userid: "error-6@gamma".to_owned(),
        redirect: "http://localhost:3000/return".to_owned(),
        srcref: vec!["a".to_owned()],
        ..Redirect::default()
    };
    let request =
        EncodeRedirectRequest { fiu_id: "fiu@sandbox".to_owned(), redirect: Some(redirect), ..Default::default() };
    let sealed = client.encode_redirect(request).await.unwrap().into_inner();
    let path = sealed.url.strip_prefix(&pages.origin()).unwrap();
    let back = pages.get(path);
    assert!(back.location().starts_with("http://localhost:3000/return?fi="), "{}", back.location());
    let source = Some(Source::Url(back.location().to_owned()));
    let request = DecodeCallbackRequest { fiu_id: "fiu@sandbox".to_owned(), source, ..Default::default() };
    let opened = client.decode_callback(request).await.unwrap().into_inner();
    assert_eq!(opened.callback.unwrap().errorcode, 6);
    let page = pages.get("/journeys/1");
    for text in [
        "a backend over gRPC",
        "AA desk",
        "EncodeRedirect",
        "DecodeCallback",
        "grpcurl -plaintext",
        "client.decodeCallback",
    ] {
        holds(&page, text);
    }
}

#[test]
fn a_closed_terminal_ends_it() {
    for signal in ["-HUP", "-INT"] {
        assert_eq!(Rehearsal::start(&[]).end(signal).code(), Some(0), "{signal}");
    }
}

#[test]
fn every_page_names_the_developers_own_keyring() {
    let pages = Rehearsal::start(&["--keyring", "tests/support/keyring.toml"]);
    for path in ["/", "/inspect", "/journeys"] {
        holds(&pages.get(path), "tests/support/keyring.toml");
    }
}

#[test]
fn check_runs_every_journey_of_the_sandbox() {
    let output = run(&["rehearse", "--check"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    for (fiu, aa, _) in PAIRINGS {
        let row = text.lines().find(|line| line.starts_with(fiu) && line.contains(aa)).unwrap();
        let good: usize = row.split_whitespace().nth(3).unwrap().parse().unwrap();
        assert!(good > 60 && row.ends_with(" 0"), "{row}");
    }
    for skipped in text.lines().filter_map(|line| line.strip_prefix("skipped: ")) {
        let (pairings, _) = skipped.split_once(": ").unwrap();
        assert!(pairings == "every pairing" || pairings.contains(" with "), "{skipped}");
    }
}

#[test]
fn check_fails_if_a_journey_does_not_end_as_expected() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = folder.path().join("keyring.toml");
    std::fs::write(folder.path().join("secret"), "0123456789abcdef0123456789abcdef").unwrap();
    let pairing = "[[pairing]]\nfiu = \"f\"\naa = \"a\"\nprofile = \"iv\"\nredirect_hosts = []\n\
                   secrets = [{ id = \"s\", file = \"secret\" }]\n";
    std::fs::write(&keyring, pairing).unwrap();
    let check = |keyring: &str| run(&["rehearse", "--check", "--keyring", keyring]);
    let output = check(keyring.to_str().unwrap());
    assert_eq!(output.status.code(), Some(1), "no host may be returned to");
    assert!(String::from_utf8(output.stdout).unwrap().contains("FAILED: "));
    std::fs::write(&keyring, pairing.replace("redirect_hosts = []", "redirect_hosts = [\"*.fiu.example\"]")).unwrap();
    let output = check(keyring.to_str().unwrap());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8(output.stdout).unwrap());
    assert_eq!(check("no/such/file").status.code(), Some(64));
}

#[test]
fn only_this_machine_is_served() {
    for arguments in [
        ["rehearse", "--pages", "0.0.0.0:0"],
        ["rehearse", "--listen", "0.0.0.0:0"],
        ["rehearse", "--pages", "unix:/x"],
        ["rehearse", "--aa-url", "javascript:alert(1)"],
        ["rehearse", "--aa-url", "http://127.0.0.1:8081/webview?fi=1"],
    ] {
        assert_eq!(run(&arguments).status.code(), Some(64), "{arguments:?}");
    }
}

#[test]
fn help_lists_the_user_ids_that_decide() {
    let output = run(&["rehearse", "--help"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for name in ["accept", "reject", "error-N", "stale", "changed", "second-question-mark", "--pages", "--aa-url"] {
        assert!(text.contains(name), "{name}");
    }
}

#[test]
fn a_list_of_a_script_may_come_in_several_fields_and_other_fields_may_not() {
    let pages = Rehearsal::start(&[]);
    let sent = pages.post("/fiu/fiu@sandbox", &[("srcref", "one"), ("srcref", "two"), ("then", "go")]);
    let (desk, _) = pages.follow(sent);
    for handle in ["one", "two"] {
        holds(&desk, &format!("<bdi class=\"value\">{handle}</bdi>"));
    }
    let refused = pages.post("/fiu/fiu@sandbox", &[("email", "a@b.example"), ("email", "c@d.example")]);
    assert_eq!(refused.status, 422);
    holds(&refused, "The field email comes twice");
}

#[test]
fn the_desks_of_a_keyring_with_web_views_elsewhere_stay_on_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "0123456789abcdefghijABCDEFGHIJ-_").unwrap();
    for webview in [
        "https://h.example/w",
        "https://h.example/w?x=1",
        "https://h.example/w?",
        "https://h.example/w#frag",
        "https://h.example/#/w",
    ] {
        let keyring = folder.path().join("keyring.toml");
        let pairing = format!(
            "[[pairing]]\nfiu = \"f\"\naa = \"a\"\nprofile = \"v1.5\"\nwebview = \"{webview}\"\nhandles = [\"h\"]\n\
             secrets = [{{ id = \"s\", file = \"secret\" }}]\n"
        );
        std::fs::write(&keyring, pairing).unwrap();
        let pages = Rehearsal::start(&["--keyring", keyring.to_str().unwrap()]);
        for more in [&[][..], &[("fault", "second-question-mark")], &[("fault", "stale")]] {
            let form = [&[("userid", "9@h")][..], more].concat();
            let at_once = pages.post("/fiu/f", &[&form[..], &[("then", "go")]].concat());
            assert!(at_once.location().starts_with(&format!("{}/aa/a/webview?", pages.origin())), "{webview} {more:?}");
            let sent = pages.post("/fiu/f", &form);
            let page = pages.get(sent.location());
            holds(&page, &format!("href=\"{}/aa/a/webview?", pages.origin()));
            holds(&page, "href=\"https://h.example/");
        }
        let (back, _) = pages.follow(pages.post("/fiu/f", &[("userid", "accept@h"), ("then", "go")]));
        holds(&back, "Consent given");
        let count = |page: &Answer| page.body.matches("href=\"/journeys/").count();
        let before = count(&pages.get("/journeys"));
        for (fault, shows) in [("wrong-secret", "UNDECIPHERABLE"), ("second-question-mark", "SECOND_QUESTION_MARK")] {
            let form = [("userid", "9@h"), ("then", "go"), ("fault", fault)];
            let (desk, _) = pages.follow(pages.post("/fiu/f", &form));
            holds(&desk, "Fault on purpose in the request");
            holds(&desk, shows);
        }
        assert_eq!(count(&pages.get("/journeys")), before + 2, "{webview}: one journey for each");
    }
}

#[test]
fn an_aa_of_ones_own_may_have_a_hash_route_or_a_query() {
    let own = [("http://127.0.0.1:9/#/webview", "?fi="), ("http://127.0.0.1:9/webview?channel=web", "&fi=")];
    for (own, joint) in own {
        let pages = Rehearsal::start(&["--aa-url", own]);
        let sent = pages.post("/fiu/fiu@sandbox", &[("userid", "9999988888@alpha"), ("then", "go")]);
        let (before, after) = own.split_once('#').map_or((own, ""), |(before, route)| (before, route));
        let query = sent.location().strip_prefix(before).unwrap();
        assert!(query.starts_with(joint) && query.ends_with(after), "{query}");
    }
}

#[test]
fn a_request_that_another_aa_answers_is_one_journey() {
    let other = Rehearsal::start(&[]);
    let pages = Rehearsal::start(&["--aa-url", &format!("{}/aa/alpha-aa/webview", other.origin())]);
    for fault in ["", "txnid-not-uuid", "missing-sessionid"] {
        let form = [("userid", "reject@alpha"), ("then", "go"), ("fault", fault)];
        let sent = pages.post("/fiu/fiu@sandbox", &form[..if fault.is_empty() { 2 } else { 3 }]);
        let (_, path) = sent.location().split_once("/aa/").unwrap();
        let answered = other.get(&format!("/aa/{path}"));
        let (back, _) = pages.follow(answered);
        holds(&back, "Consent is rejected");
    }
    let journeys = pages.get("/journeys").body;
    assert!(journeys.contains("/journeys/3") && !journeys.contains("/journeys/4"), "{journeys}");
}

#[test]
fn both_desks_take_an_address_out_of_a_pasted_text() {
    let pages = Rehearsal::start(&[]);
    let pasted = |url: &str| {
        [
            format!("GET {url} HTTP/1.1"),
            format!("{{\"url\": \"{url}\"}}"),
            format!("{}\n{}", &url[..60], &url[60..]),
            format!("curl -v '{url}' -H 'accept: */*'"),
        ]
    };
    let sent = pages.post("/fiu/fiu@sandbox", &[("userid", "9999988888@alpha"), ("then", "go")]);
    for text in pasted(sent.location()) {
        let desk = pages.post("/aa/alpha-aa/webview", &[("url", &*text)]);
        assert_eq!(desk.status, 200, "{text}");
        holds(&desk, "What arrived");
    }
    let (_, back) = pages.journey("fiu@sandbox", "alpha-aa", "accept@alpha", &[]);
    for text in pasted(&back) {
        let desk = pages.post("/fiu/fiu@sandbox/callback", &[("url", &*text)]);
        assert_eq!(desk.status, 200, "{text}");
        holds(&desk, "yes, it is the answer to the request");
    }
}

#[tokio::test]
async fn a_journey_has_the_same_call_also_with_parameters_a_time_and_an_attempt_id() {
    let pages = Rehearsal::start(&[]);
    let mut client = RedirectServiceClient::connect(format!("http://{}", pages.grpc)).await.unwrap();
    let redirect = Redirect {
        userid: "9999988888@alpha".to_owned(),
        redirect: "http://localhost:3000/return".to_owned(),
        srcref: vec!["a".to_owned()],
        ..Redirect::default()
    };
    let now = std::time::SystemTime::now();
    let request = EncodeRedirectRequest {
        fiu_id: "fiu@sandbox".to_owned(),
        redirect: Some(redirect),
        issue_time: Some(now.into()),
        ..Default::default()
    };
    let params = client.encode_redirect(request).await.unwrap().into_inner().params.unwrap();
    let ecreq = params.ecreq.clone();
    let source = Some(decode_redirect_request::Source::Params(params));
    let attempt_id = "attempt-7".to_owned();
    let request = DecodeRedirectRequest { aa_id: "alpha-aa".to_owned(), source, attempt_id };
    client.decode_redirect(request).await.unwrap();
    let page = pages.get("/journeys/1");
    for text in [
        "issue_time&quot;: &quot;20",
        "IssueTime: time.Unix(",
        ".withIssueTime(Instant.parse(",
        "issueTime: new Date(",
        "issue_time=datetime.fromisoformat(",
        "attempt_id&quot;: &quot;attempt-7&quot;",
        &format!("ecreq&quot;: &quot;{ecreq}&quot;"),
        &format!("ECReq: &quot;{ecreq}&quot;"),
        "new RedirectParams(",
        &format!("ecreq: &quot;{ecreq}&quot;"),
        &format!("ecreq=&quot;{ecreq}&quot;"),
    ] {
        holds(&page, text);
    }
}
