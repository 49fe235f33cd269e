//! A transport that ends with an error if a frame of HTTP/2, or a header block of several frames, stays unfinished.
//!
//! Neither hyper nor h2 has such a limit: a peer that sends HEADERS without END_HEADERS, and then sends nothing, keeps
//! buffers in use until its connection reaches its age. This file reads the nine bytes in front of each frame (RFC
//! 9113, 4.1) when they arrive.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// How long a frame, or the frames of one block of headers, may take to arrive.
const TIME: Duration = Duration::from_secs(5);
/// Bytes in front of each frame: length (3), type, flags, stream (4).
const HEAD: usize = 9;
// The types of frames that carry headers.
const HEADERS: u8 = 0x1;
const PUSH_PROMISE: u8 = 0x5;
const CONTINUATION: u8 = 0x9;
/// The flag of the last frame of a block of headers.
const END_HEADERS: u8 = 0x4;

/// A transport whose received bytes begin with the head of a frame.
pub(super) struct Timed<Io> {
    io: Io,
    time: Duration,
    frames: Frames,
    /// Runs while something is unfinished. It is reused the next time.
    timer: Option<Pin<Box<Sleep>>>,
    /// The unfinished part that the timer measures.
    timed: u64,
}

/// The position inside the stream of frames.
#[derive(Default)]
struct Frames {
    head: [u8; HEAD],
    /// The number of bytes of the head that have arrived.
    read: usize,
    /// The number of bytes of the frame's content that have not arrived yet.
    left: usize,
    /// Whether a block of headers has begun and not ended.
    in_headers: bool,
    /// The number of whole frames or header blocks so far.
    whole: u64,
}

impl Frames {
    /// Follows the bytes that have arrived.
    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.read < HEAD {
                let more = bytes.len().min(HEAD - self.read);
                self.head[self.read..self.read + more].copy_from_slice(&bytes[..more]);
                self.read += more;
                bytes = &bytes[more..];
                if self.read < HEAD {
                    return;
                }
                let [high, middle, low, kind, flags, ..] = self.head;
                self.left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
                if [HEADERS, PUSH_PROMISE, CONTINUATION].contains(&kind) {
                    self.in_headers = flags & END_HEADERS == 0;
                }
            }
            let more = bytes.len().min(self.left);
            self.left -= more;
            bytes = &bytes[more..];
            if self.left == 0 {
                self.read = 0;
                self.whole += u64::from(!self.in_headers);
            }
        }
    }

    fn is_unfinished(&self) -> bool {
        self.read > 0 || self.in_headers
    }
}

impl<Io> Timed<Io> {
    pub(super) fn new(io: Io) -> Self {
        Self { io, time: TIME, frames: Frames::default(), timer: None, timed: u64::MAX }
    }

    /// Whether the peer has taken too long to finish a frame or header block.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        if !self.frames.is_unfinished() {
            return false;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.time)));
        if self.timed != self.frames.whole {
            self.timed = self.frames.whole;
            timer.as_mut().reset(Instant::now() + self.time);
        }
        timer.as_mut().poll(context).is_ready()
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Timed<Io> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(context, buf);
        match read {
            Poll::Ready(_) => self.frames.take(&buf.filled()[before..]),
            Poll::Pending if self.is_late(context) => {
                let late = io::Error::new(io::ErrorKind::TimedOut, "the peer left a frame or its headers unfinished");
                return Poll::Ready(Err(late));
            }
            Poll::Pending => {}
        }
        read
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Timed<Io> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        [&[0, 0, length, kind, flags, 0, 0, 0, 1][..], &vec![0x80; length.into()]].concat()
    }

    #[test]
    fn frames_and_header_blocks_are_recognised_wherever_reads_cut_them() {
        let (data, settings) = (frame(0, 0, 7), frame(4, 0, 0));
        let begun = frame(HEADERS, 0, 3);
        let more = frame(CONTINUATION, 0, 2);
        let last = frame(CONTINUATION, END_HEADERS, 0);
        let all = [&*data, &settings, &begun, &more, &last, &data].concat();
        for size in 1..all.len() {
            let mut frames = Frames::default();
            all.chunks(size).for_each(|bytes| frames.take(bytes));
            assert_eq!((frames.whole, frames.is_unfinished()), (4, false), "{size}");
        }
        for unfinished in [&data[..4], &data[..12], &begun[..], &[&*begun, &more].concat(), &last[..8]] {
            let mut frames = Frames::default();
            frames.take(unfinished);
            assert!(frames.is_unfinished(), "{unfinished:?}");
        }
    }

    #[tokio::test]
    async fn only_an_unfinished_frame_or_block_ends_the_connection() {
        const SHORT: Duration = Duration::from_millis(50);
        let (mut peer, io) = duplex(1 << 16);
        let mut timed = Timed { time: SHORT, ..Timed::new(io) };
        let mut bytes = [0; 1024];
        peer.write_all(&frame(HEADERS, END_HEADERS, 3)).await.unwrap();
        assert_eq!(timed.read(&mut bytes).await.unwrap(), 12);
        // Nothing has begun. A peer may be quiet.
        let quiet = tokio::time::timeout(4 * SHORT, timed.read(&mut bytes)).await;
        assert!(quiet.is_err());
        // More frames of the same block give no extra time.
        peer.write_all(&frame(HEADERS, 0, 3)).await.unwrap();
        let sending = tokio::spawn(async move {
            while peer.write_all(&frame(CONTINUATION, 0, 1)).await.is_ok() {
                sleep(SHORT / 5).await;
            }
        });
        let error = loop {
            if let Err(error) = timed.read(&mut bytes).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        sending.abort();
    }
}
