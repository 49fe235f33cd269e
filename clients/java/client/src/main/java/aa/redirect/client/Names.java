package aa.redirect.client;

import com.google.protobuf.ProtocolMessageEnum;

/**
 * Translates between the enumerations of this package and those of the proto: by name, without the
 * prefix.
 */
final class Names {
  private Names() {}

  static <E extends Enum<E>, P extends Enum<P> & ProtocolMessageEnum> E of(
      Class<E> type, P value, String prefix, E unknown) {
    if (value.name().equals("UNRECOGNIZED")) {
      return unknown;
    }
    try {
      return Enum.valueOf(type, value.name().substring(prefix.length()));
    } catch (IllegalArgumentException missing) {
      return unknown;
    }
  }

  static <P extends Enum<P>> P proto(Enum<?> value, Class<P> type, String prefix) {
    if (value.name().equals("UNRECOGNIZED")) {
      throw new IllegalArgumentException(value + " is no value to send");
    }
    return Enum.valueOf(type, prefix + value.name());
  }
}
