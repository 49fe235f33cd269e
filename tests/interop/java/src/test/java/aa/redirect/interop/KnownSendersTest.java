package aa.redirect.interop;

import static aa.redirect.v1.Deviation.DEVIATION_BASE64_ALPHABET;
import static aa.redirect.v1.Deviation.DEVIATION_BASE64_UNPADDED;
import static aa.redirect.v1.Deviation.DEVIATION_BLANK_OPTIONAL;
import static aa.redirect.v1.Deviation.DEVIATION_DATE_DIGITS;
import static aa.redirect.v1.Deviation.DEVIATION_DOUBLE_ENCODED;
import static aa.redirect.v1.Deviation.DEVIATION_EXTRA_MEMBER;
import static aa.redirect.v1.Deviation.DEVIATION_LIST_SYNTAX;
import static aa.redirect.v1.Deviation.DEVIATION_PLUS_AS_SPACE;
import static aa.redirect.v1.Deviation.DEVIATION_REDIRECT_UNESCAPED;
import static aa.redirect.v1.Deviation.DEVIATION_SECOND_QUESTION_MARK;
import static aa.redirect.v1.Deviation.DEVIATION_STATUS_MISMATCH;
import static aa.redirect.v1.Deviation.DEVIATION_TXNID_NOT_UUID;
import static aa.redirect.v1.Deviation.DEVIATION_WHITESPACE;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import aa.redirect.codec.Members;
import aa.redirect.v1.Callback;
import aa.redirect.v1.CallbackStatus;
import aa.redirect.v1.DecodeCallbackRequest;
import aa.redirect.v1.DecodeCallbackResponse;
import aa.redirect.v1.DecodeRedirectRequest;
import aa.redirect.v1.DecodeRedirectResponse;
import aa.redirect.v1.Deviation;
import aa.redirect.v1.Redirect;
import aa.redirect.v1.RedirectParams;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Messages as known senders write them, mostly Java programs. The service opens each to the
 * intended members, and reports exactly its deviations.
 */
class KnownSendersTest extends WithServer {
  private static final String TXNID = "2d04747e-21c6-4c23-955b-d46c2f820140";
  private static final String MEMBERS =
      "txnid=" + TXNID + "&sessionid=S-1&userid=9999988888@iv&redirect=https://fiu.example/cb&srcref=H1";
  private static final String OUTCOME =
      "txnid=" + TXNID + "&sessionid=S-1&userid=9999988888@iv&status=S&errorcode=0&srcref=H1";

  /** The members that {@link #MEMBERS} stands for. */
  private static Redirect.Builder members() {
    return Redirect.newBuilder()
        .setTxnid(TXNID)
        .setSessionid("S-1")
        .setUserid("9999988888@iv")
        .setRedirect("https://fiu.example/cb")
        .addSrcref("H1");
  }

  /** The members that {@link #OUTCOME} stands for. */
  private static Callback.Builder outcome() {
    return Callback.newBuilder()
        .setTxnid(TXNID)
        .setSessionid("S-1")
        .setUserid("9999988888@iv")
        .setStatus(CallbackStatus.CALLBACK_STATUS_SUCCESS)
        .addSrcref("H1");
  }

  private static String now() {
    return WireDate.MILLIS.write(Instant.now());
  }

  private static DecodeRedirectResponse decodeUrl(Pairing pairing, Map<String, String> query) {
    String url = "https://aa.example/webview?" + Sealed.join(query);
    return service().decodeRedirect(DecodeRedirectRequest.newBuilder().setAaId(pairing.aa()).setUrl(url).build());
  }

  private static DecodeRedirectResponse decodeParams(Pairing pairing, RedirectParams params) {
    return service()
        .decodeRedirect(DecodeRedirectRequest.newBuilder().setAaId(pairing.aa()).setParams(params).build());
  }

  private static DecodeRedirectResponse decode(Pairing pairing, String members) {
    return decodeUrl(pairing, Sealed.request(pairing, now(), members).requestQuery());
  }

  private static DecodeCallbackResponse decodeCallback(Pairing pairing, String url) {
    return service().decodeCallback(DecodeCallbackRequest.newBuilder().setFiuId(pairing.fiu()).setUrl(url).build());
  }

  private static void read(DecodeRedirectResponse response, Redirect.Builder expected, Deviation... deviations) {
    assertEquals(expected.build(), response.getRedirect());
    assertEquals(List.of(deviations), response.getDeviationsList());
  }

  private static void read(DecodeCallbackResponse response, Callback.Builder expected, Deviation... deviations) {
    assertEquals(expected.build(), response.getCallback());
    assertEquals(List.of(deviations), response.getDeviationsList());
  }

  /** A sealed request whose {@code ecreq} and {@code iv} have both characters in which the alphabets differ. */
  private static Sealed withBothAlphabets(Pairing pairing, String date) {
    while (true) {
      Sealed sealed = Sealed.request(pairing, date, MEMBERS);
      boolean message = sealed.message().contains("-") && sealed.message().contains("_");
      if (message && sealed.ivText().contains("+")) {
        return sealed;
      }
    }
  }

  private static String toStandard(String urlSafe) {
    return urlSafe.replace('-', '+').replace('_', '/');
  }

  private static String toUrlSafe(String standard) {
    return standard.replace('+', '-').replace('/', '_');
  }

  // Dates

  @ParameterizedTest
  @EnumSource(
      value = WireDate.class,
      names = {"MILLIS", "TENTHS", "PADDED_SECONDS"})
  void fifteenDigitsOfAnyReadingAreNoDeviation(WireDate style) {
    for (Pairing pairing : List.of(Keyring.IV, Keyring.V10, Keyring.V15)) {
      String date = style.write(Instant.now());
      DecodeRedirectResponse response = decodeUrl(pairing, Sealed.request(pairing, date, MEMBERS).requestQuery());
      read(response, members());
      Instant issued = WireDate.read(date, pairing.written());
      assertEquals(Strict.timestamp(issued), response.getIssueTime());
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = WireDate.class,
      names = {"SECONDS", "FULL"})
  void fourteenAndSeventeenDigitsAreReported(WireDate style) {
    String date = style.write(Instant.now());
    DecodeRedirectResponse response = decodeUrl(Keyring.IV, Sealed.request(Keyring.IV, date, MEMBERS).requestQuery());
    read(response, members(), DEVIATION_DATE_DIGITS);
    assertEquals(Strict.timestamp(WireDate.read(date, WireDate.MILLIS)), response.getIssueTime());
  }

  @Test
  void seventeenDigitsAreCleanIfThePairingWritesThem() {
    String date = WireDate.FULL.write(Instant.now());
    read(decodeUrl(Keyring.IV_FULL, Sealed.request(Keyring.IV_FULL, date, MEMBERS).requestQuery()), members());
  }

  // Base64 on its way through URLs

  @Test
  void theStandardAlphabetEscapedIsReported() {
    Sealed sealed = withBothAlphabets(Keyring.IV, now());
    Map<String, String> query = sealed.requestQuery();
    query.put("ecreq", Members.escapeAll(toStandard(sealed.message())));
    read(decodeUrl(Keyring.IV, query), members(), DEVIATION_BASE64_ALPHABET);
  }

  @Test
  void theStandardAlphabetUnescapedHasRawPluses() {
    Sealed sealed = withBothAlphabets(Keyring.IV, now());
    Map<String, String> query = sealed.requestQuery();
    query.put("ecreq", toStandard(sealed.message()));
    read(decodeUrl(Keyring.IV, query), members(), DEVIATION_BASE64_ALPHABET, DEVIATION_PLUS_AS_SPACE);
  }

  @Test
  void aPlusThatBecameASpaceOnTheWayIsRead() {
    Sealed sealed = withBothAlphabets(Keyring.IV, now());
    String spaced = toStandard(sealed.message()).replace('+', ' ');
    Map<String, String> query = sealed.requestQuery();
    query.put("ecreq", Members.escapeAll(spaced));
    read(decodeUrl(Keyring.IV, query), members(), DEVIATION_BASE64_ALPHABET, DEVIATION_PLUS_AS_SPACE);
    // The same from a backend that parsed the URL as a form.
    RedirectParams params = sealed.redirectParams().toBuilder().setEcreq(spaced).build();
    read(decodeParams(Keyring.IV, params), members(), DEVIATION_BASE64_ALPHABET, DEVIATION_PLUS_AS_SPACE);
  }

  @Test
  void anUnescapedIvHasRawPluses() {
    Sealed sealed = withBothAlphabets(Keyring.IV, now());
    Map<String, String> query = sealed.requestQuery();
    query.put("iv", sealed.ivText());
    read(decodeUrl(Keyring.IV, query), members(), DEVIATION_PLUS_AS_SPACE);
  }

  @Test
  void anUnescapedFiHasRawPluses() {
    Sealed sealed = Sealed.request(Keyring.IV_PLUS, now(), MEMBERS);
    assertTrue(sealed.fi().contains("+"), "a test that does not test");
    Map<String, String> query = sealed.requestQuery();
    query.put("fi", sealed.fi());
    DecodeRedirectResponse raw = decodeUrl(Keyring.IV_PLUS, query);
    read(raw, members(), DEVIATION_PLUS_AS_SPACE);
    assertEquals("LOANON@fiu", raw.getFiuId());
    query.put("fi", sealed.fi().replace("+", "%20"));
    read(decodeUrl(Keyring.IV_PLUS, query), members(), DEVIATION_PLUS_AS_SPACE);
  }

  @Test
  void theUrlSafeAlphabetInFiAndIvIsReported() {
    Sealed sealed = withBothAlphabets(Keyring.IV_PLUS, now());
    for (Map.Entry<String, String> value : Map.of("fi", sealed.fi(), "iv", sealed.ivText()).entrySet()) {
      Map<String, String> query = sealed.requestQuery();
      query.put(value.getKey(), Members.escapeAll(toUrlSafe(value.getValue())));
      read(decodeUrl(Keyring.IV_PLUS, query), members(), DEVIATION_BASE64_ALPHABET);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"fi", "iv", "ecreq"})
  void strippedPaddingIsReported(String parameter) {
    Sealed sealed = Sealed.request(Keyring.IV_PLUS, now(), MEMBERS);
    Map<String, String> query = sealed.requestQuery();
    assertTrue(query.get(parameter).endsWith("%3D"), "a test that does not test");
    query.merge(parameter, "", (value, none) -> value.replace("%3D", ""));
    read(decodeUrl(Keyring.IV_PLUS, query), members(), DEVIATION_BASE64_UNPADDED);
  }

  /** {@code Base64.getMimeEncoder()} and the encoders of old JDKs: a line end after 76 characters. */
  @Test
  void mimeLineEndsAreDropped() {
    Sealed sealed = withBothAlphabets(Keyring.IV, now());
    Map<String, String> query = sealed.requestQuery();
    query.put("ecreq", Members.escapeAll(Base64.getMimeEncoder().encodeToString(sealed.ciphertext())));
    read(decodeUrl(Keyring.IV, query), members(), DEVIATION_BASE64_ALPHABET, DEVIATION_WHITESPACE);
    query.put("ecreq", Members.escapeAll(sealed.message() + "\n"));
    read(decodeUrl(Keyring.IV, query), members(), DEVIATION_WHITESPACE);
  }

  @Test
  void blanksAroundTheDateAreNeitherSaltNorMask() {
    Sealed sealed = Sealed.request(Keyring.IV, now(), MEMBERS);
    Map<String, String> query = sealed.requestQuery();
    query.put("reqdate", "%20" + sealed.date() + "%20");
    read(decodeUrl(Keyring.IV, query), members(), DEVIATION_WHITESPACE);
  }

  @ParameterizedTest
  @ValueSource(strings = {"fi", "iv", "ecreq"})
  void aParameterEncodedTwiceIsReported(String parameter) {
    Map<String, String> query = Sealed.request(Keyring.IV_PLUS, now(), MEMBERS).requestQuery();
    query.merge(parameter, "", (value, none) -> value.replace("%3D", "%253D"));
    assertTrue(query.get(parameter).contains("%253D"), "a test that does not test");
    read(decodeUrl(Keyring.IV_PLUS, query), members(), DEVIATION_DOUBLE_ENCODED);
  }

  @Test
  void unknownParametersAreIgnored() {
    Map<String, String> query = Sealed.request(Keyring.IV, now(), MEMBERS).requestQuery();
    query.put("fip", "HDFC");
    query.put("aaVersion", "2.0.0");
    read(decodeUrl(Keyring.IV, query), members());
  }

  // Members

  /** The usage example of the published Java sample: raw members in its own order. */
  @Test
  void thePublishedJavaSample() {
    String sample = "txnid=T1234&sessionid=S1234&srcref=Srcref1234&userid=acme@perfios-aa&redirect=https://example.com";
    Redirect.Builder expected =
        Redirect.newBuilder()
            .setTxnid("T1234")
            .setSessionid("S1234")
            .setUserid("acme@perfios-aa")
            .setRedirect("https://example.com")
            .addSrcref("Srcref1234");
    read(decode(Keyring.V10, sample), expected, DEVIATION_TXNID_NOT_UUID);
    read(decode(Keyring.IV, sample), expected, DEVIATION_TXNID_NOT_UUID);
  }

  /**
   * URLEncoder escapes for forms: `+` for a space. The escaped user id shows it, in every profile.
   */
  @Test
  void membersOfUrlEncoderAreReadAsAForm() {
    String session = "a b+c&d=e%f\r\nनमस्ते 🔑";
    UnaryOperator<String> form = text -> URLEncoder.encode(text, StandardCharsets.UTF_8);
    String members =
        "txnid=" + TXNID + "&sessionid=" + form.apply(session) + "&userid=" + form.apply("9999988888@iv")
            + "&redirect=" + form.apply("https://fiu.example/cb?a=1&b=2#c") + "&srcref=H1";
    Redirect.Builder expected = members().setSessionid(session).setRedirect("https://fiu.example/cb?a=1&b=2#c");
    for (Pairing pairing : List.of(Keyring.IV, Keyring.V11, Keyring.V12, Keyring.V15)) {
      read(decode(pairing, members), expected);
    }
    // An unescaped user id shows that no form encoder wrote the message. A plus is then a plus.
    String raw = members.replace(form.apply("9999988888@iv"), "9999988888@iv");
    expected.setSessionid(session.replace(' ', '+'));
    for (Pairing pairing : List.of(Keyring.IV, Keyring.V11, Keyring.V12, Keyring.V15)) {
      read(decode(pairing, raw), expected);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ' ',
      value = {
        "comma srcref=H1,H2",
        "braces srcref={H1,H2}",
        "json srcref=[\"H1\",\"H2\"]",
        "json-escaped srcref=%5B%22H1%22%2C%22H2%22%5D",
        "brackets srcref=[H1,H2]",
        "escaped-join srcref=H1%26srcref%3DH2",
      })
  void otherListSyntaxesAreReported(String name, String list) {
    String members = MEMBERS.replace("srcref=H1", list);
    read(decode(Keyring.IV, members), members().addSrcref("H2"), DEVIATION_LIST_SYNTAX);
  }

  @Test
  void listsInThePairingsOwnSyntaxOrRepeatedAreClean() {
    Redirect.Builder two = members().addSrcref("H2");
    read(decode(Keyring.V13_BRACES, MEMBERS.replace("srcref=H1", "srcref={H1,H2}")), two);
    read(decode(Keyring.V11_JSON, MEMBERS.replace("srcref=H1", "srcref=[\"H1\",\"H2\"]")), two);
    read(decode(Keyring.IV, MEMBERS.replace("srcref=H1", "srcref=H1&srcref=H2")), two);
  }

  @Test
  void anUnescapedRedirectKeepsTheMembersOfItsQuery() {
    String members = MEMBERS.replace("https://fiu.example/cb", "https://fiu.example/cb?a=1&b=2");
    read(
        decode(Keyring.IV, members),
        members().setRedirect("https://fiu.example/cb?a=1&b=2"),
        DEVIATION_REDIRECT_UNESCAPED);
  }

  @Test
  void aRedirectEncodedTwiceIsReported() {
    String members = MEMBERS.replace("https://fiu.example/cb", "https%253A%252F%252Ffiu.example%252Fcb%253Fx%253D1");
    read(decode(Keyring.IV, members), members().setRedirect("https://fiu.example/cb?x=1"), DEVIATION_DOUBLE_ENCODED);
  }

  @Test
  void membersThatTheGuidelineDoesNotHaveAreKept() {
    String members = MEMBERS + "&fi=KMBL&mobile=9999988888";
    Redirect.Builder expected = members().putExtra("fi", "KMBL").putExtra("mobile", "9999988888");
    read(decode(Keyring.IV, members), expected, DEVIATION_EXTRA_MEMBER);
  }

  /** A map sorted by name, with every optional member present and blank. */
  @Test
  void blankOptionalsInAlphabeticalOrder() {
    String members =
        "dob=&email=&fipid=&pan=&redirect=https://fiu.example/cb&sessionid=S-1&srcref=H1&txnid=" + TXNID
            + "&userid=9999988888@iv";
    read(decode(Keyring.IV, members), members(), DEVIATION_BLANK_OPTIONAL);
  }

  @Test
  void severalDeviationsComeInTheOrderOfTheEnum() {
    String date = WireDate.SECONDS.write(Instant.now());
    String members =
        MEMBERS.replace(TXNID, "T1234").replace("srcref=H1", "srcref={H1}") + "&pan=&mobile=9999988888";
    Sealed sealed = Sealed.request(Keyring.V14, date, members);
    Map<String, String> query = sealed.requestQuery();
    query.put("fi", Members.escapeAll(sealed.fi().replace("=", "")));
    query.put("ecreq", query.get("ecreq").replace("%3D", "%253D") + "%0A");
    query.put("requestorType", "");
    boolean padded = sealed.message().endsWith("=");
    assertTrue(padded && sealed.fi().endsWith("="), "a test that does not test");
    read(
        decodeUrl(Keyring.V14, query),
        members().setTxnid("T1234").putExtra("mobile", "9999988888"),
        DEVIATION_BASE64_UNPADDED,
        DEVIATION_DOUBLE_ENCODED,
        DEVIATION_WHITESPACE,
        DEVIATION_DATE_DIGITS,
        DEVIATION_LIST_SYNTAX,
        DEVIATION_TXNID_NOT_UUID,
        DEVIATION_EXTRA_MEMBER,
        DEVIATION_BLANK_OPTIONAL);
  }

  // Callbacks

  @Test
  void aSecondQuestionMarkIsReadAsAnAmpersand() {
    String query = Sealed.join(Sealed.callback(Keyring.IV, now(), OUTCOME).callbackQuery());
    DecodeCallbackResponse response = decodeCallback(Keyring.IV, "https://fiu.example/cb?x=1?" + query);
    read(response, outcome(), DEVIATION_SECOND_QUESTION_MARK);
  }

  @Test
  void aCallbackInAnyOrderIsClean() {
    String members =
        "status=F&errorcode=5&srcref=H1&userid=9999988888@iv&txnid=" + TXNID + "&sessionid=S-1";
    String query = Sealed.join(Sealed.callback(Keyring.V12, now(), members).callbackQuery());
    Callback.Builder expected = outcome().setStatus(CallbackStatus.CALLBACK_STATUS_FAILURE).setErrorcode(5);
    read(decodeCallback(Keyring.V12, "https://fiu.example/cb?" + query), expected);
  }

  @ParameterizedTest
  @CsvSource({"S, 5, CALLBACK_STATUS_SUCCESS", "F, 0, CALLBACK_STATUS_FAILURE"})
  void aStatusThatDoesNotFitItsCodeIsReported(String letter, int errorcode, CallbackStatus status) {
    String members = OUTCOME.replace("status=S&errorcode=0", "status=" + letter + "&errorcode=" + errorcode);
    String query = Sealed.join(Sealed.callback(Keyring.IV, now(), members).callbackQuery());
    read(
        decodeCallback(Keyring.IV, "https://fiu.example/cb?" + query),
        outcome().setStatus(status).setErrorcode(errorcode),
        DEVIATION_STATUS_MISMATCH);
  }
}
