//! How members are read (wire format, section 6): one table for each rule, with the meaning of each text and the places
//! of its repairs.

use std::fmt::Write;

use aa_redirect::codec::{
    Deviations,
    members::{Callback, Redirect, read_callback, read_redirect},
    profile::{Conventions, ListSyntax, PROFILES},
};

const TXNID: &str = "2d04747e-21c6-4c23-955b-d46c2f820140";
const PLAIN: &str =
    "txnid=2d04747e-21c6-4c23-955b-d46c2f820140&sessionid=s&userid=9@aa&redirect=https://f.in/cb&srcref=a";
const OUTCOME: &str =
    "txnid=2d04747e-21c6-4c23-955b-d46c2f820140&sessionid=s&userid=9@aa&status=S&errorcode=0&srcref=a";

/// All profiles read members in the same way. Lists are written as repeated members.
fn conventions(profile: usize) -> Conventions {
    Conventions::of(&PROFILES[profile])
}

fn with_lists(lists: ListSyntax) -> Conventions {
    Conventions { lists, ..conventions(0) }
}

/// The members of a request that differ from those of [`PLAIN`], as `name=value` with ` | ` between; lists with `/`
/// between their items.
fn differences(redirect: &Redirect) -> String {
    let mut text = String::new();
    let mut compare = |name: &str, value: &str, plain: &str| {
        if value != plain {
            let joint = if text.is_empty() { "" } else { " | " };
            write!(text, "{joint}{name}={value}").unwrap();
        }
    };
    compare("txnid", &redirect.txnid, TXNID);
    compare("sessionid", &redirect.sessionid, "s");
    compare("userid", &redirect.userid, "9@aa");
    compare("redirect", &redirect.redirect, "https://f.in/cb");
    compare("srcref", &redirect.srcref.join("/"), "a");
    compare("fipid", &redirect.fipid.join("/"), "");
    for (name, value) in redirect.optional() {
        compare(name, value, "");
    }
    for (name, value) in &redirect.extra {
        compare(name, value, "\0");
    }
    text
}

fn places(deviations: &Deviations) -> String {
    let places: Vec<_> = deviations
        .details()
        .map(|(kind, place)| if place.is_empty() { kind.name().to_owned() } else { format!("{}@{place}", kind.name()) })
        .collect();
    places.join(" ")
}

/// Reads a request under every profile. Returns the members that differ and the deviations, or `refused`.
fn request(text: impl AsRef<[u8]>) -> (String, String) {
    let read = |profile| match read_redirect(text.as_ref(), &conventions(profile)) {
        Ok((redirect, deviations)) => (differences(&redirect), places(&deviations)),
        Err(_) => ("refused".to_owned(), String::new()),
    };
    let first = read(0);
    for profile in 1..PROFILES.len() {
        assert_eq!(read(profile), first, "no rule depends on the profile");
    }
    first
}

fn callback(text: impl AsRef<[u8]>) -> Option<(Callback, String)> {
    let (callback, deviations) = read_callback(text.as_ref(), &conventions(3)).ok()?;
    Some((callback, places(&deviations)))
}

/// `PLAIN` with one member in place of another.
fn with(from: &str, to: &str) -> String {
    assert!(PLAIN.contains(from));
    PLAIN.replacen(from, to, 1)
}

fn check(cases: &[(String, &str, &str)]) {
    for (text, members, deviations) in cases {
        assert_eq!(request(text), ((*members).to_owned(), (*deviations).to_owned()), "{text:?}");
    }
}

fn refused(cases: &[String]) {
    for text in cases {
        assert_eq!(request(text).0, "refused", "{text:?}");
    }
}

/// Percent-encodes everything except letters and digits.
fn encoded(text: &str) -> String {
    let escape = |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).into() } else { format!("%{byte:02X}") };
    text.bytes().map(escape).collect()
}

#[test]
fn characters_around_a_text_are_dropped_in_one_order() {
    check(&[
        (format!(" \r\n{PLAIN}\n "), "", "WHITESPACE"),
        (format!("\u{feff}{PLAIN}"), "", "STRAY_CHARACTERS"),
        (format!("?{PLAIN}"), "", "STRAY_CHARACTERS"),
        (format!(" \u{feff} ? {PLAIN}"), "", "WHITESPACE STRAY_CHARACTERS"),
        // They are dropped only in that order, and each only once.
        (format!("?\u{feff}{PLAIN}"), "refused", ""),
        (format!("{PLAIN}&x= "), "x=", "WHITESPACE EXTRA_MEMBER@extra"),
        (format!("{PLAIN}\u{a0}"), "srcref=a\u{a0}", "RAW_NON_ASCII@srcref"),
    ]);
    // Everything in front except blanks, line ends and `?` belongs to the first name.
    for front in ["??", "\u{feff}\u{feff}", "\t", "\u{a0}"] {
        refused(&[format!("{front}{PLAIN}")]);
    }
}

#[test]
fn a_text_that_was_encoded_as_a_whole_is_decoded_once() {
    check(&[
        (encoded(PLAIN), "", "DOUBLE_ENCODED"),
        (format!(" {}\n", encoded(PLAIN)), "", "DOUBLE_ENCODED WHITESPACE"),
        (encoded(&format!(" \u{feff}?{PLAIN}\r\n")), "", "DOUBLE_ENCODED WHITESPACE STRAY_CHARACTERS"),
        (encoded(&with("=s&", "=a+b%20c&")), "sessionid=a+b c", "DOUBLE_ENCODED"),
        (encoded(&with("=s&", "=é&")), "sessionid=é", "DOUBLE_ENCODED RAW_NON_ASCII@sessionid"),
        (format!("%{}", encoded(&with("txnid", "&txnid"))), "refused", ""),
        (format!("{}%", encoded(PLAIN)), "srcref=a%", "DOUBLE_ENCODED INVALID_ESCAPE INVALID_ESCAPE@srcref"),
    ]);
    refused(&[
        encoded(&encoded(PLAIN)),
        encoded(PLAIN).replace("srcref", "%FF"),
        encoded(&with("=s&", "=\t&")),
        "txnid".to_owned(),
        String::new(),
    ]);
}

#[test]
fn control_characters_are_escaped_or_refused() {
    for raw in ["\0", "\t", "\r\n", "\u{1f}", "\u{7f}"] {
        refused(&[with("=s&", &format!("=a{raw}b&")), with("srcref=a", &format!("srcref=a&x{raw}=1"))]);
        check(&[(with("=s&", &format!("={}&", encoded(raw))), &format!("sessionid={raw}"), "")]);
    }
    // Control characters above 0x80 count as raw text, but `txnid` and `userid`, which both sides compare, cannot have
    // them.
    check(&[(with("=s&", "=\u{85}&"), "sessionid=\u{85}", "RAW_NON_ASCII@sessionid")]);
    for control in ["%00", "%0A", "%7F", "%C2%80", "\u{9f}"] {
        refused(&[
            with(TXNID, &format!("T{control}")),
            with("9@aa", &format!("9{control}@aa")),
            with("srcref=a", &format!("srcref=a{control}")),
            with("srcref=a", &format!("srcref=a&fipid=[{control},b]")),
        ]);
    }
}

#[test]
fn empty_pieces_are_skipped() {
    check(&[
        (format!("&&{PLAIN}"), "", "STRAY_CHARACTERS"),
        (with("&userid", "&&&userid"), "", "STRAY_CHARACTERS"),
        (format!("{PLAIN}&&"), "", "STRAY_CHARACTERS"),
        (format!("{PLAIN}& "), "", "WHITESPACE STRAY_CHARACTERS"),
    ]);
    refused(&["&".to_owned(), "&&".to_owned(), format!("{PLAIN}& &x=1")]);
}

#[test]
fn names_are_found_in_any_case_with_brackets_and_escapes() {
    check(&[
        (with("srcref=a", "srcRef=a&fipID=X"), "fipid=X", "NAME_CASE@fipid NAME_CASE@srcref"),
        (with("userid", "userId").replace("9@aa", "9+@aa"), "userid=9+@aa", "NAME_CASE@userid"),
        (with("txnid", "%74xnid"), "", ""),
        (with("txnid", "%54XNID"), "", "NAME_CASE@txnid"),
        (with("srcref=a", "srcref[]=a&srcref[]=b"), "srcref=a/b", "LIST_SYNTAX@srcref"),
        (with("srcref=a", "srcref%5B0%5D=a&srcref%5b12%5d=b"), "srcref=a/b", "LIST_SYNTAX@srcref"),
        (with("srcref=a", "SrcRef[0]=a&fipid[]=X"), "fipid=X", "LIST_SYNTAX@fipid LIST_SYNTAX@srcref NAME_CASE@srcref"),
        (format!("{PLAIN}&email[]=x"), "email[]=x", "EXTRA_MEMBER@extra"),
        (format!("{PLAIN}&srcref[x]=b"), "srcref[x]=b", "EXTRA_MEMBER@extra"),
        (format!("{PLAIN}&ſrcref=b"), "ſrcref=b", "EXTRA_MEMBER@extra RAW_NON_ASCII@extra"),
        (format!("{PLAIN}&50%=b"), "50%=b", "EXTRA_MEMBER@extra INVALID_ESCAPE@extra"),
        (format!("{PLAIN}&a+b=c"), "a+b=c", "EXTRA_MEMBER@extra"),
        (format!("{PLAIN}& txnid=c"), " txnid=c", "EXTRA_MEMBER@extra"),
        (format!("{PLAIN}&status=S&errorcode=0"), "errorcode=0 | status=S", "EXTRA_MEMBER@extra"),
    ]);
    refused(&[format!("{PLAIN}&=x"), format!("{PLAIN}&%FF=x"), format!("{PLAIN}&x"), with("srcref", "srcref[")]);
    let (opened, deviations) = callback(OUTCOME.replace("errorcode", "errorCode") + "&fipid[]=X").unwrap();
    assert_eq!((&*opened.extra["fipid[]"], &*deviations), ("X", "EXTRA_MEMBER@extra NAME_CASE@errorcode"));
}

#[test]
fn the_first_userid_shows_what_a_plus_means() {
    let form = |to: &str| with("=s&", to).replace("9@aa", "9%40aa");
    check(&[
        (with("=s&", "=a+b%2B&email=c+d&x=+&"), "sessionid=a+b+ | email=c+d | x=+", "EXTRA_MEMBER@extra"),
        (form("=a+b%2B&email=c+d&x=+&"), "sessionid=a b+ | email=c d | x= ", "EXTRA_MEMBER@extra"),
        (form("=a+b&").replace("srcref=a", "srcref=a+b,c"), "sessionid=a b | srcref=a b/c", "LIST_SYNTAX@srcref"),
        // A `+` of a redirect stays a `+`, no matter how the sender escaped it.
        (form("=s&").replace("https://f.in/cb", "https%3A%2F%2Ff.in%2Fcb+"), "redirect=https://f.in/cb+", ""),
        // The first one decides. Both name the same user.
        (format!("userid=9%40aa&{}", with("=s&", "=a+b&")), "sessionid=a b", "REPEATED@userid"),
        (format!("{}&userid=9%40aa", with("=s&", "=a+b&")), "sessionid=a+b", "REPEATED@userid"),
        (with("9@aa", "+9@aa"), "userid=+9@aa", ""),
    ]);
    refused(&[with("9@aa", "+9%40aa")]);
}

#[test]
fn a_percent_sign_that_begins_no_escape_stands_for_itself() {
    check(&[
        (with("=s&", "=100%&"), "sessionid=100%", "INVALID_ESCAPE@sessionid"),
        (with("=s&", "=%%41%4&"), "sessionid=%A%4", "INVALID_ESCAPE@sessionid"),
        (with("=s&", "=%+1%zz&"), "sessionid=%+1%zz", "INVALID_ESCAPE@sessionid"),
        (with("=s&", "=%25zz&"), "sessionid=%zz", ""),
        (with("srcref=a", "srcref=a%"), "srcref=a%", "INVALID_ESCAPE@srcref"),
        (with("https://f.in/cb", "https%3A%2F%2Ff.in%2F%"), "redirect=https://f.in/%", "INVALID_ESCAPE@redirect"),
        (with("f.in/cb", "f.in/%"), "redirect=https://f.in/%", ""),
    ]);
    refused(&[with("=s&", "=%FF&"), with("srcref=a", "srcref=a&x=%C3")]);
}

#[test]
fn members_that_were_encoded_twice_are_decoded_twice_if_the_userid_shows_it() {
    let twice = |text: &str| text.replace("9@aa", "9%2540aa");
    let user = "DOUBLE_ENCODED@userid";
    check(&[
        (twice(PLAIN), "", user),
        (twice(&with("=s&", "=a%252Bb+%2B&")), "sessionid=a+b +", "DOUBLE_ENCODED@sessionid DOUBLE_ENCODED@userid"),
        (twice(&with("=s&", "=%25&")), "sessionid=%", "DOUBLE_ENCODED@userid INVALID_ESCAPE@sessionid"),
        (
            twice(&with("srcref=a", "srcref=a%252Cb")),
            "srcref=a/b",
            "DOUBLE_ENCODED@srcref DOUBLE_ENCODED@userid LIST_SYNTAX@srcref",
        ),
        (twice(&format!("{PLAIN}&pan=%256eull")), "", "DOUBLE_ENCODED@pan DOUBLE_ENCODED@userid BLANK_OPTIONAL@pan"),
        // Only rule 6 applies to the redirect.
        (twice(&with("f.in/cb", "f.in/%2541")), "redirect=https://f.in/%2541", user),
        (twice(&with("https://f.in/cb", "https%3A%2F%2Ff.in%2F%2541")), "redirect=https://f.in/%41", user),
        // A single encoding shows by the `@` that decoding gives.
        (with("9@aa", "9%2540x%40aa").replace("=s&", "=%2541&"), "sessionid=%41 | userid=9%40x@aa", ""),
    ]);
    refused(&[with("9@aa", "9%252540aa"), twice(&with("=s&", "=%25FF&")), with("9@aa", "9%2540%25FFaa")]);
}

#[test]
fn a_redirect_with_a_raw_scheme_is_kept_as_received() {
    check(&[
        (with("f.in/cb", "f.in/%20+%2541é"), "redirect=https://f.in/%20+%2541é", "RAW_NON_ASCII@redirect"),
        (with("https://f.in/cb", "com.fiu.app:/x%20"), "redirect=com.fiu.app:/x%20", ""),
        (with("https://f.in/cb", "myapp://x"), "redirect=myapp://x", ""),
        (with("https://f.in/cb", "HTTPS%3a//F.in"), "redirect=HTTPS://F.in", ""),
        (with("https://f.in/cb", "%68ttps://f.in/%41"), "redirect=https://f.in/A", ""),
        // axios does not escape the colon.
        (with("https://f.in/cb", "https:%2F%2Ff.in%2F%3Fa%3D1%2520"), "redirect=https://f.in/?a=1%20", ""),
        (with("https://f.in/cb", "com.fiu.app:%2fcb"), "redirect=com.fiu.app:/cb", ""),
        (
            with("https://f.in/cb", "https%253A%252F%252Ff.in%252F%252541"),
            "redirect=https://f.in/%41",
            "DOUBLE_ENCODED@redirect",
        ),
        (with("https://f.in/cb", "https%3A%2F%2Ff.in%2F%2541"), "redirect=https://f.in/%41", ""),
    ]);
    refused(&[
        with("https://f.in/cb", "https%25253A%25252F%25252Ff.in"),
        with("https://f.in/cb", "https:%41"),
        with("https://f.in/cb", "https:///cb"),
        with("https://f.in/cb", "https://:80/"),
        with("https://f.in/cb", "myapp:/cb"),
        with("https://f.in/cb", "about://x"),
        with("https://f.in/cb", "javascript%3A//x"),
        with("https://f.in/cb", "f.in/cb"),
        with("f.in/cb", "f.in/a b"),
        with("f.in/cb", "f.in\\@evil.test"),
        with("https://f.in/cb", "https%3A%2F%2Ff.in%2F%20"),
    ]);
}

#[test]
fn an_open_redirect_goes_on_until_a_member_begins() {
    let open = |url: &str, rest: &str| with("https://f.in/cb&srcref=a", &format!("{url}{rest}"));
    let unescaped = "REDIRECT_UNESCAPED@redirect";
    check(&[
        (open("https://f.in/?a=1&b&c=2", "&srcref=a"), "redirect=https://f.in/?a=1&b&c=2", unescaped),
        (open("https://f.in/#/cb&x", "&srcref=a"), "redirect=https://f.in/#/cb&x", unescaped),
        (open("https://f.in/?a=%2B+&b=%", "&srcref=a"), "redirect=https://f.in/?a=%2B+&b=%", unescaped),
        (open("https://f.in/?a&&b&", "&srcref=a"), "redirect=https://f.in/?a&&b&", unescaped),
        // A name that has come before is part of the redirect. A new name begins a member, and so does every list.
        (
            open("https://f.in/?userid=5&redirect=x", "&srcref=a"),
            "redirect=https://f.in/?userid=5&redirect=x",
            unescaped,
        ),
        (
            open("https://f.in/?a=1", "&email=x&b=2&srcref=a"),
            "redirect=https://f.in/?a=1 | email=x | b=2",
            "REDIRECT_UNESCAPED@redirect EXTRA_MEMBER@extra",
        ),
        (open("https://f.in/?a=1", "&srcref=a&srcref=b"), "redirect=https://f.in/?a=1 | srcref=a/b", unescaped),
        (
            open("https://f.in/?a=1", "&EMAIL=x&srcref[]=a"),
            "redirect=https://f.in/?a=1 | email=x",
            "LIST_SYNTAX@srcref REDIRECT_UNESCAPED@redirect NAME_CASE@email",
        ),
        (open("https://f.in/?a=1&email", "&srcref=a"), "redirect=https://f.in/?a=1&email", unescaped),
        // A redirect cannot have one of the URL's parameters, written with exactly these letters.
        (
            open("https://f.in/?a=1", "&fi=x&b=2&srcref=a"),
            "redirect=https://f.in/?a=1 | b=2 | fi=x",
            "REDIRECT_UNESCAPED@redirect EXTRA_MEMBER@extra",
        ),
        (
            open("https://f.in/?a=1", "&%65cres=x&srcref=a"),
            "redirect=https://f.in/?a=1 | ecres=x",
            "REDIRECT_UNESCAPED@redirect EXTRA_MEMBER@extra",
        ),
        (open("https://f.in/?a=1&FI=x", "&srcref=a"), "redirect=https://f.in/?a=1&FI=x", unescaped),
        (open("https://f.in/?a=1&%FF=x&=y", "&srcref=a"), "redirect=https://f.in/?a=1&%FF=x&=y", unescaped),
        // Without a raw scheme or a raw query, the redirect ends at the next `&`.
        (open("https%3A//f.in/?a=1", "&b=2&srcref=a"), "redirect=https://f.in/?a=1 | b=2", "EXTRA_MEMBER@extra"),
        (open("https://f.in/%3Fa", "&b=2&srcref=a"), "redirect=https://f.in/%3Fa | b=2", "EXTRA_MEMBER@extra"),
        (with("=s&", "=a?b&"), "sessionid=a?b", ""),
        (format!("{}&redirect=https://f.in/cb", with("redirect=https://f.in/cb&", "")), "", ""),
        (
            format!("{}&redirect=https://f.in/?a&b&& ", with("redirect=https://f.in/cb&", "")),
            "redirect=https://f.in/?a&b",
            "WHITESPACE REDIRECT_UNESCAPED@redirect STRAY_CHARACTERS",
        ),
        (
            open("https://f.in/?é", "&é&srcref=a"),
            "redirect=https://f.in/?é&é",
            "REDIRECT_UNESCAPED@redirect RAW_NON_ASCII@redirect",
        ),
        (open("https://f.in/cb", "&redirect=https%3A%2F%2Ff.in%2Fcb&srcref=a"), "", "REPEATED@redirect"),
    ]);
    refused(&[open("https://f.in/cb", "&redirect=https://f.in/other&srcref=a"), open("https://f.in/?a&srcref", "")]);
}

#[test]
fn a_callback_brings_back_a_redirect_as_an_extra_member() {
    let redirect = |text: &str| {
        let (opened, deviations) = callback(OUTCOME.replace("srcref=a", text)).unwrap();
        (opened.extra["redirect"].clone(), opened.srcref.join("/"), deviations)
    };
    let extra = "EXTRA_MEMBER@extra";
    for (text, url, srcref, deviations) in [
        (
            "redirect=https://f.in/?a=1%20&b=2&srcref=a",
            "https://f.in/?a=1%20&b=2",
            "a",
            "REDIRECT_UNESCAPED@extra EXTRA_MEMBER@extra",
        ),
        ("redirect=https%253A%252F%252Ff.in%252F", "https://f.in/", "", "DOUBLE_ENCODED@extra EXTRA_MEMBER@extra"),
        ("redirect=javascript:x&srcref=a", "javascript:x", "a", extra),
        ("redirect=&srcref=a", "", "a", extra),
        ("redirect=a+b&srcref=a", "a+b", "a", extra),
    ] {
        assert_eq!(redirect(text), (url.to_owned(), srcref.to_owned(), deviations.to_owned()), "{text}");
    }
    // The name must be exactly this one.
    let (opened, deviations) = callback(format!("{OUTCOME}&Redirect=https://f.in/?a&b=1")).unwrap();
    assert_eq!((&*opened.extra["Redirect"], &*opened.extra["b"], &*deviations), ("https://f.in/?a", "1", extra));
}

#[test]
fn lists_are_read_in_every_syntax() {
    for (value, items, repairs) in [
        ("a,b", "a/b", "LIST_SYNTAX@srcref"),
        ("a,", "a", "LIST_SYNTAX@srcref"),
        ("{a,b}", "a/b", "LIST_SYNTAX@srcref"),
        ("{a b}", "a b", "LIST_SYNTAX@srcref"),
        ("[\"a\",\"b\"]", "a/b", "LIST_SYNTAX@srcref"),
        ("[ \"a\" , 'b' ]", "a/b", "LIST_SYNTAX@srcref"),
        ("[\"a,b\"]", "\"a/b\"", "LIST_SYNTAX@srcref"),
        ("[\"a\\\"b\"]", "a\\\"b", "LIST_SYNTAX@srcref"),
        ("[\"a\" \"b\"]", "a\" \"b", "LIST_SYNTAX@srcref"),
        ("[a,b]", "a/b", "LIST_SYNTAX@srcref"),
        ("[a, b]", "a/b", "LIST_SYNTAX@srcref"),
        ("[a b  c]", "a/b/c", "LIST_SYNTAX@srcref"),
        ("[a]", "a", "LIST_SYNTAX@srcref"),
        ("a%26srcref%3Db", "a/b", "LIST_SYNTAX@srcref"),
        ("a%26SRCREF%3D{b,c}", "a/b/c", "LIST_SYNTAX@srcref"),
        ("a%26srcref%3D", "a", "LIST_SYNTAX@srcref"),
        ("a%26fipid%3Db", "a&fipid=b", ""),
        ("a%26b", "a&b", ""),
        ("\"a\"", "a", "LIST_SYNTAX@srcref"),
        ("'a'", "a", "LIST_SYNTAX@srcref"),
        ("\"a'", "\"a'", ""),
        ("\"", "\"", ""),
        (" a ", "a", "WHITESPACE@srcref"),
        (" a, b ", "a/b", "WHITESPACE@srcref LIST_SYNTAX@srcref"),
        ("a|b", "a|b", ""),
        ("a\\b", "a\\b", ""),
        ("null", "null", ""),
    ] {
        let text = format!("{}&x=", with("srcref=a", &format!("srcref={value}")));
        let (members, deviations) = request(&text);
        let expected = if items == "a" { "x=".to_owned() } else { format!("srcref={items} | x=") };
        let expected_deviations = format!("{repairs} EXTRA_MEMBER@extra");
        assert_eq!((&members, &*deviations), (&expected, expected_deviations.trim_start()), "{value}");
    }
    check(&[
        (with("srcref=a", "srcref=a&srcref=,"), "", "LIST_SYNTAX@srcref"),
        (with("srcref=a", "srcref=a&srcref="), "", "BLANK_OPTIONAL@srcref"),
        (with("srcref=a", "srcref=a&srcref=a"), "srcref=a/a", ""),
    ]);
    refused(&[
        with("srcref=a", "srcref="),
        with("srcref=a", "srcref=[]"),
        with("srcref=a", "srcref=\"\""),
        with("srcref=a", "srcref=%20"),
    ]);
}

#[test]
fn a_pairings_own_list_syntax_is_not_a_deviation() {
    for (lists, own, foreign) in [
        (ListSyntax::Comma, ["a,b", "a, b", "a"], ["{a,b}", "'a',b", "[\"a\",\"b\"]"]),
        (ListSyntax::Braces, ["{a,b}", "{ a , b }", "{a}"], ["a,b", "{\"a\",b}", "[a,b]"]),
        (ListSyntax::Json, ["[\"a\",\"b\"]", "[ \"a\", \"b\" ]", "[\"a\"]"], ["a,b", "[a,b]", "['a','b']"]),
    ] {
        let read = |value: &str| {
            let text = with("srcref=a", &format!("srcref={value}"));
            let (redirect, deviations) = read_redirect(text.as_bytes(), &with_lists(lists)).unwrap();
            assert_eq!(redirect.srcref[0], "a", "{value}");
            places(&deviations)
        };
        for value in own {
            assert_eq!(read(value), "", "{lists:?} {value}");
        }
        for value in foreign {
            assert_eq!(read(value), "LIST_SYNTAX@srcref", "{lists:?} {value}");
        }
        assert_eq!(read("a&srcref=b"), "", "every pairing reads repeated members");
    }
}

#[test]
fn words_for_an_absent_value_mean_an_absent_optional_member() {
    for word in ["", "null", "undefined", "None", "nil", "NaN", "%6eull"] {
        for name in ["fipid", "email", "pan", "dob", "isoLanguageCode"] {
            let expected = format!("BLANK_OPTIONAL@{name}");
            assert_eq!(request(format!("{PLAIN}&{name}={word}")), (String::new(), expected), "{name}={word}");
        }
    }
    check(&[
        (format!("{PLAIN}&email=Null&pan=%20null"), "email=Null | pan= null", ""),
        (format!("{PLAIN}&fipid=[null]"), "fipid=null", "LIST_SYNTAX@fipid"),
        (format!("{PLAIN}&fipid[]=null"), "", "LIST_SYNTAX@fipid BLANK_OPTIONAL@fipid"),
        (with("=s&", "=null&"), "sessionid=null", ""),
        (with("srcref=a", "srcref=None"), "srcref=None", ""),
        (format!("{PLAIN}&x=null"), "x=null", "EXTRA_MEMBER@extra"),
        (format!("{PLAIN}&pan=null&pan="), "", "BLANK_OPTIONAL@pan REPEATED@pan"),
    ]);
    refused(&[format!("{PLAIN}&pan=&pan=X")]);
    let (opened, deviations) = callback(format!("{OUTCOME}&email=null")).unwrap();
    assert_eq!((&*opened.extra["email"], &*deviations), ("null", "EXTRA_MEMBER@extra"));
}

#[test]
fn a_member_that_comes_twice_with_one_value_counts_once() {
    check(&[
        (format!("{PLAIN}&sessionid=%73&sessionid=s"), "", "REPEATED@sessionid"),
        (format!("{PLAIN}&TXNID={TXNID}"), "", "NAME_CASE@txnid REPEATED@txnid"),
        (format!("{PLAIN}&x=1&%78=%31"), "x=1", "EXTRA_MEMBER@extra REPEATED@extra"),
        (format!("{PLAIN}&x=1&X=2"), "X=2 | x=1", "EXTRA_MEMBER@extra"),
    ]);
    refused(&[format!("{PLAIN}&sessionid="), format!("{PLAIN}&x=1&x=2"), format!("{PLAIN}&userid=8@aa")]);
}

#[test]
fn a_text_that_no_rule_repairs_is_not_opened() {
    let long = "é".repeat(64);
    check(&[
        (with(TXNID, &long), &format!("txnid={long}"), "TXNID_NOT_UUID@txnid RAW_NON_ASCII@txnid"),
        (with("9@aa", "@9@aa"), "userid=@9@aa", ""),
        (with("9@aa", "a\u{a0}b@aa"), "userid=a\u{a0}b@aa", "RAW_NON_ASCII@userid"),
        (with("&sessionid=s", ""), "sessionid=", ""),
        (with("9@aa", &format!("{}@aa", "9".repeat(125))), &format!("userid={}@aa", "9".repeat(125)), ""),
    ]);
    refused(&[
        with(TXNID, &format!("{long}x")),
        with("9@aa", &format!("{}@aa", "9".repeat(126))),
        with("9@aa", "9@"),
        with("9@aa", "@aa"),
        with("9@aa", "9 9@aa"),
        with("9@aa", "99"),
        with(&format!("txnid={TXNID}&"), ""),
        with("userid=9@aa&", ""),
        with("redirect=https://f.in/cb&", ""),
        with("&srcref=a", ""),
    ]);
    let outcome =
        |from: &str, to: &str| callback(OUTCOME.replacen(from, to, 1)).map(|(opened, found)| (opened.errorcode, found));
    assert_eq!(outcome("errorcode=0", "errorcode=0000000000"), Some((0, String::new())));
    assert_eq!(outcome("status=S&errorcode=0", "status=F&errorcode=4294967295"), Some((u32::MAX, String::new())));
    assert_eq!(outcome("errorcode=0", "errorcode=7"), Some((7, "STATUS_MISMATCH@status".to_owned())));
    for (from, to) in [
        ("errorcode=0", "errorcode=00000000000"),
        ("errorcode=0", "errorcode=4294967296"),
        ("errorcode=0", "errorcode=%200"),
        ("errorcode=0", "errorcode=０"),
        ("status=S", "status=s"),
        ("status=S", "status=SUCCESS"),
        ("9@aa", "9 @aa"),
        (TXNID, ""),
    ] {
        assert_eq!(outcome(from, to), None, "{to}");
    }
}
