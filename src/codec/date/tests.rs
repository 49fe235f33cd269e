//! Dates of every style: written, read, and their windows.

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
fn a_shared_date_begins_with_its_span_and_a_span_is_never_finer_than_a_date() {
    let now = instant("2026-11-21T10:40:23.756789Z");
    for (style, reuse, expected) in [
        (DateStyle::Full, 1, "2026-11-21T10:40:23.756Z"),
        (DateStyle::Full, 50, "2026-11-21T10:40:23.750Z"),
        (DateStyle::Tenths, 1, "2026-11-21T10:40:23.700Z"),
        (DateStyle::Tenths, 250, "2026-11-21T10:40:23.750Z"),
        (DateStyle::Millis, 1, "2026-11-21T10:40:23.756Z"),
        (DateStyle::Millis, 59, "2026-11-21T10:40:23.718Z"),
        // Three digits can name the span: number 395 begins at 23,700 ms.
        (DateStyle::Millis, 60, "2026-11-21T10:40:23.395Z"),
    ] {
        assert_eq!(shared_instant(style, now, TimeDelta::milliseconds(reuse)), instant(expected), "{style:?} {reuse}");
    }
}

#[test]
fn a_text_that_is_not_a_date_is_refused() {
    for text in [
        "",
        "010100000000000",
        "310220240000000",
        "011320240000000",
        "010120242400000",
        "010120240060000",
        "01012024000060000",
        "0101202400000a0",
        "０60420210510756",
        "0604202105107560999",
        "06042021051",
        "010119990000000",
        "010130000000000",
        "0101202400006000",
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
fn a_leading_zero_that_the_sender_lost_is_restored_in_salt_and_mask() {
    for (text, whole) in [
        ("21020240351040", "021020240351040"),
        ("2102024035104", "02102024035104"),
        ("210202403510400", "0210202403510400"),
        ("2102024035104000", "02102024035104000"),
    ] {
        let date = WireDate::parse(text).expect("a date without its zero");
        assert_eq!((date.text(), date.zero_lost()), (whole, true));
    }
    let date = WireDate::parse("021020240351040").expect("a whole date");
    assert_eq!((date.text(), date.zero_lost()), ("021020240351040", false));
    // With a zero in front this would be a date of 2202. It is a date without it, so it stays as it is.
    let date = WireDate::parse("310320210510756").expect("a whole date");
    assert!(!date.zero_lost());
    for text in ["2102024035104000 0", "12102024035104x", "02102024035104000123", "210202403510"] {
        assert!(WireDate::parse(text).is_err(), "{text}");
    }
}

#[test]
fn sixteen_digits_name_a_second_and_fourteen_digits_a_second_or_a_minute() {
    let read = |text| {
        let date = WireDate::parse(text).expect("a date");
        let Instants { issue, first, last } = date.instants(DateStyle::Tenths, ReadDate::Any).expect("any reading");
        [issue, first, last].map(|instant| instant.format("%H:%M:%S%.3f").to_string())
    };
    assert_eq!(read("0604202105105999"), ["05:10:59.000"; 3]);
    assert_eq!(read("06042021051059"), ["05:10:59.000"; 3]);
    assert_eq!(read("06042021051060"), ["05:10:00.000", "05:10:00.000", "05:11:00.000"]);
    assert_eq!(read("06042021051099"), ["05:10:00.000", "05:10:00.000", "05:11:00.000"]);
}

#[test]
fn only_the_years_from_2000_to_2999_are_accepted() {
    for (text, is_date) in
        [("311219992359999", false), ("010120000000000", true), ("311229992359999", true), ("010130000000000", false)]
    {
        assert_eq!(WireDate::parse(text).is_ok(), is_date, "{text}");
    }
}

#[test]
fn fifteen_digits_name_their_minute() {
    let date = WireDate::parse("020320261557636").expect("a real date of Finvu");
    let read = date.instants(DateStyle::Tenths, ReadDate::Any).expect("any reading");
    assert_eq!(read.issue, instant("2026-03-02T15:57:00.636Z"), "63 seconds do not exist, so these are milliseconds");
    assert_eq!(read.first, instant("2026-03-02T15:57:00Z"));
    assert_eq!(read.last, instant("2026-03-02T15:58:00Z"));
    assert!(date.instants(DateStyle::Tenths, ReadDate::Tenths).is_err());
}

#[test]
fn fifteen_digits_are_read_in_the_style_that_the_pairing_writes() {
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
fn a_date_is_fresh_if_any_reading_lies_in_the_window() {
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
