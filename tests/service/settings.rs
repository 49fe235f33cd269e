//! Settings that cannot be used end the program with exit code 64 and a text that says what to do, before a port is
//! bound.

use crate::support::{
    certificates::Ca,
    program::{Files, Program, command, text},
};

const KEYRING: [&str; 2] = ["--keyring", "tests/support/keyring.toml"];

fn refused(arguments: &[&str]) -> String {
    let output = command(&[]).args(arguments).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{arguments:?}: {said}");
    said
}

#[test]
fn settings_for_production_need_a_keyring() {
    let files = Files::new();
    let callers = files.write("callers.toml", "[[caller]]\nname = \"a\"\nsan = \"a.example\"\n");
    let pair = Ca::new().issue("localhost", 2999);
    let (cert, key) = (files.write("cert.pem", &pair.cert), files.write("key.pem", &pair.key));
    for arguments in [
        &["--admin-listen", "127.0.0.1:0"][..],
        &["--callers", text(&callers)],
        &["--tls-cert", text(&cert), "--tls-key", text(&key)],
        &["--listen", "0.0.0.0:0"],
        &["--trusted-listen", "0.0.0.0:0"],
    ] {
        for subcommand in ["serve", "check"] {
            let arguments = [&[subcommand][..], arguments].concat();
            let said = refused(&arguments);
            assert!(said.contains("keyring") && said.contains("--sandbox"), "{arguments:?}: {said}");
        }
        assert!(command(&[]).args(["check", "--sandbox"]).args(arguments).output().unwrap().status.success());
    }
}

#[test]
fn a_refused_file_ends_check_and_serve_and_says_what_to_fix() {
    let files = Files::new();
    let callers = files.write("callers.toml", "[[caller]]\nname = \"a\"\n");
    let (one, other) = (Ca::new().issue("localhost", 2999), Ca::new().issue("localhost", 2999));
    let (cert, key) = (files.write("cert.pem", &one.cert), files.write("key.pem", &other.key));
    let old = files.write("old.pem", &Ca::new().issue("localhost", 2021).cert);
    for (arguments, expected) in [
        (&["--callers", text(&callers)][..], "callers.toml:2: a caller needs either `san` or `token_sha256`"),
        (&["--callers", "no/such/file"], "no/such/file: cannot be read"),
        (&["--tls-cert", text(&cert)], "--tls-key"),
        (&["--tls-key", text(&key)], "--tls-cert"),
        (&["--tls-client-ca", text(&cert)], "--tls-cert"),
        (&["--tls-cert", text(&cert), "--tls-key", text(&key)], "give a certificate and key that belong together"),
        (&["--tls-cert", text(&old), "--tls-key", text(&key)], "expired at 2021-01-01T00:00:00Z"),
        (&["--tls-cert", text(&cert), "--tls-key", text(&cert)], "holds no private key"),
        (&["--store-outage", "closed"], "--store"),
        (&["--store-timeout-milliseconds", "10"], "--store"),
        (&["--store", "redis://a:1", "--store", "rediss://b:1"], "redis:// and rediss:// are mixed"),
    ] {
        for subcommand in ["serve", "check"] {
            let said = refused(&[&[subcommand][..], &KEYRING, arguments].concat());
            assert!(said.contains(expected), "{arguments:?}: {said}");
        }
    }
}

#[tokio::test]
async fn a_flag_overrides_the_environment_and_the_environment_overrides_the_default() {
    let environment = [("AA_REDIRECT_DRAIN_TIMEOUT", "3"), ("AA_REDIRECT_DRAIN_DELAY", "4")];
    let program = Program::start_with(&["--drain-delay", "5"], &environment);
    let settings = program.message(1, "settings").await;
    assert_eq!(settings["drain_timeout"], 3);
    assert_eq!(settings["drain_delay"], 5);
    assert_eq!(settings["max_connection_age"], 1800);
}

#[tokio::test]
async fn the_settings_in_the_log_name_the_store_and_what_happens_without_it() {
    let settings = Program::start(&[""; 0]).message(1, "settings").await;
    assert_eq!(settings["store"], serde_json::Value::Null);
    let store = ["--store", "redis://127.0.0.1:1", "--store", "redis://127.0.0.1:2", "--store-outage", "closed"];
    let settings = Program::start(&store).message(1, "settings").await;
    assert_eq!(settings["store"], "redis://127.0.0.1:1 redis://127.0.0.1:2");
    assert_eq!(settings["store_outage"], "closed");
    assert_eq!(settings["store_timeout_milliseconds"], 50);
}

#[tokio::test]
async fn the_drain_delay_is_0_on_loopback_since_it_is_for_balancers() {
    for (arguments, expected) in [
        (&["--trusted-listen", "127.0.0.2:0"][..], 0),
        (&["--sandbox", "--listen", "0.0.0.0:0"], 5),
        (&["--sandbox", "--trusted-listen", "0.0.0.0:0"], 5),
        (&["--sandbox", "--listen", "0.0.0.0:0", "--drain-delay", "0"], 0),
    ] {
        let settings = Program::start(arguments).message(1, "settings").await;
        assert_eq!(settings["drain_delay"], expected, "{arguments:?}");
    }
}

#[test]
fn an_address_in_use_is_reported_with_exit_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = command(&[]).args(["--listen", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&address) && said.contains("another process listens there"), "{said}");
}

#[tokio::test]
async fn the_program_writes_no_core_file() {
    let program = Program::start_with(&[""; 0], &[]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", program.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
}

#[tokio::test]
async fn a_program_behind_the_core_pattern_gets_no_core_file() {
    let program = Program::start_with(&[""; 0], &[]);
    // The `/proc` files of a process that must not be dumped belong to root, so that no other process of its user can
    // read its memory.
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    assert!(!status.contains("CoreDumping:\t1"));
    let owner =
        std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(format!("/proc/{}/environ", program.id())).unwrap());
    assert_eq!(owner, 0);
}

/// What `check` says, and its exit code without and with `--strict`.
fn warned(arguments: &[&str], environment: &[(&str, &str)]) -> (String, [Option<i32>; 2]) {
    let run = |more: &[&str]| {
        let output = command(environment).args([&["check"], arguments, more].concat()).output().unwrap();
        (String::from_utf8(output.stderr).unwrap(), output.status.code())
    };
    let (plain, strict) = (run(&[]), run(&["--strict"]));
    (plain.0, [plain.1, strict.1])
}

#[test]
fn access_that_is_open_by_accident_is_a_warning_and_strict_exits_64() {
    let files = Files::new();
    let secret = files.write("secret", &"s".repeat(40));
    let mode = |mode| std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    mode(0o640);
    let pairing =
        "[[pairing]]\nfiu = \"f\"\naa = \"a\"\nprofile = \"iv\"\nsecrets = [{ id = \"s\", file = \"secret\" }]\n";
    let keyring = files.write("keyring.toml", pairing);
    let callers = files.write("callers.toml", "[[caller]]\nname = \"a\"\nsan = \"a.example\"\n");
    let pair = Ca::new().issue("localhost", 2999);
    let (cert, key) = (files.write("cert.pem", &pair.cert), files.write("key.pem", &pair.key));
    let with_keyring = ["--keyring", text(&keyring)];
    let tls = ["--tls-cert", text(&cert), "--tls-key", text(&key), "--callers", text(&callers)];
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let beyond = ["--listen", "0.0.0.0:1"];
    let (said, codes) = warned(&[&with_keyring[..], &beyond, &tls].concat(), &[]);
    assert_eq!((&*said, codes), ("", [Some(0), Some(0)]), "nothing is open");
    for (arguments, environment, expected) in [
        ([&with_keyring[..], &beyond].concat(), &[][..], "everybody who can reach 0.0.0.0:1 may call"),
        ([&with_keyring[..], &beyond].concat(), &[], "cross the network in plain text"),
        ([&["--sandbox"][..], &beyond, &tls].concat(), &[], "the sandbox keyring's secrets are public"),
        ([&with_keyring[..], &["--trusted-listen", "[::]:1"]].concat(), &[], "can pretend to be any caller"),
        (with_keyring.to_vec(), &[("AA_REDIRECT_CALERS", "x")], "did you mean AA_REDIRECT_CALLERS?"),
    ] {
        let (said, codes) = warned(&arguments, environment);
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert_eq!(codes, [Some(0), Some(64)], "{arguments:?}");
    }
    mode(0o644);
    let (said, codes) = warned(&with_keyring, &[("AA_REDIRECT_SERVICE_HOST", "10.0.0.1")]);
    assert!(said.starts_with("warning: ") && said.contains("secret: every user of this machine can read"), "{said}");
    assert!(said.lines().count() == 1, "what Kubernetes injects is no misspelling: {said}");
    assert_eq!(codes, [Some(0), Some(64)]);
}

#[tokio::test]
async fn a_key_or_password_that_every_user_can_read_is_a_warning_of_check_and_serve() {
    let files = Files::new();
    let pair = Ca::new().issue("localhost", 2999);
    let (cert, key) = (files.write("cert.pem", &pair.cert), files.write("key.pem", &pair.key));
    let password = files.write("password", "secret of the store");
    let tls = ["--sandbox", "--tls-cert", text(&cert), "--tls-key", text(&key)];
    let store = ["--store", "redis://127.0.0.1:1", "--store-password-file", text(&password)];
    for (file, arguments) in [(&key, &tls[..]), (&password, &store)] {
        let mode = |mode| std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        for closed in [0o600, 0o640] {
            mode(closed);
            assert_eq!(warned(arguments, &[]), (String::new(), [Some(0), Some(0)]), "{file:?}");
        }
        for open in [0o644, 0o604] {
            mode(open);
            let (said, codes) = warned(arguments, &[]);
            assert!(
                said.starts_with(&format!("warning: {}: every user of this machine can read", text(file))),
                "{said}"
            );
            assert_eq!(codes, [Some(0), Some(64)]);
        }
        let warning = Program::start(arguments).message(1, "every user of this machine can read").await;
        assert_eq!((&warning["level"], &warning["file"]), (&"WARN".into(), &text(file).into()));
    }
}

#[test]
fn a_store_with_tls_needs_readable_cas() {
    let files = Files::new();
    let ca = Ca::new().pem();
    let pipe = files.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for (file, expected) in [
        (files.path("missing"), "missing"),
        (files.write("empty", ""), "there are none"),
        (files.write("key.pem", &Ca::new().issue("a", 2999).key), "there are none"),
        (files.write("damaged.pem", &ca.replace("MII", "MIA")), "one of them is damaged"),
        (pipe, "their file does not answer"),
    ] {
        for subcommand in ["serve", "check"] {
            let output = command(&[("SSL_CERT_FILE", text(&file))])
                .args([subcommand, "--sandbox", "--store", "rediss://127.0.0.1:1"])
                .output()
                .unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(64), "{file:?}: {said}");
            assert!(said.contains("SSL_CERT_FILE") && said.contains(expected), "{file:?}: {said}");
        }
    }
}

#[tokio::test]
async fn a_server_starts_with_its_warnings_in_the_log() {
    let program = Program::start_with(&["--sandbox", "--trusted-listen", "0.0.0.0:0"], &[("AA_REDIRECT_LOGS", "x")]);
    for expected in ["AA_REDIRECT_LOGS is not a setting", "--trusted-listen 0.0.0.0:0 is on all addresses"] {
        let warning = program.message(1, expected).await;
        assert_eq!(warning["level"], "WARN");
    }
}

#[tokio::test]
async fn a_unix_socket_lets_the_owner_and_the_group_connect_by_default() {
    use std::os::unix::fs::PermissionsExt;
    for (more, expected) in [(&[][..], 0o660), (&["--unix-mode", "0600"], 0o600)] {
        let files = Files::new();
        let address = format!("unix:{}", text(&files.path("socket")));
        let _program = Program::start(&[&["--listen", &address][..], more].concat());
        let mode = std::fs::metadata(files.path("socket")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, expected);
    }
    assert!(refused(&["--unix-mode", "0888"]).contains("octal"));
}

#[test]
fn a_file_in_place_of_a_unix_socket_is_kept() {
    let files = Files::new();
    let path = files.write("precious", "keep");
    let output = command(&[]).args(["--listen", &format!("unix:{}", text(&path))]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("not a socket"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "keep");
}
