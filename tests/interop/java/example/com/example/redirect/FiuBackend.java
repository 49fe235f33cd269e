package com.example.redirect;

import aa.redirect.v1.Callback;
import aa.redirect.v1.CallbackStatus;
import aa.redirect.v1.DecodeCallbackRequest;
import aa.redirect.v1.DecodeCallbackResponse;
import aa.redirect.v1.EncodeRedirectRequest;
import aa.redirect.v1.EncodeRedirectResponse;
import aa.redirect.v1.Redirect;
import aa.redirect.v1.RequestorType;
import io.grpc.StatusRuntimeException;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;

/**
 * An FIU: prints the URL to send the user's browser to, reads from standard input the URL with which the browser comes
 * back, and prints the outcome. Runs against the server's sandbox keyring:
 *
 * <pre>mvn -q compile exec:java -Dexec.mainClass=com.example.redirect.FiuBackend [-Dexec.args=127.0.0.1:50051]</pre>
 */
public final class FiuBackend {
  private static final String FIU = "fiu@sandbox";

  public static void main(String[] args) throws Exception {
    try (RedirectClient client = new RedirectClient(RedirectClient.address(args))) {
      // No aa_id: the handle behind the @ picks the AA. No txnid: the server makes one.
      EncodeRedirectRequest request =
          EncodeRedirectRequest.newBuilder()
              .setFiuId(FIU)
              .setRequestorType(RequestorType.REQUESTOR_TYPE_FIU)
              .setRedirect(
                  Redirect.newBuilder()
                      .setSessionid("loan-42")
                      .setUserid("9999988888@alpha")
                      .setRedirect("https://app.fiu.example/aa/return?loan=42")
                      .addSrcref("0b054f6a-a0b3-4424-a668-2b53090bad6f"))
              .build();
      EncodeRedirectResponse sealed = client.call(stub -> stub.encodeRedirect(request));
      System.out.println(sealed.getUrl());
      // Keep the txnid with the user's session: it is what ties the answer to this request.
      String expectedTxnid = sealed.getTxnid();

      BufferedReader browser = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
      // The whole URL as it arrived: taking it apart first is where `+` and padding get lost.
      String url = browser.readLine();
      DecodeCallbackResponse answer =
          client.call(
              stub -> stub.decodeCallback(DecodeCallbackRequest.newBuilder().setFiuId(FIU).setUrl(url).build()));
      Callback callback = answer.getCallback();
      // The server remembers nothing. Take a txnid once only, and remember it until answer.getReplayUntil(), or a
      // replayed URL counts twice.
      if (!callback.getTxnid().equals(expectedTxnid)) {
        throw new IllegalStateException("an answer to another request");
      }
      if (callback.getStatus() == CallbackStatus.CALLBACK_STATUS_SUCCESS) {
        System.out.println(callback.getSessionid() + ": accepted " + callback.getSrcrefList());
      } else {
        System.out.println(callback.getSessionid() + ": " + answer.getErrorMessage());
      }
    } catch (StatusRuntimeException error) {
      System.err.println(Refusal.of(error));
      System.exit(1);
    }
  }
}
