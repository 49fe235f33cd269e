package aa.redirect.client;

import io.grpc.ChannelCredentials;
import io.grpc.ClientInterceptor;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * A connection to aa-redirect. Make one for the whole process: it reconnects by itself, and all
 * threads may use it.
 *
 * <p>Every call has one time limit for up to three tries. The client tries again if no server can
 * be reached or the server is shutting down, and if the service is overloaded, after the delay that
 * the service names. A retry of a decode call is safe: all tries carry the same attempt id, under
 * which the service gives its first answer again.
 */
public final class RedirectClient implements AutoCloseable {
  static final String VERSION = "0.1.0";

  private final Connection connection;
  private final AsyncRedirectClient async;
  private final String addresses;

  private RedirectClient(
      Connection connection, Consumer<DeviationReport> onDeviations, String addresses) {
    this.connection = connection;
    this.addresses = addresses;
    async = new AsyncRedirectClient(connection, onDeviations);
  }

  /**
   * A builder for a client of these addresses.
   *
   * @param addresses one or more of {@code host:port}, used in turn, with all addresses of each
   *     name; or {@code unix:path}
   * @return the builder
   */
  public static Builder builder(String... addresses) {
    return new Builder(List.of(addresses));
  }

  /**
   * A client with the default options.
   *
   * @param addresses as for {@link #builder}
   * @return the client
   */
  public static RedirectClient to(String... addresses) {
    return builder(addresses).build();
  }

  /**
   * The same calls without waiting.
   *
   * @return the calls, on the connection of this client
   */
  public AsyncRedirectClient async() {
    return async;
  }

  /**
   * As the FIU: the URL to send the browser to. Keep {@link SealedRedirect#expected} with the
   * user's session.
   *
   * @param request the members, and for whom
   * @return the URL
   * @throws RedirectException if it does not succeed
   */
  public SealedRedirect encodeRedirect(EncodeRedirect request) {
    return await(async.encodeRedirect(request));
  }

  /**
   * As the FIU: the URL to send the browser to. Keep {@link SealedRedirect#expected} with the
   * user's session.
   *
   * @param request the members, and for whom
   * @param options of this call
   * @return the URL
   * @throws RedirectException if it does not succeed
   */
  public SealedRedirect encodeRedirect(EncodeRedirect request, CallOptions options) {
    return await(async.encodeRedirect(request, options));
  }

  /**
   * As the AA: opens what a browser brought.
   *
   * @param request what it brought
   * @return the members
   * @throws RedirectException if it does not succeed
   */
  public OpenedRedirect decodeRedirect(DecodeRedirect request) {
    return await(async.decodeRedirect(request));
  }

  /**
   * As the AA: opens what a browser brought.
   *
   * @param request what it brought
   * @param options of this call
   * @return the members
   * @throws RedirectException if it does not succeed
   */
  public OpenedRedirect decodeRedirect(DecodeRedirect request, CallOptions options) {
    return await(async.decodeRedirect(request, options));
  }

  /**
   * As the AA: the URL that sends the browser back.
   *
   * @param request the outcome, from {@link EncodeCallback#accepting} or {@link
   *     EncodeCallback#rejecting}
   * @return the URL
   * @throws RedirectException if it does not succeed
   */
  public SealedCallback encodeCallback(EncodeCallback request) {
    return await(async.encodeCallback(request));
  }

  /**
   * As the AA: the URL that sends the browser back.
   *
   * @param request the outcome, from {@link EncodeCallback#accepting} or {@link
   *     EncodeCallback#rejecting}
   * @param options of this call
   * @return the URL
   * @throws RedirectException if it does not succeed
   */
  public SealedCallback encodeCallback(EncodeCallback request, CallOptions options) {
    return await(async.encodeCallback(request, options));
  }

  /**
   * As the FIU: opens what a browser brought back, and refuses what is not the expected answer.
   *
   * @param request what it brought
   * @return the outcome
   * @throws RedirectException if it does not succeed
   */
  public OpenedCallback decodeCallback(DecodeCallback request) {
    return await(async.decodeCallback(request));
  }

  /**
   * As the FIU: opens what a browser brought back, and refuses what is not the expected answer.
   *
   * @param request what it brought
   * @param options of this call
   * @return the outcome
   * @throws RedirectException if it does not succeed
   */
  public OpenedCallback decodeCallback(DecodeCallback request, CallOptions options) {
    return await(async.decodeCallback(request, options));
  }

  /**
   * The pairings that this caller may use.
   *
   * @return the pairings, ordered by FIU id and AA id
   * @throws RedirectException if it does not succeed
   */
  public List<Pairing> listPairings() {
    return await(async.listPairings(0, CallOptions.DEFAULT));
  }

  private static <R> R await(CompletableFuture<R> future) {
    try {
      return future.get();
    } catch (InterruptedException interrupted) {
      future.cancel(true);
      Thread.currentThread().interrupt();
      throw RedirectException.cancelled(
          new RedirectException.Attempted("", "", Duration.ZERO, 0), interrupted);
    } catch (ExecutionException failed) {
      if (failed.getCause() instanceof RedirectException failure) {
        // The error gets the stack trace of the thread that called. No other thread has this error.
        failure.fillInStackTrace();
        throw failure;
      }
      throw new IllegalStateException("a fault of the client", failed.getCause());
    }
  }

  /**
   * Accepts no new calls, lets calls in flight end within the time limit of a call, and cancels the
   * rest.
   */
  @Override
  public void close() {
    connection.close();
  }

  /** Names the addresses. */
  @Override
  public String toString() {
    return "RedirectClient[" + addresses + "]";
  }

  /** The options of a client. One that cannot work is an {@link IllegalArgumentException}. */
  public static final class Builder {
    private static final Duration TIMEOUT = Duration.ofSeconds(2);

    private final Addresses addresses;
    private Tls tls;
    private boolean plaintext;
    private Supplier<String> token;
    private boolean tokenOverPlaintext;
    private Duration timeout = TIMEOUT;
    private Consumer<DeviationReport> onDeviations = AsyncRedirectClient::log;
    private final List<ClientInterceptor> interceptors = new ArrayList<>();

    private Builder(List<String> addresses) {
      this.addresses = new Addresses(addresses);
    }

    /**
     * Which authorities to trust, and the certificate of this client. Without these settings,
     * loopback and Unix sockets are called in plain text, and other addresses over TLS with the
     * roots that Java trusts.
     *
     * @param tls the settings
     * @return this
     */
    public Builder tls(Tls tls) {
      this.tls = tls;
      return this;
    }

    /**
     * Plain text to other addresses too, for use behind a mesh that adds TLS.
     *
     * @return this
     */
    public Builder plaintext() {
      plaintext = true;
      return this;
    }

    /**
     * A bearer token.
     *
     * @param token the token
     * @return this
     */
    public Builder token(String token) {
      BearerToken.checked(token);
      return token(() -> token);
    }

    /**
     * A bearer token that may change.
     *
     * @param token gives the token for each call
     * @return this
     */
    public Builder token(Supplier<String> token) {
      this.token = token;
      return this;
    }

    /**
     * Sends the token in plain text to addresses other than loopback and Unix sockets too.
     *
     * @return this
     */
    public Builder tokenOverPlaintext() {
      tokenOverPlaintext = true;
      return this;
    }

    /**
     * The time limit of a call, all its tries included. Default: 2 seconds.
     *
     * @param timeout the limit
     * @return this
     */
    public Builder timeout(Duration timeout) {
      this.timeout = CallOptions.checked(timeout);
      return this;
    }

    /**
     * A function that gets what the service repaired in a message, before the call returns.
     * Default: a warning of the {@link System.Logger} {@code aa.redirect.client}.
     *
     * @param onDeviations gets the repairs of a message
     * @return this
     */
    public Builder onDeviations(Consumer<DeviationReport> onDeviations) {
      this.onDeviations = onDeviations;
      return this;
    }

    /**
     * Interceptors of gRPC, such as those of OpenTelemetry. Each try passes through them, and they
     * do not see the token.
     *
     * @param interceptors the interceptors
     * @return this
     */
    public Builder intercept(ClientInterceptor... interceptors) {
      this.interceptors.addAll(List.of(interceptors));
      return this;
    }

    /**
     * The client. It connects at its first call.
     *
     * @return the client
     * @throws IllegalArgumentException for options that do not fit together
     */
    public RedirectClient build() {
      boolean plain = tls == null && (plaintext || addresses.areLocal());
      if (tls != null && plaintext) {
        throw new IllegalArgumentException("tls and plaintext exclude each other");
      }
      if (!plain && addresses.hasSocket()) {
        throw new IllegalArgumentException("the service speaks no TLS on a Unix socket");
      }
      if (token != null && plain && !addresses.areLocal() && !tokenOverPlaintext) {
        throw new IllegalArgumentException(
            "the token would travel in plain text: use tls, or insist with tokenOverPlaintext");
      }
      Tls overTls = tls == null ? Tls.systemRoots() : tls;
      ChannelCredentials credentials =
          plain ? InsecureChannelCredentials.create() : overTls.credentials();
      Optional<String> authority = plain ? Optional.empty() : overTls.serverName();
      // By default gRPC sends the path of the socket. It is not a valid authority, so HTTP/2
      // servers refuse it.
      authority = addresses.hasSocket() ? Optional.of("localhost") : authority;
      return new RedirectClient(
          new Connection(channel(credentials, authority), timeout, Optional.ofNullable(token)),
          onDeviations,
          addresses.toString());
    }

    private ManagedChannel channel(ChannelCredentials credentials, Optional<String> authority) {
      ManagedChannelBuilder<?> builder =
          Grpc.newChannelBuilder(addresses.target(), credentials)
              .userAgent("aa-redirect-java/" + VERSION)
              // Uses all addresses in turn; a service config in DNS would change that.
              .defaultLoadBalancingPolicy("round_robin")
              .disableServiceConfigLookUp()
              // The class Effort retries.
              .disableRetry()
              // The client notices a connection that a firewall has dropped before a user waits.
              .keepAliveTime(30, TimeUnit.SECONDS)
              .keepAliveTimeout(5, TimeUnit.SECONDS)
              .keepAliveWithoutCalls(true)
              .intercept(interceptors);
      authority.ifPresent(builder::overrideAuthority);
      return builder.build();
    }
  }
}
