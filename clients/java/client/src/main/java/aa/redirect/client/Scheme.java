package aa.redirect.client;

/** How the key of a pairing is derived. */
public enum Scheme {
  /** Never given. */
  UNSPECIFIED,
  /** HKDF-SHA256, and a random IV in the parameter {@code iv}. */
  HKDF_IV,
  /** PBKDF2-HMAC-SHA256, and no {@code iv}. */
  PBKDF2,
  /** A value of a newer service. */
  UNRECOGNIZED;

  static Scheme of(aa.redirect.v1.Scheme value) {
    return Names.of(Scheme.class, value, "SCHEME_", UNRECOGNIZED);
  }
}
