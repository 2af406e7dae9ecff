//! [`ObservedBackend`]: a wrapper that tells what calls are made, how long they take and how they fail.
//!
//! Each call that is made within a span of [`tracing`] is a span too, of the lowest level, for those who collect traces.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::level_filters::LevelFilter;
use tracing::{Instrument as _, Level, Span, trace_span};

use crate::backend::{
    Backend, Child, DeleteIf, ErrorKind, Key, LockGuard, LockMode, Medium, Meta, Object, PointIf,
    Pointed, Promotion, Put, PutRequest, ReadRange, Result, SignedMethod, Stage, Staged, Tip,
};
use crate::page::Page;

/// Is told of calls that have ended. Clones of a wrapper share it.
pub trait BackendObserver: Send + Sync + fmt::Debug + 'static {
    /// A call took so long, by tokio's clock, and failed or did not. It is told on the way back to the caller: it must
    /// neither block nor panic. Of a call that was dropped nothing is told.
    fn called(&self, action: Action, took: Duration, failed: Option<ErrorKind>);
}

/// What is done to a storage, as operators tell it apart: several methods of [`Backend`] are one action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It is looked what is known of objects: `head`, `settle`, `settle_all`.
    Look,
    /// An object is opened: `read`. The bytes come later.
    Read,
    /// Small objects are written: `put_all`, `point`.
    Put,
    /// Objects go: `delete`, `delete_if`, `delete_tree`, `discard`.
    Delete,
    /// Names are listed, a page of them. [`Backend::list`], which goes through everything, is not told of.
    List,
    /// Bytes become an object, or are put out of sight: `promote`, `quarantine`.
    Move,
    /// An address is signed.
    Sign,
    /// A staging is begun, gone on with, looked at or cut back.
    Stage,
    /// Bytes are added to a staging.
    Append,
    /// Staged bytes are made to stay.
    Persist,
}

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Read => "read",
            Self::Put => "put",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Move => "move",
            Self::Sign => "sign",
            Self::Stage => "stage",
            Self::Append => "append",
            Self::Persist => "persist",
        }
    }
}

/// Forwards every call and tells of it when it has ended.
#[derive(Clone, Debug)]
pub struct ObservedBackend {
    inner: Arc<dyn Backend>,
    observers: Observers,
}

type Observers = Arc<[Arc<dyn BackendObserver>]>;

impl ObservedBackend {
    /// Each of `observers` is told of each call to `inner`, in this order.
    pub fn new(inner: Arc<dyn Backend>, observers: Vec<Arc<dyn BackendObserver>>) -> Self {
        Self { inner, observers: observers.into() }
    }
}

async fn told<T>(
    observers: &Observers,
    action: Action,
    call: impl Future<Output = Result<T>>,
) -> Result<T> {
    let span = span(action);
    let begun = Instant::now();
    let outcome = call.instrument(span.clone()).await;
    let failed = outcome.as_ref().err().map(crate::backend::Error::kind);
    let took = begun.elapsed();
    for observer in observers.iter() {
        observer.called(action, took, failed);
    }
    let expected = [ErrorKind::NotFound, ErrorKind::RangeNotSatisfiable];
    if let Some(kind) = failed.filter(|kind| !expected.contains(kind)) {
        span.record("error.type", tracing::field::debug(kind));
        span.record("otel.status_code", "ERROR");
    }
    outcome
}

/// The span of a call. What nobody has asked for, such as the expiry of uploads, has none. No key is in it: those of upload
/// sessions let who knows them write there.
fn span(action: Action) -> Span {
    // Not by `span_enabled!`: filters of layers keep its answer for whatever is told next.
    if LevelFilter::current() < Level::TRACE || Span::current().is_none() {
        return Span::none();
    }
    let action = action.as_str();
    trace_span!(
        "storage",
        otel.name = %format_args!("storage {action}"),
        otel.kind = "client",
        otel.status_code = Empty,
        storage.action = action,
        "error.type" = Empty,
    )
}

#[async_trait]
impl Backend for ObservedBackend {
    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        told(&self.observers, Action::Look, self.inner.head(key)).await
    }

    async fn read(&self, key: &Key, range: ReadRange) -> Result<Object> {
        told(&self.observers, Action::Read, self.inner.read(key, range)).await
    }

    async fn put_all(&self, puts: Vec<PutRequest>) -> Result<Vec<Put>> {
        told(&self.observers, Action::Put, self.inner.put_all(puts)).await
    }

    async fn settle(&self, keys: &[Key]) -> Result<Vec<Option<Meta>>> {
        told(&self.observers, Action::Look, self.inner.settle(keys)).await
    }

    async fn settle_all(&self, places: &[Key]) -> Result<()> {
        told(&self.observers, Action::Look, self.inner.settle_all(places)).await
    }

    async fn delete(&self, keys: &[Key]) -> Result<()> {
        told(&self.observers, Action::Delete, self.inner.delete(keys)).await
    }

    async fn point(
        &self,
        key: &Key,
        bytes: Bytes,
        target: &Key,
        condition: PointIf,
    ) -> Result<Pointed> {
        told(&self.observers, Action::Put, self.inner.point(key, bytes, target, condition)).await
    }

    async fn delete_if(&self, key: &Key, condition: DeleteIf) -> Result<bool> {
        told(&self.observers, Action::Delete, self.inner.delete_if(key, condition)).await
    }

    async fn delete_tree(&self, prefix: &Key) -> Result<()> {
        told(&self.observers, Action::Delete, self.inner.delete_tree(prefix)).await
    }

    async fn quarantine(&self, key: &Key, found: Option<Meta>) -> Result<()> {
        told(&self.observers, Action::Move, self.inner.quarantine(key, found)).await
    }

    fn list(&self, prefix: &Key, after: Option<&Key>) -> BoxStream<'_, Result<Key>> {
        self.inner.list(prefix, after)
    }

    async fn list_children(
        &self,
        prefix: &Key,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Child>> {
        told(&self.observers, Action::List, self.inner.list_children(prefix, after, limit)).await
    }

    async fn list_children_with(
        &self,
        prefix: &Key,
        path: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<(String, Meta)>> {
        let call = self.inner.list_children_with(prefix, path, after, limit);
        told(&self.observers, Action::List, call).await
    }

    async fn list_places(
        &self,
        prefix: &Key,
        marks: &[&str],
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<String>> {
        let call = self.inner.list_places(prefix, marks, after, limit);
        told(&self.observers, Action::List, call).await
    }

    async fn left_out(&self, prefix: &Key, marks: &[&str]) -> Result<Option<String>> {
        told(&self.observers, Action::List, self.inner.left_out(prefix, marks)).await
    }

    async fn stage(&self, stage: Stage<'_>) -> Result<Box<dyn Staged>> {
        let inner = told(&self.observers, Action::Stage, self.inner.stage(stage)).await?;
        Ok(Box::new(ObservedStaged { inner, observers: Arc::clone(&self.observers) }))
    }

    async fn expire_staged(&self, before: SystemTime) -> Result<u64> {
        self.inner.expire_staged(before).await
    }

    async fn lock(&self, scope: &Key, mode: LockMode) -> Result<LockGuard> {
        self.inner.lock(scope, mode).await
    }

    async fn signed_url(
        &self,
        key: &Key,
        method: SignedMethod,
        expires_in: Duration,
    ) -> Result<Option<String>> {
        told(&self.observers, Action::Sign, self.inner.signed_url(key, method, expires_in)).await
    }

    fn medium(&self) -> Medium {
        self.inner.medium()
    }
}

#[derive(Debug)]
struct ObservedStaged {
    inner: Box<dyn Staged>,
    observers: Observers,
}

#[async_trait]
impl Staged for ObservedStaged {
    fn tip(&self) -> Tip {
        self.inner.tip()
    }

    fn is_promoted(&self) -> bool {
        self.inner.is_promoted()
    }

    async fn append(&mut self, bytes: Bytes) -> Result<()> {
        told(&self.observers, Action::Append, self.inner.append(bytes)).await
    }

    async fn persist(&mut self, note: Bytes, copy: &Key) -> Result<Tip> {
        told(&self.observers, Action::Persist, self.inner.persist(note, copy)).await
    }

    async fn note(&mut self, offset: u64) -> Result<Option<(u64, Bytes)>> {
        told(&self.observers, Action::Stage, self.inner.note(offset)).await
    }

    async fn rewind(&mut self, offset: u64) -> Result<()> {
        told(&self.observers, Action::Stage, self.inner.rewind(offset)).await
    }

    async fn read_back(&mut self, from: u64) -> Result<BoxStream<'static, Result<Bytes>>> {
        told(&self.observers, Action::Stage, self.inner.read_back(from)).await
    }

    async fn promote(&mut self, to: &Key, size: u64) -> Result<Promotion> {
        told(&self.observers, Action::Move, self.inner.promote(to, size)).await
    }

    async fn discard(self: Box<Self>) -> Result<()> {
        told(&self.observers, Action::Delete, self.inner.discard()).await
    }
}
