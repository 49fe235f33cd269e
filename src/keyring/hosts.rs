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

    /// Whether a browser that is sent to `url` ends at an allowed host.
    pub fn allow(&self, url: &str) -> bool {
        let Some(rules) = &self.0 else { return true };
        let Ok(url) = Url::parse(url) else { return false };
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
        ] {
            assert!(!rules.allow(url), "{url}");
        }
    }

    #[test]
    fn an_entry_that_is_no_host_is_refused() {
        for entry in ["", "*", "*.", "https://ok.test", "ok.test/", "a b", "*.*.ok.test"] {
            assert_eq!(HostRules::of(["fine.test", entry]).err(), Some(1), "{entry}");
        }
    }
}
