package aa.redirect.interop;

import aa.redirect.codec.Members.Lists;
import aa.redirect.codec.RedirectCodec.Scheme;
import java.util.List;

/** A pairing of the tests' keyring: its settings and its secrets. */
record Pairing(
    String fiu, String aa, String profile, WireDate written, Lists lists, String webview, List<Secret> secrets) {

  /** The first secret of a pairing is its primary one; the others only decode. */
  record Secret(String id, String text) {}

  Scheme scheme() {
    return profile.equals("iv") ? Scheme.HKDF_IV : Scheme.PBKDF2;
  }

  Secret primary() {
    return secrets.get(0);
  }

  /** The handle of the user ids that this AA serves. */
  String handle() {
    return aa.replace("aa-", "");
  }

  @Override
  public String toString() {
    return fiu + " and " + aa + " (" + profile + ")";
  }
}
