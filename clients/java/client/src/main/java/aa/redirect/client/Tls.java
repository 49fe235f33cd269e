package aa.redirect.client;

import io.grpc.ChannelCredentials;
import io.grpc.TlsChannelCredentials;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Optional;

/**
 * How the two ends of a connection prove who they are. The files are PEM, and are read when the
 * client is made.
 */
public final class Tls {
  private final Path ca;
  private final Path certificate;
  private final Path key;
  private final String serverName;

  private Tls(Path ca, Path certificate, Path key, String serverName) {
    this.ca = ca;
    this.certificate = certificate;
    this.key = key;
    this.serverName = serverName;
  }

  /**
   * Trusts the authorities that Java trusts.
   *
   * @return the settings
   */
  public static Tls systemRoots() {
    return new Tls(null, null, null, "");
  }

  /**
   * Trusts only the authorities of a file.
   *
   * @param ca their certificates
   * @return the settings
   */
  public static Tls trusting(Path ca) {
    return new Tls(ca, null, null, "");
  }

  /**
   * The same with a certificate of this client, for mutual TLS.
   *
   * @param certificate the certificate, and those between it and its authority
   * @param key its private key, not encrypted
   * @return the settings
   */
  public Tls withClientCertificate(Path certificate, Path key) {
    return new Tls(ca, certificate, key, serverName);
  }

  /**
   * The same with the name that the server's certificate must have, in place of the host of the
   * address.
   *
   * @param serverName the name
   * @return the settings
   */
  public Tls withServerName(String serverName) {
    return new Tls(ca, certificate, key, serverName);
  }

  ChannelCredentials credentials() {
    TlsChannelCredentials.Builder builder = TlsChannelCredentials.newBuilder();
    try {
      if (ca != null) {
        builder.trustManager(ca.toFile());
      }
      if (certificate != null) {
        builder.keyManager(certificate.toFile(), key.toFile());
      }
    } catch (IOException unreadable) {
      throw new UncheckedIOException(
          "a certificate or key cannot be read: " + unreadable.getMessage(), unreadable);
    }
    return builder.build();
  }

  Optional<String> serverName() {
    return serverName.isEmpty() ? Optional.empty() : Optional.of(serverName);
  }

  /** Names the files. */
  @Override
  public String toString() {
    return "Tls[ca=%s, certificate=%s, serverName=%s]".formatted(ca, certificate, serverName);
  }
}
