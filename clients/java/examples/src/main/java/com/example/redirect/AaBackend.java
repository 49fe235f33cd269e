package com.example.redirect;

import aa.redirect.client.DecodeRedirect;
import aa.redirect.client.EncodeCallback;
import aa.redirect.client.OpenedRedirect;
import aa.redirect.client.RedirectClient;
import aa.redirect.client.RedirectException;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;

/** An AA's backend: /webview takes the user that an FIU sent, and sends the user back with the outcome. */
public final class AaBackend {
  /** Says who we are. Without it, a message for another AA of this service would open too. */
  private static final String AA = setting("AA_ID", "beta-aa");

  private static final System.Logger LOG = System.getLogger("aa");

  public static void main(String[] args) throws IOException {
    // One client for the whole process: it reconnects by itself.
    RedirectClient client =
        RedirectClient.builder(setting("AA_REDIRECT_ADDRESS", "127.0.0.1:50051"))
            // The service repaired what the FIU did wrong; other software may not. The report has
            // no data of the user.
            .onDeviations(report -> LOG.log(System.Logger.Level.WARNING, "tell the FIU: " + report))
            .build();
    URI listen = URI.create("http://" + setting("LISTEN", "127.0.0.1:8081"));
    HttpServer server = HttpServer.create(new InetSocketAddress(listen.getHost(), listen.getPort()), 0);
    server.setExecutor(Executors.newCachedThreadPool());
    server.createContext("/webview", exchange -> answer(client, exchange));
    server.start();
  }

  private static void answer(RedirectClient client, HttpExchange exchange) throws IOException {
    try {
      String location = webview(client, exchange.getRequestURI().toString());
      exchange.getResponseHeaders().set("Location", location); // the URL is the user's secret: not for logs
      exchange.getResponseHeaders().set("Cache-Control", "no-store");
      exchange.sendResponseHeaders(303, -1);
    } catch (RedirectException error) {
      LOG.log(System.Logger.Level.WARNING, error.getMessage());
      byte[] text = "That did not work: go back and start again.\n".getBytes(StandardCharsets.UTF_8);
      exchange.sendResponseHeaders(400, text.length);
      exchange.getResponseBody().write(text);
    } finally {
      exchange.close();
    }
  }

  private static String webview(RedirectClient client, String url) {
    OpenedRedirect opened = client.decodeRedirect(DecodeRedirect.at(AA).url(url));
    if (opened.reopened()) {
      // A reload of the page, or a copy of the URL: go on with the user's session, or begin again.
      LOG.log(System.Logger.Level.WARNING, "a reloaded page, or a replay: " + opened);
    }
    // Here the user logs in as opened.redirect().userid() and decides about its srcref. This user
    // accepts. For a user who rejects, use EncodeCallback.rejecting(opened, 1). The answer goes
    // back with the members and the secret of the request.
    return client.encodeCallback(EncodeCallback.accepting(opened)).location();
  }

  private static String setting(String name, String otherwise) {
    return System.getenv().getOrDefault(name, otherwise);
  }
}
