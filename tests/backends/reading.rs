//! `Backend::read`: whole objects, parts of them, and what stays readable.

use std::slice;

use bytes::Bytes;
use futures::TryStreamExt as _;
use proptest::prelude::*;
use registry_store::backend::{Backend, ErrorKind, Key, Object, ReadRange};
use registry_tests::backends::Fixture;

use crate::common::{
    assert_same, check, collect, content, key, kind, put, read, read_range, session_of,
};

const MIB: usize = 1 << 20;

pub(crate) async fn a_put_is_read_back_whole(fixture: &Fixture) {
    let key = key("a/b/link");
    put(&*fixture.backend, &key, "sha256:0123").await;
    let object = fixture.backend.read(&key, ReadRange::Full).await.unwrap();
    assert_eq!((object.size, object.range.clone()), (11, 0..11));
    assert_eq!(collect(object.into_stream()).await.unwrap(), "sha256:0123");
}

pub(crate) async fn a_large_object_is_read_back_whole_in_parts(fixture: &Fixture) {
    let bytes = content(3 * MIB + 17, 1);
    let key = key("a/b/data");
    put(&*fixture.backend, &key, bytes.clone()).await;
    assert_same(&read(&*fixture.backend, &key).await, &bytes);
}

pub(crate) async fn an_empty_object_is_read_as_nothing(fixture: &Fixture) {
    let key = key("a/empty");
    put(&*fixture.backend, &key, Bytes::new()).await;
    let object = fixture.backend.read(&key, ReadRange::Full).await.unwrap();
    assert_eq!((object.size, object.range.clone()), (0, 0..0));
    assert_eq!(collect(object.into_stream()).await.unwrap(), Bytes::new());
}

pub(crate) async fn what_is_not_there_is_not_found_whatever_the_range(fixture: &Fixture) {
    let ranges = [
        ReadRange::Full,
        ReadRange::From(1),
        ReadRange::Bounded { start: 2, end: 1 },
        ReadRange::Suffix(0),
    ];
    for range in ranges {
        let outcome = fixture.backend.read(&key("a/b"), range).await;
        assert_eq!(kind(outcome), ErrorKind::NotFound, "{range:?}");
    }
}

/// Reads ranges of `0123456789` and compares each with what it is to be.
async fn assert_ranges<const N: usize>(fixture: &Fixture, ranges: [(ReadRange, &str); N]) {
    let key = key("a/digits");
    put(&*fixture.backend, &key, "0123456789").await;
    for (range, expected) in ranges {
        let object = fixture.backend.read(&key, range).await.unwrap();
        assert_eq!(object.size, 10, "{range:?}");
        assert_eq!(Some(object.range.clone()), range.within(10), "{range:?}");
        let bytes = collect(object.into_stream()).await.unwrap();
        assert_eq!(bytes, expected, "{range:?}");
    }
}

pub(crate) async fn a_range_from_an_offset_goes_to_the_end(fixture: &Fixture) {
    let ranges = [
        (ReadRange::From(0), "0123456789"),
        (ReadRange::From(4), "456789"),
        (ReadRange::From(9), "9"),
    ];
    assert_ranges(fixture, ranges).await;
}

pub(crate) async fn a_bounded_range_is_clipped_at_the_end(fixture: &Fixture) {
    let bounded = |start, end| ReadRange::Bounded { start, end };
    let ranges = [
        (bounded(0, 10), "0123456789"),
        (bounded(0, 1), "0"),
        (bounded(3, 6), "345"),
        (bounded(8, 11), "89"),
        (bounded(9, u64::MAX), "9"),
    ];
    assert_ranges(fixture, ranges).await;
}

pub(crate) async fn a_suffix_is_clipped_at_the_beginning(fixture: &Fixture) {
    let ranges = [
        (ReadRange::Suffix(1), "9"),
        (ReadRange::Suffix(10), "0123456789"),
        (ReadRange::Suffix(11), "0123456789"),
        (ReadRange::Suffix(u64::MAX), "0123456789"),
    ];
    assert_ranges(fixture, ranges).await;
}

async fn assert_not_satisfiable<const N: usize>(
    fixture: &Fixture,
    key: &Key,
    ranges: [ReadRange; N],
) {
    for range in ranges {
        let outcome = fixture.backend.read(key, range).await;
        assert_eq!(kind(outcome), ErrorKind::RangeNotSatisfiable, "{range:?}");
    }
}

pub(crate) async fn a_range_without_a_byte_is_not_satisfiable(fixture: &Fixture) {
    let key = key("a/digits");
    put(&*fixture.backend, &key, "0123456789").await;
    let ranges = [
        ReadRange::From(10),
        ReadRange::From(u64::MAX),
        ReadRange::Bounded { start: 10, end: 20 },
        ReadRange::Bounded { start: 5, end: 5 },
        ReadRange::Bounded { start: 6, end: 5 },
        ReadRange::Suffix(0),
    ];
    assert_not_satisfiable(fixture, &key, ranges).await;
}

pub(crate) async fn no_range_of_an_empty_object_is_satisfiable(fixture: &Fixture) {
    let key = key("a/empty");
    put(&*fixture.backend, &key, Bytes::new()).await;
    let ranges =
        [ReadRange::From(0), ReadRange::Bounded { start: 0, end: 1 }, ReadRange::Suffix(1)];
    assert_not_satisfiable(fixture, &key, ranges).await;
}

fn any_range(size: u64) -> impl Strategy<Value = ReadRange> {
    let offset = 0..=size + size / 10 + 2;
    prop_oneof![
        Just(ReadRange::Full),
        offset.clone().prop_map(ReadRange::From),
        (offset.clone(), offset.clone()).prop_map(|(start, end)| ReadRange::Bounded { start, end }),
        offset.prop_map(ReadRange::Suffix),
    ]
}

async fn assert_reads_as_a_slice(
    backend: &dyn Backend,
    key: &Key,
    whole: &[u8],
    range: ReadRange,
) -> Result<(), TestCaseError> {
    match range.within(whole.len() as u64) {
        None => {
            prop_assert_eq!(kind(backend.read(key, range).await), ErrorKind::RangeNotSatisfiable);
        }
        Some(found) => {
            let expected = &whole[found.start as usize..found.end as usize];
            prop_assert!(read_range(backend, key, range).await.unwrap() == expected);
        }
    }
    Ok(())
}

pub(crate) async fn any_range_reads_what_a_slice_has(fixture: &Fixture) {
    let strategy = (0u64..40).prop_flat_map(|size| (Just(size), any_range(size)));
    check(fixture, 60, &strategy, async |(size, range)| {
        let key = key("a/data");
        let whole = content(size as usize, size);
        put(&*fixture.backend, &key, whole.clone()).await;
        assert_reads_as_a_slice(&*fixture.backend, &key, &whole, range).await
    });
}

pub(crate) async fn any_range_of_a_large_object_reads_what_a_slice_has(fixture: &Fixture) {
    let size = 2 * MIB as u64 + 100;
    let whole = content(size as usize, 1);
    let ranges = prop::collection::vec(any_range(size), 20);
    check(fixture, 1, &ranges, async |ranges| {
        let key = key("a/data");
        put(&*fixture.backend, &key, whole.clone()).await;
        for range in ranges {
            assert_reads_as_a_slice(&*fixture.backend, &key, &whole, range).await?;
        }
        Ok(())
    });
}

/// An object of several parts, opened whole and from an offset within its second part.
async fn opened(fixture: &Fixture, key: &Key, bytes: &Bytes) -> [Object; 2] {
    put(&*fixture.backend, key, bytes.clone()).await;
    let whole = fixture.backend.read(key, ReadRange::Full).await.unwrap();
    let rest = ReadRange::From(MIB as u64 + 5);
    let rest = fixture.backend.read(key, rest).await.unwrap();
    [whole, rest]
}

/// The whole was opened, and its first part taken, before `change`; all of it is read after.
async fn assert_opened_stays(fixture: &Fixture, change: impl AsyncFnOnce(&Key)) {
    let key = key("a/b/data");
    let bytes = content(3 * MIB, 1);
    let [whole, rest] = opened(fixture, &key, &bytes).await;
    let mut whole = whole.into_stream();
    let first = whole.try_next().await.unwrap().unwrap();
    change(&key).await;
    let others = collect(whole).await.unwrap();
    assert_same(&[first, others].concat(), &bytes);
    let rest = collect(rest.into_stream()).await.unwrap();
    assert_same(&rest, &bytes[MIB + 5..]);
}

pub(crate) async fn what_was_opened_stays_when_the_object_is_replaced(fixture: &Fixture) {
    let change = async |key: &Key| put(&*fixture.backend, key, content(3 * MIB, 2)).await;
    assert_opened_stays(fixture, change).await;
    let change = async |key: &Key| put(&*fixture.backend, key, "short").await;
    assert_opened_stays(fixture, change).await;
}

pub(crate) async fn what_was_opened_stays_when_the_object_is_deleted(fixture: &Fixture) {
    let change = async |key: &Key| fixture.backend.delete(slice::from_ref(key)).await.unwrap();
    assert_opened_stays(fixture, change).await;
}

pub(crate) async fn what_was_opened_stays_when_all_around_it_is_deleted(fixture: &Fixture) {
    let change = async |_: &Key| fixture.backend.delete_tree(&key("a")).await.unwrap();
    assert_opened_stays(fixture, change).await;
}

pub(crate) async fn what_was_opened_stays_when_the_object_is_quarantined(fixture: &Fixture) {
    let change = async |key: &Key| fixture.backend.quarantine(key, None).await.unwrap();
    assert_opened_stays(fixture, change).await;
}

pub(crate) async fn many_readers_read_the_same(fixture: &Fixture) {
    let bytes = content(2 * MIB + 1, 1);
    let keys = crate::common::session("1");
    let to = key("blobs/data");
    let mut staged = session_of(&*fixture.backend, &keys, &bytes).await;
    staged.promote(&to, bytes.len() as u64).await.unwrap();
    let readers = (0..8).map(|_| {
        let (backend, to) = (fixture.backend.clone(), to.clone());
        tokio::spawn(async move { read(&*backend, &to).await })
    });
    for found in futures::future::join_all(readers).await {
        assert_same(&found.unwrap(), &bytes);
    }
}
