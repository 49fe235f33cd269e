package aa.redirect.client;

import java.util.List;
import java.util.Map;

/**
 * The members of {@code ecres}: the outcome of a request. Decode gives back exactly what encode
 * got.
 *
 * @param txnid the request's, unchanged
 * @param sessionid the request's, unchanged
 * @param userid the request's, unchanged
 * @param status whether the user accepted
 * @param errorcode the guideline's code, an unsigned number of 32 bits; 0 if and only if the status
 *     is SUCCESS
 * @param srcref the accepted consent handles
 * @param extra members that the guideline does not have, by name
 */
public record Callback(
    String txnid,
    String sessionid,
    String userid,
    CallbackStatus status,
    int errorcode,
    List<String> srcref,
    Map<String, String> extra) {

  // Copies the list and the map. No member is null: an empty one is absent.
  public Callback {
    Texts.present(txnid, sessionid, userid, status);
    srcref = List.copyOf(srcref);
    extra = Texts.copy(extra);
  }

  /** Shows no member. */
  @Override
  public String toString() {
    return "Callback[members not shown]";
  }
}
