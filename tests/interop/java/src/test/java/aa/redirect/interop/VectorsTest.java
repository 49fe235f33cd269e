package aa.redirect.interop;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import aa.redirect.codec.RedirectCodec;
import aa.redirect.codec.RedirectCodec.Scheme;
import com.google.gson.Gson;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * Checks this codec with every shared vector, so that the round trips compare two codecs that are
 * both right.
 */
class VectorsTest {
  /** The names are those of the file. */
  private record Vector(
      String name,
      String profile,
      String secret,
      String date,
      String fi_plain,
      String fi_encoded,
      String iv_b64,
      String plaintext,
      String ciphertext_b64url_padded) {

    Scheme scheme() {
      return switch (profile) {
        case "hkdf-random-iv" -> Scheme.HKDF_IV;
        case "pbkdf2-zero-iv" -> Scheme.PBKDF2;
        default -> throw new IllegalArgumentException(profile);
      };
    }
  }

  private static List<Vector> vectors() throws Exception {
    String json = Files.readString(Path.of("../../vectors/vectors.json"));
    return Arrays.asList(new Gson().fromJson(json, Vector[].class));
  }

  @Test
  void theFileHasVectorsOfBothSchemesAndOfMasksAlone() throws Exception {
    Set<String> kinds = new HashSet<>();
    for (Vector vector : vectors()) {
      kinds.add(vector.secret() == null ? "mask" : vector.profile());
    }
    assertEquals(Set.of("hkdf-random-iv", "pbkdf2-zero-iv", "mask"), kinds);
  }

  @TestFactory
  Stream<DynamicTest> vector() throws Exception {
    return vectors().stream().map(vector -> dynamicTest(vector.name() + ", " + vector.profile(), () -> check(vector)));
  }

  private static void check(Vector vector) throws GeneralSecurityException {
    assertEquals(vector.fi_encoded(), RedirectCodec.mask(vector.fi_plain(), vector.date()));
    assertEquals(vector.fi_plain(), RedirectCodec.unmask(vector.fi_encoded(), vector.date()));
    if (vector.secret() == null) {
      return;
    }
    var key = RedirectCodec.deriveKey(vector.scheme(), vector.secret(), vector.date());
    byte[] iv = vector.iv_b64() == null ? new byte[16] : Base64.getDecoder().decode(vector.iv_b64());
    byte[] plaintext = vector.plaintext().getBytes(StandardCharsets.UTF_8);
    byte[] sealed = RedirectCodec.seal(key, iv, plaintext);
    assertEquals(vector.ciphertext_b64url_padded(), Base64.getUrlEncoder().encodeToString(sealed));
    byte[] ciphertext = Base64.getUrlDecoder().decode(vector.ciphertext_b64url_padded());
    assertArrayEquals(plaintext, RedirectCodec.open(key, iv, ciphertext));
  }
}
