package aa.redirect.interop;

import static io.grpc.Status.Code.DEADLINE_EXCEEDED;
import static io.grpc.Status.Code.RESOURCE_EXHAUSTED;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import aa.redirect.v1.EncodeRedirectRequest;
import aa.redirect.v1.EncodeRedirectResponse;
import aa.redirect.v1.Redirect;
import aa.redirect.v1.RedirectServiceGrpc;
import aa.redirect.v1.RedirectServiceGrpc.RedirectServiceStub;
import com.google.protobuf.Timestamp;
import io.grpc.Context;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A server with a single thread for PBKDF2 and more work than it can do: the calls that it refuses,
 * and those whose time runs out.
 */
class OverloadTest {
  /**
   * The server accepts 200 calls at a time on one connection, so it takes several to fill its queue
   * of 1,024 derivations.
   */
  private static final int CALLS_OF_A_CONNECTION = 190;

  @TempDir Path folder;
  private Server server;
  private Context.CancellableContext calls;

  @BeforeEach
  void start() throws Exception {
    server = Server.start("--keyring", Keyring.write(folder).toString(), "--kdf-threads", "1");
    calls = Context.current().withCancellation();
  }

  @AfterEach
  void stop() throws Exception {
    calls.cancel(null);
    if (server != null) {
      server.close();
    }
  }

  /**
   * A request with its own date, because calls with the same date share a derivation; a minute has
   * 1,000 dates.
   */
  private static EncodeRedirectRequest request(int number) {
    long minute = System.currentTimeMillis() / 60_000 - 1 + number / 1000;
    Timestamp issued =
        Timestamp.newBuilder().setSeconds(minute * 60).setNanos(number % 1000 * 1_000_000).build();
    return request().toBuilder().setIssueTime(issued).build();
  }

  private static EncodeRedirectRequest request() {
    Redirect members =
        Redirect.newBuilder().setUserid("9999988888@v10").setRedirect("https://fiu.example/").addSrcref("H1").build();
    return EncodeRedirectRequest.newBuilder().setFiuId(Keyring.FIU).setRedirect(members).build();
  }

  /**
   * Starts calls without waiting for them; closing {@code calls} ends them. Returns the first
   * refusal.
   */
  private CompletableFuture<StatusRuntimeException> begin(int connections) {
    CompletableFuture<StatusRuntimeException> refusal = new CompletableFuture<>();
    StreamObserver<EncodeRedirectResponse> observer =
        new StreamObserver<>() {
          @Override
          public void onNext(EncodeRedirectResponse response) {}

          @Override
          public void onError(Throwable error) {
            if (Status.fromThrowable(error).getCode() != Status.Code.CANCELLED) {
              refusal.complete((StatusRuntimeException) error);
            }
          }

          @Override
          public void onCompleted() {}
        };
    calls.run(
        () -> {
          for (int connection = 0; connection < connections; connection++) {
            RedirectServiceStub stub = RedirectServiceGrpc.newStub(server.connect());
            for (int call = 0; call < CALLS_OF_A_CONNECTION; call++) {
              stub.encodeRedirect(request(connection * CALLS_OF_A_CONNECTION + call), observer);
            }
          }
        });
    return refusal;
  }

  @Test
  void moreDerivationsThanTheQueueHoldsAreShedWithATimeToRetry() throws Exception {
    Refused refused = Refused.of(begin(10).get(60, TimeUnit.SECONDS));
    refused.is(RESOURCE_EXHAUSTED, "OVERLOADED", Map.of("fiu_id", Keyring.FIU, "aa_id", "aa-v10"));
    assertNotNull(refused.retryInfo(), "no RetryInfo");
    var delay = refused.retryInfo().getRetryDelay();
    assertTrue(delay.getSeconds() > 0 || delay.getNanos() > 0, "a delay of nothing");
  }

  @Test
  void theServerEndsACallWhoseTimeoutPasses() throws Exception {
    // A derivation takes several milliseconds, and a free thread refuses none. The test writes the
    // header by hand, because a client with its own deadline ends the call before the server's
    // answer comes.
    Metadata timeout = new Metadata();
    timeout.put(Metadata.Key.of("grpc-timeout", Metadata.ASCII_STRING_MARSHALLER), "1m");
    var stub =
        RedirectServiceGrpc.newBlockingStub(server.connect())
            .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(timeout));
    Refused.by(() -> stub.encodeRedirect(request())).is(DEADLINE_EXCEEDED, "TIMED_OUT", Map.of());
  }

  @Test
  void theClientsOwnDeadlineEndsACallToo() throws Exception {
    var stub = RedirectServiceGrpc.newBlockingStub(server.connect()).withDeadlineAfter(1, TimeUnit.MILLISECONDS);
    var error = assertThrows(StatusRuntimeException.class, () -> stub.encodeRedirect(request()));
    assertEquals(DEADLINE_EXCEEDED, error.getStatus().getCode());
  }
}
