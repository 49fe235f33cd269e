package aa.redirect.client;

/** Whether the user accepted. */
public enum CallbackStatus {
  /** Not a status. */
  UNSPECIFIED,
  /** The user accepted; the error code is 0. */
  SUCCESS,
  /** The error code says why not. */
  FAILURE,
  /** A value of a newer service. */
  UNRECOGNIZED;

  static CallbackStatus of(aa.redirect.v1.CallbackStatus value) {
    return Names.of(CallbackStatus.class, value, "CALLBACK_STATUS_", UNRECOGNIZED);
  }

  aa.redirect.v1.CallbackStatus proto() {
    return Names.proto(this, aa.redirect.v1.CallbackStatus.class, "CALLBACK_STATUS_");
  }
}
