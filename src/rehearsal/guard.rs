//! Checks every request and adds headers to every answer, so that no other site can read these pages or act through
//! them.
//!
//! A page of another site can make a browser send requests here. It cannot choose the `Origin` of a form. If it makes
//! its own host name resolve to this machine (DNS rebinding), that name shows in `Host`.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// The policy of pages whose forms lead back here.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                                 form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// The policy of pages whose forms end in a redirect to a backend: browsers apply `form-action` to that redirect too.
pub(super) const LEAVING: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                                  form-action 'self' http: https:; base-uri 'none'; frame-ancestors 'none'";

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
    let mut answer = match refused(request.method(), request.headers()) {
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

/// Why a request is refused; `None` if it is allowed.
fn refused(method: &Method, headers: &HeaderMap) -> Option<&'static str> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(host) = text(header::HOST).filter(|host| is_loopback(host)) else {
        return Some("these pages answer only to a local name of this machine: use 127.0.0.1 or localhost\n");
    };
    if matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let own = match headers.get(header::ORIGIN) {
        Some(origin) => origin.to_str().is_ok_and(|origin| origin.strip_prefix("http://") == Some(host)),
        // A browser always sends it with a form. A program may leave it out.
        None => text(HeaderName::from_static("sec-fetch-site")).is_none_or(|site| site == "same-origin"),
    };
    (!own).then_some("this form was sent by a page of another site\n")
}

/// Whether a `Host` names this machine, with any port: `127.0.0.1`, `[::1]` or `localhost`.
fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<axum::http::uri::Authority>() else { return false };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == authority.as_str()
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
            assert_eq!(refused(&Method::GET, &headers(&[("host", host)])), None, "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "localhost.evil",
            "10.0.0.1",
            "a@localhost",
            "",
        ] {
            assert!(refused(&Method::GET, &headers(&[("host", host)])).is_some(), "{host}");
        }
        assert!(refused(&Method::GET, &HeaderMap::new()).is_some());
    }

    #[test]
    fn a_form_of_another_site_is_refused() {
        let host = ("host", "127.0.0.1:8080");
        let refused =
            |more: &[(&'static str, &'static str)]| refused(&Method::POST, &headers(&[&[host], more].concat()));
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
