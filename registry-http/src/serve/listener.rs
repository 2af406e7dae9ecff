//! [`Listener`]: where connections come from.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::sleep;
use tracing::warn;

use super::either::Either;
use crate::peer::Peer;

/// Where connections come from: a port, a unix socket, several of them, or anything that brings streams.
///
/// Dropped, it takes no more.
pub trait Listener: Send {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection, and who is at its other end. Dropping the future loses none.
    ///
    /// # Errors
    ///
    /// If there is none now. The system's errors `EBADF`, `EINVAL` and `ENOTSOCK` say that there will never be one;
    /// after any other it is asked again, after a while.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Stream, Peer)>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, Peer)> {
        let (stream, address) = Self::accept(self).await?;
        Ok(prompt(stream, Peer::Tcp(address)))
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    async fn accept(&mut self) -> io::Result<(UnixStream, Peer)> {
        let (stream, _) = Self::accept(self).await?;
        Ok((stream, Peer::Unix))
    }
}

/// A port or a unix socket, as it is known only when the program runs.
#[derive(Debug)]
pub enum Socket {
    /// A port.
    Tcp(TcpListener),
    /// A unix socket.
    Unix(UnixListener),
}

impl Listener for Socket {
    type Stream = Either<TcpStream, UnixStream>;

    async fn accept(&mut self) -> io::Result<(Self::Stream, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = Listener::accept(listener).await?;
                Ok((Either::A(stream), peer))
            }
            Self::Unix(listener) => {
                let (stream, peer) = Listener::accept(listener).await?;
                Ok((Either::B(stream), peer))
            }
        }
    }
}

/// Several at once, such as those that systemd hands over. Each gets its turn.
impl Listener for Vec<Socket> {
    type Stream = Either<TcpStream, UnixStream>;

    async fn accept(&mut self) -> io::Result<(Self::Stream, Peer)> {
        match self.as_mut_slice() {
            [] => return std::future::pending().await,
            [one] => return one.accept().await,
            _ => {}
        }
        let accepting = self.iter_mut().map(|socket| Box::pin(socket.accept()));
        let (accepted, at, _) = futures::future::select_all(accepting).await;
        // Whoever was served stands last the next time.
        let last = self.len() - 1;
        self.swap(at, last);
        accepted
    }
}

/// Without it the small frames at the end of an answer wait for the client's acknowledgement. Where it fails, the
/// connection ended before it began, which the first read finds out.
fn prompt(stream: TcpStream, peer: Peer) -> (TcpStream, Peer) {
    let _ = stream.set_nodelay(true);
    (stream, peer)
}

/// The next connection. Waits out whatever passes by itself, such as a lack of file descriptors.
pub(super) async fn next<L: Listener>(listener: &mut L) -> io::Result<(L::Stream, Peer)> {
    const FIRST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_secs(1);

    let mut pause = FIRST;
    loop {
        let error = match listener.accept().await {
            Ok(accepted) => return Ok(accepted),
            Err(error) => error,
        };
        match Errno::from_io_error(&error) {
            Some(Errno::CONNABORTED | Errno::CONNRESET | Errno::INTR) => {}
            Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK) => return Err(error),
            _ => {
                warn!(%error, "cannot accept a connection; trying again");
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST);
            }
        }
    }
}
