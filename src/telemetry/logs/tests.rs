//! The form of lines: text and JSON, and which events make one.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use super::*;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The log lines of `run`.
pub(crate) fn logged(format: Format, level: LevelFilter, run: impl FnOnce()) -> String {
    let written = Written::default();
    let queue = Queue::start(written.clone()).unwrap();
    tracing::subscriber::with_default(subscriber(format, level, queue.clone()), run);
    queue.close(Duration::from_secs(30));
    let bytes = written.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_json_line_is_one_object_without_absent_fields() {
    let log = logged(Format::Json, LevelFilter::INFO, || {
        tracing::info!(fiu = Some("a \"quoted\" id"), aa = None::<&str>, duration_us = 7, "call");
    });
    let line: serde_json::Map<String, serde_json::Value> = serde_json::from_str(log.trim_end()).unwrap();
    assert_eq!(log.lines().count(), 1);
    assert_eq!(line["message"], "call");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["fiu"], "a \"quoted\" id");
    assert_eq!(line["duration_us"], 7);
    assert!(line.contains_key("timestamp") && !line.contains_key("aa"), "{log}");
}

#[test]
fn a_text_line_has_no_escape_codes_and_no_absent_fields() {
    let log = logged(Format::Text, LevelFilter::INFO, || {
        tracing::info!(fiu = Some("fiu@x"), aa = None::<&str>, "call");
    });
    assert!(log.ends_with(" INFO call fiu=\"fiu@x\"\n"), "{log}");
    assert!(!log.contains('\u{1b}'));
}

#[test]
fn libraries_log_nothing_below_info_at_any_level() {
    let log = logged(Format::Text, LevelFilter::TRACE, || {
        tracing::debug!(target: "h2::codec", "a frame");
        tracing::info!(target: "h2::codec", "a notice");
        tracing::debug!("ours");
    });
    assert!(!log.contains("a frame") && log.contains("a notice") && log.contains("ours"), "{log}");
    let log = logged(Format::Text, LevelFilter::ERROR, || {
        tracing::info!(target: "h2::codec", "a notice");
        tracing::warn!("ours");
    });
    assert_eq!(log, "");
}
