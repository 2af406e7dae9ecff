//! Links, as a foreign program or a bad disk may leave them.

use std::sync::Arc;

use bytes::Bytes;
use futures::{TryStreamExt as _, stream};
use registry_store::backend::{Backend as _, Key, MemoryBackend, PutMode, PutRequest, ReadRange};
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::{BodyError, Error};
use registry_store::layout::RepositoryLayout;
use registry_store::manifest::Manifest;
use registry_store::options::StoreOptions;
use registry_store::repository::Repository;
use registry_store::store::Store;
use tokio::runtime::Builder;

use super::super::documents::{CONTENTS, manifests};

/// The link to a blob.
pub fn of_a_blob(link: &[u8]) {
    let digest = Digest::sha256(CONTENTS[2]);
    run(
        |layout| layout.layer_link(&digest),
        link,
        async |store, repository| {
            let found = match repository.blobs().get(&digest, ReadRange::Full).await {
                Ok(blob) => Some(
                    blob.into_stream()
                        .try_collect::<Vec<Bytes>>()
                        .await
                        .expect("it is there")
                        .concat(),
                ),
                Err(Error::BlobUnknown { .. }) => None,
                Err(error) => unreachable!("{error:?}"),
            };
            let expected = held_by(link).filter(|held| may_stand_for(held, &digest));
            let expected = expected.and_then(|held| content_of(&held));
            assert_eq!(found.map(Bytes::from), expected, "{}", link.escape_ascii());
            has_reported(&store, link, &digest);

            push(&repository, CONTENTS[2], &digest).await;
            let healed =
                repository.blobs().get(&digest, ReadRange::Full).await.expect("it was pushed");
            let healed: Vec<Bytes> = healed.into_stream().try_collect().await.expect("it is there");
            assert_eq!(healed.concat(), CONTENTS[2]);
        },
    );
}

/// The link to a manifest.
pub fn of_a_manifest(link: &[u8]) {
    let (manifest, other) = (&manifests()[0], &manifests()[1]);
    let digest = manifest.digest(Algorithm::Sha256);
    run(
        |layout| layout.revision_link(&digest),
        link,
        async |store, repository| {
            let found = match repository.manifests().get(&digest.into()).await {
                Ok(found) => Some(found.bytes),
                Err(Error::ManifestUnknown { .. }) => None,
                Err(error) => unreachable!("{error:?}"),
            };
            let held = held_by(link).filter(|held| may_stand_for(held, &digest));
            let is_of = |manifest: &&Manifest| {
                held.is_some_and(|held| manifest.digest(held.algorithm()) == held)
            };
            let expected = [manifest, other].into_iter().find(is_of).map(Manifest::bytes);
            assert_eq!(found.as_ref(), expected, "{}", link.escape_ascii());
            has_reported(&store, link, &digest);
            repository.manifests().put(manifest, &digest, &[]).await.expect("it can be put");
            let healed = repository.manifests().get(&digest.into()).await.expect("it was put");
            assert_eq!(&healed.bytes, manifest.bytes());
        },
    );
}

/// The link of a tag, which may hold any digest.
pub fn of_a_tag(link: &[u8]) {
    let digest = manifests()[0].digest(Algorithm::Sha256);
    let tag = "latest".parse().expect("it is a tag");
    run(
        |layout| layout.tag_current_link(&tag),
        link,
        async |store, repository| {
            let held = held_by(link);
            assert_eq!(
                repository.tags().resolve(&tag).await.ok(),
                held,
                "{:?}",
                link.escape_ascii()
            );
            assert_eq!(store.damage().links > 0, held.is_none());
            // Only what is linked as a manifest is one of the repository.
            assert!(repository.manifests().get(&tag.clone().into()).await.is_err());
            let (manifest, tags) = (&manifests()[0], [tag.clone()]);
            repository.manifests().put(manifest, &digest, &tags).await.expect("it can be put");
            let found = repository.manifests().get(&tag.clone().into()).await.expect("it was put");
            assert_eq!(found.digest, digest);
        },
    );
}

/// The digest that a link holds, read as Distribution writes it.
fn held_by(link: &[u8]) -> Option<Digest> {
    let is_hex = |hex: &[u8]| hex.iter().all(|byte| b"0123456789abcdef".contains(byte));
    let sizes = [(&b"sha256:"[..], 64, Algorithm::Sha256), (b"sha512:", 128, Algorithm::Sha512)];
    sizes.into_iter().find_map(|(prefix, size, algorithm)| {
        let hex = link.strip_prefix(prefix).filter(|hex| hex.len() == size && is_hex(hex))?;
        let hex = std::str::from_utf8(hex).expect("these digits are ASCII");
        Some(Digest::from_hex(algorithm, hex).expect("these are digits, and as many as it has"))
    })
}

/// Another of the same algorithm is other content.
fn may_stand_for(held: &Digest, digest: &Digest) -> bool {
    held == digest || held.algorithm() != digest.algorithm()
}

fn content_of(held: &Digest) -> Option<Bytes> {
    let is_of = |content: &&[u8]| Digest::of(held.algorithm(), content) == *held;
    CONTENTS.into_iter().find(is_of).map(Bytes::from_static)
}

/// A link that stands for nothing is damage, and is told of.
fn has_reported(store: &Store, link: &[u8], digest: &Digest) {
    let is_sound = held_by(link).is_some_and(|held| may_stand_for(&held, digest));
    assert_eq!(store.damage().links > 0, !is_sound, "{}", link.escape_ascii());
}

async fn push(repository: &Repository, content: &'static [u8], digest: &Digest) {
    let body = stream::iter([Ok::<_, BodyError>(Bytes::from_static(content))]);
    repository.blobs().put(digest, body).await.expect("it is what its digest says");
}

/// Looks at a repository in which `link` is the file that `place` names. All else that it can lead to is stored.
fn run(
    place: impl Fn(&RepositoryLayout) -> Key,
    link: &[u8],
    look: impl AsyncFnOnce(Store, Repository),
) {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime without a driver for sockets needs nothing of the system");
    let backend = MemoryBackend::new();
    let store = Store::new(Arc::new(backend.clone()), StoreOptions::default());
    let name = "a".parse().expect("it is a name");
    let other = store.repository(&"other".parse().expect("it is a name"));
    runtime.block_on(async {
        for content in CONTENTS {
            for algorithm in Algorithm::ALL {
                push(&other, content, &Digest::of(algorithm, content)).await;
            }
        }
        let repository = store.repository(&name);
        push(&repository, CONTENTS[0], &Digest::sha256(CONTENTS[0])).await;
        push(&repository, CONTENTS[1], &Digest::sha256(CONTENTS[1])).await;
        for manifest in &manifests()[..2] {
            for algorithm in Algorithm::ALL {
                let digest = manifest.digest(algorithm);
                other.manifests().put(manifest, &digest, &[]).await.expect("it can be put");
            }
        }
        let key = place(&RepositoryLayout::new(&name));
        let bytes = Bytes::copy_from_slice(link);
        let put = PutRequest { key, bytes, mode: PutMode::Overwrite };
        backend.put_all(vec![put]).await.expect("memory does not fail");
        look(store.clone(), repository).await;
    });
}
