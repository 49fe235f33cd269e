package aa.redirect.interop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import aa.redirect.codec.Members;
import aa.redirect.codec.Members.Lists;
import aa.redirect.v1.Callback;
import aa.redirect.v1.DecodeRedirectRequest;
import aa.redirect.v1.DecodeRedirectResponse;
import aa.redirect.v1.EncodeCallbackRequest;
import aa.redirect.v1.EncodeCallbackResponse;
import aa.redirect.v1.Redirect;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A pairing whose secret is being replaced: each message is answered with the secret that it came
 * with.
 */
class RotationTest extends WithServer {
  static Stream<Pairing> rotatedPairings() {
    return Stream.of(Keyring.IV_ROTATED, Keyring.V12_ROTATED);
  }

  @ParameterizedTest
  @MethodSource("rotatedPairings")
  void aMessageUnderTheOldSecretOpensAndSaysSo(Pairing pairing) {
    DecodeRedirectResponse response = decode(pairing, pairing.secrets().get(1));
    assertEquals("2026-05", response.getSecretId());
    assertFalse(response.getPrimarySecret());
  }

  @ParameterizedTest
  @MethodSource("rotatedPairings")
  void aMessageUnderTheNewSecretOpensAsPrimary(Pairing pairing) {
    DecodeRedirectResponse response = decode(pairing, pairing.primary());
    assertEquals("2026-11", response.getSecretId());
    assertTrue(response.getPrimarySecret());
  }

  @ParameterizedTest
  @MethodSource("rotatedPairings")
  void aCallbackIsSealedUnderTheSecretThatOpenedTheRequest(Pairing pairing) throws Exception {
    Pairing.Secret old = pairing.secrets().get(1);
    String secretId = decode(pairing, old).getSecretId();
    Callback callback = new Messages("rotation").callback(pairing, false);

    EncodeCallbackResponse response = encode(pairing, callback, secretId);

    assertEquals(old.id(), response.getSecretId());
    assertEquals(callback, open(pairing, old, response));
    assertThrows(Exception.class, () -> open(pairing, pairing.primary(), response), "the primary secret opens it too");
  }

  @ParameterizedTest
  @MethodSource("rotatedPairings")
  void aCallbackWithoutSecretIdIsSealedUnderThePrimaryOne(Pairing pairing) throws Exception {
    Callback callback = new Messages("rotation").callback(pairing, false);
    EncodeCallbackResponse response = encode(pairing, callback, "");
    assertEquals(pairing.primary().id(), response.getSecretId());
    assertEquals(callback, open(pairing, pairing.primary(), response));
  }

  private static DecodeRedirectResponse decode(Pairing pairing, Pairing.Secret secret) {
    Redirect redirect = new Messages("rotation").redirect(pairing, false);
    byte[] plaintext = Members.write(redirect, Lists.REPEATED).getBytes(StandardCharsets.UTF_8);
    String date = WireDate.MILLIS.write(Instant.now());
    Sealed sealed = Sealed.seal(pairing, secret, pairing.fiu(), date, plaintext);
    // No AA id, because this FIU has only one AA.
    DecodeRedirectResponse response =
        service().decodeRedirect(DecodeRedirectRequest.newBuilder().setParams(sealed.redirectParams()).build());
    assertEquals(redirect, response.getRedirect());
    assertEquals(pairing.aa(), response.getAaId());
    return response;
  }

  private static EncodeCallbackResponse encode(Pairing pairing, Callback callback, String secretId) {
    return service()
        .encodeCallback(
            EncodeCallbackRequest.newBuilder()
                .setFiuId(pairing.fiu())
                .setAaId(pairing.aa())
                .setCallback(callback)
                .setRedirectUrl("https://fiu.example/cb")
                .setSecretId(secretId)
                .build());
  }

  private static Callback open(Pairing pairing, Pairing.Secret secret, EncodeCallbackResponse response)
      throws Exception {
    String iv = Strict.parameters(response.getQuery()).get("iv");
    String date = response.getParams().getResdate();
    return Members.readCallback(Strict.decrypt(pairing.scheme(), secret, date, response.getParams().getEcres(), iv));
  }
}
