package aa.redirect.client;

/**
 * The parameters of a callback URL, each as it is before percent-encoding.
 *
 * @param fi the masked id of the AA
 * @param resdate the date
 * @param ecres the ciphertext
 * @param iv the IV; empty in a pairing of PBKDF2
 */
public record CallbackParams(String fi, String resdate, String ecres, String iv) {

  // No parameter is null: an empty one is absent.
  public CallbackParams {
    Texts.present(fi, resdate, ecres, iv);
  }

  /** Shows the date. */
  @Override
  public String toString() {
    return "CallbackParams[resdate=" + resdate + "]";
  }
}
