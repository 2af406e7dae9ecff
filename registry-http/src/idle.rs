//! [`Idle`]: a connection that ends when its client has kept it waiting for too long.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// A connection on which a read or a write that makes no progress for so long fails with
/// [`io::ErrorKind::TimedOut`].
///
/// Only waiting counts: a transfer of any length goes on as long as something moves, and a connection that
/// nobody reads from or writes to is not looked at.
#[derive(Debug)]
pub(crate) struct Idle<T> {
    inner: T,
    limit: Duration,
    read: Patience,
    write: Patience,
}

impl<T> Idle<T> {
    /// Waits `first` for the first bytes to arrive, and `limit` for everything after.
    pub(crate) fn new(inner: T, first: Duration, limit: Duration) -> Self {
        Self { inner, limit, read: Patience::new(first), write: Patience::new(limit) }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Idle<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let outcome = Pin::new(&mut this.inner).poll_read(cx, buffer);
        ready!(this.read.bound(cx, outcome))?;
        this.read.limit = this.limit;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Idle<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let outcome = Pin::new(&mut this.inner).poll_write(cx, bytes);
        this.write.bound(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let outcome = Pin::new(&mut this.inner).poll_write_vectored(cx, slices);
        this.write.bound(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// How long one direction may stand still.
///
/// The timer is armed once and looked at when it rings: moving it at every wait would cost more than the wait.
#[derive(Debug)]
struct Patience {
    limit: Duration,
    waiting_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Self { limit, waiting_since: None, timer: None }
    }

    fn bound<R>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if outcome.is_ready() {
            self.waiting_since = None;
            return outcome;
        }
        let deadline = *self.waiting_since.get_or_insert_with(Instant::now) + self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures::task::noop_waker;

    use super::*;

    /// Gives what it is told to give.
    struct Peer(Vec<Poll<io::Result<()>>>);

    impl AsyncRead for Peer {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let next = self.0.pop().unwrap_or(Poll::Pending);
            if next.is_ready() {
                buffer.put_slice(b"x");
            }
            next
        }
    }

    async fn read(idle: &mut Idle<Peer>) -> io::Result<()> {
        let mut space = [0; 8];
        let mut buffer = ReadBuf::new(&mut space);
        poll_fn(|cx| Pin::new(&mut *idle).poll_read(cx, &mut buffer)).await
    }

    #[tokio::test]
    async fn a_peer_that_never_sends_is_given_up() {
        let mut idle =
            Idle::new(Peer(Vec::new()), Duration::from_millis(1), Duration::from_secs(3600));
        let error = read(&mut idle).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn the_first_bytes_have_a_limit_of_their_own() {
        let sent = vec![Poll::Ready(Ok(()))];
        let mut idle = Idle::new(Peer(sent), Duration::from_secs(3600), Duration::from_millis(1));
        read(&mut idle).await.unwrap();
        let error = read(&mut idle).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn waiting_begins_anew_after_every_progress() {
        let mut patience = Patience::new(Duration::from_millis(1));
        let waker = noop_waker();
        let mut cx = Context::from_waker(&waker);
        assert!(patience.bound::<()>(&mut cx, Poll::Pending).is_pending());
        assert!(patience.bound(&mut cx, Poll::Ready(Ok(()))).is_ready());
        patience.limit = Duration::from_secs(3600);
        if let Some(timer) = &mut patience.timer {
            timer.await;
        }
        assert!(patience.bound::<()>(&mut cx, Poll::Pending).is_pending());
    }
}
