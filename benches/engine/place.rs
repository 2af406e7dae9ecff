//! [`Place`]: an empty directory, and a store in it.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, stream};
use registry_benches::content::Content;
use registry_store::backend::fs::FilesystemBackend;
use registry_store::blobs::Blobs;
use registry_store::digest::Digest;
use registry_store::error::BodyError;
use registry_store::name::RepositoryName;
use registry_store::options::StoreOptions;
use registry_store::repository::Repository;
use registry_store::store::Store;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A store of its own, removed when dropped.
pub(crate) struct Place {
    directory: TempDir,
    store: Store,
    pub(crate) runtime: Runtime,
}

impl Place {
    pub(crate) fn below(directory: &Path) -> Self {
        let directory = TempDir::new_in(directory).expect("a directory can be made");
        let backend = FilesystemBackend::open(directory.path()).expect("it is empty and ours");
        let store = Store::new(Arc::new(backend), StoreOptions::default());
        let runtime = Runtime::new().expect("threads can be started");
        let place = Self { directory, store, runtime };
        // The first push makes directories that all share; it is not what is measured.
        place.push(Content { number: u64::MAX, size: 1 });
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn repository(&self) -> Repository {
        self.store.repository(&name())
    }

    pub(crate) fn blobs(&self) -> Blobs {
        self.repository().blobs()
    }

    /// Pushes content, outside of what is measured.
    pub(crate) fn push(&self, content: Content) -> Digest {
        let digest = content.digest();
        self.runtime.block_on(put(&self.blobs(), content, &digest));
        digest
    }
}

/// The repository everything is pushed to.
pub(crate) fn name() -> RepositoryName {
    "bench/mark".parse().expect("it is a name")
}

/// The body of a request.
pub(crate) fn body(content: Content) -> impl Stream<Item = Result<Bytes, BodyError>> + Send {
    stream::iter(content.parts().map(Ok))
}

/// A push in one request.
pub(crate) async fn put(blobs: &Blobs, content: Content, digest: &Digest) {
    let size = blobs.put(digest, body(content)).await.expect("the storage works");
    assert_eq!(size, content.size);
}
