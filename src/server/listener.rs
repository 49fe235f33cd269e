//! Listening sockets and accepted sockets. An accepted socket moves from the runtime that accepted it to the thread
//! that serves it.

use std::{
    fs::{self, Permissions},
    io,
    net::SocketAddr,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::UnixStream as StdUnixStream,
    },
    path::Path,
};

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with},
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixSocket, UnixStream},
};

/// The most connections that may wait to be accepted. The kernel may lower it (`net.core.somaxconn`).
const BACKLOG: u32 = 4096;

/// A connection to a peer, over any kind of socket.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A bound socket.
pub struct Listener {
    socket: Bound,
    /// Whether only the proxy of a mesh can reach it. Then the server trusts the identity that the proxy forwards.
    pub(super) trusted: bool,
}

enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// An accepted connection, before a runtime owns it.
pub(super) enum Accepted {
    Tcp(std::net::TcpStream),
    Unix(StdUnixStream),
}

impl Listener {
    /// Binds a TCP socket. Must be called within a runtime.
    ///
    /// # Errors
    /// Those of the system.
    pub fn bind_tcp(address: SocketAddr) -> io::Result<Self> {
        bind_tcp(address).map(|socket| Self { socket: Bound::Tcp(socket), trusted: false })
    }

    /// Binds a Unix socket with these permissions (`0o660`: its owner and group may connect). Must be called within a
    /// runtime. A socket on which nobody listens any longer is replaced; any other file stays.
    ///
    /// # Errors
    /// If another kind of file is there, and those of the system.
    pub fn bind_unix(path: &Path, mode: u32) -> io::Result<Self> {
        if let Ok(there) = fs::symlink_metadata(path) {
            if !there.file_type().is_socket() {
                let text =
                    "another file, not a socket, has this path and is kept; choose another path, or remove the file";
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
            }
            if refuses_connections(path)? {
                fs::remove_file(path)?;
            }
        }
        let socket = UnixSocket::new_stream()?;
        socket.bind(path)?;
        // Nobody can connect before the socket listens.
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        Ok(Self { socket: Bound::Unix(socket.listen(BACKLOG)?), trusted: false })
    }

    /// Whether only the proxy of a mesh can reach it.
    pub fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// Marks the listener as one that only a mesh's proxy can reach: the server trusts `x-forwarded-client-cert` on it,
    /// and the proxy handles TLS.
    #[must_use]
    pub fn trusted(self) -> Self {
        Self { trusted: true, ..self }
    }

    /// Its address, `host:port` or `unix:path`. The port is the real one, also if the system chose it.
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

    /// Moves the listener from the runtime that bound it to the runtime that calls this.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn adopted(self) -> io::Result<Self> {
        let socket = match self.socket {
            Bound::Tcp(listener) => Bound::Tcp(TcpListener::from_std(listener.into_std()?)?),
            Bound::Unix(listener) => Bound::Unix(UnixListener::from_std(listener.into_std()?)?),
        };
        Ok(Self { socket, ..self })
    }

    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match &self.socket {
            Bound::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Without TCP_NODELAY the throughput is fifty times lower.
                stream.set_nodelay(true)?;
                stream.into_std().map(Accepted::Tcp)
            }
            Bound::Unix(listener) => listener.accept().await?.0.into_std().map(Accepted::Unix),
        }
    }
}

/// Whether nobody listens on the socket at `path`. A busy listener does not refuse a connection.
fn refuses_connections(path: &Path) -> io::Result<bool> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    Ok(connect(&socket, &SocketAddrUnix::new(path)?) == Err(Errno::CONNREFUSED))
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    use tokio::net::TcpSocket;
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // The standard library does this too: a restart must not wait for the connections of the previous server.
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

    /// Whether it uses TLS if the server has a certificate. A Unix socket does not: the permissions of its file protect
    /// it.
    pub(super) fn is_tcp(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }

    /// Moves the connection to the runtime that calls this.
    pub(super) fn adopt(self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Tcp(stream) => Box::new(TcpStream::from_std(stream)?),
            Self::Unix(stream) => Box::new(UnixStream::from_std(stream)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn only_a_socket_that_refuses_connections_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        fs::write(&path, "keep").unwrap();
        let refused = Listener::bind_unix(&path, 0o660).err().unwrap();
        assert!(refused.to_string().contains("not a socket"), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "keep");
        fs::remove_file(&path).unwrap();
        let first = Listener::bind_unix(&path, 0o660).unwrap();
        let busy = Listener::bind_unix(&path, 0o660).err().unwrap();
        assert_eq!(busy.kind(), io::ErrorKind::AddrInUse);
        drop(first);
        Listener::bind_unix(&path, 0o660).unwrap();
        let elsewhere = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("nothing"), &elsewhere).unwrap();
        assert!(Listener::bind_unix(&elsewhere, 0o660).is_err(), "a link is not a socket");
    }

    #[tokio::test]
    async fn a_socket_has_the_permissions_that_were_asked_for_with_any_umask() {
        let folder = tempfile::tempdir().unwrap();
        for wanted in [0o600, 0o660, 0o666] {
            let path = folder.path().join(format!("{wanted:o}"));
            let _listener = Listener::bind_unix(&path, wanted).unwrap();
            assert_eq!(mode(&path), wanted);
        }
    }
}
