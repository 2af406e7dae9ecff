//! Tests of the filesystem backend that look at its system calls, or put faults in their way.
#![expect(clippy::disallowed_methods, reason = "tests look at the files behind the backend's back")]

mod fallbacks;
mod faults;
mod locks;
mod objects;
mod order;
mod rooted;
mod scripted;
mod sessions;
mod walks;

use std::path::Path;

use bytes::Bytes;
use futures::TryStreamExt as _;
use tempfile::TempDir;

use self::scripted::Scripted;
use super::FilesystemBackend;
use crate::backend::{
    Backend, BackendExt as _, Key, OpenSession, Put, PutMode, PutRequest, Result, SessionKeys,
    Stage, Staged,
};

/// A backend on a directory of its own, whose system calls are scripted.
struct Ground {
    directory: TempDir,
    system: Scripted,
    backend: FilesystemBackend<Scripted>,
}

impl Ground {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let system = Scripted::new(directory.path());
        let backend = FilesystemBackend::with_system(directory.path(), system.clone()).unwrap();
        Self { directory, system, backend }
    }

    /// One to which something was written already, so that the backend's own place is there.
    async fn used() -> Self {
        let ground = Self::new();
        ground.create("first/one", b"1").await.unwrap();
        ground.system.take_calls();
        ground
    }

    /// The same directory as another process sees it, under the same boot.
    fn another_process(&self) -> FilesystemBackend<Scripted> {
        FilesystemBackend::with_system(self.root(), self.system.sibling()).unwrap()
    }

    fn root(&self) -> &Path {
        self.directory.path()
    }

    async fn create(&self, key: &str, bytes: &'static [u8]) -> Result<Put> {
        let bytes = Bytes::from_static(bytes);
        self.backend.put(&k(key), bytes, PutMode::Create).await
    }

    async fn overwrite(&self, key: &str, bytes: &'static [u8]) -> Result<Put> {
        let bytes = Bytes::from_static(bytes);
        self.backend.put(&k(key), bytes, PutMode::Overwrite).await
    }

    async fn content(&self, key: &str) -> Option<Bytes> {
        self.backend.read_small(&k(key), 1 << 20).await.unwrap()
    }

    /// Every file below the root that has a name, the backend's own left out.
    fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        collect(self.root(), self.root(), &mut files);
        files.retain(|file| !file.starts_with("_rs/"));
        files.sort();
        files
    }

    /// Every file in the place of temporary files.
    fn temporaries(&self) -> Vec<String> {
        let mut files = Vec::new();
        let directory = self.root().join("_rs/tmp");
        if directory.exists() {
            collect(&directory, &directory, &mut files);
        }
        files
    }
}

fn collect(root: &Path, directory: &Path, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            files.push(path.strip_prefix(root).unwrap().display().to_string());
        }
    }
}

fn k(text: &str) -> Key {
    text.parse().unwrap()
}

fn put(key: &str, bytes: &'static [u8], mode: PutMode) -> PutRequest {
    PutRequest { key: k(key), bytes: Bytes::from_static(bytes), mode }
}

fn session(name: &str) -> SessionKeys {
    SessionKeys {
        root: k(&format!("r/_uploads/{name}")),
        mark: k(&format!("r/_uploads/{name}/startedat")),
        data: k(&format!("r/_uploads/{name}/data")),
        record: k(&format!("r/_uploads/{name}/_record")),
    }
}

fn state(name: &str, offset: u64) -> Key {
    k(&format!("r/_uploads/{name}/hashstates/sha256/{offset}"))
}

async fn begin(backend: &dyn Backend, keys: &SessionKeys) -> Result<Box<dyn Staged>> {
    let open = OpenSession::New;
    backend.stage(Stage::Session { keys, open }).await
}

async fn resume(backend: &dyn Backend, keys: &SessionKeys) -> Result<Box<dyn Staged>> {
    let open = OpenSession::Resume(None);
    backend.stage(Stage::Session { keys, open }).await
}

async fn bytes_of(staged: &mut dyn Staged) -> Vec<u8> {
    let parts = staged.read_back(0).await.unwrap();
    parts
        .try_fold(Vec::new(), |mut whole, part| async move {
            whole.extend_from_slice(&part);
            Ok(whole)
        })
        .await
        .unwrap()
}
