//! Checks the form of a gRPC request: small headers, the content type, and one whole message in the body.

use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header::CONTENT_TYPE};

use crate::{
    service::{MAX_REQUEST, error::Refusal},
    telemetry::call::REQUEST_ID,
};

/// The most bytes of a stream that may wait to be read: HTTP/2's initial window. The largest request fills it once.
pub(super) const STREAM_WINDOW: u32 = 65_535;
/// The bytes in front of a message of gRPC: whether it is compressed, and its length.
pub(super) const MESSAGE_HEAD: usize = 5;
/// The most headers of a request: gRPC, tracing, a mesh and credentials together bring fewer than half as many.
const MAX_FIELDS: usize = 64;
/// The most bytes of their names and values and of the path together.
pub(super) const MAX_HEADER_BYTES: usize = 8 * 1024;
/// The most bytes of a path, content type or request id that are kept of a request whose headers are too large.
const MAX_TOLD: usize = 128;
/// About how many bytes a header takes in memory beside its name and value.
const FIELD: usize = 128;

/// The compression of a call's messages.
static GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// How much memory the headers of `request` take.
pub(super) fn cost<B>(request: &Request<B>) -> usize {
    bytes(request) + FIELD * request.headers().len()
}

/// The bytes of names, values and path.
fn bytes<B>(request: &Request<B>) -> usize {
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>();
    headers + request.uri().path_and_query().map_or(0, |path| path.as_str().len())
}

/// Refuses `request` if its headers are too many or too large, and drops them at once: as many as HTTP/2 allows take 40
/// KiB.
pub(super) fn refuse<B>(request: &mut Request<B>) -> Option<Refusal> {
    if request.headers().len() <= MAX_FIELDS && bytes(request) <= MAX_HEADER_BYTES {
        return None;
    }
    let all = std::mem::take(request.headers_mut());
    // The value is copied, since each value shares the bytes of all headers.
    let copy = |name| HeaderValue::from_bytes(all.get(&name)?.as_bytes()).ok().map(|value| (name, value));
    let told = [CONTENT_TYPE, REQUEST_ID.clone()].into_iter().filter_map(copy);
    *request.headers_mut() = told.filter(|(_, value)| value.len() <= MAX_TOLD).collect();
    if request.uri().path().len() > MAX_TOLD {
        *request.uri_mut() = Uri::default();
    }
    Some(Refusal::HeadersTooLarge { max_fields: MAX_FIELDS, max_bytes: MAX_HEADER_BYTES })
}

/// Whether the content type is that of gRPC with protobuf; for all others gRPC requires HTTP 415.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let Some(text) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let media_type = text.split_once(';').map_or(text, |(media_type, _)| media_type).trim();
    ["application/grpc", "application/grpc+proto"].iter().any(|grpc| media_type.eq_ignore_ascii_case(grpc))
}

/// Checks that `body` is one whole message that is not compressed. If the headers name a compression, the library
/// refuses the request, and its answer names the supported compressions.
///
/// # Errors
/// If `body` is anything else.
pub(super) fn check_message(headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
    let Some((head, message)) = body.split_first_chunk::<MESSAGE_HEAD>() else {
        let problem =
            if body.is_empty() { "has no message" } else { "ends within the five bytes in front of its message" };
        return Err(Refusal::NotProtobuf(problem));
    };
    let [compressed, length @ ..] = *head;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_REQUEST {
        return Err(Refusal::RequestTooLarge);
    }
    let named = headers.get(&GRPC_ENCODING).is_some_and(|encoding| encoding != "identity");
    match compressed {
        0 => {}
        1 if named => {}
        1 => return Err(Refusal::NotProtobuf("is marked as compressed, without `grpc-encoding`")),
        _ => return Err(Refusal::NotProtobuf("begins with a byte that is neither 0 nor 1")),
    }
    match message.len() {
        there if there < length => Err(Refusal::NotProtobuf("ends before its message does")),
        there if there > length => {
            Err(Refusal::NotProtobuf("has more bytes behind its message, and a call takes only one message"))
        }
        _ => Ok(()),
    }
}
