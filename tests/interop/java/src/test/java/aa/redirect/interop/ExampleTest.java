package aa.redirect.interop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import aa.redirect.v1.EncodeRedirectResponse;
import com.example.redirect.AaBackend;
import com.example.redirect.FiuBackend;
import com.example.redirect.RedirectClient;
import com.google.protobuf.Any;
import com.google.protobuf.Duration;
import com.google.rpc.Code;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import com.google.rpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The examples as programs of their own, against a server on its sandbox keyring; the test is the browser. */
@Timeout(60)
class ExampleTest {
  private static Server server;

  @BeforeAll
  static void start() throws Exception {
    server = Server.start();
  }

  @AfterAll
  static void stop() throws Exception {
    if (server != null) {
      server.close();
    }
  }

  @Test
  void aUserGoesFromTheFiuToTheAaAndBack() throws Exception {
    try (Program fiu = new Program(FiuBackend.class);
        Program aa = new Program(AaBackend.class)) {
      String request = fiu.readLine();
      assertTrue(request.startsWith("https://alpha.example/webview?fi="), request);
      aa.writeLine(request);
      String callback = aa.readLine();
      assertTrue(callback.startsWith("https://app.fiu.example/aa/return?loan=42&fi="), callback);
      fiu.writeLine(callback);
      assertEquals("loan-42: accepted [0b054f6a-a0b3-4424-a668-2b53090bad6f]", fiu.readLine());
      assertEquals(0, aa.end());
      assertEquals(0, fiu.end());
    }
  }

  @Test
  void aRefusalIsShownWithReasonAndMetadata() throws Exception {
    try (Program aa = new Program(AaBackend.class)) {
      aa.writeLine("https://alpha.example/webview?fi=dnpkeHY%3D&ecreq=AAAA");
      String shown = aa.readErrorLine();
      assertTrue(shown.startsWith("URL_MALFORMED {parameter=reqdate, problem="), shown);
      assertEquals(1, aa.end());
    }
  }

  @Test
  void everyFaultOfARequestIsShown() throws Exception {
    try (Program aa = new Program(AaBackend.class)) {
      aa.writeLine("");
      String shown = aa.readErrorLine();
      assertTrue(shown.matches("FIELD_INVALID .*\\[url: .+\\].*"), shown);
      assertEquals(1, aa.end());
    }
  }

  @Test
  void onlyOverloadedIsTriedAgain() throws Exception {
    try (RedirectClient client = new RedirectClient(server.address)) {
      AtomicInteger attempts = new AtomicInteger();
      long begin = System.nanoTime();
      EncodeRedirectResponse answer =
          client.call(
              stub -> {
                if (attempts.incrementAndGet() < 3) {
                  throw refusal(Code.RESOURCE_EXHAUSTED, "OVERLOADED", 100);
                }
                return EncodeRedirectResponse.getDefaultInstance();
              });
      assertEquals(EncodeRedirectResponse.getDefaultInstance(), answer);
      assertEquals(3, attempts.get());
      assertTrue(System.nanoTime() - begin >= TimeUnit.MILLISECONDS.toNanos(200), "did not wait as it was told");

      attempts.set(0);
      assertThrows(
          StatusRuntimeException.class,
          () ->
              client.call(
                  stub -> {
                    attempts.incrementAndGet();
                    throw refusal(Code.INVALID_ARGUMENT, "UNDECIPHERABLE", 100);
                  }));
      assertEquals(1, attempts.get());
    }
  }

  @Test
  void aRetryThatWouldPassTheDeadlineIsNotWaitedFor() throws Exception {
    try (RedirectClient client = new RedirectClient(server.address)) {
      AtomicInteger attempts = new AtomicInteger();
      assertThrows(
          StatusRuntimeException.class,
          () ->
              client.call(
                  stub -> {
                    attempts.incrementAndGet();
                    throw refusal(Code.RESOURCE_EXHAUSTED, "OVERLOADED", 20_000);
                  }));
      assertEquals(1, attempts.get());
    }
  }

  private static StatusRuntimeException refusal(Code code, String reason, int retryMillis) {
    Duration delay =
        Duration.newBuilder().setSeconds(retryMillis / 1000).setNanos(retryMillis % 1000 * 1_000_000).build();
    return StatusProto.toStatusRuntimeException(
        Status.newBuilder()
            .setCode(code.getNumber())
            .addDetails(Any.pack(ErrorInfo.newBuilder().setReason(reason).setDomain("aa.redirect.v1").build()))
            .addDetails(Any.pack(RetryInfo.newBuilder().setRetryDelay(delay).build()))
            .build());
  }

  /** A JVM of its own with the class path of this one. */
  private static final class Program implements AutoCloseable {
    private final Process process;
    private final BufferedReader out;
    private final BufferedReader err;
    private final Writer in;

    Program(Class<?> main) throws IOException {
      String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
      ProcessBuilder builder =
          new ProcessBuilder(java, "-cp", System.getProperty("java.class.path"), main.getName());
      builder.environment().put("AA_REDIRECT_ADDRESS", server.address);
      process = builder.start();
      out = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
      err = new BufferedReader(new InputStreamReader(process.getErrorStream(), StandardCharsets.UTF_8));
      in = process.outputWriter(StandardCharsets.UTF_8);
    }

    String readLine() throws IOException {
      String line = out.readLine();
      return line == null ? "ended: " + err.lines().toList() : line;
    }

    String readErrorLine() throws IOException {
      return err.readLine();
    }

    void writeLine(String line) throws IOException {
      in.write(line + "\n");
      in.flush();
    }

    int end() throws InterruptedException {
      return process.waitFor();
    }

    @Override
    public void close() {
      process.destroyForcibly();
    }
  }
}
