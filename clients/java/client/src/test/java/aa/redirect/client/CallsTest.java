package aa.redirect.client;

import static aa.redirect.client.Server.AA;
import static aa.redirect.client.Server.FIU;
import static aa.redirect.client.Server.REDIRECT;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import aa.redirect.v1.DecodeCallbackResponse;
import aa.redirect.v1.DecodeRedirectResponse;
import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The four calls and the list of pairings, as an FIU and an AA make them. */
class CallsTest {
  private static final Redirect EVERY_MEMBER =
      Redirect.builder()
          .txnid("2d04747e-21c6-4c23-955b-d46c2f820140")
          .sessionid("a&b=c%+# \r\nसहमति 🔑")
          .userid("9999988888@alpha")
          .redirect("https://fiu.example/cb?lead=42&next=%2Fa+b")
          .srcref("first", "second")
          .fipid(List.of("FIP-1", "FIP-2"))
          .email("user@example.in")
          .pan("ABCDE1234F")
          .dob("1990-02-28")
          .isoLanguageCode("hi-IN")
          .extra(Map.of("vendor", "x", "account", ""))
          .build();

  private static Server server;
  private static RedirectClient client;

  @BeforeAll
  static void start() {
    server = Server.start();
    client = RedirectClient.builder(server.address).timeout(Duration.ofSeconds(20)).build();
  }

  @AfterAll
  static void stop() {
    client.close();
    server.close();
  }

  private static SealedRedirect sealed(Redirect redirect) {
    return client.encodeRedirect(EncodeRedirect.of(FIU, redirect));
  }

  private static OpenedRedirect opened(String url) {
    return client.decodeRedirect(DecodeRedirect.at(AA).url(url));
  }

  private static OpenedCallback opened(SealedCallback answer, Expectation expected) {
    return client.decodeCallback(DecodeCallback.at(FIU).expecting(expected).url(answer.location()));
  }

  @Test
  void everyMemberOfARedirectComesOutAsItWentIn() {
    SealedRedirect sealed =
        client.encodeRedirect(
            EncodeRedirect.of(FIU, EVERY_MEMBER).withAaId(AA).withRequestorType(RequestorType.LSP));
    OpenedRedirect opened = opened(sealed.location());
    assertEquals(EVERY_MEMBER, opened.redirect());
    assertSame(RequestorType.LSP, opened.requestorType());
    assertEquals(List.of(FIU, AA), List.of(opened.fiuId(), opened.aaId()));
    assertEquals(sealed.secretId(), opened.opening().secretId());
    assertTrue(opened.opening().primarySecret());
    assertTrue(
        opened.opening().deviations().stream()
            .allMatch(d -> d.deviation() == Deviation.EXTRA_MEMBER));
  }

  @Test
  void everyMemberOfACallbackComesOutAsItWentIn() {
    Callback callback =
        new Callback(
            EVERY_MEMBER.txnid(),
            EVERY_MEMBER.sessionid(),
            EVERY_MEMBER.userid(),
            CallbackStatus.FAILURE,
            -1,
            List.of("first"),
            Map.of("vendor", "y"));
    SealedCallback sealed =
        client.encodeCallback(
            new EncodeCallback(FIU, AA, callback, EVERY_MEMBER.redirect(), "", Optional.empty()));
    assertTrue(sealed.location().startsWith(EVERY_MEMBER.redirect() + "&fi="));
    OpenedCallback opened = opened(sealed, Expectation.NOT_COMPARED);
    assertEquals(callback, opened.callback());
    assertEquals("Unlisted error code 4294967295", opened.errorMessage());
    assertFalse(opened.accepted());
  }

  @Test
  void aUserGoesToTheAaAndBack() {
    SealedRedirect sent = sealed(REDIRECT);
    assertEquals("https://alpha.example/webview?" + sent.query(), sent.location());
    assertEquals(URI.create(sent.location()), sent.url());
    assertEquals(4, UUID.fromString(sent.txnid()).version());
    SealedCallback answer =
        client.encodeCallback(EncodeCallback.accepting(opened(sent.location())));
    assertEquals(REDIRECT.redirect() + "&" + answer.query(), answer.location());
    OpenedCallback back = opened(answer, sent.expected());
    assertTrue(back.accepted());
    assertEquals(REDIRECT.srcref(), back.callback().srcref());
    assertEquals(REDIRECT.sessionid(), back.callback().sessionid());
    assertTrue(back.errorMessage().startsWith("Success"));
  }

  @Test
  void anAnswerCanAcceptSomeHandlesOrRefuseWithACode() {
    SealedRedirect sent = sealed(EVERY_MEMBER);
    OpenedRedirect atAa = opened(sent.location());
    EncodeCallback some =
        EncodeCallback.accepting(atAa, List.of("second")).withExtra(Map.of("note", "n"));
    Callback accepted = opened(client.encodeCallback(some), sent.expected()).callback();
    assertEquals(List.of("second"), accepted.srcref());
    assertEquals(Map.of("note", "n"), accepted.extra());
    OpenedCallback refused =
        opened(client.encodeCallback(EncodeCallback.rejecting(atAa, 1)), sent.expected());
    assertFalse(refused.accepted());
    assertEquals("Consent is rejected", refused.errorMessage());
    assertEquals(List.of(), refused.callback().srcref());
  }

  @Test
  void theAnswerIsSealedWithTheSecretThatOpenedTheRequest() {
    OpenedRedirect now = opened(sealed(REDIRECT).location());
    Opening o = now.opening();
    Opening withOld =
        new Opening(
            o.fiuId(),
            o.aaId(),
            o.issueTime(),
            o.age(),
            "2026-05",
            false,
            o.deviations(),
            o.replayUntil(),
            o.replayKey(),
            o.reopened(),
            o.firstOpenTime(),
            o.authenticated());
    OpenedRedirect old = new OpenedRedirect(now.redirect(), now.requestorType(), withOld);
    SealedCallback sealed = client.encodeCallback(EncodeCallback.accepting(old));
    assertEquals("2026-05", sealed.secretId());
    assertFalse(opened(sealed, Expectation.NOT_COMPARED).opening().primarySecret());
  }

  @Test
  void aMessageIsReadFromAUrlAQueryOrParameters() {
    SealedRedirect sent = sealed(REDIRECT);
    List<DecodeRedirect> sources =
        List.of(
            DecodeRedirect.at(AA).url(sent.url()),
            DecodeRedirect.at(AA).url(sent.query()),
            DecodeRedirect.at(AA).url("?" + sent.query()),
            DecodeRedirect.at(AA).params(sent.params()));
    for (DecodeRedirect source : sources) {
      assertEquals(REDIRECT.userid(), client.decodeRedirect(source).redirect().userid());
    }
    SealedCallback answer =
        client.encodeCallback(EncodeCallback.accepting(opened(sent.location())));
    DecodeCallback.Expecting at = DecodeCallback.at(FIU).expecting(sent.expected());
    for (DecodeCallback source :
        List.of(at.url(answer.url()), at.url(answer.query()), at.params(answer.params()))) {
      assertTrue(client.decodeCallback(source).accepted());
    }
  }

  @Test
  void theDateCanBeGiven() {
    Instant given = Instant.now().minusSeconds(100).truncatedTo(ChronoUnit.SECONDS);
    SealedRedirect sealed =
        client.encodeRedirect(EncodeRedirect.of(FIU, REDIRECT).withIssueTime(given));
    assertEquals(given, sealed.issueTime());
    assertEquals(given.plusSeconds(180), sealed.expireTime());
    Opening opening = opened(sealed.location()).opening();
    Duration age = Duration.between(opening.issueTime(), Instant.now());
    assertTrue(age.minus(opening.age()).abs().compareTo(Duration.ofSeconds(20)) < 0);
    assertTrue(opening.replayUntil().orElseThrow().isAfter(given));
  }

  @Test
  void aPairingWithoutAWebViewHasNoLocationButAQuery() {
    Redirect redirect =
        Redirect.builder().userid("u@delta").redirect("https://fiu.example/").srcref("h").build();
    SealedRedirect sealed = client.encodeRedirect(EncodeRedirect.of("lender@sandbox", redirect));
    RedirectException error = assertThrows(RedirectException.class, sealed::location);
    assertSame(Reason.LOCAL_WEBVIEW_MISSING, error.reason());
    assertThrows(RedirectException.class, sealed::url);
    assertEquals("", sealed.maybeLocation());
    DecodeRedirect source = DecodeRedirect.at("delta-aa").url(sealed.query());
    assertEquals(redirect.userid(), client.decodeRedirect(source).redirect().userid());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "https://fiu.example/cb?a=1|2&b={c}",
        "https://fiu.example/a%zz%",
        "https://fiu.example/#a#b",
        "https://fiu.example/सहमति?q=\"<>`^"
      })
  void aUrlThatAUriDoesNotTakeIsEscapedInUrlAndUntouchedInLocation(String url) {
    Callback callback =
        new Callback("t", "", "u@alpha", CallbackStatus.SUCCESS, 0, List.of("h"), Map.of());
    SealedCallback sealed =
        client.encodeCallback(new EncodeCallback(FIU, AA, callback, url, "", Optional.empty()));
    assertTrue(sealed.location().startsWith(url.substring(0, 20)));
    assertEquals("fiu.example", sealed.url().getHost());
    DecodeCallback.Expecting at = DecodeCallback.at(FIU).expecting(Expectation.NOT_COMPARED);
    assertEquals(callback, client.decodeCallback(at.url(sealed.url())).callback());
  }

  @Test
  void resultsAndRequestsDoNotChange() {
    List<String> handles = new ArrayList<>(List.of("a"));
    Redirect redirect = Redirect.builder().userid("u@alpha").srcref(handles).build();
    handles.add("b");
    assertEquals(List.of("a"), redirect.srcref());
    Redirect opened = opened(sealed(EVERY_MEMBER).location()).redirect();
    assertThrows(UnsupportedOperationException.class, () -> opened.srcref().add("x"));
    assertThrows(UnsupportedOperationException.class, () -> opened.extra().put("x", "y"));
    assertThrows(NullPointerException.class, () -> Redirect.builder().pan(null).build());
  }

  @ParameterizedTest
  @ValueSource(strings = {"txnid", "sessionid", "userid", "aa_id"})
  void aCallbackThatDiffersFromWhatIsExpectedIsRefused(String field) {
    SealedRedirect sent = client.encodeRedirect(EncodeRedirect.of(FIU, REDIRECT).withAaId(AA));
    Expected right = sent.expected();
    assertEquals(new Expected(sent.txnid(), REDIRECT.sessionid(), REDIRECT.userid(), AA), right);
    SealedCallback answer =
        client.encodeCallback(EncodeCallback.accepting(opened(sent.location())));
    RedirectException error =
        assertThrows(RedirectException.class, () -> opened(answer, differing(right, field)));
    assertSame(Reason.NOT_EXPECTED, error.reason());
    assertTrue(error.metadata().get("fields").contains(field));
    assertFalse(error.getMessage().contains("something-else"));
    assertTrue(opened(answer, right).accepted());
  }

  private static Expected differing(Expected from, String field) {
    return new Expected(
        field.equals("txnid") ? "something-else" : from.txnid(),
        field.equals("sessionid") ? "something-else" : from.sessionid(),
        field.equals("userid") ? "something-else" : from.userid(),
        field.equals("aa_id") ? "something-else" : from.aaId());
  }

  @ParameterizedTest
  @ValueSource(strings = {"txnid", "sessionid", "userid", "aa_id"})
  void aServiceThatDoesNotKnowExpectedOpensNoOtherCallback(String field) {
    Expected expected = new Expected("t", "s", "u@alpha", AA);
    Expected came = differing(expected, field);
    DecodeCallbackResponse.Builder answer =
        DecodeCallbackResponse.newBuilder().setFiuId(FIU).setAaId(came.aaId());
    answer
        .getCallbackBuilder()
        .setTxnid(came.txnid())
        .setSessionid(came.sessionid())
        .setUserid(came.userid());
    try (Script script = new Script(answer.build());
        RedirectClient old = RedirectClient.to(script.address)) {
      DecodeCallback request = DecodeCallback.at(FIU).expecting(expected).url("fi=x");
      RedirectException error =
          assertThrows(RedirectException.class, () -> old.decodeCallback(request));
      assertSame(Reason.NOT_EXPECTED, error.reason());
      assertEquals(field, error.metadata().get("fields"));
    }
  }

  @Test
  void halfASurrogatePairIsRefusedLikeAnyMalformedField() {
    Redirect redirect =
        Redirect.builder()
            .userid("u@alpha")
            .redirect("https://fiu.example/")
            .srcref("\uD83D hidden")
            .build();
    RedirectException error = assertThrows(RedirectException.class, () -> sealed(redirect));
    assertSame(Reason.FIELD_INVALID, error.reason());
    assertFalse(error.getMessage().contains("hidden"));
  }

  @Test
  void deviationsAreHandedToTheCallbackWithSenderAndPlace() {
    List<DeviationReport> reports = new ArrayList<>();
    try (RedirectClient other =
        RedirectClient.builder(server.address)
            .onDeviations(reports::add)
            .timeout(Duration.ofSeconds(20))
            .build()) {
      SealedRedirect sent = sealed(REDIRECT);
      DecodeRedirect damaged = DecodeRedirect.at(AA).url(sent.location().replace("%3D", ""));
      OpenedRedirect opened =
          other.decodeRedirect(damaged, CallOptions.DEFAULT.withRequestId("r-1"));
      DeviationReport report = reports.get(0);
      assertEquals(List.of(FIU, FIU, AA), List.of(report.sender(), report.fiuId(), report.aaId()));
      assertEquals(opened.opening().deviations(), report.details());
      assertTrue(
          report
              .toString()
              .startsWith("request from 'fiu@sandbox' deviates from the format: BASE64_UNPADDED"));
      assertTrue(report.toString().endsWith("(request id r-1)"));

      SealedCallback answer = client.encodeCallback(EncodeCallback.accepting(opened));
      String url = answer.location().replace("%3D", "");
      other.decodeCallback(DecodeCallback.at(FIU).expecting(sent.expected()).url(url));
      assertEquals(AA, reports.get(1).sender());
      other.decodeRedirect(DecodeRedirect.at(AA).url(sent.location()));
      assertEquals(2, reports.size());
    }
  }

  @Test
  void aCallbackThatFailsFailsNoCall() {
    try (RedirectClient other =
        RedirectClient.builder(server.address)
            .onDeviations(
                report -> {
                  throw new IllegalStateException("broken");
                })
            .build()) {
      DecodeRedirect request = DecodeRedirect.at(AA).url(sealed(EVERY_MEMBER).location());
      assertEquals(EVERY_MEMBER, other.decodeRedirect(request).redirect());
    }
  }

  @Test
  void valuesThatANewerServiceAddsToEnumerationsAreKept() {
    DecodeRedirectResponse.Builder answer =
        DecodeRedirectResponse.newBuilder().setRequestorTypeValue(7).addDeviationsValue(99);
    answer.addDeviationDetailsBuilder().setDeviationValue(99).setPlace("fi");
    try (Script script = new Script(answer.build());
        RedirectClient other = RedirectClient.to(script.address)) {
      OpenedRedirect opened = other.decodeRedirect(DecodeRedirect.at(AA).url("fi=x"));
      assertSame(RequestorType.UNRECOGNIZED, opened.requestorType());
      assertEquals("[UNKNOWN_99 in fi]", opened.opening().deviations().toString());
    }
  }

  @Test
  void theEnumerationsAreThoseOfTheProto() {
    assertEquals(aa.redirect.v1.Deviation.values().length, Deviation.values().length);
    for (var value : aa.redirect.v1.Deviation.values()) {
      assertEquals(
          value == aa.redirect.v1.Deviation.UNRECOGNIZED,
          Deviation.of(value) == Deviation.UNRECOGNIZED);
    }
    for (var value : aa.redirect.v1.Reopen.values()) {
      assertEquals(
          value == aa.redirect.v1.Reopen.UNRECOGNIZED, Reopen.of(value) == Reopen.UNRECOGNIZED);
    }
    for (var value : aa.redirect.v1.Authentication.values()) {
      boolean unknown = value == aa.redirect.v1.Authentication.UNRECOGNIZED;
      assertEquals(unknown, Authentication.of(value) == Authentication.UNRECOGNIZED);
    }
    assertThrows(IllegalArgumentException.class, RequestorType.UNRECOGNIZED::proto);
  }

  @Test
  void whatTheServiceRemembersIsInTheResult() {
    Instant first = Instant.parse("2026-11-28T01:02:03Z");
    DecodeCallbackResponse answer =
        DecodeCallbackResponse.newBuilder()
            .setReplayKey("0a".repeat(16))
            .setReopened(true)
            .setAuthenticated(true)
            .setFirstOpenTime(Times.timestamp(first))
            .build();
    try (Script script = new Script(answer);
        RedirectClient other = RedirectClient.to(script.address)) {
      DecodeCallback request =
          DecodeCallback.at(FIU).expecting(Expectation.NOT_COMPARED).url("fi=x");
      OpenedCallback opened = other.decodeCallback(request);
      assertTrue(opened.reopened() && opened.opening().authenticated());
      assertEquals("0a".repeat(16), opened.opening().replayKey());
      assertEquals(Optional.of(first), opened.opening().firstOpenTime());
      assertEquals(Optional.empty(), opened.opening().replayUntil());
    }
  }

  @Test
  void aSecondOpeningIsReported() {
    SealedRedirect sent = sealed(REDIRECT);
    Opening first = opened(sent.location()).opening();
    Opening again = opened(sent.location()).opening();
    assertFalse(first.reopened());
    assertTrue(again.reopened());
    assertEquals(first.firstOpenTime().orElseThrow(), again.firstOpenTime().orElseThrow());
    assertEquals(32, first.replayKey().length());
    assertEquals(first.replayKey(), again.replayKey());
    assertNotEquals(first.replayKey(), opened(sealed(REDIRECT).location()).opening().replayKey());
  }

  @Test
  void aCallerThatRepeatsACallNamesTheAttempt() {
    DecodeRedirect request = DecodeRedirect.at(AA).url(sealed(REDIRECT).location());
    CallOptions options = CallOptions.DEFAULT.withAttemptId(UUID.randomUUID().toString());
    assertFalse(client.decodeRedirect(request, options).reopened());
    assertFalse(client.decodeRedirect(request, options).reopened());
  }

  @Test
  void pairingsAreListedPageByPage() {
    List<Pairing> pairings = client.listPairings();
    assertEquals(pairings, client.async().listPairings(3, CallOptions.DEFAULT).join());
    List<String> ids =
        pairings.stream().map(pairing -> pairing.fiuId() + " " + pairing.aaId()).toList();
    List<String> expected = new ArrayList<>();
    for (String fiu : List.of(FIU, "lender@sandbox")) {
      for (String aa : List.of("alpha-aa", "beta-aa", "delta-aa", "gamma-aa")) {
        expected.add(fiu + " " + aa);
      }
    }
    assertEquals(expected, ids);
    Pairing alpha = pairings.get(0);
    assertEquals(
        "iv HKDF_IV [alpha]", alpha.profile() + " " + alpha.scheme() + " " + alpha.handles());
    assertEquals("https://alpha.example/webview", alpha.webviewUrl());
    assertEquals(
        List.of(
            new Secret("2026-11", SecretState.PRIMARY),
            new Secret("2026-05", SecretState.DECODE_ONLY)),
        alpha.secrets());
  }

  @Test
  void theSettingsOfAPairingAreListed() {
    Pairing alpha = client.listPairings().get(0);
    assertEquals(List.of("fiu.example", "*.fiu.example"), alpha.redirectHosts());
    assertEquals(Optional.of(Duration.ofSeconds(180)), alpha.maxAge());
    assertEquals("millis repeated", alpha.dateStyle() + " " + alpha.listSyntax());
    assertTrue(alpha.checkResdate());
  }

  @Test
  void theSameCallsAreMadeWithoutWaiting() {
    AsyncRedirectClient async = client.async();
    String accepted =
        async
            .encodeRedirect(EncodeRedirect.of(FIU, REDIRECT))
            .thenCompose(
                sent ->
                    async
                        .decodeRedirect(DecodeRedirect.at(AA).url(sent.location()))
                        .thenCompose(
                            opened -> async.encodeCallback(EncodeCallback.accepting(opened)))
                        .thenCompose(
                            answer ->
                                async.decodeCallback(
                                    DecodeCallback.at(FIU)
                                        .expecting(sent.expected())
                                        .url(answer.location()))))
            .thenApply(OpenedCallback::errorMessage)
            .join();
    assertTrue(accepted.startsWith("Success"));
    var failed = async.decodeRedirect(DecodeRedirect.at(AA).url("fi=x"));
    var error = assertThrows(CompletionException.class, failed::join);
    assertSame(Reason.URL_MALFORMED, ((RedirectException) error.getCause()).reason());
  }
}
