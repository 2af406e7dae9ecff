//! [`Idle`]: a connection that ends when its client has kept it waiting for too long.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::activity::Activity;

/// A connection on which a read or a write that makes no progress for so long fails with
/// [`io::ErrorKind::TimedOut`].
///
/// Only waiting counts: a transfer of any length goes on as long as something moves, and a connection that
/// nobody reads from or writes to is not looked at.
#[derive(Debug)]
pub(crate) struct Idle<T> {
    inner: T,
    /// What was read ahead, and is read first.
    begun: Bytes,
    read: Patience,
    write: Patience,
    activity: Arc<Activity>,
    /// What `activity` was told last.
    blocked: bool,
}

impl<T> Idle<T> {
    /// Waits `limit` for anything; without one, for ever. `activity` is told while the client takes less than there is
    /// for it.
    pub(crate) fn new(inner: T, limit: Option<Duration>, activity: Arc<Activity>) -> Self {
        let (read, write) = (Patience::new(limit), Patience::new(limit));
        Self { inner, begun: Bytes::new(), read, write, activity, blocked: false }
    }

    /// Gives back what was read from it.
    pub(crate) fn unread(&mut self, begun: impl Into<Bytes>) {
        self.begun = begun.into();
    }

    /// Takes note of a write of `offered` bytes.
    fn wrote(&mut self, offered: usize, outcome: &Poll<io::Result<usize>>) {
        let taken = match outcome {
            Poll::Pending => 0,
            Poll::Ready(taken) => *taken.as_ref().unwrap_or(&0),
        };
        let blocked = taken < offered;
        if blocked != self.blocked {
            self.blocked = blocked;
            self.activity.block(blocked);
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Idle<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.begun.has_remaining() {
            let part = this.begun.len().min(buffer.remaining());
            buffer.put_slice(&this.begun.split_to(part));
            return Poll::Ready(Ok(()));
        }
        let outcome = Pin::new(&mut this.inner).poll_read(cx, buffer);
        this.read.bound(cx, outcome)
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
        this.wrote(bytes.len(), &outcome);
        this.write.bound(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let outcome = Pin::new(&mut this.inner).poll_write_vectored(cx, slices);
        this.wrote(slices.iter().map(|slice| slice.len()).sum(), &outcome);
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
    limit: Option<Duration>,
    waiting_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    const fn new(limit: Option<Duration>) -> Self {
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
        let Some(limit) = self.limit else {
            return Poll::Pending;
        };
        let deadline = *self.waiting_since.get_or_insert_with(Instant::now) + limit;
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
    use tokio::time::timeout;

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

    fn idle(sent: Vec<Poll<io::Result<()>>>, limit: Option<Duration>) -> Idle<Peer> {
        Idle::new(Peer(sent), limit, Activity::new(Arc::default(), None))
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_never_sends_is_given_up() {
        let limit = Duration::from_secs(300);
        let started = Instant::now();
        let error = read(&mut idle(Vec::new(), Some(limit))).await.unwrap_err();
        assert_eq!((error.kind(), started.elapsed()), (io::ErrorKind::TimedOut, limit));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_it_is_waited_for() {
        let mut idle = idle(Vec::new(), None);
        let waited = timeout(Duration::from_hours(1000), read(&mut idle)).await;
        assert!(waited.is_err());
    }

    #[tokio::test]
    async fn what_was_read_ahead_is_read_first() {
        let mut idle = idle(vec![Poll::Ready(Ok(()))], None);
        idle.unread(&b"begun"[..]);
        let mut space = [0; 3];
        for expected in [&b"beg"[..], b"un", b"x"] {
            let mut buffer = ReadBuf::new(&mut space);
            poll_fn(|cx| Pin::new(&mut idle).poll_read(cx, &mut buffer)).await.unwrap();
            assert_eq!(buffer.filled(), expected);
        }
    }

    #[tokio::test]
    async fn waiting_begins_anew_after_every_progress() {
        let mut patience = Patience::new(Some(Duration::from_millis(1)));
        let waker = noop_waker();
        let mut cx = Context::from_waker(&waker);
        assert!(patience.bound::<()>(&mut cx, Poll::Pending).is_pending());
        assert!(patience.bound(&mut cx, Poll::Ready(Ok(()))).is_ready());
        patience.limit = Some(Duration::from_secs(3600));
        if let Some(timer) = &mut patience.timer {
            timer.await;
        }
        assert!(patience.bound::<()>(&mut cx, Poll::Pending).is_pending());
    }
}
