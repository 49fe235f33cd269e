package aa.redirect.client;

import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * One FIU and one AA that share secrets, as the service's keyring has them.
 *
 * @param fiuId the FIU's id
 * @param aaId the AA's id
 * @param profile iv, v1.0, v1.1, v1.2, v1.3, v1.4 or v1.5
 * @param scheme how the key is derived
 * @param webviewUrl the AA's web view; empty if the keyring has none
 * @param handles the user-id handles that this AA serves
 * @param secrets in the order in which decoding tries them
 * @param redirectHosts the hosts that redirects may lead to; empty: all hosts
 * @param maxAge how far a date may lie from now, in the past and in the future; empty from an older
 *     service, which does not tell it
 * @param dateStyle millis, tenths or full
 * @param listSyntax repeated, comma, braces or json
 * @param checkResdate whether the date of a callback is checked
 * @param reopen what happens to a message that was opened before
 * @param authentication whether messages carry a tag
 */
public record Pairing(
    String fiuId,
    String aaId,
    String profile,
    Scheme scheme,
    String webviewUrl,
    List<String> handles,
    List<Secret> secrets,
    List<String> redirectHosts,
    Optional<Duration> maxAge,
    String dateStyle,
    String listSyntax,
    boolean checkResdate,
    Reopen reopen,
    Authentication authentication) {}
