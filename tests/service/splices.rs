//! What a user without a key can make from messages of one pairing and date: a changed bit, a splice of two callbacks
//! or of a request and a callback, a reflection. And which of them each defence stops. The chapter on attacks quotes
//! the figures.
//!
//! The attacker works offline: one known text and two ciphertexts give the text at the seam of a splice.

use std::{collections::BTreeMap, fs, path::PathBuf};

use crate::support::{MILLIS, Server, metadata, reason, sender, start_with};
use aa_redirect::{
    codec::{
        Deviations, Envelope, Parties, Seal,
        cipher::{self, BLOCK},
        date::WireDate,
        kdf::{self, Key},
        members::Callback,
        open,
        profile::{Authentication, Conventions, PROFILES},
        seal,
        url::Leg,
    },
    proto::{
        DecodeCallbackRequest, DecodeCallbackResponse, EncodeRedirectRequest, ExpectedCallback, Redirect,
        decode_callback_request::Source,
    },
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use sha2::{Digest, Sha256};
use tonic::Status;

const PARTIES: Parties<'_> = Parties { fiu: "fiu@test", aa: "iv" };

/// A message that the attacker has: its text and its ciphertext.
struct Seen {
    text: Vec<u8>,
    sealed: Vec<u8>,
}

/// A forged message: its ciphertext, and its text as the attacker computes it.
#[derive(Clone)]
struct Splice {
    text: Vec<u8>,
    sealed: Vec<u8>,
}

fn key() -> Key {
    kdf::hkdf(&sender::secret("fiu-iv-new"), MILLIS)
}

/// Seals `text` as a sender does whose pairing has this `authentication`.
fn seen(leg: Leg, text: &str, authentication: Authentication) -> Seen {
    let parts = Seal {
        leg,
        parties: PARTIES,
        requestor_type: None,
        date: MILLIS.to_owned(),
        key: &key(),
        random_iv: sender::IV,
    };
    let conventions = Conventions { authentication, ..Conventions::of(&PROFILES[0]) };
    let sealed = URL_SAFE.decode(seal(text.to_owned().into(), parts, &conventions).message).unwrap();
    let text = cipher::decrypt(&key(), &sender::IV, &sealed).unwrap().text().unwrap().to_vec();
    Seen { text, sealed }
}

/// The `number`th text of hexadecimal digits, with this length.
fn digits(name: &str, number: usize, length: usize) -> String {
    let mut digits = String::new();
    for part in 0.. {
        if digits.len() >= length {
            break;
        }
        let hash = Sha256::digest(format!("{name} {number} {part}"));
        digits.extend(hash.iter().map(|byte| format!("{byte:02x}")));
    }
    digits.truncate(length);
    digits
}

fn txnid(name: &str, number: usize) -> String {
    let hex = digits(name, number, 32);
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[12..15], &hex[15..18], &hex[18..30])
}

/// Every front of `front`, followed by every end of `end`, if the seam is UTF-8. The attacker knows that without a key.
fn splices(front: &Seen, end: &Seen) -> Vec<Splice> {
    let block = |bytes: &[u8], number: usize| -> [u8; BLOCK] {
        bytes[number * BLOCK..(number + 1) * BLOCK].try_into().unwrap()
    };
    let mut found = Vec::new();
    for kept in 1..=front.text.len() / BLOCK {
        // The last block of a text has padding, which the attacker knows too. It is not cut here.
        for from in 1..end.text.len() / BLOCK {
            let (last, before) = (block(&front.sealed, kept - 1), block(&end.sealed, from - 1));
            let mut seam = block(&end.text, from);
            seam.iter_mut().zip(last.iter().zip(before)).for_each(|(byte, (one, other))| *byte ^= one ^ other);
            if std::str::from_utf8(&seam).is_ok() {
                let text = [&front.text[..kept * BLOCK], &seam, &end.text[(from + 1) * BLOCK..]].concat();
                let sealed = [&front.sealed[..kept * BLOCK], &end.sealed[from * BLOCK..]].concat();
                found.push(Splice { text, sealed });
            }
        }
    }
    found
}

/// The members of a text for a reader without the limits: it accepts every value, but no member twice with different
/// values.
fn lenient(text: &[u8]) -> Option<BTreeMap<String, String>> {
    let mut members = BTreeMap::new();
    for piece in std::str::from_utf8(text).ok()?.split('&') {
        let (name, value) = piece.split_once('=')?;
        if members.insert(name.to_owned(), value.to_owned()).is_some_and(|other| other != value) {
            return None;
        }
    }
    Some(members)
}

/// A server whose pairing `iv` of `fiu@test` has this `authentication`.
async fn start_iv(name: &str, authentication: &str) -> Server {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    let secret = fs::canonicalize("tests/support/secrets/fiu-iv-new").unwrap();
    let text = format!(
        "[[pairing]]\nfiu = \"fiu@test\"\naa = \"iv\"\nprofile = \"iv\"\nauthentication = \"{authentication}\"\n\
         secrets = [{{ id = \"new\", file = \"{}\" }}]\n",
        secret.display()
    );
    fs::write(folder.join("keyring.toml"), text).unwrap();
    start_with(&folder.join("keyring.toml")).await
}

async fn decode(
    server: &Server,
    sealed: &[u8],
    expected: Option<ExpectedCallback>,
) -> Result<DecodeCallbackResponse, Status> {
    decode_with(server, sealed, sender::IV, expected).await
}

/// Sends a ciphertext as a callback of the AA.
async fn decode_with(
    server: &Server,
    sealed: &[u8],
    iv: [u8; BLOCK],
    expected: Option<ExpectedCallback>,
) -> Result<DecodeCallbackResponse, Status> {
    let message = sender::Message {
        fi: STANDARD.encode(sender::mask(b"iv", MILLIS)),
        date: MILLIS.to_owned(),
        sealed: URL_SAFE.encode(sealed),
        iv: STANDARD.encode(iv),
    };
    let source = Some(Source::Url(message.callback_query()));
    let request = DecodeCallbackRequest { fiu_id: "fiu@test".into(), source, expected, ..Default::default() };
    server.client.clone().decode_callback(request).await.map(tonic::Response::into_inner)
}

/// How the reader of a pairing with this `authentication` reads a ciphertext.
fn opened(sealed: &[u8], authentication: Authentication) -> Option<Callback> {
    opened_with(sealed, sender::IV, authentication)
}

fn opened_with(sealed: &[u8], iv: [u8; BLOCK], authentication: Authentication) -> Option<Callback> {
    let envelope = Envelope {
        date: WireDate::parse(MILLIS).unwrap(),
        sender: "iv".to_owned(),
        requestor_type: None,
        iv: Some(iv),
        ciphertext: sealed.to_vec(),
        deviations: Deviations::default(),
    };
    let conventions = Conventions { authentication, ..Conventions::of(&PROFILES[0]) };
    Some(open::<Callback>(&envelope, &key(), &conventions, PARTIES).ok()?.message)
}

/// How many pairs of messages give a forged success: for a reader without limits, for our reader, for a reader that
/// compares `txnid`, `sessionid` and `userid` with the record of the front, and for a reader that requires the tag.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
    without_limits: usize,
    with_limits: usize,
    expected: usize,
    required: usize,
}

/// The figures for `pairs` pairs, which `write` writes with this authentication, and a forgery that our reader accepts.
fn figures(pairs: usize, write: impl Fn(usize, Authentication) -> (Seen, Seen)) -> (Figures, Option<Splice>) {
    let (mut figures, mut example) = (Figures::default(), None);
    for number in 0..pairs {
        let (front, end) = write(number, Authentication::Off);
        let wanted = lenient(&front.text).unwrap();
        let is_forged = |members: &BTreeMap<String, String>| {
            members.get("status").is_some_and(|status| status == "S")
                && members.contains_key("userid")
                && members.get("errorcode").is_some_and(|code| code == "0")
                && members.get("txnid") == wanted.get("txnid")
        };
        let found = splices(&front, &end);
        let lenient = found.iter().filter(|splice| lenient(&splice.text).as_ref().is_some_and(is_forged));
        figures.without_limits += usize::from(lenient.count() > 0);
        let taken = |splice: &Splice| {
            let callback = opened(&splice.sealed, Authentication::Off)?;
            (callback.success && callback.errorcode == 0 && callback.txnid == wanted["txnid"]).then_some(callback)
        };
        let forged: Vec<_> = found.iter().filter_map(|splice| Some((splice, taken(splice)?))).collect();
        figures.with_limits += usize::from(!forged.is_empty());
        let as_expected =
            |callback: &Callback| callback.sessionid == wanted["sessionid"] && callback.userid == wanted["userid"];
        figures.expected += usize::from(forged.iter().any(|(_, callback)| as_expected(callback)));
        if let Some((splice, _)) = forged.into_iter().find(|(_, callback)| as_expected(callback)) {
            example.get_or_insert_with(|| splice.clone());
        }
        let (front, end) = write(number, Authentication::Require);
        let is_opened = |splice: &Splice| opened(&splice.sealed, Authentication::Require).is_some();
        figures.required += usize::from(splices(&front, &end).iter().any(is_opened));
    }
    (figures, example)
}

/// A rejected and an accepted callback of one user, whose name has this number of characters.
fn callbacks(number: usize, name: usize, authentication: Authentication) -> (Seen, Seen) {
    let userid = format!("{}@iv", digits("user", 0, name));
    let [rejected, accepted] = [("rejected", "F", 1), ("accepted", "S", 0)].map(|(kind, status, code)| {
        let (txnid, session) = (txnid(kind, number), digits(kind, number, 16));
        let text = format!(
            "txnid={txnid}&sessionid={session}&userid={userid}&status={status}&errorcode={code}&srcref={}",
            self::txnid("handle", number)
        );
        seen(Leg::Callback, &text, authentication)
    });
    (rejected, accepted)
}

/// A request that nobody has answered yet, and the accepted callback of another one of the same user.
fn request_and_callback(number: usize, authentication: Authentication) -> (Seen, Seen) {
    let userid = "9999988888@iv";
    let request = format!(
        "txnid={}&sessionid={}&userid={userid}&redirect=https://fiu.example/callback/of/the/lending/journey/{}&srcref={}",
        txnid("open", number),
        digits("open", number, 16),
        digits("path", number, 64),
        txnid("handle", number),
    );
    let callback = format!(
        "txnid={}&sessionid={}&userid={userid}&status=S&errorcode=0&srcref={}",
        txnid("done", number),
        digits("done", number, 400),
        txnid("other", number),
    );
    (seen(Leg::Request, &request, authentication), seen(Leg::Callback, &callback, authentication))
}

const NONE: Figures = Figures { without_limits: 0, with_limits: 0, expected: 0, required: 0 };

#[test]
fn splices_of_two_callbacks_forge_a_success_unless_limits_or_a_tag_stop_them() {
    let of = |pairs, name| figures(pairs, |number, authentication| callbacks(number, name, authentication)).0;
    let wanted = [
        Figures { without_limits: 15, ..NONE },
        Figures { without_limits: 26, with_limits: 1, ..NONE },
        Figures { without_limits: 1, ..NONE },
    ];
    assert_eq!([of(40, 1_000), of(4_000, 120), of(4_000, 10)], wanted);
}

#[tokio::test]
async fn splices_of_a_request_and_a_callback_pass_as_expected_and_only_a_tag_stops_them() {
    let (figures, example) = figures(4_000, request_and_callback);
    assert_eq!(figures, Figures { without_limits: 74, with_limits: 1, expected: 1, required: 0 });
    let forged = example.unwrap();
    let members = opened(&forged.sealed, Authentication::Off).unwrap();
    let expected = ExpectedCallback {
        txnid: members.txnid.clone(),
        sessionid: members.sessionid.clone(),
        userid: members.userid.clone(),
        aa_id: "iv".into(),
    };
    let off = start_iv("splice-off", "off").await;
    assert!(decode(&off, &forged.sealed, Some(expected.clone())).await.is_ok());
    let required = start_iv("splice-require", "require").await;
    let refused = decode(&required, &forged.sealed, Some(expected)).await.unwrap_err();
    assert_eq!(reason(&refused), "UNDECIPHERABLE");
}

#[tokio::test]
async fn a_request_with_the_members_of_a_callback_is_reflected_unless_a_tag_stops_it() {
    // Other software wrote it, since this service refuses to write it.
    let text = "txnid=T1234&sessionid=s&userid=u@iv&redirect=https://fiu.example/cb&srcref=a&status=S&errorcode=0";
    let expected =
        ExpectedCallback { txnid: "T1234".into(), sessionid: "s".into(), userid: "u@iv".into(), aa_id: "iv".into() };
    let off = start_iv("reflect-off", "off").await;
    for name in ["status", "errorcode", "ErrorCode", "mac", "srcref"] {
        let redirect = Redirect {
            userid: "u@iv".into(),
            redirect: "https://fiu.example/cb".into(),
            srcref: vec!["a".into()],
            extra: [(name.to_owned(), "S".to_owned())].into(),
            ..Redirect::default()
        };
        let request = EncodeRedirectRequest {
            fiu_id: "fiu@test".into(),
            aa_id: "iv".into(),
            redirect: Some(redirect),
            ..EncodeRedirectRequest::default()
        };
        let refused = off.client.clone().encode_redirect(request).await.unwrap_err();
        assert_eq!(reason(&refused), "FIELD_INVALID", "{name}");
    }
    let reflected = seen(Leg::Request, text, Authentication::Off).sealed;
    assert!(decode(&off, &reflected, Some(expected.clone())).await.is_ok(), "the expected fields are in the request");
    let required = start_iv("reflect-require", "require").await;
    for authentication in [Authentication::Off, Authentication::Write] {
        let reflected = seen(Leg::Request, text, authentication).sealed;
        let refused = decode(&required, &reflected, Some(expected.clone())).await.unwrap_err();
        assert_eq!(reason(&refused), "UNDECIPHERABLE", "{authentication:?}");
    }
}

#[tokio::test]
async fn a_flipped_bit_of_the_iv_changes_the_txnid_unless_a_comparison_or_a_tag_stops_it() {
    let text = format!("txnid={}&sessionid=s&userid=u@iv&status=S&errorcode=0", txnid("flip", 0));
    let record =
        ExpectedCallback { txnid: txnid("flip", 0), sessionid: "s".into(), userid: "u@iv".into(), aa_id: "iv".into() };
    let flipped = |bit: usize| {
        let mut iv = sender::IV;
        iv[bit / 8] ^= 1 << (bit % 8);
        iv
    };
    let opens = |authentication| {
        let sealed = seen(Leg::Callback, &text, authentication).sealed;
        (0..128).filter(|bit| opened_with(&sealed, flipped(*bit), authentication).is_some()).count()
    };
    assert_eq!((opens(Authentication::Off), opens(Authentication::Require)), (69, 0));
    let sealed = seen(Leg::Callback, &text, Authentication::Off).sealed;
    let (server, iv) = (start_iv("flip", "off").await, flipped(6 * 8));
    let refused = decode_with(&server, &sealed, iv, Some(record)).await.unwrap_err();
    assert_eq!((reason(&refused).as_str(), metadata(&refused, "fields").unwrap().as_str()), ("NOT_EXPECTED", "txnid"));
    assert_ne!(decode_with(&server, &sealed, iv, None).await.unwrap().callback.unwrap().txnid, txnid("flip", 0));
}
