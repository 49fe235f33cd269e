//! Writes log lines through a bounded buffer that never makes a caller wait, and a thread that empties it.
//!
//! Replaces `tracing-appender` (lossy), which costs a call 1 to 17 % more processor time: its channel needs an
//! allocation and a wake-up for each line. This queue writes lines that come together in one write. To measure it,
//! build the program with the library in its place and run `cargo bench --bench load -- --against PATH`.

use std::{
    io::{self, Write},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// The most bytes that wait: about ten thousand lines.
const WAITING: usize = 4 << 20;
/// How long lines gather after a write, so that a busy server wakes the thread at most a hundred times a second.
const GATHER: Duration = Duration::from_millis(10);

/// Takes lines. Clones share one queue and its thread.
#[derive(Clone)]
pub(super) struct Queue(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Whether the thread sleeps until a line comes.
    idle: bool,
    closed: bool,
    ended: bool,
}

impl Queue {
    /// A queue with its own thread, which writes the lines to `out`.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let queue =
            Self(Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), dropped: AtomicU64::new(0) }));
        let shared = Arc::clone(&queue.0);
        thread::Builder::new().name("log".to_owned()).spawn(move || shared.write_all(out))?;
        Ok(queue)
    }

    /// The number of lines that had no room or could not be written.
    pub(super) fn dropped(&self) -> u64 {
        self.0.dropped.load(Relaxed)
    }

    /// Waits until all lines are written, for at most `bound`. Lines that come later are dropped.
    pub(super) fn close(&self, bound: Duration) {
        let mut state = self.0.lock();
        state.closed = true;
        self.0.changed.notify_all();
        let _ = self.0.changed.wait_timeout_while(state, bound, |state| !state.ended);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.closed || state.waiting.len() + line.len() > WAITING {
            drop(state);
            self.dropped.fetch_add(1, Relaxed);
            return;
        }
        state.waiting.extend_from_slice(line);
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        if idle {
            self.changed.notify_all();
        }
    }

    fn write_all(&self, mut out: impl Write) {
        let mut lines = Vec::new();
        loop {
            let mut state = self.lock();
            while state.waiting.is_empty() && !state.closed {
                state.idle = true;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.idle = false;
            if state.waiting.is_empty() {
                break;
            }
            std::mem::swap(&mut state.waiting, &mut lines);
            drop(state);
            // A closed standard error does not end the server.
            if out.write_all(&lines).and_then(|()| out.flush()).is_err() {
                let lost = memchr::memchr_iter(b'\n', &lines).count();
                self.dropped.fetch_add(lost as u64, Relaxed);
            }
            lines.clear();
            let _ = self.changed.wait_timeout_while(self.lock(), GATHER, |state| !state.closed);
        }
        self.lock().ended = true;
        self.changed.notify_all();
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

/// Each write is one whole line, as the formatter writes them.
impl Write for &Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Instant};

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    /// Sends each write through a channel, and stalls until the test takes it.
    struct Slow(mpsc::SyncSender<Vec<u8>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_come_out_whole_and_in_order() {
        let (out, written) = mpsc::sync_channel(1024);
        let queue = Queue::start(Slow(out)).unwrap();
        for number in 0..1000 {
            writeln!(&queue, "line {number}").unwrap();
        }
        queue.close(LONG);
        let all: Vec<u8> = written.try_iter().flatten().collect();
        // `writeln!` writes its pieces one by one.
        let expected: Vec<String> = (0..1000).map(|number| format!("line {number}\n")).collect();
        assert_eq!(String::from_utf8(all).unwrap(), expected.concat());
        assert_eq!(queue.dropped(), 0);
    }

    #[test]
    fn a_line_after_an_idle_time_is_written_without_a_further_line() {
        let (out, written) = mpsc::sync_channel(1);
        let queue = Queue::start(Slow(out)).unwrap();
        for line in ["one\n", "two\n"] {
            (&queue).write_all(line.as_bytes()).unwrap();
            assert_eq!(written.recv_timeout(LONG).unwrap(), line.as_bytes());
            thread::sleep(3 * GATHER);
        }
    }

    #[test]
    fn a_stalled_reader_loses_lines_but_delays_no_call() {
        let (out, written) = mpsc::sync_channel(0);
        let queue = Queue::start(Slow(out)).unwrap();
        let line = vec![b'x'; 1 << 16];
        // Nobody reads. If a caller waited, this test would not end.
        for _ in 0..1000 {
            (&queue).write_all(&line).unwrap();
        }
        assert!(queue.dropped() >= 1000 - 2 * (WAITING >> 16) as u64, "{}", queue.dropped());
        let begin = Instant::now();
        queue.close(Duration::from_millis(50));
        assert!(begin.elapsed() < LONG, "the end does not wait either");
        drop(written);
    }

    #[test]
    fn a_closed_standard_error_loses_lines_but_ends_nothing() {
        let (out, written) = mpsc::sync_channel(1);
        drop(written);
        let queue = Queue::start(Slow(out)).unwrap();
        (&queue).write_all(b"one\n").unwrap();
        queue.close(LONG);
        assert_eq!(queue.dropped(), 1);
        (&queue).write_all(b"late\n").unwrap();
        assert_eq!(queue.dropped(), 2);
    }
}
