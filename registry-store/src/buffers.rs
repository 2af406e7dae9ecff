//! [`Buffers`]: the memory bodies pass through, used again and again.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf as _, Bytes};

/// Bytes of one buffer: large enough that the cost of handing it over does not show, small enough that four
/// of them are little.
pub(crate) const BUFFER_SIZE: usize = 512 * 1024;
/// How many buffers are kept for later when nobody uses them: 16 MiB.
const KEPT: usize = 32;

/// Buffers of [`BUFFER_SIZE`] bytes. A fresh one costs a page fault for every 4 KiB; a used one nothing.
#[derive(Clone, Default)]
pub(crate) struct Buffers {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Buffers {
    /// An empty buffer.
    pub(crate) fn take(&self) -> Buffer {
        let used = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = used.unwrap_or_else(|| Vec::with_capacity(BUFFER_SIZE));
        Buffer { bytes, home: self.clone() }
    }
}

impl fmt::Debug for Buffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Buffers")
    }
}

/// A buffer that goes back to where it came from when the last reference to its bytes is gone.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    home: Buffers,
}

impl Buffer {
    /// Takes as much from the front of `from` as there is room for.
    pub(crate) fn fill(&mut self, from: &mut Bytes) {
        let part = from.len().min(BUFFER_SIZE - self.bytes.len());
        self.bytes.extend_from_slice(&from[..part]);
        from.advance(part);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() == BUFFER_SIZE
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Its bytes, shareable.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let mut free = self.home.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_once_its_bytes_are_gone() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take();
        buffer.fill(&mut Bytes::from_static(b"abc"));
        let address = buffer.bytes.as_ptr();
        let frozen = buffer.freeze();
        let clone = frozen.clone();
        drop(frozen);
        assert!(buffers.free.lock().unwrap().is_empty());
        assert_eq!(clone, "abc");
        drop(clone);
        let again = buffers.take();
        assert!(again.is_empty());
        assert_eq!(again.bytes.as_ptr(), address);
    }

    #[test]
    fn a_buffer_takes_no_more_than_it_holds() {
        let mut buffer = Buffers::default().take();
        let mut body = Bytes::from(vec![1; BUFFER_SIZE + 5]);
        buffer.fill(&mut body);
        assert!(buffer.is_full());
        assert_eq!(body.len(), 5);
    }
}
