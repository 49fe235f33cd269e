package aa.redirect.client;

import io.grpc.Status;
import java.util.Collections;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;

/** Checks of texts. */
final class Texts {
  private Texts() {}

  static void present(Object... values) {
    for (Object value : values) {
      Objects.requireNonNull(value, "a member is null: leave it empty where it is absent");
    }
  }

  /** An immutable copy in the order of the names. */
  static Map<String, String> copy(Map<String, String> values) {
    Map<String, String> copy = new TreeMap<>(values);
    copy.values().forEach(Texts::present);
    return Collections.unmodifiableMap(copy);
  }

  /**
   * Refuses half of a surrogate pair, as the service would. Protobuf would send a question mark in
   * its place.
   */
  static String unicode(String text) {
    for (int at = 0; at < text.length(); at++) {
      char here = text.charAt(at);
      if (Character.isHighSurrogate(here)
          && at + 1 < text.length()
          && Character.isLowSurrogate(text.charAt(at + 1))) {
        at++;
      } else if (Character.isSurrogate(here)) {
        throw RedirectException.local(
            Reason.FIELD_INVALID,
            Status.Code.INVALID_ARGUMENT,
            "a text of the request has half of a surrogate pair, so that it is no Unicode and cannot be sent");
      }
    }
    return text;
  }
}
