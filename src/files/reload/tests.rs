//! Changes of files, good and broken, as operators and mounted volumes make them.

use std::{
    fs,
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use tempfile::TempDir;
use tokio::sync::mpsc;
use tracing::subscriber::DefaultGuard;

use super::*;
use crate::keyring::{self, Keyring};

/// A source whose value is the text of the file. A text that begins with `bad` is refused.
fn text(file: PathBuf) -> Reloaded<String> {
    Reloaded::load("text", move |read| one_text(&file, read)).unwrap().0
}

fn one_text(file: &Path, read: &ReadFile<'_>) -> Result<(String, Vec<Problem>), String> {
    let bytes = read(file, crate::files::MAX_FILE).map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if text.starts_with("bad") { Err(format!("refused: {text}")) } else { Ok((text, Vec::new())) }
}

fn folder_with(content: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, content).unwrap();
    (folder, file)
}

const APPLIED: Outcome = Outcome::Applied(Vec::new());

#[test]
fn changed_content_is_served_and_a_call_in_flight_keeps_the_old_content() {
    let (_folder, file) = folder_with("one");
    let source = text(file.clone());
    let in_flight = Arc::clone(&source.current());
    assert_eq!(source.check(), Outcome::Unchanged);
    fs::write(&file, "two").unwrap();
    assert_eq!(source.check(), APPLIED);
    assert_eq!(**source.current(), "two");
    assert_eq!(*in_flight, "one");
    assert_eq!(source.check(), Outcome::Unchanged);
}

#[test]
fn the_same_content_with_a_new_time_or_in_a_new_file_is_unchanged() {
    let (folder, file) = folder_with("one");
    let source = text(file.clone());
    let served = Arc::clone(&source.current());
    fs::File::open(&file).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(source.check(), Outcome::Unchanged);
    fs::write(folder.path().join("other"), "one").unwrap();
    fs::rename(folder.path().join("other"), &file).unwrap();
    assert_eq!(source.check(), Outcome::Unchanged);
    assert!(Arc::ptr_eq(&served, &source.current()));
}

#[test]
fn a_broken_file_changes_nothing_and_is_reported_once_for_each_content() {
    let (_folder, file) = folder_with("one");
    let source = text(file.clone());
    fs::write(&file, "bad 1").unwrap();
    assert_eq!(source.check(), Outcome::Refused("refused: bad 1".into()));
    assert_eq!(source.check(), Outcome::StillRefused("refused: bad 1".into()));
    fs::write(&file, "bad 2").unwrap();
    assert_eq!(source.check(), Outcome::Refused("refused: bad 2".into()));
    fs::remove_file(&file).unwrap();
    assert!(matches!(source.check(), Outcome::Refused(_)));
    assert!(matches!(source.check(), Outcome::StillRefused(_)));
    assert_eq!(**source.current(), "one");
    fs::write(&file, "two").unwrap();
    assert_eq!(source.check(), APPLIED);
    assert_eq!(**source.current(), "two");
}

#[test]
fn a_broken_file_that_gets_its_old_content_back_is_reported_as_good() {
    let (_folder, file) = folder_with("one");
    let source = text(file.clone());
    fs::write(&file, "bad").unwrap();
    assert!(matches!(source.check(), Outcome::Refused(_)));
    fs::write(&file, "one").unwrap();
    assert_eq!(source.check(), APPLIED);
}

#[test]
fn refused_content_is_served_as_soon_as_it_becomes_valid() {
    let (_folder, file) = folder_with("one");
    let valid = Arc::new(AtomicUsize::new(1));
    let (path, asked) = (file.clone(), Arc::clone(&valid));
    let load = move |read: &ReadFile<'_>| match asked.load(Ordering::Relaxed) {
        0 => one_text(&path, read).and(Err("not valid yet".to_owned())),
        _ => one_text(&path, read),
    };
    let source = Reloaded::load("text", load).unwrap().0;
    valid.store(0, Ordering::Relaxed);
    fs::write(&file, "two").unwrap();
    assert!(matches!(source.check(), Outcome::Refused(_)));
    valid.store(1, Ordering::Relaxed);
    assert_eq!(source.check(), APPLIED);
}

#[test]
fn a_file_that_is_written_while_it_is_read_counts_when_it_is_complete() {
    for torn in ["bad half of two", "half of two"] {
        let (_folder, file) = folder_with("one");
        let path = file.clone();
        let load = move |read: &ReadFile<'_>| {
            let loaded = one_text(&path, read);
            // The writer finishes its work after this read.
            if fs::read_to_string(&path).unwrap() == torn {
                fs::write(&path, "two").unwrap();
            }
            loaded
        };
        let source = Reloaded::load("text", load).unwrap().0;
        fs::write(&file, torn).unwrap();
        assert_eq!(source.check(), APPLIED, "{torn}");
        assert_eq!(**source.current(), "two");
    }
}

#[test]
fn a_mounted_volume_whose_symlink_is_swapped_is_reloaded_whole() {
    // Kubernetes builds a volume like this: the files are links through `..data` into a folder whose name is a date.
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (generation, secret) in [("..2026_01", "a"), ("..2026_02", "b")] {
        fs::create_dir(path(generation)).unwrap();
        fs::write(path(generation).join("keyring.toml"), KEYRING.replace("ID", generation)).unwrap();
        fs::write(path(generation).join("secret"), secret.repeat(40)).unwrap();
    }
    symlink("..2026_01", path("..data")).unwrap();
    symlink("..data/keyring.toml", path("keyring.toml")).unwrap();
    symlink("..data/secret", path("secret")).unwrap();
    let source = keyring(path("keyring.toml"));
    assert_eq!(id_and_key(&source), ("..2026_01".into(), keyed("a")));
    symlink("..2026_02", path("..data_tmp")).unwrap();
    fs::rename(path("..data_tmp"), path("..data")).unwrap();
    fs::remove_dir_all(path("..2026_01")).unwrap();
    assert_eq!(source.check(), APPLIED);
    assert_eq!(id_and_key(&source), ("..2026_02".into(), keyed("b")));
}

#[test]
fn a_secret_file_that_changes_alone_is_seen_and_a_missing_one_is_refused() {
    let (folder, file) = folder_with(&KEYRING.replace("ID", "one"));
    let secret = folder.path().join("secret");
    fs::write(&secret, "a".repeat(40)).unwrap();
    let source = keyring(file);
    assert_eq!(source.check(), Outcome::Unchanged);
    fs::write(&secret, "b".repeat(40)).unwrap();
    assert_eq!(source.check(), APPLIED);
    assert_eq!(id_and_key(&source).1, keyed("b"));
    fs::remove_file(&secret).unwrap();
    let Outcome::Refused(problem) = source.check() else { panic!("a missing secret was not refused") };
    assert!(problem.contains("file:5: the secret file cannot be read"), "{problem}");
    assert_eq!(id_and_key(&source).1, keyed("b"));
    fs::write(&secret, "c").unwrap();
    let Outcome::Applied(warnings) = source.check() else { panic!("a good secret was not applied") };
    assert!(warnings[0].text.contains("fewer than 32 characters"), "{warnings:?}");
}

const KEYRING: &str = r#"[[pairing]]
fiu = "fiu"
aa = "aa"
profile = "iv"
secrets = [{ id = "ID", file = "secret" }]
"#;

fn keyring(file: PathBuf) -> Reloaded<Keyring> {
    Reloaded::load("keyring", move |read| keyring::load_with(&file, read)).unwrap().0
}

const DATE: &str = "010120260000000";

fn id_and_key(source: &Reloaded<Keyring>) -> (String, Vec<u8>) {
    let keyring = source.current();
    let pairing = keyring.of_fiu("fiu", "aa", |_| true).unwrap();
    let secret = pairing.primary();
    (secret.id.clone(), secret.derive(pairing.conventions.profile.scheme, DATE).to_vec())
}

fn keyed(letter: &str) -> Vec<u8> {
    crate::codec::kdf::hkdf(letter.repeat(40).as_bytes(), DATE).to_vec()
}

/// Collects a log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// What this thread logs, until the guard is dropped.
    fn collect() -> (Self, DefaultGuard) {
        let lines = Self::default();
        let writer = lines.clone();
        let log = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
        (lines, tracing::subscriber::set_default(log))
    }

    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap()
    }

    /// How many lines hold `text`.
    fn count(&self, text: &str) -> usize {
        String::from_utf8(self.bytes().clone()).unwrap().lines().filter(|line| line.contains(text)).count()
    }
}

/// Polls `source`, with each outcome in the channel.
async fn watched(
    source: Reloaded<String>,
    hangups: impl Stream<Item = ()>,
    every: Duration,
    outcomes: mpsc::UnboundedSender<(&'static str, Outcome)>,
) {
    let report = |name, outcome: &Outcome| outcomes.send((name, outcome.clone())).unwrap();
    watch(vec![Arc::new(source)], hangups, [every, TIME_LIMIT], report).await;
}

#[tokio::test]
async fn a_broken_file_is_polled_often_logged_once_and_logged_when_it_is_good_again() {
    let (lines, _log) = Lines::collect();
    let (_folder, file) = folder_with("one");
    let (outcomes, mut told) = mpsc::unbounded_channel();
    let source = text(file.clone());
    fs::write(&file, "bad").unwrap();
    let test = async {
        assert_eq!(told.recv().await, Some(("text", Outcome::Refused("refused: bad".into()))));
        for _ in 0..3 {
            assert_eq!(told.recv().await, Some(("text", Outcome::StillRefused("refused: bad".into()))));
        }
        assert_eq!(lines.count("refused: bad"), 1);
        fs::write(&file, "two").unwrap();
        while told.recv().await.unwrap().1 != APPLIED {}
        assert_eq!(told.recv().await, Some(("text", Outcome::Unchanged)));
        assert_eq!((lines.count("reloaded source=\"text\""), lines.count("")), (1, 2));
    };
    select! {
        () = test => {}
        () = watched(source, stream::pending(), Duration::from_millis(10), outcomes) => {}
    }
}

#[tokio::test]
async fn a_sighup_reloads_at_once_and_reports_unchanged_files() {
    let (lines, _log) = Lines::collect();
    let (_folder, file) = folder_with("one");
    let (outcomes, mut told) = mpsc::unbounded_channel();
    let source = text(file.clone());
    let hangups = hangups().unwrap();
    let hang_up = || rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::HUP).unwrap();
    let test = async {
        hang_up();
        assert_eq!(told.recv().await, Some(("text", Outcome::Unchanged)));
        assert_eq!(lines.count("files unchanged"), 1);
        fs::write(&file, "bad").unwrap();
        hang_up();
        assert_eq!(told.recv().await, Some(("text", Outcome::Refused("refused: bad".into()))));
        hang_up();
        assert_eq!(told.recv().await, Some(("text", Outcome::StillRefused("refused: bad".into()))));
        assert_eq!(lines.count("refused: bad"), 2);
    };
    select! {
        () = test => {}
        () = watched(source, hangups, Duration::from_hours(1), outcomes) => {}
    }
}

/// A source whose check ends when the test says so.
struct Hung(Mutex<std::sync::mpsc::Receiver<()>>);

impl Source for Hung {
    fn name(&self) -> &'static str {
        "hung"
    }

    fn check(&self) -> Outcome {
        let _ = self.0.lock().unwrap().recv();
        Outcome::Unchanged
    }
}

#[tokio::test]
async fn files_that_do_not_answer_delay_no_other_source_and_are_reported() {
    let (lines, _log) = Lines::collect();
    let (_folder, file) = folder_with("one");
    let (answer, answers) = std::sync::mpsc::channel();
    let sources: Vec<Arc<dyn Source>> = vec![Arc::new(Hung(Mutex::new(answers))), Arc::new(text(file.clone()))];
    let (outcomes, mut told) = mpsc::unbounded_channel();
    let report = |name, outcome: &Outcome| outcomes.send((name, outcome.clone())).unwrap();
    let times = [Duration::from_millis(10), Duration::from_secs(2)];
    let test = async {
        fs::write(&file, "two").unwrap();
        let (mut applied, mut late) = (0, 0);
        while applied == 0 || late == 0 {
            match told.recv().await.unwrap() {
                ("text", Outcome::Applied(_)) => applied += 1,
                ("hung", Outcome::Late) => late += 1,
                (name, other) => assert_eq!((name, other), ("text", Outcome::Unchanged)),
            }
        }
        assert_eq!((late, lines.count("not checked")), (1, 1), "reported once for each check");
        answer.send(()).unwrap();
        while told.recv().await.unwrap() != ("hung", Outcome::Unchanged) {}
        // The check that has begun in the meantime ends with the test.
        drop(answer);
    };
    select! {
        () = test => {}
        () = watch(sources, stream::pending(), times, report) => {}
    }
}
