//! Files that do not answer: a named pipe in place of a file, and a file whose opening waits, as on a network mount
//! that hangs. No source waits for another, and a source that does not answer is served with its old content.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

use aa_redirect::proto::redirect_service_client::RedirectServiceClient;
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};
use tonic::{Request, Status};

use crate::support::{
    certificates::{Ca, Issued, channel, config},
    program::{Files, Program, encode, opened, sealed, text},
    reason,
};

const ONE: &str = "the-first-secret-0123456789abcdef";
const TWO: &str = "the-second-secret-0123456789abcde";
const REVOKED: &str = "revoked-token-0123456789abcdefgh";
const LASTING: &str = "lasting-token-0123456789abcdefgh";
/// Each file, and the source that it belongs to.
const FILES: [(&str, &str); 5] = [
    ("keyring.toml", "keyring"),
    ("secret-one", "keyring"),
    ("callers.toml", "callers"),
    ("cert.pem", "certificates"),
    ("key.pem", "certificates"),
];

/// A server whose sources all change.
struct Served {
    files: Files,
    ca: Ca,
    /// The certificates before and after the change.
    pairs: [Issued; 2],
    program: Program,
}

/// The content that a server serves.
#[derive(Debug, PartialEq, Eq)]
struct State {
    secret: String,
    knows_revoked: bool,
    has_new_certificate: bool,
}

fn write_callers(files: &Files, tokens: &[&str]) {
    let entry = |token: &&str| {
        let sha256: String = Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("[[caller]]\nname = \"{}\"\ntoken_sha256 = \"{sha256}\"\n", &token[..7])
    };
    files.write("callers.toml", &tokens.iter().map(entry).collect::<String>());
}

fn write_pair(files: &Files, pair: &Issued) {
    files.write("cert.pem", &pair.cert);
    files.write("key.pem", &pair.key);
}

/// A library for `LD_PRELOAD`: with it, opening FILE waits while FILE.hangs exists.
fn hanging(files: &Files) -> PathBuf {
    let library = files.path("hang.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o", text(&library), "tests/support/hang.c", "-ldl"]);
    assert!(compiler.status().unwrap().success());
    library
}

impl Served {
    fn start() -> Self {
        let (files, ca) = (Files::new(), Ca::new());
        let pairs = [ca.issue("localhost", 2998), ca.issue("localhost", 2999)];
        files.keyring("iv", &[("one", ONE)]);
        write_callers(&files, &[REVOKED, LASTING]);
        write_pair(&files, &pairs[0]);
        let [keyring, callers, cert, key] =
            ["keyring.toml", "callers.toml", "cert.pem", "key.pem"].map(|name| text(&files.path(name)).to_owned());
        let arguments = ["--keyring", &keyring, "--callers", &callers, "--tls-cert", &cert, "--tls-key", &key];
        let program = Program::start_with(&arguments, &[("LD_PRELOAD", text(&hanging(&files)))]);
        Self { files, ca, pairs, program }
    }

    /// Changes the content of this source's files.
    fn change(&self, source: &str) {
        match source {
            "keyring" => drop(self.files.keyring("iv", &[("two", TWO), ("one", ONE)])),
            "callers" => write_callers(&self.files, &[LASTING]),
            _ => write_pair(&self.files, &self.pairs[1]),
        }
    }

    /// Asks for a check, and waits until each of `sources` has been reloaded once.
    async fn reloaded(&self, sources: &BTreeSet<&str>) {
        self.program.signal("HUP");
        for source in sources {
            self.program.event(1, |event| event["message"] == "reloaded" && event["source"] == *source).await;
        }
    }

    /// The secret that seals for the caller of this token, and the certificate that it is shown.
    async fn seal(&self, token: &str) -> (Result<String, Status>, Vec<u8>) {
        let stream = channel(&self.program.address, config(&self.ca, None, &["h2"])).await.unwrap();
        let mut message = Request::new(encode("fiu", "aa"));
        message.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let sealed = RedirectServiceClient::new(stream).encode_redirect(message).await;
        let shown = crate::tls::shown(&self.program.address, &self.ca).await;
        (sealed.map(|sealed| sealed.into_inner().secret_id), shown)
    }

    async fn state(&self) -> State {
        let (lasting, shown) = self.seal(LASTING).await;
        let (revoked, _) = self.seal(REVOKED).await;
        if let Err(refused) = &revoked {
            assert_eq!(reason(refused), "CALLER_UNKNOWN");
        }
        let has_new_certificate = self.pairs[1].der().to_vec() == shown;
        State { secret: lasting.unwrap(), knows_revoked: revoked.is_ok(), has_new_certificate }
    }
}

/// The content that is served after every source except `stuck` has changed.
fn changed_but(stuck: &str) -> State {
    State {
        secret: if stuck == "keyring" { "one" } else { "two" }.to_owned(),
        knows_revoked: stuck == "callers",
        has_new_certificate: stuck != "certificates",
    }
}

fn others(stuck: &str) -> BTreeSet<&'static str> {
    FILES.iter().map(|(_, source)| *source).filter(|source| *source != stuck).collect()
}

#[tokio::test]
async fn a_pipe_in_place_of_any_file_is_refused_and_all_other_sources_are_reloaded() {
    for (file, source) in FILES {
        let served = Served::start();
        fs::remove_file(served.files.path(file)).unwrap();
        assert!(Command::new("mkfifo").arg(served.files.path(file)).status().unwrap().success());
        for other in others(source) {
            served.change(other);
        }
        served.reloaded(&others(source)).await;
        let refused = served.program.message(1, "not reloaded").await;
        assert_eq!(refused["source"], source, "{file}");
        assert!(refused["message"].as_str().unwrap().contains("it is not a regular file"), "{refused}");
        assert_eq!(served.state().await, changed_but(source), "{file}");
        fs::remove_file(served.files.path(file)).unwrap();
        served.change(source);
        served.reloaded(&BTreeSet::from([source])).await;
        assert_eq!(served.state().await, changed_but("none"), "{file}");
    }
}

#[tokio::test]
async fn a_revoked_caller_is_refused_while_another_file_hangs_and_that_file_is_reloaded_later() {
    for (file, source) in FILES {
        let served = Served::start();
        let sign = served.files.write(&format!("{file}.hangs"), "");
        for every in ["keyring", "callers", "certificates"] {
            served.change(every);
        }
        served.reloaded(&others(source)).await;
        assert_eq!(served.state().await, changed_but(source), "{file}");
        fs::remove_file(sign).unwrap();
        served.reloaded(&BTreeSet::from([source])).await;
        assert_eq!(served.state().await, changed_but("none"), "{file}");
    }
}

/// A store that takes every password and passes every proof. If it is aborted, its connections end too.
async fn store(address: &str) -> (String, AbortHandle) {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(answer_all(stream));
        }
    });
    (address, serving.abort_handle())
}

async fn answer_all(mut stream: TcpStream) {
    let mut asked = vec![0; 65_536];
    while let Ok(length @ 1..) = stream.read(&mut asked).await {
        let is_password = asked[..length].windows(4).any(|word| word == b"AUTH");
        // Several commands may come in one go.
        let scripts = asked[..length].windows(6).filter(|word| word == b"\r\nEVAL").count();
        let answer = if is_password { "+OK\r\n".to_owned() } else { ":1\r\n".repeat(scripts.max(1)) };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_store_password_that_is_a_pipe_or_hangs_stops_no_call() {
    for (is_pipe, expected) in [(true, "it is not a regular file"), (false, "it does not answer")] {
        let files = Files::new();
        let keyring = files.keyring("iv", &[("one", ONE)]);
        let password = files.write("password", "the-password-of-the-store");
        let (address, serving) = store("127.0.0.1:0").await;
        let url = format!("redis://{address}");
        let arguments = ["--keyring", text(&keyring), "--store", &url, "--store-password-file", text(&password)];
        let program = Program::start_with(&arguments, &[("LD_PRELOAD", text(&hanging(&files)))]);
        program.message(1, "the shared store answers").await;
        let sign = files.path("password.hangs");
        if is_pipe {
            fs::remove_file(&password).unwrap();
            assert!(Command::new("mkfifo").arg(&password).status().unwrap().success());
        } else {
            fs::write(&sign, "").unwrap();
        }
        serving.abort();
        // Each thread that serves calls has a connection to the store.
        for _ in 0..8 {
            let mut client = program.client().await;
            let message = sealed(&mut client, "fiu", "aa").await.unwrap();
            opened(&mut client, "aa", &message.query).await.unwrap();
        }
        let told = program.message(1, "the shared store does not answer").await;
        assert!(told["problem"].as_str().unwrap().contains(expected), "{told}");
        sealed(&mut program.client().await, "fiu", "aa").await.unwrap();
        if is_pipe {
            fs::remove_file(&password).unwrap();
            files.write("password", "the-password-of-the-store");
        } else {
            fs::remove_file(&sign).unwrap();
        }
        let _serving = store(&address).await;
        program.message(2, "the shared store answers").await;
        assert!(!program.log().contains("the-password"), "a secret stays out of the log");
    }
}
