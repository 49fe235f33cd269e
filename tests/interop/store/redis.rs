//! A test's own redis-server.

use std::{
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::support::program::{PATIENCE, until};

/// A running server, killed when dropped.
pub struct Redis {
    child: Child,
    pub port: u16,
    arguments: Vec<String>,
    folder: TempDir,
}

/// A port that is free now. It lies below the ports that the system gives to clients, because a cluster also needs the
/// port that is 10,000 higher.
pub fn free_port() -> u16 {
    loop {
        let port = rand::random_range(10_000..22_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
    }
}

impl Redis {
    /// A server that writes everything to disk before it acknowledges it.
    pub fn start() -> Self {
        Self::start_with(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    pub fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let child = spawn(port, &arguments, &folder);
        let redis = Self { child, port, arguments, folder };
        redis.answers();
        redis
    }

    /// A Sentinel over the master at this port.
    pub fn sentinel(master: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let file = folder.path().join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {master} 1\n\
             sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n"
        );
        std::fs::write(&file, text).unwrap();
        let arguments = [file.to_str().unwrap().to_owned(), "--sentinel".to_owned()];
        let child = Command::new("redis-server").args(&arguments).stdout(Stdio::null()).spawn().unwrap();
        let redis = Self { child, port, arguments: arguments.into(), folder };
        redis.answers();
        redis
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts again with what is on disk.
    pub fn restart(&mut self) {
        self.child = spawn(self.port, &self.arguments, &self.folder);
        self.answers();
    }

    /// What `redis-cli` prints.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Waits until the follower has everything that this master has. `WAIT` waits only for what its own connection wrote.
    pub async fn is_followed(&self) {
        until(|| async {
            let told = self.cli(&["INFO", "replication"]);
            let own = told.lines().find_map(|line| line.trim_end().strip_prefix("master_repl_offset:"));
            let follower = told.lines().find(|line| line.starts_with("slave0:"));
            let offset = follower.and_then(|line| line.split(',').find_map(|part| part.strip_prefix("offset=")));
            (own.is_some() && own == offset).then_some(())
        })
        .await;
    }

    fn answers(&self) {
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() || self.cli(&["PING"]) != "PONG" {
            assert!(begin.elapsed() < PATIENCE, "redis-server does not start");
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16, arguments: &[String], folder: &TempDir) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
        .arg(folder.path())
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}
