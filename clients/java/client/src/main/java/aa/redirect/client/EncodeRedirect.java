package aa.redirect.client;

import java.time.Instant;
import java.util.Optional;

/**
 * What an FIU asks the service to seal.
 *
 * @param fiuId the FIU's id
 * @param aaId the AA's id; empty: the handle of the user id selects the AA
 * @param redirect the members
 * @param requestorType who asks for the data
 * @param issueTime the date to write; empty: now
 */
public record EncodeRedirect(
    String fiuId,
    String aaId,
    Redirect redirect,
    RequestorType requestorType,
    Optional<Instant> issueTime) {

  // No part is null.
  public EncodeRedirect {
    Texts.present(fiuId, aaId, redirect, requestorType, issueTime);
  }

  /**
   * The members for the AA that the handle of the user id selects.
   *
   * @param fiuId the FIU's id
   * @param redirect the members
   * @return the request
   */
  public static EncodeRedirect of(String fiuId, Redirect redirect) {
    return new EncodeRedirect(fiuId, "", redirect, RequestorType.UNSPECIFIED, Optional.empty());
  }

  /**
   * The same for this AA.
   *
   * @param aaId the AA's id
   * @return the request
   */
  public EncodeRedirect withAaId(String aaId) {
    return new EncodeRedirect(fiuId, aaId, redirect, requestorType, issueTime);
  }

  /**
   * The same with the party that asks for the data.
   *
   * @param requestorType who asks
   * @return the request
   */
  public EncodeRedirect withRequestorType(RequestorType requestorType) {
    return new EncodeRedirect(fiuId, aaId, redirect, requestorType, issueTime);
  }

  /**
   * The same with this date.
   *
   * @param issueTime the date to write
   * @return the request
   */
  public EncodeRedirect withIssueTime(Instant issueTime) {
    return new EncodeRedirect(fiuId, aaId, redirect, requestorType, Optional.of(issueTime));
  }
}
