package aa.redirect.interop;

import aa.redirect.v1.RedirectServiceGrpc;
import aa.redirect.v1.RedirectServiceGrpc.RedirectServiceBlockingStub;
import io.grpc.Channel;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;

/** A server for the tests of a class, on the keyring of this run. */
abstract class WithServer {
  @TempDir static Path folder;
  static Path keyring;
  private static Server server;
  private static Channel channel;

  @BeforeAll
  static void start() throws Exception {
    keyring = Keyring.write(folder);
    server = Server.start("--keyring", keyring.toString());
    channel = server.connect();
  }

  @AfterAll
  static void stop() throws Exception {
    if (server != null) {
      server.close();
    }
  }

  /** The service, with a deadline so that a server that hangs fails a test instead of stopping the run. */
  static RedirectServiceBlockingStub service() {
    return RedirectServiceGrpc.newBlockingStub(channel).withDeadlineAfter(60, TimeUnit.SECONDS);
  }
}
