//! The scrub of blobs: reads and hashes each, and puts out of sight what does not match.

use std::future::ready;
use std::sync::Arc;

use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::backend::{ErrorKind, ReadRange};
use crate::blobs::put_aside;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result};
use crate::ingest::hash;
use crate::inventory::Blobs;
use crate::layout;
use crate::listing::if_found;
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
    let walk = Blobs::after(shared, options.after);
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
