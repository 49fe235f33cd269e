package aa.redirect.client;

/** What a callback is compared with: an {@link Expected}, or {@link #NOT_COMPARED}. */
public sealed interface Expectation permits Expected, NotCompared {
  /** Opens a callback without comparing it: the caller compares it with its record by itself. */
  Expectation NOT_COMPARED = NotCompared.INSTANCE;
}
