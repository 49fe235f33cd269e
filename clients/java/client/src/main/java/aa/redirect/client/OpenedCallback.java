package aa.redirect.client;

/**
 * An opened callback. It is a hint to ask the AA, server to server, and not a proof of consent.
 *
 * @param callback the members
 * @param errorMessage the guideline's text for the error code
 * @param opening ids, date, secret, repairs, and whether it was opened before
 */
public record OpenedCallback(Callback callback, String errorMessage, Opening opening) {

  /**
   * Whether the status is SUCCESS and the error code is 0.
   *
   * @return whether the user accepted
   */
  public boolean accepted() {
    return callback.status() == CallbackStatus.SUCCESS && callback.errorcode() == 0;
  }

  /**
   * The FIU's id.
   *
   * @return the id
   */
  public String fiuId() {
    return opening.fiuId();
  }

  /**
   * The AA's id.
   *
   * @return the id
   */
  public String aaId() {
    return opening.aaId();
  }

  /**
   * Whether this message was opened before, as far as the service remembers. A reload of the page
   * is a reopening too.
   *
   * @return whether it was
   */
  public boolean reopened() {
    return opening.reopened();
  }
}
