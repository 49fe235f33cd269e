//! Compares the lines of calls with the lines that the library writes for the same event.

use chrono::TimeZone;
use serde_json::Value;
use tracing::level_filters::LevelFilter;

use super::*;
use crate::telemetry::logs::tests::logged;

/// Values that try to end a line, a string or an object, or to draw on a terminal.
const HOSTILE: [&str; 16] = [
    "",
    "plain",
    "two\nlines",
    "\r\n",
    "quo\"te",
    "back\\slash",
    "\\\"",
    "\",\"level\":\"ERROR",
    "\u{1b}[31mred",
    "\0",
    "\u{7f}",
    "\u{85}next line",
    "\u{2028}line\u{2029}paragraph",
    "देवनागरी",
    "😀",
    "\u{202e}right to left",
];

/// The same event written as an event of a call and as another event, without the timestamps.
macro_rules! both {
    ($format:expr, $($fields:tt)*) => {{
        let log = logged($format, LevelFilter::INFO, || {
            tracing::warn!(target: CALL, $($fields)*);
            tracing::warn!(target: "aa_redirect::other", $($fields)*);
        });
        let start = if $format == Format::Json { 0 } else { 27 };
        log.lines().map(|line| line[start..].to_owned()).collect::<Vec<String>>()
    }};
}

#[test]
fn a_text_line_is_the_same_as_the_librarys() {
    for value in HOSTILE {
        let lines = both!(
            Format::Text,
            text = value,
            absent = None::<&str>,
            present = Some(value),
            count = u64::MAX,
            form = tracing::field::display("0af7"),
            "call"
        );
        assert_eq!(lines.len(), 2, "{value:?}");
        assert_eq!(lines[0], lines[1], "{value:?}");
    }
}

#[test]
fn a_json_line_has_the_same_content_as_the_librarys() {
    for value in HOSTILE {
        let lines = both!(
            Format::Json,
            text = value,
            absent = None::<&str>,
            present = Some(value),
            count = u64::MAX,
            form = tracing::field::display(value),
            "call"
        );
        assert_eq!(lines.len(), 2, "{value:?}");
        let objects = [&lines[0], &lines[1]].map(|line| {
            let mut object: Value = serde_json::from_str(line).unwrap();
            let timestamp = object.as_object_mut().unwrap().remove("timestamp").unwrap();
            assert!(DateTime::parse_from_rfc3339(timestamp.as_str().unwrap()).is_ok(), "{timestamp}");
            object
        });
        assert_eq!(objects[0], objects[1], "{value:?}");
        assert_eq!(objects[0]["text"], value);
    }
}

#[test]
fn no_value_makes_a_second_line_or_draws_on_a_terminal() {
    for format in [Format::Text, Format::Json] {
        for value in HOSTILE {
            let log = logged(format, LevelFilter::INFO, || {
                tracing::info!(target: CALL, text = value, form = tracing::field::display(value), "{value}");
            });
            let (line, rest) = log.split_at(log.len() - 1);
            assert_eq!(rest, "\n");
            let ends = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
            assert!(!line.contains(ends), "{format:?}: {line:?}");
        }
    }
}

#[test]
fn a_timestamp_has_microseconds_and_all_its_zeros() {
    let written = |now| {
        let mut out = String::new();
        push_timestamp(&mut out, now);
        out
    };
    let instant = Utc.with_ymd_and_hms(2026, 1, 2, 3, 4, 5).unwrap();
    assert_eq!(written(instant), "2026-01-02T03:04:05.000000Z");
    assert_eq!(written(instant + chrono::TimeDelta::nanoseconds(60_999)), "2026-01-02T03:04:05.000060Z");
    let leap = instant.with_nanosecond(1_999_999_999).unwrap();
    assert_eq!(written(leap), "2026-01-02T03:04:05.999999Z");
}
