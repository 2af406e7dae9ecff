//! [`Faulty`]: memory that fails as it is told to, and looks like another medium if it is told to.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use registry_store::backend::{
    Backend, Body, Child, DeleteIf, Error, ErrorKind, Key, LockGuard, LockMode, Medium,
    MemoryBackend, Meta, Object, PointIf, Pointed, Promotion, Put, PutRequest, ReadRange, Result,
    SignedMethod, Stage, Staged, Tip,
};
use registry_store::page::Page;

/// Forwards every call but those that are to fail. Clones share the fault.
#[derive(Clone, Debug)]
pub struct Faulty {
    inner: MemoryBackend,
    medium: Medium,
    plan: Arc<Mutex<Plan>>,
}

/// Which calls fail, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// So many calls go well before.
    pub after: usize,
    /// So many fail then.
    pub times: usize,
    /// What they answer.
    pub kind: ErrorKind,
    /// They have done their work by then: the answer is lost. What was opened breaks off half-way.
    pub is_done: bool,
}

#[derive(Debug, Default)]
struct Plan {
    fault: Option<Fault>,
    met: bool,
}

/// What a bucket is like. Memory keeps the promises of every medium, so it can pass for one.
const BUCKET: Medium =
    Medium { visible_is_durable: true, promotion_copies: true, locks_reach_processes: false };

impl Faulty {
    /// Nothing fails yet.
    pub fn new(inner: MemoryBackend, is_bucket: bool) -> Self {
        let medium = if is_bucket { BUCKET } else { inner.medium() };
        Self { inner, medium, plan: Arc::default() }
    }

    /// The same objects, where nothing fails.
    pub fn sound(&self) -> Self {
        Self { plan: Arc::default(), ..self.clone() }
    }

    /// Sets what is to fail from now on.
    pub fn arm(&self, fault: Option<Fault>) {
        *self.plan() = Plan { fault, met: false };
    }

    /// Nothing fails any more. Says how something failed, if it did.
    pub fn disarm(&self) -> Option<Fault> {
        let plan = std::mem::take(&mut *self.plan());
        plan.fault.filter(|_| plan.met)
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call. If it is to fail: how.
    fn fault(&self) -> Option<(Error, bool)> {
        let mut plan = self.plan();
        let fault = plan.fault.as_mut()?;
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        fault.times = fault.times.checked_sub(1)?;
        let failed = (Error::new(fault.kind, "call"), fault.is_done);
        plan.met = true;
        Some(failed)
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        match self.fault() {
            None => call.await,
            Some((error, false)) => Err(error),
            Some((error, true)) => call.await.and(Err(error)),
        }
    }
}

/// The first half of what was opened, and then an error.
fn broken_off(object: Object, error: Error) -> Object {
    let Object { size, range, .. } = &object;
    let (size, range) = (*size, range.clone());
    let half = usize::try_from((range.end - range.start) / 2).unwrap_or_default();
    let first = object.into_stream().take(1);
    let first = first.map(move |part| part.map(|part| part.slice(..half.min(part.len()))));
    let body = first.chain(stream::iter([Err(error)])).boxed();
    Object { size, range, body: Body::Stream(body) }
}

#[async_trait]
impl Backend for Faulty {
    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        self.call(self.inner.head(key)).await
    }

    async fn read(&self, key: &Key, range: ReadRange) -> Result<Object> {
        match self.fault() {
            None => self.inner.read(key, range).await,
            Some((error, false)) => Err(error),
            Some((error, true)) => Ok(broken_off(self.inner.read(key, range).await?, error)),
        }
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

    async fn point(&self, key: &Key, bytes: Bytes, to: &Key, when: PointIf) -> Result<Pointed> {
        self.call(self.inner.point(key, bytes, to, when)).await
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

    fn list(&self, prefix: &Key, after: Option<&Key>) -> BoxStream<'_, Result<Key>> {
        let failed = |error| stream::iter([Err(error)]);
        match self.fault() {
            None => self.inner.list(prefix, after),
            Some((error, false)) => failed(error).boxed(),
            Some((error, true)) => self.inner.list(prefix, after).chain(failed(error)).boxed(),
        }
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

    async fn stage(&self, stage: Stage<'_>) -> Result<Box<dyn Staged>> {
        let inner = self.call(self.inner.stage(stage)).await?;
        Ok(Box::new(FaultyStaged { inner, backend: self.clone() }))
    }

    async fn expire_staged(&self, before: SystemTime) -> Result<u64> {
        self.call(self.inner.expire_staged(before)).await
    }

    async fn lock(&self, scope: &Key, mode: LockMode) -> Result<LockGuard> {
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

    fn medium(&self) -> Medium {
        self.medium
    }
}

#[derive(Debug)]
struct FaultyStaged {
    inner: Box<dyn Staged>,
    backend: Faulty,
}

#[async_trait]
impl Staged for FaultyStaged {
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
