package aa.redirect.client;

import aa.redirect.v1.DecodeCallbackResponse;
import aa.redirect.v1.ListPairingsRequest;
import aa.redirect.v1.RedirectServiceGrpc;
import io.grpc.Status;
import java.lang.System.Logger;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * The calls of a {@link RedirectClient} without waiting: {@link RedirectClient#async}. A future
 * fails with a {@link RedirectException} as its cause; cancelling it cancels the call.
 */
public final class AsyncRedirectClient {
  private static final Logger LOG = System.getLogger("aa.redirect.client");

  private final Connection connection;
  private final Consumer<DeviationReport> onDeviations;

  AsyncRedirectClient(Connection connection, Consumer<DeviationReport> onDeviations) {
    this.connection = connection;
    this.onDeviations = onDeviations;
  }

  static void log(DeviationReport report) {
    LOG.log(Logger.Level.WARNING, report.toString());
  }

  /**
   * As {@link RedirectClient#encodeRedirect}.
   *
   * @param request the members, and for whom
   * @return the URL to send the browser to
   */
  public CompletableFuture<SealedRedirect> encodeRedirect(EncodeRedirect request) {
    return encodeRedirect(request, CallOptions.DEFAULT);
  }

  /**
   * As {@link RedirectClient#encodeRedirect}.
   *
   * @param request the members, and for whom
   * @param options of this call
   * @return the URL to send the browser to
   */
  public CompletableFuture<SealedRedirect> encodeRedirect(
      EncodeRedirect request, CallOptions options) {
    return sendable(
        () ->
            connection.call(
                RedirectServiceGrpc.getEncodeRedirectMethod(),
                Messages.proto(request),
                options,
                (answer, requestId) -> Messages.read(answer, request)));
  }

  /**
   * As {@link RedirectClient#decodeRedirect}.
   *
   * @param request what a browser brought
   * @return the members
   */
  public CompletableFuture<OpenedRedirect> decodeRedirect(DecodeRedirect request) {
    return decodeRedirect(request, CallOptions.DEFAULT);
  }

  /**
   * As {@link RedirectClient#decodeRedirect}.
   *
   * @param request what a browser brought
   * @param options of this call
   * @return the members
   */
  public CompletableFuture<OpenedRedirect> decodeRedirect(
      DecodeRedirect request, CallOptions options) {
    return sendable(
        () ->
            connection.call(
                RedirectServiceGrpc.getDecodeRedirectMethod(),
                Messages.proto(request, attemptId(options)),
                options,
                (answer, requestId) -> {
                  OpenedRedirect opened = Messages.read(answer);
                  report(Leg.REQUEST, opened.opening(), requestId);
                  return opened;
                }));
  }

  /**
   * As {@link RedirectClient#encodeCallback}.
   *
   * @param request the outcome, and for whom
   * @return the URL that sends the browser back
   */
  public CompletableFuture<SealedCallback> encodeCallback(EncodeCallback request) {
    return encodeCallback(request, CallOptions.DEFAULT);
  }

  /**
   * As {@link RedirectClient#encodeCallback}.
   *
   * @param request the outcome, and for whom
   * @param options of this call
   * @return the URL that sends the browser back
   */
  public CompletableFuture<SealedCallback> encodeCallback(
      EncodeCallback request, CallOptions options) {
    return sendable(
        () ->
            connection.call(
                RedirectServiceGrpc.getEncodeCallbackMethod(),
                Messages.proto(request),
                options,
                (answer, requestId) -> Messages.read(answer)));
  }

  /**
   * As {@link RedirectClient#decodeCallback}.
   *
   * @param request what a browser brought back
   * @return the outcome
   */
  public CompletableFuture<OpenedCallback> decodeCallback(DecodeCallback request) {
    return decodeCallback(request, CallOptions.DEFAULT);
  }

  /**
   * As {@link RedirectClient#decodeCallback}.
   *
   * @param request what a browser brought back
   * @param options of this call
   * @return the outcome
   */
  public CompletableFuture<OpenedCallback> decodeCallback(
      DecodeCallback request, CallOptions options) {
    return sendable(
        () ->
            connection.call(
                RedirectServiceGrpc.getDecodeCallbackMethod(),
                Messages.proto(request, attemptId(options)),
                options,
                (answer, requestId) -> {
                  compare(request.expected(), answer, requestId);
                  OpenedCallback opened = Messages.read(answer);
                  report(Leg.CALLBACK, opened.opening(), requestId);
                  return opened;
                }));
  }

  /**
   * As {@link RedirectClient#listPairings}.
   *
   * @param pageSize how many to fetch with one call; 0: the service's default
   * @param options of the call of each page
   * @return the pairings, ordered by FIU id and AA id
   */
  public CompletableFuture<List<Pairing>> listPairings(int pageSize, CallOptions options) {
    return page(new ArrayList<>(), pageSize, "", options);
  }

  private CompletableFuture<List<Pairing>> page(
      List<Pairing> before, int pageSize, String pageToken, CallOptions options) {
    ListPairingsRequest request =
        ListPairingsRequest.newBuilder().setPageSize(pageSize).setPageToken(pageToken).build();
    return connection
        .call(
            RedirectServiceGrpc.getListPairingsMethod(),
            request,
            options,
            (answer, requestId) -> answer)
        .thenCompose(
            answer -> {
              answer.getPairingsList().forEach(pairing -> before.add(Messages.read(pairing)));
              return answer.getNextPageToken().isEmpty()
                  ? CompletableFuture.completedFuture(List.copyOf(before))
                  : page(before, pageSize, answer.getNextPageToken(), options);
            });
  }

  /** A request that cannot be sent fails the future, like a request that the service refuses. */
  private static <R> CompletableFuture<R> sendable(Supplier<CompletableFuture<R>> call) {
    try {
      return call.get();
    } catch (RedirectException refused) {
      return CompletableFuture.failedFuture(refused);
    }
  }

  private static String attemptId(CallOptions options) {
    return options.attemptId().isEmpty() ? UUID.randomUUID().toString() : options.attemptId();
  }

  /**
   * Repeats the comparison of the service: an older service that does not know the field opens any
   * callback.
   */
  private static void compare(
      Expectation expectation, DecodeCallbackResponse answer, String requestId) {
    if (!(expectation instanceof Expected expected)) {
      return;
    }
    var came = answer.getCallback();
    List<String> differ = new ArrayList<>();
    if (!came.getTxnid().equals(expected.txnid())) {
      differ.add("txnid");
    }
    if (!came.getSessionid().equals(expected.sessionid())) {
      differ.add("sessionid");
    }
    if (!came.getUserid().equals(expected.userid())) {
      differ.add("userid");
    }
    if (!expected.aaId().isEmpty() && !answer.getAaId().equals(expected.aaId())) {
      differ.add("aa_id");
    }
    if (!differ.isEmpty()) {
      String fields = String.join(", ", differ);
      throw RedirectException.local(
          Reason.NOT_EXPECTED,
          Status.Code.FAILED_PRECONDITION,
          "the callback opens, but is not the expected one: "
              + fields
              + " differ; treat it as an attack or as the "
              + "callback of another user",
          Map.of("fields", fields, "fiu_id", answer.getFiuId(), "aa_id", answer.getAaId()),
          new RedirectException.Attempted("DecodeCallback", requestId, Duration.ZERO, 1),
          null);
    }
  }

  /** Passes deviations on. If the callback throws, that is logged and the call succeeds. */
  private void report(Leg leg, Opening opening, String requestId) {
    if (opening.deviations().isEmpty()) {
      return;
    }
    try {
      onDeviations.accept(
          new DeviationReport(
              leg, opening.fiuId(), opening.aaId(), opening.deviations(), requestId));
    } catch (RuntimeException failed) {
      LOG.log(Logger.Level.ERROR, "onDeviations failed", failed);
    }
  }
}
