//! [`CountedBackend`]: a wrapper that counts calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use registry_store::backend::{
    Backend, Child, DeleteIf, Key, LockGuard, LockMode, Medium, Meta, Object, PointIf, Pointed,
    Promotion, Put, PutRequest, ReadRange, Result, SignedMethod, Stage, Staged, Tip,
};
use registry_store::page::Page;

use crate::backends::Method;

/// Forwards every call and counts it when it is made, also when it fails or is dropped. Clones share the count.
#[derive(Clone, Debug)]
pub struct CountedBackend {
    inner: Arc<dyn Backend>,
    counts: Arc<Mutex<Counts>>,
}

/// How often each method was called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<Method, u64>);

impl Counts {
    /// How often this one was called.
    pub fn of(&self, method: Method) -> u64 {
        self.0.get(&method).copied().unwrap_or(0)
    }

    /// How often any was called.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

impl CountedBackend {
    /// Counts the calls to `inner`, from nought.
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self { inner, counts: Arc::default() }
    }

    /// The calls since the beginning, or since the last reset.
    pub fn counts(&self) -> Counts {
        self.with_counts(|counts| counts.clone())
    }

    /// Counts from nought again; returns what was counted until now.
    pub fn reset(&self) -> Counts {
        self.with_counts(std::mem::take)
    }

    fn count(&self, method: Method) {
        self.with_counts(|counts| *counts.0.entry(method).or_default() += 1);
    }

    fn with_counts<T>(&self, f: impl FnOnce(&mut Counts) -> T) -> T {
        f(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Backend for CountedBackend {
    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        self.count(Method::Head);
        self.inner.head(key).await
    }

    async fn read(&self, key: &Key, range: ReadRange) -> Result<Object> {
        self.count(Method::Read);
        self.inner.read(key, range).await
    }

    async fn put_all(&self, puts: Vec<PutRequest>) -> Result<Vec<Put>> {
        self.count(Method::PutAll);
        self.inner.put_all(puts).await
    }

    async fn settle(&self, keys: &[Key]) -> Result<Vec<Option<Meta>>> {
        self.count(Method::Settle);
        self.inner.settle(keys).await
    }

    async fn settle_all(&self, places: &[Key]) -> Result<()> {
        self.count(Method::SettleAll);
        self.inner.settle_all(places).await
    }

    async fn delete(&self, keys: &[Key]) -> Result<()> {
        self.count(Method::Delete);
        self.inner.delete(keys).await
    }

    async fn point(
        &self,
        key: &Key,
        bytes: Bytes,
        target: &Key,
        condition: PointIf,
    ) -> Result<Pointed> {
        self.count(Method::Point);
        self.inner.point(key, bytes, target, condition).await
    }

    async fn delete_if(&self, key: &Key, condition: DeleteIf) -> Result<bool> {
        self.count(Method::DeleteIf);
        self.inner.delete_if(key, condition).await
    }

    async fn delete_tree(&self, prefix: &Key) -> Result<()> {
        self.count(Method::DeleteTree);
        self.inner.delete_tree(prefix).await
    }

    async fn quarantine(&self, key: &Key, found: Option<Meta>) -> Result<()> {
        self.count(Method::Quarantine);
        self.inner.quarantine(key, found).await
    }

    fn list(&self, prefix: &Key, after: Option<&Key>) -> BoxStream<'_, Result<Key>> {
        self.count(Method::List);
        self.inner.list(prefix, after)
    }

    async fn list_children(
        &self,
        prefix: &Key,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Child>> {
        self.count(Method::ListChildren);
        self.inner.list_children(prefix, after, limit).await
    }

    async fn list_children_with(
        &self,
        prefix: &Key,
        path: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<(String, Meta)>> {
        self.count(Method::ListChildrenWith);
        self.inner.list_children_with(prefix, path, after, limit).await
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
        self.count(Method::ListPlaces);
        self.inner.list_places(prefix, marks, after, limit).await
    }

    async fn stage(&self, stage: Stage<'_>) -> Result<Box<dyn Staged>> {
        self.count(Method::Stage);
        let inner = self.inner.stage(stage).await?;
        Ok(Box::new(CountedStaged { inner, backend: self.clone() }))
    }

    async fn expire_staged(&self, before: SystemTime) -> Result<u64> {
        self.count(Method::ExpireStaged);
        self.inner.expire_staged(before).await
    }

    async fn lock(&self, scope: &Key, mode: LockMode) -> Result<LockGuard> {
        self.count(Method::Lock);
        self.inner.lock(scope, mode).await
    }

    async fn signed_url(
        &self,
        key: &Key,
        method: SignedMethod,
        expires_in: Duration,
    ) -> Result<Option<String>> {
        self.count(Method::SignedUrl);
        self.inner.signed_url(key, method, expires_in).await
    }

    fn medium(&self) -> Medium {
        self.inner.medium()
    }
}

#[derive(Debug)]
struct CountedStaged {
    inner: Box<dyn Staged>,
    backend: CountedBackend,
}

#[async_trait]
impl Staged for CountedStaged {
    fn tip(&self) -> Tip {
        self.inner.tip()
    }

    fn is_promoted(&self) -> bool {
        self.inner.is_promoted()
    }

    async fn append(&mut self, bytes: Bytes) -> Result<()> {
        self.backend.count(Method::Append);
        self.inner.append(bytes).await
    }

    async fn persist(&mut self, note: Bytes, copy: &Key) -> Result<Tip> {
        self.backend.count(Method::Persist);
        self.inner.persist(note, copy).await
    }

    async fn note(&mut self, offset: u64) -> Result<Option<(u64, Bytes)>> {
        self.backend.count(Method::Note);
        self.inner.note(offset).await
    }

    async fn rewind(&mut self, offset: u64) -> Result<()> {
        self.backend.count(Method::Rewind);
        self.inner.rewind(offset).await
    }

    async fn read_back(&mut self, from: u64) -> Result<BoxStream<'static, Result<Bytes>>> {
        self.backend.count(Method::ReadBack);
        self.inner.read_back(from).await
    }

    async fn promote(&mut self, to: &Key, size: u64) -> Result<Promotion> {
        self.backend.count(Method::Promote);
        self.inner.promote(to, size).await
    }

    async fn discard(self: Box<Self>) -> Result<()> {
        self.backend.count(Method::Discard);
        self.inner.discard().await
    }
}
