//! What a fresh store on the bucket shows.

use std::collections::BTreeSet;

use registry_store::digest::Digest;
use registry_store::error::{Error, Result};
use registry_store::repository::Repository;
use registry_store::store::Store;
use registry_store::upload_id::UploadId;
use registry_tests::world::{pull, repository};

use crate::contents::{BLOBS, MANIFESTS, Name, REPOSITORIES, TAGS, manifest};
use crate::model::View;

/// What a store shows. An error is something that is served and is wrong.
pub(crate) async fn through(store: &Store) -> Result<View, String> {
    let mut view = View::default();
    for name in REPOSITORIES {
        let repository = repository(store, name);
        view.blobs.extend(blobs(&repository).await?.into_iter().map(|blob| (name, blob)));
    }
    let a = repository(store, "a");
    view.manifests = manifests(&a).await?;
    for (tag, on) in tags(&a).await? {
        let read = a.manifests().get(&tag.parse().unwrap()).await;
        let (read, is_there) = (found(read, tag)?, view.manifests.contains(on));
        if read.map(|read| read.digest) != is_there.then(|| manifest(on).digest) {
            return Err(format!("{tag} points at {on}, and reads otherwise"));
        }
        view.tags.insert(tag, on);
    }
    let listed = a.referrers().list(&manifest("first").digest, None, None, 100).await;
    for descriptor in listed.map_err(|error| error.to_string())?.items {
        let referrer = descriptor.digest.known().and_then(name_of);
        let referrer = referrer.ok_or_else(|| format!("{descriptor:?} is no referrer"))?;
        view.referrers.insert(("first", referrer));
    }
    Ok(view)
}

/// How long a session is that a store shows.
pub(crate) async fn session(store: &Store, id: UploadId) -> Result<Option<u64>, String> {
    let status = repository(store, "a").uploads().status(id).await;
    Ok(found(status, "the session")?.map(|status| status.tip.offset))
}

async fn blobs(repository: &Repository) -> Result<BTreeSet<Name>, String> {
    let mut there = BTreeSet::new();
    for blob in BLOBS.iter() {
        let size = found(repository.blobs().size(&blob.digest).await, blob.name)?;
        let bytes = found(pull(repository, &blob.digest).await, blob.name)?;
        if size != bytes.as_ref().map(|bytes| bytes.len() as u64) {
            return Err(format!("{} has a size and cannot be read, or the other way", blob.name));
        }
        let Some(bytes) = bytes else { continue };
        if bytes != blob.bytes {
            return Err(format!("{} is served and has other bytes", blob.name));
        }
        there.insert(blob.name);
    }
    Ok(there)
}

async fn manifests(a: &Repository) -> Result<BTreeSet<Name>, String> {
    let mut there = BTreeSet::new();
    for known in MANIFESTS.iter() {
        let read = a.manifests().get(&known.digest.into()).await;
        let Some(read) = found(read, known.name)? else { continue };
        if read.bytes != known.manifest.bytes() {
            return Err(format!("{} is served and has other bytes", known.name));
        }
        there.insert(known.name);
    }
    Ok(there)
}

/// The tags that are listed, with where they point.
async fn tags(a: &Repository) -> Result<Vec<(Name, Name)>, String> {
    let listed = match a.tags().list(None, 100).await {
        Err(Error::NameUnknown { .. }) => return Ok(Vec::new()),
        listed => listed.map_err(|error| error.to_string())?.items,
    };
    let mut tags = Vec::new();
    for tag in listed {
        let on = a.tags().resolve(&tag).await.map_err(|error| error.to_string())?;
        let known = TAGS.into_iter().find(|known| *known == tag.as_str());
        let (tag, on) = known.zip(name_of(&on)).ok_or_else(|| format!("{tag} is on {on}"))?;
        tags.push((tag, on));
    }
    Ok(tags)
}

fn name_of(digest: &Digest) -> Option<Name> {
    MANIFESTS.iter().find(|known| known.digest == *digest).map(|known| known.name)
}

/// What is there, or not; an answer that says neither is wrong.
fn found<T>(read: Result<T>, what: &str) -> Result<Option<T>, String> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(
            Error::BlobUnknown { .. } | Error::ManifestUnknown { .. } | Error::UploadUnknown { .. },
        ) => Ok(None),
        Err(error) => Err(format!("{what}: {error}")),
    }
}
