//! A transport that reads nothing while the server holds too much memory, and notes whether its peer takes the written
//! bytes.
//!
//! Neither hyper nor h2 knows what other connections hold: each would read as much as its windows allow. For thousands
//! of connections the sum is more memory than a process may have.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::connections::{Holder, PAUSE};

/// Bytes of a peer.
pub(super) struct Pressed<Io> {
    io: Io,
    holder: Holder,
    /// Runs while nothing is read.
    pause: Option<Pin<Box<Sleep>>>,
}

impl<Io> Pressed<Io> {
    pub(super) fn new(io: Io, holder: Holder) -> Self {
        Self { io, holder, pause: None }
    }

    /// Resolves when the server no longer holds too much.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.holder.is_full() {
            let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(PAUSE)));
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        Poll::Ready(())
    }

    fn noted<T>(&self, written: Poll<T>) -> Poll<T> {
        self.holder.note_blocked(written.is_pending());
        written
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Pressed<Io> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_room(context));
        Pin::new(&mut self.io).poll_read(context, buf)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Pressed<Io> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.noted(written)
    }

    /// Always false, even if the transport below is vectored. Otherwise h2 would send each answer of 256 bytes or more
    /// in its own write, and its trailers in another write. With false, it first copies answers of up to 1,023 bytes
    /// together.
    fn is_write_vectored(&self) -> bool {
        false
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(context);
        self.noted(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::{super::connections::Connections, *};

    #[tokio::test]
    async fn nothing_is_read_while_the_server_holds_too_much() {
        let connections = Connections::new(2, 100_000);
        let (place, other) = (connections.enter().unwrap(), connections.enter().unwrap());
        let (mut peer, io) = duplex(64);
        let mut pressed = Pressed::new(io, place.holder());
        peer.write_all(b"ab").await.unwrap();
        let mut byte = [0];
        assert_eq!(pressed.read(&mut byte).await.unwrap(), 1);
        let held = other.call(200_000);
        assert!(tokio::time::timeout(4 * PAUSE, pressed.read(&mut byte)).await.is_err());
        drop((held, other));
        assert_eq!(pressed.read(&mut byte).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn written_bytes_are_held_until_the_peer_takes_them() {
        let connections = Connections::new(1, 100_000);
        let place = connections.enter().unwrap();
        let (mut peer, io) = duplex(4);
        let mut pressed = Pressed::new(io, place.holder());
        drop(place.call(0));
        assert!(pressed.write_all(b"answer").now_or_never().is_none());
        place.settle();
        assert!(place.idle().is_none(), "two bytes of the connection wait");
        peer.read_exact(&mut [0; 4]).await.unwrap();
        pressed.write_all(b"er").await.unwrap();
        place.settle();
        assert!(place.idle().is_some());
    }
}
