/**
 * A client for aa-redirect, which writes and reads the browser redirects between FIUs and Account
 * Aggregators.
 *
 * <p>{@link aa.redirect.client.RedirectClient} makes the calls, blocking and asynchronous. Each
 * call that does not succeed throws {@link aa.redirect.client.RedirectException}. Arguments and
 * results are immutable, and their {@code toString} shows no member of a message, no URL and no
 * secret.
 */
package aa.redirect.client;
