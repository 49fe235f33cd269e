package aa.redirect.interop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import aa.redirect.codec.Members;
import aa.redirect.codec.Members.Lists;
import aa.redirect.codec.RedirectCodec;
import aa.redirect.codec.RedirectCodec.Scheme;
import aa.redirect.v1.Callback;
import aa.redirect.v1.CallbackParams;
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
import com.google.protobuf.Timestamp;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Random messages between this codec and the service, many at a time, over both legs, both directions and every
 * profile: what one side seals the other opens to the same members, byte for byte.
 */
class RoundTripTest extends WithServer {
  private static final int WINDOW = 180;
  private static final int THREADS = 8;

  /**
   * The messages of each of the four tests: over 1,000 with HKDF, over 100 with PBKDF2, which costs
   * more.
   */
  private static int messages(Scheme scheme) {
    return scheme == Scheme.HKDF_IV ? 264 : 36;
  }

  /** One message of a test. */
  private interface Case {
    void run(Pairing pairing, Messages messages) throws Exception;
  }

  private static void all(String test, Scheme scheme, Case each) throws Exception {
    List<Pairing> pairings = Keyring.of(scheme);
    List<Callable<Void>> tasks = new ArrayList<>();
    for (int at = 0; at < messages(scheme); at++) {
      Pairing pairing = pairings.get(at % pairings.size());
      String name = test + " " + scheme + " " + at;
      tasks.add(
          () -> {
            try {
              each.run(pairing, new Messages(name));
            } catch (Throwable e) {
              throw new AssertionError(name + ", " + pairing + ": " + e, e);
            }
            return null;
          });
    }
    ExecutorService threads = Executors.newFixedThreadPool(THREADS);
    try {
      for (Future<Void> done : threads.invokeAll(tasks)) {
        done.get();
      }
    } catch (ExecutionException e) {
      throw (AssertionError) e.getCause();
    } finally {
      threads.shutdownNow();
    }
  }

  @ParameterizedTest
  @EnumSource(Scheme.class)
  void redirectsThatTheServiceSealsOpenHere(Scheme scheme) throws Exception {
    all("redirect out", scheme, RoundTripTest::redirectFromService);
  }

  @ParameterizedTest
  @EnumSource(Scheme.class)
  void redirectsSealedHereOpenAtTheService(Scheme scheme) throws Exception {
    all("redirect in", scheme, RoundTripTest::redirectToService);
  }

  @ParameterizedTest
  @EnumSource(Scheme.class)
  void callbacksThatTheServiceSealsOpenHere(Scheme scheme) throws Exception {
    all("callback out", scheme, RoundTripTest::callbackFromService);
  }

  @ParameterizedTest
  @EnumSource(Scheme.class)
  void callbacksSealedHereOpenAtTheService(Scheme scheme) throws Exception {
    all("callback in", scheme, RoundTripTest::callbackToService);
  }

  private static void redirectFromService(Pairing pairing, Messages messages) throws Exception {
    Redirect members = messages.redirect(pairing, true);
    RequestorType type = messages.requestorType();
    EncodeRedirectRequest.Builder request =
        EncodeRedirectRequest.newBuilder().setFiuId(pairing.fiu()).setRedirect(members).setRequestorType(type);
    if (messages.oneIn(2)) {
      request.setAaId(pairing.aa());
    }
    if (messages.oneIn(4)) {
      request.getRedirectBuilder().clearTxnid();
    }
    Instant before = Instant.now();
    Timestamp given = Strict.timestamp(before.plusMillis(messages.random.nextInt(200_000) - 100_000));
    if (messages.oneIn(4)) {
      request.setIssueTime(given);
    }

    EncodeRedirectResponse response = service().encodeRedirect(request.build());

    RedirectParams params = response.getParams();
    assertEquals(address(pairing.webview(), response.getQuery()), response.getUrl());
    Map<String, String> query = Strict.parameters(response.getQuery());
    assertEquals(params.getFi(), query.remove("fi"));
    assertEquals(params.getReqdate(), query.remove("reqdate"));
    assertEquals(params.getEcreq(), query.remove("ecreq"));
    String iv = query.remove("iv");
    assertEquals(params.getIv(), iv == null ? "" : iv);
    String masked = query.remove("requestorType");
    assertEquals(params.getRequestorType(), masked == null ? "" : masked);
    assertEquals(Map.of(), query, "further parameters");

    String date = params.getReqdate();
    if (request.hasIssueTime()) {
      assertEquals(given, response.getIssueTime());
      assertEquals(pairing.written().write(Strict.instant(given)), date);
    } else {
      Strict.dateOfNow(pairing, date, response.getIssueTime(), before);
    }
    assertEquals(after(response.getIssueTime(), WINDOW), response.getExpireTime());
    assertEquals(pairing.fiu(), Strict.unmask(params.getFi(), date));
    if (type == RequestorType.REQUESTOR_TYPE_UNSPECIFIED) {
      assertEquals("", params.getRequestorType());
    } else {
      assertEquals(name(type), Strict.unmask(params.getRequestorType(), date));
    }
    assertEquals(pairing.primary().id(), response.getSecretId());
    if (request.getRedirect().getTxnid().isEmpty()) {
      assertEquals(4, UUID.fromString(response.getTxnid()).version());
      members = members.toBuilder().setTxnid(response.getTxnid()).build();
    }
    assertEquals(members.getTxnid(), response.getTxnid());

    byte[] plaintext = Strict.open(pairing.scheme(), pairing.primary(), date, params.getEcreq(), iv);
    assertEquals(Members.write(members, pairing.lists()), new String(plaintext, StandardCharsets.UTF_8));
    if (pairing.lists() == Lists.REPEATED) {
      assertEquals(members, Members.readRedirect(plaintext));
    }
  }

  private static void callbackFromService(Pairing pairing, Messages messages) throws Exception {
    Callback members = messages.callback(pairing, true);
    Pairing.Secret secret = pairing.secrets().get(messages.random.nextInt(pairing.secrets().size()));
    EncodeCallbackRequest.Builder request =
        EncodeCallbackRequest.newBuilder()
            .setFiuId(pairing.fiu())
            .setAaId(pairing.aa())
            .setCallback(members)
            .setRedirectUrl(messages.returnUrl());
    if (secret != pairing.primary() || messages.oneIn(2)) {
      request.setSecretId(secret.id());
    }
    Instant before = Instant.now();
    Timestamp given = Strict.timestamp(before.plusMillis(messages.random.nextInt(200_000) - 100_000));
    if (messages.oneIn(4)) {
      request.setIssueTime(given);
    }

    EncodeCallbackResponse response = service().encodeCallback(request.build());

    CallbackParams params = response.getParams();
    assertEquals(address(request.getRedirectUrl(), response.getQuery()), response.getUrl());
    Map<String, String> query = Strict.parameters(response.getQuery());
    assertEquals(params.getFi(), query.remove("fi"));
    assertEquals(params.getResdate(), query.remove("resdate"));
    assertEquals(params.getEcres(), query.remove("ecres"));
    String iv = query.remove("iv");
    assertEquals(params.getIv(), iv == null ? "" : iv);
    assertEquals(Map.of(), query, "further parameters");

    String date = params.getResdate();
    if (request.hasIssueTime()) {
      assertEquals(given, response.getIssueTime());
      assertEquals(pairing.written().write(Strict.instant(given)), date);
    } else {
      Strict.dateOfNow(pairing, date, response.getIssueTime(), before);
    }
    assertEquals(after(response.getIssueTime(), WINDOW), response.getExpireTime());
    assertEquals(pairing.aa(), Strict.unmask(params.getFi(), date));
    assertEquals(secret.id(), response.getSecretId());

    byte[] plaintext = Strict.open(pairing.scheme(), secret, date, params.getEcres(), iv);
    assertEquals(Members.write(members, pairing.lists()), new String(plaintext, StandardCharsets.UTF_8));
    if (pairing.lists() == Lists.REPEATED) {
      assertEquals(members, Members.readCallback(plaintext));
    }
  }

  private static void redirectToService(Pairing pairing, Messages messages) {
    Redirect members = messages.redirect(pairing, false);
    RequestorType type = messages.requestorType();
    String date = messages.date(pairing, Instant.now());
    Pairing.Secret secret = pairing.secrets().get(messages.random.nextInt(pairing.secrets().size()));
    byte[] plaintext = Members.write(members, pairing.lists()).getBytes(StandardCharsets.UTF_8);
    Sealed sealed = Sealed.seal(pairing, secret, pairing.fiu(), date, plaintext);
    String masked = RedirectCodec.mask(name(type), date);
    Map<String, String> query = sealed.requestQuery();
    RedirectParams.Builder params = sealed.redirectParams().toBuilder();
    if (type != RequestorType.REQUESTOR_TYPE_UNSPECIFIED) {
      query.put("requestorType", Members.escapeAll(masked));
      params.setRequestorType(masked);
    }
    DecodeRedirectRequest.Builder request = DecodeRedirectRequest.newBuilder().setAaId(pairing.aa());
    String text = Sealed.join(query);
    switch (messages.random.nextInt(4)) {
      case 0 -> request.setUrl("https://aa.example/webview?aaVersion=2&" + text + "#top");
      case 1 -> request.setUrl("?" + text);
      case 2 -> request.setUrl(text);
      default -> request.setParams(params);
    }

    Instant before = Instant.now();
    DecodeRedirectResponse response = service().decodeRedirect(request.build());

    DecodeRedirectResponse.Builder expected =
        DecodeRedirectResponse.newBuilder()
            .setFiuId(pairing.fiu())
            .setAaId(pairing.aa())
            .setRedirect(members)
            .setRequestorType(type)
            .setIssueTime(Strict.timestamp(WireDate.read(date, pairing.written())))
            .setSecretId(secret.id())
            .setPrimarySecret(secret == pairing.primary())
            .addAllDeviations(deviations(pairing, date, members.getExtraCount()));
    assertEquals(
        expected.build(),
        response.toBuilder().clearAge().clearReplayUntil().clearReplayKey().clearFirstOpenTime().build());
    firstOpening(response.getReplayKey(), response.getFirstOpenTime(), before);
    age(response.getAge(), response.getIssueTime(), before);
    replayUntil(response.getReplayUntil(), date);
  }

  private static void callbackToService(Pairing pairing, Messages messages) {
    Callback members = messages.callback(pairing, false);
    String date = messages.date(pairing, Instant.now());
    Pairing.Secret secret = pairing.secrets().get(messages.random.nextInt(pairing.secrets().size()));
    byte[] plaintext = Members.write(members, pairing.lists()).getBytes(StandardCharsets.UTF_8);
    Sealed sealed = Sealed.seal(pairing, secret, pairing.aa(), date, plaintext);
    // No FIU id, because each AA of the keyring has only one FIU, so `fi` is enough.
    DecodeCallbackRequest.Builder request = DecodeCallbackRequest.newBuilder();
    if (messages.oneIn(2)) {
      request.setFiuId(pairing.fiu());
    }
    String text = Sealed.join(sealed.callbackQuery());
    switch (messages.random.nextInt(4)) {
      case 0 -> request.setUrl(address(messages.returnUrl(), text));
      case 1 -> request.setUrl("?" + text);
      case 2 -> request.setUrl(text);
      default -> request.setParams(sealed.callbackParams());
    }

    Instant before = Instant.now();
    DecodeCallbackResponse response = service().decodeCallback(request.build());

    DecodeCallbackResponse.Builder expected =
        DecodeCallbackResponse.newBuilder()
            .setFiuId(pairing.fiu())
            .setAaId(pairing.aa())
            .setCallback(members)
            .setIssueTime(Strict.timestamp(WireDate.read(date, pairing.written())))
            .setSecretId(secret.id())
            .setPrimarySecret(secret == pairing.primary())
            .addAllDeviations(deviations(pairing, date, members.getExtraCount()));
    assertEquals(
        expected.build(),
        response.toBuilder()
            .clearAge()
            .clearReplayUntil()
            .clearErrorMessage()
            .clearReplayKey()
            .clearFirstOpenTime()
            .build());
    firstOpening(response.getReplayKey(), response.getFirstOpenTime(), before);
    age(response.getAge(), response.getIssueTime(), before);
    replayUntil(response.getReplayUntil(), date);
    switch (members.getErrorcode()) {
      case 0 -> assertEquals("Success: the user accepted", response.getErrorMessage());
      case 1 -> assertEquals("Consent is rejected", response.getErrorMessage());
      case 10 -> assertEquals("Account not linked: timeout", response.getErrorMessage());
      case 11 -> assertEquals("Account not linked: cancelled", response.getErrorMessage());
      case 99 -> assertEquals("Unlisted error code 99", response.getErrorMessage());
      case -1 -> assertEquals("Unlisted error code 4294967295", response.getErrorMessage());
      default -> assertFalse(response.getErrorMessage().isEmpty());
    }
  }

  private static List<Deviation> deviations(Pairing pairing, String date, int extras) {
    List<Deviation> deviations = new ArrayList<>();
    if (date.length() != pairing.written().write(Instant.EPOCH).length()) {
      deviations.add(Deviation.DEVIATION_DATE_DIGITS);
    }
    if (extras > 0) {
      deviations.add(Deviation.DEVIATION_EXTRA_MEMBER);
    }
    return deviations;
  }

  private static String name(RequestorType type) {
    return type.name().replace("REQUESTOR_TYPE_", "");
  }

  /** {@code query} appended to {@code url} before its fragment; nothing if there is no URL. */
  private static String address(String url, String query) {
    if (url.isEmpty()) {
      return "";
    }
    int end = url.indexOf('#') < 0 ? url.length() : url.indexOf('#');
    String base = url.substring(0, end);
    return base + (base.contains("?") ? "&" : "?") + query + url.substring(end);
  }

  private static Timestamp after(Timestamp timestamp, long seconds) {
    return timestamp.toBuilder().setSeconds(timestamp.getSeconds() + seconds).build();
  }

  private static void age(Duration age, Timestamp issueTime, Instant before) {
    Instant now = Strict.instant(issueTime).plusSeconds(age.getSeconds()).plusNanos(age.getNanos());
    assertFalse(now.isBefore(before.minusSeconds(1)), "an age too low");
    assertFalse(now.isAfter(Instant.now().plusSeconds(1)), "an age too high");
  }

  private static void firstOpening(String replayKey, Timestamp firstOpenTime, Instant before) {
    assertTrue(replayKey.matches("[0-9a-f]{32}"), replayKey);
    Instant first = Strict.instant(firstOpenTime);
    assertFalse(first.isBefore(before.minusSeconds(1)), "opened before it came");
    assertFalse(first.isAfter(Instant.now().plusSeconds(1)), "opened later than now");
  }

  /** The latest reading of the date plus the window. */
  private static void replayUntil(Timestamp replayUntil, String date) {
    Instant end = WireDate.last(date).plusSeconds(WINDOW);
    Instant told = Strict.instant(replayUntil);
    assertTrue(told.isAfter(end.minusSeconds(1)) && !told.isAfter(end), () -> told + " is not the end, " + end);
  }
}
