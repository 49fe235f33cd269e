package aa.redirect.interop;

import aa.redirect.codec.Members;
import aa.redirect.codec.RedirectCodec;
import aa.redirect.codec.RedirectCodec.Scheme;
import aa.redirect.v1.CallbackParams;
import aa.redirect.v1.RedirectParams;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Collectors;

/** A message that this codec sealed, and its parameters as the wire format writes them. */
record Sealed(Scheme scheme, String id, String date, byte[] ciphertext, byte[] iv) {

  /** From the pairing's FIU to its AA. */
  static Sealed request(Pairing pairing, String date, String members) {
    return seal(pairing, pairing.primary(), pairing.fiu(), date, members.getBytes(StandardCharsets.UTF_8));
  }

  /** From the pairing's AA to its FIU. */
  static Sealed callback(Pairing pairing, String date, String members) {
    return seal(pairing, pairing.primary(), pairing.aa(), date, members.getBytes(StandardCharsets.UTF_8));
  }

  /** Any bytes under any secret. */
  static Sealed seal(Pairing pairing, Pairing.Secret secret, String id, String date, byte[] plaintext) {
    try {
      Scheme scheme = pairing.scheme();
      byte[] iv = RedirectCodec.newIv(scheme);
      var key = RedirectCodec.deriveKey(scheme, secret.text(), date);
      return new Sealed(scheme, id, date, RedirectCodec.seal(key, iv, plaintext), iv);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  String fi() {
    return RedirectCodec.mask(id, date);
  }

  /** {@code ecreq} or {@code ecres}. */
  String message() {
    return Base64.getUrlEncoder().encodeToString(ciphertext);
  }

  /** Empty if the scheme has no such parameter. */
  String ivText() {
    return scheme == Scheme.HKDF_IV ? Base64.getEncoder().encodeToString(iv) : "";
  }

  RedirectParams redirectParams() {
    return RedirectParams.newBuilder().setFi(fi()).setReqdate(date).setEcreq(message()).setIv(ivText()).build();
  }

  CallbackParams callbackParams() {
    return CallbackParams.newBuilder().setFi(fi()).setResdate(date).setEcres(message()).setIv(ivText()).build();
  }

  /** The parameters of a request by name, percent-encoded; put another spelling in to deviate. */
  Map<String, String> requestQuery() {
    return query("reqdate", "ecreq");
  }

  /** The parameters of a callback by name, percent-encoded. */
  Map<String, String> callbackQuery() {
    return query("resdate", "ecres");
  }

  private Map<String, String> query(String dateName, String messageName) {
    Map<String, String> query = new LinkedHashMap<>();
    query.put("fi", Members.escapeAll(fi()));
    query.put(dateName, date);
    query.put(messageName, Members.escapeAll(message()));
    if (scheme == Scheme.HKDF_IV) {
      query.put("iv", Members.escapeAll(ivText()));
    }
    return query;
  }

  static String join(Map<String, String> query) {
    return query.entrySet().stream()
        .map(parameter -> parameter.getKey() + "=" + parameter.getValue())
        .collect(Collectors.joining("&"));
  }
}
