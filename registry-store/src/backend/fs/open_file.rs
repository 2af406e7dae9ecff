//! [`OpenFile`]: an object that is open for reading.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};

use super::blocking;
use super::fault::fault;
use super::system::System;
use crate::backend::{Key, Result};

/// The greatest part in which a file is read, in bytes.
const PART: u64 = 1 << 20;

/// An open file.
///
/// It stays readable, unchanged, whatever happens to its name.
#[derive(Clone)]
pub struct OpenFile {
    key: Key,
    file: Arc<dyn ReadAt>,
}

impl OpenFile {
    pub(super) fn new<S: System>(key: Key, system: S, file: Arc<S::File>) -> Self {
        let file = Arc::new(Opened { system, file });
        Self { key, file }
    }

    /// The bytes of `range`, in parts of at most 1 MiB.
    ///
    /// What the kernel has in memory is read where the stream is polled, what it would have to wait for on a
    /// thread for blocking work. A file that ends before `range` does fails with `Io`.
    pub fn into_stream(self, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        let read = |(file, rest): (Self, Range<u64>)| async move {
            if rest.is_empty() {
                return Ok(None);
            }
            let part = file.read(&rest).await?;
            let rest = rest.start + part.len() as u64..rest.end;
            Ok(Some((part, (file, rest))))
        };
        stream::try_unfold((self, range), read).boxed()
    }

    /// Some bytes from the start of `rest`, at least one.
    async fn read(&self, rest: &Range<u64>) -> Result<Bytes> {
        let length = usize::try_from((rest.end - rest.start).min(PART)).expect("at most 1 MiB");
        let offset = rest.start;
        let mut buffer = BytesMut::zeroed(length);
        let count = match self.file.read_at_nowait(&mut buffer, offset) {
            Ok(Some(count)) => count,
            Ok(None) => {
                let this = self.clone();
                let read = move || {
                    let count = fill(&*this.file, &mut buffer, offset)
                        .map_err(|error| this.fault(error))?;
                    Ok((buffer, count))
                };
                let (filled, count) = blocking("read", read).await?;
                buffer = filled;
                count
            }
            Err(error) => return Err(self.fault(error)),
        };
        if count == 0 {
            let end = rest.end;
            let message = format!("expected {end} bytes or more, found {offset}");
            return Err(self.fault(io::Error::new(io::ErrorKind::UnexpectedEof, message)));
        }
        buffer.truncate(count);
        Ok(buffer.freeze())
    }

    fn fault(&self, error: io::Error) -> crate::backend::Error {
        fault("read", &self.key, error)
    }
}

impl fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenFile({})", self.key)
    }
}

/// A file of any system. See [`System`] for the methods.
trait ReadAt: Send + Sync {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    fn read_at_nowait(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>>;
}

struct Opened<S: System> {
    system: S,
    file: Arc<S::File>,
}

impl<S: System> ReadAt for Opened<S> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.system.read_at(&self.file, buffer, offset)
    }

    fn read_at_nowait(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        self.system.read_at_nowait(&self.file, buffer, offset)
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &dyn ReadAt, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}
