//! [`Sight`]: all that can be seen of a store on the ground that the operations are done on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use futures::TryStreamExt as _;
use registry_store::backend::{Backend, ReadRange};
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::{Error, Result};
use registry_store::layout;
use registry_store::manifest::{Dependency, Manifest};
use registry_store::reference::{Reference, Tag};
use registry_store::repository::Repository;
use registry_store::store::Store;

use super::{KEPT, KEPT_CONFIG, LAYER, LOOSE, Prepared, SHARED, a, digest, first, kept, signature};
use crate::documents::{image, index};
use crate::world::pull_range;

/// Everything that can be seen, by what it is; and how far the upload session has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    things: BTreeMap<String, String>,
    upload: Option<u64>,
}

impl Sight {
    /// Looks at everything. What a tag points at must be there with all that it refers to; whatever is wrong with
    /// what is there is said with `when`.
    pub async fn of(store: &Store, prepared: &Prepared, when: &str) -> Self {
        let mut this = Self::default();
        let names = store.repositories(None, 100).await;
        for name in names.unwrap_or_else(|error| panic!("{when}: {error}")).items {
            this.things.insert(format!("repository {name}"), String::new());
            this.add_repository(&store.repository(&name), when).await;
        }
        if let Some(upload) = &prepared.upload {
            this.upload = match a(store).uploads().status(upload.id).await {
                Ok(status) => Some(status.tip.offset),
                Err(Error::UploadUnknown { .. }) => None,
                Err(error) => panic!("{when}: {error}"),
            };
        }
        this
    }

    async fn add_repository(&mut self, repository: &Repository, when: &str) {
        let name = repository.name();
        let tags = repository.tags().list(None, 100).await;
        for tag in tags.unwrap_or_else(|error| panic!("{when}: {error}")).items {
            let (current, history) = tagged(repository, &tag, when).await;
            self.things.insert(format!("tag {name}:{tag}"), current.to_string());
            self.things.insert(format!("history {name}:{tag}"), history);
        }
        for (digest, manifest) in MANIFESTS.iter() {
            let found = stored(repository, &(*digest).into()).await;
            if let Some(found) = unless_unknown(found, when) {
                assert!(found == *manifest.bytes(), "{when}: manifest {digest} is other bytes");
                self.things.insert(format!("manifest {name}@{digest}"), String::new());
                assert_complete(repository, manifest, when).await;
            }
        }
        for (digest, content) in BLOBS.iter() {
            let read = pull_range(repository, digest, ReadRange::Full).await;
            let Some(read) = unless_unknown(read, when) else { continue };
            let state = if read == *content { "whole" } else { "damaged" };
            self.things.insert(format!("blob {name}@{digest}"), state.to_owned());
        }
        let referrers = repository.referrers().list(&MANIFESTS[0].0, None, None, 100).await;
        let referrers = referrers.unwrap_or_else(|error| panic!("{when}: {error}"));
        for referrer in referrers.items {
            self.things.insert(format!("referrer {name} {:?}", referrer.digest), String::new());
        }
    }

    /// Each thing must be as in one of the two: as before an operation, or as after it. The upload session may be
    /// anywhere between.
    pub fn assert_between(&self, before: &Self, after: &Self, when: &str) {
        let names: BTreeSet<&String> =
            [self, before, after].into_iter().flat_map(|sight| sight.things.keys()).collect();
        for name in names {
            let [found, old, new] = [self, before, after].map(|sight| sight.things.get(name));
            assert!(
                found == old || found == new,
                "{when}: {name} is {found:?}, was {old:?} and was to become {new:?}"
            );
        }
        let least = before.upload.min(after.upload.or(before.upload)).unwrap_or(0);
        let most = before.upload.max(after.upload).max(Some(LAYER.len() as u64));
        match self.upload {
            Some(offset) => assert!(
                before.upload.is_some() && offset >= least && Some(offset) <= most,
                "{when}: an upload session of {offset} bytes"
            ),
            None => assert!(
                before.upload.is_none() || after.upload.is_none(),
                "{when}: the upload session is lost"
            ),
        }
    }
}

impl Sight {
    /// Is the same there, but for how far the upload session has come?
    pub fn has_the_same_things(&self, other: &Self) -> bool {
        self.things == other.things && self.upload.is_some() == other.upload.is_some()
    }

    /// Is what no operation touches there?
    pub fn has_what_stays(&self) -> bool {
        self.things.contains_key("tag a:stays")
    }

    /// Has an upload session been seen?
    pub const fn has_upload(&self) -> bool {
        self.upload.is_some()
    }
}

/// Every object of the store but those that count as none: the history of no tag, the record of no manifest.
pub(super) async fn objects(backend: &dyn Backend) -> BTreeSet<String> {
    let all: BTreeSet<String> = backend
        .list(&layout::top(), None)
        .map_ok(|key| key.to_string())
        .try_collect()
        .await
        .expect("objects can be listed");
    let is_kept = |key: &&String| {
        let of_tag = key.split_once("/index/").map(|(tag, _)| format!("{tag}/current/link"));
        let of_record = key.split_once("/_referrers/").and_then(|(repository, record)| {
            let mut parts = record.split('/').skip(2);
            let (algorithm, hex) = (parts.next()?, parts.next()?);
            Some(format!("{repository}/_manifests/revisions/{algorithm}/{hex}/link"))
        });
        of_tag.or(of_record).is_none_or(|needed| all.contains(&needed))
    };
    all.iter().filter(is_kept).cloned().collect()
}

/// Every blob that an operation puts, or finds, by each of its digests.
static BLOBS: LazyLock<Vec<(Digest, &[u8])>> = LazyLock::new(|| {
    let contents = [LAYER, SHARED, KEPT, KEPT_CONFIG, LOOSE, b"{}"].into_iter();
    let named = |content| Algorithm::ALL.map(|algorithm| (Digest::of(algorithm, content), content));
    contents.flat_map(named).collect()
});

/// Every manifest that an operation puts, or finds.
static MANIFESTS: LazyLock<Vec<(Digest, Manifest)>> = LazyLock::new(|| {
    let all = [
        first(),
        kept(),
        signature(),
        index(&[&first()]),
        index(&[&first(), &kept()]),
        image(b"{}", &[SHARED]),
        image(b"{}", &[LOOSE]),
    ];
    all.into_iter().map(|manifest| (digest(&manifest), manifest)).collect()
});

/// Where a tag points, whole, and what it ever pointed at.
async fn tagged(repository: &Repository, tag: &Tag, when: &str) -> (Digest, String) {
    let found = repository.manifests().get(&tag.clone().into()).await;
    let found = found.unwrap_or_else(|error| panic!("{when}: tag {tag}: {error}"));
    let algorithm = found.digest.algorithm();
    assert_eq!(Digest::of(algorithm, &found.bytes), found.digest, "{when}: tag {tag}");
    let manifest = Manifest::parse(None, found.bytes).expect("what was pushed is a manifest");
    assert_complete(repository, &manifest, when).await;
    let history = repository.tags().history(tag, None, 100).await;
    let history = history.unwrap_or_else(|error| panic!("{when}: {error}")).items;
    assert!(history.contains(&found.digest), "{when}: tag {tag} is not in its own history");
    (found.digest, format!("{history:?}"))
}

/// All that a manifest refers to is there. A blob that was damaged before may have been put aside.
async fn assert_complete(repository: &Repository, manifest: &Manifest, when: &str) {
    for dependency in manifest.dependencies() {
        let digest = *dependency.descriptor().digest.known().expect("a test's digests are known");
        let found = match dependency {
            Dependency::Blob(_) => repository.blobs().size(&digest).await.map(|_| ()),
            Dependency::Manifest(_) => stored(repository, &digest.into()).await.map(|_| ()),
        };
        found.unwrap_or_else(|error| panic!("{when}: what a manifest refers to: {error}"));
    }
}

async fn stored(repository: &Repository, reference: &Reference) -> Result<bytes::Bytes> {
    Ok(repository.manifests().get(reference).await?.bytes)
}

fn unless_unknown<T>(found: Result<T>, when: &str) -> Option<T> {
    match found {
        Ok(found) => Some(found),
        Err(Error::BlobUnknown { .. } | Error::ManifestUnknown { .. }) => None,
        Err(error) => panic!("{when}: {error}"),
    }
}
