//! What clauses are written with.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use registry_store::backend::{
    Backend, BackendExt as _, ErrorKind, Key, OpenSession, Put, PutMode, PutRequest, ReadRange,
    Result, SessionKeys, Stage, Staged,
};
use registry_tests::backends::Fixture;
use tokio::runtime::Handle;

/// Everything that clauses make lies below this.
pub(crate) const TOP: &str = "docker";

/// Runs a clause, then deletes what it has left and checks that nothing is left behind.
pub(crate) async fn hold(fixture: Fixture, clause: impl AsyncFnOnce(&Fixture)) {
    // Nothing here is measured: a clause that waits for ever fails, and does not hang the suite.
    let teardown = async {
        clause(&fixture).await;
        fixture.backend.delete_tree(&TOP.parse().unwrap()).await.unwrap();
        assert_nothing_is_left(&fixture).await;
    };
    tokio::time::timeout(Duration::from_secs(120), teardown).await.expect("a clause ends");
}

/// Neither this handle nor another lists an object, and there is nothing that is not listed.
pub(crate) async fn assert_nothing_is_left(fixture: &Fixture) {
    for backend in [fixture.backend.clone(), fixture.reopen()] {
        let found = listed(&*backend, &TOP.parse().unwrap()).await;
        assert_eq!(found, Vec::<Key>::new());
    }
    assert_eq!(fixture.litter(), Vec::<String>::new());
}

/// The same, and no empty place is listed: [`Backend::delete`] promises that of those above what it deletes.
pub(crate) async fn assert_no_place_is_left(fixture: &Fixture) {
    for backend in [fixture.backend.clone(), fixture.reopen()] {
        let found = children(&*backend, &TOP.parse().unwrap()).await;
        assert_eq!(found, Vec::<String>::new());
    }
    assert_nothing_is_left(fixture).await;
}

/// A key of the registry's part of the storage.
pub(crate) fn key(below: &str) -> Key {
    format!("{TOP}/registry/v2/{below}").parse().unwrap()
}

pub(crate) fn keys<'a>(below: impl IntoIterator<Item = &'a str>) -> Vec<Key> {
    below.into_iter().map(key).collect()
}

/// So many bytes, of which no part is like another, nor like those of another seed.
pub(crate) fn content(length: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = BytesMut::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.freeze()
}

/// `left == right`, without printing megabytes where it is not.
pub(crate) fn assert_same(found: &[u8], expected: &[u8]) {
    assert_eq!(found.len(), expected.len(), "lengths");
    if let Some(at) = (0..found.len()).find(|&at| found[at] != expected[at]) {
        panic!("byte {at} of {} differs", found.len());
    }
}

pub(crate) fn request(key: &Key, bytes: impl Into<Bytes>, mode: PutMode) -> PutRequest {
    PutRequest { key: key.clone(), bytes: bytes.into(), mode }
}

/// Writes an object, whatever was there.
pub(crate) async fn put(backend: &dyn Backend, key: &Key, bytes: impl Into<Bytes>) {
    let outcome = backend.put(key, bytes.into(), PutMode::Overwrite).await;
    assert_eq!(outcome.unwrap(), Put::Written);
}

/// Writes objects that hold nothing but their names.
pub(crate) async fn put_named(backend: &dyn Backend, keys: impl IntoIterator<Item = &Key>) {
    let named = |key: &Key| request(key, key.to_string(), PutMode::Create);
    let puts: Vec<PutRequest> = keys.into_iter().map(named).collect();
    backend.put_all(puts).await.unwrap();
}

pub(crate) async fn read(backend: &dyn Backend, key: &Key) -> Bytes {
    read_range(backend, key, ReadRange::Full).await.unwrap()
}

/// The bytes of a range, whose length is as it was announced.
pub(crate) async fn read_range(
    backend: &dyn Backend,
    key: &Key,
    range: ReadRange,
) -> Result<Bytes> {
    let object = backend.read(key, range).await?;
    let announced = object.range.end - object.range.start;
    let bytes = collect(object.into_stream()).await?;
    assert_eq!(bytes.len() as u64, announced);
    Ok(bytes)
}

pub(crate) async fn collect(
    parts: impl futures::Stream<Item = Result<Bytes>> + Unpin,
) -> Result<Bytes> {
    let mut whole = BytesMut::new();
    let mut parts = parts;
    while let Some(part) = parts.try_next().await? {
        assert!(part.len() <= 1 << 20, "a part of {} bytes", part.len());
        whole.extend_from_slice(&part);
    }
    Ok(whole.freeze())
}

pub(crate) async fn size(backend: &dyn Backend, key: &Key) -> Option<u64> {
    backend.head(key).await.unwrap().map(|meta| meta.size)
}

pub(crate) async fn is_there(backend: &dyn Backend, key: &Key) -> bool {
    size(backend, key).await.is_some()
}

/// What kind of error it is; panics at a success.
pub(crate) fn kind<T>(result: Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("expected an error, found a success"),
        Err(error) => error.kind(),
    }
}

pub(crate) async fn listed(backend: &dyn Backend, prefix: &Key) -> Vec<Key> {
    listed_after(backend, prefix, None).await
}

pub(crate) async fn listed_after(
    backend: &dyn Backend,
    prefix: &Key,
    after: Option<&Key>,
) -> Vec<Key> {
    let keys = backend.list(prefix, after).map(Result::unwrap);
    keys.collect().await
}

/// All the names directly below `prefix`; those of prefixes end in a slash.
pub(crate) async fn children(backend: &dyn Backend, prefix: &Key) -> Vec<String> {
    children_paged(backend, prefix, usize::MAX).await
}

/// The same, a page at a time.
pub(crate) async fn children_paged(
    backend: &dyn Backend,
    prefix: &Key,
    limit: usize,
) -> Vec<String> {
    let mut names = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = backend.list_children(prefix, after.as_deref(), limit);
        let page = page.await.unwrap();
        assert!(page.items.len() <= limit, "a page is no longer than asked");
        let is_full = page.items.len() == limit;
        assert!(is_full || !page.more, "a page with more behind it is full");
        let found: Vec<Option<&str>> = page.items.iter().map(|child| Some(child.name())).collect();
        let is_ordered = found.is_sorted_by(|a, b| a < b);
        assert!(is_ordered, "{found:?}");
        let goes_on = found.first().is_none_or(|first| *first > after.as_deref());
        assert!(goes_on, "{found:?} after {after:?}");
        after = page.next_after().map(|last| last.name().to_owned());
        names.extend(page.items.into_iter().map(|child| {
            let slash = if child.is_prefix() { "/" } else { "" };
            format!("{}{slash}", child.name())
        }));
        if after.is_none() {
            return names;
        }
    }
}

/// Where a session of this name is kept.
pub(crate) fn session(name: &str) -> SessionKeys {
    let root = key("repositories/a/b/_uploads").child(name).unwrap();
    SessionKeys {
        mark: root.child("startedat").unwrap(),
        data: root.child("data").unwrap(),
        record: root.child("_record").unwrap(),
        root,
    }
}

/// Where the copy of a session's note is kept.
pub(crate) fn copy(keys: &SessionKeys, offset: u64) -> Key {
    let states = keys.root.child("hashstates").unwrap();
    let states = states.child("sha256").unwrap();
    states.child(&offset.to_string()).unwrap()
}

pub(crate) async fn begin(backend: &dyn Backend, keys: &SessionKeys) -> Box<dyn Staged> {
    open(backend, keys, OpenSession::New).await.unwrap()
}

pub(crate) async fn resume(backend: &dyn Backend, keys: &SessionKeys) -> Box<dyn Staged> {
    open(backend, keys, OpenSession::Resume(None)).await.unwrap()
}

pub(crate) async fn open(
    backend: &dyn Backend,
    keys: &SessionKeys,
    open: OpenSession,
) -> Result<Box<dyn Staged>> {
    backend.stage(Stage::Session { keys, open }).await
}

pub(crate) async fn stage_final(backend: &dyn Backend, key: &Key) -> Box<dyn Staged> {
    backend.stage(Stage::Final { key }).await.unwrap()
}

/// A new session with these bytes, persisted.
pub(crate) async fn session_of(
    backend: &dyn Backend,
    keys: &SessionKeys,
    bytes: &Bytes,
) -> Box<dyn Staged> {
    let mut staged = begin(backend, keys).await;
    staged.append(bytes.clone()).await.unwrap();
    let offset = bytes.len() as u64;
    let tip = staged.persist(note(offset), &copy(keys, offset)).await.unwrap();
    assert_eq!(tip.offset, offset);
    staged
}

/// A note of the length that the engine's notes have, for an offset.
pub(crate) fn note(offset: u64) -> Bytes {
    content(108, offset + 1)
}

pub(crate) async fn staged_bytes(staged: &mut dyn Staged) -> Bytes {
    let parts = staged.read_back(0).await.unwrap();
    let parts: Vec<Bytes> = parts.try_collect().await.unwrap();
    parts.concat().into()
}

/// Checks what holds for every value of `strategy` with values that are tried one after another.
///
/// Each starts without anything, whatever the last one left.
pub(crate) fn check<S: Strategy>(
    fixture: &Fixture,
    cases: u32,
    strategy: &S,
    holds: impl AsyncFn(S::Value) -> Result<(), TestCaseError>,
) {
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    let top = TOP.parse().unwrap();
    let outcome = TestRunner::new(config).run(strategy, |value| {
        tokio::task::block_in_place(|| {
            Handle::current().block_on(async {
                fixture.backend.delete_tree(&top).await.unwrap();
                holds(value).await
            })
        })
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// Strategies for names and keys.
pub(crate) mod names {
    use super::{Key, key};
    use proptest::prelude::*;

    /// A segment of the bytes that sort around the slash.
    pub(crate) fn segment() -> impl Strategy<Value = String> {
        "[-._0a]{1,3}".prop_filter("a segment is no dot", |name| name != "." && name != "..")
    }

    /// A path of one to `depth` segments.
    pub(crate) fn path(depth: usize) -> impl Strategy<Value = String> {
        prop::collection::vec(segment(), 1..=depth).prop_map(|segments| segments.join("/"))
    }

    /// Keys below [`TOP`](super::TOP), in order, none of which lies below another.
    pub(crate) fn keys(count: usize) -> impl Strategy<Value = Vec<Key>> {
        prop::collection::btree_set(path(4), 1..count).prop_map(|paths| {
            let keys: Vec<Key> = paths.iter().map(|path| key(&format!("t/{path}"))).collect();
            let is_above = |above: &Key| keys.iter().any(|key| key.below(above).is_some());
            let mut leaves: Vec<Key> = keys.iter().filter(|key| !is_above(key)).cloned().collect();
            leaves.sort();
            leaves
        })
    }
}
