//! `reqdate` and `resdate`, `ddmmyyyyhh24misss` in UTC: the verbatim text that is salt and mask, and the instants that
//! its digits admit.
//!
//! The documents disagree on the last digits (guidelines v1.0.0 to v1.4.0: milliseconds; v1.5.0: seconds and tenths), so
//! 15 digits name a minute and nothing narrows it but a pairing that says so.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Timelike, Utc};

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
    /// `instant` as this style writes it: 15 digits, 17 for `Full`. The year must have four digits.
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

/// The instant to write now so that every message of a span of `reuse` has the same date: within two seconds of `now`, in
/// its minute. Spans begin with the minute; `reuse` is positive.
pub fn shared_instant(style: DateStyle, now: DateTime<Utc>, reuse: TimeDelta) -> DateTime<Utc> {
    // A date cannot tell less than this apart.
    let finest = if style == DateStyle::Tenths { 100 } else { 1 };
    let reuse = reuse.num_milliseconds().max(finest);
    let in_minute = i64::from(now.second()) * 1000 + i64::from(now.timestamp_subsec_millis().min(999));
    let begin = in_minute / reuse * reuse;
    let minute =
        now - TimeDelta::milliseconds(in_minute) - TimeDelta::nanoseconds(i64::from(now.nanosecond() % 1_000_000));
    let digits = match style {
        // The seconds are dropped, so that the three digits must tell the spans of a minute apart.
        DateStyle::Millis if reuse >= 60 => begin / 60,
        _ => begin % 1000,
    };
    minute + TimeDelta::milliseconds(begin / 1000 * 1000 + digits)
}

/// How a pairing reads a date of 15 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadDate {
    /// As any instant of its minute.
    Any,
    /// As seconds and tenths, and as nothing else: some instant of that tenth.
    Tenths,
}

/// The digits after the minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    /// 14 digits: seconds.
    Second(u32),
    /// 15 digits: milliseconds, or seconds and tenths.
    Three(u32),
    /// 17 digits: seconds and milliseconds.
    Full(u32, u32),
}

/// A date as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireDate {
    text: String,
    minute: DateTime<Utc>,
    tail: Tail,
}

/// Why a text is no date; fit for an error message.
pub type DateProblem = &'static str;

/// The instants that a date may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instants {
    /// What the pairing's style gives, unknown seconds as 0; where the digits do not fit, what another reading gives.
    pub issue: DateTime<Utc>,
    /// The earliest instant of any admitted reading.
    pub first: DateTime<Utc>,
    /// The latest instant of any admitted reading.
    pub last: DateTime<Utc>,
}

/// Where a date lies in relation to its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Some admitted reading lies inside.
    Fresh,
    /// All lie before.
    Expired,
    /// All lie after.
    InFuture,
}

impl WireDate {
    /// Reads `text` less its outer blanks: 14, 15 or 17 ASCII digits that name a minute of the calendar.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, DateProblem> {
        let text = text.trim_ascii();
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("holds something other than ASCII digits");
        }
        if !matches!(text.len(), 14 | 15 | 17) {
            return Err("has not 14, 15 or 17 digits");
        }
        let number =
            |from: usize, to: usize| text.as_bytes()[from..to].iter().fold(0, |n, d| n * 10 + u32::from(d - b'0'));
        let year = i32::try_from(number(4, 8)).map_err(|_| "names no day of the calendar")?;
        // The range of google.protobuf.Timestamp.
        if year == 0 {
            return Err("names no year");
        }
        let day = NaiveDate::from_ymd_opt(year, number(2, 4), number(0, 2)).ok_or("names no day of the calendar")?;
        let minute = day.and_hms_opt(number(8, 10), number(10, 12), 0).ok_or("names no hour and minute of a day")?;
        let tail = match text.len() {
            14 => Tail::Second(number(12, 14)),
            15 => Tail::Three(number(12, 15)),
            _ => Tail::Full(number(12, 14), number(14, 17)),
        };
        if matches!(tail, Tail::Second(60..) | Tail::Full(60.., _)) {
            return Err("names no second of a minute");
        }
        Ok(Self { text: text.to_owned(), minute: minute.and_utc(), tail })
    }

    /// The received characters less outer blanks: salt and mask.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the digits are those of 14 or 17 where the pairing does not write such dates itself.
    pub(super) fn deviates(&self, written: DateStyle) -> bool {
        match self.tail {
            Tail::Second(_) => true,
            Tail::Three(_) => false,
            Tail::Full(..) => written != DateStyle::Full,
        }
    }

    fn at(&self, second: u32, millisecond: u32) -> DateTime<Utc> {
        self.minute + TimeDelta::milliseconds(i64::from(second) * 1000 + i64::from(millisecond))
    }

    /// Every way to read the digits, each by name; unknown seconds as 0.
    pub fn readings(&self) -> Vec<(&'static str, DateTime<Utc>)> {
        match self.tail {
            Tail::Second(second) => vec![("seconds", self.at(second, 0))],
            Tail::Full(second, millisecond) => vec![("seconds and milliseconds", self.at(second, millisecond))],
            Tail::Three(digits) => {
                let millis = ("milliseconds, seconds unknown", self.at(0, digits));
                let tenths = self.tenths(digits).map(|instant| ("seconds and tenths", instant));
                [millis].into_iter().chain(tenths).collect()
            }
        }
    }

    fn tenths(&self, digits: u32) -> Option<DateTime<Utc>> {
        (digits < 600).then(|| self.at(digits / 10, digits % 10 * 100))
    }

    /// The instants that the digits admit for a pairing that writes `written` and reads `read`.
    ///
    /// # Errors
    /// The pairing pins tenths, and the digits are none.
    pub fn instants(&self, written: DateStyle, read: ReadDate) -> Result<Instants, DateProblem> {
        let named = |issue| Instants { issue, first: issue, last: issue };
        let (millis, tenths) = match self.tail {
            Tail::Second(second) => return Ok(named(self.at(second, 0))),
            Tail::Full(second, millisecond) => return Ok(named(self.at(second, millisecond))),
            Tail::Three(digits) => (self.at(0, digits), self.tenths(digits)),
        };
        if read == ReadDate::Tenths {
            let issue = tenths.ok_or("has no second of a minute where this pairing reads seconds and tenths")?;
            return Ok(Instants { issue, first: issue, last: issue + TimeDelta::milliseconds(100) });
        }
        let issue = match (written, tenths) {
            (DateStyle::Tenths, Some(tenths)) => tenths,
            _ => millis,
        };
        Ok(Instants { issue, first: self.minute, last: self.minute + TimeDelta::seconds(60) })
    }
}

impl Instants {
    /// Compares with `now`, where the window reaches `max_age` to both sides of it.
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
mod tests {
    use super::*;

    fn instant(text: &str) -> DateTime<Utc> {
        text.parse().expect("a test's own instant")
    }

    #[test]
    fn each_style_writes_the_specifications_example() {
        assert_eq!(DateStyle::Millis.write(instant("2021-04-06T05:10:00.756Z")), "060420210510756");
        assert_eq!(DateStyle::Tenths.write(instant("2021-04-06T05:10:23.756Z")), "060420210510237");
        assert_eq!(DateStyle::Full.write(instant("2021-04-06T05:10:23.756Z")), "06042021051023756");
    }

    #[test]
    fn a_shared_date_changes_with_each_span_and_not_within_one() {
        for style in [DateStyle::Millis, DateStyle::Tenths, DateStyle::Full] {
            for reuse in [100, 250, 300, 1000] {
                let minute = instant("2026-11-21T10:40:00Z");
                let mut seen = std::collections::BTreeMap::<String, i64>::new();
                for millisecond in 0..60_000 {
                    let now = minute + TimeDelta::milliseconds(millisecond);
                    let shared = shared_instant(style, now, TimeDelta::milliseconds(reuse));
                    assert!((shared - now).abs() < TimeDelta::seconds(2) && shared >= minute, "{now} {shared}");
                    let span = seen.entry(style.write(shared)).or_insert(millisecond / reuse);
                    assert_eq!(*span, millisecond / reuse, "{style:?} {reuse} {now}");
                }
                assert_eq!(
                    i64::try_from(seen.len()).unwrap(),
                    60_000_i64.div_euclid(reuse) + i64::from(60_000 % reuse != 0)
                );
            }
        }
    }

    #[test]
    fn a_shared_date_begins_with_its_span_and_no_span_is_finer_than_a_date() {
        let now = instant("2026-11-21T10:40:23.756789Z");
        for (style, reuse, expected) in [
            (DateStyle::Full, 1, "2026-11-21T10:40:23.756Z"),
            (DateStyle::Full, 50, "2026-11-21T10:40:23.750Z"),
            (DateStyle::Tenths, 1, "2026-11-21T10:40:23.700Z"),
            (DateStyle::Tenths, 250, "2026-11-21T10:40:23.750Z"),
            (DateStyle::Millis, 1, "2026-11-21T10:40:23.756Z"),
            (DateStyle::Millis, 59, "2026-11-21T10:40:23.718Z"),
            // 23,700 ms begin the span of number 395, which is what three digits can tell of it.
            (DateStyle::Millis, 60, "2026-11-21T10:40:23.395Z"),
        ] {
            assert_eq!(
                shared_instant(style, now, TimeDelta::milliseconds(reuse)),
                instant(expected),
                "{style:?} {reuse}"
            );
        }
    }

    #[test]
    fn a_text_that_is_no_date_is_refused() {
        for text in [
            "",
            "010100000000000",
            "310220240000000",
            "011320240000000",
            "010120242400000",
            "010120240060000",
            "01012024000060",
            "01012024000060000",
            "0101202400000a0",
            "０60420210510756",
            "0604202105107560",
            "06042021051",
            "0604 20210510756",
            "+60420210510756",
        ] {
            assert!(WireDate::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn outer_blanks_of_a_date_are_not_part_of_salt_and_mask() {
        assert_eq!(WireDate::parse(" 060420210510756\r\n").map(|date| date.text), Ok("060420210510756".to_owned()));
    }

    #[test]
    fn fifteen_digits_name_their_minute() {
        let date = WireDate::parse("020320261557636").expect("a real date of Finvu");
        let read = date.instants(DateStyle::Tenths, ReadDate::Any).expect("any reading");
        assert_eq!(read.issue, instant("2026-03-02T15:57:00.636Z"), "63 seconds are no tenths");
        assert_eq!(read.first, instant("2026-03-02T15:57:00Z"));
        assert_eq!(read.last, instant("2026-03-02T15:58:00Z"));
        assert!(date.instants(DateStyle::Tenths, ReadDate::Tenths).is_err());
    }

    #[test]
    fn the_instant_of_fifteen_digits_is_that_of_the_style_which_the_pairing_writes() {
        let date = WireDate::parse("060420210510237").expect("the example of v1.5");
        for (style, expected) in [
            (DateStyle::Millis, "2021-04-06T05:10:00.237Z"),
            (DateStyle::Tenths, "2021-04-06T05:10:23.700Z"),
            (DateStyle::Full, "2021-04-06T05:10:00.237Z"),
        ] {
            assert_eq!(date.instants(style, ReadDate::Any).map(|read| read.issue), Ok(instant(expected)));
        }
    }

    #[test]
    fn a_pairing_that_pins_tenths_narrows_fifteen_digits() {
        let date = WireDate::parse("060420210510237").expect("the example of v1.5");
        let read = date.instants(DateStyle::Millis, ReadDate::Tenths).expect("23.7 seconds");
        assert_eq!(read.issue, instant("2021-04-06T05:10:23.700Z"));
        assert_eq!((read.first, read.last), (instant("2021-04-06T05:10:23.700Z"), instant("2021-04-06T05:10:23.800Z")));
    }

    #[test]
    fn the_window_admits_what_any_reading_puts_inside() {
        let max_age = TimeDelta::seconds(180);
        let date = WireDate::parse("060420210510756").expect("the specification's example");
        let read = date.instants(DateStyle::Millis, ReadDate::Any).expect("any reading");
        for (now, expected) in [
            ("2021-04-06T05:06:59.999Z", Freshness::InFuture),
            ("2021-04-06T05:07:00.000Z", Freshness::Fresh),
            ("2021-04-06T05:14:00.000Z", Freshness::Fresh),
            ("2021-04-06T05:14:00.001Z", Freshness::Expired),
        ] {
            assert_eq!(read.freshness(instant(now), max_age), expected, "{now}");
        }
    }
}
