package aa.redirect.interop;

import aa.redirect.client.DecodeCallback;
import aa.redirect.client.DecodeRedirect;
import aa.redirect.client.DeviationDetail;
import aa.redirect.client.EncodeCallback;
import aa.redirect.client.EncodeRedirect;
import aa.redirect.client.Expectation;
import aa.redirect.client.OpenedCallback;
import aa.redirect.client.OpenedRedirect;
import aa.redirect.client.Opening;
import aa.redirect.client.RedirectClient;
import aa.redirect.client.SealedCallback;
import aa.redirect.client.SealedRedirect;
import aa.redirect.v1.Callback;
import aa.redirect.v1.CallbackParams;
import aa.redirect.v1.CallbackStatus;
import aa.redirect.v1.DecodeCallbackRequest;
import aa.redirect.v1.DecodeCallbackResponse;
import aa.redirect.v1.DecodeRedirectRequest;
import aa.redirect.v1.DecodeRedirectResponse;
import aa.redirect.v1.Deviation;
import aa.redirect.v1.EncodeCallbackRequest;
import aa.redirect.v1.EncodeCallbackResponse;
import aa.redirect.v1.EncodeRedirectRequest;
import aa.redirect.v1.EncodeRedirectResponse;
import aa.redirect.v1.Redirect;
import aa.redirect.v1.RedirectParams;
import aa.redirect.v1.RequestorType;
import com.google.protobuf.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/**
 * The calls of the client package, with the messages of the proto, which this folder's codec reads
 * and writes. If the package loses anything in between, a test sees a difference.
 */
record Calls(RedirectClient client) {

  EncodeRedirectResponse encodeRedirect(EncodeRedirectRequest request) {
    Redirect asked = request.getRedirect();
    aa.redirect.client.Redirect redirect =
        new aa.redirect.client.Redirect(
            asked.getTxnid(), asked.getSessionid(), asked.getUserid(), asked.getRedirect(), asked.getSrcrefList(),
            asked.getFipidList(), asked.getEmail(), asked.getPan(), asked.getDob(), asked.getIsoLanguageCode(),
            asked.getExtraMap());
    var type = aa.redirect.client.RequestorType.valueOf(unprefixed(request.getRequestorType(), "REQUESTOR_TYPE_"));
    Optional<Instant> issueTime =
        request.hasIssueTime() ? Optional.of(Strict.instant(request.getIssueTime())) : Optional.empty();
    SealedRedirect sealed =
        client.encodeRedirect(new EncodeRedirect(request.getFiuId(), request.getAaId(), redirect, type, issueTime));
    var params = sealed.params();
    return EncodeRedirectResponse.newBuilder()
        .setUrl(sealed.maybeLocation())
        .setQuery(sealed.query())
        .setParams(
            RedirectParams.newBuilder()
                .setFi(params.fi())
                .setReqdate(params.reqdate())
                .setEcreq(params.ecreq())
                .setIv(params.iv())
                .setRequestorType(params.requestorType()))
        .setTxnid(sealed.txnid())
        .setSecretId(sealed.secretId())
        .setIssueTime(Strict.timestamp(sealed.issueTime()))
        .setExpireTime(Strict.timestamp(sealed.expireTime()))
        .build();
  }

  EncodeCallbackResponse encodeCallback(EncodeCallbackRequest request) {
    Callback outcome = request.getCallback();
    var status = aa.redirect.client.CallbackStatus.valueOf(unprefixed(outcome.getStatus(), "CALLBACK_STATUS_"));
    aa.redirect.client.Callback callback =
        new aa.redirect.client.Callback(
            outcome.getTxnid(), outcome.getSessionid(), outcome.getUserid(), status, outcome.getErrorcode(),
            outcome.getSrcrefList(), outcome.getExtraMap());
    Optional<Instant> issueTime =
        request.hasIssueTime() ? Optional.of(Strict.instant(request.getIssueTime())) : Optional.empty();
    SealedCallback sealed =
        client.encodeCallback(
            new EncodeCallback(
                request.getFiuId(), request.getAaId(), callback, request.getRedirectUrl(), request.getSecretId(),
                issueTime));
    var params = sealed.params();
    return EncodeCallbackResponse.newBuilder()
        .setUrl(sealed.location())
        .setQuery(sealed.query())
        .setParams(
            CallbackParams.newBuilder()
                .setFi(params.fi())
                .setResdate(params.resdate())
                .setEcres(params.ecres())
                .setIv(params.iv()))
        .setSecretId(sealed.secretId())
        .setIssueTime(Strict.timestamp(sealed.issueTime()))
        .setExpireTime(Strict.timestamp(sealed.expireTime()))
        .build();
  }

  DecodeRedirectResponse decodeRedirect(DecodeRedirectRequest request) {
    DecodeRedirect.At at = DecodeRedirect.at(request.getAaId());
    RedirectParams params = request.getParams();
    OpenedRedirect opened =
        client.decodeRedirect(
            request.hasUrl()
                ? at.url(request.getUrl())
                : at.params(
                    new aa.redirect.client.RedirectParams(
                        params.getFi(), params.getReqdate(), params.getEcreq(), params.getIv(),
                        params.getRequestorType())));
    var members = opened.redirect();
    Opening opening = opened.opening();
    DecodeRedirectResponse.Builder response =
        DecodeRedirectResponse.newBuilder()
            .setFiuId(opening.fiuId())
            .setAaId(opening.aaId())
            .setRedirect(
                Redirect.newBuilder()
                    .setTxnid(members.txnid())
                    .setSessionid(members.sessionid())
                    .setUserid(members.userid())
                    .setRedirect(members.redirect())
                    .addAllSrcref(members.srcref())
                    .addAllFipid(members.fipid())
                    .setEmail(members.email())
                    .setPan(members.pan())
                    .setDob(members.dob())
                    .setIsoLanguageCode(members.isoLanguageCode())
                    .putAllExtra(members.extra()))
            .setRequestorType(RequestorType.valueOf("REQUESTOR_TYPE_" + opened.requestorType()))
            .setIssueTime(Strict.timestamp(opening.issueTime()))
            .setAge(duration(opening))
            .setSecretId(opening.secretId())
            .setPrimarySecret(opening.primarySecret())
            .addAllDeviations(kinds(opening.deviations()))
            .setReplayKey(opening.replayKey())
            .setReopened(opening.reopened())
            .setAuthenticated(opening.authenticated());
    opening.replayUntil().map(Strict::timestamp).ifPresent(response::setReplayUntil);
    opening.firstOpenTime().map(Strict::timestamp).ifPresent(response::setFirstOpenTime);
    return response.build();
  }

  DecodeCallbackResponse decodeCallback(DecodeCallbackRequest request) {
    // The messages are invented, so there is no record to compare them with.
    var at = DecodeCallback.at(request.getFiuId()).expecting(Expectation.NOT_COMPARED);
    CallbackParams params = request.getParams();
    OpenedCallback opened =
        client.decodeCallback(
            request.hasUrl()
                ? at.url(request.getUrl())
                : at.params(
                    new aa.redirect.client.CallbackParams(
                        params.getFi(), params.getResdate(), params.getEcres(), params.getIv())));
    var members = opened.callback();
    Opening opening = opened.opening();
    DecodeCallbackResponse.Builder response =
        DecodeCallbackResponse.newBuilder()
            .setFiuId(opening.fiuId())
            .setAaId(opening.aaId())
            .setCallback(
                Callback.newBuilder()
                    .setTxnid(members.txnid())
                    .setSessionid(members.sessionid())
                    .setUserid(members.userid())
                    .setStatus(CallbackStatus.valueOf("CALLBACK_STATUS_" + members.status()))
                    .setErrorcode(members.errorcode())
                    .addAllSrcref(members.srcref())
                    .putAllExtra(members.extra()))
            .setErrorMessage(opened.errorMessage())
            .setIssueTime(Strict.timestamp(opening.issueTime()))
            .setAge(duration(opening))
            .setSecretId(opening.secretId())
            .setPrimarySecret(opening.primarySecret())
            .addAllDeviations(kinds(opening.deviations()))
            .setReplayKey(opening.replayKey())
            .setReopened(opening.reopened())
            .setAuthenticated(opening.authenticated());
    opening.replayUntil().map(Strict::timestamp).ifPresent(response::setReplayUntil);
    opening.firstOpenTime().map(Strict::timestamp).ifPresent(response::setFirstOpenTime);
    return response.build();
  }

  private static String unprefixed(Enum<?> value, String prefix) {
    return value.name().substring(prefix.length());
  }

  private static Duration duration(Opening opening) {
    java.time.Duration age = opening.age();
    return Duration.newBuilder().setSeconds(age.getSeconds()).setNanos(age.getNano()).build();
  }

  /** Each kind once, in the order of the enum, as the field `deviations` of the proto has them. */
  private static List<Deviation> kinds(List<DeviationDetail> details) {
    return details.stream()
        .map(detail -> Deviation.valueOf("DEVIATION_" + detail.deviation()))
        .distinct()
        .sorted()
        .toList();
  }
}
