//! Sequences of operations, compared with a model of plain maps.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::Error;
use registry_store::manifest::Manifest;
use registry_store::name::RepositoryName;
use registry_store::repository::Repository;
use registry_tests::documents::{descriptor_of, image, image_document, index, manifest};
use registry_tests::world::{World, body, no_body, pull, repository};

const NAMES: [&str; 3] = ["a", "a/b", "a-b"];
const TAGS: [&str; 3] = ["1", "1-a", "latest"];
const CONTENTS: [&[u8]; 3] = [b"{}", b"", b"hello, world"];

#[derive(Clone, Copy, Debug)]
enum Operation {
    Push { name: usize, content: usize },
    Upload { name: usize, content: usize, cut: usize, other_process: bool },
    Mount { name: usize, from: usize, content: usize },
    DeleteBlob { name: usize, content: usize },
    Put { name: usize, which: usize, tag: Option<usize> },
    DeleteTag { name: usize, tag: usize },
    DeleteManifest { name: usize, which: usize },
    Cancelled { name: usize, content: usize },
}

fn operation() -> impl Strategy<Value = Operation> {
    let (name, content, tag, which) = (0..NAMES.len(), 0..CONTENTS.len(), 0..TAGS.len(), 0..6usize);
    prop_oneof![
        4 => (name.clone(), content.clone()).prop_map(|(name, content)| Operation::Push { name, content }),
        2 => (name.clone(), content.clone(), 0..20usize, any::<bool>()).prop_map(
            |(name, content, cut, other_process)| Operation::Upload { name, content, cut, other_process }
        ),
        2 => (name.clone(), name.clone(), content.clone())
            .prop_map(|(name, from, content)| Operation::Mount { name, from, content }),
        1 => (name.clone(), content.clone())
            .prop_map(|(name, content)| Operation::DeleteBlob { name, content }),
        6 => (name.clone(), which.clone(), prop::option::of(tag.clone()))
            .prop_map(|(name, which, tag)| Operation::Put { name, which, tag }),
        2 => (name.clone(), tag).prop_map(|(name, tag)| Operation::DeleteTag { name, tag }),
        2 => (name.clone(), which).prop_map(|(name, which)| Operation::DeleteManifest { name, which }),
        1 => (name, content).prop_map(|(name, content)| Operation::Cancelled { name, content }),
    ]
}

/// The manifests there are: images, indexes of them, and one with a subject.
fn manifests() -> Vec<Manifest> {
    let (small, empty) = (image(b"{}", &[]), image(b"", &[]));
    let full = image(b"{}", &[b"", b"hello, world"]);
    let mut signature = image_document(b"{}", &[b"hello, world"]);
    signature["subject"] = descriptor_of(&small);
    let both = index(&[&small, &full]);
    let nested = index(&[&both]);
    vec![small, empty, full, manifest(&signature), both, nested]
}

#[derive(Debug, Default, Clone)]
struct Held {
    blobs: BTreeSet<Digest>,
    manifests: BTreeSet<Digest>,
    tags: BTreeMap<&'static str, Digest>,
}

/// What there should be, and what should come of each operation.
struct Model {
    manifests: Vec<Manifest>,
    held: BTreeMap<RepositoryName, Held>,
}

impl Model {
    fn of(&mut self, repository: &Repository) -> &mut Held {
        self.held.entry(repository.name().clone()).or_default()
    }

    fn can_put(&mut self, repository: &Repository, manifest: &Manifest) -> bool {
        let held = self.of(repository);
        manifest.dependencies().all(|dependency| {
            let digest = dependency.descriptor().digest.known().unwrap();
            match dependency {
                registry_store::manifest::Dependency::Blob(_) => held.blobs.contains(digest),
                registry_store::manifest::Dependency::Manifest(_) => {
                    held.manifests.contains(digest)
                }
            }
        })
    }
}

async fn apply(world: &World, model: &mut Model, operation: Operation) {
    match operation {
        Operation::Push { name, content } => {
            let repository = world.repository(NAMES[name]);
            let digest = Digest::sha256(CONTENTS[content]);
            repository.blobs().put(&digest, body(&[CONTENTS[content]])).await.unwrap();
            model.of(&repository).blobs.insert(digest);
        }
        Operation::Upload { name, content, cut, other_process } => {
            let repository = world.repository(NAMES[name]);
            let (head, tail) = CONTENTS[content].split_at(cut.min(CONTENTS[content].len()));
            let uploads = repository.uploads();
            let begun = uploads.start(Algorithm::Sha256).await.unwrap();
            uploads.append(begun.id, Default::default(), body(&[head])).await.unwrap();
            let digest = Digest::sha256(CONTENTS[content]);
            let other = registry_tests::world::repository(&world.another_process(), NAMES[name]);
            let uploads = if other_process { other.uploads() } else { uploads };
            uploads.commit(begun.id, Default::default(), &digest, body(&[tail])).await.unwrap();
            model.of(&repository).blobs.insert(digest);
        }
        Operation::Cancelled { name, content } => {
            let repository = world.repository(NAMES[name]);
            let uploads = repository.uploads();
            let id = uploads.start(Algorithm::Sha256).await.unwrap().id;
            uploads.append(id, Default::default(), body(&[CONTENTS[content]])).await.unwrap();
            let wrong = Digest::sha256(b"wrong");
            uploads.commit(id, Default::default(), &wrong, no_body()).await.unwrap_err();
            uploads.cancel(id).await.unwrap();
        }
        Operation::Mount { name, from, content } => {
            let (repository, from) = (world.repository(NAMES[name]), world.repository(NAMES[from]));
            let digest = Digest::sha256(CONTENTS[content]);
            let expected = model.of(&from).blobs.contains(&digest);
            let mounted = repository.mount(&digest, from.name()).await.unwrap();
            let size = CONTENTS[content].len() as u64;
            assert_eq!(mounted, expected.then_some(size));
            if expected {
                model.of(&repository).blobs.insert(digest);
            }
        }
        Operation::DeleteBlob { name, content } => {
            let repository = world.repository(NAMES[name]);
            let digest = Digest::sha256(CONTENTS[content]);
            let expected = model.of(&repository).blobs.remove(&digest);
            assert_eq!(repository.blobs().delete(&digest).await.is_ok(), expected);
        }
        Operation::Put { name, which, tag } => {
            let repository = world.repository(NAMES[name]);
            let manifest = model.manifests[which].clone();
            let digest = manifest.digest(Algorithm::Sha256);
            let tags: Vec<_> = tag.map(|tag| TAGS[tag].parse().unwrap()).into_iter().collect();
            let put = repository.manifests().put(&manifest, &digest, &tags).await;
            if model.can_put(&repository, &manifest) {
                put.unwrap();
                let held = model.of(&repository);
                held.manifests.insert(digest);
                held.tags.extend(tag.map(|tag| (TAGS[tag], digest)));
            } else {
                assert!(matches!(put, Err(Error::ManifestBlobUnknown { .. })), "{put:?}");
            }
        }
        Operation::DeleteTag { name, tag } => {
            let repository = world.repository(NAMES[name]);
            let expected = model.of(&repository).tags.remove(TAGS[tag]).is_some();
            let deleted = repository.tags().delete(&TAGS[tag].parse().unwrap()).await;
            assert_eq!(deleted.is_ok(), expected);
        }
        Operation::DeleteManifest { name, which } => {
            let repository = world.repository(NAMES[name]);
            let digest = model.manifests[which].digest(Algorithm::Sha256);
            let held = model.of(&repository);
            let expected = held.manifests.remove(&digest);
            held.tags.retain(|_, current| *current != digest);
            assert_eq!(repository.manifests().delete(&digest).await.is_ok(), expected);
        }
    }
}

/// Everything that can be read is what the model says, seen by another process.
async fn compare(world: &World, model: &Model) {
    let store = world.another_process();
    let expected: Vec<_> = model
        .held
        .iter()
        .filter(|(_, held)| !held.blobs.is_empty() || !held.manifests.is_empty())
        .map(|(name, _)| name.clone())
        .collect();
    assert_eq!(store.repositories(None, 100).await.unwrap().items, expected);

    for (name, held) in &model.held {
        let repository = repository(&store, name.as_str());
        for content in CONTENTS {
            let digest = Digest::sha256(content);
            let read = pull(&repository, &digest).await;
            assert_eq!(read.is_ok(), held.blobs.contains(&digest));
            assert!(read.is_err() || read.unwrap() == content);
        }
        let mut referrers = 0;
        for manifest in &model.manifests {
            let digest = manifest.digest(Algorithm::Sha256);
            let read = repository.manifests().get(&digest.into()).await;
            assert_eq!(read.is_ok(), held.manifests.contains(&digest));
            assert!(read.is_err() || read.unwrap().bytes == manifest.bytes());
            referrers +=
                usize::from(manifest.subject().is_some() && held.manifests.contains(&digest));
        }
        let subject = model.manifests[0].digest(Algorithm::Sha256);
        let listed = repository.referrers().list(&subject, None, None, 9).await.unwrap();
        assert_eq!(listed.items.len(), referrers);

        let tags = repository.tags().list(None, 100).await.map(|page| page.items);
        let tags: Vec<_> = tags.unwrap_or_default().iter().map(ToString::to_string).collect();
        assert_eq!(tags, held.tags.keys().copied().collect::<Vec<_>>());
        for (tag, digest) in &held.tags {
            assert_eq!(repository.tags().resolve(&tag.parse().unwrap()).await.unwrap(), *digest);
        }
    }
    assert_eq!(world.store.damage(), Default::default());
}

fn run(world: &World, operations: &[Operation]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut model = Model { manifests: manifests(), held: BTreeMap::new() };
        for &operation in operations {
            apply(world, &mut model, operation).await;
        }
        compare(world, &model).await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_sequence_on_memory_ends_as_the_model_says(
        operations in prop::collection::vec(operation(), 0..60)
    ) {
        run(&World::memory(), &operations);
    }

    #[test]
    fn every_sequence_on_a_filesystem_ends_as_the_model_says(
        operations in prop::collection::vec(operation(), 0..30)
    ) {
        run(&World::filesystem(), &operations);
    }
}
