package aa.redirect.client;

import java.net.URI;
import java.time.Instant;

/**
 * A callback that sends the browser back.
 *
 * @param location the whole URL as exact text, for the {@code Location} of a 303 with {@code
 *     Cache-Control: no-store}
 * @param query the parameters as a query string without {@code ?}
 * @param params the parameters before percent-encoding
 * @param secretId the id of the secret that sealed
 * @param issueTime the instant that the date was written from
 * @param expireTime the end of the window; send the browser before it
 */
public record SealedCallback(
    String location,
    String query,
    CallbackParams params,
    String secretId,
    Instant issueTime,
    Instant expireTime) {

  /**
   * {@link #location} as a URI; characters that a URI does not allow are percent-encoded.
   *
   * @return the URL
   */
  public URI url() {
    return Urls.uri(location);
  }

  /** Shows no URL and no member. */
  @Override
  public String toString() {
    return "SealedCallback[secretId=%s, issueTime=%s, expireTime=%s]"
        .formatted(secretId, issueTime, expireTime);
  }
}
