package aa.redirect.client;

import java.io.Serializable;

/**
 * What the FIU's own record says of a callback: each is compared, empty ones too, but an empty
 * {@code aaId}. Keep it with the user's session; {@link SealedRedirect#expected} gives it.
 *
 * @param txnid the one that was sent
 * @param sessionid the one that was sent
 * @param userid the one that was sent
 * @param aaId the AA that the user was sent to; empty: any
 * @serial exclude
 */
public record Expected(String txnid, String sessionid, String userid, String aaId)
    implements Expectation, Serializable {

  // No part is null.
  public Expected {
    Texts.present(txnid, sessionid, userid, aaId);
  }

  /** Shows no member. */
  @Override
  public String toString() {
    return "Expected[aaId=" + aaId + ", members not shown]";
  }
}
