//! [`Session`]: an upload session that a request works on.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures::Stream;

use crate::backend::{BackendExt as _, ErrorKind, OpenSession, SessionKeys, Stage, Staged, Tip};
use crate::blobs;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::error::{BodyError, Error, Result};
use crate::ingest::{hash, ingest};
use crate::layout::{self, RepositoryLayout};
use crate::shared::Shared;
use crate::turns::Turn;
use crate::upload_id::UploadId;
use crate::upload_status::UploadStatus;
use crate::uploads::{ResumeAt, parse_started_at};

/// More than any `startedat` is long.
const MARK_LIMIT: u64 = 64;

/// An upload session that a request works on: no other request of this process does, and, where the backend
/// has locks between processes, none of another.
#[derive(Debug)]
pub(crate) struct Session {
    id: UploadId,
    started_at: SystemTime,
    layout: RepositoryLayout,
    shared: Arc<Shared>,
    staged: Box<dyn Staged>,
    /// Has seen the first `hashed()` bytes of the session: all of them once `restore_hash` has returned.
    hasher: Hasher,
    // Last, so that it is given up after the staging and its locks.
    turn: Turn,
}

impl Session {
    /// Opens a session, stopping the request that works on it; `None` if there is no such session.
    pub(crate) async fn open(
        shared: &Arc<Shared>,
        layout: &RepositoryLayout,
        id: UploadId,
        tip: Option<Tip>,
    ) -> Result<Option<Self>> {
        let keys = layout.session(id);
        let turn = shared.turns.take(&keys.root).await;
        let turn = turn.map_err(|_| Error::UploadSuperseded { id })?;

        // Asked first, because opening may write: a session that does not exist is left alone.
        let Some(mut began) = started_at(shared, &keys).await? else {
            return Ok(None);
        };
        let stage = Stage::Session { keys: &keys, open: OpenSession::Resume(tip) };
        let staged = match shared.backend.stage(stage).await {
            Ok(staged) => staged,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if shared.backend.medium().locks_reach_processes {
            // And again under the session's lock, so that it has not ended meanwhile.
            let Some(again) = started_at(shared, &keys).await? else {
                return Ok(None);
            };
            began = again;
        }
        Ok(Some(Self {
            id,
            started_at: began,
            layout: layout.clone(),
            shared: shared.clone(),
            staged,
            hasher: Hasher::new(Algorithm::Sha256),
            turn,
        }))
    }

    /// Can no request take up a session that failed to open like this? Something lies where its files should be, its mark
    /// apart; or one of them is not there, as with Distribution before the first byte, and there is no space to make it.
    pub(crate) const fn is_beyond_opening(kind: ErrorKind) -> bool {
        matches!(kind, ErrorKind::Foreign | ErrorKind::Full)
    }

    /// Removes a session that exists and is [beyond opening](Self::is_beyond_opening): nobody is at work on it. `false` if
    /// there is no such session any more.
    ///
    /// Order: the mark, by which it exists → the rest. A crash between leaves litter that expires.
    pub(crate) async fn end_unopened(
        shared: &Arc<Shared>,
        layout: &RepositoryLayout,
        id: UploadId,
    ) -> Result<bool> {
        let keys = layout.session(id);
        let turn = shared.turns.take(&keys.root).await;
        let turn = turn.map_err(|_| Error::UploadSuperseded { id })?;
        if started_at(shared, &keys).await?.is_none() {
            return Ok(false);
        }
        shared.backend.delete(&[keys.mark]).await?;
        shared.backend.delete_tree(&keys.root).await?;
        drop(turn);
        Ok(true)
    }

    /// The session's bytes are a blob already; all that is left to do is to finish.
    pub(crate) fn is_promoted(&self) -> bool {
        self.staged.is_promoted()
    }

    pub(crate) fn tip(&self) -> Tip {
        self.staged.tip()
    }

    /// What is to be told of the session when it has come to `tip`.
    pub(crate) fn status(&self, tip: Tip) -> UploadStatus {
        UploadStatus { id: self.id, tip, started_at: self.started_at }
    }

    /// Refuses a request that begins elsewhere than where the session is.
    pub(crate) fn expect_at(&self, at: &ResumeAt) -> Result<()> {
        let expected = self.staged.offset();
        let named = [at.offset, at.tip.as_ref().map(|tip| tip.offset)];
        match named.into_iter().flatten().find(|&found| found != expected) {
            Some(found) => Err(Error::UploadOffset { status: self.status(self.tip()), found }),
            None => Ok(()),
        }
    }

    /// Brings the hash to where the bytes are: from the latest state that was saved and can be read, over the
    /// bytes behind it.
    pub(crate) async fn restore_hash(&mut self) -> Result<()> {
        let size = self.staged.offset();
        let mut at = Some(size);
        while let Some(offset) = at {
            let Some((offset, note)) = self.staged.note(offset).await? else {
                break;
            };
            if let Some(hasher) = saved_hash(&note).filter(|hasher| hasher.hashed() == offset) {
                self.hasher = hasher;
                break;
            }
            at = offset.checked_sub(1);
        }
        if self.hasher.hashed() < size {
            let tail = self.staged.read_back(self.hasher.hashed()).await?;
            hash(&mut self.hasher, tail).await?;
        }
        Ok(())
    }

    /// Appends a body until it ends, breaks off, or a newer request comes.
    pub(crate) async fn take_in<S>(&mut self, body: S) -> Result<()>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Send,
    {
        let (turn, id) = (&self.turn, self.id);
        let stop = async move {
            turn.superseded().await;
            Error::UploadSuperseded { id }
        };
        ingest(self.staged.as_mut(), &mut self.hasher, &self.shared.buffers, body, stop).await
    }

    /// Appends a last body and compares the whole with its digest. After another digest the session is as it
    /// was before; after a body that broke off it has what arrived.
    pub(crate) async fn take_in_and_verify<S>(&mut self, body: S, expected: &Digest) -> Result<()>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Send,
    {
        let (before, hash_before) = (self.staged.offset(), self.hasher.clone());
        match self.take_in(body).await {
            Ok(()) => {}
            Err(error @ Error::Storage(_)) => return Err(error),
            Err(error) => {
                self.persist().await?;
                return Err(error);
            }
        }
        let found = self.digest(expected.algorithm()).await?;
        if found == *expected {
            return Ok(());
        }
        self.staged.rewind(before).await?;
        self.hasher = hash_before;
        self.persist().await?;
        Err(Error::DigestMismatch { expected: *expected, found })
    }

    /// Is there nothing of it yet, and would its bytes have to be copied to become the blob that a request names?
    pub(crate) fn is_better_written_anew(&self) -> bool {
        self.staged.offset() == 0 && self.shared.backend.medium().promotion_copies
    }

    /// Takes in a body that is all there is to come, compares it with its digest, and stages it where the blob is to
    /// be, for [`Session::finish`]. After an error the session is as it was.
    pub(crate) async fn take_in_whole<S>(
        &mut self,
        body: S,
        expected: &Digest,
    ) -> Result<Box<dyn Staged>>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Send,
    {
        let (turn, id) = (&self.turn, self.id);
        let stop = async move {
            turn.superseded().await;
            Error::UploadSuperseded { id }
        };
        let key = layout::blob(expected);
        let mut staged = self.shared.backend.stage(Stage::Final { key: &key }).await?;
        let mut hasher = Hasher::new(expected.algorithm());
        ingest(staged.as_mut(), &mut hasher, &self.shared.buffers, body, stop).await?;
        let found = hasher.finish();
        if found == *expected {
            return Ok(staged);
        }
        Err(Error::DigestMismatch { expected: *expected, found })
    }

    /// Saves what has arrived.
    pub(crate) async fn persist(&mut self) -> Result<Tip> {
        let (algorithm, hashed) = (self.hasher.algorithm(), self.hasher.hashed());
        let copy = self.layout.hash_state(self.id, algorithm, hashed);
        Ok(self.staged.persist(self.hasher.save().into(), &copy).await?)
    }

    /// Makes the session's bytes a blob, or those that were [staged in their place](Session::take_in_whole), which the
    /// caller has compared with the digest unless they were one before, and ends the session. Returns the blob's size.
    ///
    /// If they are the blob of another digest the storage answers `NotFound`.
    pub(crate) async fn finish(
        mut self,
        digest: &Digest,
        mut whole: Option<Box<dyn Staged>>,
    ) -> Result<u64> {
        let staged = whole.as_mut().unwrap_or(&mut self.staged);
        let size = staged.offset();
        blobs::commit(&self.shared, &self.layout, staged.as_mut(), digest, size).await?;
        let id = self.id;
        let ended = async {
            if let Some(whole) = whole {
                whole.discard().await?;
            }
            self.discard().await
        };
        if let Err(error) = ended.await {
            // The blob is pushed, and that is what was asked for; expiry removes the rest.
            tracing::warn!(upload = %id, %error, "the remains of a committed upload session stay");
        }
        Ok(size)
    }

    /// Ends the session and removes what it holds.
    pub(crate) async fn discard(self) -> Result<()> {
        let Self { staged, turn, .. } = self;
        staged.discard().await?;
        drop(turn);
        Ok(())
    }

    /// The digest of all bytes; read once more if they were hashed with another algorithm.
    async fn digest(&mut self, algorithm: Algorithm) -> Result<Digest> {
        if algorithm == self.hasher.algorithm() {
            return Ok(self.hasher.clone().finish());
        }
        let mut hasher = Hasher::new(algorithm);
        hash(&mut hasher, self.staged.read_back(0).await?).await?;
        Ok(hasher.finish())
    }
}

/// When the session began; `None` if it does not exist.
async fn started_at(shared: &Shared, keys: &SessionKeys) -> Result<Option<SystemTime>> {
    let mark = shared.backend.read_small(&keys.mark, MARK_LIMIT).await?;
    Ok(mark.and_then(|mark| parse_started_at(&mark)))
}

/// The hash a note holds the state of; its first bytes tell the algorithm.
fn saved_hash(note: &[u8]) -> Option<Hasher> {
    Algorithm::ALL.into_iter().find_map(|algorithm| Hasher::restore(algorithm, note).ok())
}
