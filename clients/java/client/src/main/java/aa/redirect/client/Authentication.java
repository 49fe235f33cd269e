package aa.redirect.client;

/** Whether the messages of a pairing carry a tag. */
public enum Authentication {
  /** Unknown: the service is older than this setting. */
  UNSPECIFIED,
  /** No tag is written or looked for. */
  OFF,
  /** A tag is written, and checked if a message has one. */
  WRITE,
  /** A tag is written, and a message without a right tag is not opened. */
  REQUIRE,
  /** A value of a newer service. */
  UNRECOGNIZED;

  static Authentication of(aa.redirect.v1.Authentication value) {
    return Names.of(Authentication.class, value, "AUTHENTICATION_", UNRECOGNIZED);
  }
}
