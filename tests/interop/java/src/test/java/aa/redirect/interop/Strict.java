package aa.redirect.interop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import aa.redirect.codec.Members;
import aa.redirect.codec.RedirectCodec;
import aa.redirect.codec.RedirectCodec.Scheme;
import com.google.protobuf.Timestamp;
import java.security.GeneralSecurityException;
import java.time.Instant;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** Reads what the service writes without any tolerance, so that a fault of the service shows. */
final class Strict {
  /** Every IV of this run: an IV must never come twice. */
  private static final Set<String> IVS = ConcurrentHashMap.newKeySet();

  private Strict() {}

  /** The parameters of a query string, each of them once and percent-encoded. */
  static Map<String, String> parameters(String query) {
    Map<String, String> parameters = new LinkedHashMap<>();
    for (String pair : query.split("&", -1)) {
      String[] parts = pair.split("=", 2);
      assertEquals(2, parts.length, "a parameter without `=`");
      // RFC 3986's unreserved characters and escapes: a raw `+`, `/` or `=` in a value is a fault.
      String raw = parts[1].replaceAll("%[0-9A-F]{2}", "");
      assertTrue(raw.matches("[A-Za-z0-9._~-]*"), () -> "not percent-encoded: " + pair);
      assertNull(parameters.put(parts[0], Members.unescape(parts[1])), () -> "twice: " + parts[0]);
    }
    return parameters;
  }

  /** The id behind `fi`, or the type behind `requestorType`. */
  static String unmask(String masked, String date) {
    standardBase64(masked);
    return RedirectCodec.unmask(masked, date);
  }

  /** Opens `ecreq` or `ecres` of a new message; {@code iv} is null if the URL has none. */
  static byte[] open(Scheme scheme, Pairing.Secret secret, String date, String message, String iv)
      throws GeneralSecurityException {
    if (iv != null) {
      assertTrue(IVS.add(iv), "an IV came twice");
    }
    return decrypt(scheme, secret, date, message, iv);
  }

  /** Opens a message that may have been opened before. */
  static byte[] decrypt(Scheme scheme, Pairing.Secret secret, String date, String message, String iv)
      throws GeneralSecurityException {
    byte[] ciphertext = Base64.getUrlDecoder().decode(message);
    assertEquals(Base64.getUrlEncoder().encodeToString(ciphertext), message, "URL-safe padded Base64");
    assertEquals(scheme == Scheme.HKDF_IV, iv != null, "whether there is an IV");
    byte[] vector = iv == null ? RedirectCodec.newIv(scheme) : standardBase64(iv);
    assertEquals(16, vector.length, "bytes of an IV");
    var key = RedirectCodec.deriveKey(scheme, secret.text(), date);
    return RedirectCodec.open(key, vector, ciphertext);
  }

  /** Encodes again to find what the JDK's decoder accepts: missing padding and wrong last bits. */
  private static byte[] standardBase64(String text) {
    byte[] decoded = Base64.getDecoder().decode(text);
    assertEquals(Base64.getEncoder().encodeToString(decoded), text, "standard padded Base64");
    return decoded;
  }

  /**
   * Checks that {@code issueTime} is about now, and that {@code date} is that instant in the
   * pairing's style.
   */
  static void dateOfNow(Pairing pairing, String date, Timestamp issueTime, Instant before) {
    Instant issued = instant(issueTime);
    assertFalse(issued.isBefore(before.minusSeconds(2)), "an issue time before the call");
    assertFalse(issued.isAfter(Instant.now().plusSeconds(2)), "an issue time after the call");
    assertEquals(pairing.written().write(issued), date, "the date in the pairing's style");
  }

  static Instant instant(Timestamp timestamp) {
    return Instant.ofEpochSecond(timestamp.getSeconds(), timestamp.getNanos());
  }

  static Timestamp timestamp(Instant instant) {
    return Timestamp.newBuilder().setSeconds(instant.getEpochSecond()).setNanos(instant.getNano()).build();
  }
}
