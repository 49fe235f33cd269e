//! Reading a date never panics. Its window opens and closes once. A written date reads back as instants that include
//! the written one.
//!
//! An input is two instants in milliseconds, two bytes (a window, a span of reuse) and a text to read.
#![no_main]

use aa_redirect::codec::date::{DateStyle, Freshness, Instants, ReadDate, WireDate, shared_instant};
use chrono::{DateTime, TimeDelta, Utc};
use libfuzzer_sys::fuzz_target;

const STYLES: [DateStyle; 3] = DateStyle::ALL;
/// The years that are read: 2000 to 2999.
const FIRST: i64 = 946_684_800_000;
const LAST: i64 = 32_503_679_999_999;

fuzz_target!(|input: &[u8]| {
    let Some((issue, rest)) = input.split_first_chunk::<8>() else { return };
    let Some((now, rest)) = rest.split_first_chunk::<8>() else { return };
    let [window, reuse, text @ ..] = rest else { return };
    let instant = |bytes: &[u8; 8]| {
        let millis = FIRST + i64::from_le_bytes(*bytes).rem_euclid(LAST - FIRST + 1);
        DateTime::from_timestamp_millis(millis).expect("an instant of the calendar")
    };
    let (issue, now) = (instant(issue), instant(now));
    // From a second to the setting's limit of a thousand million, in powers of ten and between them.
    let max_age = TimeDelta::seconds((i64::from(*window) + 1) * 10_i64.pow(u32::from(window % 7)));
    written(issue, max_age);
    shared(issue, TimeDelta::milliseconds(1 + i64::from(*reuse) * 4));
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(date) = WireDate::parse(text) else { return };
    assert_eq!(date.text(), &["0", text.trim_ascii()].concat()[usize::from(!date.zero_lost())..]);
    assert!(matches!(date.text().len(), 14..=17));
    assert!(date.text().bytes().all(|byte| byte.is_ascii_digit()));
    for style in STYLES {
        let any = date.instants(style, ReadDate::Any).expect("any date has an instant");
        ordered(any, now, max_age);
        for reading in date.readings() {
            assert!((any.first..=any.last).contains(&reading.instant), "every reading is accepted");
        }
        if let Ok(tenths) = date.instants(style, ReadDate::Tenths) {
            ordered(tenths, now, max_age);
            assert!(any.first <= tenths.first && tenths.last <= any.last, "tenths only narrow the span");
        }
    }
});

/// Checks that the instants are in order, and that freshness never goes back.
fn ordered(instants: Instants, now: DateTime<Utc>, max_age: TimeDelta) {
    let Instants { first, issue, last } = instants;
    assert!(first <= issue && issue <= last);
    let rank = |now| match instants.freshness(now, max_age) {
        Freshness::InFuture => 0,
        Freshness::Fresh => 1,
        Freshness::Expired => 2,
    };
    let tick = TimeDelta::nanoseconds(1);
    let edges = [first - max_age - tick, first - max_age, issue, last + max_age, last + max_age + tick];
    assert_eq!(edges.map(rank), [0, 1, 1, 1, 2], "the window's edges");
    let expected = if now < edges[1] { 0 } else { 1 + i32::from(now > edges[3]) };
    assert_eq!(rank(now), expected);
}

/// Checks that the text of each style is read as a date whose readings include the instant, and that it is fresh at
/// that instant.
fn written(issue: DateTime<Utc>, max_age: TimeDelta) {
    for style in STYLES {
        let date = WireDate::parse(&style.write(issue)).expect("a written date is a date");
        let any = date.instants(style, ReadDate::Any).expect("any date has an instant");
        assert!((any.first..=any.last).contains(&issue));
        assert_eq!(any.freshness(issue, max_age), Freshness::Fresh);
        let error = issue - any.issue;
        match style {
            DateStyle::Full => assert_eq!(error, TimeDelta::zero()),
            DateStyle::Tenths => {
                assert!((0..100).contains(&error.num_milliseconds()));
                let tenths = date.instants(style, ReadDate::Tenths).expect("tenths");
                assert!((tenths.first..=tenths.last).contains(&issue));
                assert_eq!(tenths.issue, any.issue);
            }
            DateStyle::Millis => assert_eq!(error.num_milliseconds() % 1000, 0),
        }
    }
}

/// Checks that a shared date lies near the instant and in its minute, and is the same for its whole span.
fn shared(now: DateTime<Utc>, reuse: TimeDelta) {
    for style in STYLES {
        let begin = shared_instant(style, now, reuse);
        assert!((begin - now).abs() < TimeDelta::seconds(2));
        let minute = |at: DateTime<Utc>| at.timestamp().div_euclid(60);
        assert_eq!(minute(begin), minute(now));
        let span = reuse.num_milliseconds().max(if style == DateStyle::Tenths { 100 } else { 1 });
        let in_minute = now.timestamp_millis().rem_euclid(60_000);
        let first = now - TimeDelta::milliseconds(in_minute % span);
        assert_eq!(shared_instant(style, first, reuse), begin);
        if in_minute / span > 0 {
            let before = first - TimeDelta::milliseconds(1);
            assert_ne!(
                style.write(shared_instant(style, before, reuse)),
                style.write(begin),
                "{style:?} {now} {reuse}"
            );
        }
    }
}
