package aa.redirect.client;

import java.net.URI;

/** URLs in Java's type. */
final class Urls {
  private Urls() {}

  /**
   * The URL as a URI. Characters that browsers allow in a URL and {@link URI} does not, such as
   * {@code |}, are percent-encoded, as browsers do it.
   */
  static URI uri(String url) {
    StringBuilder strict = new StringBuilder();
    boolean inFragment = false;
    for (int at = 0; at < url.length(); at++) {
      char here = url.charAt(at);
      boolean escape =
          here == '%'
              && url.length() - at > 2
              && isHex(url.charAt(at + 1))
              && isHex(url.charAt(at + 2));
      boolean refused =
          "\"<>\\^`{|}".indexOf(here) >= 0
              || (here == '%' && !escape)
              || (here == '#' && inFragment);
      if (refused) {
        strict
            .append('%')
            .append(Character.forDigit(here >> 4, 16))
            .append(Character.forDigit(here & 15, 16));
      } else {
        strict.append(here);
      }
      inFragment |= here == '#';
    }
    return URI.create(strict.toString());
  }

  private static boolean isHex(char here) {
    return Character.digit(here, 16) >= 0 && here < 0x80;
  }
}
