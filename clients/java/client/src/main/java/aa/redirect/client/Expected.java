package aa.redirect.client;

import java.io.Serializable;

/**
 * What the FIU's own record says about a callback. Empty fields are compared too, except an empty
 * {@code aaId}. Keep it with the user's session; {@link SealedRedirect#expected} gives it.
 *
 * @param txnid the one that was sent
 * @param sessionid the one that was sent
 * @param userid the one that was sent
 * @param aaId the AA to which the user was sent; empty: any
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
