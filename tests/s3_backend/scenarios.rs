//! Operations that can be interrupted, and what must hold whenever one was.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::{Error, Result};
use registry_store::manifest::Manifest;
use registry_store::precondition::Precondition;
use registry_store::reference::{Reference, Tag};
use registry_store::repository::Repository;
use registry_store::store::Store;
use registry_store::uploads::ResumeAt;
use registry_tests::documents::{
    descriptor_of, image, image_document, index, manifest, push_image, push_manifest,
};
use registry_tests::world::{body, no_body, pull, push, repository};

/// An operation that writes more than once.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What is there before.
    prepare: fn(Store) -> BoxFuture<'static, ()>,
    /// The operation. Repeating it after any interruption succeeds.
    run: fn(Store) -> BoxFuture<'static, Result<()>>,
    /// Is its effect there?
    has_happened: fn(Store) -> BoxFuture<'static, bool>,
}

/// Every operation that writes more than once.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "pushing a blob in one go",
        prepare: |_| async {}.boxed(),
        run: |store| {
            async move {
                let digest = Digest::sha256(LAYER);
                a(&store).blobs().put(&digest, body(&[LAYER])).await.map(|_| ())
            }
            .boxed()
        },
        has_happened: |store| has_blob(store, LAYER).boxed(),
    },
    Scenario {
        name: "pushing a blob in parts",
        prepare: |_| async {}.boxed(),
        run: |store| push_in_parts(store).boxed(),
        has_happened: |store| has_blob(store, LAYER).boxed(),
    },
    Scenario {
        name: "mounting a blob",
        prepare: |store| push_to(store, "b", LAYER).boxed(),
        run: |store| {
            async move {
                let from = "b".parse().unwrap();
                let mounted = a(&store).mount(&Digest::sha256(LAYER), &from).await?;
                assert!(mounted.is_some(), "the source has it");
                Ok(())
            }
            .boxed()
        },
        has_happened: |store| has_blob(store, LAYER).boxed(),
    },
    Scenario {
        name: "pushing a manifest under two tags",
        prepare: |store| push_to(store, "a", b"{}").boxed(),
        run: |store| put(store, signature(), &["v1", "v2"]).boxed(),
        has_happened: |store| points_at(store, "v2", signature()).boxed(),
    },
    Scenario {
        name: "pushing an index",
        prepare: |store| push_first(store).boxed(),
        run: |store| put(store, index(&[&image(b"{}", &[])]), &["multi"]).boxed(),
        has_happened: |store| points_at(store, "multi", index(&[&image(b"{}", &[])])).boxed(),
    },
    Scenario {
        name: "moving a tag",
        prepare: |store| push_first(store).boxed(),
        run: |store| put(store, signature(), &["latest"]).boxed(),
        has_happened: |store| points_at(store, "latest", signature()).boxed(),
    },
    Scenario {
        name: "moving a tag from where it is believed to be",
        prepare: |store| push_first(store).boxed(),
        run: |store| move_from_first(store).boxed(),
        has_happened: |store| points_at(store, "latest", signature()).boxed(),
    },
    Scenario {
        name: "deleting a tag",
        prepare: |store| push_first(store).boxed(),
        run: |store| {
            async move { gone_is_fine(a(&store).tags().delete(&"latest".parse().unwrap()).await) }
                .boxed()
        },
        has_happened: |store| {
            async move { a(&store).tags().resolve(&"latest".parse().unwrap()).await.is_err() }
                .boxed()
        },
    },
    Scenario {
        name: "deleting a manifest with its tags",
        prepare: |store| {
            async move {
                push_first(store.clone()).await;
                push_manifest(&a(&store), &signature(), &["v1", "v2"]).await;
            }
            .boxed()
        },
        run: |store| {
            async move {
                let digest = signature().digest(Algorithm::Sha256);
                gone_is_fine(a(&store).manifests().delete(&digest).await)
            }
            .boxed()
        },
        has_happened: |store| {
            async move {
                let digest = signature().digest(Algorithm::Sha256);
                a(&store).manifests().get(&digest.into()).await.is_err()
            }
            .boxed()
        },
    },
    Scenario {
        name: "deleting a blob",
        prepare: |store| push_to(store, "a", LAYER).boxed(),
        run: |store| {
            async move {
                match a(&store).blobs().delete(&Digest::sha256(LAYER)).await {
                    Err(Error::BlobUnknown { .. }) => Ok(()),
                    other => other,
                }
            }
            .boxed()
        },
        has_happened: |store| async move { !has_blob(store, LAYER).await }.boxed(),
    },
];

impl Scenario {
    pub(crate) async fn prepare(&self, store: &Store) {
        (self.prepare)(store.clone()).await;
    }

    pub(crate) async fn run(&self, store: &Store) -> Result<()> {
        (self.run)(store.clone()).await
    }

    /// What must hold after the operation was interrupted, was it acknowledged or not.
    pub(crate) async fn check(&self, store: &Store, acknowledged: bool, when: &str) {
        let name = self.name;
        nothing_is_half_there(store, &format!("{name}, {when}")).await;
        if acknowledged {
            assert!((self.has_happened)(store.clone()).await, "{name}, {when}: acknowledged, lost");
        }
        let again = self.run(store).await;
        assert!(again.is_ok(), "{name}, {when}, repeated: {again:?}");
        assert!(
            (self.has_happened)(store.clone()).await,
            "{name}, {when}: repeated, without effect"
        );
        nothing_is_half_there(store, &format!("{name}, {when}, repeated")).await;
    }
}

/// Whatever is visible is complete: what a tag points at is there, with all it refers to, each as its digest
/// says.
async fn nothing_is_half_there(store: &Store, when: &str) {
    for name in store.repositories(None, 100).await.unwrap().items {
        let repository = store.repository(&name);
        for tag in repository.tags().list(None, 100).await.unwrap().items {
            let digest = repository.tags().resolve(&tag).await.unwrap();
            let found = repository.manifests().get(&digest.into()).await;
            let found = found.unwrap_or_else(|error| panic!("{when}: tag {tag}: {error}"));
            complete(&repository, &found.bytes, when).await;
        }
        for manifest in [image(b"{}", &[]), signature()] {
            let digest = manifest.digest(Algorithm::Sha256);
            if let Ok(found) = repository.manifests().get(&Reference::Digest(digest)).await {
                assert_eq!(found.bytes, manifest.bytes(), "{when}");
                complete(&repository, &found.bytes, when).await;
            }
        }
        let digest = Digest::sha256(LAYER);
        if let Ok(read) = pull(&repository, &digest).await {
            assert!(read == LAYER, "{when}: {} bytes", read.len());
        }
    }
}

async fn complete(repository: &Repository, bytes: &bytes::Bytes, when: &str) {
    let manifest = Manifest::parse(None, bytes.clone()).unwrap();
    for dependency in manifest.dependencies() {
        let digest = *dependency.descriptor().digest.known().unwrap();
        let found = match dependency {
            registry_store::manifest::Dependency::Blob(_) => {
                repository.blobs().size(&digest).await.is_ok()
            }
            registry_store::manifest::Dependency::Manifest(_) => {
                repository.manifests().get(&digest.into()).await.is_ok()
            }
        };
        assert!(found, "{when}: {digest} is missing");
    }
}

/// More than one buffer, so that writing it takes several steps.
const LAYER: &[u8] = &[7; 700_000];

fn a(store: &Store) -> Repository {
    repository(store, "a")
}

/// A manifest with a subject.
fn signature() -> Manifest {
    let mut document = image_document(b"{}", &[]);
    document["subject"] = descriptor_of(&image(b"{}", &[]));
    manifest(&document)
}

async fn push_to(store: Store, name: &str, content: &[u8]) {
    push(&repository(&store, name), content).await;
}

async fn push_first(store: Store) {
    push_image(&a(&store), b"{}", &[], "latest").await;
}

async fn push_in_parts(store: Store) -> Result<()> {
    let uploads = a(&store).uploads();
    let begun = uploads.start(Algorithm::Sha256).await?;
    let (head, tail) = LAYER.split_at(600_000);
    let at = ResumeAt { tip: Some(begun.tip), offset: None };
    let reached = uploads.append(begun.id, at, body(&[head])).await?;
    assert_eq!(reached.tip.offset, 600_000);
    let at = ResumeAt { tip: Some(reached.tip), offset: None };
    let reached = uploads.append(begun.id, at, body(&[tail])).await?;
    let at = ResumeAt { tip: Some(reached.tip), offset: None };
    uploads.commit(begun.id, at, &Digest::sha256(LAYER), no_body()).await.map(|_| ())
}

async fn put(store: Store, manifest: Manifest, tags: &[&str]) -> Result<()> {
    let tags: Vec<_> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
    let digest = manifest.digest(Algorithm::Sha256);
    a(&store).manifests().put(&manifest, &digest, &tags).await
}

/// Moves the tag; who tries again finds that it was.
async fn move_from_first(store: Store) -> Result<()> {
    let (tag, moved) = ("latest".parse().unwrap(), signature());
    let digest = moved.digest(Algorithm::Sha256);
    let asks = Precondition::unchanged(&image(b"{}", &[]).digest(Algorithm::Sha256));
    let (manifests, of) = (a(&store).manifests(), Reference::Tag(Tag::clone(&tag)));
    match manifests.put_if(&moved, &digest, &[tag], &of, &asks).await {
        Err(Error::PreconditionFailed { found, .. }) if found == Some(digest) => Ok(()),
        other => other,
    }
}

async fn points_at(store: Store, tag: &str, manifest: Manifest) -> bool {
    let current = a(&store).tags().resolve(&tag.parse().unwrap()).await;
    current.is_ok_and(|current| current == manifest.digest(Algorithm::Sha256))
}

async fn has_blob(store: Store, content: &[u8]) -> bool {
    let read = pull(&a(&store), &Digest::sha256(content)).await;
    read.is_ok_and(|read| read == content)
}

fn gone_is_fine(result: Result<()>) -> Result<()> {
    match result {
        Err(Error::ManifestUnknown { .. }) => Ok(()),
        other => other,
    }
}
