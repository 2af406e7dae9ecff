//! [`Held`]: an answer's body, whose request is in flight until the last of it was taken, and that tells when some of it is.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

use crate::activity::InFlight;

/// A body that keeps its request in flight, and so does each part of it: HTTP/2 lets go of the body when it has all of it,
/// of which as much as a part waits there for the client to open the stream's window.
pub(super) struct Held<B: Body> {
    body: Pin<Box<B>>,
    in_flight: Arc<InFlight>,
    /// There is no more of it.
    ended: bool,
}

impl<B: Body> Held<B> {
    pub(super) fn new(body: B, in_flight: InFlight) -> Self {
        in_flight.offer();
        Self { body: Box::pin(body), in_flight: Arc::new(in_flight), ended: false }
    }
}

impl<B: Body> Body for Held<B> {
    type Data = Part<B::Data>;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, B::Error>>> {
        let frame = self.body.as_mut().poll_frame(cx);
        match &frame {
            Poll::Pending => self.in_flight.make(),
            Poll::Ready(frame) => {
                self.ended = frame.is_none();
                self.in_flight.offer();
            }
        }
        let held = |data| Part { data, in_flight: Arc::clone(&self.in_flight) };
        frame.map(|frame| frame.map(|frame| frame.map(|frame| frame.map_data(held))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: Body> Drop for Held<B> {
    fn drop(&mut self) {
        if !self.ended && !self.body.is_end_stream() {
            self.in_flight.give_up();
        }
    }
}

/// A part of a body, until it was sent.
pub(super) struct Part<D: Buf> {
    data: D,
    in_flight: Arc<InFlight>,
}

impl<D: Buf> Drop for Part<D> {
    fn drop(&mut self) {
        if self.data.has_remaining() {
            self.in_flight.give_up();
        }
    }
}

impl<D: Buf> Buf for Part<D> {
    fn remaining(&self) -> usize {
        self.data.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.data.chunk()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [std::io::IoSlice<'a>]) -> usize {
        self.data.chunks_vectored(slices)
    }

    fn advance(&mut self, count: usize) {
        self.in_flight.take();
        self.data.advance(count);
    }

    fn copy_to_bytes(&mut self, length: usize) -> Bytes {
        self.in_flight.take();
        self.data.copy_to_bytes(length)
    }
}
