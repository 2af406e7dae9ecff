//! [`Uploads`]: the upload sessions of a repository.
//!
//! A session lives in storage alone: any process that sees the same storage goes on with it. Its bytes arrive
//! in order; each request says at which offset it begins, so that one sent twice is not appended twice.

mod session;
mod started_at;

use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;

use crate::backend::{BackendExt as _, ErrorKind, OpenSession, PutMode, Stage, Tip};
use crate::digest::{Algorithm, Digest, Hasher};
use crate::error::{BodyError, Error, Result};
use crate::layout::RepositoryLayout;
use crate::shared::Shared;
use crate::upload_id::UploadId;
use crate::upload_status::UploadStatus;

pub(crate) use session::Session;
pub(crate) use started_at::parse as parse_started_at;

/// The upload sessions of a repository.
#[derive(Clone, Debug)]
pub struct Uploads {
    shared: Arc<Shared>,
    layout: RepositoryLayout,
}

/// Where a request on an upload session says it begins. `None` means: wherever the session is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResumeAt {
    /// The tip an earlier answer gave.
    pub tip: Option<Tip>,
    /// The offset the request itself names.
    pub offset: Option<u64>,
}

impl Uploads {
    pub(crate) const fn new(shared: Arc<Shared>, layout: RepositoryLayout) -> Self {
        Self { shared, layout }
    }

    /// Begins a session whose bytes are hashed with `algorithm` as they arrive.
    ///
    /// A session can be committed under a digest of another algorithm; then its bytes are read once more.
    ///
    /// Order: the staging, with its record durable → the mark `startedat`, durable. A session exists from the
    /// mark on; a crash before it leaves litter that expires.
    pub async fn start(&self, algorithm: Algorithm) -> Result<UploadStatus> {
        let id = UploadId::from_random(self.shared.options.random.bytes());
        let keys = self.layout.session(id);
        let stage = Stage::Session { keys: &keys, open: OpenSession::New };
        let mut staged = self.shared.backend.stage(stage).await?;
        let state = Hasher::new(algorithm).save();
        let copy = self.layout.hash_state(id, algorithm, 0);
        let tip = staged.persist(state.into(), &copy).await?;
        let started_at = self.shared.options.clock.now();
        let mark = started_at::format(started_at);
        self.shared.backend.put(&keys.mark, mark.into(), PutMode::Create).await?;
        Ok(UploadStatus { id, tip, started_at })
    }

    /// How far a session has come: what was stored last, whichever answer the client got.
    ///
    /// A request that still works on the session is stopped: who asks has given up on it.
    ///
    /// Errors: `UploadUnknown`.
    pub async fn status(&self, id: UploadId) -> Result<UploadStatus> {
        let session = self.open(id, None).await.map_err(|error| self.if_gone(id, error))?;
        Ok(session.status(session.tip()))
    }

    /// Adds a body at the end of a session.
    ///
    /// A body that breaks off, or is stopped by a newer request, leaves what has arrived of it; one that begins
    /// elsewhere leaves the session as it was.
    ///
    /// Errors: `UploadUnknown`, `UploadOffset`, `UploadSuperseded`, `Body`.
    pub async fn append<S>(&self, id: UploadId, at: ResumeAt, body: S) -> Result<UploadStatus>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Send,
    {
        let appended = async {
            let mut session = self.open(id, at.tip.clone()).await?;
            session.expect_at(&at)?;
            session.restore_hash().await?;
            let taken = session.take_in(body).await;
            if let Err(error @ Error::Storage(_)) = taken {
                return Err(error);
            }
            let tip = session.persist().await?;
            taken.map(|()| session.status(tip))
        };
        appended.await.map_err(|error| self.if_gone(id, error))
    }

    /// Adds a last body, which may be empty, makes the whole a blob of the repository, and ends the session.
    /// Returns the blob's size in bytes.
    ///
    /// Order: the body → the digest compared → [the blob, then its link](crate::blobs) → the session removed,
    /// its mark first. From the blob on it runs to its end even if the caller leaves. A crash leaves the session
    /// as it was, or longer; or the blob and a session that only a PUT of the same digest can finish.
    ///
    /// Where storage would have to copy the bytes, and the session has none yet, the body goes straight to where the
    /// blob is to be.
    ///
    /// After `DigestMismatch` the session is as long as before; after `Body` too, or as long as what has arrived.
    ///
    /// Errors: `UploadUnknown`, `UploadOffset`, `UploadSuperseded`, `Body`, `DigestMismatch`.
    pub async fn commit<S>(
        &self,
        id: UploadId,
        at: ResumeAt,
        digest: &Digest,
        body: S,
    ) -> Result<u64>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Send,
    {
        let committed = async {
            let mut session = self.open_any(id, at.tip.clone()).await?;
            let mut whole = None;
            if !session.is_promoted() {
                session.expect_at(&at)?;
                if session.is_better_written_anew() {
                    whole = Some(session.take_in_whole(body, digest).await?);
                } else {
                    session.restore_hash().await?;
                    session.take_in_and_verify(body, digest).await?;
                }
            }
            let digest = *digest;
            self.shared.detached.run(async move { session.finish(&digest, whole).await }).await
        };
        committed.await.map_err(|error| self.if_gone(id, error))
    }

    /// Ends a session and removes what it holds; also one that nobody can take up: something lies where its files should be,
    /// its mark apart, or one is not there and cannot be made on a full disk.
    ///
    /// Order: the mark, by which it exists → the rest. A crash between leaves litter that expires.
    ///
    /// Errors: `UploadUnknown`.
    pub async fn cancel(&self, id: UploadId) -> Result<()> {
        let cancelled = match self.open(id, None).await {
            Ok(session) => self.shared.detached.run(session.discard()).await,
            Err(Error::Storage(error)) if Session::is_beyond_opening(error.kind()) => {
                self.cancel_unopened(id).await
            }
            Err(error) => return Err(error),
        };
        cancelled.map_err(|error| self.if_gone(id, error))
    }

    async fn cancel_unopened(&self, id: UploadId) -> Result<()> {
        let (shared, layout) = (self.shared.clone(), self.layout.clone());
        let end = async move { Session::end_unopened(&shared, &layout, id).await };
        if self.shared.detached.run(end).await? { Ok(()) } else { Err(self.unknown(id)) }
    }

    /// Opens a session that can still be added to.
    async fn open(&self, id: UploadId, tip: Option<Tip>) -> Result<Session> {
        let session = self.open_any(id, tip).await?;
        if session.is_promoted() { Err(self.unknown(id)) } else { Ok(session) }
    }

    async fn open_any(&self, id: UploadId, tip: Option<Tip>) -> Result<Session> {
        let session = Session::open(&self.shared, &self.layout, id, tip).await?;
        session.ok_or_else(|| self.unknown(id))
    }

    /// What is not found in the middle of a request was taken away by another program, or is the blob of another
    /// digest: either way there is no such session.
    fn if_gone(&self, id: UploadId, error: Error) -> Error {
        match error {
            Error::Storage(error) if error.kind() == ErrorKind::NotFound => self.unknown(id),
            error => error,
        }
    }

    fn unknown(&self, id: UploadId) -> Error {
        Error::UploadUnknown { name: self.layout.name().clone(), id }
    }
}
