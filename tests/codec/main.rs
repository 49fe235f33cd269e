//! The codec without the service: the exact text that it writes, that sealed messages open, and the limits of URLs,
//! dates and forms.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects by unwrapping it")]

mod parameters;
mod rules;
mod tag;

use std::collections::BTreeMap;

use aa_redirect::codec::{
    Deviation, Deviations, Envelope, Malformed, Opened, Parties, RequestorType, Seal, Sealed, Unopened, base64,
    cipher::BLOCK,
    date::{DateStyle, ReadDate, WireDate},
    errorcode, form,
    kdf::Key,
    mask,
    members::{Callback, Redirect, read_callback, read_redirect, write_callback, write_redirect},
    open,
    profile::{Conventions, ListSyntax, PROFILES, Scheme},
    seal,
    url::{Leg, Parameters, UrlProblem, Value, append, leg_of, names_parameter},
};

const DATE: &str = "060420210510756";
const TXNID: &str = "2d04747e-21c6-4c23-955b-d46c2f820140";
const LISTS: [ListSyntax; 4] = ListSyntax::ALL;

fn redirect() -> Redirect {
    Redirect {
        txnid: TXNID.into(),
        sessionid: "&=%+# \r\n\u{7f}é".into(),
        userid: "u+%@iv".into(),
        redirect: "https://f.in/cb?a=1#x".into(),
        srcref: vec!["a|b".into(), "c d".into()],
        fipid: vec!["HDFC".into()],
        email: "a+b@c.in".into(),
        pan: "ABCDE1234F".into(),
        dob: "2000-02-29".into(),
        iso_language_code: "hi-IN".into(),
        extra: BTreeMap::from([("chid".into(), String::new()), ("x-y.z_1".into(), "1&2".into())]),
    }
}

fn callback() -> Callback {
    Callback {
        txnid: TXNID.into(),
        sessionid: String::new(),
        userid: "u@iv".into(),
        success: false,
        errorcode: 4_294_967_295,
        srcref: vec!["a".into(), "b".into()],
        extra: BTreeMap::from([("fip".into(), "A&B".into())]),
    }
}

fn seal_text(text: &str, conventions: &Conventions) -> Sealed {
    seal_as("an id>?", DATE, text, conventions)
}

fn seal_as(sender: &str, date: &str, text: &str, conventions: &Conventions) -> Sealed {
    let seal_with = Seal {
        leg: Leg::Request,
        parties: Parties { fiu: sender, aa: sender },
        requestor_type: Some(RequestorType::Lsp),
        date: date.to_owned(),
        key: &key(),
        random_iv: [0xfb; BLOCK],
    };
    seal(text.to_owned().into(), seal_with, conventions)
}

/// A key without any secret.
fn key() -> Key {
    Key::new([0; 32])
}

const PARTIES: Parties<'_> = Parties { fiu: "an id>?", aa: "an id>?" };

fn names(deviations: &Deviations) -> Vec<&'static str> {
    deviations.kinds().map(Deviation::name).collect()
}

/// A query string of the request leg that opens, with a message of one block of zeros.
fn query() -> String {
    let sealed = seal_text("", &Conventions::of(&PROFILES[1]));
    Sealed { requestor_type: String::new(), ..sealed }.query(Leg::Request)
}

#[test]
fn members_are_written_in_their_order_and_escaped_as_little_as_readers_need() {
    let head = "txnid=2d04747e-21c6-4c23-955b-d46c2f820140&sessionid=%26%3D%25%2B%23%20%0D%0A%7F%C3%A9&userid=u%2B%25@iv\
        &redirect=https%3A%2F%2Ff.in%2Fcb%3Fa%3D1%23x";
    let tail = "&email=a%2Bb@c.in&pan=ABCDE1234F&dob=2000-02-29&isoLanguageCode=hi-IN&chid=&x-y.z_1=1%262";
    for (lists, expected) in LISTS.into_iter().zip([
        "&srcref=a|b&srcref=c%20d&fipid=HDFC",
        "&srcref=a|b,c%20d&fipid=HDFC",
        "&srcref={a|b,c%20d}&fipid={HDFC}",
        "&srcref=[\"a|b\",\"c%20d\"]&fipid=[\"HDFC\"]",
    ]) {
        assert_eq!(*write_redirect(&redirect(), lists), format!("{head}{expected}{tail}"));
    }
    let mut plain = Redirect::default();
    plain.redirect.push_str("https://f-1.in:8/@a_~./");
    assert_eq!(
        *write_redirect(&plain, ListSyntax::Json),
        "txnid=&sessionid=&userid=&redirect=https://f-1.in:8/@a_~./",
        "a redirect that needs no escape stays readable, an absent list is no member"
    );
    for (raw, escaped) in [("+", "%2B"), ("%", "%25"), ("!", "%21"), ("|", "%7C"), ("é", "%C3%A9"), ("?", "%3F")] {
        let mut plain = Redirect::default();
        plain.redirect = format!("x://{raw}");
        let expected = format!("txnid=&sessionid=&userid=&redirect=x%3A%2F%2F{escaped}");
        assert_eq!(*write_redirect(&plain, ListSyntax::Json), expected);
    }
    assert_eq!(
        *write_callback(&callback(), ListSyntax::Repeated),
        "txnid=2d04747e-21c6-4c23-955b-d46c2f820140&sessionid=&userid=u@iv&status=F&errorcode=4294967295\
        &srcref=a&srcref=b&fip=A%26B"
    );
    let mut success = Callback::default();
    success.success = true;
    assert_eq!(*write_callback(&success, ListSyntax::Braces), "txnid=&sessionid=&userid=&status=S&errorcode=0");
}

#[test]
fn a_sealed_message_opens_with_every_profile_and_list_syntax() {
    for profile in &PROFILES {
        for lists in LISTS {
            let conventions = Conventions { lists, ..Conventions::of(profile) };
            let sealed = seal_text(&write_redirect(&redirect(), lists), &conventions);
            let url = append("https://aa.example/?x=1#top", &sealed.query(Leg::Request));
            let envelope = Envelope::from_url(&url, Leg::Request).unwrap();
            assert_eq!((&*envelope.sender, envelope.requestor_type), ("an id>?", Some(RequestorType::Lsp)));
            let Opened { message, deviations, .. } =
                open::<Redirect>(&envelope, &key(), &conventions, PARTIES).unwrap();
            assert!(message == redirect(), "{} {lists:?}", profile.name);
            assert_eq!(names(&deviations), ["EXTRA_MEMBER"]);

            let sealed = seal_text(&write_callback(&callback(), lists), &conventions);
            let sealed = Sealed { requestor_type: String::new(), ..sealed };
            let url = append("https://fiu.example/cb", &sealed.query(Leg::Callback));
            let envelope = Envelope::from_url(&url, Leg::Callback).unwrap();
            let Opened { message, deviations, .. } =
                open::<Callback>(&envelope, &key(), &conventions, PARTIES).unwrap();
            assert!(message == callback(), "{} {lists:?}", profile.name);
            assert_eq!(names(&deviations), ["EXTRA_MEMBER"]);
        }
    }
}

#[test]
fn a_message_opens_only_with_its_own_scheme_and_key() {
    let [iv, v1] = [&PROFILES[0], &PROFILES[1]].map(Conventions::of);
    assert_eq!((iv.profile.scheme.name(), v1.profile.scheme.name()), ("hkdf-iv", "pbkdf2"));
    let text = write_redirect(&redirect(), ListSyntax::Repeated);
    let with_iv = Envelope::from_url(&seal_text(&text, &iv).query(Leg::Request), Leg::Request).unwrap();
    let without = Envelope::from_url(&seal_text(&text, &v1).query(Leg::Request), Leg::Request).unwrap();
    assert_eq!(with_iv.iv_for(Scheme::HkdfIv), Some([0xfb; BLOCK]));
    assert_eq!(with_iv.iv_for(Scheme::Pbkdf2), None);
    assert_eq!(without.iv_for(Scheme::HkdfIv), None);
    assert_eq!(without.iv_for(Scheme::Pbkdf2), Some([0; BLOCK]));
    assert_eq!(open::<Redirect>(&with_iv, &key(), &v1, PARTIES).unwrap_err(), Unopened::Scheme);
    assert_eq!(open::<Callback>(&without, &key(), &iv, PARTIES).unwrap_err(), Unopened::Scheme);
    assert_eq!(open::<Redirect>(&without, &Key::new([1; 32]), &v1, PARTIES).unwrap_err(), Unopened::Padding);
}

#[test]
fn a_query_is_written_in_its_order_with_every_value_escaped() {
    let sealed = Sealed {
        fi: "a+/b=".into(),
        date: DATE.into(),
        message: "c-_d==".into(),
        iv: "+".into(),
        requestor_type: "e".into(),
    };
    assert_eq!(
        sealed.query(Leg::Request),
        "fi=a%2B%2Fb%3D&reqdate=060420210510756&ecreq=c-_d%3D%3D&iv=%2B&requestorType=e"
    );
    let sealed = Sealed { iv: String::new(), requestor_type: String::new(), ..sealed };
    assert_eq!(sealed.query(Leg::Callback), "fi=a%2B%2Fb%3D&resdate=060420210510756&ecres=c-_d%3D%3D");
    let unpadded = Conventions { padding: false, ..Conventions::of(&PROFILES[0]) };
    let sealed = [Conventions::of(&PROFILES[0]), unpadded].map(|conventions| seal_text("", &conventions).message);
    assert_eq!(sealed[0], format!("{}==", sealed[1]));
}

#[test]
fn a_query_is_appended_after_the_present_query_and_before_the_fragment() {
    for (url, expected) in [
        ("https://x/cb", "https://x/cb?q"),
        ("https://x/cb#top?", "https://x/cb?q#top?"),
        ("https://x/cb?", "https://x/cb?q"),
        ("https://x/cb?a=1", "https://x/cb?a=1&q"),
        ("https://x/cb?a=1&#t", "https://x/cb?a=1&q#t"),
    ] {
        assert_eq!(append(url, "q"), expected);
    }
}

#[test]
fn parameters_are_found_in_a_url_and_in_a_query_string() {
    let query = query();
    for url in [
        query.clone(),
        format!("?{query}"),
        format!("https://x/cb?{query}#fi=1"),
        format!("https://x/a=b/?a&=&b=1&{query}&"),
        format!("myapp://a=b?{query}"),
        format!("x=1?&{query}"),
        query.replace("ecreq", "%65creq"),
    ] {
        let envelope = Envelope::from_url(&url, Leg::Request).unwrap();
        assert_eq!(
            (&*envelope.sender, envelope.ciphertext.len(), names(&envelope.deviations)),
            ("an id>?", 16, vec![]),
            "{url}"
        );
    }
    for (url, expected) in [
        (format!(" {query}"), "WHITESPACE"),
        (query.replace("&ecreq", "& ecreq"), "WHITESPACE"),
        (format!("a=1?{query}"), "SECOND_QUESTION_MARK"),
        (format!("https://x/?y?{}", query.replace("&reqdate", "?reqdate")), "SECOND_QUESTION_MARK"),
    ] {
        let envelope = Envelope::from_url(&url, Leg::Request).unwrap();
        assert_eq!((&*envelope.sender, names(&envelope.deviations)), ("an id>?", vec![expected]), "{url}");
    }
}

#[test]
fn a_line_end_inside_a_value_is_dropped() {
    let whole = query();
    let (before, message) = whole.split_once("ecreq=").unwrap();
    for line_end in ["%0D%0A", "\n", "\t"] {
        let url = format!("{before}ecreq={}{line_end}{}", &message[..8], &message[8..]);
        let envelope = Envelope::from_url(&url, Leg::Request).unwrap();
        assert_eq!((envelope.ciphertext.len(), names(&envelope.deviations)), (16, vec!["WHITESPACE"]), "{line_end:?}");
    }
}

#[test]
fn the_requestor_is_an_fiu_or_an_lsp() {
    for (kind, name) in [(RequestorType::Fiu, "FIU"), (RequestorType::Lsp, "LSP")] {
        let requestor_type = base64::standard(&mask::mask(name.as_bytes(), DATE));
        let query = Sealed { requestor_type, ..seal_text("", &Conventions::of(&PROFILES[1])) }.query(Leg::Request);
        assert_eq!(Envelope::from_url(&query, Leg::Request).unwrap().requestor_type, Some(kind));
        assert_eq!(kind.name(), name);
    }
}

#[test]
fn a_parameter_that_is_missing_repeated_or_of_the_other_leg_is_named() {
    let query = query();
    let problem = |url: &str, leg| match Envelope::from_url(url, leg).err() {
        Some(Malformed::Url(problem)) => problem,
        other => panic!("{other:?}"),
    };
    for (place, name) in ["fi", "reqdate", "ecreq"].into_iter().enumerate() {
        let parts: Vec<&str> = query.split('&').collect();
        let without: Vec<&str> = parts.iter().copied().filter(|part| *part != parts[place]).collect();
        assert_eq!(problem(&without.join("&"), Leg::Request), UrlProblem::Missing(vec![name]));
        assert_eq!(problem(&format!("{query}&{name}=1"), Leg::Request), UrlProblem::Repeated(vec![name]));
    }
    let both = UrlProblem::Repeated(vec!["iv", "fi"]);
    assert_eq!(problem(&format!("{query}&iv=1&iv=&iv=2&fi=1"), Leg::Request), both);
    assert_eq!(problem(&query, Leg::Callback), UrlProblem::OtherLeg(vec!["resdate", "ecres"]));
    assert_eq!(problem("", Leg::Request), UrlProblem::Missing(vec!["fi", "reqdate", "ecreq"]));
    assert_eq!(problem("fi=1&reqdate=1", Leg::Callback), UrlProblem::Missing(vec!["resdate", "ecres"]));
    assert_eq!(problem("fi=1&ecreq=1", Leg::Callback), UrlProblem::Missing(vec!["resdate", "ecres"]));
    assert_eq!(problem("resdate=1&ecres=1", Leg::Request), UrlProblem::OtherLeg(vec!["fi", "reqdate", "ecreq"]));
    assert_eq!(problem("fi=1&resdate=1&ecreq=1", Leg::Request), UrlProblem::Missing(vec!["reqdate"]));
}

#[test]
fn the_parameters_of_a_url_show_its_leg() {
    for url in ["x?fi=1&resdate=2", "ecres=1", "https://x/?a=1?ecres=2", "a&%65cres=1", "https://x/#/cb?ECRES=1"] {
        assert_eq!(leg_of(url), Some(Leg::Callback), "{url}");
    }
    for url in ["x?fi=1&reqdate=2", "https://x/?fi=1#ecres=1"] {
        assert_eq!(leg_of(url), Some(Leg::Request), "{url}");
    }
    for url in ["", "https://ecres/", "a=ecres", "ecres1=2"] {
        assert_eq!(leg_of(url), None, "{url}");
    }
    for url in [
        "https://x/?fi",
        "https://x/?a=1&iv=",
        "https://x/?a=1?ecres=",
        "https://x/?%66i=1",
        "https://x/?%20fi%20=1",
        "https://x/?FI=1",
        "https://x/?a=1&amp;fi=1",
    ] {
        assert!(names_parameter(url, Leg::Callback), "{url}");
    }
    for url in
        ["https://x/", "https://fi/", "https://x/?a=fi", "https://x/?a=1&ecreq=2&requestorType=FIU", "https://x/#?fi=1"]
    {
        assert!(!names_parameter(url, Leg::Callback), "{url}");
    }
}

#[test]
fn a_malformed_parameter_is_named_before_any_key_is_derived() {
    let whole = seal_text("", &Conventions::of(&PROFILES[0]));
    let date = |text: &str| matches!(WireDate::parse(text), Err(problem) if !problem.is_empty());
    assert!(date("310220260510756") && date("") && !date(DATE));
    let given = |fi: &str, date: &str, message: &str, iv: &str, requestor_type: &str| {
        let parameters = Parameters {
            fi: Value::plain(fi),
            date: Value::plain(date),
            message: Value::plain(message),
            iv: Value::plain_or_none(iv),
            requestor_type: Value::plain_or_none(requestor_type),
        };
        match Envelope::from_parameters(parameters, Leg::Request).map(|_| ()) {
            Ok(()) => "",
            Err(Malformed::Date { parameter, .. } | Malformed::Parameter { parameter, .. }) => parameter,
            Err(Malformed::Url(_)) => "url",
        }
    };
    let Sealed { fi, message, iv, requestor_type, .. } = &whole;
    assert_eq!(given(fi, DATE, message, iv, requestor_type), "");
    assert_eq!(given(fi, DATE, message, "", ""), "");
    assert_eq!(given(fi, "0604202105107x", message, iv, requestor_type), "reqdate");
    assert_eq!(given("", DATE, message, iv, requestor_type), "fi");
    assert_eq!(given("####", DATE, message, iv, requestor_type), "fi");
    // 0xff under the mask of `0`.
    assert_eq!(given("zw==", DATE, message, iv, requestor_type), "fi");
    assert_eq!(given(fi, DATE, "", iv, requestor_type), "ecreq");
    assert_eq!(given(fi, DATE, "AAAAAAAAAAAAAAAAAAAA", iv, requestor_type), "ecreq");
    assert_eq!(given(fi, DATE, message, "AAAA", requestor_type), "iv");
    assert_eq!(given(fi, DATE, message, &message.repeat(2), requestor_type), "iv");
    assert_eq!(given(fi, DATE, message, iv, "####"), "", "with any `requestorType`");
}

#[test]
fn a_sender_has_at_most_128_bytes_and_no_control_character() {
    let read = |sender: &str| {
        let sealed = seal_as(sender, DATE, "", &Conventions::of(&PROFILES[1]));
        Envelope::from_url(&sealed.query(Leg::Request), Leg::Request).map(|envelope| envelope.sender).ok()
    };
    let longest = "é".repeat(64);
    assert_eq!(read(&longest), Some(longest.clone()));
    assert_eq!(read(&format!("{longest}x")), None);
    assert_eq!(read("a\u{7f}"), None);
    assert_eq!(read(""), None);
}

#[test]
fn a_value_is_percent_decoded_at_most_eight_times() {
    let sealed = seal_text("", &Conventions::of(&PROFILES[1]));
    let mut message = sealed.message.clone();
    for round in 1..=9 {
        message = message.replace('%', "%25").replace('=', "%3D");
        let query = format!("fi={}&reqdate={DATE}&ecreq={message}", sealed.fi.replace('=', "%3D"));
        let read = Envelope::from_url(&query, Leg::Request).map(|envelope| names(&envelope.deviations)).ok();
        let expected = match round {
            1 => Some(vec![]),
            2..=8 => Some(vec!["DOUBLE_ENCODED"]),
            _ => None,
        };
        assert_eq!(read, expected, "{round}");
    }
}

#[test]
fn fifteen_digits_are_read_both_ways_up_to_the_last_tenth() {
    let read = |text: &str| {
        let date = WireDate::parse(text).unwrap();
        date.readings()
            .into_iter()
            .map(|reading| format!("{} {}", reading.digits, reading.instant.format("%H:%M:%S%.3f")))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        read("060420210510599"),
        ["milliseconds, seconds unknown 05:10:00.599", "seconds and tenths 05:10:59.900"]
    );
    assert_eq!(read("060420210510600"), ["milliseconds, seconds unknown 05:10:00.600"]);
    assert_eq!(read("06042021051059"), ["seconds 05:10:59.000"]);
    assert_eq!(read("06042021051059999"), ["seconds and milliseconds 05:10:59.999"]);
    for text in ["06042021051059", "06042021051059999", "060420210510599"] {
        let date = WireDate::parse(text).unwrap();
        let read = date.instants(DateStyle::Tenths, ReadDate::Tenths).unwrap();
        assert_eq!(read.issue.format("%S").to_string(), "59", "{text}");
    }
    assert!(WireDate::parse("060420210510600").unwrap().instants(DateStyle::Tenths, ReadDate::Tenths).is_err());
}

#[test]
fn a_leap_second_is_written_as_the_last_millisecond_before_it() {
    let leap = "2016-12-31T23:59:60.500Z".parse().unwrap();
    assert_eq!(DateStyle::Full.write(leap), "31122016235959999");
    assert_eq!(DateStyle::Tenths.write(leap), "311220162359599");
    assert_eq!(DateStyle::Millis.write(leap), "311220162359999");
}

#[test]
fn forms_have_the_limits_of_the_guideline() {
    assert!(form::is_uuid(TXNID) && form::is_uuid(&TXNID.to_uppercase()));
    for text in ["", "T1234", &TXNID.replace('-', ""), &format!("{{{TXNID}}}"), &TXNID.replace('d', "g")] {
        assert!(!form::is_uuid(text), "{text}");
    }
    assert!(form::is_pan("ABCDE1234F"));
    for text in ["", "abcde1234f", "ABCDE1234", "ABCDE1234FF", "ABCD11234F", "ABCDEF234F", "ABCDE123EF", "ABCDE12345"] {
        assert!(!form::is_pan(text), "{text}");
    }
    assert!(form::is_list_item("a b|c") && form::is_list_item("Null"));
    for item in
        ["", " a", "a ", "a,b", "{a", "a}", "[a", "a]", "a\"", "a&b", "a'", "a\\b", "a\u{85}", "null", "None", "NaN"]
    {
        assert!(!form::is_list_item(item), "{item}");
    }
    assert!(form::is_extra_name("a") && form::is_extra_name("X9_.-y"));
    for name in ["", "1a", "_a", "a b", "a=", "é", "aé", "Status", "errorcode", "redirect", "fipID", "mac", "MAC"] {
        assert!(!form::is_extra_name(name), "{name}");
    }
    assert_eq!(form::handle("a@b@C").as_deref(), Some("c"));
    assert!(form::is_txnid(&"é".repeat(64)) && !form::is_txnid(&"x".repeat(129)) && !form::is_txnid("\u{9f}"));
    assert!(form::is_userid(&format!("{}@a", "x".repeat(126))) && !form::is_userid(&format!("{}@a", "x".repeat(127))));
    assert_eq!(form::handle("abc"), None);
    assert!(form::is_absolute_url("a+-.1://x"));
    assert!(form::is_absolute_url("a.b:/x") && form::is_absolute_url("https://h?x"));
    for url in ["a_b://x", "://x", "1a://x", "a://", "a:/x", "a.b:", "https://:8/", "HTTP:///x", "https:x", ""] {
        assert!(!form::is_absolute_url(url), "{url}");
    }
}

#[test]
fn debug_output_hides_members_and_shows_the_names_of_deviations() {
    assert_eq!(format!("{:?} {:?}", redirect(), callback()), "Redirect { .. } Callback { .. }");
    let mut deviations = Deviations::default();
    deviations.note(Deviation::PlusAsSpace, "iv");
    deviations.note_if(true, Deviation::PlusAsSpace, "fi");
    deviations.note_if(false, Deviation::Whitespace, "fi");
    assert_eq!(format!("{deviations:?}"), r#"{(PlusAsSpace, "fi"), (PlusAsSpace, "iv")}"#);
    assert_eq!(names(&deviations), ["PLUS_AS_SPACE"], "each kind once");
}

#[test]
fn an_error_code_has_the_text_of_the_table() {
    for (code, text) in [
        (0, "Success: the user accepted"),
        (9, "Account not discovered: nothing at any FIP"),
        (21, "Unlisted error code 21"),
        (16, "Account link failed"),
        (20, "Unknown error"),
        (24, "Unlisted error code 24"),
        (u32::MAX, "Unlisted error code 4294967295"),
    ] {
        assert_eq!(errorcode::text(code), text);
    }
}

#[test]
fn the_error_of_a_refused_text_names_the_problem_and_no_value() {
    let conventions = Conventions::of(&PROFILES[0]);
    let plain = "txnid=t&userid=u@iv&redirect=https://f.in&srcref=a";
    let request = |from: &str, to: &str| {
        let text = plain.replacen(from, to, 1);
        read_redirect(text.as_bytes(), &conventions).err().unwrap().to_string()
    };
    for (from, to, expected) in [
        ("txnid=t", "txnid=", "the member `txnid` is missing or empty"),
        ("userid=u@iv", "userid=", "the member `userid` is missing or empty"),
        ("userid=u@iv", "userid=u", "the member `userid` must have something on both sides of its last `@`"),
        ("redirect=https://f.in", "redirect=", "the member `redirect` is missing or empty"),
        ("redirect=https://f.in", "redirect=f.in", "the member `redirect` must be an absolute URL"),
        ("srcref=a", "srcref= ", "the member `srcref` is missing or empty"),
        ("srcref=a", "srcref=a&x", "member 5 (counted from 1) has no name or no `=`"),
        ("srcref=a", "srcref=a&=x", "member 5 (counted from 1) has no name or no `=`"),
        ("srcref=a", "srcref=a&%FF=x", "the name of member 5 (counted from 1) is not UTF-8"),
        ("userid=u@iv", "userid=u@iv%FF", "the member `userid` is not UTF-8"),
        ("srcref=a", "srcref=%FF", "the member `srcref` is not UTF-8"),
        ("srcref=a", "srcref=a%0A", "the member `srcref` holds a control character"),
        ("srcref=a", "srcref=a&x=%FF", "the member `extra` is not UTF-8"),
        ("txnid=t", "txnid=t\t", "the text has a raw control character"),
        ("txnid=t", "txnid=t%09", "the member `txnid` has over 128 bytes or a control character"),
        ("userid=u@iv", "userid=u@iv&userid=v@iv", "the member `userid` is there twice with different values"),
        ("userid=u@iv", "x=1&x=2&userid=u@iv", "a member that the guideline does not have is there twice"),
    ] {
        let refused = request(from, to);
        assert!(refused.starts_with(expected), "{to}: {refused}");
    }
    let callback = |text: &str| read_callback(text.as_bytes(), &conventions).err().unwrap().to_string();
    for (text, expected) in [
        ("txnid=t&userid=u@a&errorcode=0", "the member `status` is missing or empty"),
        ("txnid=t&userid=u@a&status=S", "the member `errorcode` is missing or empty"),
        ("txnid=t&userid=u@a&status=X&errorcode=0", "the member `status` is neither S nor F"),
        ("txnid=t&userid=u@a&status=S&errorcode=+0", "the member `errorcode` is not a number of 1 to 10 digits"),
        ("userid=u@a&status=S&errorcode=0", "the member `txnid` is missing or empty"),
        ("txnid=t&status=S&errorcode=0", "the member `userid` is missing or empty"),
    ] {
        let refused = callback(text);
        assert!(refused.starts_with(expected), "{text}: {refused}");
    }
}
