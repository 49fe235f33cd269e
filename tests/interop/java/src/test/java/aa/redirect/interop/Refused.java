package aa.redirect.interop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.function.Executable;

/** A refusal as a client sees it. It checks what every refusal of the service promises. */
record Refused(
    Status.Code code,
    String message,
    String reason,
    Map<String, String> metadata,
    List<String> violations,
    RetryInfo retryInfo,
    ByteBuffer details) {
  private static final Metadata.Key<byte[]> DETAILS =
      Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER);

  static Refused by(Executable call) throws InvalidProtocolBufferException {
    return of(assertThrows(StatusRuntimeException.class, call));
  }

  static Refused of(StatusRuntimeException error) throws InvalidProtocolBufferException {
    com.google.rpc.Status status = StatusProto.fromThrowable(error);
    byte[] details = error.getTrailers() == null ? null : error.getTrailers().get(DETAILS);
    assertNotNull(details, () -> "no details: " + error.getStatus());
    assertTrue(details.length < 4096, "details of 4 KiB or more");
    assertEquals(error.getStatus().getCode().value(), status.getCode(), "the code in the details");
    ErrorInfo info = null;
    List<String> violations = new ArrayList<>();
    RetryInfo retryInfo = null;
    for (Any detail : status.getDetailsList()) {
      if (detail.is(ErrorInfo.class)) {
        assertEquals(null, info, "a second ErrorInfo");
        info = detail.unpack(ErrorInfo.class);
      } else if (detail.is(BadRequest.class)) {
        for (BadRequest.FieldViolation violation : detail.unpack(BadRequest.class).getFieldViolationsList()) {
          assertTrue(!violation.getDescription().isEmpty(), () -> violation.getField() + " without a description");
          violations.add(violation.getField());
        }
      } else if (detail.is(RetryInfo.class)) {
        retryInfo = detail.unpack(RetryInfo.class);
      }
    }
    assertNotNull(info, () -> "no ErrorInfo: " + error.getStatus());
    assertEquals("aa.redirect.v1", info.getDomain());
    return new Refused(
        error.getStatus().getCode(),
        error.getStatus().getDescription(),
        info.getReason(),
        info.getMetadataMap(),
        violations.stream().sorted().toList(),
        retryInfo,
        ByteBuffer.wrap(details));
  }

  /** Checks code, reason and metadata. */
  void is(Status.Code code, String reason, Map<String, String> metadata) {
    is(code, reason);
    assertEquals(metadata, this.metadata);
  }

  /** Checks code and reason; the test checks the metadata itself. */
  void is(Status.Code code, String reason) {
    assertEquals(reason, this.reason, () -> "in " + this);
    assertEquals(code, this.code);
  }
}
