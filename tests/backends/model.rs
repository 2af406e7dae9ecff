//! Any sequence of operations answers as a map does.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;
use registry_store::backend::{
    Backend, BackendExt as _, ErrorKind, Key, Promotion, Put, PutMode, ReadRange,
};
use registry_tests::backends::Fixture;

use crate::common::{
    begin, check, children_paged, content, key, kind, listed_after, names, read_range, request,
    session, stage_final,
};

/// An operation. Keys are those of a pool; places are they and all above them.
#[derive(Clone, Debug)]
enum Operation {
    Put(Vec<(Index, usize, PutMode)>),
    Delete(Vec<Index>),
    DeleteTree(Index),
    Quarantine(Index),
    Head(Vec<Index>),
    Read(Index, ReadRange),
    List(Index, Option<Index>),
    ListChildren(Index, usize),
    Promote {
        to: Index,
        length: usize,
        is_session: bool,
    },
    /// From now on through another handle.
    Reopen,
}

fn operation() -> impl Strategy<Value = Operation> {
    let index = any::<Index>;
    let offset = || 0u64..40;
    let mode = prop_oneof![Just(PutMode::Create), Just(PutMode::Overwrite)];
    let range = prop_oneof![
        Just(ReadRange::Full),
        offset().prop_map(ReadRange::From),
        (offset(), offset()).prop_map(|(start, end)| ReadRange::Bounded { start, end }),
        offset().prop_map(ReadRange::Suffix),
    ];
    let some = |most: usize| prop::collection::vec(index(), 0..most);
    prop_oneof![
        6 => prop::collection::vec((index(), 0usize..30, mode), 1..5).prop_map(Operation::Put),
        2 => some(4).prop_map(Operation::Delete),
        1 => index().prop_map(Operation::DeleteTree),
        1 => index().prop_map(Operation::Quarantine),
        2 => some(6).prop_map(Operation::Head),
        2 => (index(), range).prop_map(|(key, range)| Operation::Read(key, range)),
        2 => (index(), prop::option::of(index()))
            .prop_map(|(place, after)| Operation::List(place, after)),
        2 => (index(), 1usize..5).prop_map(|(place, limit)| Operation::ListChildren(place, limit)),
        2 => (index(), 0usize..30, any::<bool>()).prop_map(|(to, length, is_session)| {
            Operation::Promote { to, length, is_session }
        }),
        1 => Just(Operation::Reopen),
    ]
}

pub(crate) async fn any_operations_answer_as_a_map_does(fixture: &Fixture) {
    let strategy = (names::keys(12), prop::collection::vec(operation(), 1..30));
    check(fixture, 30, &strategy, async |(pool, operations)| {
        let mut handle = fixture.backend.clone();
        let mut model = Model::new(pool);
        for (n, operation) in operations.into_iter().enumerate() {
            if let Operation::Reopen = operation {
                handle = fixture.reopen();
            } else {
                model.step(&*handle, n as u64, operation).await?;
            }
        }
        model.compare(&*fixture.backend).await
    });
}

/// What ought to be there.
struct Model {
    pool: Vec<Key>,
    places: Vec<Key>,
    objects: BTreeMap<Key, Bytes>,
    /// Places above trees that were deleted, which may still be listed.
    lingering: BTreeSet<Key>,
}

/// A key and all places above it.
fn above(key: &Key) -> impl Iterator<Item = Key> + use<> {
    std::iter::successors(Some(key.clone()), Key::parent)
}

impl Model {
    fn new(pool: Vec<Key>) -> Self {
        let top = key("t");
        let mut places: Vec<Key> = pool
            .iter()
            .flat_map(above)
            .filter(|place| *place == top || place.below(&top).is_some())
            .collect();
        places.sort();
        places.dedup();
        Self { pool, places, objects: BTreeMap::new(), lingering: BTreeSet::new() }
    }

    fn key(&self, index: Index) -> Key {
        index.get(&self.pool).clone()
    }

    fn keys(&self, indexes: &[Index]) -> Vec<Key> {
        indexes.iter().map(|index| self.key(*index)).collect()
    }

    /// Does it to both, and compares the answers. What is written is of no earlier step.
    async fn step(
        &mut self,
        backend: &dyn Backend,
        step: u64,
        operation: Operation,
    ) -> Result<(), TestCaseError> {
        match operation {
            Operation::Put(puts) => {
                let puts = puts.into_iter().map(|(index, length, mode)| {
                    request(&self.key(index), content(length, step), mode)
                });
                let puts: Vec<_> = puts.collect();
                let found = backend.put_all(puts.clone()).await.unwrap();
                let expected = puts.into_iter().map(|put| {
                    if put.mode == PutMode::Create && self.objects.contains_key(&put.key) {
                        return Put::Kept;
                    }
                    self.objects.insert(put.key, put.bytes);
                    Put::Written
                });
                prop_assert_eq!(found, expected.collect::<Vec<_>>());
            }
            Operation::Delete(indexes) => {
                let keys = self.keys(&indexes);
                backend.delete(&keys).await.unwrap();
                self.objects.retain(|key, _| !keys.contains(key));
            }
            Operation::DeleteTree(place) => {
                let place = place.get(&self.places);
                backend.delete_tree(place).await.unwrap();
                self.lingering.extend(above(place).skip(1));
                self.objects.retain(|key, _| key != place && key.below(place).is_none());
            }
            Operation::Quarantine(index) => {
                backend.quarantine(&self.key(index), None).await.unwrap();
                self.objects.remove(&self.key(index));
            }
            Operation::Promote { to, length, is_session } => {
                let bytes = content(length, step);
                self.promote(backend, &self.key(to), bytes, is_session).await?;
            }
            looking => self.look(backend, looking).await?,
        }
        Ok(())
    }

    async fn promote(
        &mut self,
        backend: &dyn Backend,
        to: &Key,
        bytes: Bytes,
        is_session: bool,
    ) -> Result<(), TestCaseError> {
        let mut staged = if is_session {
            begin(backend, &session("1")).await
        } else {
            stage_final(backend, to).await
        };
        staged.append(bytes.clone()).await.unwrap();
        let found = staged.promote(to, bytes.len() as u64).await.unwrap();
        staged.discard().await.unwrap();
        let expected = match self.objects.get(to) {
            None => Promotion::Created,
            Some(there) if there.len() == bytes.len() => Promotion::Kept,
            Some(there) => Promotion::Replaced { found: there.len() as u64 },
        };
        prop_assert_eq!(found, expected);
        if expected != Promotion::Kept {
            self.objects.insert(to.clone(), bytes);
        }
        Ok(())
    }

    /// An operation that changes nothing.
    async fn look(&self, backend: &dyn Backend, operation: Operation) -> Result<(), TestCaseError> {
        match operation {
            Operation::Head(indexes) => {
                let keys = self.keys(&indexes);
                let size = |key| self.objects.get(key).map(|bytes| bytes.len() as u64);
                let settled = backend.settle(&keys).await.unwrap();
                prop_assert_eq!(settled.len(), keys.len());
                for (key, settled) in keys.iter().zip(settled) {
                    prop_assert_eq!(settled.map(|meta| meta.size), size(key));
                    let head = backend.head(key).await.unwrap();
                    prop_assert_eq!(head.map(|meta| meta.size), size(key));
                }
            }
            Operation::Read(index, range) => self.read(backend, &self.key(index), range).await?,
            Operation::List(place, after) => {
                let place = place.get(&self.places);
                let after = after.map(|after| after.get(&self.places));
                let found = listed_after(backend, place, after).await;
                let behind = |key: &&Key| after.is_none_or(|after| *key > after);
                let expected = self.objects.keys().filter(|key| key.below(place).is_some());
                prop_assert_eq!(
                    found.iter().collect::<Vec<_>>(),
                    expected.filter(behind).collect::<Vec<_>>()
                );
            }
            Operation::ListChildren(place, limit) => {
                let place = place.get(&self.places);
                let mut found = children_paged(backend, place, limit).await;
                let expected = self.children(place);
                found.retain(|name| expected.contains(name) || !self.lingers(place, name));
                prop_assert_eq!(found, expected);
            }
            other => unreachable!("{other:?} changes something"),
        }
        Ok(())
    }

    /// May this, which ends in a slash if it is a prefix, be listed though nothing lies below it?
    fn lingers(&self, place: &Key, name: &str) -> bool {
        let name = name.strip_suffix('/');
        name.is_some_and(|name| self.lingering.contains(&place.child(name).unwrap()))
    }

    fn children(&self, place: &Key) -> Vec<String> {
        let mut names: Vec<(&str, &str)> = self
            .objects
            .keys()
            .filter_map(|key| key.below(place))
            .map(|rest| rest.split_once('/').map_or((rest, ""), |(name, _)| (name, "/")))
            .collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(|(name, slash)| format!("{name}{slash}")).collect()
    }

    async fn read(
        &self,
        backend: &dyn Backend,
        key: &Key,
        range: ReadRange,
    ) -> Result<(), TestCaseError> {
        let found = read_range(backend, key, range).await;
        let Some(bytes) = self.objects.get(key) else {
            prop_assert_eq!(kind(found), ErrorKind::NotFound);
            return Ok(());
        };
        match range.within(bytes.len() as u64) {
            None => prop_assert_eq!(kind(found), ErrorKind::RangeNotSatisfiable),
            Some(range) => {
                let expected = bytes.slice(range.start as usize..range.end as usize);
                prop_assert_eq!(found.unwrap(), expected);
            }
        }
        Ok(())
    }

    /// All that is there is as it ought to be, and nothing else is there.
    async fn compare(&self, backend: &dyn Backend) -> Result<(), TestCaseError> {
        let found = listed_after(backend, &key("t"), None).await;
        prop_assert!(found.iter().eq(self.objects.keys()), "{found:?}");
        for (key, bytes) in &self.objects {
            let found = backend.read_small(key, 1_000).await.unwrap();
            prop_assert_eq!(found.as_ref(), Some(bytes));
        }
        Ok(())
    }
}
