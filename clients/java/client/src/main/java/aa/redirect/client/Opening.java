package aa.redirect.client;

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/**
 * What every opened message has.
 *
 * @param fiuId the FIU's id
 * @param aaId the AA's id
 * @param issueTime the instant that the date names; unknown seconds read as 0
 * @param age now minus {@code issueTime}; negative for a date ahead of now
 * @param secretId the id of the secret that opened the message
 * @param primarySecret false: the sender still seals with an old secret
 * @param deviations each repair with its place; none for a clean message
 * @param replayUntil until when a message with this date can be accepted; empty: for ever
 * @param replayKey the same for every message that an attacker could make from this one: store it
 *     until {@code replayUntil} to act only once
 * @param reopened whether this message was opened before; a reload of the page is a reopening too
 * @param firstOpenTime when it was opened first; empty from a service that does not remember
 * @param authenticated whether the message carried a right tag
 */
public record Opening(
    String fiuId,
    String aaId,
    Instant issueTime,
    Duration age,
    String secretId,
    boolean primarySecret,
    List<DeviationDetail> deviations,
    Optional<Instant> replayUntil,
    String replayKey,
    boolean reopened,
    Optional<Instant> firstOpenTime,
    boolean authenticated) {}
