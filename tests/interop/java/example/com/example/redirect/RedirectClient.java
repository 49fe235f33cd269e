package com.example.redirect;

import aa.redirect.v1.RedirectServiceGrpc;
import aa.redirect.v1.RedirectServiceGrpc.RedirectServiceBlockingStub;
import com.google.gson.Gson;
import com.google.gson.reflect.TypeToken;
import io.grpc.Deadline;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/** A connection to aa-redirect. Make one for the whole process: a channel carries any number of concurrent calls. */
public final class RedirectClient implements AutoCloseable {
  /** For a call with all its retries; a user waits for it. One attempt gets what the service config says, 2 s. */
  private static final Duration PATIENCE = Duration.ofSeconds(5);

  private final ManagedChannel channel;
  private final RedirectServiceBlockingStub stub;

  public RedirectClient(String address) throws IOException {
    channel =
        // Plain text is for loopback or a mesh that encrypts; across a network use TlsChannelCredentials.
        Grpc.newChannelBuilder(address, InsecureChannelCredentials.create())
            .defaultServiceConfig(serviceConfig())
            .build();
    stub = RedirectServiceGrpc.newBlockingStub(channel);
  }

  /** The config published next to the proto: timeout, load balancing, and retries of UNAVAILABLE done by gRPC. */
  private static Map<String, ?> serviceConfig() throws IOException {
    String name = "/aa/redirect/v1/redirect_grpc_service_config.json";
    try (Reader json =
        new InputStreamReader(RedirectClient.class.getResourceAsStream(name), StandardCharsets.UTF_8)) {
      return new Gson().fromJson(json, new TypeToken<Map<String, ?>>() {}.getType());
    }
  }

  /** Calls with a deadline, and again where the server sheds load and says when to come back. */
  public <R> R call(Function<RedirectServiceBlockingStub, R> rpc) throws InterruptedException {
    Deadline deadline = Deadline.after(PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
    while (true) {
      try {
        return rpc.apply(stub.withDeadline(deadline));
      } catch (StatusRuntimeException error) {
        Refusal refusal = Refusal.of(error);
        // Waiting past the deadline would only hide the real reason behind DEADLINE_EXCEEDED.
        if (!refusal.mayRetry()
            || deadline.timeRemaining(TimeUnit.NANOSECONDS) <= refusal.retryAfter().toNanos()) {
          throw error;
        }
        TimeUnit.NANOSECONDS.sleep(refusal.retryAfter().toNanos());
      }
    }
  }

  /** The server's address: the first argument, or the environment, or where the server listens by default. */
  static String address(String[] args) {
    return args.length > 0 ? args[0] : System.getenv().getOrDefault("AA_REDIRECT_ADDRESS", "127.0.0.1:50051");
  }

  @Override
  public void close() {
    channel.shutdownNow();
  }
}
