package aa.redirect.client;

import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptors;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BiFunction;
import java.util.function.Supplier;

/**
 * The channel of a client, and the tries of a call on it. It knows none of the service's methods.
 */
final class Connection {
  private static final Metadata.Key<String> REQUEST_ID =
      Metadata.Key.of("x-request-id", Metadata.ASCII_STRING_MARSHALLER);
  private static final Metadata.Key<String> TRACEPARENT =
      Metadata.Key.of("traceparent", Metadata.ASCII_STRING_MARSHALLER);
  private static final long RECONNECT_NANOS = TimeUnit.SECONDS.toNanos(1);
  private static final long RECONNECT_FOR_RETRY_NANOS = TimeUnit.MILLISECONDS.toNanos(40);

  private final ManagedChannel channel;
  private final Duration timeout;
  private final Optional<Supplier<String>> token;
  private final AtomicLong reconnected = new AtomicLong(System.nanoTime());
  private volatile boolean closed;

  Connection(ManagedChannel channel, Duration timeout, Optional<Supplier<String>> token) {
    this.channel = channel;
    this.timeout = timeout;
    this.token = token;
  }

  /** Calls a method; {@code read} makes the result from the answer and the request id. */
  <Q, A, R> CompletableFuture<R> call(
      MethodDescriptor<Q, A> method,
      Q request,
      CallOptions options,
      BiFunction<A, String, R> read) {
    String requestId = options.checkedRequestId();
    Metadata headers = new Metadata();
    if (!requestId.isEmpty()) {
      headers.put(REQUEST_ID, requestId);
    }
    String traceparent = options.checkedTraceparent();
    if (!traceparent.isEmpty()) {
      headers.put(TRACEPARENT, traceparent);
    }
    var settings = io.grpc.CallOptions.DEFAULT;
    if (token.isPresent()) {
      settings = settings.withCallCredentials(new BearerToken(token.get().get()));
    }
    Channel with =
        ClientInterceptors.intercept(channel, MetadataUtils.newAttachHeadersInterceptor(headers));
    Effort effort =
        new Effort(method.getBareMethodName(), requestId, options.timeout().orElse(timeout));
    Tries<Q, A, R> tries =
        new Tries<>(
            with, method, request, settings, effort, answer -> read.apply(answer, requestId));
    tries.begin();
    return tries.result;
  }

  /** The tries of one call. */
  private final class Tries<Q, A, R> implements StreamObserver<A> {
    private final Channel with;
    private final MethodDescriptor<Q, A> method;
    private final Q request;
    private final io.grpc.CallOptions settings;
    private final Effort effort;
    private final java.util.function.Function<A, R> read;
    private final CompletableFuture<R> result = new CompletableFuture<>();
    private volatile ClientCall<Q, A> current;

    Tries(
        Channel with,
        MethodDescriptor<Q, A> method,
        Q request,
        io.grpc.CallOptions settings,
        Effort effort,
        java.util.function.Function<A, R> read) {
      this.with = with;
      this.method = method;
      this.request = request;
      this.settings = settings;
      this.effort = effort;
      this.read = read;
      result.whenComplete((answer, error) -> stopIfCancelled());
    }

    void begin() {
      if (closed) {
        result.completeExceptionally(RedirectException.cancelled(effort.soFar(), null));
        return;
      }
      reconnect(RECONNECT_NANOS);
      current =
          with.newCall(method, settings.withDeadlineAfter(effort.begin(), TimeUnit.NANOSECONDS));
      ClientCalls.asyncUnaryCall(current, request, this);
      stopIfCancelled();
    }

    private void stopIfCancelled() {
      ClientCall<Q, A> call = current;
      if (result.isCancelled() && call != null) {
        call.cancel("the caller cancelled the future", null);
      }
    }

    @Override
    public void onNext(A answer) {
      try {
        result.complete(read.apply(answer));
      } catch (RuntimeException error) {
        result.completeExceptionally(error);
      }
    }

    @Override
    public void onError(Throwable error) {
      RedirectException failure =
          closed
              ? RedirectException.cancelled(effort.soFar(), error)
              : RedirectException.of(error, effort.soFar());
      Optional<Long> pause = result.isDone() ? Optional.empty() : effort.pause(failure);
      if (pause.isEmpty()) {
        result.completeExceptionally(failure);
        return;
      }
      reconnect(RECONNECT_FOR_RETRY_NANOS);
      CompletableFuture.delayedExecutor(pause.get(), TimeUnit.NANOSECONDS).execute(this::begin);
    }

    @Override
    public void onCompleted() {}
  }

  /**
   * gRPC waits up to two minutes before it tries a server again that was down. This tells it to try
   * now.
   */
  private void reconnect(long afterNanos) {
    long now = System.nanoTime();
    long before = reconnected.get();
    if (now - before >= afterNanos && reconnected.compareAndSet(before, now)) {
      channel.resetConnectBackoff();
    }
  }

  /**
   * Takes no new calls, lets those in flight end within the time limit of a call, and then cancels
   * them.
   */
  void close() {
    closed = true;
    channel.shutdown();
    try {
      if (!channel.awaitTermination(timeout.toNanos(), TimeUnit.NANOSECONDS)) {
        channel.shutdownNow();
        channel.awaitTermination(timeout.toNanos(), TimeUnit.NANOSECONDS);
      }
    } catch (InterruptedException interrupted) {
      channel.shutdownNow();
      Thread.currentThread().interrupt();
    }
  }
}
