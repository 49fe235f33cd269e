package com.example.redirect;

import aa.redirect.v1.Callback;
import aa.redirect.v1.CallbackStatus;
import aa.redirect.v1.DecodeRedirectRequest;
import aa.redirect.v1.DecodeRedirectResponse;
import aa.redirect.v1.EncodeCallbackRequest;
import aa.redirect.v1.EncodeCallbackResponse;
import aa.redirect.v1.Redirect;
import io.grpc.StatusRuntimeException;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;

/**
 * An Account Aggregator: reads from standard input the URL with which the user's browser arrives, lets the user accept,
 * and prints the URL that leads back to the FIU. Runs against the server's sandbox keyring:
 *
 * <pre>mvn -q compile exec:java -Dexec.mainClass=com.example.redirect.AaBackend [-Dexec.args=127.0.0.1:50051]</pre>
 */
public final class AaBackend {
  private static final String AA = "alpha-aa";

  public static void main(String[] args) throws Exception {
    try (RedirectClient client = new RedirectClient(RedirectClient.address(args))) {
      BufferedReader browser = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
      String url = browser.readLine();
      // aa_id says who we are: without it a message for another AA of this server would open as well.
      DecodeRedirectResponse request =
          client.call(stub -> stub.decodeRedirect(DecodeRedirectRequest.newBuilder().setAaId(AA).setUrl(url).build()));
      Redirect redirect = request.getRedirect();
      // Repairs that were needed to read the message: tell the FIU, another reader may not make them.
      if (request.getDeviationsCount() > 0) {
        System.err.println(request.getFiuId() + " deviates: " + request.getDeviationsList());
      }

      // Here the user logs in and accepts. Nothing above is authenticated: show the consents that the AA itself holds
      // for these handles, and take a txnid once only until request.getReplayUntil().

      EncodeCallbackRequest outcome =
          EncodeCallbackRequest.newBuilder()
              .setFiuId(request.getFiuId())
              .setAaId(request.getAaId())
              .setRedirectUrl(redirect.getRedirect())
              // The secret that opened the request: an FIU that has not rotated yet can read the answer.
              .setSecretId(request.getSecretId())
              .setCallback(
                  Callback.newBuilder()
                      .setTxnid(redirect.getTxnid())
                      .setSessionid(redirect.getSessionid())
                      .setUserid(redirect.getUserid())
                      .setStatus(CallbackStatus.CALLBACK_STATUS_SUCCESS)
                      .addAllSrcref(redirect.getSrcrefList()))
              .build();
      EncodeCallbackResponse sealed = client.call(stub -> stub.encodeCallback(outcome));
      System.out.println(sealed.getUrl());
    } catch (StatusRuntimeException error) {
      System.err.println(Refusal.of(error));
      System.exit(1);
    }
  }
}
