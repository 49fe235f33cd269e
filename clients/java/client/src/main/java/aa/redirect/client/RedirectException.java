package aa.redirect.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RequestInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * A call that did not succeed. Decide by {@link #reason}, which never changes. The message is fit
 * for a log: one line with the reason, what is wrong, the violations, and in brackets the method,
 * metadata, request id and tries. It has no member, no URL and no secret.
 *
 * @serial exclude
 */
public final class RedirectException extends RuntimeException {
  private static final long serialVersionUID = 1;
  private static final String DOMAIN = "aa.redirect.v1";
  private static final Metadata.Key<byte[]> DETAILS =
      Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER);
  private static final Metadata.Key<String> PUSHBACK =
      Metadata.Key.of("grpc-retry-pushback-ms", Metadata.ASCII_STRING_MARSHALLER);
  private static final Metadata.Key<String> REQUEST_ID =
      Metadata.Key.of("x-request-id", Metadata.ASCII_STRING_MARSHALLER);

  /** What the client knows of a failed call. */
  record Attempted(String method, String requestId, Duration limit, int tries) {}

  /** What the service or this package says. */
  private record Told(
      Reason reason,
      String reasonName,
      Status.Code code,
      String message,
      Map<String, String> metadata,
      List<FieldViolation> violations,
      String requestId,
      Duration retryDelay)
      implements java.io.Serializable {}

  private final Told told;
  private final String method;
  private final int tries;

  private RedirectException(Told told, String method, int tries, Throwable cause) {
    super(text(told, method, tries), cause);
    this.told = told;
    this.method = method;
    this.tries = tries;
  }

  /** An error that this package finds before or after a call. */
  static RedirectException local(Reason reason, Status.Code code, String message) {
    return local(reason, code, message, Map.of(), new Attempted("", "", Duration.ZERO, 0), null);
  }

  static RedirectException local(
      Reason reason,
      Status.Code code,
      String message,
      Map<String, String> metadata,
      Attempted attempted,
      Throwable cause) {
    Map<String, String> sorted = Texts.copy(metadata);
    Told told =
        new Told(
            reason, reason.name(), code, message, sorted, List.of(), attempted.requestId(), null);
    return new RedirectException(told, attempted.method(), attempted.tries(), cause);
  }

  /** Reads the error of a call from what gRPC gives. */
  static RedirectException of(Throwable error, Attempted attempted) {
    Status status = Status.fromThrowable(error);
    Metadata trailers =
        Optional.ofNullable(Status.trailersFromThrowable(error)).orElseGet(Metadata::new);
    ErrorInfo info = null;
    List<FieldViolation> violations = new ArrayList<>();
    Duration delay = null;
    String requestId = Optional.ofNullable(trailers.get(REQUEST_ID)).orElse(attempted.requestId());
    try {
      byte[] details = Optional.ofNullable(trailers.get(DETAILS)).orElse(new byte[0]);
      for (Any detail : com.google.rpc.Status.parseFrom(details).getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          info = detail.unpack(ErrorInfo.class);
        } else if (detail.is(BadRequest.class)) {
          for (BadRequest.FieldViolation violation :
              detail.unpack(BadRequest.class).getFieldViolationsList()) {
            violations.add(new FieldViolation(violation.getField(), violation.getDescription()));
          }
        } else if (detail.is(RetryInfo.class)) {
          delay = Times.duration(detail.unpack(RetryInfo.class).getRetryDelay());
        } else if (detail.is(RequestInfo.class)) {
          requestId = detail.unpack(RequestInfo.class).getRequestId();
        }
      }
    } catch (InvalidProtocolBufferException unreadable) {
      // Details that cannot be read are not the service's.
      info = null;
    }
    if (info == null || !info.getDomain().equals(DOMAIN)) {
      return foreign(status, attempted);
    }
    Told told =
        new Told(
            Reason.of(info.getReason()),
            info.getReason(),
            status.getCode(),
            Optional.ofNullable(status.getDescription()).orElse(""),
            Texts.copy(info.getMetadataMap()),
            List.copyOf(violations),
            requestId,
            pushback(trailers.get(PUSHBACK), delay));
    return new RedirectException(told, attempted.method(), attempted.tries(), null);
  }

  /** The delay of the header (gRFC A6), else that of RetryInfo. A negative one means never. */
  private static Duration pushback(String header, Duration named) {
    if (header == null) {
      return named;
    }
    return header.matches("[0-9]{1,9}") ? Duration.ofMillis(Long.parseLong(header)) : null;
  }

  /** An error without a reason of the service: from this process, the network or a proxy. */
  private static RedirectException foreign(Status status, Attempted attempted) {
    // gRPC's own exceptions cannot be serialized; what caused them can.
    Throwable cause = status.getCause();
    String detail = Optional.ofNullable(status.getDescription()).orElse("");
    if (cause != null) {
      detail += detail.isEmpty() ? "" : ": ";
      detail += rootOf(cause);
    }
    return switch (codeOf(status, detail)) {
      case DEADLINE_EXCEEDED -> {
        String limit = attempted.limit().toMillis() + " ms";
        yield local(
            Reason.LOCAL_DEADLINE_EXCEEDED,
            status.getCode(),
            "no answer within " + limit,
            Map.of(),
            attempted,
            cause);
      }
      case UNAVAILABLE -> {
        String message = "no connection to the service, or it was lost: " + detail;
        yield local(
            Reason.LOCAL_UNREACHABLE, Status.Code.UNAVAILABLE, message, Map.of(), attempted, cause);
      }
      case CANCELLED -> cancelled(attempted, cause);
      default -> {
        String message =
            "not an answer of aa-redirect, so look at what is between: "
                + status.getCode()
                + ": "
                + detail;
        yield local(
            Reason.LOCAL_UNEXPECTED_ANSWER, status.getCode(), message, Map.of(), attempted, cause);
      }
    };
  }

  /**
   * The code of gRPC, except if it hides that an answer is not protobuf or that the connection was
   * lost.
   */
  private static Status.Code codeOf(Status status, String detail) {
    if (detail.startsWith("Failed to read message.")) {
      return Status.Code.INTERNAL;
    }
    // A connection that closes just when a call begins is UNKNOWN. A code that the server sent has
    // no cause.
    boolean lost =
        status.getCode() == Status.Code.UNKNOWN && status.getCause() instanceof IOException;
    return lost ? Status.Code.UNAVAILABLE : status.getCode();
  }

  /**
   * The text of the first cause, such as a refused connection or a wrong certificate. gRPC's own
   * text only says that there was an exception.
   */
  private static String rootOf(Throwable cause) {
    Throwable root = cause;
    while (root.getCause() != null && root.getCause() != root) {
      root = root.getCause();
    }
    return root.getMessage() == null ? root.getClass().getSimpleName() : root.getMessage();
  }

  static RedirectException cancelled(Attempted attempted, Throwable cause) {
    String message = "the call was cancelled, or the client closed, before the answer";
    return local(
        Reason.LOCAL_CANCELLED, Status.Code.CANCELLED, message, Map.of(), attempted, cause);
  }

  private static String text(Told told, String method, int tries) {
    StringBuilder text = new StringBuilder(told.reasonName()).append(": ").append(told.message());
    for (FieldViolation violation : told.violations()) {
      // The message of a single violation says it already.
      if (!told.message().equals(violation.field() + " " + violation.description())) {
        text.append("; ").append(violation.field()).append(": ").append(violation.description());
      }
    }
    List<String> where = new ArrayList<>();
    if (!method.isEmpty()) {
      where.add(method);
    }
    told.metadata()
        .forEach(
            (name, value) -> {
              // The violations say it.
              if (!name.equals("fields") || told.violations().isEmpty()) {
                where.add(name + "=" + value);
              }
            });
    if (!told.requestId().isEmpty()) {
      where.add("request_id=" + told.requestId());
    }
    where.add("tries=" + tries);
    text.append(where.stream().collect(Collectors.joining(" ", " [", "]")));
    // One line: what a proxy sends must not begin a line of its own in a log.
    return text.chars()
        .map(here -> Character.isISOControl(here) || here == 0x2028 || here == 0x2029 ? ' ' : here)
        .collect(
            StringBuilder::new, (line, here) -> line.append((char) here), StringBuilder::append)
        .toString();
  }

  /**
   * Why. Decide by this.
   *
   * @return the reason
   */
  public Reason reason() {
    return told.reason();
  }

  /**
   * The reason as it was sent, for {@link Reason#UNRECOGNIZED}.
   *
   * @return its name
   */
  public String reasonName() {
    return told.reasonName();
  }

  /**
   * What is wrong, whose side it is on and what to do, for people, without what {@link #getMessage}
   * adds.
   *
   * @return the text
   */
  public String description() {
    return told.message();
  }

  /**
   * The status of gRPC.
   *
   * @return its code
   */
  public Status.Code code() {
    return told.code();
  }

  /**
   * The values that the description names, such as {@code fiu_id} or {@code age_seconds}.
   *
   * @return values by name
   */
  public Map<String, String> metadata() {
    return told.metadata();
  }

  /**
   * All fields at fault, for {@link Reason#FIELD_INVALID}.
   *
   * @return the violations
   */
  public List<FieldViolation> violations() {
    return told.violations();
  }

  /**
   * The likely mistake that caused this refusal, such as {@code LOCAL_TIME}.
   *
   * @return its name, if one is known
   */
  public Optional<String> hint() {
    return Optional.ofNullable(told.metadata().get("hint"));
  }

  /**
   * The id under which the service logged the call.
   *
   * @return the id; empty if none is known
   */
  public String requestId() {
    return told.requestId();
  }

  /**
   * How long the service asks to wait before the next try.
   *
   * @return the delay, if there is one
   */
  public Optional<Duration> retryDelay() {
    return Optional.ofNullable(told.retryDelay());
  }

  /**
   * The method that was called, such as {@code DecodeRedirect}.
   *
   * @return its name; empty if there was no call
   */
  public String method() {
    return method;
  }

  /**
   * How often the call was tried.
   *
   * @return the number of tries
   */
  public int tries() {
    return tries;
  }
}
