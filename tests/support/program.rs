//! The program in its own process: starts it with the files of a test, calls it, sends signals to it, and reads its
//! log.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use aa_redirect::proto::{
    DecodeRedirectRequest, DecodeRedirectResponse, EncodeRedirectRequest, EncodeRedirectResponse, Redirect,
    decode_redirect_request::Source, redirect_service_client::RedirectServiceClient,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};
use tonic::{Status, transport::Channel};

/// Longer than any wait of a test takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

pub type Client = RedirectServiceClient<Channel>;

/// A running program, killed when dropped.
pub struct Program {
    child: Child,
    /// Its first address for callers.
    pub address: String,
    /// Its address for operators; empty if it has no admin port.
    pub admin: String,
    /// Its first trusted address; empty if it has no trusted listener.
    pub trusted: String,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

/// The program with `environment` as its whole environment.
pub fn command(environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aa-redirect"));
    command.env_clear().envs(environment.iter().copied());
    command
}

impl Program {
    /// Starts on a free port of loopback with additional `arguments`, and waits until it serves.
    pub fn start<S: AsRef<OsStr>>(arguments: &[S]) -> Self {
        Self::start_with(arguments, &[])
    }

    pub fn start_with<S: AsRef<OsStr>>(arguments: &[S], environment: &[(&str, &str)]) -> Self {
        let mut child = command(environment)
            .args(["--listen", "127.0.0.1:0", "--log", "json"])
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stderr.take().unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let serving = loop {
            let mut line = String::new();
            assert_ne!(out.read_line(&mut line).unwrap(), 0, "it ended: {lines:?}");
            let event: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no event: {line}"));
            lines.lock().unwrap().push(line);
            if event["message"] == "serving" {
                break event;
            }
        };
        let read = Arc::clone(&lines);
        let reader = thread::spawn(move || {
            for line in out.lines() {
                read.lock().unwrap().push(line.unwrap());
            }
        });
        let address =
            |name: &str| serving[name].as_str().unwrap_or_default().split(' ').next().unwrap_or_default().to_owned();
        let (address, admin, trusted) = (address("listen"), address("admin_listen"), address("trusted_listen"));
        Self { child, address, admin, trusted, lines, reader: Some(reader) }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its short name.
    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status().unwrap().success());
    }

    /// Everything that it has written to its log so far.
    pub fn log(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// The events so far for which `wanted` is true.
    pub fn events(&self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let lines = self.lines.lock().unwrap();
        lines.iter().map(|line| serde_json::from_str(line).expect("each line is one event")).filter(wanted).collect()
    }

    /// Waits for the `number`th event, counted from 1, for which `wanted` is true.
    pub async fn event(&self, number: usize, wanted: impl Fn(&Value) -> bool) -> Value {
        until(|| async { self.events(&wanted).into_iter().nth(number - 1) }).await
    }

    /// Waits for the `number`th event with this message.
    pub async fn message(&self, number: usize, message: &str) -> Value {
        self.event(number, |event| event["message"].as_str().is_some_and(|text| text.starts_with(message))).await
    }

    /// Waits until the program has ended by itself. Returns its exit code. Its log is then complete.
    pub async fn ended(&mut self) -> Option<i32> {
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begin.elapsed() < PATIENCE, "it does not end: {}", self.log());
            sleep(Duration::from_millis(20)).await;
        };
        self.reader.take().unwrap().join().unwrap();
        status.code()
    }

    pub async fn client(&self) -> Client {
        RedirectServiceClient::new(channel(&self.address).await)
    }

    /// The status and the body of a page of the admin port.
    pub async fn page(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.admin).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    pub async fn metrics(&self) -> Metrics {
        // The admin port serves a rendered page for a second.
        sleep(Duration::from_millis(1_100)).await;
        Metrics(self.page("/metrics").await.1)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The page `/metrics`.
pub struct Metrics(pub String);

impl Metrics {
    /// The value of a series, which is written as on the page.
    pub fn of(&self, series: &str) -> Option<f64> {
        let value = self.0.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map(|value| value.parse().unwrap())
    }

    /// The names and labels of all series.
    pub fn series(&self) -> Vec<String> {
        let samples = self.0.lines().filter(|line| !line.starts_with('#'));
        let mut all: Vec<_> = samples.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect();
        all.sort();
        all
    }
}

/// Calls `look` until it finds something, and returns that.
pub async fn until<T, F: Future<Output = Option<T>>>(mut look: impl FnMut() -> F) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "the awaited event does not come");
        sleep(Duration::from_millis(20)).await;
    }
}

pub async fn channel(address: &str) -> Channel {
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

/// A test's own folder with the files of a server.
pub struct Files(pub TempDir);

impl Files {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Writes `keyring.toml` with one pairing `fiu` and `aa` of this profile, whose secrets are `(id, value)`.
    pub fn keyring(&self, profile: &str, secrets: &[(&str, &str)]) -> PathBuf {
        let entry = |(at, (id, value)): (usize, &(&str, &str))| {
            self.write(&format!("secret-{id}"), value);
            let usage = if at == 0 { "" } else { ", use = \"decode\"" };
            format!("{{ id = \"{id}\", file = \"secret-{id}\"{usage} }}")
        };
        let secrets = secrets.iter().enumerate().map(entry).collect::<Vec<_>>().join(", ");
        self.write("keyring.toml", &format!("[[pairing]]\n{}secrets = [{secrets}]\n", pairing(profile)))
    }
}

/// The lines of a pairing of `fiu` and `aa`, without its secrets.
pub fn pairing(profile: &str) -> String {
    format!("fiu = \"fiu\"\naa = \"aa\"\nprofile = \"{profile}\"\nmax_age_seconds = 1000000\n")
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A request that can be sealed.
pub fn encode(fiu: &str, aa: &str) -> EncodeRedirectRequest {
    let redirect = Redirect {
        userid: "9999988888@handle".into(),
        redirect: "https://fiu.example/return".into(),
        srcref: vec!["a".into()],
        ..Redirect::default()
    };
    EncodeRedirectRequest {
        fiu_id: fiu.into(),
        aa_id: aa.into(),
        redirect: Some(redirect),
        ..EncodeRedirectRequest::default()
    }
}

pub fn decode(aa: &str, query: &str) -> DecodeRedirectRequest {
    DecodeRedirectRequest { aa_id: aa.into(), source: Some(Source::Url(query.into())), ..Default::default() }
}

/// A message of `fiu` to `aa`, sealed by the server now.
pub async fn sealed(client: &mut Client, fiu: &str, aa: &str) -> Result<EncodeRedirectResponse, Status> {
    client.encode_redirect(encode(fiu, aa)).await.map(tonic::Response::into_inner)
}

pub async fn opened(client: &mut Client, aa: &str, query: &str) -> Result<DecodeRedirectResponse, Status> {
    client.decode_redirect(decode(aa, query)).await.map(tonic::Response::into_inner)
}
