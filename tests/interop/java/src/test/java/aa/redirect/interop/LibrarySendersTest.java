package aa.redirect.interop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import aa.redirect.v1.Callback;
import aa.redirect.v1.CallbackStatus;
import aa.redirect.v1.DecodeCallbackRequest;
import aa.redirect.v1.DecodeCallbackResponse;
import aa.redirect.v1.DecodeRedirectRequest;
import aa.redirect.v1.DecodeRedirectResponse;
import aa.redirect.v1.Deviation;
import aa.redirect.v1.Redirect;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.text.SimpleDateFormat;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.TimeZone;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.springframework.web.util.UriComponentsBuilder;
import org.springframework.web.util.UriUtils;

/**
 * Messages built by the libraries that Java senders use, from random members at random instants: URLEncoder and Spring's
 * UriComponentsBuilder and UriUtils write members, parameters and URLs, SimpleDateFormat and java.time write dates.
 */
class LibrarySendersTest extends WithServer {
  private static final int ROUNDS = 60;
  private static final Pairing PAIRING = Keyring.IV;

  /** How a sender writes members into a text. */
  private enum Writer {
    URL_ENCODER {
      @Override
      String write(Map<String, List<String>> members) {
        return join(members, text -> URLEncoder.encode(text, StandardCharsets.UTF_8));
      }
    },
    URL_ENCODER_WITH_PERCENT_20 {
      @Override
      String write(Map<String, List<String>> members) {
        return join(members, text -> URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20"));
      }
    },
    URI_UTILS {
      @Override
      String write(Map<String, List<String>> members) {
        return join(members, text -> UriUtils.encode(text, StandardCharsets.UTF_8));
      }
    },
    URI_COMPONENTS_BUILDER {
      @Override
      String write(Map<String, List<String>> members) {
        // Spring encodes the values of variables strictly.
        UriComponentsBuilder builder = UriComponentsBuilder.newInstance().encode();
        Map<String, Object> values = new LinkedHashMap<>();
        members.forEach(
            (name, items) ->
                items.forEach(
                    item -> {
                      String variable = "v" + values.size();
                      builder.queryParam(name, "{" + variable + "}");
                      values.put(variable, item);
                    }));
        return builder.buildAndExpand(values).toUriString().substring(1);
      }
    };

    abstract String write(Map<String, List<String>> members);

    private static String join(Map<String, List<String>> members, java.util.function.UnaryOperator<String> escape) {
      List<String> pairs = new ArrayList<>();
      members.forEach((name, items) -> items.forEach(item -> pairs.add(name + "=" + escape.apply(item))));
      return String.join("&", pairs);
    }
  }

  private static Map<String, List<String>> members(Redirect redirect) {
    Map<String, List<String>> members = new LinkedHashMap<>();
    members.put("txnid", List.of(redirect.getTxnid()));
    members.put("sessionid", List.of(redirect.getSessionid()));
    members.put("userid", List.of(redirect.getUserid()));
    members.put("redirect", List.of(redirect.getRedirect()));
    members.put("srcref", redirect.getSrcrefList());
    members.put("fipid", redirect.getFipidList());
    optional(members, "email", redirect.getEmail());
    optional(members, "pan", redirect.getPan());
    optional(members, "dob", redirect.getDob());
    optional(members, "isoLanguageCode", redirect.getIsoLanguageCode());
    new TreeMap<>(redirect.getExtraMap()).forEach((name, value) -> members.put(name, List.of(value)));
    return members;
  }

  private static void optional(Map<String, List<String>> members, String name, String value) {
    if (!value.isEmpty()) {
      members.put(name, List.of(value));
    }
  }

  private static Map<String, List<String>> members(Callback callback) {
    Map<String, List<String>> members = new LinkedHashMap<>();
    members.put("txnid", List.of(callback.getTxnid()));
    members.put("sessionid", List.of(callback.getSessionid()));
    members.put("userid", List.of(callback.getUserid()));
    members.put("status", List.of(callback.getStatus() == CallbackStatus.CALLBACK_STATUS_SUCCESS ? "S" : "F"));
    members.put("errorcode", List.of(Integer.toUnsignedString(callback.getErrorcode())));
    members.put("srcref", callback.getSrcrefList());
    new TreeMap<>(callback.getExtraMap()).forEach((name, value) -> members.put(name, List.of(value)));
    return members;
  }

  /** The parameters appended to a URL as Spring does it. */
  private static String bySpring(String url, Map<String, String> raw) {
    UriComponentsBuilder builder = UriComponentsBuilder.fromUriString(url).encode();
    raw.keySet().forEach(name -> builder.queryParam(name, "{" + name + "}"));
    return builder.buildAndExpand(raw).toUriString();
  }

  private static Map<String, String> raw(Sealed sealed, String dateName, String messageName) {
    Map<String, String> raw = new LinkedHashMap<>();
    raw.put("fi", sealed.fi());
    raw.put(dateName, sealed.date());
    raw.put(messageName, sealed.message());
    raw.put("iv", sealed.ivText());
    return raw;
  }

  private static List<Deviation> extra(int extras) {
    return extras > 0 ? List.of(Deviation.DEVIATION_EXTRA_MEMBER) : List.of();
  }

  @ParameterizedTest
  @EnumSource(Writer.class)
  void requestsOfTheseLibrariesOpenToTheSameMembers(Writer writer) {
    Messages messages = new Messages("library requests " + writer);
    for (int round = 0; round < ROUNDS; round++) {
      Redirect redirect = messages.redirect(PAIRING, false);
      String date = WireDate.MILLIS.write(Instant.now());
      Sealed sealed = Sealed.request(PAIRING, date, writer.write(members(redirect)));
      String url = bySpring("https://aa.example/webview?lang=en", raw(sealed, "reqdate", "ecreq"));
      DecodeRedirectResponse response =
          service().decodeRedirect(DecodeRedirectRequest.newBuilder().setAaId(PAIRING.aa()).setUrl(url).build());
      assertEquals(redirect, response.getRedirect());
      assertEquals(extra(redirect.getExtraCount()), response.getDeviationsList());
    }
  }

  @ParameterizedTest
  @EnumSource(Writer.class)
  void callbacksOfTheseLibrariesOpenToTheSameMembers(Writer writer) {
    Messages messages = new Messages("library callbacks " + writer);
    for (int round = 0; round < ROUNDS; round++) {
      Callback callback = messages.callback(PAIRING, false);
      String date = WireDate.MILLIS.write(Instant.now());
      Sealed sealed = Sealed.callback(PAIRING, date, writer.write(members(callback)));
      String url = bySpring("https://fiu.example/cb?lead=4%2B2&next=/a", raw(sealed, "resdate", "ecres"));
      DecodeCallbackResponse response =
          service().decodeCallback(DecodeCallbackRequest.newBuilder().setFiuId(PAIRING.fiu()).setUrl(url).build());
      assertEquals(callback, response.getCallback());
      assertEquals(extra(callback.getExtraCount()), response.getDeviationsList());
    }
  }

  // Dates

  /** How a sender writes a date, and how the pairing reads it. */
  private enum DateWriter {
    SIMPLE_DATE_FORMAT_MILLIS("ddMMyyyyHHmmSSS", true),
    SIMPLE_DATE_FORMAT_PADDED_SECONDS("ddMMyyyyHHmmsss", true),
    SIMPLE_DATE_FORMAT_SECONDS("ddMMyyyyHHmmss", true),
    SIMPLE_DATE_FORMAT_FULL("ddMMyyyyHHmmssSSS", true),
    /** One to three digits, as many as the milliseconds have. */
    SIMPLE_DATE_FORMAT_ONE_S("ddMMyyyyHHmmssS", true),
    JAVA_TIME_MILLIS("ddMMuuuuHHmmSSS", false),
    JAVA_TIME_TENTHS("ddMMuuuuHHmmssS", false),
    JAVA_TIME_HUNDREDTHS("ddMMuuuuHHmmssSS", false),
    JAVA_TIME_SECONDS("ddMMuuuuHHmmss", false),
    JAVA_TIME_FULL("ddMMuuuuHHmmssSSS", false);

    private final String pattern;
    private final boolean simple;

    DateWriter(String pattern, boolean simple) {
      this.pattern = pattern;
      this.simple = simple;
    }

    String write(Instant instant) {
      if (!simple) {
        return DateTimeFormatter.ofPattern(pattern).withZone(ZoneOffset.UTC).format(instant);
      }
      SimpleDateFormat format = new SimpleDateFormat(pattern, Locale.ROOT);
      format.setTimeZone(TimeZone.getTimeZone("UTC"));
      return format.format(Date.from(instant));
    }
  }

  /**
   * Within the window of the wide pairing, about 31 years before and after now, and not before
   * 2000.
   */
  private static Instant randomInstant(Random random) {
    long now = System.currentTimeMillis();
    long earliest = Math.max(now - 950_000_000_000L, 946_684_800_000L);
    return Instant.ofEpochMilli(earliest + (long) (random.nextDouble() * (now + 950_000_000_000L - earliest)));
  }

  @ParameterizedTest
  @EnumSource(DateWriter.class)
  void datesOfRandomInstantsNameThatInstant(DateWriter writer) {
    Random random = new Messages("dates " + writer).random;
    for (int round = 0; round < 300; round++) {
      Instant instant = randomInstant(random);
      String date = writer.write(instant);
      DecodeRedirectResponse response = decodeAt(date, date);
      assertEquals(Strict.timestamp(meant(date)), response.getIssueTime(), date);
      List<Deviation> expected = date.length() == 15 ? List.of() : List.of(Deviation.DEVIATION_DATE_DIGITS);
      assertEquals(expected, response.getDeviationsList(), date);
    }
  }

  /**
   * The instant of the date, read here: 15 digits as milliseconds of a minute, 16 digits to the
   * second.
   */
  private static Instant meant(String date) {
    Instant minute =
        LocalDateTime.parse(date.substring(0, 12), DateTimeFormatter.ofPattern("ddMMuuuuHHmm"))
            .toInstant(ZoneOffset.UTC);
    return switch (date.length()) {
      case 14, 16 -> minute.plusSeconds(Integer.parseInt(date.substring(12, 14)));
      case 15, 17 -> minute.plusMillis(Integer.parseInt(date.substring(12)));
      default -> throw new IllegalStateException(date);
    };
  }

  private static DecodeRedirectResponse decodeAt(String date, String sent) {
    String members = "txnid=T1&sessionid=&userid=u@wide&redirect=https://fiu.example/cb&srcref=h";
    Map<String, String> query = Sealed.request(Keyring.IV_WIDE, date, members.replace("T1", TXNID)).requestQuery();
    query.put("reqdate", sent);
    DecodeRedirectRequest.Builder request = DecodeRedirectRequest.newBuilder().setAaId(Keyring.IV_WIDE.aa());
    return service().decodeRedirect(request.setUrl(Sealed.join(query)).build());
  }

  private static final String TXNID = "2d04747e-21c6-4c23-955b-d46c2f820140";

  @Test
  void aDateThatWasStoredAsANumberGetsItsZeroBack() {
    Random random = new Messages("numbers").random;
    int lost = 0;
    for (int round = 0; round < 300; round++) {
      String date = DateWriter.SIMPLE_DATE_FORMAT_MILLIS.write(randomInstant(random));
      String sent = Long.toString(Long.parseLong(date));
      DecodeRedirectResponse response = decodeAt(date, sent);
      assertEquals(Strict.timestamp(meant(date)), response.getIssueTime(), sent);
      boolean reported = response.getDeviationsList().contains(Deviation.DEVIATION_DATE_ZERO_LOST);
      assertEquals(sent.length() < date.length(), reported, sent);
      lost += reported ? 1 : 0;
    }
    assertTrue(lost > 0, "a test that does not test");
  }

  @Test
  void anUnknownRequestorTypeOpensAndIsReported() {
    String date = WireDate.MILLIS.write(Instant.now());
    Map<String, String> query =
        Sealed.request(PAIRING, date, "txnid=" + TXNID + "&userid=u@iv&redirect=https://fiu.example/&srcref=h")
            .requestQuery();
    for (String type : List.of(aa.redirect.codec.RedirectCodec.mask("FIP", date), "~")) {
      query.put("requestorType", aa.redirect.codec.Members.escapeAll(type));
      DecodeRedirectRequest.Builder request = DecodeRedirectRequest.newBuilder().setAaId(PAIRING.aa());
      var response = service().decodeRedirect(request.setUrl(Sealed.join(query)).build());
      assertEquals(List.of(Deviation.DEVIATION_REQUESTOR_TYPE), response.getDeviationsList());
      assertEquals(aa.redirect.v1.RequestorType.REQUESTOR_TYPE_UNSPECIFIED, response.getRequestorType());
    }
  }
}
