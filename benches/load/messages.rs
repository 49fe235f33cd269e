//! The keyring of a run, and its prepared messages.

use std::ops::Range;

use aa_redirect::{
    codec::{
        self, Parties, Seal,
        date::DateStyle,
        kdf::{Key, PBKDF2_ROUNDS},
        members::{self, Redirect},
        profile::{Conventions, ListSyntax, PROFILES},
        url::Leg,
    },
    proto::{
        self, DecodeRedirectRequest, EncodeCallbackRequest, EncodeRedirectRequest, EncodeRedirectResponse,
        ListPairingsRequest, decode_redirect_request::Source,
    },
};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use pbkdf2_lanes::{Input, Kernels};
use prost::Message;
use std::sync::Mutex;

use crate::{
    driver::{Bodies, ask, frame},
    keyring::{FIU, SECRET},
    servers::Server,
};

pub(crate) const ENCODE: &str = "/aa.redirect.v1.RedirectService/EncodeRedirect";
pub(crate) const DECODE: &str = "/aa.redirect.v1.RedirectService/DecodeRedirect";
pub(crate) const LIST: &str = "/aa.redirect.v1.RedirectService/ListPairings";

/// The parties of a request that does not name the AA.
const PARTIES: Parties<'_> = Parties { fiu: FIU, aa: "" };

/// Prepared messages. A message with PBKDF2 is used only once, because the server keeps a derived key.
pub(crate) struct Messages {
    /// The next unused date, counted back from the start.
    next: Mutex<usize>,
    begin: DateTime<Utc>,
}

impl Messages {
    pub(crate) fn new() -> Self {
        Self { next: Mutex::new(0), begin: Utc::now() }
    }

    /// A new request for `path` with `hkdf-iv`.
    pub(crate) async fn hkdf(&self, service: &Server, path: &str) -> Bodies {
        Self::encoded(service, path, encode("hkdf")).await
    }

    /// A new request with more consent handles, so that a decode's answer has over 400 bytes.
    pub(crate) async fn large(service: &Server, path: &str) -> Bodies {
        let mut request = encode("hkdf");
        request.redirect.as_mut().unwrap().srcref = vec!["0b054f6a-a0b3-4424-a668-2b53090bad6f".into(); 6];
        Self::encoded(service, path, request).await
    }

    async fn encoded(service: &Server, path: &str, request: EncodeRedirectRequest) -> Bodies {
        let encode = frame(&request.encode_to_vec());
        if path == ENCODE {
            return vec![encode];
        }
        let answer = ask(service, ENCODE, encode).await;
        let sealed = EncodeRedirectResponse::decode(&answer[5..]).unwrap();
        vec![decode("hkdf", sealed.url)]
    }

    /// The first page of a list, as long as the interface allows.
    pub(crate) fn list() -> Bodies {
        vec![frame(&ListPairingsRequest { page_size: 1000, ..ListPairingsRequest::default() }.encode_to_vec())]
    }

    /// An encode with `hkdf-iv` for this FIU.
    pub(crate) fn encode_for(fiu: &str) -> Bytes {
        frame(&EncodeRedirectRequest { fiu_id: fiu.into(), ..encode("hkdf") }.encode_to_vec())
    }

    /// An encode in the pairing that reuses dates.
    pub(crate) fn reuse() -> Bodies {
        vec![frame(&encode("reuse").encode_to_vec())]
    }

    /// A call of 430 bytes for the echo.
    pub(crate) fn text() -> Bodies {
        let request = EncodeCallbackRequest { redirect_url: "x".repeat(427), ..EncodeCallbackRequest::default() };
        assert_eq!(request.encoded_len(), 430);
        vec![frame(&request.encode_to_vec())]
    }

    /// Decodes with `pbkdf2`, each with its own date.
    pub(crate) fn pbkdf2(&self, count: usize) -> Bodies {
        self.sealed("pbkdf2", count)
    }

    /// Decodes in the pairing with two secrets.
    pub(crate) fn rotating(&self, count: usize) -> Bodies {
        self.sealed("rotating", count)
    }

    fn sealed(&self, aa: &str, count: usize) -> Bodies {
        let conventions = Conventions::of(&PROFILES[3]);
        let numbers = {
            let mut next = self.next.lock().unwrap();
            *next += count;
            *next - count..*next
        };
        let dates: Vec<String> = numbers.map(|number| date(self.begin, number)).collect();
        let keys = derive(&Kernels::best(), &dates);
        let sealed = |(date, key): (String, Key)| {
            let plaintext = members::write_redirect(&members(), ListSyntax::Repeated);
            let seal =
                Seal { leg: Leg::Request, parties: PARTIES, requestor_type: None, date, key: &key, random_iv: [0; 16] };
            decode(aa, codec::seal(plaintext, seal, &conventions).query(Leg::Request))
        };
        dates.into_iter().zip(keys).map(sealed).collect()
    }
}

/// A different date for each number, at most one hour back.
fn date(begin: DateTime<Utc>, number: usize) -> String {
    DateStyle::Full.write(begin - TimeDelta::milliseconds(i64::try_from(number).unwrap()))
}

/// The keys of this many dates.
pub(crate) fn keys(kernels: &Kernels, numbers: Range<usize>) -> Vec<Key> {
    let begin = Utc::now();
    derive(kernels, &numbers.map(|number| date(begin, number)).collect::<Vec<_>>())
}

fn derive(kernels: &Kernels, dates: &[String]) -> Vec<Key> {
    let inputs: Vec<Input<'_>> =
        dates.iter().map(|date| Input { password: SECRET.as_bytes(), salt: date.as_bytes() }).collect();
    let mut keys = vec![[0; 32]; dates.len()];
    kernels.derive(&inputs, PBKDF2_ROUNDS, &mut keys);
    keys.into_iter().map(Key::new).collect()
}

/// A query with a message that no secret opens, dated `age` ago.
pub(crate) fn unopened(age: TimeDelta) -> String {
    let (date, key) = (DateStyle::Full.write(Utc::now() - age), Key::new([0; 32]));
    let plaintext = members::write_redirect(&members(), ListSyntax::Repeated);
    let seal = Seal { leg: Leg::Request, parties: PARTIES, requestor_type: None, date, key: &key, random_iv: [0; 16] };
    codec::seal(plaintext, seal, &Conventions::of(&PROFILES[3])).query(Leg::Request)
}

fn members() -> Redirect {
    let mut redirect = Redirect::default();
    let given = encode("").redirect.unwrap();
    redirect.txnid = given.txnid;
    redirect.sessionid = given.sessionid;
    redirect.userid = given.userid;
    redirect.redirect = given.redirect;
    redirect.srcref = given.srcref;
    redirect
}

fn encode(aa: &str) -> EncodeRedirectRequest {
    EncodeRedirectRequest {
        fiu_id: FIU.into(),
        aa_id: aa.into(),
        redirect: Some(proto::Redirect {
            txnid: "2d04747e-21c6-4c23-955b-d46c2f820140".into(),
            sessionid: "basket-42-".repeat(4),
            userid: "9999988888@bench".into(),
            redirect: "https://fiu.example/cb?lead=4711".into(),
            srcref: vec!["0b054f6a-a0b3-4424-a668-2b53090bad6f".into()],
            ..proto::Redirect::default()
        }),
        ..EncodeRedirectRequest::default()
    }
}

/// A request to decode `url` for the AA `aa`.
pub(crate) fn decode(aa: &str, url: String) -> Bytes {
    frame(
        &DecodeRedirectRequest { aa_id: aa.into(), source: Some(Source::Url(url)), ..Default::default() }
            .encode_to_vec(),
    )
}
