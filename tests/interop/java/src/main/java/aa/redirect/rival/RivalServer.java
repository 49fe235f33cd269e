package aa.redirect.rival;

import aa.redirect.codec.Members;
import aa.redirect.codec.Members.Lists;
import aa.redirect.codec.RedirectCodec;
import aa.redirect.codec.RedirectCodec.Scheme;
import aa.redirect.v1.DecodeRedirectRequest;
import aa.redirect.v1.DecodeRedirectResponse;
import aa.redirect.v1.Deviation;
import aa.redirect.v1.EncodeRedirectRequest;
import aa.redirect.v1.EncodeRedirectResponse;
import aa.redirect.v1.Redirect;
import aa.redirect.v1.RedirectParams;
import aa.redirect.v1.RedirectServiceGrpc.RedirectServiceImplBase;
import aa.redirect.v1.RequestorType;
import com.google.protobuf.Timestamp;
import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import io.grpc.Status;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.StreamObserver;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeFormatterBuilder;
import java.time.format.ResolverStyle;
import java.time.temporal.ChronoField;
import java.time.temporal.ChronoUnit;
import java.util.Base64;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.regex.Pattern;

/**
 * The redirect service as a backend would write it with grpc-java and this folder's codec, without
 * aa-redirect. Benchmarks compare the two.
 *
 * <p>Serves EncodeRedirect, always dated now, and DecodeRedirect of a URL, for pairings of one secret that write dates
 * with milliseconds. It fills every field of an answer, repairs nothing, and refuses everything
 * else with INVALID_ARGUMENT. Handlers derive their keys inline on gRPC's executor.
 */
public final class RivalServer extends RedirectServiceImplBase {
  private static final String SECRET_ID = "primary";
  private static final DateTimeFormatter DATE =
      new DateTimeFormatterBuilder()
          .appendPattern("ddMMuuuuHHmmSSS")
          .parseDefaulting(ChronoField.SECOND_OF_MINUTE, 0)
          .toFormatter(Locale.ROOT)
          .withResolverStyle(ResolverStyle.STRICT)
          .withZone(ZoneOffset.UTC);
  private static final Pattern DATE_DIGITS = Pattern.compile("[0-9]{15}");
  private static final Pattern UUID_FORM = Pattern.compile("\\p{XDigit}{8}(-\\p{XDigit}{4}){3}-\\p{XDigit}{12}");
  private static final Set<String> PARAMETERS = Set.of("fi", "reqdate", "ecreq", "iv", "requestorType");
  private static final Duration MINUTE = Duration.ofMinutes(1);

  /** By FIU, then by AA. */
  private final Map<String, Map<String, Pairing>> pairings;

  private RivalServer(Map<String, Map<String, Pairing>> pairings) {
    this.pairings = pairings;
  }

  public static void main(String[] args) throws Exception {
    String listen = null;
    String keyring = null;
    boolean directExecutor = false;
    for (int at = 0; at < args.length; at++) {
      switch (args[at]) {
        case "--listen" -> listen = args[++at];
        case "--keyring" -> keyring = args[++at];
        case "--direct-executor" -> directExecutor = true;
        default -> throw new IllegalArgumentException("unknown argument " + args[at]);
      }
    }
    if (listen == null || keyring == null) {
      throw new IllegalArgumentException("usage: --listen HOST:PORT --keyring FILE [--direct-executor]");
    }
    int colon = listen.lastIndexOf(':');
    var address = new InetSocketAddress(listen.substring(0, colon), Integer.parseInt(listen.substring(colon + 1)));
    NettyServerBuilder builder =
        NettyServerBuilder.forAddress(address, InsecureServerCredentials.create())
            .addService(new RivalServer(Pairing.read(Path.of(keyring))));
    if (directExecutor) {
      builder.directExecutor();
    }
    Server server = builder.build().start();
    System.out.println("serving");
    server.awaitTermination();
  }

  @Override
  public void encodeRedirect(EncodeRedirectRequest request, StreamObserver<EncodeRedirectResponse> observer) {
    answer(observer, () -> encode(request));
  }

  @Override
  public void decodeRedirect(DecodeRedirectRequest request, StreamObserver<DecodeRedirectResponse> observer) {
    answer(observer, () -> decode(request));
  }

  private EncodeRedirectResponse encode(EncodeRedirectRequest request) throws GeneralSecurityException {
    Redirect redirect = request.getRedirect();
    check(!redirect.getUserid().isEmpty(), "redirect.userid is missing");
    check(!redirect.getRedirect().isEmpty(), "redirect.redirect is missing");
    check(redirect.getSrcrefCount() > 0, "redirect.srcref is missing");
    check(!request.hasIssueTime(), "issue_time is not supported");
    Pairing pairing = find(request.getFiuId(), request.getAaId());
    if (redirect.getTxnid().isEmpty()) {
      redirect = redirect.toBuilder().setTxnid(UUID.randomUUID().toString()).build();
    } else {
      check(isUuid(redirect.getTxnid()), "redirect.txnid is no UUID");
    }
    Instant now = Instant.now();
    String date = DATE.format(now);
    byte[] plaintext = Members.write(redirect, Lists.REPEATED).getBytes(StandardCharsets.UTF_8);
    byte[] iv = RedirectCodec.newIv(pairing.scheme());
    var key = RedirectCodec.deriveKey(pairing.scheme(), pairing.secret(), date);
    RedirectParams.Builder params =
        RedirectParams.newBuilder()
            .setFi(RedirectCodec.mask(pairing.fiu(), date))
            .setReqdate(date)
            .setEcreq(Base64.getUrlEncoder().encodeToString(RedirectCodec.seal(key, iv, plaintext)));
    if (pairing.scheme() == Scheme.HKDF_IV) {
      params.setIv(Base64.getEncoder().encodeToString(iv));
    }
    switch (request.getRequestorType()) {
      case REQUESTOR_TYPE_UNSPECIFIED -> {}
      case REQUESTOR_TYPE_FIU -> params.setRequestorType(RedirectCodec.mask("FIU", date));
      case REQUESTOR_TYPE_LSP -> params.setRequestorType(RedirectCodec.mask("LSP", date));
      default -> throw new IllegalArgumentException("requestor_type is unknown");
    }
    String query = query(params);
    return EncodeRedirectResponse.newBuilder()
        .setUrl(pairing.url(query))
        .setQuery(query)
        .setParams(params)
        .setTxnid(redirect.getTxnid())
        .setSecretId(SECRET_ID)
        .setIssueTime(timestamp(now))
        .setExpireTime(timestamp(now.plus(pairing.maxAge())))
        .build();
  }

  private DecodeRedirectResponse decode(DecodeRedirectRequest request) throws GeneralSecurityException {
    check(request.hasUrl(), "url is missing");
    Map<String, String> parameters = parameters(request.getUrl());
    String date = require(parameters, "reqdate");
    String fi = require(parameters, "fi");
    byte[] ciphertext = Base64.getUrlDecoder().decode(require(parameters, "ecreq"));
    check(DATE_DIGITS.matcher(date).matches(), "reqdate has not 15 digits");
    Instant issued = DATE.parse(date, Instant::from);
    Pairing pairing = find(RedirectCodec.unmask(fi, date), request.getAaId());
    // The date has no seconds, so it may be any instant of its minute.
    Instant first = issued.truncatedTo(ChronoUnit.MINUTES);
    Instant replayUntil = first.plus(MINUTE).plus(pairing.maxAge());
    Instant now = Instant.now();
    check(!now.isAfter(replayUntil), "reqdate is expired");
    check(!now.isBefore(first.minus(pairing.maxAge())), "reqdate is in the future");
    boolean hasIv = parameters.containsKey("iv");
    check(hasIv == (pairing.scheme() == Scheme.HKDF_IV), "iv does not fit the pairing's scheme");
    byte[] iv = hasIv ? Base64.getDecoder().decode(parameters.get("iv")) : RedirectCodec.newIv(pairing.scheme());
    RequestorType requestorType = requestorType(parameters.get("requestorType"), date);
    Redirect redirect = open(pairing, date, iv, ciphertext);
    DecodeRedirectResponse.Builder response =
        DecodeRedirectResponse.newBuilder()
            .setFiuId(pairing.fiu())
            .setAaId(pairing.aa())
            .setRedirect(redirect)
            .setRequestorType(requestorType)
            .setIssueTime(timestamp(issued))
            .setAge(duration(Duration.between(issued, now)))
            .setSecretId(SECRET_ID)
            .setPrimarySecret(true)
            .setReplayUntil(timestamp(replayUntil));
    if (!isUuid(redirect.getTxnid())) {
      response.addDeviations(Deviation.DEVIATION_TXNID_NOT_UUID);
    }
    if (redirect.getExtraCount() > 0) {
      response.addDeviations(Deviation.DEVIATION_EXTRA_MEMBER);
    }
    return response.build();
  }

  private static Redirect open(Pairing pairing, String date, byte[] iv, byte[] ciphertext)
      throws GeneralSecurityException {
    var key = RedirectCodec.deriveKey(pairing.scheme(), pairing.secret(), date);
    try {
      return Members.readRedirect(RedirectCodec.open(key, iv, ciphertext));
    } catch (GeneralSecurityException | IllegalArgumentException e) {
      // The format has no MAC. If the answer distinguished bad padding from bad members, an
      // attacker could decrypt messages with many calls.
      throw new IllegalArgumentException("the message cannot be opened");
    }
  }

  /** {@code aa} may be empty if the FIU has only one AA. */
  private Pairing find(String fiu, String aa) {
    Map<String, Pairing> ofFiu = pairings.getOrDefault(fiu, Map.of());
    Pairing pairing = aa.isEmpty() && ofFiu.size() == 1 ? ofFiu.values().iterator().next() : ofFiu.get(aa);
    check(pairing != null, "no such pairing, or several");
    return pairing;
  }

  private static Map<String, String> parameters(String url) {
    int hash = url.indexOf('#');
    String query = url.substring(url.indexOf('?') + 1, hash < 0 ? url.length() : hash);
    Map<String, String> parameters = new HashMap<>();
    for (String pair : query.split("&")) {
      int equals = pair.indexOf('=');
      if (equals > 0 && PARAMETERS.contains(pair.substring(0, equals))) {
        String name = pair.substring(0, equals);
        check(parameters.put(name, Members.unescape(pair.substring(equals + 1))) == null, name + " is there twice");
      }
    }
    return parameters;
  }

  private static String query(RedirectParams.Builder params) {
    StringBuilder query = new StringBuilder(1024);
    query.append("fi=").append(Members.escapeAll(params.getFi()));
    query.append("&reqdate=").append(params.getReqdate());
    query.append("&ecreq=").append(Members.escapeAll(params.getEcreq()));
    if (!params.getIv().isEmpty()) {
      query.append("&iv=").append(Members.escapeAll(params.getIv()));
    }
    if (!params.getRequestorType().isEmpty()) {
      query.append("&requestorType=").append(Members.escapeAll(params.getRequestorType()));
    }
    return query.toString();
  }

  private static RequestorType requestorType(String masked, String date) {
    if (masked == null) {
      return RequestorType.REQUESTOR_TYPE_UNSPECIFIED;
    }
    return switch (RedirectCodec.unmask(masked, date)) {
      case "FIU" -> RequestorType.REQUESTOR_TYPE_FIU;
      case "LSP" -> RequestorType.REQUESTOR_TYPE_LSP;
      default -> throw new IllegalArgumentException("requestorType is unknown");
    };
  }

  private static String require(Map<String, String> parameters, String name) {
    String value = parameters.get(name);
    check(value != null, name + " is missing");
    return value;
  }

  private static void check(boolean holds, String otherwise) {
    if (!holds) {
      throw new IllegalArgumentException(otherwise);
    }
  }

  private static boolean isUuid(String txnid) {
    return UUID_FORM.matcher(txnid).matches();
  }

  private static Timestamp timestamp(Instant instant) {
    return Timestamp.newBuilder().setSeconds(instant.getEpochSecond()).setNanos(instant.getNano()).build();
  }

  /** Seconds and nanoseconds of one sign, unlike java.time's. */
  private static com.google.protobuf.Duration duration(Duration span) {
    long nanos = span.toNanos();
    return com.google.protobuf.Duration.newBuilder()
        .setSeconds(nanos / 1_000_000_000)
        .setNanos((int) (nanos % 1_000_000_000))
        .build();
  }

  private interface Work<R> {
    R run() throws GeneralSecurityException;
  }

  private static <R> void answer(StreamObserver<R> observer, Work<R> work) {
    R response;
    try {
      response = work.run();
    } catch (IllegalArgumentException | DateTimeException | GeneralSecurityException e) {
      observer.onError(Status.INVALID_ARGUMENT.withDescription(e.getMessage()).asRuntimeException());
      return;
    }
    observer.onNext(response);
    observer.onCompleted();
  }
}
