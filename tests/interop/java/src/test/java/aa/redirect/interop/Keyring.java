package aa.redirect.interop;

import aa.redirect.codec.Members.Lists;
import aa.redirect.codec.RedirectCodec.Scheme;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.stream.Stream;

/** The tests' pairings, with new secrets for each run, and the files from which a server reads them. */
final class Keyring {
  private static final String SECRET_ALPHABET =
      "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_!#$%&*?@^~";
  private static final Random RANDOM = Seed.random("keyring");

  static final String FIU = "fiu@interop";
  static final Pairing IV = pairing("aa-iv", "iv");
  static final Pairing V10 = pairing("aa-v10", "v1.0");
  static final Pairing V11 = pairing("aa-v11", "v1.1");
  static final Pairing V12 = pairing("aa-v12", "v1.2");
  static final Pairing V13 = pairing("aa-v13", "v1.3");
  static final Pairing V14 = pairing("aa-v14", "v1.4");
  static final Pairing V15 = pairing("aa-v15", "v1.5", WireDate.TENTHS, Lists.REPEATED, webview("v15"));
  /**
   * Differs from the profile: dates of 17 digits, lists with commas, a web view that has a query.
   */
  static final Pairing IV_FULL = pairing("aa-full", "iv", WireDate.FULL, Lists.COMMA, webview("full") + "?lang=hi");
  /** Differs from the profile: lists in braces; no web view. */
  static final Pairing V13_BRACES = pairing("aa-braces", "v1.3", WireDate.MILLIS, Lists.BRACES, "");
  static final Pairing V11_JSON = pairing("aa-json", "v1.1", WireDate.MILLIS, Lists.JSON, webview("json"));
  /**
   * Two secrets. Redirects may lead only to {@code fiu.example} and its subdomains. Its FIU has no
   * other AA.
   */
  static final Pairing IV_ROTATED = rotated("fiu@hosts", "aa-rotated", "iv");
  static final Pairing V12_ROTATED = rotated("fiu@rotated", "aa-rotated12", "v1.2");

  /** The `N` at index 5 meets the second digit of the year, 0: every `fi` of this FIU has a `+`, and padding too. */
  static final Pairing IV_PLUS =
      new Pairing(
          "LOANON@fiu", "aa-plus", "iv", WireDate.MILLIS, Lists.REPEATED, "", List.of(secret("2026-11", "iv")));

  /** Accepts dates about thirty years before and after now. */
  static final Pairing IV_WIDE =
      new Pairing(
          "fiu@wide", "aa-wide", "iv", WireDate.MILLIS, Lists.REPEATED, "", List.of(secret("2026-11", "iv")));

  private static final List<Pairing> USUAL =
      List.of(IV, V10, V11, V12, V13, V14, V15, IV_FULL, V13_BRACES, V11_JSON, IV_ROTATED, V12_ROTATED, IV_PLUS);

  private Keyring() {}

  static List<Pairing> of(Scheme scheme) {
    return USUAL.stream().filter(pairing -> pairing.scheme() == scheme).toList();
  }

  private static Pairing pairing(String aa, String profile) {
    return pairing(aa, profile, WireDate.MILLIS, Lists.REPEATED, webview(aa.replace("aa-", "")));
  }

  private static Pairing pairing(String aa, String profile, WireDate written, Lists lists, String webview) {
    return new Pairing(FIU, aa, profile, written, lists, webview, List.of(secret("2026-11", profile)));
  }

  private static Pairing rotated(String fiu, String aa, String profile) {
    List<Pairing.Secret> secrets = List.of(secret("2026-11", profile), secret("2026-05", profile));
    return new Pairing(fiu, aa, profile, WireDate.MILLIS, Lists.REPEATED, webview(aa), secrets);
  }

  private static String webview(String name) {
    return "https://" + name + ".example/webview";
  }

  /**
   * For `iv` a random secret of the specification's form; for the other scheme a passphrase in
   * several scripts.
   */
  private static Pairing.Secret secret(String id, String profile) {
    String text = newSecret();
    return new Pairing.Secret(id, profile.equals("iv") ? text : "पासवर्ड-é-🔑 " + text);
  }

  static String newSecret() {
    StringBuilder text = new StringBuilder();
    while (text.length() < 32) {
      text.append(SECRET_ALPHABET.charAt(RANDOM.nextInt(SECRET_ALPHABET.length())));
    }
    return text.toString();
  }

  /** Writes keyring and secrets into {@code folder}; the result is the keyring file. */
  static Path write(Path folder) throws IOException {
    List<String> lines = new ArrayList<>();
    Files.createDirectory(folder.resolve("secrets"));
    for (Pairing pairing : Stream.concat(USUAL.stream(), Stream.of(IV_WIDE)).toList()) {
      List<String> secrets = new ArrayList<>();
      for (Pairing.Secret secret : pairing.secrets()) {
        String file = "secrets/" + pairing.aa() + "-" + secret.id();
        Files.writeString(folder.resolve(file), secret.text() + "\n");
        String use = secret == pairing.primary() ? "" : ", use = \"decode\"";
        secrets.add("{ id = \"" + secret.id() + "\", file = \"" + file + "\"" + use + " }");
      }
      lines.add("[[pairing]]");
      lines.add("fiu = \"" + pairing.fiu() + "\"");
      lines.add("aa = \"" + pairing.aa() + "\"");
      lines.add("profile = \"" + pairing.profile() + "\"");
      lines.add("handles = [\"" + pairing.handle() + "\"]");
      lines.add("secrets = [" + String.join(", ", secrets) + "]");
      if (!pairing.webview().isEmpty()) {
        lines.add("webview = \"" + pairing.webview() + "\"");
      }
      if (pairing.secrets().size() > 1) {
        lines.add("redirect_hosts = [\"fiu.example\", \"*.fiu.example\"]");
      }
      if (pairing == IV_WIDE) {
        lines.add("max_age_seconds = 1000000000");
      }
      if (pairing.written() == WireDate.FULL) {
        lines.add("date = \"full\"");
      }
      if (pairing.lists() != Lists.REPEATED) {
        lines.add("lists = \"" + pairing.lists().name().toLowerCase(Locale.ROOT) + "\"");
      }
    }
    Path keyring = folder.resolve("keyring.toml");
    Files.write(keyring, lines);
    return keyring;
  }
}
