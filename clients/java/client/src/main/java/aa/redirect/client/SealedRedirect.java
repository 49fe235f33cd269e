package aa.redirect.client;

import io.grpc.Status;
import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;

/**
 * A redirect to send the browser to.
 *
 * @param maybeLocation {@link #location}, but empty for a pairing without a web view
 * @param query the parameters as a query string without {@code ?}
 * @param params the parameters before percent-encoding
 * @param txnid the one that was given or made
 * @param secretId the id of the secret that sealed
 * @param issueTime the instant that the date was written from
 * @param expireTime the end of the window; send the browser before it
 * @param expected what to keep with the user's session and to compare the callback with; its {@code
 *     aaId} is that of the call
 */
public record SealedRedirect(
    String maybeLocation,
    String query,
    RedirectParams params,
    String txnid,
    String secretId,
    Instant issueTime,
    Instant expireTime,
    Expected expected) {

  /**
   * The whole URL as exact text, for the {@code Location} of a 303 with {@code Cache-Control:
   * no-store}.
   *
   * @return the URL
   * @throws RedirectException with {@link Reason#LOCAL_WEBVIEW_MISSING} for a pairing without a web
   *     view; {@link #query} exists anyway
   */
  public String location() {
    if (maybeLocation.isEmpty()) {
      throw RedirectException.local(
          Reason.LOCAL_WEBVIEW_MISSING,
          Status.Code.FAILED_PRECONDITION,
          "the pairing has no web view URL: name one in the keyring, or build the URL from the query",
          Map.of(),
          new RedirectException.Attempted("EncodeRedirect", "", Duration.ZERO, 1),
          null);
    }
    return maybeLocation;
  }

  /**
   * {@link #location} as a URI; characters that a URI does not allow are percent-encoded.
   *
   * @return the URL
   * @throws RedirectException as {@link #location} does
   */
  public URI url() {
    return Urls.uri(location());
  }

  /** Shows no URL and no member. */
  @Override
  public String toString() {
    return "SealedRedirect[secretId=%s, issueTime=%s, expireTime=%s]"
        .formatted(secretId, issueTime, expireTime);
  }
}
