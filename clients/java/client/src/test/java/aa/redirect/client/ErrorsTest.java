package aa.redirect.client;

import static aa.redirect.client.Server.AA;
import static aa.redirect.client.Server.FIU;
import static aa.redirect.client.Server.REDIRECT;
import static aa.redirect.client.Server.SLOW_REDIRECT;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import aa.redirect.v1.ErrorReason;
import com.google.rpc.BadRequest;
import com.google.rpc.RequestInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Every reason, provoked on the service if that is possible, and what an error has and shows. */
@Timeout(120)
class ErrorsTest {
  private static final Object[] BUSY = {"--sandbox", "--kdf-threads", 1};
  private static Server server;
  private static RedirectClient client;
  @TempDir Path folder;

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

  private static RedirectException refusal(Executable call) {
    return assertThrows(RedirectException.class, call);
  }

  private static SealedRedirect encode(RedirectClient by, Redirect redirect) {
    return by.encodeRedirect(EncodeRedirect.of(FIU, redirect));
  }

  private static Executable encoding(Redirect.Builder redirect) {
    return () -> encode(client, redirect.build());
  }

  private static Redirect.Builder redirect() {
    return Redirect.builder().userid("u@alpha").redirect("https://fiu.example/").srcref("h");
  }

  private static String date(Instant when) {
    return DateTimeFormatter.ofPattern("ddMMyyyyHHmmssSSS").withZone(ZoneOffset.UTC).format(when);
  }

  /** Parameters in the right form that nobody sealed. */
  private static RedirectParams params(String date, String ecreq, String iv) {
    byte[] fi = FIU.getBytes(StandardCharsets.UTF_8);
    for (int at = 0; at < fi.length; at++) {
      fi[at] ^= (byte) date.charAt(at % date.length());
    }
    return new RedirectParams(Base64.getEncoder().encodeToString(fi), date, ecreq, iv, "");
  }

  private static Executable decoding(String aa, String date, String ecreq, String iv) {
    return () -> client.decodeRedirect(DecodeRedirect.at(aa).params(params(date, ecreq, iv)));
  }

  static Stream<Arguments> refusals() {
    String now = date(Instant.now());
    String blocks = "A".repeat(43) + "=";
    String iv = "A".repeat(22) + "==";
    Executable unreadable =
        () -> client.decodeRedirect(DecodeRedirect.at(AA).url("https://x/?fi=AAAA&ecreq=AAAA"));
    return Stream.of(
        Arguments.of("FIELD_INVALID", "INVALID_ARGUMENT", encoding(redirect().userid(""))),
        Arguments.of("URL_MALFORMED", "INVALID_ARGUMENT", unreadable),
        Arguments.of("PARAMETER_MALFORMED", "INVALID_ARGUMENT", decoding(AA, now, "!!!!", iv)),
        Arguments.of(
            "DATE_MALFORMED", "INVALID_ARGUMENT", decoding(AA, "310220260510756", blocks, iv)),
        Arguments.of(
            "DATE_EXPIRED",
            "FAILED_PRECONDITION",
            decoding(AA, date(Instant.now().minusSeconds(400)), blocks, iv)),
        Arguments.of(
            "DATE_IN_FUTURE",
            "FAILED_PRECONDITION",
            decoding(AA, date(Instant.now().plusSeconds(600)), blocks, iv)),
        Arguments.of("PAIRING_UNKNOWN", "NOT_FOUND", encoding(redirect().userid("u@nobody"))),
        Arguments.of("PAIRING_AMBIGUOUS", "INVALID_ARGUMENT", decoding("", now, blocks, iv)),
        Arguments.of("SCHEME_MISMATCH", "FAILED_PRECONDITION", decoding(AA, now, blocks, "")),
        Arguments.of(
            "REDIRECT_FORBIDDEN",
            "PERMISSION_DENIED",
            encoding(redirect().redirect("https://evil.test/"))),
        Arguments.of("UNDECIPHERABLE", "INVALID_ARGUMENT", decoding(AA, now, blocks, iv)),
        Arguments.of(
            "REQUEST_TOO_LARGE",
            "RESOURCE_EXHAUSTED",
            encoding(redirect().sessionid("s".repeat(70_000)))));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("refusals")
  void aRefusalHasItsReasonAndCode(Reason reason, Status.Code code, Executable call) {
    RedirectException error = refusal(call);
    assertSame(reason, error.reason());
    assertSame(code, error.code());
    assertFalse(error.requestId().isEmpty());
    assertEquals(1, error.tries());
    assertTrue(error.getMessage().startsWith(reason + ": " + error.description()));
    assertTrue(
        error.getMessage().endsWith(" request_id=" + error.requestId() + " tries=1]"),
        error::getMessage);
    // The stack trace is that of the caller.
    assertTrue(Arrays.toString(error.getStackTrace()).contains("ErrorsTest"));
  }

  @Test
  void allFieldsAtFaultAreInTheErrorAndInItsText() {
    RedirectException error = refusal(encoding(redirect().userid("").srcref(List.of()).pan("x")));
    assertEquals(
        List.of("redirect.userid", "redirect.srcref", "redirect.pan"),
        error.violations().stream().map(FieldViolation::field).toList());
    for (FieldViolation violation : error.violations()) {
      assertTrue(
          error.getMessage().contains("; " + violation.field() + ": " + violation.description()));
    }
  }

  @Test
  void aSingleFieldAtFaultIsSaidOnce() {
    RedirectException error = refusal(encoding(redirect().userid("")));
    assertEquals(1, error.violations().size());
    assertTrue(
        error
            .getMessage()
            .startsWith("FIELD_INVALID: " + error.description() + " [EncodeRedirect "),
        error::getMessage);
    String description = error.violations().get(0).description();
    assertTrue(error.description().endsWith(description), error::description);
  }

  @Test
  void metadataAndHintAreInTheError() {
    String india = date(Instant.now().plusSeconds(19_800));
    RedirectException error =
        refusal(decoding(AA, india, "A".repeat(43) + "=", "A".repeat(22) + "=="));
    assertEquals("180", error.metadata().get("max_age_seconds"));
    assertTrue(error.getMessage().contains(" max_age_seconds=180"));
    assertEquals(Optional.of("LOCAL_TIME"), error.hint());
  }

  @Test
  void unknownAndForbiddenCallersHaveTheirOwnReasons() throws Exception {
    Path callers = folder.resolve("callers.toml");
    byte[] digest =
        MessageDigest.getInstance("SHA-256").digest("right-token".getBytes(StandardCharsets.UTF_8));
    String hash = HexFormat.of().formatHex(digest);
    Files.writeString(
        callers,
        "[[caller]]\nname = \"aa\"\ntoken_sha256 = \""
            + hash
            + "\"\nmethods = [\"DecodeRedirect\"]\n");
    Iterator<String> tokens = List.of("wrong-token", "right-token").iterator();
    try (Server guarded = Server.start("--callers", callers, "--sandbox");
        RedirectClient none = RedirectClient.to(guarded.address);
        RedirectClient wrong =
            RedirectClient.builder(guarded.address).token("wrong-token").build();
        RedirectClient right =
            RedirectClient.builder(guarded.address).token("right-token").build();
        RedirectClient changing =
            RedirectClient.builder(guarded.address).token(tokens::next).build()) {
      assertSame(Reason.CALLER_UNKNOWN, refusal(() -> encode(none, REDIRECT)).reason());
      assertSame(Reason.CALLER_UNKNOWN, refusal(() -> encode(wrong, REDIRECT)).reason());
      assertSame(Reason.CALLER_FORBIDDEN, refusal(() -> encode(right, REDIRECT)).reason());
      DecodeRedirect request = DecodeRedirect.at(AA).url("fi=x");
      assertSame(Reason.CALLER_UNKNOWN, refusal(() -> changing.decodeRedirect(request)).reason());
      assertSame(Reason.URL_MALFORMED, refusal(() -> changing.decodeRedirect(request)).reason());
    }
  }

  /**
   * Sends PBKDF2 calls over several connections. They all arrive while the server is paused, and
   * each has its own date.
   */
  private static List<RedirectClient> flood(Server busy, int calls) {
    List<RedirectClient> clients = new ArrayList<>();
    for (int number = 0; number < 12; number++) {
      clients.add(RedirectClient.builder(busy.address).timeout(Duration.ofSeconds(60)).build());
      clients.get(number).listPairings();
    }
    busy.pause();
    Instant minute = Instant.now().truncatedTo(ChronoUnit.MINUTES);
    for (int number = 0; number < calls; number++) {
      // The test itself uses the dates of the present minute.
      Instant date = minute.plusSeconds(number < 1_000 ? 60 : -60).plusMillis(number % 1_000);
      clients
          .get(number % 12)
          .async()
          .encodeRedirect(EncodeRedirect.of(FIU, SLOW_REDIRECT).withIssueTime(date));
    }
    sleep(Duration.ofMillis(500));
    busy.goOn();
    return clients;
  }

  private static void end(List<RedirectClient> clients, Server busy) {
    busy.close();
    clients.forEach(RedirectClient::close);
  }

  private static void sleep(Duration time) {
    try {
      Thread.sleep(time.toMillis());
    } catch (InterruptedException interrupted) {
      throw new IllegalStateException(interrupted);
    }
  }

  @Test
  void anOverloadedServerSaysWhenToTryAgain() {
    Server busy = Server.start(BUSY);
    List<RedirectClient> others = flood(busy, 1_800);
    Instant minute = Instant.now().truncatedTo(ChronoUnit.MINUTES);
    try {
      // More calls than places have become free in the queue since it was full.
      List<CompletableFuture<SealedRedirect>> calls = new ArrayList<>();
      CallOptions impatient = CallOptions.DEFAULT.withTimeout(Duration.ofMillis(300));
      for (int number = 0; number < 600; number++) {
        EncodeRedirect request =
            EncodeRedirect.of(FIU, SLOW_REDIRECT).withIssueTime(minute.plusMillis(number));
        calls.add(others.get(number % 12).async().encodeRedirect(request, impatient));
      }
      List<RedirectException> errors =
          calls.stream()
              .map(call -> call.handle((done, failed) -> failed).join())
              .map(RedirectException.class::cast)
              .toList();
      RedirectException error =
          errors.stream()
              .filter(one -> one != null && one.reason() == Reason.OVERLOADED)
              .findFirst()
              .orElseThrow();
      assertSame(Status.Code.RESOURCE_EXHAUSTED, error.code());
      assertTrue(error.retryDelay().orElseThrow().toMillis() > 0);
    } finally {
      end(others, busy);
    }
  }

  @Test
  void aDeadlineThatTheServiceNoticesFirstIsTimedOut() throws Exception {
    // A decode call waits for a store that never answers.
    try (ServerSocket deaf = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        Server waiting =
            Server.start(
                "--sandbox",
                "--store",
                "redis://127.0.0.1:" + deaf.getLocalPort(),
                "--store-outage",
                "closed",
                "--store-timeout-milliseconds",
                10_000,
                "--max-deadline",
                1);
        RedirectClient caller =
            RedirectClient.builder(waiting.address).timeout(Duration.ofSeconds(30)).build()) {
      DecodeRedirect request = DecodeRedirect.at(AA).url(encode(caller, REDIRECT).location());
      RedirectException error = refusal(() -> caller.decodeRedirect(request));
      assertSame(Reason.TIMED_OUT, error.reason());
      assertSame(Status.Code.DEADLINE_EXCEEDED, error.code());
    }
  }

  @Test
  void aSecondOpeningIsRefusedIfThePairingSaysSo() throws Exception {
    try (Server refusing = Server.start("--keyring", refusingKeyring());
        RedirectClient caller = RedirectClient.to(refusing.address)) {
      String url =
          caller
              .encodeRedirect(EncodeRedirect.of("fiu", redirect().userid("u@aa").build()))
              .location();
      OpenedRedirect first = caller.decodeRedirect(DecodeRedirect.at("aa").url(url));
      RedirectException error =
          refusal(() -> caller.decodeRedirect(DecodeRedirect.at("aa").url(url)));
      assertSame(Reason.ALREADY_OPENED, error.reason());
      assertSame(Status.Code.FAILED_PRECONDITION, error.code());
      String time =
          first.opening().firstOpenTime().orElseThrow().truncatedTo(ChronoUnit.SECONDS).toString();
      assertTrue(error.metadata().get("first_open_time").startsWith(time.replace("Z", "")));
    }
  }

  @Test
  void aStoreThatIsAwayIsTriedAgainAndReported() throws Exception {
    try (Server refusing =
            Server.start("--keyring", refusingKeyring(), "--store", "redis://127.0.0.1:1");
        RedirectClient caller = RedirectClient.to(refusing.address)) {
      String url =
          caller
              .encodeRedirect(EncodeRedirect.of("fiu", redirect().userid("u@aa").build()))
              .location();
      RedirectException error =
          refusal(() -> caller.decodeRedirect(DecodeRedirect.at("aa").url(url)));
      assertSame(Reason.STORE_UNAVAILABLE, error.reason());
      assertSame(Status.Code.UNAVAILABLE, error.code());
      assertEquals(3, error.tries());
    }
  }

  private Path refusingKeyring() throws Exception {
    Files.writeString(folder.resolve("secret"), "0123456789abcdefghijklmnopqrstuv");
    return Files.writeString(
        folder.resolve("keyring.toml"),
        """
        [[pairing]]
        fiu = "fiu"
        aa = "aa"
        profile = "iv"
        webview = "https://aa.example/"
        handles = ["aa"]
        reopen = "refuse"
        secrets = [{ id = "s", file = "secret" }]
        """);
  }

  private static RedirectException scripted(Object answer) {
    try (Script script = new Script(answer);
        RedirectClient caller = RedirectClient.to(script.address)) {
      return refusal(() -> encode(caller, REDIRECT));
    }
  }

  @Test
  void theReasonsOfThisPackageAndOfTheProtoAreTheSame() {
    assertEquals(
        Stream.of(ErrorReason.values())
            .map(reason -> reason.name().replace("ERROR_REASON_", ""))
            .filter(name -> !name.equals("UNSPECIFIED"))
            .collect(Collectors.toSet()),
        Stream.of(Reason.values())
            .filter(reason -> !reason.isLocal())
            .map(Reason::name)
            .collect(Collectors.toSet()));
  }

  @ParameterizedTest
  @EnumSource(Reason.class)
  void everyReasonIsReadAndSerialized(Reason reason) throws Exception {
    RedirectException error =
        scripted(
            Script.refusal(
                Status.Code.INVALID_ARGUMENT, "aa.redirect.v1", reason.name(), Map.of("a", "b")));
    // A service never gives the reasons of this package.
    assertSame(reason.isLocal() ? Reason.UNRECOGNIZED : reason, error.reason());
    assertEquals(reason.name(), error.reasonName());
    assertEquals(reason + ": no [EncodeRedirect a=b tries=1]", error.getMessage());
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
      out.writeObject(error);
    }
    try (ObjectInputStream in =
        new ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray()))) {
      RedirectException other = (RedirectException) in.readObject();
      assertEquals(error.getMessage(), other.getMessage());
      assertEquals(error.metadata(), other.metadata());
      assertSame(error.reason(), other.reason());
    }
  }

  @Test
  void aReasonOfANewerServiceIsKept() {
    RedirectException error = scripted(Script.refusal(Status.Code.INVALID_ARGUMENT, "MOON_FULL"));
    assertSame(Reason.UNRECOGNIZED, error.reason());
    assertEquals("MOON_FULL", error.reasonName());
    assertEquals("MOON_FULL: no [EncodeRedirect tries=1]", error.getMessage());
  }

  @Test
  void whatTheDetailsSayIsInTheError() {
    BadRequest bad =
        BadRequest.newBuilder()
            .addFieldViolations(
                BadRequest.FieldViolation.newBuilder()
                    .setField("a.b")
                    .setDescription("is required"))
            .build();
    RequestInfo info = RequestInfo.newBuilder().setRequestId("r-1").build();
    RedirectException error =
        scripted(
            Script.refusal(
                Status.Code.INVALID_ARGUMENT,
                "aa.redirect.v1",
                "FIELD_INVALID",
                Map.of("fields", "a.b", "hint", "NOT_PROTOBUF"),
                bad,
                info));
    assertEquals(List.of(new FieldViolation("a.b", "is required")), error.violations());
    assertEquals(Optional.of("NOT_PROTOBUF"), error.hint());
    assertEquals(
        "FIELD_INVALID: no; a.b: is required [EncodeRedirect hint=NOT_PROTOBUF request_id=r-1 tries=1]",
        error.getMessage());
  }

  @Test
  void anErrorThatIsNotOfTheServiceIsNeverTakenForOne() {
    Metadata noProtobuf = new Metadata();
    noProtobuf.put(
        Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER),
        new byte[] {-1, -1});
    Status status = Status.UNIMPLEMENTED.withDescription("no such\nmethod");
    for (Object answer :
        List.of(
            status.asException(),
            Script.refusal(Status.Code.UNIMPLEMENTED, "proxy.example", "FIELD_INVALID", Map.of()),
            status.asException(noProtobuf))) {
      RedirectException error = scripted(answer);
      assertSame(Reason.LOCAL_UNEXPECTED_ANSWER, error.reason());
      assertSame(Status.Code.UNIMPLEMENTED, error.code());
      // The text is one line, whatever a proxy writes.
      assertTrue(
          error.getMessage().matches("LOCAL_UNEXPECTED_ANSWER: .*UNIMPLEMENTED: no.*\\[.*]"),
          error::getMessage);
    }
  }

  @Test
  void anAnswerThatIsNoProtobufIsUnexpected() {
    assertSame(Reason.LOCAL_UNEXPECTED_ANSWER, scripted(new byte[] {-1, -1, -1}).reason());
  }

  @Test
  void noAnswerInTimeIsALocalError() {
    try (Server paused = Server.start();
        RedirectClient caller =
            RedirectClient.builder(paused.address).timeout(Duration.ofMillis(300)).build()) {
      EncodeRedirect request = EncodeRedirect.of(FIU, REDIRECT);
      caller.encodeRedirect(request, CallOptions.DEFAULT.withTimeout(Duration.ofSeconds(20)));
      paused.pause();
      RedirectException error = refusal(() -> caller.encodeRedirect(request));
      assertSame(Reason.LOCAL_DEADLINE_EXCEEDED, error.reason());
      assertSame(Status.Code.DEADLINE_EXCEEDED, error.code());
      assertEquals("no answer within 300 ms", error.description());
      CallOptions shorter = CallOptions.DEFAULT.withTimeout(Duration.ofMillis(200));
      assertEquals(
          "no answer within 200 ms",
          refusal(() -> caller.encodeRedirect(request, shorter)).description());
    }
  }

  @Test
  void noServerIsALocalErrorAfterAllTries() {
    try (RedirectClient caller = RedirectClient.to("127.0.0.1:1")) {
      RedirectException error = refusal(() -> encode(caller, REDIRECT));
      assertSame(Reason.LOCAL_UNREACHABLE, error.reason());
      assertSame(Status.Code.UNAVAILABLE, error.code());
      assertEquals(3, error.tries());
      assertTrue(error.getMessage().contains("refused"), error::getMessage);
    }
  }

  @Test
  void aClosedClientReportsThatItIsClosed() {
    RedirectClient caller = RedirectClient.to(server.address);
    caller.close();
    assertSame(Reason.LOCAL_CANCELLED, refusal(() -> encode(caller, REDIRECT)).reason());
  }

  @Test
  void closingLetsCallsEndAndThenCancelsThem() {
    try (Server paused = Server.start()) {
      RedirectClient caller =
          RedirectClient.builder(paused.address).timeout(Duration.ofSeconds(1)).build();
      encode(caller, REDIRECT);
      CompletableFuture<SealedRedirect> ending =
          caller.async().encodeRedirect(EncodeRedirect.of(FIU, REDIRECT));
      caller.close();
      assertTrue(ending.join().location().startsWith("https://alpha.example/"));

      RedirectClient other =
          RedirectClient.builder(paused.address).timeout(Duration.ofSeconds(1)).build();
      encode(other, REDIRECT);
      paused.pause();
      CallOptions patient = CallOptions.DEFAULT.withTimeout(Duration.ofSeconds(60));
      CompletableFuture<SealedRedirect> hanging =
          other.async().encodeRedirect(EncodeRedirect.of(FIU, REDIRECT), patient);
      other.close();
      Throwable cause = assertThrows(CompletionException.class, hanging::join).getCause();
      assertSame(Reason.LOCAL_CANCELLED, ((RedirectException) cause).reason());
    }
  }

  @Test
  void aCancelledFutureCancelsItsCall() {
    try (Server busy = Server.start(BUSY);
        RedirectClient caller =
            RedirectClient.builder(busy.address).timeout(Duration.ofSeconds(60)).build()) {
      caller.listPairings();
      busy.pause();
      CompletableFuture<SealedRedirect> call =
          caller.async().encodeRedirect(EncodeRedirect.of(FIU, REDIRECT));
      assertTrue(call.cancel(true));
      assertThrows(CancellationException.class, call::join);
      long before = System.nanoTime();
      caller.close();
      // Nothing was left to wait for.
      assertTrue(System.nanoTime() - before < Duration.ofSeconds(30).toNanos());
    }
  }

  @Test
  void anInterruptedThreadStopsWaitingAndStaysInterrupted() {
    try (Server paused = Server.start();
        RedirectClient caller =
            RedirectClient.builder(paused.address).timeout(Duration.ofSeconds(20)).build()) {
      caller.listPairings();
      paused.pause();
      Thread.currentThread().interrupt();
      RedirectException error = refusal(() -> encode(caller, REDIRECT));
      assertTrue(Thread.interrupted());
      assertSame(Reason.LOCAL_CANCELLED, error.reason());
      paused.goOn();
    }
  }

  @Test
  void noErrorShowsWhatWasSent() {
    Redirect hidden =
        Redirect.builder()
            .userid("hidden-user")
            .sessionid("hidden-session")
            .redirect("hidden://url")
            .srcref("hidden,ref")
            .pan("hidden-pan")
            .build();
    for (RedirectException error :
        List.of(
            refusal(() -> encode(client, hidden)),
            refusal(
                () ->
                    client.decodeRedirect(
                        DecodeRedirect.at(AA).url("?fi=hidden&reqdate=hidden&ecreq=hidden"))),
            refusal(
                () ->
                    client.decodeCallback(
                        DecodeCallback.at(FIU)
                            .expecting(Expectation.NOT_COMPARED)
                            .url("hidden"))))) {
      String printed = error + " " + error.metadata() + error.violations() + error.getCause();
      assertFalse(printed.contains("hidden"), printed);
    }
  }
}
