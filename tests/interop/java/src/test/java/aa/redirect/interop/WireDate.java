package aa.redirect.interop;

import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;

/** The readings of {@code ddmmyyyyhh24misss}, as senders write them and as the tests expect them to be read. */
enum WireDate {
  /** Milliseconds; the seconds are dropped. */
  MILLIS("ddMMuuuuHHmmSSS"),
  /** Two digits of seconds and one of tenths. */
  TENTHS("ddMMuuuuHHmmssS"),
  /** Seconds padded to three digits, as `sss` gives with a date library that knows no fractions. */
  PADDED_SECONDS("ddMMuuuuHHmm'0'ss"),
  /** Seconds without a fraction: 14 digits. */
  SECONDS("ddMMuuuuHHmmss"),
  /** Seconds and milliseconds: 17 digits. */
  FULL("ddMMuuuuHHmmssSSS");

  private static final DateTimeFormatter MINUTE = DateTimeFormatter.ofPattern("ddMMuuuuHHmm");

  private final DateTimeFormatter formatter;

  WireDate(String pattern) {
    formatter = DateTimeFormatter.ofPattern(pattern).withZone(ZoneOffset.UTC);
  }

  String write(Instant instant) {
    return formatter.format(instant);
  }

  static Instant minute(String date) {
    return LocalDateTime.parse(date.substring(0, 12), MINUTE).toInstant(ZoneOffset.UTC);
  }

  /**
   * The instant that a pairing whose style is {@code written} reads in {@code date}; unknown
   * seconds are 0.
   */
  static Instant read(String date, WireDate written) {
    Instant minute = minute(date);
    int digits = Integer.parseInt(date.substring(12));
    return switch (date.length()) {
      case 14 -> minute.plusSeconds(digits);
      case 17 -> minute.plusMillis(digits);
      default -> minute.plusMillis(written == TENTHS && digits < 600 ? digits * 100L : digits);
    };
  }

  /** The latest instant that {@code date} can mean: 15 digits name only a minute. */
  static Instant last(String date) {
    return date.length() == 15 ? minute(date).plusSeconds(60) : read(date, FULL);
  }
}
