package com.example.redirect;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Why aa-redirect refused a call, taken from the error details. Decide on {@code reason}: messages may change, reasons
 * do not. It is empty for an error of the network or of gRPC itself, which only has a {@code code}.
 */
public record Refusal(
    Status.Code code,
    String reason,
    String message,
    Map<String, String> metadata,
    List<String> violations,
    Duration retryAfter) {

  public static Refusal of(StatusRuntimeException error) {
    String reason = "";
    Map<String, String> metadata = Map.of();
    List<String> violations = new ArrayList<>();
    Duration retryAfter = null;
    try {
      for (Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          ErrorInfo info = detail.unpack(ErrorInfo.class);
          // A proxy on the way may answer with details of its own; reasons only mean something within their domain.
          if (info.getDomain().equals("aa.redirect.v1")) {
            reason = info.getReason();
            metadata = new TreeMap<>(info.getMetadataMap());
          }
        } else if (detail.is(BadRequest.class)) {
          // All faults of the request at once, so that one look mends them all.
          detail
              .unpack(BadRequest.class)
              .getFieldViolationsList()
              .forEach(fault -> violations.add(fault.getField() + ": " + fault.getDescription()));
        } else if (detail.is(RetryInfo.class)) {
          com.google.protobuf.Duration delay = detail.unpack(RetryInfo.class).getRetryDelay();
          retryAfter = Duration.ofSeconds(delay.getSeconds(), delay.getNanos());
        }
      }
    } catch (InvalidProtocolBufferException unreadable) {
      // Then the code has to do.
    }
    String message = String.valueOf(error.getStatus().getDescription());
    return new Refusal(error.getStatus().getCode(), reason, message, metadata, violations, retryAfter);
  }

  /**
   * Whether the same call may succeed later. Only OVERLOADED: NOT_READY is UNAVAILABLE, which the service config has
   * gRPC retry already, and every other reason stays what it is until somebody mends something.
   */
  public boolean mayRetry() {
    return reason.equals("OVERLOADED") && retryAfter != null;
  }

  @Override
  public String toString() {
    return (reason.isEmpty() ? code.name() : reason) + " " + metadata + " " + violations + ": " + message;
  }
}
