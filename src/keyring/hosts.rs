//! `redirect_hosts`: the hosts that a redirect may lead to, compared as a browser resolves hosts (WHATWG URL).

use std::borrow::Cow;

use url::{Host, Url};

/// The hosts that a pairing allows.
#[derive(Debug, Default)]
pub struct HostRules(Option<Vec<Rule>>);

#[derive(Debug)]
enum Rule {
    /// Only this host.
    Exact(String),
    /// Any host below a domain: `.fiu.example` for `*.fiu.example`.
    Below(String),
}

/// The most bytes of user, host and port. A URL with more is refused unread. A host name has at most 253 characters
/// (RFC 1035). The limit is needed since the time for Punycode grows with the square of a label's length.
const MAX_AUTHORITY: usize = 1024;

impl HostRules {
    /// No rule: every host is allowed.
    pub fn any() -> Self {
        Self(None)
    }

    /// Only the hosts in `entries`. An entry is a host, or `*.` and a domain.
    ///
    /// # Errors
    /// The index of the first entry that is neither.
    pub fn of<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, usize> {
        // WHATWG allows `*` in a host. Here it stands for labels, and only in front.
        let host = |text: &str| Host::parse(text).ok().filter(|_| !text.contains('*'));
        let rule = |entry: &str| match entry.strip_prefix("*.") {
            Some(domain) => match host(domain) {
                Some(Host::Domain(domain)) => Some(Rule::Below(format!(".{domain}"))),
                _ => None,
            },
            None => host(entry).map(|host| Rule::Exact(host.to_string())),
        };
        entries
            .into_iter()
            .enumerate()
            .map(|(at, entry)| rule(entry).ok_or(at))
            .collect::<Result<_, _>>()
            .map(|rules| Self(Some(rules)))
    }

    /// The entries in the form that is compared: lower-case ASCII. Empty if every host is allowed.
    pub fn entries(&self) -> Vec<String> {
        let entry = |rule: &Rule| match rule {
            Rule::Exact(host) => host.clone(),
            Rule::Below(domain) => format!("*{domain}"),
        };
        self.0.iter().flatten().map(entry).collect()
    }

    /// Whether a browser that is sent to `url` goes to an allowed host. For a scheme other than `http` and `https`, the
    /// app of that scheme decides what the host means.
    pub fn allow(&self, url: &str) -> bool {
        let Some(rules) = &self.0 else { return true };
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let rest = rest.trim_start_matches('/');
        let authority = &rest[..rest.bytes().position(|byte| b"/?#".contains(&byte)).unwrap_or(rest.len())];
        if authority.len() > MAX_AUTHORITY {
            return false;
        }
        let host = if ["https", "http"].contains(&scheme) && is_plain(authority) {
            Some(Cow::Borrowed(authority))
        } else {
            host_of(url).map(Cow::Owned)
        };
        host.is_some_and(|host| {
            rules.iter().any(|rule| match rule {
                Rule::Exact(exact) => host == *exact,
                Rule::Below(domain) => host.len() > domain.len() && host.ends_with(domain),
            })
        })
    }
}

/// The host of `url`, in lower case.
fn host_of(url: &str) -> Option<String> {
    // The fragment says where an Android intent leads, not the host.
    let url = Url::parse(url).ok().filter(|url| url.scheme() != "intent")?;
    // WHATWG does not change the host of other schemes.
    url.host_str().map(str::to_ascii_lowercase)
}

/// Whether WHATWG reads the authority of a web URL as a host without any change: names in lower case, the last of which
/// begins with a letter, so that they are no number. Most redirects have such a host.
///
/// Replaces `Url::parse` for them, which takes 2 % of the processor time of a decode. To measure it, build the program
/// without this and run `cargo bench --bench load -- --against PATH`.
fn is_plain(authority: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with("xn--")
            && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    let is_last = |name: &str| name.starts_with(|first: char| first.is_ascii_lowercase());
    authority.split('.').all(is_name) && authority.rsplit('.').next().is_some_and(is_last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_plain_host_is_the_one_that_a_browser_reads(
            authority in "([a-z0-9-]{1,4}|xn--a|0x1|127)(\\.([a-z0-9-]{0,4}|xn--a|0x1|1)){0,3}",
            rest in "(|[/?#][ -~]{0,9})",
        ) {
            if is_plain(&authority) {
                for scheme in ["https://", "http:///"] {
                    let url = Url::parse(&format!("{scheme}{authority}{rest}")).unwrap();
                    prop_assert_eq!(url.host_str(), Some(&*authority));
                }
            }
        }
    }

    #[test]
    fn hosts_are_compared_as_a_browser_resolves_them() {
        let rules = HostRules::of(["ok.test", "*.fiu.example", "127.0.0.1", "bücher.example"]).unwrap();
        for url in [
            "https://ok.test/cb?a=1",
            "https://OK.test:8443/",
            "https://user@ok.test/",
            "https://a.b.fiu.example/",
            "http://127.1/",
            "https://xn--bcher-kva.example/",
            "https://BÜCHER.example/",
            "https://ok%2etest/",
            "https:///ok.test/",
            "myapp://ok.test/",
        ] {
            assert!(rules.allow(url), "{url}");
        }
        for url in [
            "https://evil.test\\@ok.test/",
            "https://ok.test@evil.test/",
            "https://ok.test.evil.test/",
            "https://fiu.example/",
            "https://.fiu.example/",
            "https://evilfiu.example/",
            "https://evil.test/#@ok.test",
            "https://evil.test?ok.test",
            "https://[::1]/",
            "https://ok.test:99999/",
            "intent://ok.test/#Intent;scheme=https;S.browser_fallback_url=https://evil.test;end",
            "INTENT://ok.test/",
        ] {
            assert!(!rules.allow(url), "{url}");
        }
    }

    #[test]
    fn a_host_that_is_longer_than_any_name_is_refused() {
        let rules = HostRules::of(["*.ok.test"]).unwrap();
        let allows = |slashes: &str, length: usize| {
            rules.allow(&format!(
                "https:{slashes}{}.ok.test/{}",
                "a".repeat(length - ".ok.test".len()),
                "b".repeat(8000)
            ))
        };
        for slashes in ["//", "////"] {
            assert!(allows(slashes, MAX_AUTHORITY) && !allows(slashes, MAX_AUTHORITY + 1), "{slashes}");
        }
    }

    #[test]
    fn an_entry_that_is_not_a_host_is_refused() {
        for entry in ["", "*", "*.", "https://ok.test", "ok.test/", "a b", "*.*.ok.test"] {
            assert_eq!(HostRules::of(["fine.test", entry]).err(), Some(1), "{entry}");
        }
    }
}
