package aa.redirect.client;

/** The type of {@link Expectation#NOT_COMPARED}. */
enum NotCompared implements Expectation {
  INSTANCE
}
