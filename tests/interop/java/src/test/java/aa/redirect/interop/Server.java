package aa.redirect.interop;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** A running aa-redirect on a port of its own; ends with {@link #close}, and with this JVM at the latest. */
final class Server implements AutoCloseable {
  private final Process process;
  private final Thread killer;
  private final List<ManagedChannel> channels = new ArrayList<>();
  private final BlockingQueue<String> logged = new LinkedBlockingQueue<>();
  final String address;

  /** Starts the binary that AA_REDIRECT_BIN names, else the release build of this repository. */
  static Server start(String... settings) throws Exception {
    return startAt("127.0.0.1:0", settings);
  }

  static Server startAt(String listen, String... settings) throws Exception {
    String named = System.getenv("AA_REDIRECT_BIN");
    Path binary = Path.of(named == null || named.isEmpty() ? "../../../target/release/aa-redirect" : named);
    if (!Files.isExecutable(binary)) {
      throw new IllegalStateException(
          "no aa-redirect at " + binary.toAbsolutePath().normalize() + ": build it, or name it in AA_REDIRECT_BIN");
    }
    List<String> command = new ArrayList<>(List.of(binary.toString(), "--listen", listen, "--log", "json"));
    command.addAll(List.of(settings));
    ProcessBuilder builder = new ProcessBuilder(command);
    // Settings of the user who runs the tests must not reach the server.
    builder.environment().keySet().removeIf(name -> name.startsWith("AA_REDIRECT_"));
    builder.redirectOutput(ProcessBuilder.Redirect.DISCARD);
    return new Server(builder.start());
  }

  private Server(Process process) throws Exception {
    this.process = process;
    killer = new Thread(process::destroyForcibly);
    Runtime.getRuntime().addShutdownHook(killer);
    CompletableFuture<String> listening = new CompletableFuture<>();
    // Reads the output to its end, so that the server never blocks on a full pipe.
    Thread log = new Thread(() -> follow(listening), "log of aa-redirect");
    log.setDaemon(true);
    log.start();
    try {
      address = listening.get(30, TimeUnit.SECONDS);
    } catch (Exception e) {
      process.destroyForcibly();
      throw e;
    }
  }

  private void follow(CompletableFuture<String> listening) {
    StringBuilder before = new StringBuilder();
    try (BufferedReader lines =
        new BufferedReader(new InputStreamReader(process.getErrorStream(), StandardCharsets.UTF_8))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        JsonObject entry = JsonParser.parseString(line).getAsJsonObject();
        if (listening.isDone()) {
          logged.add(entry.get("message").getAsString());
          continue;
        }
        before.append(line).append('\n');
        if (entry.has("listen") && entry.get("message").getAsString().equals("serving")) {
          listening.complete(entry.get("listen").getAsString());
        }
      }
    } catch (IOException | RuntimeException e) {
      before.append(e);
    }
    listening.completeExceptionally(new IllegalStateException("aa-redirect does not serve:\n" + before));
  }

  /** A new connection, closed with the server. */
  ManagedChannel connect() {
    return connect(InsecureChannelCredentials.create());
  }

  ManagedChannel connect(ChannelCredentials credentials) {
    ManagedChannel channel = Grpc.newChannelBuilder(address, credentials).build();
    channels.add(channel);
    return channel;
  }

  /** Makes the server look at its files, and waits until it has begun to serve what they hold. */
  void reload() throws Exception {
    new ProcessBuilder("kill", "-HUP", Long.toString(process.pid())).start().waitFor();
    for (String message = ""; !message.equals("reloaded"); ) {
      message = logged.poll(20, TimeUnit.SECONDS);
      if (message == null) {
        throw new IllegalStateException("not reloaded in time");
      }
    }
  }

  /** Sends SIGTERM and waits for the end of the process. */
  int terminate() throws Exception {
    process.destroy();
    return process.waitFor(30, TimeUnit.SECONDS) ? process.exitValue() : -1;
  }

  @Override
  public void close() throws Exception {
    channels.forEach(ManagedChannel::shutdownNow);
    process.destroy();
    if (!process.waitFor(2, TimeUnit.SECONDS)) {
      process.destroyForcibly();
    }
    Runtime.getRuntime().removeShutdownHook(killer);
  }
}
