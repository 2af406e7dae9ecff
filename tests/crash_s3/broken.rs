//! Orders that are deliberately broken are found: a suite that finds nothing might look at nothing.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use registry_store::backend::{
    Backend, BackendExt as _, Child, DeleteIf, Error, ErrorKind, Key, LockGuard, LockMode, Medium,
    Meta, Object, PointIf, Pointed, Promotion, Put, PutMode, PutRequest, ReadRange, Result,
    SignedMethod, Stage, Staged, Tip,
};
use registry_store::page::Page;

use crate::bucket::Bucket;
use crate::case::Case;
use crate::operations::{
    DELETE_MANIFEST, Operation, PUSH, PUT_NEW_TAG, PUT_OTHER, PUT_TAGGED_AGAIN,
};
use crate::profile::Profile;
use crate::single::Happening;
use crate::tally::Tally;
use crate::{pairs, single};

/// What a replica does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Breach {
    /// Nothing.
    None,
    /// It points the tag, and links the manifest then.
    TagBeforeManifest,
    /// It answers that an object is there, would see to it then, and never comes to that.
    AnswersTooSoon,
    /// It points a tag and does not look whether somebody deletes what it points at.
    PassesOverNotes,
    /// It deletes a tag as if it still were where it was seen.
    DeletesUnseen,
}

/// Does one thing wrong, and forwards all else.
#[derive(Clone, Debug)]
struct Broken {
    inner: Arc<dyn Backend>,
    breach: Breach,
    /// Links that were to be written, and are not yet.
    held: Arc<Mutex<Vec<PutRequest>>>,
}

fn bucket(breach: Breach, profile: Profile) -> Bucket {
    let mut bucket = Bucket::new(profile);
    let inner = bucket.first.clone();
    bucket.first = Arc::new(Broken { inner, breach, held: Arc::default() });
    bucket
}

fn single(breach: Breach, operation: &'static Operation, happening: Happening) -> Tally {
    let profile = Profile::Heeds;
    let mut case = Case::new(bucket(breach, profile), operation, profile);
    single::try_one(&mut case, happening);
    case.tally
}

fn pair(breach: Breach, operation: &'static Operation, rival: &'static Operation) -> Tally {
    let profile = Profile::Heeds;
    let mut case = Case::new(bucket(breach, profile), operation, profile);
    pairs::try_some(&mut case, rival, |_| true);
    case.tally
}

fn is_caught(tally: &Tally, what: &str) {
    let found = tally.losses.iter().filter(|loss| loss.contains(what)).count();
    assert!(found > 0, "{tally}: {:#?}", tally.losses);
}

#[test]
fn a_replica_behind_which_nothing_is_broken_loses_nothing() {
    for tally in [
        single(Breach::None, &PUT_NEW_TAG, Happening::DiesAfter),
        single(Breach::None, &PUSH, Happening::RequestLost),
        pair(Breach::None, &PUT_TAGGED_AGAIN, &DELETE_MANIFEST),
    ] {
        assert!(tally.losses.is_empty(), "{:#?}", tally.losses);
    }
}

#[test]
fn a_tag_that_is_there_before_its_manifest_is_found() {
    is_caught(
        &single(Breach::TagBeforeManifest, &PUT_NEW_TAG, Happening::DiesAfter),
        "cut off, seen",
    );
}

#[test]
fn an_answer_before_the_object_is_there_is_found() {
    is_caught(&single(Breach::AnswersTooSoon, &PUSH, Happening::RequestLost), "acknowledged, seen");
}

#[test]
fn a_push_that_does_not_look_for_deletes_is_found() {
    let tally = pair(Breach::PassesOverNotes, &PUT_TAGGED_AGAIN, &DELETE_MANIFEST);
    is_caught(&tally, "both ended, seen");
}

#[test]
fn a_delete_of_a_tag_that_was_moved_is_found() {
    is_caught(&pair(Breach::DeletesUnseen, &DELETE_MANIFEST, &PUT_OTHER), "both ended, seen");
}

#[async_trait]
impl Backend for Broken {
    async fn put_all(&self, puts: Vec<PutRequest>) -> Result<Vec<Put>> {
        let is_manifest = |put: &PutRequest| put.key.as_str().contains("/_manifests/revisions/");
        if self.breach == Breach::TagBeforeManifest && puts.iter().all(is_manifest) {
            let answers = vec![Put::Written; puts.len()];
            self.held.lock().unwrap().extend(puts);
            return Ok(answers);
        }
        self.inner.put_all(puts).await
    }

    async fn point(
        &self,
        key: &Key,
        bytes: Bytes,
        target: &Key,
        condition: PointIf,
    ) -> Result<Pointed> {
        if ![Breach::TagBeforeManifest, Breach::PassesOverNotes].contains(&self.breach) {
            return self.inner.point(key, bytes, target, condition).await;
        }
        self.inner.put(key, bytes, PutMode::Overwrite).await?;
        let held = std::mem::take(&mut *self.held.lock().unwrap());
        self.inner.put_all(held).await?;
        Ok(Pointed::Written)
    }

    async fn delete_if(&self, key: &Key, condition: DeleteIf) -> Result<bool> {
        if self.breach != Breach::DeletesUnseen {
            return self.inner.delete_if(key, condition).await;
        }
        self.inner.delete(std::slice::from_ref(key)).await.map(|()| true)
    }

    async fn stage(&self, stage: Stage<'_>) -> Result<Box<dyn Staged>> {
        let inner = self.inner.stage(stage).await?;
        match self.breach {
            Breach::AnswersTooSoon => Ok(Box::new(TooSoon(inner.tip(), Some(inner)))),
            _ => Ok(inner),
        }
    }

    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        self.inner.head(key).await
    }

    async fn read(&self, key: &Key, range: ReadRange) -> Result<Object> {
        self.inner.read(key, range).await
    }

    async fn settle(&self, keys: &[Key]) -> Result<Vec<Option<Meta>>> {
        self.inner.settle(keys).await
    }

    async fn settle_all(&self, places: &[Key]) -> Result<()> {
        self.inner.settle_all(places).await
    }

    async fn delete(&self, keys: &[Key]) -> Result<()> {
        self.inner.delete(keys).await
    }

    async fn delete_tree(&self, prefix: &Key) -> Result<()> {
        self.inner.delete_tree(prefix).await
    }

    async fn quarantine(&self, key: &Key, found: Option<Meta>) -> Result<()> {
        self.inner.quarantine(key, found).await
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
        self.inner.list_children(prefix, after, limit).await
    }

    async fn list_children_with(
        &self,
        prefix: &Key,
        path: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<(String, Meta)>> {
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
        self.inner.list_places(prefix, marks, after, limit).await
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
        self.inner.signed_url(key, method, expires_in).await
    }

    fn medium(&self) -> Medium {
        self.inner.medium()
    }
}

/// Answers that it is promoted, and is not. Of a blob that is pushed whole: nothing else is asked of it.
#[derive(Debug)]
struct TooSoon(Tip, Option<Box<dyn Staged>>);

fn not_asked<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, "stage"))
}

#[async_trait]
impl Staged for TooSoon {
    fn tip(&self) -> Tip {
        self.1.as_ref().map_or_else(|| self.0.clone(), |inner| inner.tip())
    }

    fn is_promoted(&self) -> bool {
        false
    }

    async fn append(&mut self, bytes: Bytes) -> Result<()> {
        match &mut self.1 {
            Some(inner) => inner.append(bytes).await,
            None => not_asked(),
        }
    }

    async fn promote(&mut self, _: &Key, _: u64) -> Result<Promotion> {
        self.1 = None;
        Ok(Promotion::Created)
    }

    async fn persist(&mut self, _: Bytes, _: &Key) -> Result<Tip> {
        not_asked()
    }

    async fn note(&mut self, _: u64) -> Result<Option<(u64, Bytes)>> {
        not_asked()
    }

    async fn rewind(&mut self, _: u64) -> Result<()> {
        not_asked()
    }

    async fn read_back(&mut self, _: u64) -> Result<BoxStream<'static, Result<Bytes>>> {
        not_asked()
    }

    async fn discard(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}
