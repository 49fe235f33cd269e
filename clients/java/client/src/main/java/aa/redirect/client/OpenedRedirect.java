package aa.redirect.client;

/**
 * An opened redirect. Nothing in it is proved unless {@link Opening#authenticated} is true.
 *
 * @param redirect the members
 * @param requestorType who asks
 * @param opening ids, date, secret, repairs, and whether it was opened before
 */
public record OpenedRedirect(Redirect redirect, RequestorType requestorType, Opening opening) {

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
