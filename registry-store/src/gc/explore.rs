//! [`explore`]: every manifest of a repository, and what each refers to.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::backend::{BackendExt as _, Key};
use crate::digest::{Algorithm, Digest};
use crate::error::{Error, Result};
use crate::inventory::foreign_links;
use crate::layout::{self, RepositoryLayout};
use crate::link;
use crate::listing::{self, MANY};
use crate::manifest::MAX_MANIFEST_SIZE;
use crate::shared::Shared;

use super::names;
use super::references::{Document, Reference, Role, digests_in_text};

/// Manifests that are read at once: each may be 4 MiB.
const PARALLEL: usize = 8;

const LIMIT: u64 = MAX_MANIFEST_SIZE as u64;

/// Is told what a repository has.
pub(crate) trait Visit: Send {
    /// A manifest; `linked` if it is one of those that have a link, else one that another lists, or that Distribution
    /// 2.x linked among the blobs.
    fn manifest(&mut self, digest: &Digest, linked: bool, references: &[Reference]);

    /// Something that may not be taken, whatever it is.
    fn keep(&mut self, digest: &Digest);

    /// Something from which it cannot be told what it refers to. Everything the repository has stays.
    fn damaged(&mut self, what: Damaged);
}

/// What cannot be told what it refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The object: a link, or a manifest.
    pub key: Key,
    /// What is wrong with it.
    pub reason: String,
}

/// A repository that is explored.
pub(crate) struct Explorer<'r> {
    shared: &'r Arc<Shared>,
    layout: &'r RepositoryLayout,
    /// What has the place of a manifest, in order, but for those that are passed over: 65 bytes each.
    manifests: &'r [Digest],
    visit: &'r mut dyn Visit,
    /// What is referred to, by 8 bytes of the hash. Two that have them in common would only be looked at less: one that
    /// Distribution 2.1 linked as a blob and that is a manifest.
    referred: HashSet<u64>,
    /// Those of them that have no link: a DELETE of Distribution leaves the place, and so do other files in it.
    absent: HashSet<Digest>,
    /// Manifests that others list and that were met, and those of them that may still have to be read.
    met: HashSet<(Digest, Role)>,
    unread: Vec<(Digest, Role)>,
    is_damaged: bool,
}

/// The digests of a repository's manifests, in order.
pub(crate) async fn revisions(shared: &Shared, layout: &RepositoryLayout) -> Result<Vec<Digest>> {
    all_digests(shared, |algorithm| layout.revisions(algorithm)).await
}

/// Tells of every manifest of a repository but those in `passed_over`, which are in order, and of all that is damaged.
///
/// Manifests are those with a revision link; those that another lists, though their link was deleted; and those that
/// Distribution 2.1 linked as blobs, if nothing else refers to them.
///
/// Errors: of the storage as a whole, or of a listing. What is wrong with one object is damage.
pub(crate) async fn explore(
    shared: &Arc<Shared>,
    layout: &RepositoryLayout,
    passed_over: &[Digest],
    visit: &mut dyn Visit,
) -> Result<()> {
    let mut manifests = revisions(shared, layout).await?;
    if !passed_over.is_empty() {
        manifests.retain(|digest| passed_over.binary_search(digest).is_err());
    }
    let mut explorer = Explorer {
        shared,
        layout,
        manifests: &manifests,
        visit,
        referred: HashSet::new(),
        absent: HashSet::new(),
        met: HashSet::new(),
        unread: Vec::new(),
        is_damaged: false,
    };
    explorer.expect_whole().await?;
    explorer.linked().await?;
    explorer.listed().await?;
    explorer.of_other_algorithms().await?;
    if !explorer.is_damaged {
        explorer.among_blobs().await?;
    }
    // What was found there may be damaged as well.
    if explorer.is_damaged {
        explorer.keep_all_blobs().await?;
        explorer.keep_all_manifests().await?;
    }
    Ok(())
}

/// What was read where a manifest ought to be.
enum Read {
    /// Nothing is there.
    Nothing,
    /// Something that is no manifest, and was not said to be one.
    Other,
    Manifest(Digest, Document),
    /// What is wrong, and what may be referred to all the same.
    Damaged(Damaged, Vec<Digest>),
}

impl Explorer<'_> {
    /// What listings leave out, such as a link to a disk that is not there, may refer to anything.
    async fn expect_whole(&mut self) -> Result<()> {
        let layout = self.layout;
        let mut places = vec![layout.manifests(), layout.all_revisions(), layout.layers()];
        for algorithm in Algorithm::ALL {
            places.extend([layout.revisions(algorithm), layout.layers_of(algorithm)]);
        }
        for key in places {
            if let Some(reason) = names::left_out(self.shared, &key, &[layout::LINK]).await? {
                self.damaged(Damaged { key, reason });
            }
        }
        Ok(())
    }

    async fn linked(&mut self) -> Result<()> {
        let (shared, layout, manifests) = (self.shared, self.layout, self.manifests);
        let reads = stream::iter(manifests).map(|digest| async move {
            let digest = *digest;
            Ok::<_, Error>((digest, read_linked(shared, layout, &digest).await?))
        });
        let mut reads = reads.buffered(PARALLEL);
        while let Some((digest, read)) = reads.try_next().await? {
            if matches!(read, Read::Nothing) {
                self.absent.insert(digest);
            }
            self.take(&digest, true, read).await?;
        }
        Ok(())
    }

    /// Manifests that others list and that have no link, and what those list in turn.
    async fn listed(&mut self) -> Result<()> {
        while let Some((digest, role)) = self.unread.pop() {
            if self.manifests.binary_search(&digest).is_ok() && !self.absent.contains(&digest) {
                continue;
            }
            let read = read_unlinked(self.shared, self.layout, &digest, role).await?;
            self.take(&digest, false, read).await?;
        }
        Ok(())
    }

    /// Links that we have no name for. A manifest's cannot be read by it; a blob's is kept by what the link holds.
    async fn of_other_algorithms(&mut self) -> Result<()> {
        for key in foreign_links(self.shared, &self.layout.all_revisions()).await? {
            if let Ok(Some(content)) = one(link::read_raw(self.shared, &key).await)? {
                self.keep_each(&digests_in_text(&content));
            }
            let reason = "a manifest by a digest of an algorithm that is not known".to_owned();
            self.damaged(Damaged { key, reason });
        }
        for key in foreign_links(self.shared, &self.layout.layers()).await? {
            match one(link::read_raw(self.shared, &key).await)? {
                Ok(Some(content)) => self.keep_each(&digests_in_text(&content)),
                Ok(None) => {}
                Err(reason) => self.damaged(Damaged { key, reason }),
            }
        }
        Ok(())
    }

    /// Manifests that are linked as blobs: looked for among those that nothing refers to.
    async fn among_blobs(&mut self) -> Result<()> {
        let mut after = None;
        loop {
            let place = |algorithm| self.layout.layers_of(algorithm);
            let page = listing::digests(self.shared, place, after.as_ref(), MANY).await?;
            let loose = page.items.iter().filter(|digest| !self.referred.contains(&short(digest)));
            let loose: Vec<Digest> = loose.copied().collect();
            let (shared, layout) = (self.shared, self.layout);
            let reads = stream::iter(loose).map(|digest| async move {
                Ok::<_, Error>((digest, read_unlinked(shared, layout, &digest, Role::Blob).await?))
            });
            let mut reads = reads.buffered(PARALLEL);
            while let Some((digest, read)) = reads.try_next().await? {
                // It is not read again for another that lists it.
                if matches!(read, Read::Manifest(..)) {
                    self.met.insert((digest, Role::Unknown));
                }
                self.take(&digest, false, read).await?;
            }
            self.listed().await?;
            after = page.next_after().copied();
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn keep_all_blobs(&mut self) -> Result<()> {
        let mut after = None;
        loop {
            let place = |algorithm| self.layout.layers_of(algorithm);
            let page = listing::digests(self.shared, place, after.as_ref(), MANY).await?;
            for digest in &page.items {
                self.keep(digest).await?;
            }
            after = page.next_after().copied();
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Of what cannot be read, or is not there any more: its bytes, and of schema 1 the signatures.
    async fn keep_all_manifests(&mut self) -> Result<()> {
        for digest in self.manifests {
            self.visit.keep(digest);
            self.keep_signatures(digest).await?;
        }
        Ok(())
    }

    async fn keep_signatures(&mut self, digest: &Digest) -> Result<()> {
        let place = |algorithm| self.layout.signatures(digest, algorithm);
        let signatures = all_digests(self.shared, place).await?;
        self.keep_each(&signatures);
        Ok(())
    }

    /// Tells of what was read as a manifest, and notes what is to be read because of it.
    async fn take(&mut self, digest: &Digest, linked: bool, read: Read) -> Result<()> {
        let (stored, document) = match read {
            Read::Nothing | Read::Other => return Ok(()),
            Read::Damaged(what, mentioned) => {
                self.visit.keep(digest);
                self.keep_each(&mentioned);
                self.damaged(what);
                return Ok(());
            }
            Read::Manifest(stored, document) => (stored, document),
        };
        self.referred.insert(short(digest));
        self.visit.keep(&stored);
        self.visit.manifest(digest, linked, &document.references);
        if document.is_schema1 {
            self.keep_signatures(digest).await?;
        }
        for reference in document.references {
            if reference.role == Role::Subject {
                continue;
            }
            self.keep(&reference.digest).await?;
            let next = (reference.digest, reference.role);
            if reference.role != Role::Blob && self.met.insert(next) {
                self.unread.push(next);
            }
        }
        Ok(())
    }

    /// Keeps a blob, by the digest that it is referred to by, and under the one that its link holds if it is another.
    async fn keep(&mut self, digest: &Digest) -> Result<()> {
        if !self.referred.insert(short(digest)) && digest.algorithm() == Algorithm::Sha512 {
            // Its link was read.
            self.visit.keep(digest);
            return Ok(());
        }
        self.visit.keep(digest);
        let link = self.layout.layer_link(digest);
        match alias(self.shared, &link, digest).await? {
            Ok(stored) => stored.iter().for_each(|stored| self.visit.keep(stored)),
            Err(reason) => self.damaged(Damaged { key: link, reason }),
        }
        Ok(())
    }

    fn keep_each(&mut self, digests: &[Digest]) {
        for digest in digests {
            self.visit.keep(digest);
        }
    }

    fn damaged(&mut self, what: Damaged) {
        self.is_damaged = true;
        self.visit.damaged(what);
    }
}

/// Reads a manifest by its revision link.
async fn read_linked(shared: &Shared, layout: &RepositoryLayout, digest: &Digest) -> Result<Read> {
    let key = layout.revision_link(digest);
    let content = match one(link::read_raw(shared, &key).await)? {
        Ok(Some(content)) => content,
        Ok(None) => return nothing(shared, &[key.parent().unwrap_or(key)]).await,
        Err(reason) => return Ok(Read::Damaged(Damaged { key, reason }, Vec::new())),
    };
    let stored = digest_in(&content);
    match stored {
        Some(stored) if stored == *digest || stored.algorithm() != digest.algorithm() => {
            Ok(match fetch(shared, &stored).await? {
                Fetched::Bytes(bytes) => read_bytes(stored, &bytes),
                Fetched::Unreadable(what) => Read::Damaged(what, vec![stored]),
                Fetched::Nothing => {
                    let reason = "expected a manifest, found nothing".to_owned();
                    let key = layout::blob(&stored);
                    Read::Damaged(Damaged { key, reason }, vec![stored])
                }
            })
        }
        _ => {
            let reason = format!("expected a link to {digest}, found {} bytes", content.len());
            Ok(Read::Damaged(Damaged { key, reason }, stored.into_iter().collect()))
        }
    }
}

/// Nothing is where a manifest or its link may be: unless there is what cannot be read.
async fn nothing(shared: &Shared, places: &[Key]) -> Result<Read> {
    for key in places {
        if let Some(reason) = names::left_out(shared, key, &[]).await? {
            return Ok(Read::Damaged(Damaged { key: key.clone(), reason }, Vec::new()));
        }
    }
    Ok(Read::Nothing)
}

/// Reads what may be a manifest and has no link as one. `role`: what it was said to be; `Blob` of what nothing says
/// anything of.
async fn read_unlinked(
    shared: &Shared,
    layout: &RepositoryLayout,
    digest: &Digest,
    role: Role,
) -> Result<Read> {
    let is_one = role == Role::Manifest;
    let link = layout.layer_link(digest);
    let stored = match alias(shared, &link, digest).await? {
        Ok(stored) => stored.unwrap_or(*digest),
        Err(reason) => return Ok(Read::Damaged(Damaged { key: link, reason }, Vec::new())),
    };
    let key = layout::blob(&stored);
    let size = match one(shared.backend.head(&key).await.map_err(Error::from))? {
        Ok(Some(meta)) => meta.size,
        Ok(None) => {
            let places = [layout::blobs(stored.algorithm()), layout::blob_shard(&stored)];
            return nothing(shared, &[&places[..], &[layout::blob_place(&stored)]].concat()).await;
        }
        Err(reason) => return Ok(Read::Damaged(Damaged { key, reason }, Vec::new())),
    };
    // What is larger was never accepted as one.
    if !is_one && size > LIMIT {
        return Ok(Read::Other);
    }
    Ok(match fetch(shared, &stored).await? {
        Fetched::Nothing => Read::Nothing,
        Fetched::Unreadable(what) => Read::Damaged(what, Vec::new()),
        Fetched::Bytes(bytes) => match (role, read_bytes(stored, &bytes)) {
            (Role::Unknown | Role::Blob, Read::Manifest(_, document)) if !document.is_manifest => {
                Read::Other
            }
            (Role::Blob, Read::Damaged(..)) => Read::Other,
            // What has the right digest is what it is. What has not may have been a manifest.
            (Role::Listed | Role::Unknown, Read::Damaged(..))
                if Digest::of(stored.algorithm(), &bytes) == stored =>
            {
                Read::Other
            }
            (_, read) => read,
        },
    })
}

/// What was fetched of a blob.
enum Fetched {
    Nothing,
    Unreadable(Damaged),
    Bytes(Bytes),
}

async fn fetch(shared: &Shared, stored: &Digest) -> Result<Fetched> {
    let key = layout::blob(stored);
    let found = shared.backend.read_small(&key, LIMIT).await.map_err(Error::from);
    Ok(match one(found)? {
        Ok(Some(bytes)) => Fetched::Bytes(bytes),
        Ok(None) => Fetched::Nothing,
        Err(reason) => Fetched::Unreadable(Damaged { key, reason }),
    })
}

fn read_bytes(stored: Digest, bytes: &Bytes) -> Read {
    match judge(&stored, bytes) {
        Ok(document) => Read::Manifest(stored, document),
        Err(reason) => {
            let mut mentioned = digests_in_text(bytes);
            mentioned.push(stored);
            Read::Damaged(Damaged { key: layout::blob(&stored), reason }, mentioned)
        }
    }
}

/// What the bytes of a manifest say, if they are what they ought to be.
fn judge(digest: &Digest, bytes: &Bytes) -> Result<Document, String> {
    if bytes.len() as u64 > LIMIT {
        return Err(format!("expected a manifest of at most {LIMIT} bytes"));
    }
    let document = Document::read(bytes)
        .ok_or_else(|| format!("expected a JSON object, found {} other bytes", bytes.len()))?;
    // That of a signed manifest of schema 1 is of what was signed.
    let found = Digest::of(digest.algorithm(), bytes);
    if found != *digest && !document.is_schema1 {
        return Err(format!(
            "expected content of digest {digest}, found content of digest {found}"
        ));
    }
    Ok(document)
}

/// The digest that a blob's bytes are kept under, if it is another: Distribution keeps what was pushed by its sha512
/// under its sha256. Nobody keeps it the other way round. What is wrong, if its link cannot tell.
async fn alias(
    shared: &Shared,
    link: &Key,
    digest: &Digest,
) -> Result<Result<Option<Digest>, String>> {
    if digest.algorithm() == Algorithm::Sha256 {
        return Ok(Ok(None));
    }
    let content = match one(link::read_raw(shared, link).await)? {
        Ok(Some(content)) => content,
        Ok(None) => return Ok(Ok(None)),
        Err(reason) => return Ok(Err(reason)),
    };
    Ok(match digest_in(&content) {
        Some(stored) if stored == *digest => Ok(None),
        Some(stored) if stored.algorithm() != digest.algorithm() => Ok(Some(stored)),
        _ => Err(format!("expected a link to {digest}, found {} bytes", content.len())),
    })
}

/// The digest that a link holds.
pub(crate) fn digest_in(content: &[u8]) -> Option<Digest> {
    std::str::from_utf8(content).ok()?.parse().ok()
}

/// All digests named below a place of each algorithm, in order.
async fn all_digests(shared: &Shared, place: impl Fn(Algorithm) -> Key) -> Result<Vec<Digest>> {
    let (mut digests, mut after) = (Vec::new(), None);
    loop {
        let page = listing::digests(shared, &place, after.as_ref(), MANY).await?;
        after = page.next_after().copied();
        digests.extend(page.items);
        if after.is_none() {
            return Ok(digests);
        }
    }
}

/// Tells what is wrong with one object from what is wrong with the storage.
fn one<T>(result: Result<T>) -> Result<Result<T, String>> {
    match result {
        Ok(found) => Ok(Ok(found)),
        Err(error) if error.is_of_one_object() => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

fn short(digest: &Digest) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_bytes()[..8]);
    u64::from_be_bytes(first)
}
