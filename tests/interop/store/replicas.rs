//! Replicas with one keyring and one store, and the messages that tests send them.

use aa_redirect::proto::{
    DecodeRedirectRequest, DecodeRedirectResponse, EncodeRedirectResponse, RedirectParams,
    decode_redirect_request::Source,
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use tonic::Status;

use crate::support::{
    program::{Client, Files, Program, pairing, sealed, text, until},
    reason,
};

pub struct Replicas {
    pub programs: Vec<Program>,
    pub clients: Vec<Client>,
    pub stores: Vec<String>,
    /// The folder; it is deleted with this value.
    _files: Files,
    arguments: Vec<String>,
}

/// Longer than any wait takes on a busy machine.
const PATIENT: [&str; 2] = ["--store-timeout-milliseconds", "2000"];

impl Replicas {
    /// This many replicas whose pairing has these settings, with these stores.
    pub async fn start(count: usize, settings: &str, stores: &[String], more: &[&str]) -> Self {
        let files = Files::new();
        files.write("secret", "0123456789abcdefghijABCDEFGHIJ-_");
        let secrets = "secrets = [{ id = \"a\", file = \"secret\" }]";
        let keyring = files.write("keyring.toml", &format!("[[pairing]]\n{}{settings}\n{secrets}\n", pairing("iv")));
        let mut arguments: Vec<String> =
            ["--admin-listen", "127.0.0.1:0", "--keyring", text(&keyring)].map(str::to_owned).into();
        for store in stores {
            arguments.extend(["--store".to_owned(), store.clone()]);
        }
        if !more.contains(&PATIENT[0]) {
            arguments.extend(PATIENT.map(str::to_owned));
        }
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        let (programs, clients) = (Vec::new(), Vec::new());
        let mut replicas = Self { programs, clients, stores: stores.into(), _files: files, arguments };
        for _ in 0..count {
            replicas.add().await;
        }
        replicas
    }

    /// One more replica.
    pub async fn add(&mut self) {
        let program = Program::start(&self.arguments);
        self.clients.push(program.client().await);
        self.programs.push(program);
    }

    /// A message, sealed now.
    pub async fn message(&self) -> EncodeRedirectResponse {
        sealed(&mut self.clients[0].clone(), "fiu", "aa").await.unwrap()
    }

    /// The sum of a metric over all replicas.
    pub async fn sum(&self, series: &str) -> f64 {
        let mut sum = 0.0;
        for program in &self.programs {
            sum += program.metrics().await.of(series).unwrap();
        }
        sum
    }

    /// Waits until every replica says that the store answers, or does not.
    pub async fn store_is(&self, up: bool) {
        for program in &self.programs {
            until(|| async {
                let of = program.metrics().await.of("aa_redirect_store_up");
                (of == Some(f64::from(u8::from(up)))).then_some(())
            })
            .await;
        }
    }
}

/// Opens a message in a call with this name.
pub async fn open(
    client: &Client,
    params: &RedirectParams,
    attempt_id: &str,
) -> Result<DecodeRedirectResponse, Status> {
    let source = Some(Source::Params(params.clone()));
    let request = DecodeRedirectRequest { aa_id: "aa".into(), source, attempt_id: attempt_id.into() };
    client.clone().decode_redirect(request).await.map(tonic::Response::into_inner)
}

/// `OK`, or the reason of the refusal.
pub fn answer<T>(answer: &Result<T, Status>) -> String {
    answer.as_ref().map_or_else(reason, |_| "OK".to_owned())
}

/// A message with the same last block that no key opens; each number gives another.
pub fn broken(params: &RedirectParams, number: u32) -> RedirectParams {
    let mut sealed = URL_SAFE.decode(&params.ecreq).unwrap();
    let garbage = sealed.len() - 16;
    for (at, byte) in sealed[..garbage].iter_mut().enumerate() {
        *byte ^= number.to_be_bytes()[at % 4] ^ 0x5A;
    }
    RedirectParams { ecreq: URL_SAFE.encode(sealed), ..params.clone() }
}

/// A changed copy of a message that also opens: one digit of its `txnid` is different.
pub fn changed(params: &RedirectParams) -> RedirectParams {
    let mut iv = STANDARD.decode(&params.iv).unwrap();
    iv[8] ^= 1;
    RedirectParams { iv: STANDARD.encode(iv), ..params.clone() }
}
