//! Recognises the common mistakes of a sender's clock or date format in the digits of a refused date (wire format,
//! section 2).

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use super::{day, number};

/// Indian time in minutes ahead of UTC.
const INDIA: i64 = 5 * 60 + 30;

/// A mistake that explains a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockFault {
    /// Local time in place of UTC, ahead of it by this many minutes.
    LocalTime(i64),
    /// An afternoon hour on a twelve-hour clock.
    TwelveHourClock,
    /// The month counted from 0.
    MonthOffByOne,
    /// Minutes in place of the month, and perhaps the month in place of the minutes too.
    MinutesAsMonth,
    /// The month in place of the minutes. In one minute of each hour a date that is only late has these digits too.
    MonthAsMinutes,
    /// The month before the day.
    DayMonthSwapped,
    /// Two digits of the year.
    TwoDigitYear,
}

impl ClockFault {
    /// The name of the hint in an error's metadata.
    pub fn name(self) -> &'static str {
        match self {
            Self::LocalTime(_) => "LOCAL_TIME",
            Self::TwelveHourClock => "TWELVE_HOUR_CLOCK",
            Self::MonthOffByOne => "MONTH_OFF_BY_ONE",
            Self::MinutesAsMonth | Self::MonthAsMinutes => "MINUTES_AS_MONTH",
            Self::DayMonthSwapped => "DAY_MONTH_SWAPPED",
            Self::TwoDigitYear => "TWO_DIGIT_YEAR",
        }
    }
}

/// The words behind the name of the date's parameter: `reqdate` "is 5 h 30 min ahead: local time in place of UTC".
impl fmt::Display for ClockFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LocalTime(ahead) => {
                let (hours, minutes) = (ahead / 60, ahead % 60);
                match (hours, minutes) {
                    (0, minutes) => write!(f, "is {minutes} min ahead")?,
                    (hours, 0) => write!(f, "is {hours} h ahead")?,
                    (hours, minutes) => write!(f, "is {hours} h {minutes} min ahead")?,
                }
                f.write_str(": local time in place of UTC")
            }
            Self::TwelveHourClock => f.write_str("has the hour of a 12-hour clock: write hours from 00 to 23"),
            Self::MonthOffByOne => f.write_str("has the month one too low: write January as 01"),
            Self::MinutesAsMonth => {
                f.write_str("has minutes and month mixed up: in many date formats MM is the month and mm the minutes")
            }
            Self::MonthAsMinutes => f.write_str(
                "may have the month in place of the minutes: in many date formats MM is the month and mm the minutes",
            ),
            Self::DayMonthSwapped => f.write_str("has the month before the day: write the day first"),
            Self::TwoDigitYear => f.write_str("has two digits of the year: write four"),
        }
    }
}

/// The first of the common mistakes that would write the digits of `text`, up to the minute, at some instant at most
/// `window` from `now`. For dates that are malformed or outside the window. `None` if no mistake fits.
pub fn clock_fault(text: &str, now: DateTime<Utc>, window: TimeDelta) -> Option<ClockFault> {
    let text = text.trim_ascii();
    if text.len() < 12 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = Digits { text, window: Window { now, window } };
    if digits.is_local(INDIA) {
        Some(ClockFault::LocalTime(INDIA))
    } else if digits.is_twelve_hour() {
        Some(ClockFault::TwelveHourClock)
    } else if digits.is_month_off_by_one() {
        Some(ClockFault::MonthOffByOne)
    } else if digits.has_minutes_as_month() {
        Some(ClockFault::MinutesAsMonth)
    } else if digits.has_month_as_minutes() {
        Some(ClockFault::MonthAsMinutes)
    } else if digits.has_day_month_swapped() {
        Some(ClockFault::DayMonthSwapped)
    } else if digits.has_two_digit_year() {
        Some(ClockFault::TwoDigitYear)
    } else {
        // Every other zone ahead of UTC, in steps of half an hour.
        (1..=28).map(|halves| halves * 30).find(|&ahead| digits.is_local(ahead)).map(ClockFault::LocalTime)
    }
}

/// A minute of the calendar.
fn minute(year: u32, month: u32, day_of_month: u32, hour: u32, minute: u32) -> Option<DateTime<Utc>> {
    Some(day(year, month, day_of_month)?.and_hms_opt(hour, minute, 0)?.and_utc())
}

struct Window {
    now: DateTime<Utc>,
    window: TimeDelta,
}

impl Window {
    /// Whether this minute is among the `minutes` from `begin` on.
    fn meets(&self, begin: DateTime<Utc>, minutes: i64) -> bool {
        let end = begin + TimeDelta::minutes(minutes);
        begin <= self.now + self.window && end > self.now - self.window
    }
}

/// The meaning of a date, if a certain mistake wrote it.
struct Digits<'a> {
    text: &'a str,
    window: Window,
}

impl Digits<'_> {
    /// The two digits at index `from`, counted from 0.
    fn two(&self, from: usize) -> u32 {
        number(&self.text[from..from + 2])
    }

    fn year(&self) -> u32 {
        number(&self.text[4..8])
    }

    /// Whether the calendar has this minute, and some instant of it lies in the window.
    fn fits(&self, month: u32, day: u32, hour: u32, minutes: u32) -> bool {
        minute(self.year(), month, day, hour, minutes).is_some_and(|begin| self.window.meets(begin, 1))
    }

    fn is_local(&self, ahead: i64) -> bool {
        minute(self.year(), self.two(2), self.two(0), self.two(8), self.two(10))
            .is_some_and(|begin| self.window.meets(begin - TimeDelta::minutes(ahead), 1))
    }

    fn is_twelve_hour(&self) -> bool {
        self.two(8) < 12 && self.fits(self.two(2), self.two(0), self.two(8) + 12, self.two(10))
    }

    fn is_month_off_by_one(&self) -> bool {
        self.fits(self.two(2) + 1, self.two(0), self.two(8), self.two(10))
    }

    fn has_minutes_as_month(&self) -> bool {
        let (day, hour, third, last) = (self.two(0), self.two(8), self.two(2), self.two(10));
        // Two mistakes: the minutes stand at both places, or minutes and month are swapped.
        third == last && (1..=12).any(|month| self.fits(month, day, hour, last)) || self.fits(last, day, hour, third)
    }

    fn has_month_as_minutes(&self) -> bool {
        let month = self.two(2);
        month == self.two(10)
            && minute(self.year(), month, self.two(0), self.two(8), 0).is_some_and(|hour| self.window.meets(hour, 60))
    }

    fn has_day_month_swapped(&self) -> bool {
        self.fits(self.two(0), self.two(2), self.two(8), self.two(10))
    }

    /// Such a date has two digits fewer: its minute ends at the tenth digit.
    fn has_two_digit_year(&self) -> bool {
        (12..=15).contains(&self.text.len())
            && minute(2000 + self.two(4), self.two(2), self.two(0), self.two(6), self.two(8))
                .is_some_and(|begin| self.window.meets(begin, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str, now: &str) -> Option<ClockFault> {
        clock_fault(text, now.parse().expect("a test's own instant"), TimeDelta::seconds(180))
    }

    #[test]
    fn each_mistake_is_recognised_from_the_digits() {
        let evening = "2026-11-27T22:05:30Z";
        for (text, now, expected) in [
            ("281120260335345", evening, ClockFault::LocalTime(330)),
            ("271120261005345", evening, ClockFault::TwelveHourClock),
            ("271120260005345", "2026-11-27T12:05:30Z", ClockFault::TwelveHourClock),
            ("271020262205345", evening, ClockFault::MonthOffByOne),
            ("310020261005345", "2026-01-31T10:05:30Z", ClockFault::MonthOffByOne),
            ("311120261005345", "2026-12-31T10:05:30Z", ClockFault::MonthOffByOne),
            ("270520262205345", evening, ClockFault::MinutesAsMonth),
            ("271120262211345", evening, ClockFault::MonthAsMinutes),
            ("270520262211345", evening, ClockFault::MinutesAsMonth),
            ("274520262245345", "2026-11-27T22:45:30Z", ClockFault::MinutesAsMonth),
            ("112720262205345", evening, ClockFault::DayMonthSwapped),
            ("2711262205345", evening, ClockFault::TwoDigitYear),
            ("271126220530123", evening, ClockFault::TwoDigitYear),
            ("281120260005345", evening, ClockFault::LocalTime(120)),
            ("281120261205345", evening, ClockFault::LocalTime(840)),
            ("271120262235345", evening, ClockFault::LocalTime(30)),
        ] {
            assert_eq!(fault(text, now), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_late_user_another_day_and_a_text_without_digits_are_not_clock_faults() {
        let evening = "2026-11-27T22:05:30Z";
        for text in ["271120262105345", "261120262205345", "281120261235345", "27-11-2026 22:05", "27112622053", ""] {
            assert_eq!(fault(text, evening), None, "{text}");
        }
    }

    #[test]
    fn a_clock_fault_uses_the_window_of_the_date() {
        for (now, expected) in [
            ("2026-11-27T22:01:59.999Z", None),
            ("2026-11-27T22:02:00Z", Some(ClockFault::LocalTime(330))),
            ("2026-11-27T22:08:59.999Z", Some(ClockFault::LocalTime(330))),
            ("2026-11-27T22:09:00Z", None),
        ] {
            assert_eq!(fault("281120260335345", now), expected, "{now}");
        }
    }

    #[test]
    fn the_text_of_a_fault_completes_a_sentence() {
        assert_eq!(ClockFault::LocalTime(330).to_string(), "is 5 h 30 min ahead: local time in place of UTC");
        assert_eq!(ClockFault::LocalTime(120).to_string(), "is 2 h ahead: local time in place of UTC");
        assert_eq!(ClockFault::LocalTime(30).to_string(), "is 30 min ahead: local time in place of UTC");
        // A user who is late by half an hour brings such a date too.
        assert!(ClockFault::MonthAsMinutes.to_string().starts_with("may have the month in place of the minutes"));
    }
}
