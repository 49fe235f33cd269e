//! Writes the line of a call: exactly one line for any values, and the same as `tracing-subscriber` would write.
//!
//! Replaces the formatters of `tracing-subscriber` for this one event, which each call writes. `docs/performance.md`
//! has the gain. The library formats all other events.

use std::fmt::{self, Debug, Write};

use chrono::{DateTime, Datelike, Timelike, Utc};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use super::Format;

/// The target of the events that describe a call.
pub(crate) const CALL: &str = concat!(env!("CARGO_CRATE_NAME"), "::call");

/// Writes the lines of calls itself, and the lines of all other events with the library's formatter.
pub(super) struct Lines<F> {
    pub(super) format: Format,
    pub(super) others: F,
}

impl<S, N, F> FormatEvent<S, N> for Lines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if event.metadata().target() == CALL {
            write_line(writer, self.format, Utc::now(), event)
        } else {
            self.others.format_event(context, writer, event)
        }
    }
}

fn write_line(mut out: Writer<'_>, format: Format, now: DateTime<Utc>, event: &Event<'_>) -> fmt::Result {
    let level = event.metadata().level().as_str();
    // The pieces are gathered first, since each write to `out` is an indirect call.
    let mut line = String::with_capacity(512);
    match format {
        Format::Text => {
            push_timestamp(&mut line, now);
            line.push_str(if level.len() < 5 { "  " } else { " " });
            line.push_str(level);
        }
        Format::Json => {
            line.push_str("{\"timestamp\":\"");
            push_timestamp(&mut line, now);
            line.push_str("\",\"level\":\"");
            line.push_str(level);
            line.push('"');
        }
    }
    event.record(&mut Fields { line: &mut line, format });
    line.push_str(if format == Format::Json { "}\n" } else { "\n" });
    out.write_str(&line)
}

/// `YYYY-MM-DDThh:mm:ss.ffffffZ` (RFC 3339).
#[expect(clippy::expect_used, reason = "the text is ASCII from the start, and only digits change")]
fn push_timestamp(line: &mut String, now: DateTime<Utc>) {
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let mut put = |end: usize, mut value: u32| {
        for digit in text[..end].iter_mut().rev().take_while(|digit| digit.is_ascii_digit()) {
            *digit = b"0123456789"[(value % 10) as usize];
            value /= 10;
        }
    };
    put(4, now.year().cast_unsigned());
    put(7, now.month());
    put(10, now.day());
    put(13, now.hour());
    put(16, now.minute());
    put(19, now.second());
    put(26, now.nanosecond() / 1000 % 1_000_000);
    line.push_str(std::str::from_utf8(&text).expect("a timestamp is ASCII"));
}

/// Appends the fields of an event in their order. The library leaves out fields without a value.
struct Fields<'a> {
    line: &'a mut String,
    format: Format,
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.push_name(field.name());
        push_quoted(self.line, self.format, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push_name(field.name());
        push(self.line, format_args!("{value}"));
    }

    /// Values that are neither text nor a count: the message, and values with their own form.
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.push_name(field.name());
        let begin = self.line.len();
        push(self.line, format_args!("{value:?}"));
        if self.format == Format::Json || !self.line[begin..].bytes().all(is_plain) {
            let text = self.line.split_off(begin);
            push_quoted(self.line, self.format, &text);
        }
    }
}

impl Fields<'_> {
    /// Appends the text before a value. Names are literals of this program and need no escapes.
    fn push_name(&mut self, name: &str) {
        let (before, after) = match self.format {
            Format::Json => (",\"", "\":"),
            Format::Text if name == "message" => return self.line.push(' '),
            Format::Text => (" ", "="),
        };
        for part in [before, name, after] {
            self.line.push_str(part);
        }
    }
}

#[expect(clippy::expect_used, reason = "a line without a field would look whole")]
fn push(line: &mut String, text: fmt::Arguments<'_>) {
    line.write_fmt(text).expect("a string takes every text, and the values of a call can be formatted");
}

/// Whether a byte needs no escape in either form.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// Appends `value` between quotes, with escapes for invisible characters, in the syntax of Rust or of JSON.
fn push_quoted(line: &mut String, format: Format, value: &str) {
    if value.bytes().all(is_plain) {
        for part in ["\"", value, "\""] {
            line.push_str(part);
        }
        return;
    }
    if format == Format::Text {
        return push(line, format_args!("{value:?}"));
    }
    line.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => line.extend(['\\', c]),
            // Some readers, such as JavaScript, read the last two as line ends.
            _ if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                push(line, format_args!("\\u{:04x}", u32::from(c)));
            }
            _ => line.push(c),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests;
