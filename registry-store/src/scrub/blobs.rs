//! The scrub of blobs: reads and hashes each, and puts out of sight what does not match.

use std::collections::VecDeque;
use std::future::ready;
use std::sync::Arc;

use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::backend::{Child, ErrorKind, ReadRange};
use crate::blobs::put_aside;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::error::{Error, Result};
use crate::ingest::hash;
use crate::layout;
use crate::listing::{MANY, if_found};
use crate::shared::Shared;

use super::pace::Pace;
use super::{Finding, ScrubOptions, ScrubbedBlob};

/// Blobs that are read at a time: while one is hashed another is fetched. It is to be felt little by those beside it.
const PARALLEL: usize = 2;

/// See [`Store::scrub`](crate::store::Store::scrub).
pub(crate) fn blobs(
    shared: &Arc<Shared>,
    options: ScrubOptions,
) -> BoxStream<'_, Result<ScrubbedBlob>> {
    let pace = Arc::new(Pace::new(options.bytes_per_second));
    let walk = Walk::new(shared, options.after);
    let digests = stream::unfold(walk, |mut walk| async {
        let batch = walk.next().await?;
        let each: Vec<Result<Digest>> = match batch {
            Ok(batch) => batch.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        Some((stream::iter(each), walk))
    });
    let looks = digests.flatten().map(move |digest| {
        let pace = pace.clone();
        async move { look_at(shared, digest?, &pace).await }
    });
    let found = looks.buffered(PARALLEL).try_filter_map(|found| ready(Ok(found)));
    // Where the storage as a whole fails, so would all that is left.
    let mut has_ended = false;
    let found = found.take_while(move |found| {
        let ends = matches!(found, Err(error) if !error.is_of_one_object());
        ready(!std::mem::replace(&mut has_ended, ends))
    });
    found.boxed()
}

/// Reads a blob; `None` if it is not there any more.
async fn look_at(
    shared: &Arc<Shared>,
    digest: Digest,
    pace: &Pace,
) -> Result<Option<ScrubbedBlob>> {
    let outcome = match read(shared, &digest, pace).await {
        Ok(Some(Content { size, is_good: false })) => judge(shared, &digest, size, pace).await,
        Ok(Some(Content { size, .. })) => Ok((size, Finding::Good)),
        Ok(None) => return Ok(None),
        Err(error) => Err(error),
    };
    let (size, finding) = match outcome {
        Err(Error::Storage(error)) if error.is_of_one_object() => {
            let key = layout::blob(&digest);
            tracing::warn!(%key, %error, "scrub cannot read a blob, and goes on with the next");
            (0, Finding::Unreadable(error))
        }
        outcome => outcome?,
    };
    Ok(Some(ScrubbedBlob { digest, size, finding }))
}

/// A blob of this length was read and is not what its digest says. What is it now?
///
/// Order: a look, by which it is known again → it is read once more, for what was read first may have been
/// another → ● under the lock that keeps others from naming it: a look whether it is the same still → out of sight.
/// A crash leaves it where it was, or out of sight.
async fn judge(
    shared: &Arc<Shared>,
    digest: &Digest,
    size: u64,
    pace: &Pace,
) -> Result<(u64, Finding)> {
    let key = layout::blob(digest);
    let judged = shared.backend.head(&key).await?;
    let content = read(shared, digest, pace).await?;
    let (Some(judged), Some(Content { size, is_good: false })) = (judged, content) else {
        return Ok((size, Finding::Changed));
    };
    shared.damage.blob(&key, size);
    let (this, digest) = (shared.clone(), *digest);
    let aside = async move { put_aside(&this, &digest, judged).await };
    let finding = match shared.detached.run(aside).await {
        Ok(true) => Finding::PutAside,
        Ok(false) => Finding::Changed,
        Err(Error::Storage(error)) if error.kind() != ErrorKind::Unavailable => {
            tracing::warn!(%key, %error, "scrub cannot put a damaged blob out of sight");
            Finding::Left(error)
        }
        Err(error) => return Err(error),
    };
    Ok((size, finding))
}

/// What was read of a blob.
struct Content {
    size: u64,
    is_good: bool,
}

async fn read(shared: &Shared, digest: &Digest, pace: &Pace) -> Result<Option<Content>> {
    let key = layout::blob(digest);
    let Some(object) = if_found(shared.backend.read(&key, ReadRange::Full).await)? else {
        return Ok(None);
    };
    let size = object.size;
    let mut hasher = Hasher::new(digest.algorithm());
    let read = hash(&mut hasher, pace.slow(object.into_stream())).await;
    let is_good = |()| Content { size, is_good: hasher.finish() == *digest };
    Ok(if_found(read)?.map(is_good))
}

/// Goes through the digests of all blobs in their order, holding a page of a listing.
struct Walk<'s> {
    shared: &'s Shared,
    after: Option<Digest>,
    algorithms: VecDeque<Algorithm>,
    shards: VecDeque<Shard>,
}

/// The blobs whose digests begin alike.
struct Shard {
    algorithm: Algorithm,
    name: String,
    /// The name of the last one met.
    after: Option<String>,
}

impl<'s> Walk<'s> {
    fn new(shared: &'s Shared, after: Option<Digest>) -> Self {
        let is_ahead = |algorithm: &Algorithm| after.is_none_or(|at| at.algorithm() <= *algorithm);
        let algorithms = Algorithm::ALL.into_iter().filter(is_ahead).collect();
        Self { shared, after, algorithms, shards: VecDeque::new() }
    }

    /// The next digests, perhaps none. A place that cannot be listed is told of and left behind.
    async fn next(&mut self) -> Option<Result<Vec<Digest>>> {
        if let Some(shard) = self.shards.pop_front() {
            return Some(self.blobs_of(shard).await);
        }
        let algorithm = self.algorithms.pop_front()?;
        Some(self.shards_of(algorithm).await.map(|shards| {
            self.shards = shards;
            Vec::new()
        }))
    }

    async fn shards_of(&self, algorithm: Algorithm) -> Result<VecDeque<Shard>> {
        let after = self.after.filter(|after| after.algorithm() == algorithm);
        let after = after.map(|after| after.hex());
        let begun = after.as_deref().map(|hex| &hex[..2]);
        let place = layout::blobs(algorithm);
        let mut shards = VecDeque::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = self.shared.backend.list_children(&place, cursor.as_deref(), MANY).await?;
            let names = page.items.iter().filter(|child| child.is_prefix());
            for name in names.map(Child::name).filter(|name| name.len() == 2) {
                if begun.is_none_or(|begun| name >= begun) {
                    let after = after.clone().filter(|_| begun == Some(name));
                    shards.push_back(Shard { algorithm, name: name.to_owned(), after });
                }
            }
            cursor = page.next_after().map(|child| child.name().to_owned());
            if cursor.is_none() {
                return Ok(shards);
            }
        }
    }

    async fn blobs_of(&mut self, mut shard: Shard) -> Result<Vec<Digest>> {
        let Ok(place) = layout::blobs(shard.algorithm).child(&shard.name) else {
            return Ok(Vec::new());
        };
        let backend = &self.shared.backend;
        let page = backend.list_children(&place, shard.after.as_deref(), MANY).await?;
        let names = page.items.iter().filter(|child| child.is_prefix()).map(Child::name);
        let digests = names.filter(|name| name.starts_with(&shard.name));
        let digests = digests.filter_map(|name| Digest::from_hex(shard.algorithm, name).ok());
        let digests = digests.collect();
        shard.after = page.next_after().map(|child| child.name().to_owned());
        if shard.after.is_some() {
            self.shards.push_front(shard);
        }
        Ok(digests)
    }
}
