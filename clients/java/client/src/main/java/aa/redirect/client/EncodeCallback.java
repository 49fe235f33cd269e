package aa.redirect.client;

import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What an AA asks the service to seal. {@link #accepting} and {@link #rejecting} fill it in from
 * the request.
 *
 * @param fiuId the FIU's id
 * @param aaId the AA's id
 * @param callback the members
 * @param redirectUrl the URL to return to, as the request's {@code redirect} brought it
 * @param secretId that of the opened request, for an FIU that still has the old secret; empty: the
 *     primary one
 * @param issueTime the date to write; empty: now
 */
public record EncodeCallback(
    String fiuId,
    String aaId,
    Callback callback,
    String redirectUrl,
    String secretId,
    Optional<Instant> issueTime) {

  // No part is null.
  public EncodeCallback {
    Texts.present(fiuId, aaId, callback, redirectUrl, secretId, issueTime);
  }

  /**
   * The answer that the user accepted everything that the request asks for.
   *
   * @param opened the request
   * @return the answer, with the ids, members, return URL and secret of the request
   */
  public static EncodeCallback accepting(OpenedRedirect opened) {
    return accepting(opened, opened.redirect().srcref());
  }

  /**
   * The answer that the user accepted these consent handles.
   *
   * @param opened the request
   * @param srcref the accepted handles
   * @return the answer, with the ids, members, return URL and secret of the request
   */
  public static EncodeCallback accepting(OpenedRedirect opened, List<String> srcref) {
    return answering(opened, CallbackStatus.SUCCESS, 0, srcref);
  }

  /**
   * The answer that there is no consent.
   *
   * @param opened the request
   * @param errorcode the guideline's code that says why, 1 or more
   * @return the answer, with the ids, members, return URL and secret of the request
   */
  public static EncodeCallback rejecting(OpenedRedirect opened, int errorcode) {
    return answering(opened, CallbackStatus.FAILURE, errorcode, List.of());
  }

  private static EncodeCallback answering(
      OpenedRedirect opened, CallbackStatus status, int errorcode, List<String> srcref) {
    Redirect asked = opened.redirect();
    Callback callback =
        new Callback(
            asked.txnid(), asked.sessionid(), asked.userid(), status, errorcode, srcref, Map.of());
    return new EncodeCallback(
        opened.fiuId(),
        opened.aaId(),
        callback,
        asked.redirect(),
        opened.opening().secretId(),
        Optional.empty());
  }

  /**
   * The same with members that the guideline does not have.
   *
   * @param extra the members by name
   * @return the request
   */
  public EncodeCallback withExtra(Map<String, String> extra) {
    Callback more =
        new Callback(
            callback.txnid(),
            callback.sessionid(),
            callback.userid(),
            callback.status(),
            callback.errorcode(),
            callback.srcref(),
            extra);
    return new EncodeCallback(fiuId, aaId, more, redirectUrl, secretId, issueTime);
  }

  /**
   * The same with this date.
   *
   * @param issueTime the date to write
   * @return the request
   */
  public EncodeCallback withIssueTime(Instant issueTime) {
    return new EncodeCallback(fiuId, aaId, callback, redirectUrl, secretId, Optional.of(issueTime));
  }

  /** Shows no URL and no member. */
  @Override
  public String toString() {
    return "EncodeCallback[fiuId=%s, aaId=%s, secretId=%s]".formatted(fiuId, aaId, secretId);
  }
}
