package aa.redirect.client;

import io.grpc.CallCredentials;
import io.grpc.Metadata;
import java.util.concurrent.Executor;

/** Sends a token below all interceptors, so that none of them sees it. */
final class BearerToken extends CallCredentials {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final String token;

  BearerToken(String token) {
    this.token = checked(token);
  }

  /** Refuses what a header cannot carry, without showing it. */
  static String checked(String token) {
    if (token == null || !token.matches("[!-~]+")) {
      throw new IllegalArgumentException(
          "the token is empty or has characters that a header cannot carry");
    }
    return token;
  }

  @Override
  public void applyRequestMetadata(RequestInfo info, Executor executor, MetadataApplier applier) {
    Metadata headers = new Metadata();
    headers.put(AUTHORIZATION, "Bearer " + token);
    applier.apply(headers);
  }
}
