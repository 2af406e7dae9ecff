//! [`CutBackend`]: a storage that breaks off in the middle of what it reads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use registry_store::backend::{
    Backend, Body, Child, DeleteIf, Error, ErrorKind, Key, LockGuard, LockMode, Medium,
    MemoryBackend, Meta, Object, PointIf, Pointed, Put, PutRequest, ReadRange, Result,
    SignedMethod, Stage, Staged,
};
use registry_store::page::Page;

/// Memory, until it is told to break off after the first byte.
#[derive(Debug)]
pub(crate) struct CutBackend {
    memory: MemoryBackend,
    cuts: AtomicBool,
}

impl CutBackend {
    pub(crate) fn new() -> Self {
        Self { memory: MemoryBackend::new(), cuts: AtomicBool::new(false) }
    }

    /// From now on reading a blob breaks off.
    pub(crate) fn cut(&self) {
        self.cuts.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Backend for CutBackend {
    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        self.memory.head(key).await
    }

    async fn read(&self, key: &Key, range: ReadRange) -> Result<Object> {
        let object = self.memory.read(key, range).await?;
        if !self.cuts.load(Ordering::Relaxed) || !key.as_str().ends_with("/data") {
            return Ok(object);
        }
        let (size, range) = (object.size, object.range.clone());
        let first = object.into_stream().take(1).map(|part| part.map(|part| part.slice(..1)));
        let broken = stream::once(async { Err(Error::new(ErrorKind::Io, "read")) });
        Ok(Object { size, range, body: Body::Stream(first.chain(broken).boxed()) })
    }

    async fn put_all(&self, puts: Vec<PutRequest>) -> Result<Vec<Put>> {
        self.memory.put_all(puts).await
    }

    async fn settle(&self, keys: &[Key]) -> Result<Vec<Option<Meta>>> {
        self.memory.settle(keys).await
    }

    async fn settle_all(&self, places: &[Key]) -> Result<()> {
        self.memory.settle_all(places).await
    }

    async fn delete(&self, keys: &[Key]) -> Result<()> {
        self.memory.delete(keys).await
    }

    async fn point(
        &self,
        key: &Key,
        bytes: Bytes,
        target: &Key,
        condition: PointIf,
    ) -> Result<Pointed> {
        self.memory.point(key, bytes, target, condition).await
    }

    async fn delete_if(&self, key: &Key, condition: DeleteIf) -> Result<bool> {
        self.memory.delete_if(key, condition).await
    }

    async fn delete_tree(&self, prefix: &Key) -> Result<()> {
        self.memory.delete_tree(prefix).await
    }

    async fn quarantine(&self, key: &Key, found: Option<Meta>) -> Result<()> {
        self.memory.quarantine(key, found).await
    }

    fn list(&self, prefix: &Key, after: Option<&Key>) -> BoxStream<'_, Result<Key>> {
        self.memory.list(prefix, after)
    }

    async fn list_children(
        &self,
        prefix: &Key,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Child>> {
        self.memory.list_children(prefix, after, limit).await
    }

    async fn list_children_with(
        &self,
        prefix: &Key,
        path: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<(String, Meta)>> {
        self.memory.list_children_with(prefix, path, after, limit).await
    }

    async fn left_out(&self, prefix: &Key, marks: &[&str]) -> Result<Option<String>> {
        self.memory.left_out(prefix, marks).await
    }

    async fn list_places(
        &self,
        prefix: &Key,
        marks: &[&str],
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<String>> {
        self.memory.list_places(prefix, marks, after, limit).await
    }

    async fn stage(&self, stage: Stage<'_>) -> Result<Box<dyn Staged>> {
        self.memory.stage(stage).await
    }

    async fn expire_staged(&self, before: SystemTime) -> Result<u64> {
        self.memory.expire_staged(before).await
    }

    async fn lock(&self, scope: &Key, mode: LockMode) -> Result<LockGuard> {
        self.memory.lock(scope, mode).await
    }

    async fn signed_url(
        &self,
        key: &Key,
        method: SignedMethod,
        expires_in: Duration,
    ) -> Result<Option<String>> {
        self.memory.signed_url(key, method, expires_in).await
    }

    fn medium(&self) -> Medium {
        self.memory.medium()
    }
}
