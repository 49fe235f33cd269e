//! The inputs: what anybody can send, what a party that holds the secret can send, and what a caller can send.

use std::fmt::Write;

use aa_redirect::{
    codec::{
        self, Parties, Seal, base64,
        date::DateStyle,
        kdf, mask,
        profile::{Conventions, PROFILES},
        url::Leg,
    },
    proto::{
        self, DecodeRedirectRequest, EncodeCallbackRequest, EncodeRedirectRequest, ListPairingsRequest, RedirectParams,
        decode_redirect_request::Source,
    },
};
use chrono::Utc;
use prost::Message;
use zeroize::Zeroizing;

pub(crate) const SECRET: &str = "nsrkGE&-p1Qh*Gn$3P0&Qt0s9!uz1U_I";
pub(crate) const FIU: &str = "fiu@bench";
/// The most bytes of a URL and of a request.
const URL: usize = 48 * 1024;
pub(crate) const REQUEST: usize = 64 * 1024;

#[derive(Clone, Copy)]
pub(crate) enum Rpc {
    EncodeRedirect,
    DecodeRedirect,
    EncodeCallback,
    ListPairings,
}

/// An input as a function of its size in bytes.
pub(crate) struct Input {
    pub(crate) name: &'static str,
    pub(crate) rpc: Rpc,
    pub(crate) most: usize,
    pub(crate) make: fn(usize) -> Vec<u8>,
}

fn decode(url: String) -> Vec<u8> {
    DecodeRedirectRequest { aa_id: "aa@bench".into(), source: Some(Source::Url(url)), ..Default::default() }
        .encode_to_vec()
}

fn date() -> String {
    DateStyle::Millis.write(Utc::now())
}

fn fi(date: &str) -> String {
    base64::standard(&mask::mask(FIU.as_bytes(), date)).replace('=', "%3D").replace('+', "%2B").replace('/', "%2F")
}

/// `unit`, repeated up to `size` bytes.
fn filled(unit: &str, size: usize) -> String {
    unit.repeat(size / unit.len())
}

/// A URL of `size` bytes with the given `ecreq`; everything else is valid.
fn with_ecreq(unit: &str, size: usize) -> Vec<u8> {
    let date = date();
    let begin = format!("fi={}&reqdate={date}&iv=AAAAAAAAAAAAAAAAAAAAAA%3D%3D&ecreq=", fi(&date));
    let room = size - begin.len();
    decode(begin + &filled(unit, room))
}

/// A message with a valid text and many repetitions of `unit` behind it.
fn sealed(begin: &str, unit: &str, end: &str, size: usize) -> Vec<u8> {
    let room = size / 4 * 3 - 200;
    sealed_text([begin, &filled(unit, room - begin.len() - end.len()), end].concat())
}

const SOUND: &str = "txnid=2d04747e-21c6-4c23-955b-d46c2f820140&sessionid=s&userid=u@aa&srcref=a";
const TARGET: &str = "&redirect=https://fiu.example/cb";

fn sealed_text(text: String) -> Vec<u8> {
    let date = date();
    let key = kdf::hkdf(SECRET.as_bytes(), &date);
    let seal = Seal {
        leg: Leg::Request,
        parties: Parties { fiu: FIU, aa: "aa@bench" },
        requestor_type: None,
        date,
        key: &key,
        random_iv: [7; 16],
    };
    let sealed = codec::seal(Zeroizing::new(text), seal, &Conventions::of(&PROFILES[0]));
    decode(sealed.query(Leg::Request))
}

/// Extra members, each with a new name that is as short as possible.
fn extra_members(size: usize) -> String {
    (0..size / 8).fold(String::new(), |mut text, number| {
        write!(text, "&x{number:05x}=").unwrap();
        text
    })
}

fn redirect() -> proto::Redirect {
    proto::Redirect {
        userid: "u@aa".into(),
        redirect: "https://fiu.example/cb".into(),
        srcref: vec!["a".into()],
        ..proto::Redirect::default()
    }
}

fn encode(redirect: proto::Redirect) -> Vec<u8> {
    let (fiu_id, aa_id) = (FIU.into(), "aa@bench".into());
    EncodeRedirectRequest { fiu_id, aa_id, redirect: Some(redirect), ..EncodeRedirectRequest::default() }
        .encode_to_vec()
}

pub(crate) const ANYBODY: &[Input] = &[
    url("`?` and nothing else", |size| decode(filled("?", size))),
    url("`?` before each name that is not a parameter", |size| decode(filled("?fi", size - 5) + "?fi=A")),
    url("`&` and nothing else", |size| decode(filled("&", size))),
    url("names with escapes", |size| decode(filled("%66=&", size))),
    url("escapes of escapes in a name", |size| decode(format!("%{}=", filled("25", size - 3)))),
    url("escapes of escapes in the date, one within the other", |size| {
        decode(format!("fi=A&ecreq=A&reqdate=%{}", filled("25", size - 30)))
    }),
    url("escapes of escapes in the date, side by side", |size| {
        decode(format!("fi=A&ecreq=A&reqdate={}", filled("%2525252525252525", size - 30)))
    }),
    url("escapes of escapes in `ecreq`, side by side", |size| with_ecreq("%252525252525252541", size)),
    url("`ecreq` of blanks", |size| with_ecreq(" ", size)),
    url("`ecreq` of line ends", |size| with_ecreq("A\n", size)),
    url("`ecreq` of no message", |size| {
        with_ecreq("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", size)
    }),
    url("`fi` of the whole size", |size| {
        decode(format!("reqdate={}&ecreq=A&fi={}", date(), filled("AAAA", size - 40)))
    }),
    Input {
        name: "`params` with an `iv` of the whole size",
        rpc: Rpc::DecodeRedirect,
        most: REQUEST,
        make: |size| {
            let date = date();
            let fi = base64::standard(&mask::mask(FIU.as_bytes(), &date));
            let iv = filled(" ", size - 100);
            let params = RedirectParams { fi, reqdate: date, ecreq: "A".into(), iv, ..RedirectParams::default() };
            DecodeRedirectRequest {
                aa_id: "aa@bench".into(),
                source: Some(Source::Params(params)),
                ..Default::default()
            }
            .encode_to_vec()
        },
    },
];

pub(crate) const HOLDERS: &[Input] = &[
    url("members that the guideline does not have", |size| {
        sealed_text([SOUND, TARGET, &extra_members(size / 4 * 3 - 300)].concat())
    }),
    url("a list with commas", |size| sealed(&[SOUND, TARGET, "&fipid="].concat(), "a,", "", size)),
    url("a list in braces", |size| sealed(&[SOUND, TARGET, "&fipid={"].concat(), "'a',", "}", size)),
    url("a list in JSON", |size| sealed(&[SOUND, TARGET, "&fipid=["].concat(), "\"a\",", "\"a\"]", size)),
    url("a list that is nearly JSON", |size| sealed(&[SOUND, TARGET, "&fipid=["].concat(), "\"a\",", "a]", size)),
    url("brackets in a list", |size| sealed(&[SOUND, TARGET, "&fipid="].concat(), "[", "]", size)),
    url("a list joined with escapes", |size| sealed(&[SOUND, TARGET, "&fipid=a"].concat(), "%26fipid%3Da", "", size)),
    url("an escaped `&` over and over", |size| sealed(&[SOUND, TARGET, "&fipid="].concat(), "%26", "", size)),
    url("a repeated list", |size| sealed(&[SOUND, TARGET].concat(), "&fipid=a", "", size)),
    url("a redirect that goes on in `&`", |size| sealed(&[SOUND, TARGET, "?"].concat(), "&a=", "", size)),
    url("a redirect of escapes", |size| sealed(&[SOUND, TARGET].concat(), "%25", "", size)),
    url("a host of labels", |size| sealed(&[SOUND, "&redirect=https://"].concat(), "a.", "fiu.example", size)),
    url("a host of labels beyond ASCII", |size| {
        sealed(&[SOUND, "&redirect=https://"].concat(), "é.", "fiu.example", size)
    }),
    url("a host of one label beyond ASCII", |size| {
        sealed(&[SOUND, "&redirect=https://"].concat(), "é", ".fiu.example", size)
    }),
    url("a host of one label of different letters", |size| {
        let host: String = ('\u{4e00}'..'\u{9fff}').cycle().take(size / 4 - 200).collect();
        sealed_text([SOUND, "&redirect=https://", &host, ".fiu.example"].concat())
    }),
    url("the longest host that is looked at", |size| {
        let host: String = ('\u{4e00}'..'\u{9fff}').take(330).collect();
        let path = "p".repeat(size / 4 * 3 - 1500);
        sealed_text([SOUND, "&redirect=https://", &host, ".fiu.example/", &path].concat())
    }),
    url("a host of combining marks", |size| {
        sealed(&[SOUND, "&redirect=https://a"].concat(), "\u{301}\u{316}", ".fiu.example", size)
    }),
    url("a host in Punycode", |size| {
        sealed(&[SOUND, "&redirect=https://xn--"].concat(), "99999999", ".fiu.example", size)
    }),
    url("a host of escapes", |size| sealed(&[SOUND, "&redirect=https://"].concat(), "%2561", ".fiu.example", size)),
    url("a user before the host", |size| sealed(&[SOUND, "&redirect=https://"].concat(), "@", "fiu.example", size)),
    url("a path that climbs", |size| sealed(&[SOUND, TARGET].concat(), "/a/..", "", size)),
    url("a text of escapes", |size| sealed(&[SOUND, TARGET, "&email="].concat(), "%41", "", size)),
];

pub(crate) const CALLERS: &[Input] = &[
    encoding("empty entries of a list", |size| {
        encode(proto::Redirect { srcref: vec![String::new(); (size - 100) / 2], ..redirect() })
    }),
    encoding("extra members", |size| {
        let extra = (0..(size - 200) / 12).map(|number| (format!("x{number:04x}"), String::new())).collect();
        encode(proto::Redirect { extra, ..redirect() })
    }),
    encoding("a `sessionid` of the whole size", |size| {
        encode(proto::Redirect { sessionid: filled("😀", size - 200), ..redirect() })
    }),
    encoding("text that needs escapes", |size| {
        let text = |parts: usize| filled("😀", size / 8 / parts);
        let extra = [("a".to_owned(), text(1))].into();
        encode(proto::Redirect { sessionid: text(4), extra, ..redirect() })
    }),
    encoding("a user id of `@`", |size| {
        let request = EncodeRedirectRequest {
            fiu_id: FIU.into(),
            redirect: Some(proto::Redirect { userid: filled("@", size - 100), ..redirect() }),
            ..EncodeRedirectRequest::default()
        };
        request.encode_to_vec()
    }),
    encoding("a host of 8 KiB beyond ASCII", |size| {
        let host: String = ('\u{4e00}'..'\u{9fff}').cycle().take((size / 8 - 100) / 3).collect();
        encode(proto::Redirect { redirect: format!("https://{host}.fiu.example"), ..redirect() })
    }),
    Input {
        name: "a `redirect_url` of `?`",
        rpc: Rpc::EncodeCallback,
        most: REQUEST,
        make: |size| {
            let redirect_url = format!("https://fiu.example/?{}", filled("?fi", size - 200));
            EncodeCallbackRequest { redirect_url, ..EncodeCallbackRequest::default() }.encode_to_vec()
        },
    },
    Input {
        name: "a page of 1,000 of 10,000 pairings",
        rpc: Rpc::ListPairings,
        most: 1000,
        make: |size| {
            ListPairingsRequest { page_size: i32::try_from(size).unwrap(), ..ListPairingsRequest::default() }
                .encode_to_vec()
        },
    },
    Input {
        name: "a `page_token` of the whole size",
        rpc: Rpc::ListPairings,
        most: REQUEST,
        make: |size| {
            ListPairingsRequest { page_token: filled("AAAA", size - 100), ..ListPairingsRequest::default() }
                .encode_to_vec()
        },
    },
    Input {
        name: "protobuf fields that nobody knows",
        rpc: Rpc::ListPairings,
        most: REQUEST,
        // Field 15, a number: 0.
        make: |size| [0x78, 0].repeat(size / 2),
    },
];

const fn url(name: &'static str, make: fn(usize) -> Vec<u8>) -> Input {
    Input { name, rpc: Rpc::DecodeRedirect, most: URL, make }
}

const fn encoding(name: &'static str, make: fn(usize) -> Vec<u8>) -> Input {
    Input { name, rpc: Rpc::EncodeRedirect, most: REQUEST, make }
}
