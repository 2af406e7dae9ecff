//! [`VerifyingStream`]: passes content on and checks, at its end, that it was what its digest says.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;

use crate::digest::{Digest, Hasher};

/// A stream of content that ends with an error if the whole did not match its digest.
///
/// Bytes are passed on as they come, so a consumer must not act on them before the end of the stream.
/// Hashing is done inline: about 1 ms per MiB on the polling task.
#[derive(Debug)]
pub struct VerifyingStream<S> {
    inner: S,
    expected: Digest,
    hasher: Option<Hasher>,
}

/// What a stream's content was instead of what its digest said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected content of digest {expected}, found content of digest {found}")]
pub struct ContentMismatch {
    /// The digest the content was read under.
    pub expected: Digest,
    /// The digest it has.
    pub found: Digest,
}

impl<S> VerifyingStream<S> {
    /// Checks `inner` against `expected`.
    pub fn new(expected: Digest, inner: S) -> Self {
        Self { inner, expected, hasher: Some(Hasher::new(expected.algorithm())) }
    }
}

impl<S, E> Stream for VerifyingStream<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: From<ContentMismatch>,
{
    type Item = Result<Bytes, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(Pin::new(&mut self.inner).poll_next(cx));
        match item {
            Some(Ok(bytes)) => {
                if let Some(hasher) = &mut self.hasher {
                    hasher.update(&bytes);
                }
                Poll::Ready(Some(Ok(bytes)))
            }
            Some(Err(error)) => {
                self.hasher = None;
                Poll::Ready(Some(Err(error)))
            }
            None => Poll::Ready(self.verdict().map(Err)),
        }
    }
}

impl<S> VerifyingStream<S> {
    /// The error to end with; given once, and none after an error of the inner stream.
    fn verdict<E: From<ContentMismatch>>(&mut self) -> Option<E> {
        let found = self.hasher.take()?.finish();
        let expected = self.expected;
        (found != expected).then(|| ContentMismatch { expected, found }.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{StreamExt as _, stream};

    fn read(expected: Digest, parts: &[&'static str]) -> Vec<Result<Bytes, ContentMismatch>> {
        let parts: Vec<_> =
            parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes()))).collect();
        futures::executor::block_on(VerifyingStream::new(expected, stream::iter(parts)).collect())
    }

    #[test]
    fn good_content_passes_unchanged() {
        let got = read(Digest::sha256(b"hello"), &["he", "llo"]);
        assert_eq!(got, [Ok(Bytes::from("he")), Ok(Bytes::from("llo"))]);
    }

    #[test]
    fn other_content_ends_in_the_mismatch() {
        let expected = Digest::sha256(b"hello");
        let found = Digest::sha256(b"help");
        assert_eq!(
            read(expected, &["help"]).last(),
            Some(&Err(ContentMismatch { expected, found }))
        );
    }
}
