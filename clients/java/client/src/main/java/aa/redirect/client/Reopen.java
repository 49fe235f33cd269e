package aa.redirect.client;

/** What happens to a message that was opened before. */
public enum Reopen {
  /** Unknown: the service is older than this setting. */
  UNSPECIFIED,
  /** It opens, and {@code reopened} says so. */
  REPORT,
  /** It is refused ({@link Reason#ALREADY_OPENED}). */
  REFUSE,
  /** A value of a newer service. */
  UNRECOGNIZED;

  static Reopen of(aa.redirect.v1.Reopen value) {
    return Names.of(Reopen.class, value, "REOPEN_", UNRECOGNIZED);
  }
}
