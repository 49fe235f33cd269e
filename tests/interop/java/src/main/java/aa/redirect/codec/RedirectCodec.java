package aa.redirect.codec;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import java.util.Base64;
import javax.crypto.Cipher;
import javax.crypto.Mac;
import javax.crypto.SecretKey;
import javax.crypto.SecretKeyFactory;
import javax.crypto.spec.IvParameterSpec;
import javax.crypto.spec.PBEKeySpec;
import javax.crypto.spec.SecretKeySpec;

/**
 * The cryptography of the redirect wire format, with only the JDK's own providers: derives the key
 * of a message, seals and opens its plaintext, masks and unmasks ids.
 *
 * <p>Salt and mask are the characters of the date as they came; no method here reads the date as a
 * time.
 */
public final class RedirectCodec {
  /** How the key is derived and where the IV comes from. */
  public enum Scheme {
    /** HKDF-SHA256; a random IV travels with the message. */
    HKDF_IV,
    /** PBKDF2-HMAC-SHA256 with 65,536 rounds; the IV is 16 zero bytes and does not travel. */
    PBKDF2
  }

  private static final int IV_BYTES = 16;
  private static final int KEY_BITS = 256;
  private static final int ROUNDS = 65_536;
  private static final byte[] ZERO_IV = new byte[IV_BYTES];
  private static final SecureRandom RANDOM = new SecureRandom();

  private RedirectCodec() {}

  /** The AES key of one message: {@code secret} is the pairing's, {@code date} the message's own. */
  public static SecretKey deriveKey(Scheme scheme, String secret, String date) throws GeneralSecurityException {
    byte[] salt = date.getBytes(StandardCharsets.UTF_8);
    byte[] key =
        switch (scheme) {
          case HKDF_IV -> hkdf(secret.getBytes(StandardCharsets.UTF_8), salt);
          case PBKDF2 -> pbkdf2(secret, salt);
        };
    return new SecretKeySpec(key, "AES");
  }

  /**
   * RFC 5869 with an empty info. The key is one block of SHA-256, so expanding is a single HMAC.
   */
  private static byte[] hkdf(byte[] secret, byte[] salt) throws GeneralSecurityException {
    byte[] pseudoRandomKey = hmac(salt, secret);
    return hmac(pseudoRandomKey, new byte[] {1});
  }

  private static byte[] hmac(byte[] key, byte[] message) throws GeneralSecurityException {
    Mac mac = Mac.getInstance("HmacSHA256");
    mac.init(new SecretKeySpec(key, "HmacSHA256"));
    return mac.doFinal(message);
  }

  /** PBEKeySpec takes characters; the JDK's provider turns them into UTF-8, which is what the format asks for. */
  private static byte[] pbkdf2(String secret, byte[] salt) throws GeneralSecurityException {
    PBEKeySpec spec = new PBEKeySpec(secret.toCharArray(), salt, ROUNDS, KEY_BITS);
    try {
      return SecretKeyFactory.getInstance("PBKDF2WithHmacSHA256").generateSecret(spec).getEncoded();
    } finally {
      spec.clearPassword();
    }
  }

  /** The IV of a new message: new random bytes if the scheme sends an IV, else zeros. */
  public static byte[] newIv(Scheme scheme) {
    if (scheme == Scheme.PBKDF2) {
      return ZERO_IV.clone();
    }
    byte[] iv = new byte[IV_BYTES];
    RANDOM.nextBytes(iv);
    return iv;
  }

  /** AES-256-CBC with PKCS#7 of {@code plaintext} in UTF-8. */
  public static byte[] seal(SecretKey key, byte[] iv, byte[] plaintext) throws GeneralSecurityException {
    return cipher(Cipher.ENCRYPT_MODE, key, iv).doFinal(plaintext);
  }

  /**
   * The plaintext's bytes. A wrong key fails with a padding error about 255 times in 256, and
   * otherwise gives garbage. Only members that parse prove that the key is right.
   */
  public static byte[] open(SecretKey key, byte[] iv, byte[] ciphertext) throws GeneralSecurityException {
    return cipher(Cipher.DECRYPT_MODE, key, iv).doFinal(ciphertext);
  }

  private static Cipher cipher(int mode, SecretKey key, byte[] iv) throws GeneralSecurityException {
    // The JDK's name for PKCS#7 padding is PKCS5Padding.
    Cipher cipher = Cipher.getInstance("AES/CBC/PKCS5Padding");
    cipher.init(mode, key, new IvParameterSpec(iv));
    return cipher;
  }

  /** {@code value} XOR {@code date}, the date repeated, in standard padded Base64. A mask, not encryption. */
  public static String mask(String value, String date) {
    return Base64.getEncoder().encodeToString(xor(value.getBytes(StandardCharsets.UTF_8), date));
  }

  /** The value that {@link #mask} masked. */
  public static String unmask(String masked, String date) {
    return new String(xor(Base64.getDecoder().decode(masked), date), StandardCharsets.UTF_8);
  }

  private static byte[] xor(byte[] value, String date) {
    byte[] mask = date.getBytes(StandardCharsets.UTF_8);
    byte[] out = new byte[value.length];
    for (int at = 0; at < value.length; at++) {
      out[at] = (byte) (value[at] ^ mask[at % mask.length]);
    }
    return out;
  }
}
