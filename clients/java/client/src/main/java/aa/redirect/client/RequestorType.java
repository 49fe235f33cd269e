package aa.redirect.client;

/** Who asks for the data: the URL parameter {@code requestorType}. */
public enum RequestorType {
  /** The parameter is absent. */
  UNSPECIFIED,
  /** A Financial Information User. */
  FIU,
  /** A Lending Service Provider. */
  LSP,
  /** A value of a newer service. */
  UNRECOGNIZED;

  static RequestorType of(aa.redirect.v1.RequestorType value) {
    return Names.of(RequestorType.class, value, "REQUESTOR_TYPE_", UNRECOGNIZED);
  }

  aa.redirect.v1.RequestorType proto() {
    return Names.proto(this, aa.redirect.v1.RequestorType.class, "REQUESTOR_TYPE_");
  }
}
