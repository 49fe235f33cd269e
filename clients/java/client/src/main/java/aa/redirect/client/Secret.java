package aa.redirect.client;

/**
 * A secret, named but never shown.
 *
 * @param id its id in the keyring
 * @param state what it is used for
 */
public record Secret(String id, SecretState state) {}
