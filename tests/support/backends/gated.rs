//! [`GatedBackend`]: a wrapper that stops the call it was told to stop, until it is let go.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::{Either, select};
use futures::stream::{self, BoxStream};
use registry_store::backend::{
    Backend, Child, DeleteIf, Key, LockGuard, LockMode, Medium, Meta, Object, PointIf, Pointed,
    Promotion, Put, PutRequest, ReadRange, Result, SignedMethod, Stage, Staged, Tip,
};
use registry_store::page::Page;
use tokio::sync::oneshot;

use crate::backends::{Method, Moment};

/// Forwards every call; one before which a gate is shut waits until that is opened. Clones share the gates.
///
/// A call is known by its method and by its keys: of `stage`, and of all that is done to a staging, that is the
/// key of the object or the root of the session; of `promote` the key it is promoted to; of `expire_staged` there
/// is none.
#[derive(Clone, Debug)]
pub struct GatedBackend {
    inner: Arc<dyn Backend>,
    shut: Arc<Mutex<Vec<Shut>>>,
}

/// The way of one call, shut. It opens when this is dropped.
#[derive(Debug)]
pub struct Gate {
    reached: oneshot::Receiver<()>,
    open: oneshot::Sender<()>,
}

/// What a gate is to a call that comes to it.
struct Shut {
    /// Which method; `None` is any.
    method: Option<Method>,
    /// How many calls pass before the one that is stopped.
    passing: u64,
    moment: Moment,
    of: Box<dyn Fn(&Key) -> bool + Send + Sync>,
    reached: oneshot::Sender<()>,
    opened: oneshot::Receiver<()>,
}

impl GatedBackend {
    /// Forwards to `inner`; no gate is shut yet.
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self { inner, shut: Arc::default() }
    }

    /// Stops the next call of `method` that names `key`, before or after it has done its work.
    pub fn shut(&self, moment: Moment, method: Method, key: &Key) -> Gate {
        let key = key.clone();
        self.shut_where(moment, method, move |named| *named == key)
    }

    /// Stops the next call of `method` that names a key for which `of` holds.
    pub fn shut_where(
        &self,
        moment: Moment,
        method: Method,
        of: impl Fn(&Key) -> bool + Send + Sync + 'static,
    ) -> Gate {
        self.push(Some(method), 0, moment, Box::new(of))
    }

    /// Stops a call, whichever it is: the next one is 1.
    pub fn shut_at(&self, moment: Moment, call: u64) -> Gate {
        assert!(call > 0, "calls are counted from 1");
        self.push(None, call - 1, moment, Box::new(|_| true))
    }

    fn push(
        &self,
        method: Option<Method>,
        passing: u64,
        moment: Moment,
        of: Box<dyn Fn(&Key) -> bool + Send + Sync>,
    ) -> Gate {
        let (reached, arrival) = oneshot::channel();
        let (open, opened) = oneshot::channel();
        let shut = Shut { method, passing, moment, of, reached, opened };
        self.shut.lock().unwrap_or_else(PoisonError::into_inner).push(shut);
        Gate { reached: arrival, open }
    }

    /// The gate a call comes to, if one is shut for it. No other call comes to it any more.
    fn met(&self, method: Method, keys: &[&Key]) -> Option<Shut> {
        let mut shut = self.shut.lock().unwrap_or_else(PoisonError::into_inner);
        let met = shut.iter_mut().position(|gate| gate.is_met(method, keys))?;
        Some(shut.remove(met))
    }

    async fn call<T>(
        &self,
        method: Method,
        keys: &[&Key],
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match self.met(method, keys) {
            None => call.await,
            Some(gate) if gate.moment == Moment::Before => {
                gate.pass().await;
                call.await
            }
            Some(gate) => {
                let result = call.await;
                gate.pass().await;
                result
            }
        }
    }
}

impl Gate {
    /// Runs `operation` up to this gate, then `meanwhile` to its end, then the rest of the operation.
    ///
    /// Panics if the operation ends without coming here: then it does not make the call that was to be stopped.
    pub async fn meanwhile<T>(
        self,
        operation: impl Future<Output = T>,
        meanwhile: impl Future<Output = ()>,
    ) -> T {
        let (output, was_reached) = self.meanwhile_if_reached(operation, meanwhile).await;
        assert!(was_reached, "the operation ended without the call that was to be stopped");
        output
    }

    /// The same, for an operation that may end without coming here: then `meanwhile` does not run. Says whether it
    /// did.
    pub async fn meanwhile_if_reached<T>(
        self,
        operation: impl Future<Output = T>,
        meanwhile: impl Future<Output = ()>,
    ) -> (T, bool) {
        let Self { reached, open } = self;
        let operation = pin!(operation);
        let operation = match select(reached, operation).await {
            Either::Left((reached, operation)) => {
                reached.expect("a gate that is shut is kept until a call comes to it");
                operation
            }
            Either::Right((output, _)) => return (output, false),
        };
        meanwhile.await;
        drop(open);
        (operation.await, true)
    }
}

impl Shut {
    /// Is a call with these keys to be stopped here? If it is one to be counted, it is.
    fn is_met(&mut self, method: Method, keys: &[&Key]) -> bool {
        let is_of_those = self.method.is_none_or(|chosen| chosen == method)
            && keys.iter().any(|key| (self.of)(key));
        if is_of_those && self.passing > 0 {
            self.passing -= 1;
            return false;
        }
        is_of_those
    }

    /// Says that a call has come, and waits.
    async fn pass(self) {
        // Whoever does not wait for the call has given the gate up, and then it is open.
        let _ = self.reached.send(());
        let _ = self.opened.await;
    }
}

impl fmt::Debug for Shut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shut({:?} {:?} {})", self.moment, self.method, self.passing)
    }
}

#[async_trait]
impl Backend for GatedBackend {
    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        self.call(Method::Head, &[key], self.inner.head(key)).await
    }

    async fn read(&self, key: &Key, range: ReadRange) -> Result<Object> {
        self.call(Method::Read, &[key], self.inner.read(key, range)).await
    }

    async fn put_all(&self, puts: Vec<PutRequest>) -> Result<Vec<Put>> {
        let named: Vec<Key> = puts.iter().map(|put| put.key.clone()).collect();
        let named: Vec<&Key> = named.iter().collect();
        self.call(Method::PutAll, &named, self.inner.put_all(puts)).await
    }

    async fn settle(&self, keys: &[Key]) -> Result<Vec<Option<Meta>>> {
        let named: Vec<&Key> = keys.iter().collect();
        self.call(Method::Settle, &named, self.inner.settle(keys)).await
    }

    async fn settle_all(&self, places: &[Key]) -> Result<()> {
        let named: Vec<&Key> = places.iter().collect();
        self.call(Method::SettleAll, &named, self.inner.settle_all(places)).await
    }

    async fn delete(&self, keys: &[Key]) -> Result<()> {
        let named: Vec<&Key> = keys.iter().collect();
        self.call(Method::Delete, &named, self.inner.delete(keys)).await
    }

    async fn point(
        &self,
        key: &Key,
        bytes: Bytes,
        target: &Key,
        condition: PointIf,
    ) -> Result<Pointed> {
        let call = self.inner.point(key, bytes, target, condition);
        self.call(Method::Point, &[key], call).await
    }

    async fn delete_if(&self, key: &Key, condition: DeleteIf) -> Result<bool> {
        let call = self.inner.delete_if(key, condition);
        self.call(Method::DeleteIf, &[key], call).await
    }

    async fn delete_tree(&self, prefix: &Key) -> Result<()> {
        self.call(Method::DeleteTree, &[prefix], self.inner.delete_tree(prefix)).await
    }

    async fn quarantine(&self, key: &Key, found: Option<Meta>) -> Result<()> {
        self.call(Method::Quarantine, &[key], self.inner.quarantine(key, found)).await
    }

    fn list(&self, prefix: &Key, after: Option<&Key>) -> BoxStream<'_, Result<Key>> {
        let listing = self.inner.list(prefix, after);
        let Some(gate) = self.met(Method::List, &[prefix]) else {
            return listing;
        };
        let moment = gate.moment;
        let stopped = stream::once(gate.pass()).filter_map(async |()| None).boxed();
        match moment {
            Moment::Before => stopped.chain(listing).boxed(),
            Moment::After | Moment::Partway => listing.chain(stopped).boxed(),
        }
    }

    async fn list_children(
        &self,
        prefix: &Key,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Child>> {
        let call = self.inner.list_children(prefix, after, limit);
        self.call(Method::ListChildren, &[prefix], call).await
    }

    async fn list_children_with(
        &self,
        prefix: &Key,
        path: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<(String, Meta)>> {
        let call = self.inner.list_children_with(prefix, path, after, limit);
        self.call(Method::ListChildrenWith, &[prefix], call).await
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
        self.call(Method::ListPlaces, &[prefix], call).await
    }

    async fn stage(&self, stage: Stage<'_>) -> Result<Box<dyn Staged>> {
        let key = match &stage {
            Stage::Session { keys, .. } => keys.root.clone(),
            Stage::Final { key } => (*key).clone(),
        };
        let inner = self.call(Method::Stage, &[&key], self.inner.stage(stage)).await?;
        Ok(Box::new(GatedStaged { inner, key, backend: self.clone() }))
    }

    async fn expire_staged(&self, before: SystemTime) -> Result<u64> {
        self.inner.expire_staged(before).await
    }

    async fn lock(&self, scope: &Key, mode: LockMode) -> Result<LockGuard> {
        self.call(Method::Lock, &[scope], self.inner.lock(scope, mode)).await
    }

    async fn signed_url(
        &self,
        key: &Key,
        method: SignedMethod,
        expires_in: Duration,
    ) -> Result<Option<String>> {
        let call = self.inner.signed_url(key, method, expires_in);
        self.call(Method::SignedUrl, &[key], call).await
    }

    fn medium(&self) -> Medium {
        self.inner.medium()
    }
}

#[derive(Debug)]
struct GatedStaged {
    inner: Box<dyn Staged>,
    key: Key,
    backend: GatedBackend,
}

#[async_trait]
impl Staged for GatedStaged {
    fn tip(&self) -> Tip {
        self.inner.tip()
    }

    fn is_promoted(&self) -> bool {
        self.inner.is_promoted()
    }

    async fn append(&mut self, bytes: Bytes) -> Result<()> {
        let call = self.inner.append(bytes);
        self.backend.call(Method::Append, &[&self.key], call).await
    }

    async fn persist(&mut self, note: Bytes, copy: &Key) -> Result<Tip> {
        let call = self.inner.persist(note, copy);
        self.backend.call(Method::Persist, &[&self.key], call).await
    }

    async fn note(&mut self, offset: u64) -> Result<Option<(u64, Bytes)>> {
        let call = self.inner.note(offset);
        self.backend.call(Method::Note, &[&self.key], call).await
    }

    async fn rewind(&mut self, offset: u64) -> Result<()> {
        let call = self.inner.rewind(offset);
        self.backend.call(Method::Rewind, &[&self.key], call).await
    }

    async fn read_back(&mut self, from: u64) -> Result<BoxStream<'static, Result<Bytes>>> {
        let call = self.inner.read_back(from);
        self.backend.call(Method::ReadBack, &[&self.key], call).await
    }

    async fn promote(&mut self, to: &Key, size: u64) -> Result<Promotion> {
        let call = self.inner.promote(to, size);
        self.backend.call(Method::Promote, &[to], call).await
    }

    async fn discard(self: Box<Self>) -> Result<()> {
        let Self { inner, key, backend } = *self;
        backend.call(Method::Discard, &[&key], inner.discard()).await
    }
}
