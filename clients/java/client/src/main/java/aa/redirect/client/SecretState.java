package aa.redirect.client;

/** What a secret is used for. */
public enum SecretState {
  /** Never given. */
  UNSPECIFIED,
  /** It encodes and decodes. */
  PRIMARY,
  /** It decodes, and encodes a callback that names it. */
  DECODE_ONLY,
  /** A value of a newer service. */
  UNRECOGNIZED;

  static SecretState of(aa.redirect.v1.SecretState value) {
    return Names.of(SecretState.class, value, "SECRET_STATE_", UNRECOGNIZED);
  }
}
