//! `reqdate` and `resdate`, `ddmmyyyyhh24misss` in UTC: the unchanged text, which is salt and mask, and the instants
//! that its digits can mean.
//!
//! The documents disagree on the last digits (guidelines v1.0.0 to v1.4.0: milliseconds; v1.5.0: seconds and tenths).
//! So 15 digits name a minute, unless the pairing says how to read them.

use std::ops::RangeInclusive;

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Timelike, Utc};

mod clock_fault;

pub use clock_fault::{ClockFault, clock_fault};

/// The years that a date can name. With other years, the guidelines' 15 digits could be read in more than one way.
pub const YEARS: RangeInclusive<u32> = 2000..=2999;

/// The last digits that a pairing writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateStyle {
    /// Three digits of milliseconds; the seconds are dropped.
    Millis,
    /// Two digits of seconds and one of tenths.
    Tenths,
    /// Two digits of seconds and three of milliseconds.
    Full,
}

impl DateStyle {
    /// Every style.
    pub const ALL: [Self; 3] = [Self::Millis, Self::Tenths, Self::Full];

    /// The name in keyring files and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Millis => "millis",
            Self::Tenths => "tenths",
            Self::Full => "full",
        }
    }

    /// Writes `instant` in this style: 15 digits, 17 for `Full`. The year must have four digits.
    pub fn write(self, instant: DateTime<Utc>) -> String {
        let (day, month, year) = (instant.day(), instant.month(), instant.year());
        let (hour, minute, second) = (instant.hour(), instant.minute(), instant.second());
        let millisecond = instant.timestamp_subsec_millis().min(999);
        match self {
            Self::Millis => format!("{day:02}{month:02}{year:04}{hour:02}{minute:02}{millisecond:03}"),
            Self::Tenths => format!("{day:02}{month:02}{year:04}{hour:02}{minute:02}{second:02}{}", millisecond / 100),
            Self::Full => format!("{day:02}{month:02}{year:04}{hour:02}{minute:02}{second:02}{millisecond:03}"),
        }
    }
}

/// The instant to write at `now`, so that all messages within a span of `reuse` have the same date. It is within two
/// seconds of `now`, and in its minute. Spans begin with the minute. `reuse` is positive.
pub fn shared_instant(style: DateStyle, now: DateTime<Utc>, reuse: TimeDelta) -> DateTime<Utc> {
    // A date has no finer resolution.
    let finest = match style {
        DateStyle::Tenths => 100,
        DateStyle::Millis | DateStyle::Full => 1,
    };
    let reuse = reuse.num_milliseconds().max(finest);
    let in_minute = i64::from(now.second()) * 1000 + i64::from(now.timestamp_subsec_millis().min(999));
    let begin = in_minute / reuse * reuse;
    let minute =
        now - TimeDelta::milliseconds(in_minute) - TimeDelta::nanoseconds(i64::from(now.nanosecond() % 1_000_000));
    let digits = match style {
        // The seconds are dropped, so the three digits number the spans of a minute.
        DateStyle::Millis if reuse >= 60 => begin / 60,
        DateStyle::Millis | DateStyle::Tenths | DateStyle::Full => begin % 1000,
    };
    minute + TimeDelta::milliseconds(begin / 1000 * 1000 + digits)
}

/// How a pairing reads a date of 15 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadDate {
    /// As any instant of its minute.
    Any,
    /// Only as seconds and tenths: some instant of that tenth.
    Tenths,
}

/// The digits after the minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    /// 14 digits: seconds.
    Second(u32),
    /// 14 digits of a sender that does not pad its milliseconds to three digits.
    NoSecond,
    /// 15 digits: milliseconds, or seconds and tenths.
    Three(u32),
    /// 16 digits: seconds, and two digits without meaning.
    Sixteen(u32),
    /// 17 digits: seconds and milliseconds.
    Full(u32, u32),
}

/// A date as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireDate {
    text: String,
    minute: DateTime<Utc>,
    tail: Tail,
    zero_lost: bool,
}

/// Why a text is not a date, as words for an error message.
pub type DateProblem = &'static str;

/// The instants that a date may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instants {
    /// The instant in the style of the pairing, with unknown seconds as 0. If the digits do not fit that style, the
    /// instant of another reading.
    pub issue: DateTime<Utc>,
    /// The earliest instant of any admitted reading.
    pub first: DateTime<Utc>,
    /// The latest instant of any admitted reading.
    pub last: DateTime<Utc>,
}

/// The place of a date relative to the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// At least one reading lies inside.
    Fresh,
    /// All readings lie before it.
    Expired,
    /// All readings lie after it.
    InFuture,
}

/// One way to read the digits of a date.
#[derive(Clone, Copy, Debug)]
pub struct DateReading {
    /// What the last digits mean in this reading.
    pub digits: &'static str,
    /// The instant. An unknown second is 0.
    pub instant: DateTime<Utc>,
    /// Whether the second is known.
    pub has_second: bool,
}

impl WireDate {
    /// Reads `text` without its outer blanks: 14 to 17 ASCII digits that name a minute of the years 2000 to 2999. If
    /// they do so only with a `0` in front, the sender has lost this `0`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, DateProblem> {
        let text = text.trim_ascii();
        Self::exact(text.to_owned()).or_else(|problem| {
            let whole = Self::exact(format!("0{text}")).map_err(|_| problem)?;
            Ok(Self { zero_lost: true, ..whole })
        })
    }

    fn exact(text: String) -> Result<Self, DateProblem> {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("holds something other than ASCII digits");
        }
        if !matches!(text.len(), 14..=17) {
            return Err("does not have 14 to 17 digits");
        }
        let number = |from, to| number(&text[from..to]);
        if !YEARS.contains(&number(4, 8)) {
            return Err("has a year outside 2000 to 2999");
        }
        let day = day(number(4, 8), number(2, 4), number(0, 2)).ok_or("has a day that the calendar does not have")?;
        let minute =
            day.and_hms_opt(number(8, 10), number(10, 12), 0).ok_or("has an hour over 23 or a minute over 59")?;
        let minute = minute.and_utc();
        let tail = match (text.len(), number(12, 14)) {
            (14, second @ 0..60) => Tail::Second(second),
            (14, _) => Tail::NoSecond,
            (15, _) => Tail::Three(number(12, 15)),
            (_, 60..) => return Err("has a second over 59"),
            (16, second) => Tail::Sixteen(second),
            (_, second) => Tail::Full(second, number(14, 17)),
        };
        Ok(Self { text, minute, tail, zero_lost: false })
    }

    /// The received characters without outer blanks, and with the leading zero if the sender lost it: salt and mask.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the sender lost the leading zero.
    pub fn zero_lost(&self) -> bool {
        self.zero_lost
    }

    /// Whether the date has 14, 16 or 17 digits, and the pairing does not write such dates itself.
    pub(super) fn deviates(&self, written: DateStyle) -> bool {
        match self.tail {
            Tail::Second(_) | Tail::NoSecond | Tail::Sixteen(_) => true,
            Tail::Three(_) => false,
            Tail::Full(..) => written != DateStyle::Full,
        }
    }

    fn at(&self, second: u32, millisecond: u32) -> DateTime<Utc> {
        self.minute + TimeDelta::milliseconds(i64::from(second) * 1000 + i64::from(millisecond))
    }

    /// Every way to read the digits.
    pub fn readings(&self) -> Vec<DateReading> {
        let exact = |digits, instant| DateReading { digits, instant, has_second: true };
        let without_second =
            |instant| DateReading { digits: "milliseconds, seconds unknown", instant, has_second: false };
        match self.tail {
            Tail::Second(second) | Tail::Sixteen(second) => vec![exact("seconds", self.at(second, 0))],
            Tail::NoSecond => vec![without_second(self.minute)],
            Tail::Full(second, millisecond) => vec![exact("seconds and milliseconds", self.at(second, millisecond))],
            Tail::Three(digits) => {
                let tenths = self.tenths(digits).map(|instant| exact("seconds and tenths", instant));
                [without_second(self.at(0, digits))].into_iter().chain(tenths).collect()
            }
        }
    }

    fn tenths(&self, digits: u32) -> Option<DateTime<Utc>> {
        (digits < 600).then(|| self.at(digits / 10, digits % 10 * 100))
    }

    /// The instants that the digits can mean for a pairing that writes `written` and reads `read`.
    ///
    /// # Errors
    /// If the pairing reads only seconds and tenths, and the digits are not those.
    pub fn instants(&self, written: DateStyle, read: ReadDate) -> Result<Instants, DateProblem> {
        let named = |issue| Instants { issue, first: issue, last: issue };
        let (millis, tenths) = match self.tail {
            Tail::Second(second) | Tail::Sixteen(second) => return Ok(named(self.at(second, 0))),
            Tail::Full(second, millisecond) => return Ok(named(self.at(second, millisecond))),
            Tail::NoSecond => return Ok(Instants { issue: self.minute, ..self.whole_minute() }),
            Tail::Three(digits) => (self.at(0, digits), self.tenths(digits)),
        };
        if read == ReadDate::Tenths {
            let issue =
                tenths.ok_or("has a second over 59: this pairing reads the last digits as seconds and tenths")?;
            return Ok(Instants { issue, first: issue, last: issue + TimeDelta::milliseconds(100) });
        }
        let issue = match (written, tenths) {
            (DateStyle::Tenths, Some(tenths)) => tenths,
            _ => millis,
        };
        Ok(Instants { issue, ..self.whole_minute() })
    }

    fn whole_minute(&self) -> Instants {
        Instants { issue: self.minute, first: self.minute, last: self.minute + TimeDelta::seconds(60) }
    }
}

/// The number of ASCII `digits`.
fn number(digits: &str) -> u32 {
    digits.bytes().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
}

/// A day of the calendar.
fn day(year: u32, month: u32, day: u32) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(year.try_into().ok()?, month, day)
}

impl Instants {
    /// Compares with the window, which reaches `max_age` to both sides of `now`.
    pub fn freshness(&self, now: DateTime<Utc>, max_age: TimeDelta) -> Freshness {
        if self.last < now - max_age {
            Freshness::Expired
        } else if self.first > now + max_age {
            Freshness::InFuture
        } else {
            Freshness::Fresh
        }
    }
}

#[cfg(test)]
mod tests;
