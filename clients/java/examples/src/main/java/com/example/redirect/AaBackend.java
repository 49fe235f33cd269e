package com.example.redirect;

import aa.redirect.client.DecodeRedirect;
import aa.redirect.client.EncodeCallback;
import aa.redirect.client.OpenedRedirect;
import aa.redirect.client.RedirectClient;
import aa.redirect.client.RedirectException;
import java.util.Scanner;

/**
 * An Account Aggregator: reads the URL with which the user's browser arrives, and prints the one that leads back. The
 * arguments are the address of the service, 127.0.0.1:50051 without one, and the error code, 0 without one, which accepts.
 */
public final class AaBackend {
  private static final String AA = "alpha-aa";

  public static void main(String[] args) {
    int errorcode = args.length > 1 ? Integer.parseInt(args[1]) : 0;
    try (RedirectClient client =
        RedirectClient.builder(args.length > 0 ? args[0] : "127.0.0.1:50051")
            // The service repaired what the FIU did wrong; another reader may not. It holds nothing of the user.
            .onDeviations(report -> System.err.println("tell the sender: " + report))
            .build()) {
      // The AA's id says who we are: without it a message for another AA of this service would open as well.
      String url = new Scanner(System.in).nextLine();
      OpenedRedirect opened = client.decodeRedirect(DecodeRedirect.at(AA).url(url));
      if (opened.reopened()) {
        // A reload of the page, or a copy of the URL: go on with the user's session, or begin anew.
        System.err.println("opened before, first at " + opened.opening().firstOpenTime());
      }

      // Here the user logs in and decides. Show the consents that the AA itself holds for opened.redirect().srcref().

      // The answer goes to the URL, with the members and under the secret that the request came with.
      EncodeCallback answer =
          errorcode == 0 ? EncodeCallback.accepting(opened) : EncodeCallback.rejecting(opened, errorcode);
      // A backend answers the browser with 303, this Location and Cache-Control: no-store.
      System.out.println(client.encodeCallback(answer).location());
    } catch (RedirectException error) {
      System.err.println(error.getMessage());
      System.exit(1);
    }
  }
}
