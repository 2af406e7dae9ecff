//! Taking in a body: received, hashed and written at the same time, in bounded memory.
//!
//! The body is copied into buffers of 512 KiB. While one is being filled, at most two wait and one is hashed
//! and written: 2.5 MiB for a body of any size. Hashing happens off the runtime's workers.

use std::pin::pin;

use bytes::Bytes;
use futures::{FutureExt as _, Stream, StreamExt as _, TryStreamExt as _};
use tokio::sync::mpsc;

use crate::backend::{self, ErrorKind, Staged};
use crate::buffers::{BUFFER_SIZE, Buffer, Buffers};
use crate::digest::Hasher;
use crate::error::{BodyError, Error, Result};

/// Full buffers that may wait while one is written.
const WAITING: usize = 2;
/// What takes less than about 50 µs to hash is hashed in place: a hop to another thread costs as much.
const HASHED_IN_PLACE: usize = 64 * 1024;

/// Appends all of `body` to `staged`, hashing it on the way.
///
/// If the body breaks off, or `stop` completes, what has arrived is stored and hashed, and the error is
/// returned. After an error of the storage neither `staged` nor `hasher` may be used any more.
pub(crate) async fn ingest<S>(
    staged: &mut dyn Staged,
    hasher: &mut Hasher,
    buffers: &Buffers,
    body: S,
    stop: impl Future<Output = Error>,
) -> Result<()>
where
    S: Stream<Item = Result<Bytes, BodyError>>,
{
    let (full, waiting) = mpsc::channel(WAITING);
    let receiving = receive(body, buffers, full, stop);
    let storing = store(waiting, staged, hasher);
    // Both on this task: either may wait while the other goes on, and dropping one drops the other.
    let (received, stored) = futures::join!(receiving, storing);
    stored?;
    received
}

/// Copies the body into buffers and hands on each full one. Ends early, without an error, if nobody takes them.
async fn receive<S>(
    body: S,
    buffers: &Buffers,
    full: mpsc::Sender<Bytes>,
    stop: impl Future<Output = Error>,
) -> Result<()>
where
    S: Stream<Item = Result<Bytes, BodyError>>,
{
    let mut body = pin!(body);
    let mut stop = pin!(stop.fuse());
    let mut filling = buffers.take();
    let end = loop {
        let mut closed = pin!(full.closed().fuse());
        let frame = futures::select_biased! {
            error = stop => break Err(error),
            // The storage failed, and says so; the client may take its time with the next frame.
            () = closed => return Ok(()),
            frame = body.next().fuse() => frame,
        };
        match frame {
            None => break Ok(()),
            Some(Err(error)) => break Err(Error::Body(error)),
            Some(Ok(mut frame)) => {
                if !hand_on(&mut frame, &mut filling, buffers, &full).await {
                    return Ok(());
                }
            }
        }
    };
    if !filling.is_empty() {
        // If nobody takes it, the storage failed and says so.
        let _ = full.send(filling.freeze()).await;
    }
    end
}

/// Puts a frame into buffers, handing on those that are full; `false` if nobody takes them.
async fn hand_on(
    frame: &mut Bytes,
    filling: &mut Buffer,
    buffers: &Buffers,
    full: &mpsc::Sender<Bytes>,
) -> bool {
    while !frame.is_empty() {
        if filling.is_empty() && frame.len() >= BUFFER_SIZE {
            // Large enough as it is; copying it would gain nothing.
            if full.send(frame.split_to(BUFFER_SIZE)).await.is_err() {
                return false;
            }
            continue;
        }
        filling.fill(frame);
        if filling.is_full() {
            let ready = std::mem::replace(filling, buffers.take());
            if full.send(ready.freeze()).await.is_err() {
                return false;
            }
        }
    }
    true
}

/// Hashes and writes buffers as they come.
async fn store(
    mut waiting: mpsc::Receiver<Bytes>,
    staged: &mut dyn Staged,
    hasher: &mut Hasher,
) -> Result<()> {
    while let Some(bytes) = waiting.recv().await {
        let hashing = update(hasher, bytes.clone());
        let (hashed, written) = futures::join!(hashing, staged.append(bytes));
        written?;
        hashed?;
    }
    Ok(())
}

/// Hashes everything a stream has, from where `hasher` is.
pub(crate) async fn hash<S>(hasher: &mut Hasher, stream: S) -> backend::Result<()>
where
    S: Stream<Item = backend::Result<Bytes>>,
{
    let mut stream = pin!(stream);
    while let Some(bytes) = stream.try_next().await? {
        update(hasher, bytes).await?;
    }
    Ok(())
}

async fn update(hasher: &mut Hasher, bytes: Bytes) -> backend::Result<()> {
    if bytes.len() <= HASHED_IN_PLACE {
        hasher.update(&bytes);
        return Ok(());
    }
    let mut moved = std::mem::replace(hasher, Hasher::new(hasher.algorithm()));
    let hashed = tokio::task::spawn_blocking(move || {
        moved.update(&bytes);
        moved
    });
    match hashed.await {
        Ok(hashed) => *hasher = hashed,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is being shut down.
        Err(error) => {
            return Err(backend::Error::new(ErrorKind::Unavailable, "hash").because(error));
        }
    }
    Ok(())
}
