package aa.redirect.rival;

import aa.redirect.codec.RedirectCodec.Scheme;
import com.google.gson.Gson;
import com.google.gson.annotations.SerializedName;
import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;

/** One FIU and one AA that share a secret, as the keyring's JSON names them. */
record Pairing(String fiu, String aa, Scheme scheme, String secret, String webview, Duration maxAge) {

  private record Entry(
      String fiu,
      String aa,
      String scheme,
      String secret,
      String webview,
      @SerializedName("max_age_seconds") long maxAgeSeconds) {

    Pairing pairing() {
      Scheme named =
          switch (scheme) {
            case "hkdf-iv" -> Scheme.HKDF_IV;
            case "pbkdf2" -> Scheme.PBKDF2;
            default -> throw new IllegalArgumentException("unknown scheme " + scheme);
          };
      return new Pairing(fiu, aa, named, secret, webview == null ? "" : webview, Duration.ofSeconds(maxAgeSeconds));
    }
  }

  /** The pairings of a file, by FIU and then by AA. */
  static Map<String, Map<String, Pairing>> read(Path file) throws IOException {
    Map<String, Map<String, Pairing>> pairings = new HashMap<>();
    try (Reader json = Files.newBufferedReader(file)) {
      for (Entry entry : new Gson().fromJson(json, Entry[].class)) {
        pairings.computeIfAbsent(entry.fiu(), fiu -> new HashMap<>()).put(entry.aa(), entry.pairing());
      }
    }
    return pairings;
  }

  /** The web view with {@code query} appended; empty if there is no web view. */
  String url(String query) {
    return webview.isEmpty() ? "" : webview + (webview.contains("?") ? '&' : '?') + query;
  }
}
