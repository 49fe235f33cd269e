package aa.redirect.codec;

import aa.redirect.v1.Callback;
import aa.redirect.v1.CallbackStatus;
import aa.redirect.v1.Redirect;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * The members of {@code ecreq} and {@code ecres} as text, written exactly as the wire format says
 * and read as strictly. For what a tolerant reader would repair, this class throws an {@link
 * IllegalArgumentException}.
 */
public final class Members {
  private static final Set<String> REDIRECT_NAMES =
      Set.of("txnid", "sessionid", "userid", "redirect", "srcref", "fipid", "email", "pan", "dob", "isoLanguageCode");
  private static final Set<String> CALLBACK_NAMES =
      Set.of("txnid", "sessionid", "userid", "status", "errorcode", "srcref");
  private static final String UNRESERVED = "-._~";
  private static final String HEX = "0123456789ABCDEF";
  private static final String ESCAPED = "%&=+# ";

  private Members() {}

  /** How a pairing writes lists. */
  public enum Lists {
    /** {@code srcref=a&srcref=b}, the default. */
    REPEATED,
    /** {@code srcref=a,b}. */
    COMMA,
    /** {@code srcref={a,b}}. */
    BRACES,
    /** {@code srcref=["a","b"]}. */
    JSON
  }

  /** The members of a request, in the order of the wire format. */
  public static String write(Redirect redirect, Lists lists) {
    Writer writer = new Writer(lists);
    writer.add("txnid", redirect.getTxnid());
    writer.add("sessionid", redirect.getSessionid());
    writer.add("userid", redirect.getUserid());
    writer.addUrl("redirect", redirect.getRedirect());
    writer.addList("srcref", redirect.getSrcrefList());
    writer.addList("fipid", redirect.getFipidList());
    writer.addOptional("email", redirect.getEmail());
    writer.addOptional("pan", redirect.getPan());
    writer.addOptional("dob", redirect.getDob());
    writer.addOptional("isoLanguageCode", redirect.getIsoLanguageCode());
    new TreeMap<>(redirect.getExtraMap()).forEach(writer::add);
    return writer.text.toString();
  }

  /** The members of a callback, in the order of the wire format. */
  public static String write(Callback callback, Lists lists) {
    Writer writer = new Writer(lists);
    writer.add("txnid", callback.getTxnid());
    writer.add("sessionid", callback.getSessionid());
    writer.add("userid", callback.getUserid());
    writer.add("status", callback.getStatus() == CallbackStatus.CALLBACK_STATUS_SUCCESS ? "S" : "F");
    writer.add("errorcode", Integer.toUnsignedString(callback.getErrorcode()));
    writer.addList("srcref", callback.getSrcrefList());
    new TreeMap<>(callback.getExtraMap()).forEach(writer::add);
    return writer.text.toString();
  }

  /** Reads what {@link #write(Redirect, Lists)} writes with repeated lists. */
  public static Redirect readRedirect(byte[] plaintext) {
    Redirect.Builder redirect = Redirect.newBuilder();
    Reader reader = new Reader(REDIRECT_NAMES);
    reader.read(
        utf8(plaintext),
        (name, value) -> {
          switch (name) {
            case "txnid" -> redirect.setTxnid(value);
            case "sessionid" -> redirect.setSessionid(value);
            case "userid" -> redirect.setUserid(value);
            case "redirect" -> redirect.setRedirect(value);
            case "srcref" -> redirect.addSrcref(value);
            case "fipid" -> redirect.addFipid(value);
            case "email" -> redirect.setEmail(value);
            case "pan" -> redirect.setPan(value);
            case "dob" -> redirect.setDob(value);
            case "isoLanguageCode" -> redirect.setIsoLanguageCode(value);
            default -> redirect.putExtra(name, value);
          }
        });
    reader.require("txnid", "userid", "redirect", "srcref");
    return redirect.build();
  }

  /** Reads what {@link #write(Callback, Lists)} writes with repeated lists. */
  public static Callback readCallback(byte[] plaintext) {
    Callback.Builder callback = Callback.newBuilder();
    Reader reader = new Reader(CALLBACK_NAMES);
    reader.read(
        utf8(plaintext),
        (name, value) -> {
          switch (name) {
            case "txnid" -> callback.setTxnid(value);
            case "sessionid" -> callback.setSessionid(value);
            case "userid" -> callback.setUserid(value);
            case "status" -> callback.setStatus(status(value));
            case "errorcode" -> callback.setErrorcode(Integer.parseUnsignedInt(value));
            case "srcref" -> callback.addSrcref(value);
            default -> callback.putExtra(name, value);
          }
        });
    reader.require("txnid", "userid", "status", "errorcode");
    return callback.build();
  }

  /**
   * Percent-encodes for a URL's parameter: everything but the unreserved characters. Not URLEncoder, which writes a
   * space as {@code +}.
   */
  public static String escapeAll(String value) {
    return escape(value, true);
  }

  private static String escape(String value, boolean all) {
    StringBuilder out = new StringBuilder(value.length() + 16);
    for (byte octet : value.getBytes(StandardCharsets.UTF_8)) {
      char character = (char) (octet & 0xFF);
      boolean raw =
          all
              ? isAlphanumeric(character) || UNRESERVED.indexOf(character) >= 0
              : character > ' ' && character < 0x7F && ESCAPED.indexOf(character) < 0;
      if (raw) {
        out.append(character);
      } else {
        out.append('%').append(HEX.charAt(character >> 4)).append(HEX.charAt(character & 15));
      }
    }
    return out.toString();
  }

  private static boolean isAlphanumeric(char character) {
    return character >= '0' && character <= '9'
        || character >= 'A' && character <= 'Z'
        || character >= 'a' && character <= 'z';
  }

  /** Percent-decodes; it refuses a bad escape and bytes that are not UTF-8. A {@code +} stays a {@code +}. */
  public static String unescape(String text) {
    byte[] in = text.getBytes(StandardCharsets.UTF_8);
    byte[] out = new byte[in.length];
    int length = 0;
    for (int at = 0; at < in.length; at++) {
      if (in[at] != '%') {
        out[length++] = in[at];
        continue;
      }
      if (at + 2 >= in.length) {
        throw new IllegalArgumentException("an escape is cut short");
      }
      int high = Character.digit(in[++at], 16);
      int low = Character.digit(in[++at], 16);
      if (high < 0 || low < 0) {
        throw new IllegalArgumentException("an escape is not hexadecimal");
      }
      out[length++] = (byte) (high << 4 | low);
    }
    return utf8(Arrays.copyOf(out, length));
  }

  private static String utf8(byte[] bytes) {
    try {
      return StandardCharsets.UTF_8
          .newDecoder()
          .onMalformedInput(CodingErrorAction.REPORT)
          .onUnmappableCharacter(CodingErrorAction.REPORT)
          .decode(ByteBuffer.wrap(bytes))
          .toString();
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException("not UTF-8", e);
    }
  }

  private static CallbackStatus status(String value) {
    return switch (value) {
      case "S" -> CallbackStatus.CALLBACK_STATUS_SUCCESS;
      case "F" -> CallbackStatus.CALLBACK_STATUS_FAILURE;
      default -> throw new IllegalArgumentException("a status is S or F");
    };
  }

  private static final class Writer {
    final StringBuilder text = new StringBuilder();
    private final Lists lists;

    Writer(Lists lists) {
      this.lists = lists;
    }

    void add(String name, String value) {
      addRaw(name, escape(value, false));
    }

    void addOptional(String name, String value) {
      if (!value.isEmpty()) {
        add(name, value);
      }
    }

    /**
     * A URL is raw only if nothing in it needs an escape, because readers take a raw scheme in
     * front for a URL that is not escaped.
     */
    void addUrl(String name, String url) {
      addRaw(name, escape(url, !url.matches("[A-Za-z0-9._~:/@-]*")));
    }

    void addList(String name, List<String> items) {
      if (items.isEmpty()) {
        return;
      }
      switch (lists) {
        case REPEATED -> items.forEach(item -> add(name, item));
        case COMMA -> add(name, String.join(",", items));
        case BRACES -> add(name, "{" + String.join(",", items) + "}");
        case JSON -> add(name, "[\"" + String.join("\",\"", items) + "\"]");
      }
    }

    private void addRaw(String name, String value) {
      if (!text.isEmpty()) {
        text.append('&');
      }
      text.append(name).append('=').append(value);
    }
  }

  private static final class Reader {
    private final Set<String> known;
    private final Map<String, String> seen = new TreeMap<>();

    Reader(Set<String> known) {
      this.known = known;
    }

    interface Sink {
      void accept(String name, String value);
    }

    void read(String text, Sink sink) {
      for (String pair : text.split("&", -1)) {
        int equals = pair.indexOf('=');
        if (equals < 1) {
          throw new IllegalArgumentException("a member has no name or no `=`");
        }
        String name = unescape(pair.substring(0, equals));
        String raw = pair.substring(equals + 1);
        if (raw.contains("=") || raw.contains("+")) {
          throw new IllegalArgumentException("a raw `=` or `+` in the member " + name);
        }
        String value = unescape(raw);
        boolean list = name.equals("srcref") || name.equals("fipid") && known.contains(name);
        if (seen.put(name, value) != null && !list) {
          throw new IllegalArgumentException("the member " + name + " is there twice");
        }
        if (value.isEmpty() && known.contains(name) && !name.equals("sessionid")) {
          throw new IllegalArgumentException("the member " + name + " is blank");
        }
        sink.accept(name, value);
      }
    }

    void require(String... names) {
      for (String name : names) {
        if (!seen.containsKey(name)) {
          throw new IllegalArgumentException("the member " + name + " is missing");
        }
      }
    }
  }
}
