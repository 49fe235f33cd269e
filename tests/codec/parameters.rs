//! How a URL's parameters are read (wire format, section 6), and which error unreadable parameters give.

use aa_redirect::codec::{
    Envelope, Malformed, ParameterProblem, Parties, RequestorType, Seal, Sealed, base64,
    cipher::BLOCK,
    kdf::Key,
    mask::mask,
    profile::{Conventions, PROFILES},
    seal,
    url::{Leg, UrlProblem, names_any_parameter},
};

const DATE: &str = "271120262205345";
const SENDER: &str = "fiu@wild";

/// A message with an IV. Its Base64 has no `+`, and its `fi` has no escape except `%3D`.
fn sealed() -> Sealed {
    let seal_with = Seal {
        leg: Leg::Request,
        parties: Parties { fiu: SENDER, aa: "" },
        requestor_type: None,
        date: DATE.to_owned(),
        key: &Key::new([0; 32]),
        random_iv: [1; BLOCK],
    };
    seal("x".repeat(20).into(), seal_with, &Conventions::of(&PROFILES[0]))
}

fn query() -> String {
    sealed().query(Leg::Request)
}

/// The sender, and the deviations with their places.
fn read(url: &str) -> Result<(String, String), Malformed> {
    let envelope = Envelope::from_url(url, Leg::Request)?;
    assert_eq!((envelope.ciphertext.len(), envelope.iv), (32, Some([1; BLOCK])), "{url}");
    let places: Vec<_> = envelope
        .deviations
        .details()
        .map(|(kind, place)| if place.is_empty() { kind.name().to_owned() } else { format!("{}@{place}", kind.name()) })
        .collect();
    Ok((envelope.sender, places.join(" ")))
}

fn check(cases: &[(String, &str)]) {
    for (url, deviations) in cases {
        let read = read(url).unwrap_or_else(|problem| panic!("{problem:?}: {url}"));
        assert_eq!(read, (SENDER.to_owned(), (*deviations).to_owned()), "{url}");
    }
}

#[test]
fn parameters_are_found_however_the_url_carries_them() {
    let query = query();
    check(&[
        (format!("https://aa.example/w?{}", query.replace('&', "&amp;")), "HTML_ESCAPED"),
        (format!("https://aa.example/w?x=1&amp;{query}"), "HTML_ESCAPED"),
        (format!("https://aa.example/w?{}", query.replace('&', "&amp;amp;")), "HTML_ESCAPED"),
        (format!("https://aa.example/w?{query}&amp;x=1"), ""),
        (query.replace("fi=", "FI=").replace("&reqdate", "&reqDate"), "NAME_CASE@fi NAME_CASE@reqdate"),
        (query.replace("&iv", "&amp;%49V%20"), "WHITESPACE@iv NAME_CASE@iv HTML_ESCAPED"),
        (format!("https://fiu.example/#/cb?{query}"), "IN_FRAGMENT"),
        (format!("https://fiu.example/#{query}"), "IN_FRAGMENT"),
        (format!("https://fiu.example/?x=1#/cb?{query}#top"), "IN_FRAGMENT"),
        (format!("https://fiu.example/#a#/cb/x=1?{query}"), "IN_FRAGMENT"),
        (format!("https://fiu.example/cb?{query}#?fi=1&reqdate=2"), ""),
        (format!("https://x/cb/txn=55?{query}"), ""),
        (format!("/cb/txn=55?{query}"), ""),
        (format!("x.example/cb/txn=55?{query}"), ""),
        (format!("https://x/cb?txn=55?{query}"), "SECOND_QUESTION_MARK"),
        (format!("https://x/cb?txn=55?{}", query.replace("fi=", "Fi=")), "SECOND_QUESTION_MARK NAME_CASE@fi"),
        (format!("https://x/cb?txn=what?&{query}"), ""),
        (format!("https://x/cb?txn=what?fine=1&{query}"), ""),
    ]);
}

#[test]
fn a_parameter_that_comes_twice_with_one_value_counts_once() {
    let query = query();
    check(&[
        (format!("{query}&{query}"), "REPEATED@ecreq REPEATED@fi REPEATED@iv REPEATED@reqdate"),
        (format!("{query}&%66I={}", sealed().fi), "NAME_CASE@fi REPEATED@fi"),
        (format!("{query}&requestorType=&requestorType="), "REPEATED@requestorType"),
    ]);
    let problem = |url: &str| match Envelope::from_url(url, Leg::Request).err() {
        Some(Malformed::Url(problem)) => problem,
        other => panic!("{other:?}"),
    };
    assert_eq!(problem(&format!("{query}&iv=")), UrlProblem::Repeated(vec!["iv"]));
    assert_eq!(problem(&format!("{query}&fi=A&fi=B&iv=C&fi=D")), UrlProblem::Repeated(vec!["fi", "iv"]));
    assert_eq!(problem("https://fiu.example/?fi=A#/cb?fi=A"), UrlProblem::Missing(vec!["reqdate", "ecreq"]));
}

#[test]
fn any_requestor_type_opens() {
    let query = query();
    let masked = |kind: &str| base64::standard(&mask(kind.as_bytes(), DATE)).replace('=', "%3D").replace('+', "%2B");
    let kind = |value: &str| {
        let url = format!("{query}&requestorType={value}");
        let envelope = Envelope::from_url(&url, Leg::Request).unwrap();
        let places: Vec<_> = envelope.deviations.details().map(|(kind, place)| (kind.name(), place)).collect();
        (envelope.requestor_type, places)
    };
    let reported = vec![("REQUESTOR_TYPE", "requestorType")];
    assert_eq!(kind(&masked("FIU")), (Some(RequestorType::Fiu), vec![]));
    assert_eq!(kind("FIU"), (Some(RequestorType::Fiu), reported.clone()));
    assert_eq!(kind("LSP"), (Some(RequestorType::Lsp), reported.clone()));
    assert_eq!(kind("RklV"), (Some(RequestorType::Fiu), reported.clone()), "Base64 of FIU");
    assert_eq!(kind("TFNQ"), (Some(RequestorType::Lsp), reported.clone()), "Base64 of LSP");
    for unknown in ["fiu", "TSP", "%23%23", "%FF", "100%", &*masked("TSP"), &*masked("fiu"), &*masked(""), "RkpV"] {
        if !unknown.is_empty() {
            assert_eq!(kind(unknown), (None, reported.clone()), "{unknown}");
        }
    }
}

#[test]
fn a_date_without_its_zero_is_masked_with_it() {
    let date = "071120262205345";
    let fi = base64::standard(&mask(SENDER.as_bytes(), date)).replace('=', "%3D");
    let message = query().split_once("&ecreq").unwrap().1.to_owned();
    check(&[
        (format!("fi={fi}&reqdate=71120262205345&ecreq{message}"), "DATE_ZERO_LOST@reqdate"),
        (format!("fi={fi}&reqdate=%2071120262205345&ecreq{message}"), "WHITESPACE@reqdate DATE_ZERO_LOST@reqdate"),
    ]);
}

/// What is wrong with a parameter, and the decoded `fi`.
fn problem(url: &str) -> (&'static str, ParameterProblem, Option<String>) {
    match Envelope::from_url(url, Leg::Request).err() {
        Some(Malformed::Parameter { parameter, problem, unmasked }) => (parameter, problem, unmasked),
        other => panic!("{other:?}: {url}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn hexadecimal_is_distinguished_from_base64() {
    let Sealed { fi, message, iv, .. } = sealed();
    let query = |fi: &str, message: &str, iv: &str| format!("fi={fi}&reqdate={DATE}&ecreq={message}&iv={iv}");
    let masked = hex(&mask(SENDER.as_bytes(), DATE));
    for (url, parameter) in [
        (query(&fi, &hex(&[0xab; 32]), &iv), "ecreq"),
        // Twice as many digits also decode to whole blocks as Base64.
        (query(&fi, &hex(&[0x1c; 64]).to_uppercase(), &iv), "ecreq"),
        (query(&fi, &hex(&[0x1c; 33]), &iv), "ecreq"),
        (query(&fi, &message, &hex(&[0x0f; 16])), "iv"),
        (query(&masked, &message, &iv), "fi"),
    ] {
        let (found, problem, _) = problem(&url);
        assert_eq!((found, problem.hint()), (parameter, Some("HEXADECIMAL")), "{url}");
    }
    // Zero bytes are a text of `A` only.
    let zeros = base64::url_safe(&[0; 48], true);
    assert!(zeros.bytes().all(|symbol| symbol == b'A'));
    assert!(Envelope::from_url(&query(&fi, &zeros, &iv), Leg::Request).is_ok());
}

#[test]
fn a_cut_value_is_distinguished_from_a_value_that_is_not_base64() {
    let query = query();
    let whole = |name: &str, value: &str| {
        let parts: Vec<String> = query
            .split('&')
            .map(|part| if part.starts_with(name) { format!("{name}={value}") } else { part.to_owned() })
            .collect();
        problem(&parts.join("&"))
    };
    let Sealed { message, .. } = sealed();
    for cut in [&message[..message.len() - 3], &message[..20], &message[..1], &format!("{}%3", &message[..40])] {
        let (parameter, problem, _) = whole("ecreq", cut);
        assert_eq!((parameter, problem.hint()), ("ecreq", Some("CUT_SHORT")), "{cut}");
    }
    for (name, value, problem) in [
        ("ecreq", "", ParameterProblem::Empty),
        ("ecreq", "%20%0A", ParameterProblem::Empty),
        ("ecreq", "AAAA*AAA", ParameterProblem::NotBase64),
        ("ecreq", "AA%3D%3DAA", ParameterProblem::NotBase64),
        ("iv", "AAAA", ParameterProblem::CutShort),
        ("iv", &"A".repeat(44), ParameterProblem::TooLong),
        ("iv", "{}", ParameterProblem::NotBase64),
        ("fi", "", ParameterProblem::Empty),
        ("fi", "VF5Ec", ParameterProblem::CutShort),
        ("fi", "fiu@wild", ParameterProblem::NotBase64),
    ] {
        let (parameter, found, _) = whole(name, value);
        assert_eq!((parameter, found), (name, problem), "{name}={value}");
    }
}

#[test]
fn an_id_that_is_not_masked_is_recognised() {
    let message = query().split_once("&ecreq").unwrap().1.to_owned();
    let url = |fi: &[u8]| format!("fi={}&reqdate={DATE}&ecreq{message}", base64::standard(fi).replace('=', "%3D"));
    // If an id was not masked, unmasking gives another id or control characters.
    let envelope = Envelope::from_url(&url(b"fiu@wild"), Leg::Request).unwrap();
    assert_ne!(envelope.sender, "fiu@wild");
    assert_eq!(envelope.unmasked_sender().as_deref(), Some("fiu@wild"));
    assert_eq!(problem(&url(b"2fiu")), ("fi", ParameterProblem::ControlCharacters, Some("2fiu".to_owned())));
    assert_eq!(problem(&url(b"\xff")), ("fi", ParameterProblem::NotUtf8, Some("/w==".to_owned())));
    let plain = format!("fi=fiu@wild&reqdate={DATE}&ecreq{message}");
    assert_eq!(problem(&plain), ("fi", ParameterProblem::NotBase64, Some("fiu@wild".to_owned())), "not Base64 either");
    let long = "x".repeat(129);
    assert_eq!(problem(&url(&mask(long.as_bytes(), DATE))).1, ParameterProblem::LongId);
}

#[test]
fn a_url_that_names_a_parameter_of_either_leg_is_recognised() {
    for url in [
        "https://f.in/?fi",
        "https://f.in/?a=1&REQDATE=2",
        "https://f.in/?a=1&amp;ecreq=2",
        "https://f.in/?%72equestorType=",
        "https://f.in/?a=1?resdate=2#x",
        "https://f.in/?a&%20ecres",
    ] {
        assert!(names_any_parameter(url), "{url}");
    }
    for url in ["https://f.in/fi=1", "https://f.in/?a=fi", "https://f.in/?fip=1&fi2=2", "https://f.in/#?fi=1"] {
        assert!(!names_any_parameter(url), "{url}");
    }
}

#[test]
fn an_error_about_a_malformed_parameter_shows_no_value() {
    for url in ["fi=1&reqdate=secret&ecreq=1", "fi=Zml1QHdpbGQ&reqdate=271120262205345&ecreq=secret"] {
        let shown = format!("{:?}", Envelope::from_url(url, Leg::Request).err().unwrap());
        assert!(!shown.contains("secret") && !shown.contains("wild"), "{shown}");
    }
}
