package com.example.redirect;

import aa.redirect.client.DecodeCallback;
import aa.redirect.client.EncodeRedirect;
import aa.redirect.client.OpenedCallback;
import aa.redirect.client.Redirect;
import aa.redirect.client.RedirectClient;
import aa.redirect.client.RedirectException;
import aa.redirect.client.RequestorType;
import aa.redirect.client.SealedRedirect;
import java.util.Scanner;

/**
 * An FIU: prints the URL for the user's browser, reads the URL with which it comes back, and prints what became of it. The
 * argument is the address of the service, 127.0.0.1:50051 without one.
 */
public final class FiuBackend {
  private static final String FIU = "fiu@sandbox";

  public static void main(String[] args) {
    // One client for the whole process: it reconnects by itself.
    try (RedirectClient client = RedirectClient.to(args.length > 0 ? args[0] : "127.0.0.1:50051")) {
      // No aaId: the handle behind the @ picks the AA. No txnid: the service makes one.
      Redirect redirect =
          Redirect.builder()
              .userid("9999988888@alpha")
              .sessionid("loan-4711")
              .redirect("https://app.fiu.example/aa/return?lead=42")
              .srcref("0b054f6a-a0b3-4424-a668-2b53090bad6f")
              .build();
      SealedRedirect sent =
          client.encodeRedirect(EncodeRedirect.of(FIU, redirect).withRequestorType(RequestorType.FIU));
      // A backend answers the browser with 303, this Location and Cache-Control: no-store, and keeps
      // sent.expected() with the user's session: it is what the callback is compared with.
      System.out.println(sent.location());

      // The whole URL as it arrives: taking it apart first is where `+` and padding get lost.
      String url = new Scanner(System.in).nextLine();
      OpenedCallback opened =
          client.decodeCallback(DecodeCallback.at(FIU).expecting(sent.expected()).url(url));
      if (opened.reopened()) {
        // A reload of the page, or a copy of the URL: show the outcome again, but act only once.
        System.err.println("opened before, first at " + opened.opening().firstOpenTime());
      }
      // A callback is a hint, no proof: ask the AA, server to server, before acting on a consent.
      System.out.println(
          opened.accepted() ? "accepted: " + opened.callback().srcref() : "not accepted: " + opened.errorMessage());
    } catch (RedirectException error) {
      System.err.println(error.getMessage());
      System.exit(1);
    }
  }
}
