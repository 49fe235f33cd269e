//! Sockets to accept from, and the sockets accepted: a connection is handed to the thread that serves it, so that it
//! leaves the runtime that accepted it.

use std::{io, net::SocketAddr, os::unix::net::UnixStream as StdUnixStream, path::Path};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};

/// Connections that may wait to be accepted; the kernel caps it (`net.core.somaxconn`).
const BACKLOG: u32 = 4096;

/// Bytes of a peer, whatever brings them.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A bound socket.
pub struct Listener {
    socket: Bound,
    /// Whether a mesh's proxy is the only one that reaches it, so that the identity that it forwards counts.
    pub(super) trusted: bool,
}

enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection that belongs to no runtime yet.
pub(super) enum Accepted {
    Tcp(std::net::TcpStream),
    Unix(StdUnixStream),
}

impl Listener {
    /// Binds a TCP socket, within a runtime.
    ///
    /// # Errors
    /// Those of the system.
    pub fn bind_tcp(address: SocketAddr) -> io::Result<Self> {
        bind_tcp(address).map(|socket| Self { socket: Bound::Tcp(socket), trusted: false })
    }

    /// Binds a Unix socket, within a runtime. A socket that nobody listens on any longer is replaced.
    ///
    /// # Errors
    /// Those of the system.
    pub fn bind_unix(path: &Path) -> io::Result<Self> {
        if StdUnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            std::fs::remove_file(path)?;
        }
        UnixListener::bind(path).map(|socket| Self { socket: Bound::Unix(socket), trusted: false })
    }

    /// Whether it is one that only a mesh's proxy reaches.
    pub fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// The listener as one that only a mesh's proxy reaches: `x-forwarded-client-cert` counts on it, and TLS is the
    /// proxy's business.
    #[must_use]
    pub fn trusted(self) -> Self {
        Self { trusted: true, ..self }
    }

    /// Where it listens, `host:port` or `unix:path`; the port of a TCP socket is the one that the system gave.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn address(&self) -> io::Result<String> {
        match &self.socket {
            Bound::Tcp(listener) => listener.local_addr().map(|address| address.to_string()),
            Bound::Unix(listener) => {
                let address = listener.local_addr()?;
                let path = address.as_pathname().ok_or(io::ErrorKind::AddrNotAvailable)?;
                Ok(format!("unix:{}", path.display()))
            }
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match &self.socket {
            Bound::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Without this, throughput falls to a fiftieth.
                stream.set_nodelay(true)?;
                stream.into_std().map(Accepted::Tcp)
            }
            Bound::Unix(listener) => listener.accept().await?.0.into_std().map(Accepted::Unix),
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    use tokio::net::TcpSocket;
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As the standard library does: a restart must not wait for the connections of the server before it.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Accepted {
    /// Whether the peer is on this machine: its bytes cross no network.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback()),
            Self::Unix(_) => true,
        }
    }

    /// Whether TLS is spoken on it where the server has a certificate: the permissions of a Unix socket's file guard it.
    pub(super) fn is_tcp(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }

    /// The connection, in the runtime that calls this.
    pub(super) fn adopt(self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Tcp(stream) => Box::new(TcpStream::from_std(stream)?),
            Self::Unix(stream) => Box::new(UnixStream::from_std(stream)?),
        })
    }
}
