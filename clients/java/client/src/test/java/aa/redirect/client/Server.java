package aa.redirect.client;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/** The binary under test on a free port; closing it kills it. */
final class Server implements AutoCloseable {
  static final String FIU = "fiu@sandbox";
  static final String AA = "alpha-aa";
  static final Redirect REDIRECT =
      Redirect.builder()
          .userid("9999988888@alpha")
          .sessionid("loan-4711")
          .redirect("https://fiu.example/cb?lead=42")
          .srcref("0b054f6a-a0b3-4424-a668-2b53090bad6f")
          .build();

  /** Deriving its key costs milliseconds, so that a few hundred calls keep a server busy. */
  static final Redirect SLOW_REDIRECT =
      Redirect.builder()
          .userid("9999988888@beta")
          .redirect("https://fiu.example/cb")
          .srcref("handle")
          .build();

  private final Process process;
  private final BlockingQueue<JsonObject> calls = new LinkedBlockingQueue<>();
  final String address;

  static Path binary() {
    String named = System.getenv("AA_REDIRECT_BIN");
    List<Path> candidates =
        named != null && !named.isEmpty()
            ? List.of(Path.of(named))
            : List.of(
                Path.of("../../../target/release/aa-redirect"),
                Path.of("../../../target/debug/aa-redirect"));
    return candidates.stream()
        .filter(Files::isExecutable)
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalStateException(
                    "no server to test: build it, or name it in AA_REDIRECT_BIN"));
  }

  static Server start(Object... settings) {
    return startAt("127.0.0.1:0", settings);
  }

  static Server startAt(String listen, Object... settings) {
    try {
      return new Server(listen, settings);
    } catch (IOException failed) {
      throw new UncheckedIOException(failed);
    }
  }

  private Server(String listen, Object... settings) throws IOException {
    List<String> command =
        new ArrayList<>(List.of(binary().toString(), "--listen", listen, "--log", "json"));
    for (Object setting : settings) {
      command.add(setting.toString());
    }
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectOutput(ProcessBuilder.Redirect.DISCARD);
    // Variables of the caller's shell must not configure the server under test.
    builder.environment().keySet().removeIf(name -> name.startsWith("AA_REDIRECT_"));
    process = builder.start();
    Runtime.getRuntime().addShutdownHook(new Thread(process::destroyForcibly));
    CompletableFuture<String> listening = new CompletableFuture<>();
    Thread follower = new Thread(() -> follow(listening), "log of the server");
    follower.setDaemon(true);
    follower.start();
    address = listening.orTimeout(30, TimeUnit.SECONDS).join();
  }

  private void follow(CompletableFuture<String> listening) {
    StringBuilder log = new StringBuilder();
    try (BufferedReader lines =
        new BufferedReader(
            new InputStreamReader(process.getErrorStream(), StandardCharsets.UTF_8))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        log.append(line).append('\n');
        if (!line.startsWith("{") || !line.endsWith("}")) { // not a whole log line
          continue;
        }
        JsonObject entry = JsonParser.parseString(line).getAsJsonObject();
        if (entry.get("message").getAsString().equals("serving")) {
          listening.complete(entry.get("listen").getAsString());
        }
        if (entry.has("method")) {
          calls.add(entry);
        }
      }
    } catch (IOException ended) {
      log.append(ended);
    }
    listening.completeExceptionally(new IllegalStateException("the server did not start:\n" + log));
  }

  boolean hasAnswered() {
    return !calls.isEmpty();
  }

  /**
   * The line of the log about the call of this request id, which may come a moment after the
   * answer.
   */
  JsonObject logged(String requestId) {
    await(
        () ->
            calls.stream()
                .anyMatch(call -> call.get("request_id").getAsString().equals(requestId)));
    return calls.stream()
        .filter(call -> call.get("request_id").getAsString().equals(requestId))
        .findFirst()
        .orElseThrow();
  }

  void terminate() {
    process.destroy();
  }

  boolean isRunning() {
    return process.isAlive();
  }

  /** Stops the process: it accepts connections and bytes, and answers nothing. */
  void pause() {
    signal("STOP");
    await(() -> stateOf(process.pid()) == 'T');
  }

  void goOn() {
    signal("CONT");
  }

  private void signal(String name) {
    try {
      new ProcessBuilder("kill", "-" + name, Long.toString(process.pid())).start().waitFor();
    } catch (IOException | InterruptedException failed) {
      throw new IllegalStateException(failed);
    }
  }

  private static char stateOf(long pid) {
    try {
      String stat = Files.readString(Path.of("/proc/" + pid + "/stat"));
      return stat.charAt(stat.lastIndexOf(')') + 2);
    } catch (IOException failed) {
      throw new UncheckedIOException(failed);
    }
  }

  static void await(BooleanSupplier condition) {
    long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > end) {
        throw new AssertionError("it did not come in time");
      }
      try {
        Thread.sleep(10);
      } catch (InterruptedException interrupted) {
        throw new IllegalStateException(interrupted);
      }
    }
  }

  @Override
  public void close() {
    process.destroyForcibly();
    process.onExit().join();
  }
}
