//! The listener: HTTP/1.1 and HTTP/2 on one port or unix socket, with TLS or without, until it is told to stop.
//!
//! Each request carries where it comes from, as extensions: [`Peer`], and over TLS [`OverTls`] and the verified
//! [`ClientCertificate`], if there is one.

mod connection;
mod either;
mod held;
mod limits;
mod listener;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
pub mod tls;

use std::error::Error;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tower::Service;
use tracing::info;

use crate::connections::Connections;
use crate::idle::Idle;
use crate::serve::connection::{Manner, Protocols, answer};

pub use crate::peer::{ClientCertificate, OverTls, Peer};
pub use crate::serve::either::Either;
pub use crate::serve::limits::Limits;
pub use crate::serve::listener::{Listener, Socket};

/// Serves with the default [`Limits`]. See [`Server::serve`].
///
/// # Errors
///
/// As [`Server::serve`].
pub async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    serve_with(Limits::default(), listener, service, shutdown).await
}

/// Serves with these limits, without TLS. See [`Server::serve`].
///
/// # Errors
///
/// As [`Server::serve`].
pub async fn serve_with<L, S, B>(
    limits: Limits,
    listener: L,
    service: S,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()>
where
    L: Listener,
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    Server { limits, ..Server::default() }.serve(listener, service, shutdown).await
}

/// How a listener's connections are served.
#[derive(Clone, Debug)]
pub struct Server {
    /// What they may take.
    pub limits: Limits,
    /// HTTP/2 is spoken without TLS too, with whoever begins with it (h2c with prior knowledge). Default: true. With
    /// TLS the client and [`Tls`](tls::Tls) agree on the protocol.
    pub h2c: bool,
    /// With TLS: every connection has to have it. Default: without.
    #[cfg(feature = "tls")]
    pub tls: Option<tls::Tls>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            h2c: true,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl Server {
    /// Answers what arrives at `listener` with `service`, in HTTP/1.1 or in HTTP/2, until `shutdown` is ready; then
    /// takes no more connections and returns when the requests in flight have been answered, or when
    /// [`Limits::drain`] is over.
    ///
    /// Dropping the future ends every connection at once.
    ///
    /// # Errors
    ///
    /// If `listener` cannot accept at all; or, of the kind [`TimedOut`](io::ErrorKind::TimedOut), if requests were
    /// still in flight when [`Limits::drain`] was over, and were cut. A connection that fails, or a machine that has no
    /// file descriptor left for one, is logged and survived.
    pub async fn serve<L, S, B>(
        self,
        mut listener: L,
        service: S,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()>
    where
        L: Listener,
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        S::Future: Send + 'static,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let limits = self.limits;
        let manner = self.manner();
        let service = TowerToHyperService::new(service);
        let mut connections = Connections::new(limits.connections, limits.idle);
        let mut shutdown = pin!(shutdown);

        loop {
            let (stream, peer) = tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(()) = connections.ended() => continue,
                accepted = listener::next(&mut listener) => accepted?,
            };
            // One more than may be is accepted, so that room is made only where it is wanted.
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                () = connections.room() => {}
            }
            let activity = connections.activity();
            let stream = Idle::new(stream, limits.idle, Arc::clone(&activity));
            let connection =
                answer(manner.clone(), stream, peer, service.clone(), Arc::clone(&activity));
            connections.spawn(activity, connection);
        }

        drop(listener);
        drain(connections, &limits).await
    }

    fn manner(self) -> Manner {
        Manner {
            protocols: Protocols::new(&self.limits),
            head: self.limits.head,
            h2c: self.h2c,
            #[cfg(feature = "tls")]
            tls: self.tls,
        }
    }
}

/// Lets requests in flight be answered, for as long as may be.
async fn drain(mut connections: Connections, limits: &Limits) -> io::Result<()> {
    info!(
        connections = connections.len(),
        "draining: no new connections, finishing the requests in flight"
    );
    connections.end();
    let drained = async { while connections.ended().await.is_some() {} };
    let Some(limit) = limits.drain else {
        drained.await;
        return Ok(());
    };
    if timeout(limit, drained).await.is_ok() {
        return Ok(());
    }
    let cut = connections.cut().await;
    let what = format!("{cut} connections had requests in flight after {limit:?}, and were cut");
    Err(io::Error::new(io::ErrorKind::TimedOut, what))
}
