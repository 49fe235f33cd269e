package aa.redirect.client;

/**
 * The parameters of a request URL, each as it is before percent-encoding.
 *
 * @param fi the masked id of the FIU
 * @param reqdate the date
 * @param ecreq the ciphertext
 * @param iv the IV; empty in a pairing of PBKDF2
 * @param requestorType who asks, masked; empty if it is absent
 */
public record RedirectParams(
    String fi, String reqdate, String ecreq, String iv, String requestorType) {

  // No parameter is null: an empty one is absent.
  public RedirectParams {
    Texts.present(fi, reqdate, ecreq, iv, requestorType);
  }

  /** Shows the date. */
  @Override
  public String toString() {
    return "RedirectParams[reqdate=" + reqdate + "]";
  }
}
