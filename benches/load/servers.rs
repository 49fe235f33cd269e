//! The servers of a run: the service, the echo and the servers in other languages. Each is a process that ends with its
//! handle.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, LazyLock},
    thread,
};

use rustix::process::{Pid, Signal};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

use crate::{echo, keyring};

/// This build of the service.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_aa-redirect");

pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) address: String,
    child: Child,
    /// The TLS settings of the load, if the server uses TLS.
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// The service with this many pairings and threads of the pool. All other settings are the defaults.
    pub(crate) fn service(pairings: usize, kdf_threads: u32) -> Self {
        let threads = kdf_threads.to_string();
        Self::program(Command::new(PROGRAM), pairings, &["--kdf-threads", &threads])
    }

    /// A build of the service, started by `command`, with this many pairings and more arguments.
    pub(crate) fn program(mut command: Command, pairings: usize, arguments: &[&str]) -> Self {
        let file = keyring_file(pairings);
        command.args(["--listen", "127.0.0.1:0", "--keyring"]).arg(&file).args(arguments).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let address = announced(child.stderr.take().unwrap(), |line| {
            // The line before it may name the store.
            let port = line.split_once("serving")?.1.split_once("127.0.0.1:")?.1;
            let end = port.find(|c: char| !c.is_ascii_digit())?;
            Some(format!("127.0.0.1:{}", &port[..end]))
        });
        Self { name: "aa-redirect".into(), address: address.expect("the service starts"), child, tls: None }
    }

    /// A build of the service, like [`Server::program`], but with TLS.
    pub(crate) fn with_tls(command: Command, pairings: usize, arguments: &[&str]) -> Self {
        /// The run's certificate, which the load trusts.
        static TLS: LazyLock<Arc<ClientConfig>> = LazyLock::new(certify);
        let tls = Arc::clone(&TLS);
        let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder().join(name).display().to_string());
        let files = ["--tls-cert", &certificate, "--tls-key", &key];
        let mut server = Self::program(command, pairings, &[&files, arguments].concat());
        server.tls = Some(tls);
        server
    }

    /// Asks the server to read its files again.
    pub(crate) fn reload(&self) {
        rustix::process::kill_process(Pid::from_child(&self.child), Signal::HUP).unwrap();
    }

    /// Asks the server to end, and waits until it has.
    pub(crate) fn stop(mut self) {
        let process = Pid::from_child(&self.child);
        rustix::process::kill_process(process, Signal::TERM).unwrap();
        self.child.wait().unwrap();
    }

    /// This program as the echo, behind the layers of the service.
    pub(crate) fn echo() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(echo::VARIABLE, "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drain(child.stderr.take().unwrap());
        let address = announced(child.stdout.take().unwrap(), |line| Some(line.trim().to_owned()));
        Self { name: "echo".into(), address: address.expect("the echo starts"), child, tls: None }
    }

    fn rival(language: &str, flags: &[&str]) -> Option<Self> {
        let name = [&[language], flags].concat().join(" ");
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(language).join("rival");
        let built = Command::new(scripts.join("build")).stdout(Stdio::null()).status();
        if !built.is_ok_and(|status| status.success()) {
            println!("left out: the rival of {name}, since it cannot be built");
            return None;
        }
        let keyring = folder().join("keyring.json");
        fs::write(&keyring, keyring::rival_keyring()).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let child = Command::new(scripts.join("run"))
            .args(["--listen", &address, "--keyring"])
            .arg(&keyring)
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut rival = Self { name: format!("grpc-{name}"), address, child, tls: None };
        announced(rival.child.stdout.take().unwrap(), |line| line.contains("serving").then(String::new))?;
        Some(rival)
    }

    pub(crate) fn uri(&self, path: &str) -> http::Uri {
        format!("{}://{}{path}", if self.tls.is_some() { "https" } else { "http" }, self.address).parse().unwrap()
    }

    /// Microseconds of processor time that the process has used; the kernel counts in hundredths of a second.
    pub(crate) fn cpu_micros(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The name in parentheses may hold blanks; utime and stime are the 14th and 15th field.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10_000
    }

    /// A figure of the process's memory in KiB: `VmRSS:` is its memory now, `VmHWM:` the highest value so far.
    pub(crate) fn memory(&self, figure: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(figure)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

/// Writes a certificate and its key to files. Returns the client's TLS settings for a server that has them.
fn certify() -> Arc<ClientConfig> {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(folder().join("cert.pem"), own.cert.pem()).unwrap();
    fs::write(folder().join("key.pem"), own.signing_key.serialize_pem()).unwrap();
    let mut trusted = RootCertStore::empty();
    trusted.add(own.cert.der().clone()).unwrap();
    let mut tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trusted)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(tls)
}

/// The servers in other languages that can be built here.
pub(crate) fn rivals() -> Vec<Server> {
    let rivals = [("go", &[][..]), ("java", &[]), ("java", &["--direct-executor"]), ("node", &[])];
    rivals.into_iter().filter_map(|(language, flags)| Server::rival(language, flags)).collect()
}

/// Writes a keyring with this many pairings, and its secrets.
pub(crate) fn keyring_file(pairings: usize) -> PathBuf {
    let file = folder().join(format!("keyring-{pairings}.toml"));
    fs::write(&file, keyring::keyring(pairings)).unwrap();
    fs::write(folder().join("secret"), keyring::SECRET).unwrap();
    fs::write(folder().join("old"), keyring::OLD_SECRET).unwrap();
    file
}

/// Reads and drops the rest of a log.
fn drain(mut stream: impl Read + Send + 'static) {
    thread::spawn(move || io::copy(&mut stream, &mut io::sink()));
}

/// The result of `found` for the first line that it accepts. The rest of the stream is read and dropped.
fn announced(stream: impl Read + Send + 'static, found: fn(&str) -> Option<String>) -> Option<String> {
    let mut stream = BufReader::new(stream);
    let announced = stream.by_ref().lines().map_while(Result::ok).find_map(|line| found(&line));
    drain(stream);
    announced
}

pub(crate) fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("load");
    fs::create_dir_all(&folder).unwrap();
    folder
}
