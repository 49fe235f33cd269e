package aa.redirect.client;

import static aa.redirect.client.Server.AA;
import static aa.redirect.client.Server.FIU;
import static aa.redirect.client.Server.REDIRECT;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import aa.redirect.v1.EncodeRedirectResponse;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.MethodDescriptor;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Every option of a client and of a call, and what is printed. */
@Timeout(120)
class OptionsTest {
  private static final EncodeRedirectResponse ANSWER =
      EncodeRedirectResponse.newBuilder().setUrl("https://aa.example/").build();
  private static final String TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

  @TempDir static Path folder;
  private static Authority ours;
  private static Authority theirs;

  @BeforeAll
  static void sign() throws Exception {
    ours = new Authority(folder, "ours");
    theirs = new Authority(folder, "theirs");
  }

  private static void encode(RedirectClient client) {
    client.encodeRedirect(EncodeRedirect.of(FIU, REDIRECT));
  }

  private static RedirectClient patient(String... addresses) {
    return RedirectClient.builder(addresses).timeout(Duration.ofSeconds(20)).build();
  }

  private static String unreachable(Tls tls, String address) {
    RedirectClient.Builder builder =
        RedirectClient.builder(address).timeout(Duration.ofSeconds(20));
    try (RedirectClient client = tls == null ? builder.build() : builder.tls(tls).build()) {
      RedirectException error = assertThrows(RedirectException.class, () -> encode(client));
      assertSame(Reason.LOCAL_UNREACHABLE, error.reason());
      return error.getMessage();
    }
  }

  private static void callUntilAllAnswered(RedirectClient client, Server... servers) {
    Server.await(
        () -> {
          encode(client);
          return List.of(servers).stream().allMatch(Server::hasAnswered);
        });
  }

  // Addresses

  @Test
  void aUnixSocketIsAnAddress() {
    String address = "unix:" + folder.resolve("socket");
    try (Server server = Server.startAt(address);
        RedirectClient client = patient(address)) {
      encode(client);
    }
  }

  @Test
  void aNameIsAnAddress() {
    try (Server server = Server.start();
        RedirectClient client = patient(server.address.replace("127.0.0.1", "localhost"))) {
      encode(client);
    }
  }

  @Test
  void severalAddressesAreUsedInTurnWhateverTheirKind() {
    try (Server first = Server.start();
        Server second = Server.startAt("[::1]:0");
        Server third = Server.start();
        RedirectClient client =
            patient(
                first.address, second.address, third.address.replace("127.0.0.1", "localhost"))) {
      callUntilAllAnswered(client, first, second, third);
    }
  }

  @Test
  void anAddressThatNobodyServesFailsNoCallAsLongAsAnotherDoes() {
    try (Server server = Server.start();
        RedirectClient client =
            RedirectClient.builder("127.0.0.1:1", "no-such-name.invalid:1", server.address)
                .plaintext()
                .timeout(Duration.ofSeconds(20))
                .build()) {
      for (int call = 0; call < 10; call++) {
        encode(client);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "fiu.example",
        "https://fiu.example:1",
        "fiu.example:0",
        "fiu.example:70000",
        "unix:",
        "a:1,unix:/b"
      })
  void aMalformedAddressIsRefusedAtOnce(String addresses) {
    assertThrows(
        IllegalArgumentException.class, () -> RedirectClient.builder(addresses.split(",")));
  }

  @Test
  void noAddressIsRefusedAtOnce() {
    assertThrows(IllegalArgumentException.class, RedirectClient::builder);
  }

  // TLS

  private static Server tlsServer(Authority authority, String name, Object... more)
      throws Exception {
    Authority.Issued issued = authority.issue(name);
    List<Object> settings =
        new ArrayList<>(
            List.of("--tls-cert", issued.certificate(), "--tls-key", issued.key(), "--sandbox"));
    settings.addAll(List.of(more));
    return Server.start(settings.toArray());
  }

  private static RedirectClient over(Tls tls, String... addresses) {
    return RedirectClient.builder(addresses).tls(tls).timeout(Duration.ofSeconds(20)).build();
  }

  @Test
  void aServerWithTheRightCertificateIsCalledOverTls() throws Exception {
    try (Server first = tlsServer(ours, "127.0.0.1");
        Server second = tlsServer(ours, "127.0.0.1");
        RedirectClient one = over(Tls.trusting(ours.file), first.address);
        RedirectClient both = over(Tls.trusting(ours.file), first.address, second.address)) {
      encode(one);
      callUntilAllAnswered(both, first, second);
    }
  }

  @Test
  void theNameOfTheCertificateCanBeGiven() throws Exception {
    Tls named = Tls.trusting(ours.file).withServerName("redirect.internal");
    try (Server first = tlsServer(ours, "redirect.internal");
        Server second = tlsServer(ours, "redirect.internal");
        RedirectClient client = over(named, first.address, second.address)) {
      callUntilAllAnswered(client, first, second);
      unreachable(Tls.trusting(ours.file), first.address);
    }
  }

  @Test
  void aCertificateOfAnotherAuthorityIsRefused() throws Exception {
    try (Server server = tlsServer(theirs, "127.0.0.1")) {
      String told = unreachable(Tls.trusting(ours.file), server.address);
      assertTrue(told.contains("certification path"), told);
      unreachable(Tls.systemRoots(), server.address);
    }
  }

  @Test
  void aCertificateOfAnotherNameIsRefused() throws Exception {
    try (Server server = tlsServer(ours, "127.0.0.2")) {
      unreachable(Tls.trusting(ours.file), server.address);
    }
  }

  @Test
  void plainTextAndTlsDoNotMeet() throws Exception {
    try (Server plain = Server.start();
        Server tls = tlsServer(ours, "127.0.0.1")) {
      unreachable(Tls.trusting(ours.file), plain.address);
      try (RedirectClient client = patient(tls.address)) {
        RedirectException error = assertThrows(RedirectException.class, () -> encode(client));
        assertTrue(error.reason().isLocal());
      }
    }
  }

  @Test
  void mutualTlsShowsTheCertificate() throws Exception {
    Authority.Issued right = theirs.issue("backend");
    Authority.Issued wrong = ours.issue("backend");
    Tls trusting = Tls.trusting(ours.file);
    try (Server server = tlsServer(ours, "127.0.0.1", "--tls-client-ca", theirs.file);
        RedirectClient client =
            over(
                trusting.withClientCertificate(right.certificate(), right.key()), server.address)) {
      encode(client);
      unreachable(trusting, server.address);
      unreachable(trusting.withClientCertificate(wrong.certificate(), wrong.key()), server.address);
    }
  }

  @Test
  void otherAddressesAreCalledOverTlsUnlessPlainTextIsWanted() {
    assertTrue(unreachable(null, "127.0.0.1:1").contains("refused"));
    try (RedirectClient client = RedirectClient.builder("10.0.0.1:1").plaintext().build()) {
      assertEquals("RedirectClient[10.0.0.1:1]", client.toString());
    }
    RedirectClient.Builder both =
        RedirectClient.builder("10.0.0.1:1").plaintext().tls(Tls.systemRoots());
    assertThrows(IllegalArgumentException.class, both::build);
    RedirectClient.Builder socket = RedirectClient.builder("unix:/a").tls(Tls.systemRoots());
    assertThrows(IllegalArgumentException.class, socket::build);
    RedirectClient.Builder missing =
        RedirectClient.builder("10.0.0.1:1").tls(Tls.trusting(folder.resolve("none")));
    assertThrows(java.io.UncheckedIOException.class, missing::build);
  }

  // Tokens

  @Test
  void aTokenIsSentInPlainTextToThisMachine() {
    try (Script script = new Script(ANSWER);
        RedirectClient client =
            RedirectClient.builder(script.address).token("secret-token").build()) {
      encode(client);
      assertEquals("Bearer secret-token", script.header(0, "authorization"));
    }
  }

  @Test
  void aTokenIsSentOverTls() throws Exception {
    byte[] digest =
        MessageDigest.getInstance("SHA-256")
            .digest("secret-token".getBytes(StandardCharsets.UTF_8));
    String hash = HexFormat.of().formatHex(digest);
    Path callers =
        Files.writeString(
            folder.resolve("callers.toml"),
            "[[caller]]\nname = \"b\"\ntoken_sha256 = \"" + hash + "\"\n");
    try (Server server = tlsServer(ours, "127.0.0.1", "--callers", callers);
        RedirectClient client =
            RedirectClient.builder(server.address)
                .tls(Tls.trusting(ours.file))
                .token("secret-token")
                .timeout(Duration.ofSeconds(20))
                .build()) {
      encode(client);
    }
  }

  @Test
  void aTokenDoesNotLeaveThisMachineInPlainTextUnlessItIsAllowed() {
    for (String addresses :
        List.of("10.0.0.1:1", "127.0.0.1:1,10.0.0.1:1", "[2001:db8::1]:1", "loopback.example:1")) {
      RedirectClient.Builder builder =
          RedirectClient.builder(addresses.split(",")).plaintext().token("secret-token");
      assertThrows(IllegalArgumentException.class, builder::build);
      builder.tokenOverPlaintext().build().close();
    }
    for (String address : List.of("[::1]:1", "localhost:1", "127.9.9.9:1", "unix:/a")) {
      RedirectClient.builder(address).token("secret-token").build().close();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "two words", "line\n", "é"})
  void aTokenThatNoHeaderCanCarryIsRefused(String token) {
    RedirectClient.Builder builder = RedirectClient.builder("127.0.0.1:1");
    var error = assertThrows(IllegalArgumentException.class, () -> builder.token(token));
    assertTrue(token.isEmpty() || !error.getMessage().contains(token));
    try (RedirectClient client = builder.token(() -> token).build()) {
      assertThrows(IllegalArgumentException.class, () -> encode(client));
    }
  }

  // Time limits and headers

  @ParameterizedTest
  @ValueSource(longs = {0, -1, 100_000_000})
  void aTimeLimitThatNoCallCanHaveIsRefused(long millis) {
    Duration timeout = Duration.ofMillis(millis);
    RedirectClient.Builder builder = RedirectClient.builder("127.0.0.1:1");
    assertThrows(IllegalArgumentException.class, () -> builder.timeout(timeout));
    assertThrows(
        IllegalArgumentException.class,
        () -> aa.redirect.client.CallOptions.DEFAULT.withTimeout(timeout));
  }

  @Test
  void theIdsOfTheBrowsersRequestArePassedOn() {
    EncodeRedirect request = EncodeRedirect.of(FIU, REDIRECT);
    var options = aa.redirect.client.CallOptions.DEFAULT;
    Map<String, String> headers = Map.of("x-request-id", "abc-1", "traceparent", TRACE);
    try (Script script = new Script(ANSWER);
        RedirectClient client = RedirectClient.to(script.address)) {
      client.encodeRedirect(request, aa.redirect.client.CallOptions.fromHeaders(headers::get));
      client.encodeRedirect(request, options.withRequestId("bad\nid").withTraceparent("bad"));
      client.encodeRedirect(request);
      assertEquals("abc-1", script.header(0, "x-request-id"));
      assertEquals(TRACE, script.header(0, "traceparent"));
      for (int call = 1; call < 3; call++) {
        assertNull(script.header(call, "x-request-id"));
        assertNull(script.header(call, "traceparent"));
        assertNull(script.header(call, "authorization"));
      }
      assertTrue(
          script
              .header(0, "user-agent")
              .startsWith("aa-redirect-java/" + RedirectClient.VERSION + " "));
    }
    assertEquals(System.getProperty("project.version"), RedirectClient.VERSION);
  }

  @Test
  void theServiceLogsTheCallUnderTheIdThatWasPassedOn() {
    var options =
        aa.redirect.client.CallOptions.DEFAULT.withRequestId("mine").withTraceparent(TRACE);
    try (Server server = Server.start();
        RedirectClient client = patient(server.address)) {
      client.encodeRedirect(EncodeRedirect.of(FIU, REDIRECT), options);
      assertEquals(TRACE.substring(3, 35), server.logged("mine").get("trace_id").getAsString());
      RedirectException error =
          assertThrows(
              RedirectException.class,
              () ->
                  client.decodeRedirect(
                      DecodeRedirect.at(AA).url("fi=x"), options.withRequestId("other")));
      assertEquals("other", error.requestId());
    }
  }

  @Test
  void interceptorsSeeEveryCallAndNoToken() {
    List<String> seen = new ArrayList<>();
    ClientInterceptor interceptor =
        new ClientInterceptor() {
          @Override
          public <Q, A> ClientCall<Q, A> interceptCall(
              MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
            seen.add(method.getBareMethodName() + " " + options);
            return next.newCall(method, options);
          }
        };
    try (Server server = Server.start();
        RedirectClient client =
            RedirectClient.builder(server.address)
                .token("secret-token")
                .intercept(interceptor)
                .timeout(Duration.ofSeconds(20))
                .build()) {
      encode(client);
    }
    assertTrue(seen.get(0).startsWith("EncodeRedirect "));
    assertFalse(seen.toString().contains("secret-token"));
  }

  // What is printed

  @Test
  void nothingThatIsPrintedOrLoggedShowsAUserAUrlOrASecret() {
    List<String> logged = new ArrayList<>();
    Handler handler =
        new Handler() {
          @Override
          public void publish(LogRecord entry) {
            logged.add(entry.getMessage() + " " + entry.getThrown());
          }

          @Override
          public void flush() {}

          @Override
          public void close() {}
        };
    Logger logger = Logger.getLogger("aa.redirect.client");
    logger.addHandler(handler);
    try (Server server = Server.start();
        RedirectClient client =
            RedirectClient.builder(server.address)
                .token("secret-token")
                .timeout(Duration.ofSeconds(20))
                .build()) {
      EncodeRedirect request = EncodeRedirect.of(FIU, REDIRECT);
      SealedRedirect sealed = client.encodeRedirect(request);
      DecodeRedirect damaged = DecodeRedirect.at(AA).url(sealed.location().replace("%3D", ""));
      OpenedRedirect opened = client.decodeRedirect(damaged);
      EncodeCallback answer = EncodeCallback.accepting(opened);
      SealedCallback callback = client.encodeCallback(answer);
      DecodeCallback back =
          DecodeCallback.at(FIU).expecting(sealed.expected()).url(callback.location());
      OpenedCallback outcome = client.decodeCallback(back);
      List<Object> things =
          List.of(
              REDIRECT,
              request,
              sealed,
              sealed.params(),
              sealed.expected(),
              damaged,
              opened,
              answer,
              callback,
              callback.params(),
              back,
              outcome,
              outcome.callback(),
              client,
              client.async(),
              DecodeCallback.at(FIU).expecting(sealed.expected()),
              Tls.trusting(ours.file));
      String printed = things + logged.toString();
      assertTrue(printed.contains("OpenedCallback[callback=Callback[members not shown]"), printed);
      assertTrue(logged.toString().contains("BASE64_UNPADDED"), logged::toString);
      for (String hidden :
          List.of(
              REDIRECT.userid(),
              REDIRECT.sessionid(),
              "lead=42",
              REDIRECT.srcref().get(0),
              sealed.txnid(),
              sealed.params().ecreq().substring(0, 20),
              sealed.params().fi(),
              callback.params().ecres().substring(0, 20),
              "secret-token",
              "webview?")) {
        assertFalse(printed.contains(hidden), hidden);
      }
    } finally {
      logger.removeHandler(handler);
    }
  }
}
