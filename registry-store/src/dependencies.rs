//! [`Dependencies`]: is all that a manifest refers to in its repository?

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::backend::{Key, Meta, ReadRange};
use crate::blobs;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result};
use crate::ingest::hash;
use crate::layout::{self, RepositoryLayout};
use crate::link;
use crate::listing::if_found;
use crate::manifest::{Dependency, Manifest, ManifestError};
use crate::shared::Shared;

/// Independent looks in flight for one manifest.
const PARALLEL: usize = 16;

/// All that a manifest relies on in its repository, each found to be there.
#[derive(Debug)]
pub(crate) struct Dependencies {
    shared: Arc<Shared>,
    layout: RepositoryLayout,
    needs: Vec<Need>,
}

/// One thing that a manifest relies on.
#[derive(Clone, Debug)]
struct Need {
    digest: Digest,
    link: Key,
    blob: Key,
}

impl Dependencies {
    /// Looks for all that a manifest refers to, and says that it is about to be relied on.
    ///
    /// Content of an algorithm that we do not know cannot have been pushed here, so it is not looked for.
    ///
    /// Errors: `ManifestBlobUnknown`; `ManifestInvalid` where a descriptor gives another size than that of the
    /// content it names.
    pub(crate) async fn look(
        shared: &Arc<Shared>,
        layout: &RepositoryLayout,
        manifest: &Manifest,
    ) -> Result<Self> {
        let mut this = Self { shared: shared.clone(), layout: layout.clone(), needs: Vec::new() };
        let wanted = wanted(layout, manifest);
        let looks: Vec<_> = wanted.iter().map(|wanted| this.stored_under(wanted)).collect();
        let found: Vec<Option<Digest>> =
            stream::iter(looks).buffered(PARALLEL).try_collect().await?;

        let mut missing = Vec::new();
        for (Wanted { digest, link, .. }, stored) in wanted.into_iter().zip(found) {
            match stored {
                Some(stored) => this.needs.push(Need { digest, link, blob: layout::blob(&stored) }),
                None => missing.push(digest),
            }
        }
        this.refuse(missing)?;
        Ok(this)
    }

    /// Adds the manifest itself.
    pub(crate) fn push_itself(&mut self, digest: &Digest) {
        let (link, blob) = (self.layout.revision_link(digest), layout::blob(digest));
        self.needs.push(Need { digest: *digest, link, blob });
    }

    /// Looks for all of it again, fresh, and makes it durable: other writers made it. Nothing is done where
    /// [one look is enough](crate::guard::Guard::one_look_is_enough).
    pub(crate) async fn confirm(&self) -> Result<()> {
        if self.shared.guard.one_look_is_enough() { Ok(()) } else { self.look_again().await }
    }

    /// The same once tags point at the manifest `digest`, which, as was found then, is linked or not: a delete of it
    /// by another process may have come before the tags, and then it does not see them.
    pub(crate) async fn confirm_tagged(&self, digest: &Digest, is_linked: bool) -> Result<()> {
        self.refuse(if is_linked { Vec::new() } else { vec![*digest] })?;
        self.confirm().await
    }

    async fn look_again(&self) -> Result<()> {
        let keys: Vec<Key> =
            self.needs.iter().flat_map(|need| [need.link.clone(), need.blob.clone()]).collect();
        let found = self.shared.guard.confirm(&keys).await?;
        let pairs = self.needs.iter().zip(found.chunks(2));
        let gone = pairs.filter(|(_, pair)| pair.iter().any(Option::is_none));
        self.refuse(gone.map(|(need, _)| need.digest).collect())
    }

    /// The digest a dependency's content is kept under, if its link is there and its content is of `size`. It
    /// is another where Distribution keeps what was pushed by its sha512 under its sha256.
    async fn stored_under(&self, wanted: &Wanted) -> Result<Option<Digest>> {
        let Wanted { digest, size, link } = wanted;
        let stored = link::read_for(&self.shared, link, digest).await?;
        let Some(stored) = stored else { return Ok(None) };
        let Some(found) = blobs::look(&self.shared, &stored).await? else { return Ok(None) };
        let sound = found.size == *size || self.judge(&stored, found, *size).await?;
        Ok(sound.then_some(stored))
    }

    /// A blob is not of the size that a manifest gives: either it is damaged or the manifest is wrong. Its
    /// content tells. A damaged one is put out of sight, so that it is pushed again; then the answer is `false`.
    ///
    /// Few blobs are read for this at a time, whoever asks for it.
    async fn judge(&self, digest: &Digest, found: Meta, given: u64) -> Result<bool> {
        // Never closed, so waiting cannot fail.
        let _turn = self.shared.judging.acquire().await;
        let key = layout::blob(digest);
        let Some(object) = if_found(self.shared.backend.read(&key, ReadRange::Full).await)? else {
            return Ok(false);
        };
        let mut hasher = Hasher::new(digest.algorithm());
        hash(&mut hasher, object.into_stream()).await?;
        if hasher.finish() == *digest {
            let (digest, expected) = (*digest, found.size);
            let wrong = ManifestError::DescriptorSize { digest, expected, found: given };
            return Err(wrong.into());
        }
        self.shared.damage.blob(&key, found.size);
        let (shared, digest) = (self.shared.clone(), *digest);
        let aside = async move { blobs::put_aside(&shared, &digest, found).await };
        self.shared.detached.run(aside).await?;
        Ok(false)
    }

    fn refuse(&self, mut missing: Vec<Digest>) -> Result<()> {
        missing.dedup();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::ManifestBlobUnknown { name: self.layout.name().clone(), missing })
    }
}

/// Something that has to be in the repository: as a blob, as a manifest, or, wanted twice, as both; and of each
/// size that is given.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    digest: Digest,
    size: u64,
    link: Key,
}

/// All that a manifest refers to and that must be in its repository, each once, in the order of digests.
fn wanted(layout: &RepositoryLayout, manifest: &Manifest) -> BTreeSet<Wanted> {
    let mut wanted = BTreeSet::new();
    for dependency in manifest.dependencies() {
        let descriptor = dependency.descriptor();
        let Some(digest) = descriptor.digest.known() else { continue };
        let link = match dependency {
            Dependency::Blob(_) => layout.layer_link(digest),
            Dependency::Manifest(_) => layout.revision_link(digest),
        };
        wanted.insert(Wanted { digest: *digest, size: descriptor.size, link });
    }
    wanted
}
