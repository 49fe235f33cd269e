package aa.redirect.interop;

import aa.redirect.v1.Callback;
import aa.redirect.v1.CallbackStatus;
import aa.redirect.v1.Redirect;
import aa.redirect.v1.RequestorType;
import java.time.Instant;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.UUID;

/** Random members within the API's limits, with many characters that break careless escaping. */
final class Messages {
  private static final String[] PIECES = {
    "अ", "क्षि", "नमस्ते", "१२", "é", "e\u0301", "🇮🇳", "🔑", "👩‍👩‍👧", "\uFEFF", "\u00A0", "\u2028",
    "&", "=", "%", "+", "#", " ", "\r\n", "\n", "\t", "\0",
    "\u007F", "\"", "'", "<", ">", "\\", "|", "?", "@", ":", "/", ",", "{", "}", "[", "]", "~", "!", "%41", "%25",
    "%zz", "&a=b", "srcref=", "S", "0", "abc", "Z9"
  };

  /** The parts that a user id or a URL may have: no blanks, control characters or backslashes. */
  private static final String[] SOLID = {
    "अ", "क्षि", "é", "🔑", "&", "=", "%", "+", "\"", "'", "<", "|", "?", "/", ",", "{", "~", "%2B", "%20", "x", "7"
  };

  /** The parts that a list item may have, and that a JSON string has unescaped. */
  private static final String[] IN_LIST = {
    "ह", "🏦", "=", "%", "+", "#", "|", "?", "@", ":", "/", "~", "%2C", "x", "7"
  };

  private static final String[] LANGUAGES = {
    "en-IN", "hi-IN", "bn-IN", "mr-IN", "te-IN", "ta-IN", "gu-IN", "ur-IN", "kn-IN", "or-IN", "ml-IN", "pa-IN", "as-IN"
  };
  private static final String[] EXTRA = {"fi", "account", "mobile", "aaVersion", "Z_9.a", "x-1", "Account"};
  private static final String[] HOSTS = {"fiu.example", "app.fiu.example", "app.fiu.example:8443"};

  final Random random;

  Messages(String name) {
    random = Seed.random(name);
  }

  boolean oneIn(int chances) {
    return random.nextInt(chances) == 0;
  }

  private String pick(String[] from) {
    return from[random.nextInt(from.length)];
  }

  private String text(String[] pieces, int most) {
    StringBuilder text = new StringBuilder();
    for (int count = random.nextInt(most + 1); count > 0; count--) {
      text.append(pick(pieces));
    }
    return text.toString();
  }

  private String uuid() {
    return new UUID(random.nextLong() & ~0xF000L | 0x4000L, random.nextLong() >>> 2 | 1L << 63).toString();
  }

  private List<String> items(int least, int most) {
    List<String> items = new ArrayList<>();
    for (int count = least + random.nextInt(most - least + 1); count > 0; count--) {
      items.add(oneIn(3) ? "x" + text(IN_LIST, 8) : uuid());
    }
    return items;
  }

  String userid(Pairing pairing) {
    String name = oneIn(2) ? String.valueOf(6_000_000_000L + random.nextInt(1_000_000_000)) : "u" + text(SOLID, 8);
    return name + "@" + pairing.handle();
  }

  /** A return URL with or without path, query and fragment. */
  String returnUrl() {
    String path = oneIn(3) ? "" : "/" + (oneIn(2) ? "consent/रास्ता%20" : "cb");
    String query = oneIn(2) ? "" : "?lead=" + text(SOLID, 6) + "&b=%2B+" + random.nextInt(10);
    String fragment = oneIn(3) ? "#" + (oneIn(2) ? "/route?tab=1" : "top=" + text(SOLID, 3)) : "";
    return "https://" + pick(HOSTS) + path + query + fragment;
  }

  RequestorType requestorType() {
    return RequestorType.forNumber(random.nextInt(3));
  }

  /** {@code blankExtras}: whether a member beyond the guideline may have an empty value. */
  Redirect redirect(Pairing pairing, boolean blankExtras) {
    Redirect.Builder redirect =
        Redirect.newBuilder()
            .setTxnid(uuid())
            .setSessionid(oneIn(5) ? "" : text(PIECES, 30))
            .setUserid(userid(pairing))
            .setRedirect(returnUrl())
            .addAllSrcref(items(1, oneIn(4) ? 50 : 3));
    if (oneIn(3)) {
      redirect.addAllFipid(items(1, 4));
    }
    if (oneIn(3)) {
      redirect.setEmail("e" + text(PIECES, 6) + "@x.example");
    }
    if (oneIn(3)) {
      redirect.setPan("ABCDE1234" + (char) ('A' + random.nextInt(26)));
    }
    if (oneIn(3)) {
      redirect.setDob(LocalDate.of(1940, 1, 1).plusDays(random.nextInt(25_000)).toString());
    }
    if (oneIn(3)) {
      redirect.setIsoLanguageCode(pick(LANGUAGES));
    }
    if (oneIn(4)) {
      for (int count = 1 + random.nextInt(3); count > 0; count--) {
        redirect.putExtra(pick(EXTRA), (blankExtras ? "" : "v") + text(PIECES, 10));
      }
    }
    return redirect.build();
  }

  Callback callback(Pairing pairing, boolean blankExtras) {
    boolean success = oneIn(2);
    Callback.Builder callback =
        Callback.newBuilder()
            .setTxnid(uuid())
            .setSessionid(oneIn(5) ? "" : text(PIECES, 30))
            .setUserid(userid(pairing))
            .setStatus(success ? CallbackStatus.CALLBACK_STATUS_SUCCESS : CallbackStatus.CALLBACK_STATUS_FAILURE)
            .setErrorcode(success ? 0 : oneIn(8) ? (oneIn(2) ? 99 : -1) : 1 + random.nextInt(20))
            .addAllSrcref(items(success ? 1 : 0, oneIn(4) ? 50 : 3));
    if (oneIn(4)) {
      callback.putExtra(pick(EXTRA), (blankExtras ? "" : "v") + text(PIECES, 10));
    }
    return callback.build();
  }

  /** A date near now in the pairing's style, or one time in three of 14 or 17 digits. */
  String date(Pairing pairing, Instant near) {
    WireDate style =
        switch (random.nextInt(6)) {
          case 0 -> WireDate.SECONDS;
          case 1 -> WireDate.FULL;
          default -> pairing.written();
        };
    return style.write(near);
  }
}
