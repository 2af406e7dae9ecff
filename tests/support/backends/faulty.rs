//! [`FaultyBackend`]: a wrapper that fails the call it was told to fail.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use registry_store::backend::{
    Backend, Body, Child, DeleteIf, Error, ErrorKind, Key, LockGuard, LockMode, Medium, Meta,
    Object, PointIf, Pointed, Promotion, Put, PutRequest, ReadRange, Result, SignedMethod, Stage,
    Staged, Tip,
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
    /// A part was done, as far as the contract of backends lets one be seen. Only calls that have such a part count:
    /// bytes that are appended or read back, a put or delete of several objects, the rest of a session, a listing.
    Partway,
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
    fn fault(&self, method: Method, has_parts: bool) -> Option<(Moment, Error)> {
        let mut armed = self.armed();
        let fault = armed.as_mut().filter(|fault| {
            fault.method.is_none_or(|chosen| chosen == method)
                && (has_parts || fault.moment != Moment::Partway)
        })?;
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
        let nothing = async { Ok(()) };
        self.call_in_parts(method, false, call, nothing).await
    }

    /// A call of which `part` is a part; where it `has_parts`.
    async fn call_in_parts<T>(
        &self,
        method: Method,
        has_parts: bool,
        call: impl Future<Output = Result<T>>,
        part: impl Future<Output = Result<()>>,
    ) -> Result<T> {
        match self.fault(method, has_parts) {
            None => call.await,
            Some((Moment::Before, error)) => Err(error),
            Some((Moment::After, error)) => call.await.and(Err(error)),
            Some((Moment::Partway, error)) => part.await.and(Err(error)),
        }
    }

    /// Deletes about half of what lies below `prefix`.
    async fn delete_half(&self, prefix: &Key) -> Result<()> {
        let below: Vec<Key> = self.inner.list(prefix, None).try_collect().await?;
        self.inner.delete(&below[..below.len().div_ceil(2)]).await
    }
}

#[async_trait]
impl Backend for FaultyBackend {
    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        self.call(Method::Head, self.inner.head(key)).await
    }

    async fn read(&self, key: &Key, range: ReadRange) -> Result<Object> {
        let failure = match self.fault(Method::Read, true) {
            Some((Moment::Partway, error)) => error,
            None => return self.inner.read(key, range).await,
            Some((Moment::Before, error)) => return Err(error),
            Some((Moment::After, error)) => {
                return self.inner.read(key, range).await.and(Err(error));
            }
        };
        let Object { size, range, body } = self.inner.read(key, range).await?;
        let parts = Object { size, range: range.clone(), body }.into_stream();
        Ok(Object { size, range, body: Body::Stream(broken_off(parts, failure)) })
    }

    async fn put_all(&self, puts: Vec<PutRequest>) -> Result<Vec<Put>> {
        let first = puts[..puts.len() / 2].to_vec();
        let part = async { self.inner.put_all(first).await.map(|_| ()) };
        let has_parts = puts.len() > 1;
        self.call_in_parts(Method::PutAll, has_parts, self.inner.put_all(puts), part).await
    }

    async fn settle(&self, keys: &[Key]) -> Result<Vec<Option<Meta>>> {
        self.call(Method::Settle, self.inner.settle(keys)).await
    }

    async fn settle_all(&self, places: &[Key]) -> Result<()> {
        self.call(Method::SettleAll, self.inner.settle_all(places)).await
    }

    async fn delete(&self, keys: &[Key]) -> Result<()> {
        let part = self.inner.delete(&keys[..keys.len() / 2]);
        self.call_in_parts(Method::Delete, keys.len() > 1, self.inner.delete(keys), part).await
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
        let (call, part) = (self.inner.delete_tree(prefix), self.delete_half(prefix));
        self.call_in_parts(Method::DeleteTree, true, call, part).await
    }

    async fn quarantine(&self, key: &Key, found: Option<Meta>) -> Result<()> {
        let call = self.inner.quarantine(key, found);
        self.call(Method::Quarantine, call).await
    }

    fn list(&self, prefix: &Key, after: Option<&Key>) -> BoxStream<'_, Result<Key>> {
        let failure = |error| stream::iter([Err(error)]);
        match self.fault(Method::List, true) {
            Some((Moment::Partway, error)) => {
                self.inner.list(prefix, after).take(1).chain(failure(error)).boxed()
            }
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
        let call = self.inner.list_places(prefix, marks, after, limit);
        self.call(Method::ListPlaces, call).await
    }

    async fn stage(&self, stage: Stage<'_>) -> Result<Box<dyn Staged>> {
        let mark = match &stage {
            Stage::Session { keys, .. } => Some(keys.mark.clone()),
            Stage::Final { .. } => None,
        };
        let inner = self.call(Method::Stage, self.inner.stage(stage)).await?;
        Ok(Box::new(FaultyStaged { inner, mark, backend: self.clone() }))
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
    /// Of a session: the object by which it exists.
    mark: Option<Key>,
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
        match self.backend.fault(Method::Append, true) {
            None => self.inner.append(bytes).await,
            Some((Moment::Before, error)) => Err(error),
            Some((Moment::After, error)) => self.inner.append(bytes).await.and(Err(error)),
            Some((Moment::Partway, error)) => {
                let half = bytes.slice(..bytes.len() / 2);
                self.inner.append(half).await.and(Err(error))
            }
        }
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
        let fault = self.backend.fault(Method::ReadBack, true);
        if let Some((Moment::Before, error)) = fault {
            return Err(error);
        }
        let parts = self.inner.read_back(from).await?;
        match fault {
            None => Ok(parts),
            Some((Moment::Partway, error)) => Ok(broken_off(parts, error)),
            Some((_, error)) => Err(error),
        }
    }

    async fn promote(&mut self, to: &Key, size: u64) -> Result<Promotion> {
        let call = self.inner.promote(to, size);
        self.backend.call(Method::Promote, call).await
    }

    async fn discard(self: Box<Self>) -> Result<()> {
        let Self { inner, mark, backend } = *self;
        match backend.fault(Method::Discard, mark.is_some()) {
            None => inner.discard().await,
            Some((Moment::After, error)) => inner.discard().await.and(Err(error)),
            Some((Moment::Partway, error)) if mark.is_some() => {
                backend.inner.delete(mark.as_slice()).await.and(Err(error))
            }
            Some((_, error)) => Err(error),
        }
    }
}

/// The first half of the first part, and then a fault.
fn broken_off(
    parts: BoxStream<'static, Result<Bytes>>,
    error: Error,
) -> BoxStream<'static, Result<Bytes>> {
    let half = |part: Result<Bytes>| part.map(|part| part.slice(..part.len() / 2));
    parts.take(1).map(half).chain(stream::iter([Err(error)])).boxed()
}
