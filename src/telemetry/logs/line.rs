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
    match format {
        Format::Text => {
            write_timestamp(&mut out, now)?;
            out.write_str(if level.len() < 5 { "  " } else { " " })?;
            out.write_str(level)?;
        }
        Format::Json => {
            out.write_str("{\"timestamp\":\"")?;
            write_timestamp(&mut out, now)?;
            out.write_str("\",\"level\":\"")?;
            out.write_str(level)?;
            out.write_char('"')?;
        }
    }
    let mut fields = Fields { out: &mut out, format, written: Ok(()) };
    event.record(&mut fields);
    fields.written?;
    out.write_str(if format == Format::Json { "}\n" } else { "\n" })
}

/// `YYYY-MM-DDThh:mm:ss.ffffffZ` (RFC 3339).
#[expect(clippy::expect_used, reason = "the text is ASCII from the start, and only digits change")]
fn write_timestamp(out: &mut impl Write, now: DateTime<Utc>) -> fmt::Result {
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
    out.write_str(std::str::from_utf8(&text).expect("a timestamp is ASCII"))
}

/// Writes the fields of an event in their order. The library leaves out fields without a value.
struct Fields<'a, 'w> {
    out: &'a mut Writer<'w>,
    format: Format,
    written: fmt::Result,
}

impl Visit for Fields<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, |out, format| write_quoted(out, format, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, |out, _| write!(out, "{value}"));
    }

    /// Values that are neither text nor a count: the message, and values with their own form.
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.write(field, |out, format| {
            let text = format!("{value:?}");
            if format == Format::Text && text.bytes().all(is_plain) {
                out.write_str(&text)
            } else {
                write_quoted(out, format, &text)
            }
        });
    }
}

impl Fields<'_, '_> {
    fn write(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>, Format) -> fmt::Result) {
        if self.written.is_ok() {
            self.written = self.write_name(field.name()).and_then(|()| value(self.out, self.format));
        }
    }

    /// Writes the text before a value. Names are literals of this program and need no escapes.
    fn write_name(&mut self, name: &str) -> fmt::Result {
        match self.format {
            Format::Json => {
                self.out.write_str(",\"")?;
                self.out.write_str(name)?;
                self.out.write_str("\":")
            }
            Format::Text if name == "message" => self.out.write_str(" "),
            Format::Text => {
                self.out.write_str(" ")?;
                self.out.write_str(name)?;
                self.out.write_str("=")
            }
        }
    }
}

/// Whether a byte needs no escape in either form.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// `value` between quotes, with escapes for invisible characters, in the syntax of Rust or of JSON.
fn write_quoted(out: &mut Writer<'_>, format: Format, value: &str) -> fmt::Result {
    if value.bytes().all(is_plain) {
        out.write_str("\"")?;
        out.write_str(value)?;
        return out.write_str("\"");
    }
    match format {
        Format::Text => write!(out, "{value:?}"),
        Format::Json => {
            out.write_char('"')?;
            for c in value.chars() {
                match c {
                    '"' | '\\' => write!(out, "\\{c}")?,
                    // Some readers, such as JavaScript, read the last two as line ends.
                    _ if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                        write!(out, "\\u{:04x}", u32::from(c))?;
                    }
                    _ => out.write_char(c)?,
                }
            }
            out.write_char('"')
        }
    }
}

#[cfg(test)]
mod tests;
