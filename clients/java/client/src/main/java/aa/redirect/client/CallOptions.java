package aa.redirect.client;

import java.time.Duration;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;

/**
 * What one call does differently from its client, and what connects it with the request of the
 * browser.
 *
 * @param timeout the time limit, for all tries together; empty: the client's
 * @param requestId {@code x-request-id}, of the form {@code [A-Za-z0-9._-]{1,64}}; one of another
 *     form is not sent
 * @param traceparent the W3C trace context; one of another form is not sent
 * @param attemptId the name of a decode call, the same in each repetition; empty: a new one, right
 *     unless you repeat calls yourself
 */
public record CallOptions(
    Optional<Duration> timeout, String requestId, String traceparent, String attemptId) {
  /** The options of the client. */
  public static final CallOptions DEFAULT = new CallOptions(Optional.empty(), "", "", "");

  private static final Duration LONGEST = Duration.ofDays(1);
  private static final Pattern REQUEST_ID = Pattern.compile("[A-Za-z0-9._-]{1,64}");
  private static final Pattern TRACEPARENT =
      Pattern.compile("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}");

  // Refuses a time limit that no call can have.
  public CallOptions {
    Texts.present(timeout, requestId, traceparent, attemptId);
    timeout.ifPresent(CallOptions::checked);
  }

  static Duration checked(Duration timeout) {
    if (timeout.isNegative() || timeout.isZero() || timeout.compareTo(LONGEST) > 0) {
      throw new IllegalArgumentException(
          "the timeout is " + timeout + ": give more than nothing and less than a day");
    }
    return timeout;
  }

  /**
   * Passes on {@code x-request-id} and {@code traceparent} of an HTTP request.
   *
   * @param header returns the header of a name, or null: {@code request::getHeader}
   * @return the options
   */
  public static CallOptions fromHeaders(UnaryOperator<String> header) {
    String requestId = Optional.ofNullable(header.apply("x-request-id")).orElse("");
    String traceparent = Optional.ofNullable(header.apply("traceparent")).orElse("");
    return new CallOptions(Optional.empty(), requestId, traceparent, "");
  }

  /**
   * The same with this time limit.
   *
   * @param timeout for all tries together
   * @return the options
   */
  public CallOptions withTimeout(Duration timeout) {
    return new CallOptions(Optional.of(timeout), requestId, traceparent, attemptId);
  }

  /**
   * The same with this id.
   *
   * @param requestId {@code x-request-id}
   * @return the options
   */
  public CallOptions withRequestId(String requestId) {
    return new CallOptions(timeout, requestId, traceparent, attemptId);
  }

  /**
   * The same with this trace context.
   *
   * @param traceparent the W3C trace context
   * @return the options
   */
  public CallOptions withTraceparent(String traceparent) {
    return new CallOptions(timeout, requestId, traceparent, attemptId);
  }

  /**
   * The same with this name of the call.
   *
   * @param attemptId the name
   * @return the options
   */
  public CallOptions withAttemptId(String attemptId) {
    return new CallOptions(timeout, requestId, traceparent, attemptId);
  }

  /** The id, or an empty text in place of one of another form. */
  String checkedRequestId() {
    return REQUEST_ID.matcher(requestId).matches() ? requestId : "";
  }

  /** The trace context, or an empty text in place of one of another form. */
  String checkedTraceparent() {
    return TRACEPARENT.matcher(traceparent).matches() ? traceparent : "";
  }
}
