package aa.redirect.client;

import java.net.URI;
import java.util.Optional;

/**
 * What a browser brought to an AA: {@code DecodeRedirect.at(aaId).url(url)}.
 *
 * @param aaId the AA's own id; may be empty if only one pairing of the service fits
 * @param url the whole URL as it arrived, or its query; empty if there are parameters
 * @param params the parameters, if it is not a URL
 */
public record DecodeRedirect(String aaId, String url, Optional<RedirectParams> params) {

  // No part is null.
  public DecodeRedirect {
    Texts.present(aaId, url, params);
  }

  /**
   * Begins with the AA that opens. Without its id, a message for another AA of the service would
   * open too.
   *
   * @param aaId the AA's own id
   * @return the next step
   */
  public static At at(String aaId) {
    return new At(aaId);
  }

  /** Shows no URL and no parameter. */
  @Override
  public String toString() {
    return "DecodeRedirect[aaId=%s]".formatted(aaId);
  }

  /**
   * A decode call that still needs what to open.
   *
   * @param aaId the AA's own id
   */
  public record At(String aaId) {

    /**
     * Ends with a URL.
     *
     * @param url the whole URL as it arrived, or its query string with or without {@code ?}
     * @return the request
     */
    public DecodeRedirect url(String url) {
      return new DecodeRedirect(aaId, url, Optional.empty());
    }

    /**
     * Ends with a URL.
     *
     * @param url the whole URL as it arrived
     * @return the request
     */
    public DecodeRedirect url(URI url) {
      return url(url.toString());
    }

    /**
     * Ends with parameters that are already percent-decoded.
     *
     * @param params the parameters
     * @return the request
     */
    public DecodeRedirect params(RedirectParams params) {
      return new DecodeRedirect(aaId, "", Optional.of(params));
    }
  }
}
