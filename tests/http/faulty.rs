//! [`FaultyBackend`]: a storage that fails when it is told to.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use registry_store::backend::{
    Backend, Body, Child, Error, ErrorKind, Key, LockGuard, LockMode, MemoryBackend, Meta, Object,
    Put, PutRequest, ReadRange, Result, Stage, Staged,
};
use registry_store::page::Page;

/// Memory, until it is told to fail.
#[derive(Debug)]
pub(crate) struct FaultyBackend {
    memory: MemoryBackend,
    /// How every call fails.
    fault: Mutex<Option<ErrorKind>>,
    /// What is read breaks off after its first byte.
    cuts: AtomicBool,
}

impl FaultyBackend {
    pub(crate) fn new() -> Self {
        Self { memory: MemoryBackend::new(), fault: Mutex::new(None), cuts: AtomicBool::new(false) }
    }

    /// From now on every call fails so.
    pub(crate) fn fail(&self, kind: ErrorKind) {
        *self.fault.lock().expect("nobody panics while holding it") = Some(kind);
    }

    /// From now on reading breaks off.
    pub(crate) fn cut_reads(&self) {
        self.cuts.store(true, Ordering::Relaxed);
    }

    fn check(&self, operation: &'static str) -> Result<()> {
        match *self.fault.lock().expect("nobody panics while holding it") {
            Some(kind) => Err(Error::new(kind, operation).because("the secret place")),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Backend for FaultyBackend {
    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        self.check("head")?;
        self.memory.head(key).await
    }

    async fn read(&self, key: &Key, range: ReadRange) -> Result<Object> {
        self.check("read")?;
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
        self.check("put")?;
        self.memory.put_all(puts).await
    }

    async fn settle(&self, keys: &[Key]) -> Result<Vec<Option<Meta>>> {
        self.check("settle")?;
        self.memory.settle(keys).await
    }

    async fn delete(&self, keys: &[Key]) -> Result<()> {
        self.check("delete")?;
        self.memory.delete(keys).await
    }

    async fn delete_tree(&self, prefix: &Key) -> Result<()> {
        self.check("delete")?;
        self.memory.delete_tree(prefix).await
    }

    async fn quarantine(&self, key: &Key) -> Result<()> {
        self.check("quarantine")?;
        self.memory.quarantine(key).await
    }

    fn list(&self, prefix: &Key, after: Option<&Key>) -> BoxStream<'_, Result<Key>> {
        match self.check("list") {
            Ok(()) => self.memory.list(prefix, after),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    async fn list_children(
        &self,
        prefix: &Key,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Child>> {
        self.check("list")?;
        self.memory.list_children(prefix, after, limit).await
    }

    async fn stage(&self, stage: Stage<'_>) -> Result<Box<dyn Staged>> {
        self.check("stage")?;
        self.memory.stage(stage).await
    }

    async fn expire_staged(&self, before: SystemTime) -> Result<u64> {
        self.check("expire")?;
        self.memory.expire_staged(before).await
    }

    async fn lock(&self, scope: &Key, mode: LockMode) -> Result<LockGuard> {
        self.check("lock")?;
        self.memory.lock(scope, mode).await
    }

    async fn signed_url(&self, key: &Key, expires_in: Duration) -> Result<Option<String>> {
        self.check("sign")?;
        self.memory.signed_url(key, expires_in).await
    }
}
