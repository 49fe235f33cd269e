package aa.redirect.client;

import static aa.redirect.client.Server.AA;
import static aa.redirect.client.Server.FIU;
import static aa.redirect.client.Server.REDIRECT;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import aa.redirect.v1.DecodeRedirectResponse;
import aa.redirect.v1.EncodeRedirectResponse;
import io.grpc.Status;
import io.grpc.StatusException;
import java.nio.channels.ClosedChannelException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** When a call is tried again, on servers that refuse, lose answers, restart and vanish. */
@Timeout(120)
class RetriesTest {
  private static final StatusException NOT_READY =
      Script.refusal(Status.Code.UNAVAILABLE, "NOT_READY");
  private static final EncodeRedirectResponse SEALED =
      EncodeRedirectResponse.newBuilder().setUrl("https://aa.example/").build();

  private static SealedRedirect encode(RedirectClient client) {
    return client.encodeRedirect(EncodeRedirect.of(FIU, REDIRECT));
  }

  static Stream<StatusException> passing() {
    return Stream.of(
        NOT_READY,
        Script.refusal(Status.Code.UNAVAILABLE, "STORE_UNAVAILABLE"),
        Status.UNAVAILABLE.withDescription("no healthy upstream").asException(),
        Script.overloaded(Duration.ofMillis(1), null),
        Script.overloaded(Duration.ofSeconds(50), "1"));
  }

  @ParameterizedTest
  @MethodSource("passing")
  void aCallIsTriedUpToThreeTimes(StatusException refusal) {
    try (Script script = new Script(refusal, refusal, SEALED);
        RedirectClient client = RedirectClient.to(script.address)) {
      encode(client);
      assertEquals(3, script.asked.size());
    }
    try (Script script = new Script(refusal);
        RedirectClient client = RedirectClient.to(script.address)) {
      RedirectException error = assertThrows(RedirectException.class, () -> encode(client));
      assertEquals(List.of(3, 3), List.of(script.asked.size(), error.tries()));
    }
  }

  static Stream<StatusException> lasting() {
    Set<Reason> again =
        EnumSet.of(
            Reason.NOT_READY, Reason.STORE_UNAVAILABLE, Reason.OVERLOADED, Reason.UNRECOGNIZED);
    Stream<StatusException> reasons =
        Stream.of(Reason.values())
            .filter(reason -> !reason.isLocal() && !again.contains(reason))
            .map(reason -> Script.refusal(Status.Code.FAILED_PRECONDITION, reason.name()));
    Stream<StatusException> others =
        Stream.of(
            Script.refusal(Status.Code.FAILED_PRECONDITION, "MOON_FULL"),
            Script.refusal(Status.Code.RESOURCE_EXHAUSTED, "OVERLOADED"),
            Script.overloaded(Duration.ofMillis(1), "-1"),
            Status.RESOURCE_EXHAUSTED.withDescription("a proxy's limit").asException(),
            Status.INTERNAL.withDescription("stream reset").asException());
    return Stream.concat(reasons, others);
  }

  @ParameterizedTest
  @MethodSource("lasting")
  void everythingElseIsFinal(StatusException refusal) {
    try (Script script = new Script(refusal);
        RedirectClient client = RedirectClient.to(script.address)) {
      RedirectException error = assertThrows(RedirectException.class, () -> encode(client));
      assertEquals(List.of(1, 1), List.of(script.asked.size(), error.tries()));
    }
  }

  @Test
  void aDelayThatDoesNotFitIntoTheTimeIsNotWaitedFor() {
    try (Script script = new Script(Script.overloaded(Duration.ofMinutes(1), null));
        RedirectClient client = RedirectClient.to(script.address)) {
      RedirectException error = assertThrows(RedirectException.class, () -> encode(client));
      // The deadline does not hide the reason of the last try.
      assertSame(Reason.OVERLOADED, error.reason());
      assertEquals(Optional.of(Duration.ofMinutes(1)), error.retryDelay());
      assertEquals(1, script.asked.size());
    }
  }

  @Test
  void oneTimeLimitHoldsForAllTries() {
    Supplier<StatusException> slow =
        () -> {
          try {
            Thread.sleep(250);
          } catch (InterruptedException interrupted) {
            throw new IllegalStateException(interrupted);
          }
          return NOT_READY;
        };
    try (Script script = new Script(NOT_READY, slow);
        RedirectClient client =
            RedirectClient.builder(script.address).timeout(Duration.ofMillis(400)).build()) {
      RedirectException error = assertThrows(RedirectException.class, () -> encode(client));
      assertTrue(Set.of(Reason.LOCAL_DEADLINE_EXCEEDED, Reason.NOT_READY).contains(error.reason()));
      assertTrue(error.tries() <= 3);
    }
  }

  private static RedirectException failure(
      Reason reason, Status.Code code, Optional<Duration> delay) {
    StatusException status =
        delay.isPresent()
            ? Script.overloaded(delay.get(), null)
            : Script.refusal(code, reason.name());
    return RedirectException.of(status, new RedirectException.Attempted("M", "", Duration.ZERO, 1));
  }

  /** What Netty gives for a call that begins while its connection closes. */
  @Test
  void aConnectionThatClosesAsACallBeginsIsALostOne() {
    Throwable closed =
        Status.UNKNOWN
            .withDescription("channel closed")
            .withCause(new ClosedChannelException())
            .asRuntimeException();
    RedirectException.Attempted once = new RedirectException.Attempted("M", "", Duration.ZERO, 1);
    RedirectException error = RedirectException.of(closed, once);
    assertEquals(Reason.LOCAL_UNREACHABLE, error.reason());
    assertEquals(Status.Code.UNAVAILABLE, error.code());
    Throwable foreign = Status.UNKNOWN.withDescription("channel closed").asRuntimeException();
    assertEquals(Reason.LOCAL_UNEXPECTED_ANSWER, RedirectException.of(foreign, once).reason());
  }

  @Test
  void pausesDoubleWithSomeChance() {
    RedirectException notReady =
        failure(Reason.NOT_READY, Status.Code.UNAVAILABLE, Optional.empty());
    RedirectException overloaded =
        failure(
            Reason.OVERLOADED, Status.Code.RESOURCE_EXHAUSTED, Optional.of(Duration.ofSeconds(2)));
    for (boolean most : List.of(true, false)) {
      Effort effort =
          new Effort("M", "r", Duration.ofSeconds(100), () -> 0, (low, high) -> most ? high : low);
      effort.begin();
      assertEquals(most ? 2.4e9 : 2e9, effort.pause(overloaded).orElseThrow(), 1e3);
      assertEquals(most ? 0.06e9 : 0.04e9, effort.pause(notReady).orElseThrow(), 1e3);
      effort.begin();
      assertEquals(most ? 0.12e9 : 0.08e9, effort.pause(notReady).orElseThrow(), 1e3);
      effort.begin();
      assertEquals(Optional.empty(), effort.pause(notReady));
    }
  }

  @Test
  void eachTryHasWhatIsLeftOfTheTime() {
    RedirectException notReady =
        failure(Reason.NOT_READY, Status.Code.UNAVAILABLE, Optional.empty());
    AtomicLong now = new AtomicLong(7);
    Effort effort = new Effort("M", "r", Duration.ofSeconds(2), now::get, (low, high) -> 1);
    assertEquals(2_000_000_000L, effort.begin());
    now.addAndGet(1_500_000_000L);
    assertTrue(effort.pause(notReady).isPresent());
    assertEquals(500_000_000L, effort.begin());
    now.addAndGet(450_000_000L);
    assertEquals(Optional.empty(), effort.pause(notReady));
    assertEquals(
        new RedirectException.Attempted("M", "r", Duration.ofSeconds(2), 2), effort.soFar());
  }

  @Test
  void everyTryOfADecodeCallIsTheSameAttempt() {
    StatusException fromProxy = Status.UNAVAILABLE.asException();
    try (Script script =
            new Script(NOT_READY, fromProxy, DecodeRedirectResponse.getDefaultInstance());
        RedirectClient client = RedirectClient.to(script.address)) {
      DecodeRedirect request = DecodeRedirect.at(AA).url("fi=x");
      client.decodeRedirect(request);
      client.decodeRedirect(request);
      client.decodeRedirect(request, CallOptions.DEFAULT.withAttemptId("mine"));
      assertEquals(script.attemptId(0), script.attemptId(1));
      assertEquals(script.attemptId(0), script.attemptId(2));
      assertNotEquals(script.attemptId(0), script.attemptId(3));
      assertEquals(4, UUID.fromString(script.attemptId(0)).version());
      assertEquals("mine", script.attemptId(4));
    }
  }

  @Test
  void aDecodeCallWhoseAnswerIsLostIsMadeAgainAndNotTakenForASecondOne() {
    try (Server server = Server.start();
        Cable cable = new Cable(server.address);
        RedirectClient client =
            RedirectClient.builder(cable.address).timeout(Duration.ofSeconds(20)).build()) {
      String url = encode(client).location();
      cable.loseAnswers(1);
      OpenedRedirect opened = client.decodeRedirect(DecodeRedirect.at(AA).url(url));
      assertEquals(REDIRECT.userid(), opened.redirect().userid());
      assertFalse(opened.reopened());
      assertTrue(cable.connections.get() > 1);
    }
  }

  @Test
  void aConnectionThatBreaksBetweenCallsIsMadeAnew() {
    try (Server server = Server.start();
        Cable cable = new Cable(server.address);
        RedirectClient client =
            RedirectClient.builder(cable.address).timeout(Duration.ofSeconds(20)).build()) {
      encode(client);
      cable.cut();
      encode(client);
      assertTrue(cable.connections.get() > 1);
    }
  }

  @Test
  void aServerThatGoesAwayDuringACallIsReported() {
    try (Server server = Server.start();
        RedirectClient client =
            RedirectClient.builder(server.address).timeout(Duration.ofSeconds(20)).build()) {
      encode(client);
      server.close();
      RedirectException error = assertThrows(RedirectException.class, () -> encode(client));
      assertSame(Reason.LOCAL_UNREACHABLE, error.reason());
      assertEquals(3, error.tries());
    }
  }

  @Test
  void aServerThatIsBackIsFoundAgain() {
    String address;
    try (Server first = Server.start()) {
      address = first.address;
    }
    try (RedirectClient client = RedirectClient.to(address)) {
      for (int round = 0; round < 2; round++) {
        assertThrows(RedirectException.class, () -> encode(client));
        try (Server server = Server.startAt(address)) {
          Server.await(() -> succeeds(client));
        }
      }
    }
  }

  private static boolean succeeds(RedirectClient client) {
    try {
      encode(client);
      return true;
    } catch (RedirectException error) {
      assertSame(Reason.LOCAL_UNREACHABLE, error.reason());
      return false;
    }
  }

  @Test
  void aRollingRestartFailsNoCall() {
    List<Server> servers =
        new ArrayList<>(
            List.of(Server.start("--drain-delay", 1), Server.start("--drain-delay", 1)));
    try (RedirectClient client =
        RedirectClient.builder(servers.get(0).address, servers.get(1).address)
            .timeout(Duration.ofSeconds(5))
            .build()) {
      for (int number = 0; number < 2; number++) {
        encode(client);
        Server former = servers.get(number);
        former.terminate();
        while (former.isRunning()) {
          encode(client);
        }
        servers.add(Server.startAt(former.address));
        for (int call = 0; call < 20; call++) {
          encode(client);
        }
      }
    } finally {
      servers.forEach(Server::close);
    }
  }

  @Test
  void theReasonOfTheLastTryIsReported() {
    try (Script script =
            new Script(
                NOT_READY,
                Script.refusal(
                    Status.Code.INVALID_ARGUMENT, "aa.redirect.v1", "FIELD_INVALID", Map.of()));
        RedirectClient client = RedirectClient.to(script.address)) {
      RedirectException error = assertThrows(RedirectException.class, () -> encode(client));
      assertSame(Reason.FIELD_INVALID, error.reason());
      assertEquals(2, error.tries());
    }
  }
}
