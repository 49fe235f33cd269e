package aa.redirect.client;

/**
 * Why a call did not succeed: the reasons of the service, and those of this package, which begin
 * with {@code LOCAL_}.
 */
public enum Reason {
  /**
   * Fields of the request are missing or malformed; {@code violations} has each. The caller fixes
   * them.
   */
  FIELD_INVALID,
  /**
   * The URL cannot be read, lacks a parameter, or repeats one. The sender or the browser caused it.
   */
  URL_MALFORMED,
  /**
   * A parameter is not Base64, has an impossible length or does not unmask to an id. The sender
   * caused it.
   */
  PARAMETER_MALFORMED,
  /** The date cannot be read. The sender caused it. */
  DATE_MALFORMED,
  /** The date is older than the window: a slow user, or a wrong clock. */
  DATE_EXPIRED,
  /** The date is ahead of the window: a wrong clock, or not UTC. */
  DATE_IN_FUTURE,
  /** The service has no pairing of these two. */
  PAIRING_UNKNOWN,
  /** Several pairings fit: name the other party. */
  PAIRING_AMBIGUOUS,
  /** {@code iv} does not fit the pairing's profile. */
  SCHEME_MISMATCH,
  /** The pairing does not allow the host of the URL to return to. */
  REDIRECT_FORBIDDEN,
  /** The message could not be opened; the service never says why. */
  UNDECIPHERABLE,
  /** These credentials may not use this method. */
  CALLER_FORBIDDEN,
  /** No credentials, or unknown ones. */
  CALLER_UNKNOWN,
  /** The service has too much to do; {@code retryDelay} says when to try again. */
  OVERLOADED,
  /** The server is shutting down; another one takes the call. */
  NOT_READY,
  /** The service noticed that the deadline of the call passed, before this client did. */
  TIMED_OUT,
  /** A fault of the service; its log has the detail under the request id. */
  INTERNAL_FAULT,
  /** The request has more than 64 KiB. */
  REQUEST_TOO_LARGE,
  /** The pairing refuses reopenings, and this message was opened before. */
  ALREADY_OPENED,
  /**
   * The callback opens, but is not the expected one: an attack, or the callback of another user.
   */
  NOT_EXPECTED,
  /** The service has no room or no store to remember the message. Nothing was recorded. */
  STORE_UNAVAILABLE,
  /** No answer within the time limit of the call. */
  LOCAL_DEADLINE_EXCEEDED,
  /** No connection (refused, TLS failed), or it was lost before the answer. */
  LOCAL_UNREACHABLE,
  /** The call was cancelled, or the client closed, before the answer. */
  LOCAL_CANCELLED,
  /** An answer that is not from aa-redirect: a proxy answered, or the address is wrong. */
  LOCAL_UNEXPECTED_ANSWER,
  /** The pairing has no web view, so there is no URL: build it from {@code query}. */
  LOCAL_WEBVIEW_MISSING,
  /** A reason of a newer service; {@link RedirectException#reasonName} has it. */
  UNRECOGNIZED;

  /** The reason of this name; one that this version does not know is {@link #UNRECOGNIZED}. */
  static Reason of(String name) {
    for (Reason reason : values()) {
      if (reason.name().equals(name) && !reason.isLocal()) {
        return reason;
      }
    }
    return UNRECOGNIZED;
  }

  /**
   * Whether this package gives the reason, and not the service.
   *
   * @return whether the name begins with {@code LOCAL_}
   */
  public boolean isLocal() {
    return name().startsWith("LOCAL_");
  }
}
