//! [`Either`]: a stream of one kind or of another.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream of one of two kinds, so that what is built upon it is built once.
#[derive(Debug)]
pub enum Either<A, B> {
    /// The one.
    A(A),
    /// The other.
    B(B),
}

impl<A, B> AsyncRead for Either<A, B>
where
    A: AsyncRead + Unpin,
    B: AsyncRead + Unpin,
{
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::A(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::B(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl<A, B> AsyncWrite for Either<A, B>
where
    A: AsyncWrite + Unpin,
    B: AsyncWrite + Unpin,
{
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::A(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::B(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::A(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::B(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::A(stream) => stream.is_write_vectored(),
            Self::B(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::A(stream) => Pin::new(stream).poll_flush(cx),
            Self::B(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::A(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::B(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
