//! `redirect_hosts`: where a redirect may lead, compared as a browser resolves hosts (WHATWG URL).

use url::{Host, Url};

/// The hosts that a pairing allows.
#[derive(Debug, Default)]
pub struct HostRules(Option<Vec<Rule>>);

#[derive(Debug)]
enum Rule {
    /// This host and no other.
    Exact(String),
    /// Any host below: `.fiu.example` for `*.fiu.example`.
    Below(String),
}

/// Bytes of user, host and port that are looked at: a name has 253 characters at most (RFC 1035), each up to twelve
/// bytes where it is escaped and beyond ASCII, in practice far fewer. Punycode takes the square of a label's length.
const MAX_AUTHORITY: usize = 1024;

impl HostRules {
    /// No rule: every host is allowed.
    pub fn any() -> Self {
        Self(None)
    }

    /// Only hosts that one of `entries` names, each a host or `*.` and a domain.
    ///
    /// # Errors
    /// The place of the first entry that is neither.
    pub fn of<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, usize> {
        // A `*` is a character of hosts to WHATWG; here it stands for labels, and only in front.
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

    /// Whether a browser that is sent to `url` ends at an allowed host; what the host of a scheme other than `http` and
    /// `https` means is up to the app that has the scheme.
    pub fn allow(&self, url: &str) -> bool {
        let Some(rules) = &self.0 else { return true };
        let (_, rest) = url.split_once("://").unwrap_or_default();
        let authority = rest.trim_start_matches('/').split(['/', '?', '#']).next().unwrap_or_default();
        if authority.len() > MAX_AUTHORITY {
            return false;
        }
        let Ok(url) = Url::parse(url) else { return false };
        // Its fragment says where it ends, whatever its host is (Android's intents in Chrome).
        if url.scheme() == "intent" {
            return false;
        }
        // The host of a scheme that WHATWG does not call special is left as it was written.
        let Some(host) = url.host_str().map(str::to_ascii_lowercase) else { return false };
        rules.iter().any(|rule| match rule {
            Rule::Exact(exact) => host == *exact,
            Rule::Below(domain) => host.len() > domain.len() && host.ends_with(domain),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_host_that_no_name_is_as_long_as_is_none() {
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
    fn an_entry_that_is_no_host_is_refused() {
        for entry in ["", "*", "*.", "https://ok.test", "ok.test/", "a b", "*.*.ok.test"] {
            assert_eq!(HostRules::of(["fine.test", entry]).err(), Some(1), "{entry}");
        }
    }
}
