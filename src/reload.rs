//! What is served while its files change: read, checked and swapped as a whole; a broken file changes nothing.
//!
//! Content counts, not times or names of files: swapped symlinks of mounted volumes are seen, a mere `touch` is not.

use std::{
    fmt, io,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};
use futures_util::{Stream, StreamExt, stream};
use tokio::{
    select,
    signal::unix::{SignalKind, signal},
    task::spawn_blocking,
    time::{Instant, MissedTickBehavior, interval_at},
};

use crate::{
    files::{ReadFile, Reading},
    keyring::Problem,
};

/// How often files are looked at: short beside the minute that Kubernetes takes to bring a change to a volume, and
/// reading some hundred small files that often costs next to nothing.
pub const POLL: Duration = Duration::from_secs(5);
/// For how long changed files must stay as they are: a file may be half written, a key be there before its certificate.
const SETTLE: Duration = Duration::from_millis(200);
/// How often at most that is waited for; files that change for longer count as they were read last.
const SETTLE_ROUNDS: usize = 5;

/// What a look at the files of one source found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What is served is what the files hold.
    Unchanged,
    /// What the files hold is served from now on; with warnings.
    Applied(Vec<Problem>),
    /// The files have changed and cannot be used, for this reason; what was served before still is.
    Refused(String),
    /// As before: the files are refused, for this reason that was told already.
    StillRefused(String),
}

/// Something that is served from files.
pub trait Source: Send + Sync {
    /// Its name in logs and metrics.
    fn name(&self) -> &'static str;

    /// Reads the files and, where they have changed and are good, serves what they hold from now on.
    ///
    /// Blocks: reads files, and waits up to a second until changed ones stay as they are.
    fn check(&self) -> Outcome;
}

type Load<T> = dyn Fn(&ReadFile<'_>) -> Result<(T, Vec<Problem>), String> + Send + Sync;

/// A `T` that is served from files. Whoever holds one keeps it, whatever becomes of the files.
pub struct Reloaded<T> {
    name: &'static str,
    served: ArcSwap<T>,
    load: Box<Load<T>>,
    last: Mutex<Last>,
}

/// The last reading, and what was wrong with it.
struct Last {
    reading: Reading,
    refused: Option<String>,
}

impl<T> Reloaded<T> {
    /// Loads what `name` serves first, with its warnings. `load` reads files through its argument and in no other way;
    /// what else it depends on counts as unchanging.
    ///
    /// # Errors
    /// Those of `load`.
    pub fn load<E: fmt::Display>(
        name: &'static str,
        load: impl Fn(&ReadFile<'_>) -> Result<(T, Vec<Problem>), E> + Send + Sync + 'static,
    ) -> Result<(Self, Vec<Problem>), E> {
        let (loaded, reading) = Reading::of(&load);
        let (first, warnings) = loaded?;
        let reloaded = Self {
            name,
            served: ArcSwap::from_pointee(first),
            load: Box::new(move |read| load(read).map_err(|error| error.to_string())),
            last: Mutex::new(Last { reading, refused: None }),
        };
        Ok((reloaded, warnings))
    }

    /// What is served now. For a call that waits, clone the `Arc` in it: few guards at a time are cheap.
    pub fn current(&self) -> Guard<Arc<T>> {
        self.served.load()
    }
}

impl<T: Send + Sync> Source for Reloaded<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn check(&self) -> Outcome {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // What is refused is loaded anew each time: a certificate may have become valid.
        if last.refused.is_none() && last.reading.is_current() {
            return Outcome::Unchanged;
        }
        let (mut loaded, mut reading) = Reading::of(&self.load);
        for _ in 0..SETTLE_ROUNDS {
            if reading.is_same(&last.reading) {
                break;
            }
            thread::sleep(SETTLE);
            if reading.is_current() {
                break;
            }
            (loaded, reading) = Reading::of(&self.load);
        }
        let same = reading.is_same(&last.reading);
        let before = std::mem::replace(&mut *last, Last { reading, refused: loaded.as_ref().err().cloned() });
        match loaded {
            // Changed and changed back.
            Ok(_) if same && before.refused.is_none() => Outcome::Unchanged,
            Ok((value, warnings)) => {
                self.served.store(Arc::new(value));
                Outcome::Applied(warnings)
            }
            Err(problem) if same && before.refused.as_ref() == Some(&problem) => Outcome::StillRefused(problem),
            Err(problem) => Outcome::Refused(problem),
        }
    }
}

/// Each SIGHUP from now on, which ends the process no more.
///
/// # Errors
/// Where the signal cannot be listened to.
pub fn hangups() -> io::Result<impl Stream<Item = ()>> {
    let mut hangups = signal(SignalKind::hangup())?;
    Ok(stream::poll_fn(move |context| hangups.poll_recv(context)))
}

/// Checks all `sources` each time that `every` has passed and at each of `hangups`, logs what is new, and hands each
/// outcome with its source's name to `report`. Never ends.
pub async fn watch(
    sources: Vec<Arc<dyn Source>>,
    hangups: impl Stream<Item = ()>,
    every: Duration,
    report: impl Fn(&'static str, &Outcome),
) {
    let mut hangups = pin!(hangups.fuse());
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let asked = select! {
            Some(()) = hangups.next() => true,
            _ = ticks.tick() => false,
        };
        for source in &sources {
            let checked = Arc::clone(source);
            let outcome = spawn_blocking(move || checked.check())
                .await
                .unwrap_or_else(|_| Outcome::Refused("the check broke off: a fault of this program".into()));
            log(source.name(), &outcome, asked);
            report(source.name(), &outcome);
        }
    }
}

/// Logs what is new; where somebody `asked` by a signal, what is not, too.
fn log(source: &'static str, outcome: &Outcome, asked: bool) {
    match outcome {
        Outcome::Unchanged if asked => tracing::info!(source, "files unchanged"),
        Outcome::StillRefused(problem) if !asked => tracing::debug!(source, "files still refused: {problem}"),
        Outcome::Unchanged => {}
        Outcome::Applied(warnings) => {
            tracing::info!(source, "reloaded");
            for warning in warnings {
                tracing::warn!(source, line = warning.line, "{}", warning.text);
            }
        }
        Outcome::Refused(problem) | Outcome::StillRefused(problem) => {
            tracing::error!(source, "not reloaded, what was served before still is: {problem}");
        }
    }
}

#[cfg(test)]
mod tests {
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

    use super::*;
    use crate::keyring::{self, Keyring};

    /// A source whose value is the text of the file; what begins with `bad` is refused.
    fn text(file: PathBuf) -> Reloaded<String> {
        Reloaded::load("text", move |read| one_text(&file, read)).unwrap().0
    }

    fn one_text(file: &Path, read: &ReadFile<'_>) -> Result<(String, Vec<Problem>), String> {
        let bytes = read(file).map_err(|error| error.to_string())?;
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
    fn changed_content_is_served_and_a_call_in_flight_keeps_what_it_began_with() {
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
    fn a_broken_file_changes_nothing_and_is_told_once_for_each_content() {
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
    fn a_broken_file_that_gets_its_old_content_back_is_told_to_be_good_again() {
        let (_folder, file) = folder_with("one");
        let source = text(file.clone());
        fs::write(&file, "bad").unwrap();
        assert!(matches!(source.check(), Outcome::Refused(_)));
        fs::write(&file, "one").unwrap();
        assert_eq!(source.check(), APPLIED);
    }

    #[test]
    fn what_is_refused_for_the_time_being_is_served_once_it_is_good_without_a_change_of_content() {
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
    fn a_file_that_is_written_while_it_is_read_counts_once_it_is_whole() {
        for torn in ["bad half of two", "half of two"] {
            let (_folder, file) = folder_with("one");
            let path = file.clone();
            let load = move |read: &ReadFile<'_>| {
                let loaded = one_text(&path, read);
                // The writer comes to the end of its work behind this reading.
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
        // As Kubernetes lays a volume out: the files are links through `..data` into a folder with a date for a name.
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
        assert!(warnings[0].text.contains("under 32 characters"), "{warnings:?}");
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
        watch(vec![Arc::new(source)], hangups, every, report).await;
    }

    #[tokio::test]
    async fn a_broken_file_is_polled_often_logged_once_and_logged_when_it_is_good_again() {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
        let _log = tracing::subscriber::set_default(log);
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
    async fn a_sighup_reads_at_once_and_says_that_nothing_changed() {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
        let _log = tracing::subscriber::set_default(log);
        let (_folder, file) = folder_with("one");
        let (outcomes, mut told) = mpsc::unbounded_channel();
        let source = text(file.clone());
        let hangups = hangups().unwrap();
        let hang_up =
            || rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::HUP).unwrap();
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
}
