//! [`RecordedBackend`]: a wrapper that keeps a readable list of the calls, in their order.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use registry_store::backend::{
    Backend, Child, DeleteIf, Key, LockGuard, LockMode, Medium, Meta, Object, OpenSession, PointIf,
    Pointed, Promotion, Put, PutMode, PutRequest, ReadRange, Result, SignedMethod, Stage, Staged,
    Tip,
};
use registry_store::page::Page;

/// Forwards every call and writes down a line for it when it is made, and one when a lock is let go of. Clones
/// write the same list.
///
/// A line is what is done and to which keys, as in `create a/_layers/sha256/…/link`. Keys are shown without
/// `docker/registry/v2/` and `repositories/`, and parts of them by the names a test gives. An effect
/// that begins before the one before it has ended is shown as `meanwhile …`: nothing may rely on their order.
#[derive(Clone, Debug)]
pub struct RecordedBackend {
    inner: Arc<dyn Backend>,
    record: Arc<Mutex<Record>>,
}

#[derive(Debug, Default)]
struct Record {
    lines: Vec<(Kind, String)>,
    /// What parts of lines are shown as.
    names: Vec<(String, String)>,
    /// Effects that have begun and not ended.
    under_way: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Changes what is stored, or makes it durable, or has to do with a lock.
    Effect,
    /// Only looks.
    Look,
}

impl RecordedBackend {
    /// Records the calls to `inner`.
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self { inner, record: Arc::default() }
    }

    /// Shows `part` of a line, whenever that was written, as `name`. What is named later is replaced first.
    pub fn name(&self, part: impl Into<String>, name: impl Into<String>) {
        self.record().names.insert(0, (part.into(), name.into()));
    }

    /// Forgets what was recorded until now.
    pub fn forget(&self) {
        self.record().lines.clear();
    }

    /// Every call since the beginning, or since the last were forgotten.
    pub fn calls(&self) -> Vec<String> {
        self.shown(|_| true)
    }

    /// Those of the calls that do more than look.
    pub fn effects(&self) -> Vec<String> {
        self.shown(|kind| kind == Kind::Effect)
    }

    fn shown(&self, of: impl Fn(Kind) -> bool) -> Vec<String> {
        let record = self.record();
        let named = |line: &String| {
            let names = record.names.iter();
            names.fold(line.clone(), |line, (part, name)| line.replace(part, name))
        };
        record.lines.iter().filter(|(kind, _)| of(*kind)).map(|(_, line)| named(line)).collect()
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, line: String) {
        self.record().lines.push((Kind::Look, line));
    }

    async fn effect<T>(&self, line: String, call: impl Future<Output = T>) -> T {
        let under_way = UnderWay::begin(self, line);
        // Gives one that was begun at the same time the chance to be seen.
        tokio::task::yield_now().await;
        let result = call.await;
        drop(under_way);
        result
    }
}

/// An effect that has begun, until this is dropped.
struct UnderWay<'b>(&'b RecordedBackend);

impl<'b> UnderWay<'b> {
    fn begin(backend: &'b RecordedBackend, line: String) -> Self {
        let mut record = backend.record();
        let line = if record.under_way > 0 { format!("meanwhile {line}") } else { line };
        record.lines.push((Kind::Effect, line));
        record.under_way += 1;
        Self(backend)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.record().under_way -= 1;
    }
}

/// A lock, whose end is written down before it comes.
struct RecordedLock {
    backend: RecordedBackend,
    scope: String,
    _inner: LockGuard,
}

impl Drop for RecordedLock {
    fn drop(&mut self) {
        let line = format!("unlock {}", self.scope);
        self.backend.record().lines.push((Kind::Effect, line));
    }
}

fn short(key: &Key) -> String {
    let below = key.as_str();
    let below = below.strip_prefix("docker/registry/v2/").unwrap_or(below);
    below.strip_prefix("repositories/").unwrap_or(below).to_owned()
}

fn all_short(keys: &[Key]) -> String {
    keys.iter().map(short).collect::<Vec<_>>().join(" + ")
}

#[async_trait]
impl Backend for RecordedBackend {
    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        self.look(format!("look {}", short(key)));
        self.inner.head(key).await
    }

    async fn read(&self, key: &Key, range: ReadRange) -> Result<Object> {
        self.look(format!("read {}", short(key)));
        self.inner.read(key, range).await
    }

    async fn put_all(&self, puts: Vec<PutRequest>) -> Result<Vec<Put>> {
        let put = |put: &PutRequest| match put.mode {
            PutMode::Create => format!("create {}", short(&put.key)),
            PutMode::Overwrite => format!("replace {}", short(&put.key)),
        };
        let line = puts.iter().map(put).collect::<Vec<_>>().join(" + ");
        self.effect(line, self.inner.put_all(puts)).await
    }

    async fn settle(&self, keys: &[Key]) -> Result<Vec<Option<Meta>>> {
        self.effect(format!("settle {}", all_short(keys)), self.inner.settle(keys)).await
    }

    async fn settle_all(&self, places: &[Key]) -> Result<()> {
        self.effect("settle all".to_owned(), self.inner.settle_all(places)).await
    }

    async fn delete(&self, keys: &[Key]) -> Result<()> {
        self.effect(format!("delete {}", all_short(keys)), self.inner.delete(keys)).await
    }

    async fn point(
        &self,
        key: &Key,
        bytes: Bytes,
        target: &Key,
        condition: PointIf,
    ) -> Result<Pointed> {
        let line = match condition {
            PointIf::Always => format!("point {}", short(key)),
            PointIf::Absent | PointIf::Holds(_) => format!("point {}, if", short(key)),
        };
        self.effect(line, self.inner.point(key, bytes, target, condition)).await
    }

    async fn delete_if(&self, key: &Key, condition: DeleteIf) -> Result<bool> {
        let line = format!("delete {}, if", short(key));
        self.effect(line, self.inner.delete_if(key, condition)).await
    }

    async fn delete_tree(&self, prefix: &Key) -> Result<()> {
        self.effect(format!("delete all of {}", short(prefix)), self.inner.delete_tree(prefix))
            .await
    }

    async fn quarantine(&self, key: &Key, found: Option<Meta>) -> Result<()> {
        self.effect(format!("quarantine {}", short(key)), self.inner.quarantine(key, found)).await
    }

    fn list(&self, prefix: &Key, after: Option<&Key>) -> BoxStream<'_, Result<Key>> {
        self.look(format!("list {}", short(prefix)));
        self.inner.list(prefix, after)
    }

    async fn list_children(
        &self,
        prefix: &Key,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Child>> {
        self.look(format!("list {}", short(prefix)));
        self.inner.list_children(prefix, after, limit).await
    }

    async fn list_children_with(
        &self,
        prefix: &Key,
        path: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<(String, Meta)>> {
        self.look(format!("list {}", short(prefix)));
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
        self.look(format!("list {}", short(prefix)));
        self.inner.list_places(prefix, marks, after, limit).await
    }

    async fn stage(&self, stage: Stage<'_>) -> Result<Box<dyn Staged>> {
        let (doing, what) = match &stage {
            Stage::Session { keys, open: OpenSession::New } => ("begin", short(&keys.root)),
            Stage::Session { keys, open: OpenSession::Resume(_) } => ("resume", short(&keys.root)),
            Stage::Final { key } => ("stage", short(key)),
        };
        let inner = self.effect(format!("{doing} {what}"), self.inner.stage(stage)).await?;
        Ok(Box::new(RecordedStaged { inner, what, backend: self.clone() }))
    }

    async fn expire_staged(&self, before: SystemTime) -> Result<u64> {
        self.effect("expire what was staged".to_owned(), self.inner.expire_staged(before)).await
    }

    async fn lock(&self, scope: &Key, mode: LockMode) -> Result<LockGuard> {
        let scope_shown = short(scope);
        let line = match mode {
            LockMode::Shared => format!("lock {scope_shown}, shared"),
            LockMode::Exclusive => format!("lock {scope_shown}, exclusive"),
            LockMode::ToDelete => format!("lock {scope_shown}, to delete"),
        };
        let inner = self.effect(line, self.inner.lock(scope, mode)).await?;
        let backend = self.clone();
        Ok(LockGuard::new(RecordedLock { backend, scope: scope_shown, _inner: inner }))
    }

    async fn signed_url(
        &self,
        key: &Key,
        method: SignedMethod,
        expires_in: Duration,
    ) -> Result<Option<String>> {
        self.look(format!("sign {}", short(key)));
        self.inner.signed_url(key, method, expires_in).await
    }

    fn medium(&self) -> Medium {
        self.inner.medium()
    }
}

#[derive(Debug)]
struct RecordedStaged {
    inner: Box<dyn Staged>,
    what: String,
    backend: RecordedBackend,
}

impl RecordedStaged {
    fn line(&self, doing: &str) -> String {
        format!("{doing} {}", self.what)
    }
}

#[async_trait]
impl Staged for RecordedStaged {
    fn tip(&self) -> Tip {
        self.inner.tip()
    }

    fn is_promoted(&self) -> bool {
        self.inner.is_promoted()
    }

    async fn append(&mut self, bytes: Bytes) -> Result<()> {
        let line = self.line("append to");
        self.backend.effect(line, self.inner.append(bytes)).await
    }

    async fn persist(&mut self, note: Bytes, copy: &Key) -> Result<Tip> {
        let line = self.line("persist");
        self.backend.effect(line, self.inner.persist(note, copy)).await
    }

    async fn note(&mut self, offset: u64) -> Result<Option<(u64, Bytes)>> {
        self.backend.look(self.line("read the note of"));
        self.inner.note(offset).await
    }

    async fn rewind(&mut self, offset: u64) -> Result<()> {
        let line = self.line("rewind");
        self.backend.effect(line, self.inner.rewind(offset)).await
    }

    async fn read_back(&mut self, from: u64) -> Result<BoxStream<'static, Result<Bytes>>> {
        self.backend.look(self.line("read back"));
        self.inner.read_back(from).await
    }

    async fn promote(&mut self, to: &Key, size: u64) -> Result<Promotion> {
        let line = format!("promote to {}", short(to));
        self.backend.effect(line, self.inner.promote(to, size)).await
    }

    async fn discard(self: Box<Self>) -> Result<()> {
        let line = self.line("discard");
        let Self { inner, backend, .. } = *self;
        backend.effect(line, inner.discard()).await
    }
}
