//! Collection: what no manifest refers to goes.
//!
//! [`Store::collect`](crate::store::Store::collect) takes away the blobs that nothing in any repository refers to, and the
//! links to them; with [`CollectOptions::delete_untagged`] the manifests that no tag keeps before that. It runs while
//! nobody writes: who writes says so with [`Store::hold_off_collection`](crate::store::Store::hold_off_collection).
//!
//! # What is kept
//!
//! * Every manifest that a repository has, and all that it refers to: config, layers, what an index lists, and in turn
//!   what that refers to, whether or not it still has a link of its own; in a document of a type that is not known, all
//!   that looks like a digest. A subject keeps nothing but itself, if it is there: to be referred to as one does not keep
//!   what was deleted.
//! * Where it cannot be told what is referred to (a manifest that is missing, empty, no JSON or not what its digest says; a
//!   link that holds none; a symbolic link that leads nowhere): everything that repository has. It is told of, and the rest
//!   goes on.
//! * Everything, if a repository may lie where no walk comes by, or if there are blobs and no repository at all.
//! * Upload sessions, and what nobody knows: other algorithms' blobs, other files.
//! * A blob whose link cannot be taken, and what cannot be looked at. It is told of, and the rest goes on.
//! * Of young blobs those that [`CollectOptions::older_than`] says.
//!
//! # Order
//!
//! 1. With `delete_untagged`, in each repository: entries of history → revision links, those that refer to others first →
//!    records at their subjects.
//! 2. Everything is marked → the links to what is not marked, in each repository → the blobs.
//!
//! Before the first of these, what was looked at is made sure of: nothing goes on the strength of an absence that
//! is not durable. If that fails, the run ends and nothing goes. Each is durable before the next begins. A crash leaves garbage: a blob without links. At no time does a manifest that
//! is visible lack something that it had, nor does a link that is visible lead to a blob that has gone.
//!
//! # Memory
//!
//! A mark is 16 bytes. No more than [`CollectOptions::most_marks`] are held: where there are more digests, everything is
//! gone through several times, each time for a range of digests. Beside that, of one repository at a time, 65 bytes for
//! each manifest, as many again if another lists it, and some 16 for each blob it refers to; with `delete_untagged` 80 more for each manifest and 16 for each
//! reference between two; and eight manifests that are read.

mod exclusive;
mod explore;
mod marks;
mod names;
mod references;
mod remover;
mod settle;
mod sweep;
mod untagged;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::backend::Key;
use crate::catalog;
use crate::digest::Digest;
use crate::error::Result;
use crate::layout::RepositoryLayout;
use crate::listing::BATCH;
use crate::name::RepositoryName;
use crate::shared::Shared;

use self::explore::{Visit, explore};
use self::marks::Marks;
use self::names::expect_names;
use self::references::Reference;
use self::remover::Remover;
use self::sweep::Sweep;
use self::untagged::{Untagged, untagged};

pub(crate) use exclusive::hold_off;
pub use explore::Damaged;

/// How a collection goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectOptions {
    /// Nothing is taken, only told of. It needs no lock and may run beside anything; what is pushed meanwhile may be told
    /// of too.
    pub dry_run: bool,
    /// Manifests go that no tag keeps. A tag keeps what it points at; what is kept keeps what it refers to, its subject
    /// too, and those whose subject it is.
    pub delete_untagged: bool,
    /// Blobs that were written within so long before now stay: the storage's time of the write, by this process's clock. Default: none, as nobody writes.
    pub older_than: Duration,
    /// Nobody writes to the storage, in any process. It has to be said where the storage has no locks between processes,
    /// as S3; elsewhere the lock tells.
    pub nobody_writes: bool,
    /// There are no repositories any more, and that is meant: every blob goes. Where it is not said, blobs without a single
    /// repository are taken for a disk that is not there, and none goes.
    pub no_repositories: bool,
    /// How many marks of 16 bytes are held at most. Default: 4 Mi, which are 64 MiB.
    pub most_marks: usize,
}

impl Default for CollectOptions {
    fn default() -> Self {
        Self {
            dry_run: false,
            delete_untagged: false,
            older_than: Duration::ZERO,
            nobody_writes: false,
            no_repositories: false,
            most_marks: 4 << 20,
        }
    }
}

/// What a collection did, or in a dry run would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Repositories.
    pub repositories: u64,
    /// Manifests that stay, in all repositories.
    pub manifests: u64,
    /// Objects from which it cannot be told what they refer to.
    pub damaged: u64,
    /// What is marked: digests, whether there are such blobs or not.
    pub marked: u64,
    /// Blobs that were there.
    pub blobs: u64,
    /// Manifests that go from their repositories, untagged.
    pub removed_manifests: u64,
    /// Links to blobs that go.
    pub links: u64,
    /// Blobs that go.
    pub removed_blobs: u64,
    /// Their length in bytes, together.
    pub removed_bytes: u64,
    /// Blobs that nothing refers to and that stay because they are young.
    pub young: u64,
    /// Objects that were to go and stay, as they could not be looked at or taken.
    pub left: u64,
}

/// What a collection tells of while it is at work. What goes is told of before it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A repository is looked at.
    Repository {
        /// Its name.
        name: RepositoryName,
    },
    /// A manifest stays, with all that it refers to.
    Manifest {
        /// Its repository.
        name: RepositoryName,
        /// The manifest.
        digest: Digest,
    },
    /// It cannot be told what something refers to: everything its repository has stays.
    Damaged {
        /// The repository.
        name: RepositoryName,
        /// What and why.
        what: Damaged,
    },
    /// A manifest goes from its repository.
    Untagged {
        /// The repository.
        name: RepositoryName,
        /// The manifest.
        digest: Digest,
    },
    /// A link to a blob goes from a repository, and so does the blob, if it is there.
    Link {
        /// The repository.
        name: RepositoryName,
        /// The blob.
        digest: Digest,
    },
    /// What a write that was cut off left in the place of a blob goes.
    Litter {
        /// The object.
        key: Key,
        /// Its length in bytes.
        size: u64,
    },
    /// What was to go cannot be looked at or taken, and stays.
    Left {
        /// What and why.
        what: Damaged,
    },
    /// A blob goes.
    Blob {
        /// The blob.
        digest: Digest,
        /// Its length in bytes.
        size: u64,
    },
}

/// See [`Store::collect`](crate::store::Store::collect).
pub(crate) async fn collect(
    shared: &Arc<Shared>,
    options: CollectOptions,
    tell: &mut (dyn FnMut(Step) + Send),
) -> Result<Collected> {
    let held = if options.dry_run {
        None
    } else {
        Some(exclusive::keep_out(shared, options.nobody_writes).await?)
    };
    let repositories = expect_names(shared, options.no_repositories).await?;
    let remover = Remover::new(shared.clone(), held);
    let mut collected = Collected { repositories, ..Collected::default() };
    let mut round = Round { options, remover: &remover, tell, collected: &mut collected };
    if options.delete_untagged {
        round.untagged().await?;
    }
    let mut marks = Marks::new(options.most_marks);
    let mut is_first = true;
    loop {
        round.mark(&mut marks, is_first).await?;
        round.sweep(&marks).await?;
        match marks.of_the_rest() {
            Some(rest) => marks = rest,
            None => return Ok(collected),
        }
        is_first = false;
    }
}

struct Round<'r> {
    options: CollectOptions,
    remover: &'r Remover,
    tell: &'r mut (dyn FnMut(Step) + Send),
    collected: &'r mut Collected,
}

impl Round<'_> {
    /// Takes the manifests that no tag keeps; in a dry run only tells of them. What cannot be taken is told of and stays.
    async fn untagged(&mut self) -> Result<()> {
        let mut all = Repositories::default();
        while let Some(name) = all.next(self.remover.shared()).await? {
            let layout = RepositoryLayout::new(&name);
            let found = untagged(self.remover.shared(), &layout).await?;
            for digest in &found.manifests {
                (self.tell)(Step::Untagged { name: name.clone(), digest: *digest });
            }
            self.collected.damaged += found.damaged.len() as u64;
            for what in &found.damaged {
                (self.tell)(Step::Damaged { name: name.clone(), what: what.clone() });
            }
            self.collected.removed_manifests += found.manifests.len() as u64;
            if !self.remover.is_idle() {
                let remains = found.remove(&layout, self.remover).await?;
                self.collected.removed_manifests -= remains.manifests;
                self.collected.left += remains.objects.len() as u64;
                for (key, reason) in remains.objects {
                    (self.tell)(Step::Left { what: Damaged { key, reason } });
                }
            }
        }
        Ok(())
    }

    /// Marks what all repositories keep. What is met is told of and counted the first time.
    async fn mark(&mut self, marks: &mut Marks, is_first: bool) -> Result<()> {
        let mut all = Repositories::default();
        while let Some(name) = all.next(self.remover.shared()).await? {
            let layout = RepositoryLayout::new(&name);
            // In a dry run they are there still.
            let passed_over = if self.options.delete_untagged && self.remover.is_idle() {
                untagged(self.remover.shared(), &layout).await?
            } else {
                Untagged::default()
            };
            let tell = is_first.then_some(&mut *self.tell);
            let mut marking = Marking { name, marks, tell, collected: self.collected };
            marking.begin();
            let shared = self.remover.shared();
            explore(shared, &layout, &passed_over.manifests, &mut marking).await?;
        }
        marks.settle();
        self.collected.marked += marks.len();
        Ok(())
    }

    /// Takes what is not marked.
    async fn sweep(&mut self, marks: &Marks) -> Result<()> {
        let now = self.remover.shared().options.clock.now();
        let before = sweep::before(now, self.options.older_than);
        let (remover, tell, collected) = (self.remover, &mut *self.tell, &mut *self.collected);
        let linked = HashSet::new();
        let mut sweep = Sweep { remover, marks, before, tell, collected, linked };
        let mut all = Repositories::default();
        while let Some(name) = all.next(remover.shared()).await? {
            sweep.links(&RepositoryLayout::new(&name)).await?;
        }
        sweep.blobs().await
    }
}

/// Marks what a repository keeps.
struct Marking<'m, 't> {
    name: RepositoryName,
    marks: &'m mut Marks,
    /// Who is told, the first time.
    tell: Option<&'m mut (dyn FnMut(Step) + Send + 't)>,
    collected: &'m mut Collected,
}

impl Marking<'_, '_> {
    fn begin(&mut self) {
        if let Some(tell) = &mut self.tell {
            tell(Step::Repository { name: self.name.clone() });
        }
    }
}

impl Visit for Marking<'_, '_> {
    fn manifest(&mut self, digest: &Digest, linked: bool, _references: &[Reference]) {
        self.marks.add(digest);
        if let Some(tell) = &mut self.tell {
            self.collected.manifests += u64::from(linked);
            tell(Step::Manifest { name: self.name.clone(), digest: *digest });
        }
    }

    fn keep(&mut self, digest: &Digest) {
        self.marks.add(digest);
    }

    fn damaged(&mut self, what: Damaged) {
        if let Some(tell) = &mut self.tell {
            self.collected.damaged += 1;
            tell(Step::Damaged { name: self.name.clone(), what });
        }
    }
}

/// Goes through all repositories, holding a page of their names.
#[derive(Default)]
struct Repositories {
    names: VecDeque<RepositoryName>,
    /// The last one of the page before.
    after: Option<RepositoryName>,
    is_last: bool,
}

impl Repositories {
    async fn next(&mut self, shared: &Shared) -> Result<Option<RepositoryName>> {
        while self.names.is_empty() && !self.is_last {
            let after = self.after.as_ref().map(RepositoryName::as_str);
            let page = catalog::page(shared, after, BATCH).await?;
            self.after = page.next_after().cloned();
            self.is_last = self.after.is_none();
            self.names = page.items.into();
        }
        Ok(self.names.pop_front())
    }
}
