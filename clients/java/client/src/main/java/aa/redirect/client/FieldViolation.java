package aa.redirect.client;

import java.io.Serializable;

/**
 * A field of the request that is missing or malformed.
 *
 * @param field its path, such as {@code redirect.userid}
 * @param description what is wrong with it
 * @serial exclude
 */
public record FieldViolation(String field, String description) implements Serializable {}
