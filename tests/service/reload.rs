//! The keyring while its files change.

use std::{fs, os::unix::fs::symlink, time::Duration};

use tokio::time::sleep;

use crate::support::program::{Files, Program, opened, pairing, sealed, text};

const ONE: &str = "the-first-secret-0123456789abcdef";
const TWO: &str = "the-second-secret-0123456789abcde";

fn start(files: &Files) -> Program {
    let keyring = files.path("keyring.toml");
    Program::start(&["--keyring", text(&keyring), "--admin-listen", "127.0.0.1:0"])
}

#[tokio::test]
async fn the_new_secret_seals_after_a_sighup_and_the_old_one_still_opens() {
    let files = Files::new();
    files.keyring("iv", &[("one", ONE)]);
    let program = start(&files);
    let mut client = program.client().await;
    let before = sealed(&mut client, "fiu", "aa").await.unwrap();
    assert_eq!(before.secret_id, "one");
    files.keyring("iv", &[("two", TWO), ("one", ONE)]);
    program.signal("HUP");
    program.message(1, "reloaded").await;
    let after = sealed(&mut client, "fiu", "aa").await.unwrap();
    assert_eq!(after.secret_id, "two");
    let old = opened(&mut client, "aa", &before.query).await.unwrap();
    assert_eq!((&*old.secret_id, old.primary_secret), ("one", false));
    assert!(opened(&mut client, "aa", &after.query).await.unwrap().primary_secret);
    program.signal("HUP");
    program.message(1, "files unchanged").await;
}

#[tokio::test]
async fn a_swapped_symlink_is_found_without_a_signal() {
    // The files lie as in a volume of Kubernetes.
    let files = Files::new();
    files.keyring("iv", &[("one", ONE)]);
    for (generation, secret) in [("..2026_01", ONE), ("..2026_02", TWO)] {
        fs::create_dir(files.path(generation)).unwrap();
        fs::write(files.path(generation).join("secret-one"), secret).unwrap();
    }
    symlink("..2026_01", files.path("..data")).unwrap();
    fs::remove_file(files.path("secret-one")).unwrap();
    symlink("..data/secret-one", files.path("secret-one")).unwrap();
    let program = start(&files);
    let mut client = program.client().await;
    let before = sealed(&mut client, "fiu", "aa").await.unwrap();
    symlink("..2026_02", files.path("..data_tmp")).unwrap();
    fs::rename(files.path("..data_tmp"), files.path("..data")).unwrap();
    program.message(1, "reloaded").await;
    let refused = opened(&mut client, "aa", &before.query).await.unwrap_err();
    assert_eq!(crate::support::reason(&refused), "UNDECIPHERABLE");
    assert!(sealed(&mut client, "fiu", "aa").await.is_ok());
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_is_reported_once_until_it_is_fixed() {
    let files = Files::new();
    files.keyring("iv", &[("one", ONE)]);
    let program = start(&files);
    let mut client = program.client().await;
    let before = sealed(&mut client, "fiu", "aa").await.unwrap();
    files.write("keyring.toml", "[[pairing]]\nfiu = \"fiu\"\n");
    let refused = program.message(1, "not reloaded").await;
    assert_eq!(refused["level"], "ERROR");
    assert!(refused["message"].as_str().unwrap().contains("keyring.toml:1: missing field"), "{refused}");
    // The files are checked once more in the meantime.
    sleep(Duration::from_secs(6)).await;
    assert!(opened(&mut client, "aa", &before.query).await.unwrap().primary_secret);
    assert_eq!(program.page("/readyz").await, (200, "ok".to_owned()));
    let told = |event: &serde_json::Value| event["level"] == "ERROR";
    assert_eq!(program.events(told).len(), 1);
    let metrics = program.metrics().await;
    assert_eq!(metrics.of("aa_redirect_reloads_total{source=\"keyring\",outcome=\"refused\"}"), Some(1.0));
    assert_eq!(metrics.of("aa_redirect_reload_failing{source=\"keyring\"}"), Some(1.0));
    files.keyring("iv", &[("two", TWO)]);
    program.signal("HUP");
    program.message(1, "reloaded").await;
    assert_eq!(sealed(&mut client, "fiu", "aa").await.unwrap().secret_id, "two");
    let metrics = program.metrics().await;
    assert_eq!(metrics.of("aa_redirect_reloads_total{source=\"keyring\",outcome=\"applied\"}"), Some(1.0));
    assert_eq!(metrics.of("aa_redirect_reload_failing{source=\"keyring\"}"), Some(0.0));
}

#[tokio::test]
async fn a_missing_secret_file_leaves_the_old_keyring_served() {
    let files = Files::new();
    files.keyring("iv", &[("one", ONE)]);
    let program = start(&files);
    fs::remove_file(files.path("secret-one")).unwrap();
    program.signal("HUP");
    let refused = program.message(1, "not reloaded").await;
    assert!(refused["message"].as_str().unwrap().contains("keyring.toml:6: the secret file cannot be read"));
    assert!(sealed(&mut program.client().await, "fiu", "aa").await.is_ok());
}

#[tokio::test]
async fn a_secret_of_the_environment_stays_while_files_change() {
    let files = Files::new();
    let secrets = "secrets = [{ id = \"one\", env = \"THE_SECRET\" }]\n";
    let keyring = files.write("keyring.toml", &format!("[[pairing]]\n{}{secrets}", pairing("iv")));
    let program = Program::start_with(&["--keyring", text(&keyring)], &[("THE_SECRET", ONE)]);
    let mut client = program.client().await;
    let before = sealed(&mut client, "fiu", "aa").await.unwrap();
    files.write("keyring.toml", &format!("[[pairing]]\n{}handles = [\"handle\"]\n{secrets}", pairing("iv")));
    program.signal("HUP");
    program.message(1, "reloaded").await;
    assert!(opened(&mut client, "aa", &before.query).await.unwrap().primary_secret);
    assert!(sealed(&mut client, "fiu", "").await.is_ok(), "the new handle picks the pairing");
}

#[tokio::test]
async fn a_pipe_in_place_of_a_secret_delays_no_other_source() {
    let files = Files::new();
    files.keyring("iv", &[("one", ONE)]);
    let callers = |name: &str| format!("[[caller]]\nname = \"{name}\"\nsan = \"{name}.example\"\n");
    let path = files.write("callers.toml", &callers("revoked"));
    let keyring = files.path("keyring.toml");
    let program =
        Program::start(&["--keyring", text(&keyring), "--callers", text(&path), "--admin-listen", "127.0.0.1:0"]);
    fs::remove_file(files.path("secret-one")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(files.path("secret-one")).status().unwrap().success());
    files.write("callers.toml", &callers("other"));
    program.signal("HUP");
    let reloaded = program.message(1, "reloaded").await;
    assert_eq!(reloaded["source"], "callers");
    let refused = program.message(1, "not reloaded").await;
    assert!(refused["message"].as_str().unwrap().contains("it is not a regular file"), "{refused}");
    let metrics = program.metrics().await;
    assert_eq!(metrics.of("aa_redirect_reload_failing{source=\"keyring\"}"), Some(1.0));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    for source in ["keyring", "callers"] {
        let series = format!("aa_redirect_source_checked_timestamp_seconds{{source=\"{source}\"}}");
        let checked = metrics.of(&series).unwrap();
        assert!((now - 120.0..=now).contains(&checked), "{source}: {checked}");
    }
    let unused = "aa_redirect_source_checked_timestamp_seconds{source=\"certificates\"}";
    assert_eq!(metrics.of(unused), None, "an alert on old times would fire for it");
    // An endless device is refused too, and it is not read.
    fs::remove_file(files.path("secret-one")).unwrap();
    symlink("/dev/zero", files.path("secret-one")).unwrap();
    program.signal("HUP");
    files.keyring("iv", &[("two", TWO)]);
    program.signal("HUP");
    program.event(1, |event| event["message"] == "reloaded" && event["source"] == "keyring").await;
}
