//! The program: its subcommands, exit codes and the end of a server, through the binary.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects by unwrapping it")]

mod alike;
mod diagnosis;
mod rare_mistakes;
#[path = "../support/mod.rs"]
mod support;

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, Command, Output, Stdio},
};

use support::{MILLIS, sender};
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

const PLAIN: &str = "txnid=T1&sessionid=%1b[31m&userid=9999988888@iv&redirect=https://fiu.example/cb&srcref=a,b";

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aa-redirect"));
    command.args(arguments).env_clear();
    command
}

fn run(arguments: &[&str]) -> Output {
    program(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A server on a free port, killed when dropped.
struct Served {
    child: Child,
    address: String,
    log: String,
}

impl Served {
    fn start(arguments: &[&str]) -> Self {
        let child = program(&["--listen", "127.0.0.1:0", "--log", "json"])
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut served = Self { child, address: String::new(), log: String::new() };
        // Standard error is closed after the start: a server must not end because its log is closed.
        let mut lines = BufReader::new(served.child.stderr.take().unwrap());
        while served.address.is_empty() {
            let from = served.log.len();
            assert_ne!(lines.read_line(&mut served.log).unwrap(), 0, "{}", served.log);
            let line: serde_json::Value = serde_json::from_str(&served.log[from..]).unwrap();
            if line["message"] == "serving" {
                line["listen"].as_str().unwrap().clone_into(&mut served.address);
            }
        }
        served
    }

    fn terminate(&self) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn check_prints_the_pairings_without_secrets() {
    let output = run(&["check", "--keyring", "tests/support/keyring.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = out(&output);
    assert!(text.contains("fiu@test  v1.5    v1.5     pbkdf2   v1.5     new, old (decode)"), "{text}");
    for file in std::fs::read_dir("tests/support/secrets").unwrap() {
        let secret = std::fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!text.contains(secret.trim_end()));
    }
}

#[test]
fn check_without_secrets_accepts_absent_secrets_reports_them_and_checks_everything_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring.toml");
    let keyring = "[[pairing]]\nfiu = \"f\"\naa = \"a\"\nprofile = \"iv\"\nsecrets = [\n\
                   { id = \"here\", file = \"here\" },\n\
                   { id = \"gone\", file = \"no/such/file\", use = \"decode\" },\n\
                   { id = \"unset\", env = \"NO_SUCH_SECRET\", use = \"decode\" },\n]\n";
    std::fs::write(&path, keyring).unwrap();
    let here = folder.path().join("here");
    std::fs::write(&here, "a-secret-of-32-characters-0123456").unwrap();
    std::fs::set_permissions(&here, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let path = path.to_str().unwrap();
    let check = |more: &[&str]| run(&[&["check", "--keyring", path], more].concat());
    let refused = check(&[]);
    assert_eq!(refused.status.code(), Some(64), "absent secrets are an error otherwise");
    let output = check(&["--without-secrets", "--strict"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = out(&output);
    assert!(text.contains("here, gone (decode, not checked), unset (decode, not checked)"), "{text}");
    assert!(text.contains("NOT checked (2)"), "{text}");
    let all = run(&["check", "--without-secrets", "--keyring", "tests/support/keyring.toml"]);
    assert!(!out(&all).contains("checked"), "with all secrets present it is the normal check");
    // Present secrets are checked, and everything else in the file too.
    std::fs::write(&here, "").unwrap();
    assert!(err(&check(&["--without-secrets"])).contains("keyring.toml:6: the secret is empty"));
    std::fs::write(path, keyring.replace("\"iv\"", "\"v9\"")).unwrap();
    let output = check(&["--without-secrets"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(err(&output).contains("keyring.toml:4: `profile` must be one of"), "{}", err(&output));
}

#[test]
fn bad_settings_exit_64_with_the_reason() {
    for (arguments, expected) in [
        (&["check", "--keyring", "no/such/file"][..], "no/such/file: cannot be read"),
        (&["--keyring", "no/such/file"], "no/such/file: cannot be read"),
        (&["--keyring", ""], "--keyring"),
        (&["check", "--listen", "nowhere"], "neither host:port nor unix:path"),
        (&["check", "--kdf-threads", "0"], "--kdf-threads"),
        (&["--listen", "0.0.0.0:0"], "the sandbox keyring's secrets are public"),
        (&["check", "--listen", "0.0.0.0:0"], "the sandbox keyring's secrets are public"),
        (&["--no-such-flag"], "--no-such-flag"),
        (&["inspect"], "<URL>"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", err(&output));
        assert!(err(&output).contains(expected), "{arguments:?}: {}", err(&output));
    }
}

#[test]
fn the_environment_sets_a_setting_that_has_no_flag() {
    let from_environment = program(&["check"]).env("AA_REDIRECT_KEYRING", "no/such/file").output().unwrap();
    assert_eq!(from_environment.status.code(), Some(64));
    let empty = program(&["check"]).env("AA_REDIRECT_KEYRING", "").output().unwrap();
    assert_eq!(empty.status.code(), Some(64), "an empty variable does not ask for the sandbox");
    let flag = program(&["check", "--keyring", "tests/support/keyring.toml"]);
    let flag = { flag }.env("AA_REDIRECT_KEYRING", "no/such/file").output().unwrap();
    assert_eq!(flag.status.code(), Some(0), "the flag wins");
    let unknown = program(&["check"]).env("AA_REDIRECT_PORT_50051_TCP", "tcp://10.0.0.1").output().unwrap();
    assert_eq!(unknown.status.code(), Some(0), "Kubernetes sets such variables");
}

#[test]
fn the_sandbox_can_be_exposed_on_purpose() {
    assert_eq!(run(&["check", "--listen", "0.0.0.0:0", "--sandbox"]).status.code(), Some(0));
}

#[test]
fn help_exits_with_0() {
    let output = run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    for word in ["check", "check", "inspect", "keygen", "health", "--listen", "AA_REDIRECT_KEYRING"] {
        assert!(out(&output).contains(word), "{word}");
    }
}

#[test]
fn keygen_prints_a_secret_of_32_characters() {
    assert_eq!(out(&run(&["keygen"])).trim_end().len(), 32);
}

fn inspect(url: &str) -> Output {
    let mut child = program(&["inspect", "--json", "--keyring", "tests/support/keyring.toml", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{url}\n").as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn inspect_opens_step_by_step_what_the_service_refuses() {
    let query = sender::request("iv", MILLIS, PLAIN).request_query();
    // It is tried with each AA of the FIU until one opens it. Its date is stale now.
    let output = inspect(&query);
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(report["sender"], "fiu@test");
    assert_eq!(report["date"]["text"], MILLIS);
    assert_eq!(report["date"]["readings"].as_array().unwrap().len(), 1, "75 seconds are no tenths");
    assert_eq!(report["deviations"], serde_json::json!(["LIST_SYNTAX", "TXNID_NOT_UUID"]));
    let members = report["members"].as_array().unwrap();
    assert!(members.contains(&serde_json::json!({ "name": "srcref", "value": "b" })), "{report}");
    let last = report["pairings"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["aa"], &last["secrets"][0]["opened"]), (&"iv".into(), &true.into()));
}

#[test]
fn inspect_names_the_step_that_failed_and_why() {
    let good = sender::request("iv", MILLIS, PLAIN);
    let query = good.request_query();
    let fresh = format!("{}756", chrono::Utc::now().format("%d%m%Y%H%M"));
    for (url, answer, explanation) in [
        (query.clone(), "DATE_EXPIRED", "s old, and the pairing allows 180 s"),
        ("https://iv.example/".to_owned(), "URL_MALFORMED", "fi, reqdate, ecreq are missing from the query"),
        (format!("{query}&iv=x"), "URL_MALFORMED", "iv comes more than once, with different values"),
        (query.replace(MILLIS, "310220261040756"), "DATE_MALFORMED", "has a day that the calendar does not have"),
        (query.replace("ecreq=", "ecreq=x"), "PARAMETER_MALFORMED", "its end may have been cut off"),
        (query.replace("fi=V", "fi=U"), "PAIRING_UNKNOWN", "the server has no pairing of the FIU"),
        (
            sender::request_with(b"another", "iv", &fresh, PLAIN).request_query(),
            "UNDECIPHERABLE",
            "the message does not open",
        ),
    ] {
        let output = inspect(&url);
        assert_eq!(output.status.code(), Some(1));
        let report: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
        assert_eq!(report["answer"], answer);
        assert!(report["explanation"].as_str().unwrap().contains(explanation), "{report}");
    }
}

#[test]
fn inspect_prints_a_table_without_control_characters() {
    let query = sender::request("iv", MILLIS, PLAIN).request_query();
    let output = run(&["inspect", "--keyring", "tests/support/keyring.toml", &query]);
    let text = out(&output);
    assert!(text.contains("  sessionid   \\u{1b}[31m\n"), "{text}");
    assert!(text.contains("deviations    LIST_SYNTAX, TXNID_NOT_UUID\n"), "{text}");
    assert!(text.contains("answer        DATE_"), "{text}");
}

#[test]
fn the_sandbox_warns_about_itself_and_health_answers() {
    let served = Served::start(&[]);
    assert!(served.log.contains("SANDBOX KEYRING"), "{}", served.log);
    let output = run(&["health", &served.address]);
    assert_eq!((output.status.code(), &*out(&output)), (Some(0), "SERVING\n"));
    let gone = run(&["health", "127.0.0.1:1"]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(err(&gone).contains("127.0.0.1:1 does not answer"), "{}", err(&gone));
}

#[test]
fn a_unix_socket_is_served_and_taken_over_from_a_dead_server() {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("s");
    let address = format!("unix:{}", path.display());
    for _ in 0..2 {
        let served = Served::start(&["--listen", &address]);
        assert_eq!(run(&["health", &address]).status.code(), Some(0));
        drop(served);
    }
    assert!(path.exists(), "a killed server leaves its socket behind");
}

#[test]
fn sigterm_ends_the_server_with_success() {
    let mut served = Served::start(&[]);
    served.terminate();
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn an_open_watch_and_a_silent_peer_do_not_outlast_the_drain() {
    let mut served = Served::start(&["--drain-timeout", "1"]);
    let mut silent = std::net::TcpStream::connect(&served.address).unwrap();
    let channel = Channel::from_shared(format!("http://{}", served.address)).unwrap().connect().await.unwrap();
    let mut watch = HealthClient::new(channel).watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    served.terminate();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    let status = tokio::task::spawn_blocking(move || served.child.wait().unwrap()).await.unwrap();
    assert_eq!(status.code(), Some(0));
    let mut rest = Vec::new();
    // The server's settings may have come before the end.
    let _ = silent.read_to_end(&mut rest);
}

#[tokio::test]
async fn reflection_lists_every_service_in_both_versions() {
    use tonic_reflection::pb::{v1, v1alpha};
    let expected = [
        "aa.redirect.v1.RedirectService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ];
    let server = support::start().await;
    macro_rules! list {
        ($version:ident) => {{
            let request = $version::ServerReflectionRequest {
                host: String::new(),
                message_request: Some($version::server_reflection_request::MessageRequest::ListServices(String::new())),
            };
            let requests = tokio_stream::once(request);
            let mut client = $version::server_reflection_client::ServerReflectionClient::new(server.channel.clone());
            let mut answers = client.server_reflection_info(requests).await.unwrap().into_inner();
            match answers.message().await.unwrap().unwrap().message_response {
                Some($version::server_reflection_response::MessageResponse::ListServicesResponse(list)) => {
                    list.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
                }
                other => panic!("{other:?}"),
            }
        }};
    }
    for mut names in [list!(v1), list!(v1alpha)] {
        names.sort();
        assert_eq!(names, expected);
    }
}
