//! Checks every request and adds headers to every answer, so that no other site can read these pages or act through
//! them.
//!
//! A page of another site can make a browser send requests here. It cannot choose the `Origin` of a form, or the
//! `Sec-Fetch-` headers, which say that an image or a script is fetched, and not a page opened. If it makes its own
//! host name resolve to this machine (DNS rebinding), that name shows in `Host`.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// The policy of pages whose forms lead back here.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                                 form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// The policy of pages whose forms end in a redirect to a backend. Browsers apply `form-action` to that redirect too,
/// and to each further one, such as one to an app.
pub(super) const LEAVING: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                                  base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Refuses requests that come from other sites, and adds the headers of every answer.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let host = request.uri().authority().map(Authority::as_str);
    let mut answer = match refused(request.method(), host, request.headers()) {
        Some(why) => (StatusCode::FORBIDDEN, why).into_response(),
        None => next.run(request).await,
    };
    let headers = answer.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    answer
}

/// Why a request is refused; `None` if it is allowed. `authority` is that of the request's target, if it has one.
fn refused(method: &Method, authority: Option<&str>, headers: &HeaderMap) -> Option<&'static str> {
    let only = |name: HeaderName| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none()).map(|value| value.to_str().unwrap_or("not text"))
    };
    let fetch = |name: &'static str| only(HeaderName::from_static(name));
    let host = only(header::HOST).filter(|host| is_loopback(host) && authority.is_none_or(|named| named == *host));
    let Some(host) = host else {
        return Some("these pages answer only to a local name of this machine: use 127.0.0.1 or localhost\n");
    };
    let site = fetch("sec-fetch-site");
    if matches!(*method, Method::GET | Method::HEAD) {
        let opens_page = fetch("sec-fetch-dest") == Some("document") && !headers.contains_key("sec-purpose");
        let own = site.is_none_or(|site| matches!(site, "same-origin" | "none"));
        return (!own && !opens_page).then_some("a page of another site fetches this; open it as a page\n");
    }
    let own = if headers.contains_key(header::ORIGIN) {
        only(header::ORIGIN).is_some_and(|origin| origin.strip_prefix("http://") == Some(host))
    } else {
        // A browser always sends it with a form. A program may leave it out.
        site.is_none_or(|site| site == "same-origin")
    };
    (!own).then_some("this form was sent by a page of another site\n")
}

/// Whether a `Host` names this machine, with any port: `localhost` or a loopback address, such as `127.0.0.1` or `[::1]`.
fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == authority.as_str()
        && (host.len() == name.len() || authority.port().is_some())
        && !host.contains('@')
        && (name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for host in ["127.0.0.1:8080", "127.0.0.1", "localhost:9", "LOCALHOST", "[::1]:8080", "127.9.9.9:1"] {
            assert_eq!(refused(&Method::GET, None, &headers(&[("host", host)])), None, "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "localhost.evil",
            "10.0.0.1",
            "a@localhost",
            "localhost:8080,evil",
            "127.0.0.1:abc",
            "[::1]:99999",
            "",
        ] {
            assert!(refused(&Method::GET, None, &headers(&[("host", host)])).is_some(), "{host}");
        }
        assert!(refused(&Method::GET, None, &HeaderMap::new()).is_some());
        let host = headers(&[("host", "127.0.0.1:8080")]);
        assert_eq!(refused(&Method::GET, Some("127.0.0.1:8080"), &host), None);
        assert!(refused(&Method::GET, Some("evil.example"), &host).is_some());
        let mut twice = host;
        twice.append("host", HeaderValue::from_static("127.0.0.1:8080"));
        assert!(refused(&Method::GET, None, &twice).is_some());
    }

    #[test]
    fn another_site_can_open_a_page_and_fetch_nothing() {
        let host = ("host", "127.0.0.1:8080");
        let refused =
            |more: &[(&'static str, &'static str)]| refused(&Method::GET, None, &headers(&[&[host], more].concat()));
        for site in ["cross-site", "same-site"] {
            assert_eq!(refused(&[("sec-fetch-site", site), ("sec-fetch-dest", "document")]), None, "{site}");
            for dest in ["image", "script", "empty", "iframe", "object"] {
                assert!(refused(&[("sec-fetch-site", site), ("sec-fetch-dest", dest)]).is_some(), "{dest}");
            }
            let early = [("sec-fetch-site", site), ("sec-fetch-dest", "document"), ("sec-purpose", "prefetch")];
            assert!(refused(&early).is_some());
        }
        for site in ["same-origin", "none"] {
            assert_eq!(refused(&[("sec-fetch-site", site), ("sec-fetch-dest", "style")]), None, "{site}");
        }
    }

    #[test]
    fn a_form_of_another_site_is_refused() {
        let host = ("host", "127.0.0.1:8080");
        let refused =
            |more: &[(&'static str, &'static str)]| refused(&Method::POST, None, &headers(&[&[host], more].concat()));
        assert_eq!(refused(&[("origin", "http://127.0.0.1:8080")]), None);
        assert_eq!(refused(&[]), None, "a program");
        for origin in
            ["null", "http://evil.example", "https://127.0.0.1:8080", "http://localhost:8080", "http://127.0.0.1:3000"]
        {
            assert!(refused(&[("origin", origin)]).is_some(), "{origin}");
        }
        for site in ["cross-site", "same-site", "none"] {
            assert!(refused(&[("sec-fetch-site", site)]).is_some(), "{site}");
        }
    }
}
