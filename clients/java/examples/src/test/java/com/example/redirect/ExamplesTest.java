package com.example.redirect;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import aa.redirect.client.DecodeRedirect;
import aa.redirect.client.EncodeCallback;
import aa.redirect.client.OpenedRedirect;
import aa.redirect.client.RedirectClient;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.ConnectException;
import java.net.CookieManager;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.springframework.boot.SpringApplication;
import org.springframework.context.ConfigurableApplicationContext;

/** Runs the examples unchanged, with a browser; the AA's backend runs in its own JVM. */
@Timeout(120)
class ExamplesTest {
  private static Process server;
  private static String address;

  @BeforeAll
  static void start() throws IOException {
    String named = System.getenv("AA_REDIRECT_BIN");
    List<Path> candidates =
        named != null && !named.isEmpty()
            ? List.of(Path.of(named))
            : List.of(Path.of("../../../target/release/aa-redirect"), Path.of("../../../target/debug/aa-redirect"));
    Path binary = candidates.stream().filter(Files::isExecutable).findFirst().orElseThrow();
    ProcessBuilder builder =
        new ProcessBuilder(binary.toString(), "--listen", "127.0.0.1:0", "--log", "json")
            .redirectOutput(ProcessBuilder.Redirect.DISCARD);
    builder.environment().keySet().removeIf(name -> name.startsWith("AA_REDIRECT_"));
    server = builder.start();
    BufferedReader log =
        new BufferedReader(new InputStreamReader(server.getErrorStream(), StandardCharsets.UTF_8));
    Pattern serving = Pattern.compile("\"message\":\"serving\",\"listen\":\"([^\"]+)\"");
    address =
        log.lines().map(serving::matcher).filter(Matcher::find).findFirst().orElseThrow().group(1);
    // Nobody reads the rest, and a full pipe would stop the server.
    Thread reader = new Thread(() -> log.lines().forEach(line -> {}));
    reader.setDaemon(true);
    reader.start();
  }

  @AfterAll
  static void stop() {
    server.destroyForcibly();
  }

  @Test
  void aUserGoesFromTheFiuToTheAaAndBack() throws Exception {
    try (ConfigurableApplicationContext fiu = fiu();
        WebView aa = new WebView()) {
      HttpClient browser = HttpClient.newBuilder().cookieHandler(new CookieManager()).build();
      String request = location(get(browser, consent(fiu)));
      assertTrue(request.startsWith("https://beta.example/webview?fi="), request);
      HttpResponse<String> answer = aa.visit(request);
      assertEquals("303 no-store", answer.statusCode() + " " + answer.headers().firstValue("cache-control").orElse(""));
      HttpResponse<String> back = get(browser, location(answer));
      assertEquals("200 accepted", back.statusCode() + " " + back.body());
      assertEquals("", aa.said());
    }
  }

  @Test
  void theAaTellsDeviationsAndAReloadWithoutTheUser() throws Exception {
    try (ConfigurableApplicationContext fiu = fiu();
        WebView aa = new WebView()) {
      String request = location(get(HttpClient.newHttpClient(), consent(fiu))).replace("%3D", "");
      assertEquals(List.of(303, 303), List.of(aa.visit(request).statusCode(), aa.visit(request).statusCode()));
      assertTrue(aa.said().contains("tell the FIU: request from 'fiu@sandbox' deviates"), aa.said());
      assertTrue(aa.said().contains("a reloaded page, or a replay: OpenedRedirect["), aa.said());
      assertFalse(aa.said().contains("9999988888"), aa.said());
    }
  }

  @Test
  void theAaRedirectsNowhereWhenARequestDoesNotOpen() throws Exception {
    try (WebView aa = new WebView()) {
      HttpResponse<String> answer = aa.visit("https://beta.example/webview?fi=AAAA&ecreq=BBBB");
      assertEquals(400, answer.statusCode());
      assertTrue(answer.headers().firstValue("location").isEmpty());
      assertTrue(aa.said().contains("URL_MALFORMED: "), aa.said());
      assertFalse(aa.said().contains("BBBB"), aa.said());
    }
  }

  @Test
  void theSpringBackendSendsABrowserAndTakesItBack() throws Exception {
    try (ConfigurableApplicationContext fiu = fiu();
        RedirectClient aa = RedirectClient.to(address)) {
      HttpClient browser = HttpClient.newBuilder().cookieHandler(new CookieManager()).build();
      HttpResponse<String> away = get(browser, consent(fiu));
      assertEquals(303, away.statusCode());
      assertEquals("no-store", away.headers().firstValue("cache-control").orElseThrow());
      OpenedRedirect opened = aa.decodeRedirect(DecodeRedirect.at("beta-aa").url(location(away)));
      String accepted = aa.encodeCallback(EncodeCallback.accepting(opened)).location();
      HttpResponse<String> back = get(browser, accepted);
      assertEquals("200 accepted", back.statusCode() + " " + back.body());
      String rejected = aa.encodeCallback(EncodeCallback.rejecting(opened, 1)).location();
      assertEquals("Consent is rejected", get(browser, rejected).body());

      // Another browser, and another session of the same one.
      assertEquals(400, get(HttpClient.newHttpClient(), accepted).statusCode());
      get(browser, consent(fiu));
      assertEquals(400, get(browser, accepted).statusCode());
      // Parameters of another scheme.
      assertEquals(400, get(browser, accepted + "&iv=AAAAAAAAAAAAAAAAAAAAAA%3D%3D").statusCode());
      assertEquals(400, get(browser, consent(fiu).replace("/consent", "/aa/return?fi=x")).statusCode());
    }
  }

  private static HttpResponse<String> get(HttpClient browser, String url) throws Exception {
    return browser.send(HttpRequest.newBuilder(URI.create(url)).build(), BodyHandlers.ofString());
  }

  private static String location(HttpResponse<String> response) {
    return response.headers().firstValue("location").orElseThrow();
  }

  /**
   * The FIU's backend, after its first call to the service, which may take longer than its time
   * limit.
   */
  private static ConfigurableApplicationContext fiu() throws Exception {
    String[] settings = {"--server.port=0", "--AA_REDIRECT_ADDRESS=" + address, "--spring.main.banner-mode=off"};
    ConfigurableApplicationContext fiu = SpringApplication.run(SpringFiu.class, settings);
    while (get(HttpClient.newHttpClient(), consent(fiu)).statusCode() == 503) {
      Thread.sleep(50);
    }
    return fiu;
  }

  private static String consent(ConfigurableApplicationContext fiu) {
    return "http://localhost:" + fiu.getEnvironment().getProperty("local.server.port") + "/consent";
  }

  /** The AA's backend in a JVM of its own, with the class path of this one. */
  private static final class WebView implements AutoCloseable {
    private final Process process;
    private final Path log = Files.createTempFile("aa", ".log");
    private final String listen;
    private int before;

    WebView() throws Exception {
      try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
        listen = "127.0.0.1:" + free.getLocalPort();
      }
      String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
      ProcessBuilder builder =
          new ProcessBuilder(java, "-cp", System.getProperty("java.class.path"), AaBackend.class.getName());
      builder.environment().putAll(Map.of("LISTEN", listen, "AA_REDIRECT_ADDRESS", address, "AA_ID", "beta-aa"));
      process = builder.redirectErrorStream(true).redirectOutput(log.toFile()).start();
      warmUp();
    }

    /** The answer to a browser that an FIU sent to this URL of the AA. */
    HttpResponse<String> visit(String url) throws Exception {
      String query = URI.create(url).getRawQuery();
      return get(HttpClient.newHttpClient(), "http://" + listen + "/webview?" + query);
    }

    /** The first calls of a JVM on a busy machine may take longer than the client's time limit. */
    private void warmUp() throws Exception {
      while (!said().contains("URL_MALFORMED: ")) {
        assertTrue(process.isAlive(), said());
        try {
          visit("https://beta.example/webview?fi=AAAA");
        } catch (ConnectException notYet) {
          Thread.sleep(50);
        }
      }
      before = said().length();
    }

    /** Its output since the first calls. */
    String said() throws IOException {
      return Files.readString(log).substring(before);
    }

    @Override
    public void close() throws IOException {
      process.destroyForcibly();
      Files.delete(log);
    }
  }
}
