package aa.redirect.interop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import aa.redirect.codec.RedirectCodec.Scheme;
import aa.redirect.v1.DecodeRedirectRequest;
import aa.redirect.v1.DecodeRedirectResponse;
import aa.redirect.v1.EncodeCallbackRequest;
import aa.redirect.v1.EncodeRedirectRequest;
import aa.redirect.v1.EncodeRedirectResponse;
import aa.redirect.v1.RedirectServiceGrpc;
import aa.redirect.v1.RedirectServiceGrpc.RedirectServiceBlockingStub;
import com.google.gson.Gson;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.BufferedReader;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * The rival server of the benchmark does the work of the service: each opens what the other seals,
 * with the same answer.
 */
class RivalTest extends WithServer {
  private static final List<Pairing> PAIRINGS = List.of(Keyring.IV, Keyring.V13);

  @Test
  @Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void theRivalAndTheServiceOpenWhatTheOtherSeals() throws Exception {
    String address = freeAddress();
    Process process =
        new ProcessBuilder("rival/run", "--listen", address, "--keyring", keyringOfRival().toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    ManagedChannel channel = Grpc.newChannelBuilder(address, InsecureChannelCredentials.create()).build();
    try (BufferedReader output = process.inputReader()) {
      assertEquals("serving", output.readLine());
      RedirectServiceBlockingStub rival =
          RedirectServiceGrpc.newBlockingStub(channel).withDeadlineAfter(60, TimeUnit.SECONDS);
      Messages messages = new Messages("rival");
      for (Pairing pairing : PAIRINGS) {
        for (int count = 0; count < 20; count++) {
          EncodeRedirectRequest request = request(pairing, messages);
          exchange(request, rival.encodeRedirect(request), rival);
          exchange(request, service().encodeRedirect(request), rival);
        }
      }
      assertRefused(Status.Code.INVALID_ARGUMENT, () -> rival.decodeRedirect(url("aa-iv", "fi=a&reqdate=b&ecreq=c")));
      var callback = EncodeCallbackRequest.getDefaultInstance();
      assertRefused(Status.Code.UNIMPLEMENTED, () -> rival.encodeCallback(callback));
    } finally {
      channel.shutdownNow();
      process.destroyForcibly();
    }
  }

  /**
   * Both open {@code sealed}, and their answers differ only in the moment and the name of the
   * secret.
   */
  private static void exchange(
      EncodeRedirectRequest request, EncodeRedirectResponse sealed, RedirectServiceBlockingStub rival) {
    assertEquals(sealed.getUrl().split("\\?", 2)[1], sealed.getQuery());
    assertEquals(180, sealed.getExpireTime().getSeconds() - sealed.getIssueTime().getSeconds());
    DecodeRedirectResponse atService = service().decodeRedirect(url(request.getAaId(), sealed.getUrl()));
    DecodeRedirectResponse atRival = rival.decodeRedirect(url(request.getAaId(), sealed.getUrl()));
    assertEquals(request.getRedirect().toBuilder().setTxnid(sealed.getTxnid()).build(), atService.getRedirect());
    assertEquals(request.getRequestorType(), atService.getRequestorType());
    assertEquals(comparable(atService), comparable(atRival));
  }

  private static DecodeRedirectResponse comparable(DecodeRedirectResponse response) {
    // The rival remembers nothing.
    return response.toBuilder().clearAge().clearSecretId().clearReplayKey().clearFirstOpenTime().build();
  }

  private static EncodeRedirectRequest request(Pairing pairing, Messages messages) {
    EncodeRedirectRequest.Builder request =
        EncodeRedirectRequest.newBuilder()
            .setFiuId(pairing.fiu())
            .setAaId(pairing.aa())
            .setRequestorType(messages.requestorType())
            .setRedirect(messages.redirect(pairing, true));
    if (messages.oneIn(2)) {
      request.getRedirectBuilder().clearTxnid();
    }
    return request.build();
  }

  private static DecodeRedirectRequest url(String aa, String url) {
    return DecodeRedirectRequest.newBuilder().setAaId(aa).setUrl(url).build();
  }

  private static void assertRefused(Status.Code code, Runnable call) {
    assertEquals(code, assertThrows(StatusRuntimeException.class, call::run).getStatus().getCode());
  }

  private static Path keyringOfRival() throws Exception {
    List<Map<String, Object>> entries =
        PAIRINGS.stream()
            .map(
                pairing ->
                    Map.<String, Object>of(
                        "fiu", pairing.fiu(),
                        "aa", pairing.aa(),
                        "scheme", pairing.scheme() == Scheme.HKDF_IV ? "hkdf-iv" : "pbkdf2",
                        "secret", pairing.primary().text(),
                        "webview", pairing.webview(),
                        "max_age_seconds", 180))
            .toList();
    return Files.writeString(folder.resolve("rival.json"), new Gson().toJson(entries));
  }

  private static String freeAddress() throws Exception {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return "127.0.0.1:" + socket.getLocalPort();
    }
  }
}
