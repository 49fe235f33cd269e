package aa.redirect.client;

import java.util.List;
import java.util.stream.Collectors;

/**
 * What the service repaired in a message, and who sent it. Tell the sender. It has no data of the
 * user.
 *
 * @param leg which way the message went
 * @param fiuId the FIU's id
 * @param aaId the AA's id
 * @param details each repair with its place
 * @param requestId the id that the call was given; empty if none
 */
public record DeviationReport(
    Leg leg, String fiuId, String aaId, List<DeviationDetail> details, String requestId) {

  /**
   * The party that sent the message.
   *
   * @return its id
   */
  public String sender() {
    return leg == Leg.REQUEST ? fiuId : aaId;
  }

  /** One line for a log. */
  @Override
  public String toString() {
    String repairs =
        details.stream().map(DeviationDetail::toString).collect(Collectors.joining(", "));
    String under = requestId.isEmpty() ? "" : " (request id " + requestId + ")";
    String what = leg == Leg.REQUEST ? "request" : "callback";
    return what + " from '" + sender() + "' deviates from the format: " + repairs + under;
  }
}
