package aa.redirect.client;

/**
 * What a sender did differently from the format, and what the service repaired. Tell the sender.
 */
public enum Deviation {
  /** Never given. */
  UNSPECIFIED,
  /** The other of the two Base64 alphabets. */
  BASE64_ALPHABET,
  /** Base64 without its padding. */
  BASE64_UNPADDED,
  /** A {@code +} of Base64 sent raw in a URL, or already turned into a space. */
  PLUS_AS_SPACE,
  /** Something percent-encoded twice. */
  DOUBLE_ENCODED,
  /** Line ends, or blanks around a value. */
  WHITESPACE,
  /** A date of 14, 16 or 17 digits. */
  DATE_DIGITS,
  /** A second {@code ?} in place of {@code &}. */
  SECOND_QUESTION_MARK,
  /** A list in another syntax than the pairing's. */
  LIST_SYNTAX,
  /** A {@code redirect} with a query of its own that was not escaped. */
  REDIRECT_UNESCAPED,
  /** A {@code txnid} that is not a UUID. */
  TXNID_NOT_UUID,
  /** A member that the guideline does not have. */
  EXTRA_MEMBER,
  /** An optional member without a value. */
  BLANK_OPTIONAL,
  /** Status {@code S} with an error code other than 0, or {@code F} with 0. */
  STATUS_MISMATCH,
  /** A byte order mark or a {@code ?} in front, or an {@code &} too many. */
  STRAY_CHARACTERS,
  /** A name in another case, such as {@code fipID}. */
  NAME_CASE,
  /** A {@code %} without two hexadecimal digits behind it. */
  INVALID_ESCAPE,
  /** The same member or parameter twice, with one value. */
  REPEATED,
  /** {@code &amp;} between parameters. */
  HTML_ESCAPED,
  /** Parameters behind {@code #}. */
  IN_FRAGMENT,
  /** A {@code requestorType} that is unknown or not masked. */
  REQUESTOR_TYPE,
  /** A date without its leading zero. */
  DATE_ZERO_LOST,
  /** A byte above 0x7E that is not percent-encoded. */
  RAW_NON_ASCII,
  /** A value of a newer service. */
  UNRECOGNIZED;

  static Deviation of(aa.redirect.v1.Deviation value) {
    return Names.of(Deviation.class, value, "DEVIATION_", UNRECOGNIZED);
  }
}
