package aa.redirect.interop;

import static aa.redirect.v1.CallbackStatus.CALLBACK_STATUS_SUCCESS;
import static io.grpc.Status.Code.FAILED_PRECONDITION;
import static io.grpc.Status.Code.INVALID_ARGUMENT;
import static io.grpc.Status.Code.NOT_FOUND;
import static io.grpc.Status.Code.PERMISSION_DENIED;
import static io.grpc.Status.Code.RESOURCE_EXHAUSTED;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import aa.redirect.codec.Members;
import aa.redirect.codec.RedirectCodec;
import aa.redirect.v1.Callback;
import aa.redirect.v1.DecodeCallbackRequest;
import aa.redirect.v1.DecodeRedirectRequest;
import aa.redirect.v1.EncodeCallbackRequest;
import aa.redirect.v1.EncodeRedirectRequest;
import aa.redirect.v1.ListPairingsRequest;
import aa.redirect.v1.Redirect;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.crypto.Cipher;
import javax.crypto.spec.IvParameterSpec;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Every reason for which the service refuses a single call, read from the error details: code,
 * reason, metadata and violations. OverloadTest has those of load and time.
 */
class ReasonsTest extends WithServer {
  private static final String TXNID = "2d04747e-21c6-4c23-955b-d46c2f820140";
  private static final String MEMBERS =
      "txnid=" + TXNID + "&sessionid=s&userid=9999988888@iv&redirect=https://fiu.example/cb&srcref=H1";
  private static final String OUTCOME =
      "txnid=" + TXNID + "&sessionid=s&userid=9999988888@iv&status=S&errorcode=0&srcref=H1";

  private static String now() {
    return WireDate.MILLIS.write(Instant.now());
  }

  private static EncodeRedirectRequest.Builder redirect(Pairing pairing) {
    Redirect members =
        Redirect.newBuilder()
            .setUserid("9999988888@" + pairing.handle())
            .setRedirect("https://fiu.example/cb")
            .addSrcref("H1")
            .build();
    return EncodeRedirectRequest.newBuilder().setFiuId(pairing.fiu()).setAaId(pairing.aa()).setRedirect(members);
  }

  private static EncodeCallbackRequest.Builder callback(Pairing pairing) {
    Callback members =
        Callback.newBuilder()
            .setTxnid(TXNID)
            .setUserid("9999988888@" + pairing.handle())
            .setStatus(CALLBACK_STATUS_SUCCESS)
            .addSrcref("H1")
            .build();
    return EncodeCallbackRequest.newBuilder()
        .setFiuId(pairing.fiu())
        .setAaId(pairing.aa())
        .setCallback(members)
        .setRedirectUrl("https://fiu.example/cb");
  }

  private static Refused encode(EncodeRedirectRequest.Builder request) throws Exception {
    return Refused.by(() -> wire().encodeRedirect(request.build()));
  }

  private static Refused encode(EncodeCallbackRequest.Builder request) throws Exception {
    return Refused.by(() -> wire().encodeCallback(request.build()));
  }

  private static Refused decodeRequest(Pairing pairing, Map<String, String> query) throws Exception {
    String url = "https://aa.example/webview?" + Sealed.join(query);
    return Refused.by(
        () -> wire().decodeRedirect(DecodeRedirectRequest.newBuilder().setAaId(pairing.aa()).setUrl(url).build()));
  }

  private static Refused decodeCallback(Pairing pairing, Map<String, String> query) throws Exception {
    String url = "https://fiu.example/cb?" + Sealed.join(query);
    return Refused.by(
        () -> wire().decodeCallback(DecodeCallbackRequest.newBuilder().setFiuId(pairing.fiu()).setUrl(url).build()));
  }

  // FIELD_INVALID

  @Test
  void allFaultsOfARedirectAreReportedAtOnce() throws Exception {
    Redirect faulty =
        Redirect.newBuilder()
            .setTxnid("T1234")
            .setSessionid("s".repeat(8 * 1024 + 1))
            .setUserid("9999988888")
            .setRedirect("javascript://alert(1)")
            .addFipid("a,b")
            .setPan("ABCDE12345")
            .setDob("1999-02-29")
            .setIsoLanguageCode("en-US")
            .putExtra("1x", "v")
            .build();
    Refused refused = encode(redirect(Keyring.IV).setFiuId("").setRedirect(faulty));
    refused.is(INVALID_ARGUMENT, "FIELD_INVALID");
    List<String> paths =
        List.of(
            "fiu_id", "redirect.dob", "redirect.extra", "redirect.fipid", "redirect.iso_language_code", "redirect.pan",
            "redirect.redirect", "redirect.sessionid", "redirect.srcref", "redirect.txnid", "redirect.userid");
    assertEquals(paths, refused.violations());
  }

  @Test
  void allFaultsOfACallbackAreReportedAtOnce() throws Exception {
    Refused refused = encode(EncodeCallbackRequest.newBuilder().setRedirectUrl("https://fiu.example/cb?fi=1"));
    refused.is(INVALID_ARGUMENT, "FIELD_INVALID");
    assertEquals(
        List.of("aa_id", "callback.status", "callback.txnid", "callback.userid", "fiu_id", "redirect_url"),
        refused.violations());
  }

  @Test
  void successGoesWithCodeZeroAndHandlesAndAKnownSecret() throws Exception {
    EncodeCallbackRequest.Builder request = callback(Keyring.IV).setSecretId("2020-01");
    request.getCallbackBuilder().setErrorcode(1).clearSrcref();
    Refused refused = encode(request);
    refused.is(INVALID_ARGUMENT, "FIELD_INVALID");
    assertEquals(List.of("callback.errorcode", "callback.srcref", "secret_id"), refused.violations());
  }

  @Test
  void anIssueTimeOutsideTheWindowIsRefused() throws Exception {
    Instant early = Instant.now().minusSeconds(300);
    Refused refused = encode(redirect(Keyring.IV).setIssueTime(Strict.timestamp(early)));
    refused.is(INVALID_ARGUMENT, "FIELD_INVALID");
    assertEquals(List.of("issue_time"), refused.violations());
  }

  @Test
  void aDecodeWithoutASourceIsRefusedOnUrl() throws Exception {
    for (Refused refused :
        List.of(
            Refused.by(() -> wire().decodeRedirect(DecodeRedirectRequest.getDefaultInstance())),
            Refused.by(() -> wire().decodeCallback(DecodeCallbackRequest.getDefaultInstance())))) {
      refused.is(INVALID_ARGUMENT, "FIELD_INVALID");
      assertEquals(List.of("url"), refused.violations());
    }
  }

  @Test
  void pageSizeAndTokenAreRefusedTogether() throws Exception {
    ListPairingsRequest request = ListPairingsRequest.newBuilder().setPageSize(-1).setPageToken("?").build();
    Refused refused = Refused.by(() -> wire().listPairings(request));
    refused.is(INVALID_ARGUMENT, "FIELD_INVALID");
    assertEquals(List.of("page_size", "page_token"), refused.violations());
  }

  // Faults of a URL that can be seen without a key

  @ParameterizedTest
  @ValueSource(strings = {"fi", "reqdate", "ecreq"})
  void aParameterThatIsMissingIsNamed(String parameter) throws Exception {
    Map<String, String> query = Sealed.request(Keyring.IV, now(), MEMBERS).requestQuery();
    query.remove(parameter);
    malformed(decodeRequest(Keyring.IV, query), "URL_MALFORMED", parameter);
  }

  @ParameterizedTest
  @ValueSource(strings = {"fi", "resdate", "ecres", "iv"})
  void aParameterThatComesTwiceIsNamed(String parameter) throws Exception {
    Map<String, String> query = Sealed.callback(Keyring.IV, now(), OUTCOME).callbackQuery();
    query.put(parameter, query.get(parameter) + "&" + parameter + "=x");
    malformed(decodeCallback(Keyring.IV, query), "URL_MALFORMED", parameter);
  }

  @ParameterizedTest
  @CsvSource({
    "fi, ~~~~",
    "fi, A",
    "iv, AAAA",
    "iv, ~",
    "ecreq, AAAA",
    "ecreq, ~",
  })
  void aParameterThatIsNoBase64OfAPossibleLengthIsNamed(String parameter, String value) throws Exception {
    Map<String, String> query = Sealed.request(Keyring.IV, now(), MEMBERS).requestQuery();
    query.put(parameter, value);
    malformed(decodeRequest(Keyring.IV, query), "PARAMETER_MALFORMED", parameter);
  }

  @Test
  void anIdThatUnmasksToNothingSensibleIsNamed() throws Exception {
    String date = now();
    Map<String, String> query = Sealed.request(Keyring.IV, date, MEMBERS).requestQuery();
    Map<String, String> control = new LinkedHashMap<>(query);
    control.put("fi", Members.escapeAll(RedirectCodec.mask("fiu\nx", date)));
    malformed(decodeRequest(Keyring.IV, control), "PARAMETER_MALFORMED", "fi");
    Map<String, String> overlong = new LinkedHashMap<>(query);
    overlong.put("fi", Members.escapeAll(RedirectCodec.mask("f".repeat(129), date)));
    malformed(decodeRequest(Keyring.IV, overlong), "PARAMETER_MALFORMED", "fi");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "310220260000000", "011320260000000", "010120262400000", "010120260060000", "0101202600000",
        "010120260000600000", "01012026000060000", "010120260000x00", "1", "０１０１２０２６００００００００"
      })
  void aDateThatDoesNotExistIsRefused(String date) throws Exception {
    Map<String, String> query = Sealed.request(Keyring.IV, now(), MEMBERS).requestQuery();
    query.put("reqdate", Members.escapeAll(date));
    malformed(decodeRequest(Keyring.IV, query), "DATE_MALFORMED", "reqdate");
  }

  private static void malformed(Refused refused, String reason, String parameter) {
    refused.is(INVALID_ARGUMENT, reason);
    Set<String> told = new HashSet<>(refused.metadata().keySet());
    told.remove("hint");
    assertEquals(Set.of("parameter", "problem"), told);
    assertEquals(parameter, refused.metadata().get("parameter"));
    assertFalse(refused.metadata().get("problem").isEmpty());
  }

  // Pairings, schemes, dates and hosts

  @Test
  void anUnknownPairingIsRefusedWithItsIds() throws Exception {
    Map<String, String> ids = Map.of("fiu_id", "fiu@interop", "aa_id", "aa-none", "hint", "NO_SUCH_AA");
    encode(redirect(Keyring.IV).setAaId("aa-none")).is(NOT_FOUND, "PAIRING_UNKNOWN", ids);
    encode(callback(Keyring.IV).setAaId("aa-none")).is(NOT_FOUND, "PAIRING_UNKNOWN", ids);
    Sealed sealed = Sealed.request(Keyring.IV, now(), MEMBERS);
    DecodeRedirectRequest request =
        DecodeRedirectRequest.newBuilder().setAaId("aa-none").setParams(sealed.redirectParams()).build();
    Refused.by(() -> wire().decodeRedirect(request)).is(NOT_FOUND, "PAIRING_UNKNOWN", ids);
  }

  @Test
  void aHandleThatNoAaServesIsAnUnknownPairing() throws Exception {
    EncodeRedirectRequest.Builder request = redirect(Keyring.IV).clearAaId();
    request.getRedirectBuilder().setUserid("9999988888@nobody");
    encode(request).is(NOT_FOUND, "PAIRING_UNKNOWN", Map.of("fiu_id", "fiu@interop", "hint", "NO_SUCH_HANDLE"));
  }

  @Test
  void anFiuOfSeveralAasIsAmbiguousWithoutAaId() throws Exception {
    Sealed sealed = Sealed.request(Keyring.IV, now(), MEMBERS);
    DecodeRedirectRequest request = DecodeRedirectRequest.newBuilder().setParams(sealed.redirectParams()).build();
    Refused.by(() -> wire().decodeRedirect(request))
        .is(INVALID_ARGUMENT, "PAIRING_AMBIGUOUS", Map.of("fiu_id", "fiu@interop"));
  }

  @Test
  void anIvThatIsMissingOrTooMuchIsAMismatchOfSchemes() throws Exception {
    Map<String, String> without = Sealed.request(Keyring.IV, now(), MEMBERS).requestQuery();
    without.remove("iv");
    Refused missing = decodeRequest(Keyring.IV, without);
    missing.is(FAILED_PRECONDITION, "SCHEME_MISMATCH");
    assertEquals(Set.of("scheme", "fiu_id", "aa_id"), missing.metadata().keySet());

    // An empty one is an absent one.
    without.put("iv", "");
    assertEquals(missing, decodeRequest(Keyring.IV, without));

    Map<String, String> with = Sealed.callback(Keyring.V12, now(), OUTCOME).callbackQuery();
    with.put("iv", "AAAAAAAAAAAAAAAAAAAAAA%3D%3D");
    Refused excess = decodeCallback(Keyring.V12, with);
    excess.is(FAILED_PRECONDITION, "SCHEME_MISMATCH");
    assertFalse(excess.metadata().equals(missing.metadata()), "the same scheme for both");
  }

  @Test
  void aDateOlderThanTheWindowIsRefusedWithItsAge() throws Exception {
    String date = WireDate.FULL.write(Instant.now().minusSeconds(300));
    Refused refused = decodeRequest(Keyring.IV, Sealed.request(Keyring.IV, date, MEMBERS).requestQuery());
    outside(refused, "DATE_EXPIRED", 300);
  }

  @Test
  void aDateAheadOfTheWindowIsRefusedWithItsAge() throws Exception {
    String date = WireDate.FULL.write(Instant.now().plusSeconds(300));
    Refused refused = decodeCallback(Keyring.V12, Sealed.callback(Keyring.V12, date, OUTCOME).callbackQuery());
    outside(refused, "DATE_IN_FUTURE", -300);
  }

  private static void outside(Refused refused, String reason, long age) {
    refused.is(FAILED_PRECONDITION, reason);
    assertEquals(Set.of("age_seconds", "max_age_seconds", "fiu_id", "aa_id"), refused.metadata().keySet());
    assertEquals("180", refused.metadata().get("max_age_seconds"));
    long told = Long.parseLong(refused.metadata().get("age_seconds"));
    assertTrue(Math.abs(told - age) <= 30, () -> "an age of " + told + " s, not about " + age);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "https://evil.example/cb",
        "https://fiu.example.evil.example/cb",
        "https://evil.example/?https://fiu.example",
        "https://fiu.example@evil.example/cb",
        "https://xfiu.example/cb"
      })
  void aRedirectToAHostThatThePairingDoesNotAllowIsForbidden(String url) throws Exception {
    EncodeRedirectRequest.Builder request = redirect(Keyring.IV_ROTATED);
    request.getRedirectBuilder().setRedirect(url);
    Map<String, String> ids = Map.of("fiu_id", Keyring.IV_ROTATED.fiu(), "aa_id", Keyring.IV_ROTATED.aa());
    Map<String, String> metadata = new HashMap<>(ids);
    metadata.put("field", "redirect.redirect");
    encode(request).is(PERMISSION_DENIED, "REDIRECT_FORBIDDEN", metadata);
    metadata.put("field", "redirect_url");
    encode(callback(Keyring.IV_ROTATED).setRedirectUrl(url)).is(PERMISSION_DENIED, "REDIRECT_FORBIDDEN", metadata);
  }

  @Test
  void aRequestOverItsLimitIsTooLarge() throws Exception {
    EncodeRedirectRequest.Builder request = redirect(Keyring.IV);
    request.getRedirectBuilder().setSessionid("s".repeat(64 * 1024 + 1));
    encode(request).is(RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE");
  }

  // UNDECIPHERABLE: an attacker who can distinguish the causes can decrypt a message with many
  // calls.

  @Test
  void everythingBehindTheKeyFailsInTheSameWay() throws Exception {
    Map<String, Refused> first = new HashMap<>();
    List<String> different = new ArrayList<>();
    for (Map.Entry<String, Refused> answer : undecipherables().entrySet()) {
      Refused refused = answer.getValue();
      refused.is(INVALID_ARGUMENT, "UNDECIPHERABLE");
      assertEquals(Set.of("fiu_id", "aa_id"), refused.metadata().keySet());
      // Refused compares code, message and all bytes of the details.
      if (!first.computeIfAbsent(refused.metadata().get("aa_id"), aa -> refused).equals(refused)) {
        different.add(answer.getKey());
      }
    }
    assertEquals(List.of(), different, "causes that can be told from the first of the same pairing");
  }

  private static Map<String, Refused> undecipherables() throws Exception {
    Map<String, Refused> answers = new LinkedHashMap<>();
    for (Pairing pairing : List.of(Keyring.IV, Keyring.V12)) {
      byte[] members = MEMBERS.getBytes(StandardCharsets.UTF_8);
      Pairing.Secret wrong = new Pairing.Secret("wrong", "w" + pairing.primary().text().substring(1) + "x");
      Sealed otherKey = Sealed.seal(pairing, wrong, pairing.fiu(), now(), members);
      answers.put("wrong secret, " + pairing, request(pairing, otherKey));
      answers.put("bad padding, " + pairing, request(pairing, unpadded(pairing)));
      String raw = MEMBERS.replace("sessionid=s", "sessionid=\u0001");
      byte[] notUtf8 = replace(raw.getBytes(StandardCharsets.UTF_8), (byte) 1, (byte) 0xFF);
      Sealed garbled = Sealed.seal(pairing, pairing.primary(), pairing.fiu(), now(), notUtf8);
      answers.put("bad UTF-8, " + pairing, request(pairing, garbled));
    }
    for (String bad :
        List.of(
            "",
            "hello",
            MEMBERS.replace("txnid=" + TXNID + "&", ""),
            MEMBERS.replace(TXNID, ""),
            MEMBERS.replace("&srcref=H1", ""),
            MEMBERS.replace("9999988888@iv", "9999988888"),
            MEMBERS.replace("sessionid=s", "sessionid=%FF"),
            MEMBERS.replace("sessionid=s", "sessionid"),
            MEMBERS + "&=x",
            MEMBERS + "&userid=other@iv",
            MEMBERS + "&x=1&x=2",
            MEMBERS.replace("https://fiu.example/cb", "javascript://fiu.example/%250aalert(1)"),
            MEMBERS.replace("https://fiu.example/cb", "https://evil.example\\@fiu.example/"),
            MEMBERS.replace("https://fiu.example/cb", "https://fiu.example/a b"))) {
      answers.put(bad, request(Keyring.IV, Sealed.request(Keyring.IV, now(), bad)));
    }
    for (String bad :
        List.of(
            OUTCOME.replace("status=S", "status=X"),
            OUTCOME.replace("errorcode=0", "errorcode=zero"),
            OUTCOME.replace("errorcode=0", "errorcode=4294967296"),
            OUTCOME.replace("&errorcode=0", ""))) {
      answers.put(
          bad, decodeCallback(Keyring.IV, Sealed.callback(Keyring.IV, now(), bad).callbackQuery()));
    }
    String elsewhere = MEMBERS.replace("fiu.example", "evil.example");
    answers.put(
        "a forbidden host", request(Keyring.IV_ROTATED, Sealed.request(Keyring.IV_ROTATED, now(), elsewhere)));
    return answers;
  }

  private static Refused request(Pairing pairing, Sealed sealed) throws Exception {
    return decodeRequest(pairing, sealed.requestQuery());
  }

  /**
   * Members that fill whole blocks, encrypted without padding: their last byte, `1`, is not a valid
   * padding.
   */
  private static Sealed unpadded(Pairing pairing) throws Exception {
    ByteArrayOutputStream blocks = new ByteArrayOutputStream();
    blocks.writeBytes(MEMBERS.getBytes(StandardCharsets.UTF_8));
    while (blocks.size() % 16 != 0) {
      blocks.write('1');
    }
    String date = now();
    byte[] iv = RedirectCodec.newIv(pairing.scheme());
    Cipher cipher = Cipher.getInstance("AES/CBC/NoPadding");
    var key = RedirectCodec.deriveKey(pairing.scheme(), pairing.primary().text(), date);
    cipher.init(Cipher.ENCRYPT_MODE, key, new IvParameterSpec(iv));
    return new Sealed(pairing.scheme(), pairing.fiu(), date, cipher.doFinal(blocks.toByteArray()), iv);
  }

  private static byte[] replace(byte[] bytes, byte from, byte to) {
    byte[] out = bytes.clone();
    for (int at = 0; at < out.length; at++) {
      out[at] = out[at] == from ? to : out[at];
    }
    return out;
  }
}
