//! A browser without a screen: it follows redirects, does not send fragments, and never leaves loopback.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, ExitStatus, Stdio},
};

/// A running rehearsal, killed when dropped.
pub struct Rehearsal {
    child: Child,
    /// `127.0.0.1:PORT` of the pages.
    pub pages: String,
    /// `127.0.0.1:PORT` of the service.
    pub grpc: String,
}

/// What a server answered.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub fn location(&self) -> &str {
        self.header("location").unwrap_or_else(|| panic!("no redirect: {} {}", self.status, self.body))
    }
}

impl Rehearsal {
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_aa-redirect"))
            .args(["rehearse", "--listen", "127.0.0.1:0", "--pages", "127.0.0.1:0"])
            .args(arguments)
            .env_clear()
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let pages = lines.next().unwrap().unwrap();
        let grpc = lines.next().unwrap().unwrap();
        let pages = pages.strip_prefix("pages  http://").unwrap().strip_suffix('/').unwrap().to_owned();
        Self { child, pages, grpc: grpc.strip_prefix("gRPC   ").unwrap().to_owned() }
    }

    /// The origin of the pages.
    pub fn origin(&self) -> String {
        format!("http://{}", self.pages)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.pages))
    }

    pub fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.post_with(path, form, &format!("origin: {}\r\n", self.origin()))
    }

    pub fn post_with(&self, path: &str, form: &[(&str, &str)], headers: &str) -> Answer {
        let body = form.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect::<Vec<_>>().join("&");
        self.ask(&format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{headers}content-type: \
             application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            self.pages,
            body.len()
        ))
    }

    /// Sends it a signal, and waits for its end.
    pub fn end(&mut self, signal: &str) -> ExitStatus {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
        self.child.wait().unwrap()
    }

    /// Sends a request without a change.
    pub fn ask(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.pages).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// Follows redirects to these pages. Returns the last answer and its URL.
    pub fn follow(&self, mut answer: Answer) -> (Answer, String) {
        let mut url = String::new();
        while answer.status == 303 {
            let to = answer.location().to_owned();
            let path = to.strip_prefix(&self.origin()).unwrap_or(&to).to_owned();
            assert!(path.starts_with('/'), "it leaves these pages: {to}");
            url = to;
            answer = self.get(path.split('#').next().unwrap());
        }
        (answer, url)
    }

    /// Runs the journey of a user whose id decides, up to its last page.
    pub fn journey(&self, fiu: &str, aa: &str, userid: &str, more: &[(&str, &str)]) -> (Answer, String) {
        let form = [&[("aa", aa), ("userid", userid), ("then", "go")], more].concat();
        self.follow(self.post(&format!("/fiu/{fiu}"), &form))
    }
}

impl Drop for Rehearsal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `text`, encoded as in a form.
pub fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// `text`, escaped as in HTML.
pub fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
