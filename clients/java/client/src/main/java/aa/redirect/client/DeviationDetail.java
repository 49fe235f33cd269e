package aa.redirect.client;

/**
 * A repair, and where it was made.
 *
 * @param deviation what was repaired
 * @param number its number in the proto, which tells one of a newer service
 * @param place the parameter or member; empty for the whole URL or text
 */
public record DeviationDetail(Deviation deviation, int number, String place) {

  /** The repair, and its place if it has one. */
  @Override
  public String toString() {
    String name = deviation == Deviation.UNRECOGNIZED ? "UNKNOWN_" + number : deviation.name();
    return place.isEmpty() ? name : name + " in " + place;
  }
}
