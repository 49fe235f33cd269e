package aa.redirect.client;

import java.net.URI;
import java.util.Optional;

/**
 * What a browser brought back to an FIU: {@code
 * DecodeCallback.at(fiuId).expecting(expected).url(url)}.
 *
 * @param fiuId the FIU's own id; may be empty if only one pairing of the service fits
 * @param url the whole URL as it arrived, or its query; empty if there are parameters
 * @param params the parameters, if it is not a URL
 * @param expected what the callback is compared with
 */
public record DecodeCallback(
    String fiuId, String url, Optional<CallbackParams> params, Expectation expected) {

  // No part is null.
  public DecodeCallback {
    Texts.present(fiuId, url, params, expected);
  }

  /**
   * Begins with the FIU that opens. Without its id, a message for another FIU of the service would
   * open too.
   *
   * @param fiuId the FIU's own id
   * @return the next step
   */
  public static At at(String fiuId) {
    return new At(fiuId);
  }

  /** Shows no URL and no parameter. */
  @Override
  public String toString() {
    return "DecodeCallback[fiuId=%s]".formatted(fiuId);
  }

  /**
   * A decode call that still needs what to compare with.
   *
   * @param fiuId the FIU's own id
   */
  public record At(String fiuId) {

    /**
     * Adds what the user's session says. Nothing else detects a callback that was made from two
     * others.
     *
     * @param expected from {@link SealedRedirect#expected}, or {@link Expectation#NOT_COMPARED}
     * @return the next step
     */
    public Expecting expecting(Expectation expected) {
      return new Expecting(fiuId, expected);
    }
  }

  /**
   * A decode call that still needs what to open.
   *
   * @param fiuId the FIU's own id
   * @param expected what the callback is compared with
   */
  public record Expecting(String fiuId, Expectation expected) {

    /**
     * Ends with a URL.
     *
     * @param url the whole URL as it arrived, or its query string with or without {@code ?}
     * @return the request
     */
    public DecodeCallback url(String url) {
      return new DecodeCallback(fiuId, url, Optional.empty(), expected);
    }

    /**
     * Ends with a URL.
     *
     * @param url the whole URL as it arrived
     * @return the request
     */
    public DecodeCallback url(URI url) {
      return url(url.toString());
    }

    /**
     * Ends with parameters that are already percent-decoded.
     *
     * @param params the parameters
     * @return the request
     */
    public DecodeCallback params(CallbackParams params) {
      return new DecodeCallback(fiuId, "", Optional.of(params), expected);
    }
  }
}
