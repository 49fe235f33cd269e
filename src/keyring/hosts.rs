//! `redirect_hosts`: the hosts that a redirect may lead to, compared as a browser resolves hosts (WHATWG URL).

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
        let (_, rest) = url.split_once("://").unwrap_or_default();
        let authority = rest.trim_start_matches('/').split(['/', '?', '#']).next().unwrap_or_default();
        if authority.len() > MAX_AUTHORITY {
            return false;
        }
        let Ok(url) = Url::parse(url) else { return false };
        // The fragment says where an Android intent leads, not the host.
        if url.scheme() == "intent" {
            return false;
        }
        // WHATWG does not change the host of other schemes.
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
