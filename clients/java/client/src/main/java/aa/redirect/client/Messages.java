package aa.redirect.client;

import aa.redirect.v1.DecodeCallbackRequest;
import aa.redirect.v1.DecodeCallbackResponse;
import aa.redirect.v1.DecodeRedirectRequest;
import aa.redirect.v1.DecodeRedirectResponse;
import aa.redirect.v1.EncodeCallbackRequest;
import aa.redirect.v1.EncodeCallbackResponse;
import aa.redirect.v1.EncodeRedirectRequest;
import aa.redirect.v1.EncodeRedirectResponse;
import aa.redirect.v1.ExpectedCallback;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** Translates between the types of this package and the messages of the proto. */
final class Messages {
  private Messages() {}

  static EncodeRedirectRequest proto(EncodeRedirect request) {
    EncodeRedirectRequest.Builder message =
        EncodeRedirectRequest.newBuilder()
            .setFiuId(Texts.unicode(request.fiuId()))
            .setAaId(Texts.unicode(request.aaId()))
            .setRedirect(proto(request.redirect()))
            .setRequestorType(request.requestorType().proto());
    request.issueTime().map(Times::timestamp).ifPresent(message::setIssueTime);
    return message.build();
  }

  private static aa.redirect.v1.Redirect proto(Redirect redirect) {
    return aa.redirect.v1.Redirect.newBuilder()
        .setTxnid(Texts.unicode(redirect.txnid()))
        .setSessionid(Texts.unicode(redirect.sessionid()))
        .setUserid(Texts.unicode(redirect.userid()))
        .setRedirect(Texts.unicode(redirect.redirect()))
        .addAllSrcref(unicode(redirect.srcref()))
        .addAllFipid(unicode(redirect.fipid()))
        .setEmail(Texts.unicode(redirect.email()))
        .setPan(Texts.unicode(redirect.pan()))
        .setDob(Texts.unicode(redirect.dob()))
        .setIsoLanguageCode(Texts.unicode(redirect.isoLanguageCode()))
        .putAllExtra(unicode(redirect.extra()))
        .build();
  }

  static EncodeCallbackRequest proto(EncodeCallback request) {
    Callback callback = request.callback();
    EncodeCallbackRequest.Builder message =
        EncodeCallbackRequest.newBuilder()
            .setFiuId(Texts.unicode(request.fiuId()))
            .setAaId(Texts.unicode(request.aaId()))
            .setRedirectUrl(Texts.unicode(request.redirectUrl()))
            .setSecretId(Texts.unicode(request.secretId()))
            .setCallback(
                aa.redirect.v1.Callback.newBuilder()
                    .setTxnid(Texts.unicode(callback.txnid()))
                    .setSessionid(Texts.unicode(callback.sessionid()))
                    .setUserid(Texts.unicode(callback.userid()))
                    .setStatus(callback.status().proto())
                    .setErrorcode(callback.errorcode())
                    .addAllSrcref(unicode(callback.srcref()))
                    .putAllExtra(unicode(callback.extra())));
    request.issueTime().map(Times::timestamp).ifPresent(message::setIssueTime);
    return message.build();
  }

  static DecodeRedirectRequest proto(DecodeRedirect request, String attemptId) {
    DecodeRedirectRequest.Builder message =
        DecodeRedirectRequest.newBuilder()
            .setAaId(Texts.unicode(request.aaId()))
            .setAttemptId(attemptId);
    request
        .params()
        .ifPresentOrElse(
            params ->
                message
                    .getParamsBuilder()
                    .setFi(Texts.unicode(params.fi()))
                    .setReqdate(Texts.unicode(params.reqdate()))
                    .setEcreq(Texts.unicode(params.ecreq()))
                    .setIv(Texts.unicode(params.iv()))
                    .setRequestorType(Texts.unicode(params.requestorType())),
            () -> message.setUrl(Texts.unicode(request.url())));
    return message.build();
  }

  static DecodeCallbackRequest proto(DecodeCallback request, String attemptId) {
    DecodeCallbackRequest.Builder message =
        DecodeCallbackRequest.newBuilder()
            .setFiuId(Texts.unicode(request.fiuId()))
            .setAttemptId(attemptId);
    if (request.expected() instanceof Expected expected) {
      message.setExpected(
          ExpectedCallback.newBuilder()
              .setTxnid(Texts.unicode(expected.txnid()))
              .setSessionid(Texts.unicode(expected.sessionid()))
              .setUserid(Texts.unicode(expected.userid()))
              .setAaId(Texts.unicode(expected.aaId())));
    }
    request
        .params()
        .ifPresentOrElse(
            params ->
                message
                    .getParamsBuilder()
                    .setFi(Texts.unicode(params.fi()))
                    .setResdate(Texts.unicode(params.resdate()))
                    .setEcres(Texts.unicode(params.ecres()))
                    .setIv(Texts.unicode(params.iv())),
            () -> message.setUrl(Texts.unicode(request.url())));
    return message.build();
  }

  static SealedRedirect read(EncodeRedirectResponse message, EncodeRedirect request) {
    var params = message.getParams();
    Redirect sent = request.redirect();
    return new SealedRedirect(
        message.getUrl(),
        message.getQuery(),
        new RedirectParams(
            params.getFi(),
            params.getReqdate(),
            params.getEcreq(),
            params.getIv(),
            params.getRequestorType()),
        message.getTxnid(),
        message.getSecretId(),
        Times.instant(message.getIssueTime()),
        Times.instant(message.getExpireTime()),
        new Expected(message.getTxnid(), sent.sessionid(), sent.userid(), request.aaId()));
  }

  static SealedCallback read(EncodeCallbackResponse message) {
    var params = message.getParams();
    return new SealedCallback(
        message.getUrl(),
        message.getQuery(),
        new CallbackParams(params.getFi(), params.getResdate(), params.getEcres(), params.getIv()),
        message.getSecretId(),
        Times.instant(message.getIssueTime()),
        Times.instant(message.getExpireTime()));
  }

  static OpenedRedirect read(DecodeRedirectResponse message) {
    var members = message.getRedirect();
    Redirect redirect =
        new Redirect(
            members.getTxnid(),
            members.getSessionid(),
            members.getUserid(),
            members.getRedirect(),
            members.getSrcrefList(),
            members.getFipidList(),
            members.getEmail(),
            members.getPan(),
            members.getDob(),
            members.getIsoLanguageCode(),
            members.getExtraMap());
    Opening opening =
        new Opening(
            message.getFiuId(),
            message.getAaId(),
            Times.instant(message.getIssueTime()),
            Times.duration(message.getAge()),
            message.getSecretId(),
            message.getPrimarySecret(),
            details(message.getDeviationsValueList(), message.getDeviationDetailsList()),
            message.hasReplayUntil()
                ? Optional.of(Times.instant(message.getReplayUntil()))
                : Optional.empty(),
            message.getReplayKey(),
            message.getReopened(),
            message.hasFirstOpenTime()
                ? Optional.of(Times.instant(message.getFirstOpenTime()))
                : Optional.empty(),
            message.getAuthenticated());
    return new OpenedRedirect(redirect, RequestorType.of(message.getRequestorType()), opening);
  }

  static OpenedCallback read(DecodeCallbackResponse message) {
    var members = message.getCallback();
    Callback callback =
        new Callback(
            members.getTxnid(),
            members.getSessionid(),
            members.getUserid(),
            CallbackStatus.of(members.getStatus()),
            members.getErrorcode(),
            members.getSrcrefList(),
            members.getExtraMap());
    Opening opening =
        new Opening(
            message.getFiuId(),
            message.getAaId(),
            Times.instant(message.getIssueTime()),
            Times.duration(message.getAge()),
            message.getSecretId(),
            message.getPrimarySecret(),
            details(message.getDeviationsValueList(), message.getDeviationDetailsList()),
            message.hasReplayUntil()
                ? Optional.of(Times.instant(message.getReplayUntil()))
                : Optional.empty(),
            message.getReplayKey(),
            message.getReopened(),
            message.hasFirstOpenTime()
                ? Optional.of(Times.instant(message.getFirstOpenTime()))
                : Optional.empty(),
            message.getAuthenticated());
    return new OpenedCallback(callback, message.getErrorMessage(), opening);
  }

  /** Each repair with its place. An older service gives no places. */
  private static List<DeviationDetail> details(
      List<Integer> kinds, List<aa.redirect.v1.DeviationDetail> detailed) {
    if (detailed.isEmpty()) {
      return kinds.stream().map(kind -> detail(kind, "")).toList();
    }
    return detailed.stream()
        .map(detail -> detail(detail.getDeviationValue(), detail.getPlace()))
        .toList();
  }

  private static DeviationDetail detail(int number, String place) {
    var kind = aa.redirect.v1.Deviation.forNumber(number);
    return new DeviationDetail(
        kind == null ? Deviation.UNRECOGNIZED : Deviation.of(kind), number, place);
  }

  static Pairing read(aa.redirect.v1.Pairing pairing) {
    List<Secret> secrets =
        pairing.getSecretsList().stream()
            .map(secret -> new Secret(secret.getId(), SecretState.of(secret.getState())))
            .toList();
    Optional<Duration> maxAge =
        pairing.hasMaxAge() ? Optional.of(Times.duration(pairing.getMaxAge())) : Optional.empty();
    return new Pairing(
        pairing.getFiuId(),
        pairing.getAaId(),
        pairing.getProfile(),
        Scheme.of(pairing.getScheme()),
        pairing.getWebviewUrl(),
        List.copyOf(pairing.getHandlesList()),
        secrets,
        List.copyOf(pairing.getRedirectHostsList()),
        maxAge,
        pairing.getDateStyle(),
        pairing.getListSyntax(),
        pairing.getCheckResdate(),
        Reopen.of(pairing.getReopen()),
        Authentication.of(pairing.getAuthentication()));
  }

  private static List<String> unicode(List<String> texts) {
    return texts.stream().map(Texts::unicode).toList();
  }

  private static Map<String, String> unicode(Map<String, String> texts) {
    Map<String, String> checked = new TreeMap<>();
    texts.forEach((name, text) -> checked.put(Texts.unicode(name), Texts.unicode(text)));
    return checked;
  }
}
