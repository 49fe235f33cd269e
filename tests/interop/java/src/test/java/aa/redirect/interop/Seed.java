package aa.redirect.interop;

import java.util.Random;

/** The one seed of a run. Printed, and taken from INTEROP_SEED, so that a run can be repeated. */
final class Seed {
  private static final long VALUE = value();

  private Seed() {}

  private static long value() {
    String given = System.getenv("INTEROP_SEED");
    long seed = given == null || given.isEmpty() ? new Random().nextInt(1_000_000_000) : Long.parseLong(given);
    System.out.println("INTEROP_SEED=" + seed);
    return seed;
  }

  /**
   * Each name has its own generator, so that neither order nor threads change the random values.
   */
  static Random random(String name) {
    return new Random(VALUE * 1_000_003 + name.hashCode());
  }
}
