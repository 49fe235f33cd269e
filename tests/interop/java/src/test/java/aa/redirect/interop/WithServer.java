package aa.redirect.interop;

import aa.redirect.client.RedirectClient;
import aa.redirect.v1.RedirectServiceGrpc;
import aa.redirect.v1.RedirectServiceGrpc.RedirectServiceBlockingStub;
import io.grpc.Channel;
import io.grpc.Metadata;
import io.grpc.stub.MetadataUtils;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;

/** A server for the tests of a class, on the keyring of this run. */
abstract class WithServer {
  private static final Duration PATIENCE = Duration.ofSeconds(60);

  @TempDir static Path folder;
  static Path keyring;
  private static Server server;
  private static Channel channel;
  private static RedirectClient client;

  @BeforeAll
  static void start() throws Exception {
    keyring = Keyring.write(folder);
    server = Server.start("--keyring", keyring.toString());
    channel = server.connect();
    // Many tests are about deviations, and check them in the results.
    client = RedirectClient.builder(server.address).timeout(PATIENCE).onDeviations(report -> {}).build();
  }

  @AfterAll
  static void stop() throws Exception {
    if (client != null) {
      client.close();
    }
    if (server != null) {
      server.close();
    }
  }

  /** The service through the client package. */
  static Calls service() {
    return new Calls(client);
  }

  /**
   * The service through gRPC alone, to see all bytes of a refusal. All calls have one request id,
   * so that the bytes can be compared, and a deadline, so that a server that hangs fails a test
   * instead of stopping the run.
   */
  static RedirectServiceBlockingStub wire() {
    Metadata headers = new Metadata();
    headers.put(Metadata.Key.of("x-request-id", Metadata.ASCII_STRING_MARSHALLER), "interop");
    return RedirectServiceGrpc.newBlockingStub(channel)
        .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers))
        .withDeadlineAfter(PATIENCE.toSeconds(), TimeUnit.SECONDS);
  }
}
