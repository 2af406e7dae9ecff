//! [`YieldingBackend`]: a wrapper that lets others go first, before and after each call.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use registry_store::backend::{
    Backend, Body, Child, DeleteIf, Key, LockGuard, LockMode, Medium, Meta, Object, PointIf,
    Pointed, Promotion, Put, PutRequest, ReadRange, Result, SignedMethod, Stage, Staged, Tip,
};
use registry_store::page::Page;
use tokio::task::yield_now;

/// Forwards every call, and yields before and after it as often as it is told. So every call is a point at which a
/// future can be dropped, or another task can come between, on memory too.
#[derive(Clone)]
pub struct YieldingBackend {
    inner: Arc<dyn Backend>,
    how_often: Arc<dyn Fn() -> u32 + Send + Sync>,
    flaw: Option<Flaw>,
    /// What small objects held when they were last read.
    remembered: Arc<Mutex<HashMap<Key, Bytes>>>,
}

/// What a backend may get wrong, for tests of what is to find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A lock excludes nobody.
    NoLocks,
    /// Every tag is read from what was remembered of it, until that was given out once.
    StaleTags,
    /// A tag is acknowledged, and not written, where it is there already.
    LostPoints,
}

impl YieldingBackend {
    /// Asks `how_often` each time.
    pub fn new(
        inner: Arc<dyn Backend>,
        how_often: impl Fn() -> u32 + Send + Sync + 'static,
    ) -> Self {
        Self { inner, how_often: Arc::new(how_often), flaw: None, remembered: Arc::default() }
    }

    /// The same, broken.
    #[must_use]
    pub fn with_flaw(mut self, flaw: Flaw) -> Self {
        self.flaw = Some(flaw);
        self
    }

    /// The bytes that a tag is read from though it may hold others by now.
    fn stale(&self, key: &Key) -> Option<Bytes> {
        let is_stale = self.flaw == Some(Flaw::StaleTags) && is_tag(key);
        self.remembered().remove(key).filter(|_| is_stale)
    }

    async fn remember(&self, key: &Key, object: Object) -> Result<Object> {
        if self.flaw != Some(Flaw::StaleTags) || !is_tag(key) {
            return Ok(object);
        }
        let (size, range) = (object.size, object.range.clone());
        let parts: Vec<Bytes> = object.into_stream().try_collect().await?;
        let bytes = Bytes::from(parts.concat());
        self.remembered().insert(key.clone(), bytes.clone());
        Ok(Object { size, range, body: whole(bytes) })
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Bytes>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call<T>(&self, call: impl Future<Output = T>) -> T {
        self.let_others_go().await;
        let result = call.await;
        self.let_others_go().await;
        result
    }

    async fn let_others_go(&self) {
        for _ in 0..(self.how_often)() {
            yield_now().await;
        }
    }
}

fn is_tag(key: &Key) -> bool {
    key.as_str().ends_with("/current/link")
}

fn whole(bytes: Bytes) -> Body {
    Body::Stream(stream::iter([Ok(bytes)]).boxed())
}

impl fmt::Debug for YieldingBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "YieldingBackend({:?})", self.inner)
    }
}

#[async_trait]
impl Backend for YieldingBackend {
    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        self.call(self.inner.head(key)).await
    }

    async fn read(&self, key: &Key, range: ReadRange) -> Result<Object> {
        if let Some(bytes) = self.stale(key) {
            let size = bytes.len() as u64;
            return Ok(Object { size, range: 0..size, body: whole(bytes) });
        }
        let object = self.call(self.inner.read(key, range)).await?;
        self.remember(key, object).await
    }

    async fn put_all(&self, puts: Vec<PutRequest>) -> Result<Vec<Put>> {
        self.call(self.inner.put_all(puts)).await
    }

    async fn settle(&self, keys: &[Key]) -> Result<Vec<Option<Meta>>> {
        self.call(self.inner.settle(keys)).await
    }

    async fn settle_all(&self, places: &[Key]) -> Result<()> {
        self.call(self.inner.settle_all(places)).await
    }

    async fn delete(&self, keys: &[Key]) -> Result<()> {
        self.call(self.inner.delete(keys)).await
    }

    async fn point(
        &self,
        key: &Key,
        bytes: Bytes,
        target: &Key,
        condition: PointIf,
    ) -> Result<Pointed> {
        if self.flaw == Some(Flaw::LostPoints) && self.inner.head(key).await?.is_some() {
            return Ok(Pointed::Written);
        }
        self.call(self.inner.point(key, bytes, target, condition)).await
    }

    async fn delete_if(&self, key: &Key, condition: DeleteIf) -> Result<bool> {
        self.call(self.inner.delete_if(key, condition)).await
    }

    async fn delete_tree(&self, prefix: &Key) -> Result<()> {
        self.call(self.inner.delete_tree(prefix)).await
    }

    async fn quarantine(&self, key: &Key, found: Option<Meta>) -> Result<()> {
        self.call(self.inner.quarantine(key, found)).await
    }

    async fn list_children(
        &self,
        prefix: &Key,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Child>> {
        self.call(self.inner.list_children(prefix, after, limit)).await
    }

    async fn list_children_with(
        &self,
        prefix: &Key,
        path: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<(String, Meta)>> {
        self.call(self.inner.list_children_with(prefix, path, after, limit)).await
    }

    async fn left_out(&self, prefix: &Key, marks: &[&str]) -> Result<Option<String>> {
        self.inner.left_out(prefix, marks).await
    }

    async fn list_places(
        &self,
        prefix: &Key,
        marks: &[&str],
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<String>> {
        self.call(self.inner.list_places(prefix, marks, after, limit)).await
    }

    async fn expire_staged(&self, before: SystemTime) -> Result<u64> {
        self.call(self.inner.expire_staged(before)).await
    }

    async fn lock(&self, scope: &Key, mode: LockMode) -> Result<LockGuard> {
        if self.flaw == Some(Flaw::NoLocks) {
            return Ok(LockGuard::new(()));
        }
        self.call(self.inner.lock(scope, mode)).await
    }

    async fn signed_url(
        &self,
        key: &Key,
        method: SignedMethod,
        expires_in: Duration,
    ) -> Result<Option<String>> {
        self.call(self.inner.signed_url(key, method, expires_in)).await
    }

    fn list(&self, prefix: &Key, after: Option<&Key>) -> BoxStream<'_, Result<Key>> {
        let first = stream::once(self.let_others_go()).filter_map(async |()| None);
        first.chain(self.inner.list(prefix, after)).boxed()
    }

    async fn stage(&self, stage: Stage<'_>) -> Result<Box<dyn Staged>> {
        let inner = self.call(self.inner.stage(stage)).await?;
        Ok(Box::new(YieldingStaged { inner, backend: self.clone() }))
    }

    fn medium(&self) -> Medium {
        self.inner.medium()
    }
}

#[derive(Debug)]
struct YieldingStaged {
    inner: Box<dyn Staged>,
    backend: YieldingBackend,
}

#[async_trait]
impl Staged for YieldingStaged {
    fn tip(&self) -> Tip {
        self.inner.tip()
    }

    fn is_promoted(&self) -> bool {
        self.inner.is_promoted()
    }

    async fn append(&mut self, bytes: Bytes) -> Result<()> {
        self.backend.call(self.inner.append(bytes)).await
    }

    async fn persist(&mut self, note: Bytes, copy: &Key) -> Result<Tip> {
        self.backend.call(self.inner.persist(note, copy)).await
    }

    async fn note(&mut self, offset: u64) -> Result<Option<(u64, Bytes)>> {
        self.backend.call(self.inner.note(offset)).await
    }

    async fn rewind(&mut self, offset: u64) -> Result<()> {
        self.backend.call(self.inner.rewind(offset)).await
    }

    async fn read_back(&mut self, from: u64) -> Result<BoxStream<'static, Result<Bytes>>> {
        self.backend.call(self.inner.read_back(from)).await
    }

    async fn promote(&mut self, to: &Key, size: u64) -> Result<Promotion> {
        self.backend.call(self.inner.promote(to, size)).await
    }

    async fn discard(self: Box<Self>) -> Result<()> {
        let Self { inner, backend } = *self;
        backend.call(inner.discard()).await
    }
}
