//! [`Operation`]: every public operation of the store, each on ground on which it has something to do.

mod blobs;
mod listings;
mod manifests;
mod sight;
mod tags;
mod trial;
mod uploads;

use futures::future::BoxFuture;
use registry_store::backend::ErrorKind;
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::{Error, Result};
use registry_store::manifest::Manifest;
use registry_store::reference::Tag;
use registry_store::repository::Repository;
use registry_store::store::Store;
use registry_store::upload_status::UploadStatus;

use crate::documents::{descriptor_of, image, image_document, manifest, push_image};
use crate::world::{World, push, repository};

pub use sight::Sight;
pub use trial::{Ground, On, Trial};

/// One public operation of the store.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// What it does.
    pub name: &'static str,
    prepare: for<'w> fn(&'w World) -> BoxFuture<'w, Prepared>,
    run: Run,
    again: Run,
    /// Faults that it takes for those of one object, and passes over.
    passes_over: &'static [ErrorKind],
}

/// What the operation does, and what it has to tell.
type Run = fn(Store, Prepared) -> BoxFuture<'static, Result<String>>;

/// What an operation is to be done to.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// An upload session.
    pub upload: Option<UploadStatus>,
}

impl Operation {
    const fn new(
        name: &'static str,
        prepare: for<'w> fn(&'w World) -> BoxFuture<'w, Prepared>,
        run: Run,
    ) -> Self {
        Self { name, prepare, run, again: run, passes_over: &[] }
    }

    /// Says what a client does when the answer did not come.
    const fn and_again(mut self, again: Run) -> Self {
        self.again = again;
        self
    }

    const fn passing_over(mut self, kinds: &'static [ErrorKind]) -> Self {
        self.passes_over = kinds;
        self
    }

    /// Makes the ground: what every operation finds, and what this one needs beyond that.
    pub async fn prepare(&self, world: &World) -> Prepared {
        push_image(&a(&world.store), b"{}", &[], "latest").await;
        push_image(&a(&world.store), KEPT_CONFIG, &[KEPT], "stays").await;
        push(&repository(&world.store, "b"), SHARED).await;
        (self.prepare)(world).await
    }

    /// Makes what this one needs, on ground that another was prepared for.
    pub async fn prepare_beside(&self, world: &World) -> Prepared {
        (self.prepare)(world).await
    }

    /// Does it, and returns what it had to tell. A refusal for which the ground was made is no error.
    pub async fn run(&self, store: &Store, prepared: &Prepared) -> Result<String> {
        (self.run)(store.clone(), prepared.clone()).await
    }

    /// Does it once more, as a client does that does not know what became of the first time.
    pub async fn again(&self, store: &Store, prepared: &Prepared) -> Result<String> {
        (self.again)(store.clone(), prepared.clone()).await
    }

    /// May it end well, and otherwise, where a call of the storage failed so?
    pub fn passes_over(&self, kind: ErrorKind) -> bool {
        self.passes_over.contains(&kind)
    }
}

/// Every public operation.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    let all = [
        blobs::OPERATIONS,
        uploads::OPERATIONS,
        manifests::OPERATIONS,
        tags::OPERATIONS,
        listings::OPERATIONS,
    ];
    all.into_iter().flatten()
}

/// More than one buffer of what is taken in, so that writing it takes several steps.
const LAYER: &[u8] = &[7; 540_000];
/// What `b` has, and `a` has not.
const SHARED: &[u8] = b"what another repository has";
/// What nobody touches.
const KEPT: &[u8] = b"what nobody touches";
const KEPT_CONFIG: &[u8] = b"{\"kept\":true}";
/// What is in nobody's manifest.
const LOOSE: &[u8] = b"what no manifest names";

fn a(store: &Store) -> Repository {
    repository(store, "a")
}

fn tag(name: &str) -> Tag {
    name.parse().expect("a test's tags are of the grammar")
}

/// What `latest` is to begin with.
fn first() -> Manifest {
    image(b"{}", &[])
}

fn kept() -> Manifest {
    image(KEPT_CONFIG, &[KEPT])
}

/// A manifest whose subject is the first.
fn signature() -> Manifest {
    let mut document = image_document(b"{}", &[]);
    document["subject"] = descriptor_of(&first());
    manifest(&document)
}

fn digest(manifest: &Manifest) -> Digest {
    manifest.digest(Algorithm::Sha256)
}

/// What a client that tries again takes for done.
fn or_gone(result: Result<()>) -> Result<String> {
    match result {
        Ok(())
        | Err(
            Error::ManifestUnknown { .. } | Error::BlobUnknown { .. } | Error::UploadUnknown { .. },
        ) => Ok("gone".to_owned()),
        Err(error) => Err(error),
    }
}
