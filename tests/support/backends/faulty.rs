//! [`FaultyBackend`]: a wrapper that fails the call it was told to fail.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use registry_store::backend::{
    Backend, Child, DeleteIf, Error, ErrorKind, Key, LockGuard, LockMode, Medium, Meta, Object,
    PointIf, Pointed, Promotion, Put, PutRequest, ReadRange, Result, SignedMethod, Stage, Staged,
    Tip,
};
use registry_store::page::Page;

use crate::backends::Method;

/// Forwards every call but the one that is to fail. Clones share the fault.
///
/// To fail every call of an operation in turn: arm with the first call, the second, and so on, until
/// [`FaultyBackend::disarm`] says that the operation ended without meeting the fault.
#[derive(Clone, Debug)]
pub struct FaultyBackend {
    inner: Arc<dyn Backend>,
    armed: Arc<Mutex<Option<Fault>>>,
}

/// A call that is to fail, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which method, or any.
    pub method: Option<Method>,
    /// Which of its calls from now on; the first is 1.
    pub call: u64,
    /// What it answers.
    pub kind: ErrorKind,
    /// Whether it has done its work by then.
    pub moment: Moment,
}

/// When a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nothing was done.
    Before,
    /// All was done, and the answer was lost.
    After,
}

impl FaultyBackend {
    /// Forwards to `inner`; nothing fails yet.
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self { inner, armed: Arc::default() }
    }

    /// Sets the call that is to fail, in place of the one that was set before.
    pub fn arm(&self, fault: Fault) {
        assert!(fault.call > 0, "calls are counted from 1");
        *self.armed() = Some(fault);
    }

    /// Fails nothing any more. Says whether the call that was to fail was still to come.
    pub fn disarm(&self) -> bool {
        self.armed().take().is_some()
    }

    fn armed(&self) -> MutexGuard<'_, Option<Fault>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call. If it is the one that is to fail: how.
    fn fault(&self, method: Method) -> Option<(Moment, Error)> {
        let mut armed = self.armed();
        let fault =
            armed.as_mut().filter(|fault| fault.method.is_none_or(|chosen| chosen == method))?;
        fault.call -= 1;
        if fault.call > 0 {
            return None;
        }
        let error = Error::new(fault.kind, "call").because(format!("{method:?} was to fail"));
        let moment = fault.moment;
        *armed = None;
        Some((moment, error))
    }

    async fn call<T>(&self, method: Method, call: impl Future<Output = Result<T>>) -> Result<T> {
        match self.fault(method) {
            None => call.await,
            Some((Moment::Before, error)) => Err(error),
            Some((Moment::After, error)) => call.await.and(Err(error)),
        }
    }
}

#[async_trait]
impl Backend for FaultyBackend {
    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        self.call(Method::Head, self.inner.head(key)).await
    }

    async fn read(&self, key: &Key, range: ReadRange) -> Result<Object> {
        self.call(Method::Read, self.inner.read(key, range)).await
    }

    async fn put_all(&self, puts: Vec<PutRequest>) -> Result<Vec<Put>> {
        self.call(Method::PutAll, self.inner.put_all(puts)).await
    }

    async fn settle(&self, keys: &[Key]) -> Result<Vec<Option<Meta>>> {
        self.call(Method::Settle, self.inner.settle(keys)).await
    }

    async fn delete(&self, keys: &[Key]) -> Result<()> {
        self.call(Method::Delete, self.inner.delete(keys)).await
    }

    async fn point(
        &self,
        key: &Key,
        bytes: Bytes,
        target: &Key,
        condition: PointIf,
    ) -> Result<Pointed> {
        let call = self.inner.point(key, bytes, target, condition);
        self.call(Method::Point, call).await
    }

    async fn delete_if(&self, key: &Key, condition: DeleteIf) -> Result<bool> {
        self.call(Method::DeleteIf, self.inner.delete_if(key, condition)).await
    }

    async fn delete_tree(&self, prefix: &Key) -> Result<()> {
        let call = self.inner.delete_tree(prefix);
        self.call(Method::DeleteTree, call).await
    }

    async fn quarantine(&self, key: &Key, found: Option<Meta>) -> Result<()> {
        let call = self.inner.quarantine(key, found);
        self.call(Method::Quarantine, call).await
    }

    fn list(&self, prefix: &Key, after: Option<&Key>) -> BoxStream<'_, Result<Key>> {
        let failure = |error| stream::iter([Err(error)]);
        match self.fault(Method::List) {
            None => self.inner.list(prefix, after),
            Some((Moment::Before, error)) => failure(error).boxed(),
            Some((Moment::After, error)) => {
                self.inner.list(prefix, after).chain(failure(error)).boxed()
            }
        }
    }

    async fn list_children(
        &self,
        prefix: &Key,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Child>> {
        let call = self.inner.list_children(prefix, after, limit);
        self.call(Method::ListChildren, call).await
    }

    async fn list_children_with(
        &self,
        prefix: &Key,
        path: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<(String, Meta)>> {
        let call = self.inner.list_children_with(prefix, path, after, limit);
        self.call(Method::ListChildrenWith, call).await
    }

    async fn list_places(
        &self,
        prefix: &Key,
        marks: &[&str],
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<String>> {
        let call = self.inner.list_places(prefix, marks, after, limit);
        self.call(Method::ListPlaces, call).await
    }

    async fn stage(&self, stage: Stage<'_>) -> Result<Box<dyn Staged>> {
        let inner = self.call(Method::Stage, self.inner.stage(stage)).await?;
        Ok(Box::new(FaultyStaged { inner, backend: self.clone() }))
    }

    async fn expire_staged(&self, before: SystemTime) -> Result<u64> {
        let call = self.inner.expire_staged(before);
        self.call(Method::ExpireStaged, call).await
    }

    async fn lock(&self, scope: &Key, mode: LockMode) -> Result<LockGuard> {
        self.call(Method::Lock, self.inner.lock(scope, mode)).await
    }

    async fn signed_url(
        &self,
        key: &Key,
        method: SignedMethod,
        expires_in: Duration,
    ) -> Result<Option<String>> {
        let call = self.inner.signed_url(key, method, expires_in);
        self.call(Method::SignedUrl, call).await
    }

    fn medium(&self) -> Medium {
        self.inner.medium()
    }
}

#[derive(Debug)]
struct FaultyStaged {
    inner: Box<dyn Staged>,
    backend: FaultyBackend,
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
        let call = self.inner.append(bytes);
        self.backend.call(Method::Append, call).await
    }

    async fn persist(&mut self, note: Bytes, copy: &Key) -> Result<Tip> {
        let call = self.inner.persist(note, copy);
        self.backend.call(Method::Persist, call).await
    }

    async fn note(&mut self, offset: u64) -> Result<Option<(u64, Bytes)>> {
        let call = self.inner.note(offset);
        self.backend.call(Method::Note, call).await
    }

    async fn rewind(&mut self, offset: u64) -> Result<()> {
        let call = self.inner.rewind(offset);
        self.backend.call(Method::Rewind, call).await
    }

    async fn read_back(&mut self, from: u64) -> Result<BoxStream<'static, Result<Bytes>>> {
        let call = self.inner.read_back(from);
        self.backend.call(Method::ReadBack, call).await
    }

    async fn promote(&mut self, to: &Key, size: u64) -> Result<Promotion> {
        let call = self.inner.promote(to, size);
        self.backend.call(Method::Promote, call).await
    }

    async fn discard(self: Box<Self>) -> Result<()> {
        let Self { inner, backend } = *self;
        backend.call(Method::Discard, inner.discard()).await
    }
}
