//! The tag (wire format, section 8), computed here with the `hkdf` and `hmac` crates alone, and the attacks that it
//! stops.

use aa_redirect::codec::{
    Deviations, Envelope, Opened, Parties, Seal, Unopened,
    cipher::{self, BLOCK},
    date::WireDate,
    kdf::{self, Key},
    members::{Callback, Redirect, Unreadable, write_callback, write_redirect},
    open,
    profile::{Authentication, Conventions, ListSyntax, PROFILES},
    seal,
    url::Leg,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const DATE: &str = "060420210510756";
const PARTIES: Parties<'_> = Parties { fiu: "fiu@test", aa: "aa@test" };
const REQUEST: &str =
    "txnid=2d04747e-21c6-4c23-955b-d46c2f820140&sessionid=s&userid=9@aa&redirect=https://f.in/cb&srcref=a";
const CALLBACK: &str = "txnid=2d04747e-21c6-4c23-955b-d46c2f820140&sessionid=s&userid=9@aa&status=S&errorcode=0";

fn key() -> Key {
    kdf::hkdf(b"the secret of a pairing", DATE)
}

/// The tag as the format says, computed with other code than the codec's.
fn tag(leg: &str, parties: Parties<'_>, date: &str, text: &str) -> String {
    let mut mac_key = [0; 32];
    Hkdf::<Sha256>::new(None, &key()[..]).expand(b"aa-redirect v1 mac", &mut mac_key).unwrap();
    let mut hmac = Hmac::<Sha256>::new_from_slice(&mac_key).unwrap();
    hmac.update([leg, parties.fiu, parties.aa, date, text].join("\0").as_bytes());
    URL_SAFE_NO_PAD.encode(&hmac.finalize().into_bytes()[..16])
}

fn conventions(authentication: Authentication) -> Conventions {
    Conventions { authentication, ..Conventions::of(&PROFILES[1]) }
}

fn envelope(ciphertext: Vec<u8>) -> Envelope {
    let date = WireDate::parse(DATE).unwrap();
    let (sender, deviations) = ("fiu@test".to_owned(), Deviations::default());
    Envelope { date, sender, requestor_type: None, iv: None, ciphertext, deviations }
}

fn sealed(text: &str) -> Envelope {
    envelope(cipher::encrypt(&key(), &[0; BLOCK], text.into()))
}

fn request(text: &str, authentication: Authentication) -> Result<Opened<Redirect>, Unopened> {
    open::<Redirect>(&sealed(text), &key(), &conventions(authentication), PARTIES)
}

fn callback(text: &str, authentication: Authentication) -> Result<Opened<Callback>, Unopened> {
    open::<Callback>(&sealed(text), &key(), &conventions(authentication), PARTIES)
}

/// `text` with its right tag.
fn tagged(leg: &str, text: &str) -> String {
    format!("{text}&mac={}", tag(leg, PARTIES, DATE, text))
}

use Authentication::{Off, Require, Write};

#[test]
fn a_tag_has_the_bytes_that_the_format_says() {
    // Computed once with Python's hmac module.
    assert_eq!(tag("request", PARTIES, DATE, REQUEST), VECTORS[0]);
    assert_eq!(tag("callback", PARTIES, DATE, CALLBACK), VECTORS[1]);
}

const VECTORS: [&str; 2] = ["e9uZ5oZ7zZ7dXChqz67x-w", "5a671611YYz8z-14uP7orw"];

#[test]
fn sealing_appends_the_tag_if_the_pairing_asks_for_it() {
    let mut redirect = Redirect::default();
    "https://f.in/cb".clone_into(&mut redirect.redirect);
    for authentication in [Off, Write, Require] {
        for (leg, name) in [(Leg::Request, "request"), (Leg::Callback, "callback")] {
            let plaintext = match leg {
                Leg::Request => write_redirect(&redirect, ListSyntax::Repeated),
                Leg::Callback => write_callback(&Callback::default(), ListSyntax::Repeated),
            };
            let text = plaintext.to_string();
            let seal_with = Seal {
                leg,
                parties: PARTIES,
                requestor_type: None,
                date: DATE.to_owned(),
                key: &key(),
                random_iv: [0; BLOCK],
            };
            let message = seal(plaintext, seal_with, &conventions(authentication)).message;
            let sealed = base64::engine::general_purpose::URL_SAFE.decode(message).unwrap();
            let opened = cipher::decrypt(&key(), &[0; BLOCK], &sealed).unwrap();
            let expected = if authentication == Off { text } else { tagged(name, &text) };
            assert_eq!(std::str::from_utf8(opened.text().unwrap()).unwrap(), expected);
            let length = aa_redirect::codec::ciphertext_length(expected.len(), &conventions(Off));
            assert_eq!(length, sealed.len());
        }
    }
}

#[test]
fn a_right_tag_authenticates_and_is_not_an_extra_member() {
    for authentication in [Write, Require] {
        let opened = request(&tagged("request", REQUEST), authentication).unwrap();
        assert!(opened.authenticated && opened.message.extra.is_empty() && opened.deviations == Deviations::default());
        let opened = callback(&tagged("callback", CALLBACK), authentication).unwrap();
        assert!(opened.authenticated && opened.message.extra.is_empty() && opened.deviations == Deviations::default());
    }
    // If the pairing does not use tags, it is an extra member.
    let opened = request(&tagged("request", REQUEST), Off).unwrap();
    assert!(!opened.authenticated && opened.message.extra.contains_key("mac"));
}

#[test]
fn a_missing_tag_is_refused_only_if_it_is_required() {
    assert!(!request(REQUEST, Off).unwrap().authenticated);
    assert!(!request(REQUEST, Write).unwrap().authenticated);
    assert_eq!(request(REQUEST, Require).unwrap_err(), Unopened::NoTag);
    assert_eq!(callback(CALLBACK, Require).unwrap_err(), Unopened::NoTag);
}

#[test]
fn a_wrong_tag_never_opens() {
    let other = Parties { fiu: "fiu@test", aa: "other" };
    let wrong = [
        tag("callback", PARTIES, DATE, REQUEST),
        tag("request", other, DATE, REQUEST),
        tag("request", Parties { fiu: "fiu", aa: "@testaa@test" }, DATE, REQUEST),
        tag("request", PARTIES, "060420210510757", REQUEST),
        tag("request", PARTIES, DATE, &format!("{REQUEST}&")),
        "AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
    ];
    for authentication in [Write, Require] {
        for wrong in &wrong {
            let refused = request(&format!("{REQUEST}&mac={wrong}"), authentication).unwrap_err();
            assert_eq!(refused, Unopened::WrongTag, "{wrong}");
        }
        // The last bits of the Base64, which belong to no byte of the tag.
        let right = tagged("request", REQUEST);
        let (begin, last) = right.split_at(right.len() - 1);
        let sibling = char::from(last.as_bytes()[0] + 1);
        assert_eq!(request(&format!("{begin}{sibling}"), authentication).unwrap_err(), Unopened::WrongTag);
    }
}

#[test]
fn a_tag_in_any_other_place_or_form_never_opens() {
    let right = tag("request", PARTIES, DATE, REQUEST);
    let misplaced = [
        format!("mac={right}&{REQUEST}"),
        REQUEST.replace("&userid", &format!("&mac={right}&userid")),
        format!("{REQUEST}&mac={right} "),
        format!("{REQUEST}&mac={right}="),
        format!("{REQUEST}&mac={}", &right[1..]),
        format!("{REQUEST}&mac="),
        format!("{REQUEST}&MAC={right}"),
        format!("{REQUEST}&%6dac={right}"),
        format!("{REQUEST}&mac={right}&x=1"),
        format!("{REQUEST}&mac=%41{}", &right[1..]),
    ];
    for text in &misplaced {
        let refused = request(text, Write).unwrap_err();
        assert_eq!(refused, Unopened::Members(Unreadable::MisplacedTag), "{text}");
        assert!(request(text, Require).is_err(), "{text}");
        assert!(request(text, Off).is_ok(), "{text}");
    }
    // A right tag at the end does not make another one acceptable.
    for text in [format!("mac=x&{REQUEST}"), format!("{REQUEST}&Mac=x")] {
        let refused = request(&tagged("request", &text), Require).unwrap_err();
        assert_eq!(refused, Unopened::Members(Unreadable::MisplacedTag), "{text}");
    }
}

#[test]
fn a_tagged_message_is_read_like_every_other_message() {
    let text = format!(" {}&x=1& ", REQUEST.replace("srcref=a", "srcref=a,b"));
    let opened = request(&tagged("request", &text), Require).unwrap();
    let kinds: Vec<_> = opened.deviations.kinds().map(aa_redirect::codec::Deviation::name).collect();
    assert_eq!(kinds, ["WHITESPACE", "LIST_SYNTAX", "EXTRA_MEMBER", "STRAY_CHARACTERS"]);
    // An open `redirect` does not swallow the tag.
    let text = "txnid=t&userid=9@aa&srcref=a&redirect=https://f.in/?a=1";
    let opened = request(&tagged("request", text), Require).unwrap();
    assert_eq!(opened.message.redirect, "https://f.in/?a=1");
}

#[test]
fn a_changed_or_spliced_or_reflected_message_does_not_open_if_a_tag_is_required() {
    let seal = |leg, text: &str| cipher::encrypt(&key(), &[0; BLOCK], tagged(leg, text).into_bytes());
    let rejected = seal("callback", &CALLBACK.replace("status=S&errorcode=0", "status=F&errorcode=1"));
    let accepted = seal("callback", &CALLBACK.replace("2d04747e", "0b054f6a"));
    let request = seal("request", &format!("{REQUEST}&status=S&errorcode=0"));
    let required = conventions(Require);
    let opens = |ciphertext: Vec<u8>| open::<Callback>(&envelope(ciphertext), &key(), &required, PARTIES).is_ok();
    assert!(opens(rejected.clone()) && opens(accepted.clone()));
    for at in 0..rejected.len() {
        for bit in 0..8 {
            let mut changed = rejected.clone();
            changed[at] ^= 1 << bit;
            assert!(!opens(changed), "bit {bit} of byte {at}");
        }
    }
    for front in 1..=rejected.len() / BLOCK {
        for back in 0..accepted.len() / BLOCK {
            for (one, other) in [(&rejected, &accepted), (&accepted, &rejected), (&request, &accepted)] {
                let spliced = [&one[..front.min(one.len() / BLOCK) * BLOCK], &other[back * BLOCK..]].concat();
                let whole = spliced == rejected || spliced == accepted;
                assert_eq!(opens(spliced), whole, "{front} {back}");
            }
        }
    }
    assert!(!opens(request));
    let without = seal("request", &format!("{REQUEST}&status=S&errorcode=0"));
    let untagged = cipher::encrypt(&key(), &[0; BLOCK], format!("{REQUEST}&status=S&errorcode=0").into());
    let off = conventions(Off);
    assert!(open::<Callback>(&envelope(untagged), &key(), &off, PARTIES).is_ok(), "reflection works without a tag");
    assert!(open::<Callback>(&envelope(without), &key(), &off, PARTIES).is_ok(), "and if the value is not read");
}
