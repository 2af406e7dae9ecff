//! The beginning of a connection with TLS.

use std::io;
use std::time::Duration;

use http::Extensions;
use rustls::ServerConnection;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy, sink};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::info;

use super::{Tls, certificate};
use crate::idle::Idle;
use crate::peer::{OverTls, Peer};

/// A connection with TLS.
pub(in crate::serve) type Secured<T> = Box<TlsStream<Idle<T>>>;

/// Makes TLS of a connection. Gives it back with whether HTTP/2 is spoken on it, and puts into `extensions` what is
/// known of the client; `None` if it has ended, because there was no TLS to be had.
pub(in crate::serve) async fn handshake<T: AsyncRead + AsyncWrite + Unpin>(
    tls: &Tls,
    mut stream: Idle<T>,
    peer: Peer,
    extensions: &mut Extensions,
) -> io::Result<Option<(Secured<T>, bool)>> {
    let mut begun = Vec::with_capacity(8);
    if stream.read_buf(&mut begun).await? == 0 {
        // A probe that looks whether the port is open.
        return Ok(None);
    }
    // A record of TLS begins with its kind, 22; a request of HTTP with a method.
    if begun[0].is_ascii_uppercase() {
        answer_in_the_clear(stream).await?;
        return Ok(None);
    }
    stream.unread(begun);
    let acceptor = TlsAcceptor::from(tls.current().config.clone());
    let stream = match acceptor.accept(stream).await {
        Ok(stream) => Box::new(stream),
        Err(error) => {
            info!(%peer, %error, "no TLS with a client");
            return Ok(None);
        }
    };
    let (_, session) = stream.get_ref();
    extensions.insert(OverTls);
    if tls.shared.options.clients.verifies()
        && let Err(error) = tell_of_client(session, extensions)
    {
        info!(%peer, %error, "no TLS with a client");
        return Ok(None);
    }
    let is_http2 = session.alpn_protocol() == Some(b"h2");
    Ok(Some((stream, is_http2)))
}

/// A certificate that is here was verified: rustls ends a handshake otherwise.
fn tell_of_client(session: &ServerConnection, extensions: &mut Extensions) -> io::Result<()> {
    let Some(certificate) = session.peer_certificates().and_then(<[_]>::first) else {
        return Ok(());
    };
    let certificate = certificate::read(certificate).ok_or_else(|| {
        let what = "expected a client's certificate whose names are text, found another";
        io::Error::new(io::ErrorKind::InvalidData, what)
    })?;
    extensions.insert(certificate);
    Ok(())
}

/// What Go's servers answer, word for word: it is what people look for.
const IN_THE_CLEAR: &str = "HTTP/1.1 400 Bad Request\r\n\
                            Content-Type: text/plain; charset=utf-8\r\n\
                            Content-Length: 48\r\n\
                            Connection: close\r\n\r\n\
                            Client sent an HTTP request to an HTTPS server.\n";

async fn answer_in_the_clear<T: AsyncRead + AsyncWrite + Unpin>(
    mut stream: Idle<T>,
) -> io::Result<()> {
    /// In which the rest of the request may come: were the connection dropped under it, the reset would take the answer
    /// away.
    const A_WHILE: Duration = Duration::from_secs(5);

    stream.write_all(IN_THE_CLEAR.as_bytes()).await?;
    stream.shutdown().await?;
    let _ = timeout(A_WHILE, copy(&mut stream, &mut sink())).await;
    Ok(())
}
