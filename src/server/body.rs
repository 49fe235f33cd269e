//! Whole bodies: a request is complete before it is read, and an answer is complete before its first byte leaves.
//!
//! Replaces `BodyExt::collect`, `Full` and `StreamBody` of `http-body-util`, which need one or two more allocations for
//! each body.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use tonic::Status;

use crate::service::error::Refusal;

use super::connections::{Held, Holder};

/// The most bytes of a DATA frame that h2 copies beside the frames of other streams, so that all leave in one write. If
/// the transport is not vectored, h2 sends a longer frame in its own write (`CHAIN_THRESHOLD_WITHOUT_VECTORED_IO`).
const GATHERED: usize = 1023;
/// The most bytes of an answer that is cut into such frames. For longer answers, the copies and frame heads cost more
/// than the writes that they save.
const MAX_CUT: usize = 8 * 1024;

/// The body of an answer.
pub(super) enum Answer {
    /// The whole body.
    Whole { data: Bytes, trailers: Option<HeaderMap> },
    /// A stream of messages: the watch of health, or reflection.
    Streamed(tonic::body::Body),
}

impl Default for Answer {
    fn default() -> Self {
        Self::Whole { data: Bytes::new(), trailers: None }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.get_mut() {
            Self::Whole { data, trailers } => {
                let frame = if data.is_empty() {
                    trailers.take().map(Frame::trailers)
                } else {
                    let length = if data.len() <= MAX_CUT { GATHERED.min(data.len()) } else { data.len() };
                    Some(Frame::data(data.split_to(length)))
                };
                Poll::Ready(frame.map(Ok))
            }
            Self::Streamed(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole { data, trailers } => data.is_empty() && trailers.is_none(),
            Self::Streamed(body) => body.is_end_stream(),
        }
    }
}

/// `response` with its whole body. The bytes count as held until the peer has taken them, since tonic writes a body
/// only when the peer has room.
pub(super) async fn whole(response: Response<tonic::body::Body>, holder: &Holder) -> Box<Response<Answer>> {
    let (head, mut body) = response.into_parts();
    let (mut gathered, mut trailers) = (Gathered::default(), None);
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => gathered.add(data),
            Ok(Err(frame)) => trailers = frame.into_trailers().ok(),
            Err(status) => return Box::new(status.into_http()),
        }
    }
    let data = gathered.into_bytes();
    let data = if data.is_empty() { data } else { holder.hold(data) };
    Box::new(Response::from_parts(head, Answer::Whole { data, trailers }))
}

/// The whole body of a request, up to `limit` bytes. They count as held from their arrival until the second value is
/// dropped.
///
/// # Errors
/// If the body is longer, or if the peer does not finish it. In the second case nobody receives the answer.
pub(super) async fn arrived(mut body: Incoming, limit: usize, holder: &Holder) -> Result<(Bytes, Held), Refusal> {
    let (mut gathered, mut held) = (Gathered::default(), holder.nothing());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::NotReady)?;
        // Everything else is trailers, which have no meaning here.
        if let Ok(data) = frame.into_data() {
            held.add(data.len());
            gathered.add(data);
            if gathered.len() > limit {
                return Err(Refusal::RequestTooLarge);
            }
        }
    }
    Ok((gathered.into_bytes(), held))
}

/// The pieces of one body. Nearly all bodies have one piece, which is not copied.
#[derive(Default)]
struct Gathered {
    first: Bytes,
    /// All pieces together, if there are several.
    all: BytesMut,
}

impl Gathered {
    fn add(&mut self, piece: Bytes) {
        if self.len() == 0 {
            self.first = piece;
        } else {
            self.all.extend_from_slice(&std::mem::take(&mut self.first));
            self.all.extend_from_slice(&piece);
        }
    }

    fn len(&self) -> usize {
        self.first.len() + self.all.len()
    }

    fn into_bytes(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.freeze() }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn frames(length: usize) -> Vec<usize> {
        let data = Bytes::from(vec![7; length]);
        let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        let mut answer = Answer::Whole { data, trailers: Some(trailers.clone()) };
        let mut lengths = Vec::new();
        loop {
            assert!(!answer.is_end_stream());
            let frame = answer.frame().now_or_never().unwrap().unwrap().unwrap();
            match frame.into_data() {
                Ok(data) => lengths.push(data.len()),
                Err(frame) => {
                    assert_eq!(frame.into_trailers().unwrap(), trailers);
                    break;
                }
            }
        }
        assert!(answer.is_end_stream() && answer.frame().now_or_never().unwrap().is_none());
        lengths
    }

    #[test]
    fn an_answer_is_cut_into_frames_that_share_a_write_unless_it_is_large() {
        assert!(frames(0).is_empty());
        assert_eq!(frames(1023), [1023]);
        assert_eq!(frames(1024), [1023, 1]);
        assert_eq!(frames(8192), [[1023; 8].as_slice(), &[8]].concat());
        assert_eq!(frames(8193), [8193]);
    }

    #[test]
    fn pieces_are_gathered_in_their_order_and_a_single_piece_is_not_copied() {
        let only = Bytes::from(vec![1; 100]);
        let mut gathered = Gathered::default();
        gathered.add(Bytes::new());
        gathered.add(only.clone());
        assert_eq!(gathered.into_bytes().as_ptr(), only.as_ptr());
        let mut gathered = Gathered::default();
        for piece in ["a", "", "bc", "d"] {
            gathered.add(Bytes::from_static(piece.as_bytes()));
        }
        assert_eq!(gathered.len(), 4);
        assert_eq!(gathered.into_bytes(), "abcd");
        assert!(Gathered::default().into_bytes().is_empty());
    }
}
