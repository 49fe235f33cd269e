//! Settings that cannot be used end the program with 64 and what to do, before a port is bound.

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
fn a_refused_file_ends_check_and_serve_with_what_to_fix() {
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
        (&["--tls-cert", text(&cert), "--tls-key", text(&key)], "give the two that belong together"),
        (&["--tls-cert", text(&old), "--tls-key", text(&key)], "expired at 2021-01-01T00:00:00Z"),
        (&["--tls-cert", text(&cert), "--tls-key", text(&cert)], "holds no private key"),
    ] {
        for subcommand in ["serve", "check"] {
            let said = refused(&[&[subcommand][..], &KEYRING, arguments].concat());
            assert!(said.contains(expected), "{arguments:?}: {said}");
        }
    }
}

#[tokio::test]
async fn a_flag_wins_over_the_environment_and_the_environment_over_the_default() {
    let environment = [("AA_REDIRECT_DRAIN_TIMEOUT", "3"), ("AA_REDIRECT_DRAIN_DELAY", "4")];
    let program = Program::start_with(&["--drain-delay", "5"], &environment);
    let settings = program.message(1, "settings").await;
    assert_eq!(settings["drain_timeout"], 3);
    assert_eq!(settings["drain_delay"], 5);
    assert_eq!(settings["max_connection_age"], 1800);
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
async fn no_core_is_dumped() {
    let program = Program::start_with(&[""; 0], &[]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", program.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
}
