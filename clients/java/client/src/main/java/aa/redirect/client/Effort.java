package aa.redirect.client;

import io.grpc.Status;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.DoubleBinaryOperator;
import java.util.function.LongSupplier;

/**
 * The time and the tries of one call, by the same rules in the clients of all languages:
 * UNAVAILABLE after 50 ms, doubling up to 500 ms, each multiplied by a random factor from 0.8 to
 * 1.2; OVERLOADED after the delay that it names, plus up to a fifth; nothing else. Up to three
 * tries, all inside one time limit. A wait that would end after the limit does not begin, so that
 * the caller sees the reason of the last try. gRPC's own retry is off, because it knows only codes,
 * not reasons.
 */
final class Effort {
  static final int TRIES = 3;
  private static final double FIRST_PAUSE = 0.05;
  private static final double LONGEST_PAUSE = 0.5;
  private static final double SECOND = 1e9;

  private final String method;
  private final String requestId;
  private final Duration limit;
  private final LongSupplier clock;
  private final DoubleBinaryOperator chance;
  private final long end;
  private int tries;

  Effort(String method, String requestId, Duration limit) {
    this(method, requestId, limit, System::nanoTime, ThreadLocalRandom.current()::nextDouble);
  }

  Effort(
      String method,
      String requestId,
      Duration limit,
      LongSupplier clock,
      DoubleBinaryOperator chance) {
    this.method = method;
    this.requestId = requestId;
    this.limit = limit;
    this.clock = clock;
    this.chance = chance;
    end = clock.getAsLong() + limit.toNanos();
  }

  /** Counts a try, and gives the nanoseconds that it may take. */
  long begin() {
    tries++;
    return Math.max(end - clock.getAsLong(), 1);
  }

  /** What an error says about the call. */
  RedirectException.Attempted soFar() {
    return new RedirectException.Attempted(method, requestId, limit, tries);
  }

  /** The nanoseconds to wait before the next try, if there is one. */
  Optional<Long> pause(RedirectException failure) {
    boolean overloaded = failure.reason() == Reason.OVERLOADED;
    boolean again = overloaded || failure.code() == Status.Code.UNAVAILABLE;
    Optional<Duration> told = failure.retryDelay();
    if (!again || tries >= TRIES || (overloaded && told.isEmpty())) {
      return Optional.empty();
    }
    double seconds =
        told.isPresent()
            ? told.get().toNanos() / SECOND * chance.applyAsDouble(1, 1.2)
            : Math.min(FIRST_PAUSE * (1 << (tries - 1)), LONGEST_PAUSE)
                * chance.applyAsDouble(0.8, 1.2);
    long pause = (long) (seconds * SECOND);
    return pause < end - clock.getAsLong() ? Optional.of(pause) : Optional.empty();
  }
}
