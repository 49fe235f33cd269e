//! Reads `x-forwarded-client-cert`: the client certificate that the proxy of a mesh has verified (Envoy, "HTTP header
//! manipulation").
//!
//! Everybody who reaches a listener can write this header, so the server trusts it only on addresses that only the
//! proxy can reach.

use http::HeaderMap;

use super::{Malformed, San};

/// The header.
const HEADER: &str = "x-forwarded-client-cert";
/// The keys of an element, without regard to case.
const KEYS: [&str; 7] = ["By", "Hash", "Cert", "Chain", "Subject", "URI", "DNS"];

/// The DNS names and SPIFFE IDs of the last element, which the nearest proxy wrote. `None` if the header is absent.
/// Names of another form are left out.
///
/// # Errors
/// If the header comes twice, or any of its elements is malformed: a quote that an earlier hop left open could hide the
/// last element.
pub fn sans(headers: &HeaderMap) -> Result<Option<Vec<San>>, Malformed> {
    let mut lines = headers.get_all(HEADER).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(Malformed);
    }
    let mut rest = line.to_str().map_err(|_| Malformed)?;
    loop {
        let (sans, behind) = element(rest)?;
        match behind {
            Some(behind) => rest = behind,
            None => return Ok(Some(sans)),
        }
    }
}

/// The names of the first element of `text`, and the rest behind its comma.
fn element(text: &str) -> Result<(Vec<San>, Option<&str>), Malformed> {
    let mut sans = Vec::new();
    let mut rest = text.trim_start_matches([' ', '\t']);
    loop {
        let (key, behind) = rest.split_once('=').ok_or(Malformed)?;
        let key = KEYS.iter().find(|known| known.eq_ignore_ascii_case(key)).ok_or(Malformed)?;
        let (value, behind) = value(behind)?;
        match *key {
            "URI" => sans.extend(San::spiffe(&value)),
            "DNS" => sans.extend(San::dns(&value)),
            _ => {}
        }
        let mut behind = behind.chars();
        match behind.next() {
            None => return Ok((sans, None)),
            Some(',') => return Ok((sans, Some(behind.as_str()))),
            Some(';') => rest = behind.as_str(),
            Some(_) => return Err(Malformed),
        }
    }
}

/// The first value of `text`, unquoted, and the rest behind it.
fn value(text: &str) -> Result<(String, &str), Malformed> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ';', '=', '"']).unwrap_or(text.len());
        return Ok((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut rest = quoted.chars();
    loop {
        match rest.next().ok_or(Malformed)? {
            '"' => return Ok((value, rest.as_str())),
            // Subjects have `\\` and `\,` too (RFC 2253).
            '\\' => value.push(rest.next().ok_or(Malformed)?),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Option<Vec<San>>, Malformed> {
        sans(&lines.iter().map(|line| (HEADER.parse().unwrap(), line.parse().unwrap())).collect())
    }

    fn id(text: &str) -> San {
        San::spiffe(text).or_else(|| San::dns(text)).unwrap()
    }

    #[test]
    fn the_names_come_from_the_last_element() {
        for (line, expected) in [
            ("By=spiffe://m/us;Hash=00ff;Subject=\"\";URI=spiffe://m/a", vec!["spiffe://m/a"]),
            ("By=spiffe://m/us;Hash=00ff;URI=spiffe://m/a,By=spiffe://m/us;URI=spiffe://m/b", vec!["spiffe://m/b"]),
            ("URI=spiffe://m/a, URI=spiffe://m/b,\t URI=spiffe://m/c", vec!["spiffe://m/c"]),
            ("URI=spiffe://m/a,Hash=00ff", vec![]),
            (
                "URI=spiffe://m/a;URI=spiffe://m/b;DNS=a.example;DNS=B.example",
                vec!["spiffe://m/a", "spiffe://m/b", "a.example", "b.example"],
            ),
            ("uri=spiffe://m/a;dNS=a.example;HASH=00", vec!["spiffe://m/a", "a.example"]),
            ("URI=;DNS=", vec![]),
            ("URI=\"spiffe://m/a\";DNS=\"a.example\"", vec!["spiffe://m/a", "a.example"]),
            ("Cert=\"-----BEGIN%20CERTIFICATE-----%0AMII=,;\";Chain=\"x\";URI=spiffe://m/a", vec!["spiffe://m/a"]),
            // A separator in quotes or behind a backslash does not separate.
            (r#"URI=spiffe://m/a;Subject="O=x,URI=spiffe://m/b;DNS=b.example""#, vec!["spiffe://m/a"]),
            (r#"Subject="CN=\",URI=spiffe://m/b,\"";URI=spiffe://m/a"#, vec!["spiffe://m/a"]),
            (r#"Subject="CN=x\\";URI=spiffe://m/a"#, vec!["spiffe://m/a"]),
            (r#"Subject="CN=\\\"";URI=spiffe://m/a"#, vec!["spiffe://m/a"]),
            (r#"Subject="CN=a\, b;c=d";URI=spiffe://m/a"#, vec!["spiffe://m/a"]),
            // A name of one kind does not count as the other kind.
            ("URI=a.example;DNS=spiffe://m/a", vec![]),
            ("URI=https://m/a;URI=SPIFFE://m/a;DNS=*.example;DNS=127.0.0.1", vec![]),
        ] {
            assert_eq!(read(&[line]), Ok(Some(expected.into_iter().map(id).collect())), "{line}");
        }
        assert_eq!(read(&[]), Ok(None));
    }

    #[test]
    fn every_other_form_of_the_header_is_malformed() {
        for line in [
            "",
            " ",
            ",",
            ";",
            "=",
            "=x",
            "URI",
            "spiffe://m/a",
            "Key=x",
            "SAN=spiffe://m/a",
            "URI =spiffe://m/a",
            "URI=spiffe://m/a;",
            "URI=spiffe://m/a; DNS=a.example",
            "URI=spiffe://m/a,",
            ",URI=spiffe://m/a",
            "Hash=00,,URI=spiffe://m/a",
            "URI=spiffe://m/a?b=c",
            "URI=\"spiffe://m/a",
            "URI=\"spiffe://m/a\\\"",
            "URI=\"spiffe://m/a\"b",
            "URI=\"spiffe://m/a\" ;DNS=a.example",
            "URI= \"spiffe://m/a\"",
            "URI=spiffe://\"m\"/a",
            "Subject=\"\"\";URI=spiffe://m/a",
            "Subject=\"\\",
            "URI=spiffe://m/é",
            // An earlier hop leaves a quote open, or closes it inside the text of the proxy.
            "Subject=\",By=spiffe://m/us;Hash=00;URI=spiffe://m/a",
            "Subject=\",By=spiffe://m/us;Hash=00;Subject=\"\";URI=spiffe://m/a",
            "Subject=\",By=spiffe://m/us;Hash=00;Subject=\"CN=x\";URI=spiffe://m/a",
            "URI=spiffe://m/b,x,URI=spiffe://m/a",
        ] {
            assert_eq!(read(&[line]), Err(Malformed), "{line}");
        }
        assert_eq!(read(&["URI=spiffe://m/a", "URI=spiffe://m/a"]), Err(Malformed));
        assert_eq!(read(&["URI=spiffe://m/a", ""]), Err(Malformed));
    }

    #[test]
    fn nothing_before_the_last_element_gives_a_name() {
        let parts = ["URI=spiffe://m/evil", "DNS=evil.example", "Subject=", "\"", "\\", ",", ";", "=", " ", "x"];
        let proxy = r#"By=spiffe://m/us;Hash=00;Subject="CN=\"x\\";URI=spiffe://m/a"#;
        let mut read_well = 0;
        for seed in 0..parts.len().pow(5) {
            let before: String = (0..5).map(|place| parts[seed / parts.len().pow(place) % parts.len()]).collect();
            if let Ok(sans) = read(&[&format!("{before},{proxy}")]) {
                read_well += 1;
                assert_eq!(sans, Some(vec![id("spiffe://m/a")]), "{before}");
            }
        }
        assert!(read_well > 100, "{read_well}");
    }
}
