//! Deviations of real senders (wire format, section 6): the service reads each, repairs it and reports it by name. Each
//! test checks the members and the exact set of deviations.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects by unwrapping it")]

mod support;

use aa_redirect::proto::{CallbackStatus, RedirectParams};
use support::{FULL, MILLIS, SECONDS, TENTHS, names, reason, sender, start};

const TXNID: &str = "2d04747e-21c6-4c23-955b-d46c2f820140";
const PLAIN: &str = "txnid=2d04747e-21c6-4c23-955b-d46c2f820140&sessionid=s&userid=9999988888@iv&redirect=https://fiu.example/cb&srcref=a";
const OUTCOME: &str =
    "txnid=2d04747e-21c6-4c23-955b-d46c2f820140&sessionid=s&userid=9999988888@iv&status=S&errorcode=0&srcref=a";

/// Opens a request of `fiu@test` to `aa` that carries `plaintext`, and compares one member and the deviations.
macro_rules! request {
    ($name:ident, $aa:literal, $plaintext:expr, |$redirect:ident| $member:expr, $expected:expr, [$($deviation:literal),*]) => {
        #[tokio::test]
        async fn $name() {
            let query = sender::request($aa, MILLIS, $plaintext).request_query();
            let opened = start().await.decode_redirect_for($aa, &query).await.unwrap();
            let $redirect = opened.redirect.unwrap();
            assert_eq!($member, $expected);
            let expected: &[&str] = &[$(concat!("DEVIATION_", $deviation)),*];
            assert_eq!(names(&opened.deviations), expected);
        }
    };
}

/// Checks that a request that carries `plaintext` is not opened.
macro_rules! unopened {
    ($name:ident, $aa:literal, $plaintext:expr) => {
        #[tokio::test]
        async fn $name() {
            let query = sender::request($aa, MILLIS, $plaintext).request_query();
            let refused = start().await.decode_redirect_for($aa, &query).await.unwrap_err();
            assert_eq!(reason(&refused), "UNDECIPHERABLE");
        }
    };
}

/// Opens a request whose query string `change` makes. Its members are the members of `PLAIN`.
async fn changed(change: impl FnOnce(&sender::Message) -> String) -> Vec<&'static str> {
    let message = sender::request("iv", MILLIS, PLAIN);
    let opened = start().await.decode_redirect_for("iv", &change(&message)).await.unwrap();
    assert_eq!(opened.fiu_id, "fiu@test");
    assert_eq!(opened.redirect.unwrap().redirect, "https://fiu.example/cb");
    names(&opened.deviations)
}

fn with(plaintext: &str, from: &str, to: &str) -> String {
    assert!(plaintext.contains(from));
    plaintext.replace(from, to)
}

request!(a_clean_message_has_no_deviation, "iv", PLAIN, |r| r.txnid, TXNID, []);

#[tokio::test]
async fn the_standard_alphabet_in_ecreq_and_the_url_safe_one_in_iv_are_read() {
    let found = changed(|m| m.request_query().replace('-', "%2B").replace('_', "%2F")).await;
    assert_eq!(found, ["DEVIATION_BASE64_ALPHABET"]);
    let found = changed(|m| {
        assert!(m.iv.contains(['+', '/']));
        let iv = m.iv.replace('+', "-").replace('/', "_");
        sender::Message { iv, ..m.clone() }.request_query()
    });
    assert_eq!(found.await, ["DEVIATION_BASE64_ALPHABET"]);
}

#[tokio::test]
async fn stripped_padding_is_read() {
    let found = changed(|m| m.request_query().replace("%3D", "")).await;
    assert_eq!(found, ["DEVIATION_BASE64_UNPADDED"]);
}

#[tokio::test]
async fn the_real_unpadded_fi_of_onemoney_is_read() {
    let mut server = start().await;
    server.set_now("2023-07-10T08:58:30Z");
    let query = "fi=Xl5VWl1eV0odWVQ&resdate=100720230858407&ecres=AAAAAAAAAAAAAAAAAAAAAA%3D%3D";
    let refused = server.decode_callback(query).await.unwrap_err();
    assert_eq!(reason(&refused), "PAIRING_UNKNOWN");
    assert_eq!(support::metadata(&refused, "aa_id").as_deref(), Some("onemoney-aa"));
}

#[tokio::test]
async fn a_raw_plus_and_a_plus_turned_into_a_space_are_read() {
    // `O` and `:` at the third of three places, masked, give a `+` in Base64.
    for plus in ["+", "%20", " "] {
        let found = changed(|m| {
            assert!(m.iv.contains('+'));
            m.request_query().replace(&sender::escape(&m.iv), &m.iv.replace('+', plus).replace('/', "%2F"))
        });
        assert_eq!(found.await, ["DEVIATION_PLUS_AS_SPACE"], "{plus:?}");
    }
}

#[tokio::test]
async fn a_space_in_ecreq_is_a_plus_of_the_standard_alphabet() {
    let found = changed(|m| {
        assert!(m.sealed.contains('-'));
        let sealed = m.sealed.replace('-', " ").replace('_', "/");
        m.request_query().replace(&sender::escape(&m.sealed), &sender::escape(&sealed))
    });
    assert_eq!(found.await, ["DEVIATION_BASE64_ALPHABET", "DEVIATION_PLUS_AS_SPACE"]);
}

#[tokio::test]
async fn a_parameter_percent_encoded_twice_or_more_is_read() {
    for escape in ["%253D", "%25253D"] {
        assert_eq!(changed(|m| m.request_query().replace("%3D", escape)).await, ["DEVIATION_DOUBLE_ENCODED"]);
    }
}

#[tokio::test]
async fn parameters_taken_out_of_a_url_without_decoding_are_read() {
    let message = sender::request("iv", MILLIS, PLAIN);
    let params = RedirectParams {
        fi: sender::escape(&message.fi),
        reqdate: message.date.clone(),
        ecreq: sender::escape(&message.sealed),
        iv: sender::escape(&message.iv),
        requestor_type: String::new(),
    };
    let opened = start().await.decode_redirect_params("iv", params).await.unwrap();
    assert_eq!(names(&opened.deviations), ["DEVIATION_DOUBLE_ENCODED"]);
}

#[tokio::test]
async fn line_ends_and_blanks_around_a_value_are_dropped() {
    for (from, to) in
        [("&iv=", "%0D%0A&iv="), ("reqdate=", "reqdate=%20"), ("&ecreq=", "&ecreq=%0A"), ("&iv=", " &iv=")]
    {
        let found = changed(|m| with(&m.request_query(), from, to)).await;
        assert_eq!(found, ["DEVIATION_WHITESPACE"], "{to:?}");
    }
    assert_eq!(changed(|m| m.request_query() + "\n").await, ["DEVIATION_WHITESPACE"]);
    assert_eq!(changed(|m| m.request_query() + "%20").await, ["DEVIATION_WHITESPACE"]);
}

#[tokio::test]
async fn escaped_blanks_around_a_name_are_reported_like_raw_blanks() {
    for name in ["%20iv", "iv%20", "iv%0A", " iv", "iv\t"] {
        let found = changed(|m| with(&m.request_query(), "&iv=", &format!("&{name}="))).await;
        assert_eq!(found, ["DEVIATION_WHITESPACE"], "{name:?}");
    }
}

#[tokio::test]
async fn blanks_around_fi_are_dropped_even_if_as_many_plus_signs_would_be_base64() {
    for blanks in ["%20%20%20%20", "    "] {
        for (from, to) in [("fi=", format!("fi={blanks}")), ("&reqdate=", format!("{blanks}&reqdate="))] {
            let found = changed(|m| with(&m.request_query(), from, &to)).await;
            assert_eq!(found, ["DEVIATION_WHITESPACE"], "{to:?}");
        }
    }
}

#[tokio::test]
async fn dates_of_14_16_and_17_digits_are_read() {
    for date in [SECONDS, "2111202610402375", FULL] {
        let query = sender::request("iv", date, PLAIN).request_query();
        let opened = start().await.decode_redirect_for("iv", &query).await.unwrap();
        assert_eq!(names(&opened.deviations), ["DEVIATION_DATE_DIGITS"], "{date}");
    }
}

#[tokio::test]
async fn a_pairings_own_date_style_is_not_a_deviation() {
    for (aa, date) in [("full", FULL), ("tenths", TENTHS), ("v1.5", TENTHS)] {
        let query = sender::request(aa, date, PLAIN).request_query();
        let opened = start().await.decode_redirect_for(aa, &query).await.unwrap();
        assert_eq!(names(&opened.deviations), [""; 0], "{aa}");
    }
}

#[tokio::test]
async fn a_second_question_mark_is_read_if_one_of_our_parameters_follows() {
    let query = sender::callback("iv", MILLIS, OUTCOME).callback_query();
    let mut server = start().await;
    let opened = server.decode_callback(&format!("https://fiu.example/cb?x=1?{query}")).await.unwrap();
    assert_eq!(names(&opened.deviations), ["DEVIATION_SECOND_QUESTION_MARK"]);
    let opened = server.decode_callback(&format!("https://fiu.example/cb?x=1?y=2&{query}#top")).await.unwrap();
    assert_eq!(names(&opened.deviations), [""; 0]);
}

request!(a_comma_list_is_read, "iv", with(PLAIN, "srcref=a", "srcref=a,b"), |r| r.srcref, ["a", "b"], ["LIST_SYNTAX"]);
request!(
    a_braces_list_is_read,
    "iv",
    with(PLAIN, "srcref=a", "srcref={a, b}&fipid=%7BX%2CY%7D"),
    |r| (r.srcref, r.fipid),
    (vec!["a".into(), "b".into()], vec!["X".into(), "Y".into()]),
    ["LIST_SYNTAX"]
);
request!(
    a_json_list_is_read,
    "iv",
    with(PLAIN, "srcref=a", "srcref=%5B%22a%22%2C%22b%22%5D"),
    |r| r.srcref,
    ["a", "b"],
    ["LIST_SYNTAX"]
);
request!(
    a_bracketed_list_without_quotes_is_read,
    "iv",
    with(PLAIN, "srcref=a", "srcref=[a,b,,]"),
    |r| r.srcref,
    ["a", "b"],
    ["LIST_SYNTAX"]
);
request!(
    a_list_as_python_prints_it_is_read,
    "iv",
    with(PLAIN, "srcref=a", "srcref=['a', 'b']"),
    |r| r.srcref,
    ["a", "b"],
    ["LIST_SYNTAX"]
);
request!(
    an_escaped_join_is_read,
    "iv",
    with(PLAIN, "srcref=a", "srcref=a%26srcref%3Db"),
    |r| r.srcref,
    ["a", "b"],
    ["LIST_SYNTAX"]
);
request!(
    repeated_members_are_the_format,
    "iv",
    with(PLAIN, "srcref=a", "srcref=a&srcref=b"),
    |r| r.srcref,
    ["a", "b"],
    []
);
request!(
    a_bar_is_an_ordinary_character_of_an_item,
    "iv",
    with(PLAIN, "srcref=a", "srcref=a|b"),
    |r| r.srcref,
    ["a|b"],
    []
);
request!(
    a_pairings_own_commas_are_no_deviation,
    "comma",
    with(PLAIN, "srcref=a", "srcref=a,b"),
    |r| r.srcref,
    ["a", "b"],
    []
);
request!(
    a_pairings_own_braces_are_no_deviation,
    "braces",
    with(PLAIN, "srcref=a", "srcref={a,b}"),
    |r| r.srcref,
    ["a", "b"],
    []
);
request!(
    quotes_around_items_are_no_part_of_a_pairings_own_braces,
    "braces",
    with(PLAIN, "srcref=a", "srcref={'a','b'}&fipid={''}"),
    |r| (r.srcref, r.fipid.len()),
    (vec!["a".into(), "b".into()], 0),
    ["LIST_SYNTAX"]
);
request!(
    an_item_of_braces_loses_its_double_quotes,
    "iv",
    with(PLAIN, "srcref=a", "srcref={\"a\", \"b\"}"),
    |r| r.srcref,
    ["a", "b"],
    ["LIST_SYNTAX"]
);
request!(
    a_pairings_own_json_is_no_deviation,
    "json",
    with(PLAIN, "srcref=a", "srcref=[\"a\",\"b\"]"),
    |r| r.srcref,
    ["a", "b"],
    []
);
request!(
    repeated_members_are_read_in_a_pairing_of_commas,
    "comma",
    with(PLAIN, "srcref=a", "srcref=a&srcref=b"),
    |r| r.srcref,
    ["a", "b"],
    []
);

request!(
    an_unescaped_redirect_keeps_its_query,
    "iv",
    with(PLAIN, "cb&", "cb?a=1&b=%20+2&"),
    |r| r.redirect,
    "https://fiu.example/cb?a=1&b=%20+2",
    ["REDIRECT_UNESCAPED"]
);
request!(
    an_unescaped_redirect_keeps_the_escapes_of_all_its_query,
    "iv",
    with(PLAIN, "cb&", "cb%2F?next=%2Fa%26b&c=%2F&"),
    |r| r.redirect,
    "https://fiu.example/cb%2F?next=%2Fa%26b&c=%2F",
    ["REDIRECT_UNESCAPED"]
);
request!(
    an_unescaped_redirect_is_reported_without_a_tail,
    "iv",
    with(PLAIN, "cb&", "cb?a=1&"),
    |r| r.redirect,
    "https://fiu.example/cb?a=1",
    ["REDIRECT_UNESCAPED"]
);
request!(
    an_unescaped_redirect_keeps_its_plus_beside_members_that_a_form_encoder_wrote,
    "v1.2",
    with(&with(PLAIN, "cb&", "cb?a=1+2&"), "@", "%40"),
    |r| r.redirect,
    "https://fiu.example/cb?a=1+2",
    ["REDIRECT_UNESCAPED"]
);
request!(
    an_escaped_redirect_is_clean,
    "iv",
    with(PLAIN, "https://fiu.example/cb", "https%3A%2F%2Ffiu.example%2Fcb%3Fa%3D1%26b%3D2%23f"),
    |r| r.redirect,
    "https://fiu.example/cb?a=1&b=2#f",
    []
);
request!(
    a_redirect_escaped_twice_is_read,
    "iv",
    with(PLAIN, "https://fiu.example/cb", "https%253A%252F%252Ffiu.example%252Fcb%253Fx%253D1"),
    |r| r.redirect,
    "https://fiu.example/cb?x=1",
    ["DOUBLE_ENCODED"]
);
request!(
    a_raw_redirect_keeps_its_escapes,
    "iv",
    with(PLAIN, "fiu.example/cb", "fiu.example/cb%0A%41+"),
    |r| r.redirect,
    "https://fiu.example/cb%0A%41+",
    []
);
request!(
    an_identical_repetition_counts_once,
    "iv",
    format!("{PLAIN}&sessionid=%73&x=1&x=1"),
    |r| (r.sessionid, r.extra.len()),
    ("s".to_owned(), 1),
    ["EXTRA_MEMBER", "REPEATED"]
);
request!(
    empty_pieces_are_skipped,
    "iv",
    format!("&{}&", with(PLAIN, "&userid", "&&userid")),
    |r| r.sessionid,
    "s",
    ["STRAY_CHARACTERS"]
);
request!(
    a_percent_sign_that_begins_no_escape_stands_for_itself,
    "iv",
    with(PLAIN, "sessionid=s", "sessionid=100%25 %+1%"),
    |r| r.sessionid,
    "100% %+1%",
    ["INVALID_ESCAPE"]
);
request!(a_txnid_that_is_no_uuid_is_read, "iv", with(PLAIN, TXNID, "T1234"), |r| r.txnid, "T1234", ["TXNID_NOT_UUID"]);
request!(
    extra_members_are_kept,
    "iv",
    format!("{PLAIN}&mobile=99&account="),
    |r| r.extra.into_iter().collect::<Vec<_>>(),
    [("account".to_owned(), String::new()), ("mobile".to_owned(), "99".to_owned())],
    ["EXTRA_MEMBER"]
);
request!(
    blank_optionals_are_read,
    "iv",
    format!("{PLAIN}&fipid=&email=&pan=&dob=&isoLanguageCode="),
    |r| (r.fipid.len(), r.pan),
    (0, String::new()),
    ["BLANK_OPTIONAL"]
);
request!(
    any_order_of_members_is_clean,
    "iv",
    "srcref=a&redirect=https://fiu.example/cb&userid=u@iv&txnid=2d04747e-21c6-4c23-955b-d46c2f820140",
    |r| (r.sessionid, r.userid),
    (String::new(), "u@iv".to_owned()),
    []
);
request!(
    a_plus_is_itself_where_the_at_sign_of_the_user_is_raw,
    "v1.2",
    with(PLAIN, "sessionid=s", "sessionid=a+b%20c%2Bd"),
    |r| r.sessionid,
    "a+b c+d",
    []
);
request!(
    a_plus_is_a_space_where_the_at_sign_of_the_user_is_escaped,
    "iv",
    with(&with(PLAIN, "sessionid=s", "sessionid=a+b%20c%2Bd"), "@", "%40"),
    |r| r.sessionid,
    "a b c+d",
    []
);
request!(
    a_plus_is_a_space_without_any_escape_beside_it,
    "v1.0",
    with(&with(PLAIN, "sessionid=s", "sessionid=a+b"), "@", "%40"),
    |r| r.sessionid,
    "a b",
    []
);
request!(
    a_question_mark_in_another_member_is_its_own,
    "v1.2",
    with(PLAIN, "sessionid=s", "sessionid=a?b+c&email=d?e"),
    |r| [&*r.sessionid, &*r.email].concat(),
    "a?b+cd?e",
    []
);
request!(
    blanks_around_a_list_are_dropped,
    "iv",
    with(PLAIN, "srcref=a", "srcref=%20a"),
    |r| r.srcref,
    ["a"],
    ["WHITESPACE"]
);
request!(
    raw_unicode_is_read,
    "iv",
    with(PLAIN, "sessionid=s", "sessionid=सत्र-१🏦"),
    |r| r.sessionid,
    "सत्र-१🏦",
    ["RAW_NON_ASCII"]
);
request!(
    members_are_never_trimmed,
    "iv",
    with(PLAIN, "sessionid=s", "sessionid= %0D%0A%09s "),
    |r| r.sessionid,
    " \r\n\ts ",
    []
);
request!(
    optional_members_are_read_as_any_text,
    "iv",
    format!("{PLAIN}&pan=x&dob=y&email=z&isoLanguageCode=xx"),
    |r| [r.pan, r.dob, r.email, r.iso_language_code].concat(),
    "xyzxx",
    []
);

unopened!(a_missing_txnid_is_not_opened, "iv", with(PLAIN, &format!("txnid={TXNID}&"), ""));
unopened!(an_empty_txnid_is_not_opened, "iv", with(PLAIN, TXNID, ""));
unopened!(a_user_id_without_handle_is_not_opened, "iv", with(PLAIN, "9999988888@iv", "9999988888@"));
unopened!(a_user_id_with_a_blank_is_not_opened, "iv", with(PLAIN, "9999988888@iv", "99999 88888@iv"));
unopened!(a_request_without_srcref_is_not_opened, "iv", with(PLAIN, "srcref=a", "srcref="));
unopened!(a_relative_redirect_is_not_opened, "iv", with(PLAIN, "https://fiu.example/cb", "fiu.example/cb"));
unopened!(
    a_redirect_that_runs_code_is_not_opened,
    "iv",
    with(PLAIN, "https://fiu.example/cb", "JavaScript://%250aalert(1)")
);
unopened!(a_redirect_with_a_backslash_is_not_opened, "iv", with(PLAIN, "fiu.example/cb", "evil.test\\@fiu.example"));
unopened!(
    a_redirect_with_a_line_end_is_not_opened,
    "iv",
    with(PLAIN, "https://fiu.example/cb", "https%3A%2F%2Ffiu.example%2Fcb%0A")
);
unopened!(a_raw_line_end_inside_the_text_is_not_opened, "iv", with(PLAIN, "sessionid=s", "sessionid=s\r\n"));
unopened!(a_repeated_member_with_another_value_is_not_opened, "iv", format!("{PLAIN}&sessionid=t"));
unopened!(a_repeated_extra_member_with_another_value_is_not_opened, "iv", format!("{PLAIN}&x=1&x=2"));
unopened!(a_member_without_equals_sign_is_not_opened, "iv", format!("{PLAIN}&x"));
unopened!(escaped_bytes_that_are_no_utf8_are_not_opened, "iv", with(PLAIN, "sessionid=s", "sessionid=%FF"));
unopened!(raw_bytes_that_are_no_utf8_are_not_opened, "iv", [PLAIN.as_bytes(), b"&x=\xff"].concat());
unopened!(an_empty_message_is_not_opened, "iv", "");
unopened!(a_redirect_to_another_host_is_not_opened, "hosts", with(PLAIN, "fiu.example/cb", "evil.test/#fiu.example"));

/// Opens a callback of `iv` that carries `plaintext`.
async fn outcome(plaintext: &str) -> (aa_redirect::proto::DecodeCallbackResponse, Vec<&'static str>) {
    let query = sender::callback("iv", MILLIS, plaintext).callback_query();
    let opened = start().await.decode_callback(&query).await.unwrap();
    let deviations = names(&opened.deviations);
    (opened, deviations)
}

#[tokio::test]
async fn a_status_that_does_not_fit_its_code_is_read() {
    for (status, code) in [("S", 1), ("F", 0)] {
        let plaintext = OUTCOME.replace("status=S&errorcode=0", &format!("status={status}&errorcode={code}"));
        let (opened, deviations) = outcome(&plaintext).await;
        assert_eq!(deviations, ["DEVIATION_STATUS_MISMATCH"]);
        let callback = opened.callback.unwrap();
        assert_eq!(callback.errorcode, code);
        let expected = if status == "S" { CallbackStatus::Success } else { CallbackStatus::Failure };
        assert_eq!(callback.status(), expected);
    }
}

#[tokio::test]
async fn an_unknown_error_code_is_kept_as_its_number() {
    let (opened, deviations) = outcome(&OUTCOME.replace("status=S&errorcode=0", "status=F&errorcode=4294967295")).await;
    assert_eq!(deviations, [""; 0]);
    assert_eq!(opened.error_message, "Unlisted error code 4294967295");
    assert_eq!(opened.callback.unwrap().errorcode, u32::MAX);
}

#[tokio::test]
async fn a_callback_may_echo_the_redirect_and_leave_out_the_handles() {
    let (opened, deviations) = outcome(&OUTCOME.replace("srcref=a", "redirect=https%3A%2F%2Ff.in%2Fc")).await;
    assert_eq!(deviations, ["DEVIATION_EXTRA_MEMBER"]);
    assert_eq!(opened.error_message, "Success: the user accepted");
    assert_eq!(opened.callback.unwrap().extra["redirect"], "https://f.in/c");
}

#[tokio::test]
async fn a_blank_srcref_of_a_callback_is_read() {
    let (_, deviations) = outcome(&OUTCOME.replace("srcref=a", "srcref=")).await;
    assert_eq!(deviations, ["DEVIATION_BLANK_OPTIONAL"]);
}

#[tokio::test]
async fn a_callback_without_a_readable_status_or_code_is_not_opened() {
    let mut server = start().await;
    for (from, to) in [
        ("status=S", "status=s"),
        ("status=S", "status="),
        ("status=S&", ""),
        ("errorcode=0", "errorcode=+0"),
        ("errorcode=0", "errorcode=-1"),
        ("errorcode=0", "errorcode="),
        ("errorcode=0", "errorcode=4294967296"),
        ("errorcode=0", "errorcode=0x1"),
        ("errorcode=0", "errorcode=00000000000"),
        ("userid=9999988888@iv", "userid="),
        ("userid=9999988888@iv", "userid=9999988888"),
    ] {
        let query = sender::callback("iv", MILLIS, with(OUTCOME, from, to)).callback_query();
        let refused = server.decode_callback(&query).await.unwrap_err();
        assert_eq!(reason(&refused), "UNDECIPHERABLE", "{to}");
    }
}
