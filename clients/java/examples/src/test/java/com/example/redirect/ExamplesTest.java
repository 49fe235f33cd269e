package com.example.redirect;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import aa.redirect.client.DecodeRedirect;
import aa.redirect.client.EncodeCallback;
import aa.redirect.client.OpenedRedirect;
import aa.redirect.client.RedirectClient;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Writer;
import java.net.CookieManager;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.springframework.boot.SpringApplication;
import org.springframework.context.ConfigurableApplicationContext;

/** The examples as they stand: the programs in JVMs of their own, the Spring backend with a browser. */
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
    try (Program fiu = new Program(FiuBackend.class);
        Program aa = new Program(AaBackend.class)) {
      String request = fiu.readLine();
      assertTrue(request.startsWith("https://alpha.example/webview?fi="), request);
      aa.writeLine(request);
      String callback = aa.readLine();
      assertTrue(callback.startsWith("https://app.fiu.example/aa/return?lead=42&fi="), callback);
      fiu.writeLine(callback);
      assertEquals("accepted: [0b054f6a-a0b3-4424-a668-2b53090bad6f]", fiu.readLine());
      assertEquals(List.of(0, 0), List.of(aa.end(), fiu.end()));
    }
  }

  @Test
  void aRefusalOfTheUserComesBackWithItsReason() throws Exception {
    try (Program fiu = new Program(FiuBackend.class);
        Program aa = new Program(AaBackend.class, "1")) {
      aa.writeLine(fiu.readLine());
      fiu.writeLine(aa.readLine());
      assertEquals("not accepted: Consent is rejected", fiu.readLine());
    }
  }

  @Test
  void deviationsAreTold() throws Exception {
    try (Program fiu = new Program(FiuBackend.class);
        Program aa = new Program(AaBackend.class)) {
      aa.writeLine(fiu.readLine().replace("%3D", ""));
      String told = aa.readErrorLine();
      assertTrue(told.startsWith("tell the sender: request from 'fiu@sandbox' deviates"), told);
      assertEquals(0, aa.end());
    }
  }

  @Test
  void anErrorIsOneLineAndABadEnd() throws Exception {
    try (Program aa = new Program(AaBackend.class)) {
      aa.writeLine("https://alpha.example/webview?fi=AAAA&ecreq=AAAA");
      assertTrue(aa.readErrorLine().startsWith("URL_MALFORMED: "));
      assertNull(aa.readErrorLine());
      assertEquals(1, aa.end());
    }
  }

  @Test
  void theSpringBackendSendsABrowserAndTakesItBack() throws Exception {
    String[] settings = {"--server.port=0", "--aa-redirect.address=" + address, "--spring.main.banner-mode=off"};
    try (ConfigurableApplicationContext backend = SpringApplication.run(SpringFiu.class, settings);
        RedirectClient aa = RedirectClient.to(address)) {
      String port = backend.getEnvironment().getProperty("local.server.port");
      HttpClient browser = HttpClient.newBuilder().cookieHandler(new CookieManager()).build();
      HttpResponse<String> away = get(browser, "http://localhost:" + port + "/consent");
      assertEquals(303, away.statusCode());
      assertEquals("no-store", away.headers().firstValue("cache-control").orElseThrow());
      OpenedRedirect opened =
          aa.decodeRedirect(DecodeRedirect.at("beta-aa").url(away.headers().firstValue("location").orElseThrow()));
      String accepted = aa.encodeCallback(EncodeCallback.accepting(opened)).location();
      HttpResponse<String> back = get(browser, accepted);
      assertEquals("200 accepted", back.statusCode() + " " + back.body());
      String rejected = aa.encodeCallback(EncodeCallback.rejecting(opened, 1)).location();
      assertEquals("Consent is rejected", get(browser, rejected).body());

      // Another browser, and another session of the same one.
      assertEquals(400, get(HttpClient.newHttpClient(), accepted).statusCode());
      get(browser, "http://localhost:" + port + "/consent");
      assertEquals(400, get(browser, accepted).statusCode());
      assertEquals(400, get(browser, "http://localhost:" + port + "/aa/return?fi=x").statusCode());
    }
  }

  private static HttpResponse<String> get(HttpClient browser, String url) throws Exception {
    return browser.send(HttpRequest.newBuilder(URI.create(url)).build(), BodyHandlers.ofString());
  }

  /** An example in a JVM of its own, with the class path of this one. */
  private static final class Program implements AutoCloseable {
    private final Process process;
    private final BufferedReader out;
    private final BufferedReader err;
    private final Writer in;

    Program(Class<?> main, String... more) throws IOException {
      String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
      List<String> command =
          new ArrayList<>(List.of(java, "-cp", System.getProperty("java.class.path"), main.getName(), address));
      command.addAll(Arrays.asList(more));
      process = new ProcessBuilder(command).start();
      out = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
      err = new BufferedReader(new InputStreamReader(process.getErrorStream(), StandardCharsets.UTF_8));
      in = process.outputWriter(StandardCharsets.UTF_8);
    }

    String readLine() throws IOException {
      String line = out.readLine();
      return line == null ? "ended: " + err.lines().toList() : line;
    }

    String readErrorLine() throws IOException {
      return err.readLine();
    }

    void writeLine(String line) throws IOException {
      in.write(line + "\n");
      in.flush();
    }

    int end() throws InterruptedException {
      return process.waitFor();
    }

    @Override
    public void close() {
      process.destroyForcibly();
    }
  }
}
