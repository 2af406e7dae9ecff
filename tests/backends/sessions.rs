//! `Backend::stage` with a session: its bytes, its notes, and going on with it.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::TryStreamExt as _;
use proptest::prelude::*;
use registry_store::backend::{Backend, ErrorKind, OpenSession, SessionKeys, Staged};
use registry_tests::backends::Fixture;

use crate::common::{
    assert_nothing_is_left, assert_same, begin, check, content, copy, is_there, kind, note, open,
    put, read, resume, session, session_of, staged_bytes,
};

const MIB: usize = 1 << 20;

pub(crate) async fn a_new_session_is_empty(fixture: &Fixture) {
    let mut staged = begin(&*fixture.backend, &session("1")).await;
    assert_eq!(staged.offset(), 0);
    assert!(!staged.is_promoted());
    assert_eq!(staged.note(0).await.unwrap(), None);
    assert_eq!(staged_bytes(&mut *staged).await, Bytes::new());
}

pub(crate) async fn appended_bytes_are_read_back_from_any_offset(fixture: &Fixture) {
    let mut staged = begin(&*fixture.backend, &session("1")).await;
    for (offset, bytes) in [(3, "abc"), (4, "d"), (10, "efghij")] {
        staged.append(bytes.into()).await.unwrap();
        assert_eq!(staged.offset(), offset);
    }
    for from in 0..=10 {
        let parts = staged.read_back(from).await.unwrap();
        let parts: Vec<Bytes> = parts.try_collect().await.unwrap();
        assert_eq!(parts.concat(), b"abcdefghij"[from as usize..]);
    }
}

pub(crate) async fn persist_tells_the_tip(fixture: &Fixture) {
    let keys = session("1");
    let mut staged = begin(&*fixture.backend, &keys).await;
    for offset in [0, 5, 10] {
        let tip = staged.persist(note(offset), &copy(&keys, offset)).await.unwrap();
        assert_eq!(tip.offset, offset);
        assert_eq!(staged.offset(), offset);
        staged.append("12345".into()).await.unwrap();
    }
}

/// The session has these bytes, and a note that vouches for all of them.
async fn assert_goes_on(mut staged: Box<dyn Staged>, bytes: &Bytes) {
    let offset = bytes.len() as u64;
    assert_eq!(staged.offset(), offset);
    assert!(!staged.is_promoted());
    assert_same(&staged_bytes(&mut *staged).await, bytes);
    let found = staged.note(offset).await.unwrap();
    assert_eq!(found, Some((offset, note(offset))));
}

pub(crate) async fn a_persisted_session_is_gone_on_with(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    let bytes = content(100_000, 1);
    drop(session_of(backend, &keys, &bytes).await);
    let mut staged = resume(backend, &keys).await;
    staged.append("more".into()).await.unwrap();
    staged.persist(note(100_004), &copy(&keys, 100_004)).await.unwrap();
    drop(staged);
    let longer = [&bytes[..], b"more"].concat().into();
    assert_goes_on(resume(backend, &keys).await, &longer).await;
}

pub(crate) async fn a_session_is_gone_on_with_from_its_tip(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    let bytes = content(1_000, 1);
    let mut staged = begin(backend, &keys).await;
    staged.append(bytes.clone()).await.unwrap();
    let tip = staged.persist(note(1_000), &copy(&keys, 1_000)).await.unwrap();
    drop(staged);
    let staged = open(backend, &keys, OpenSession::Resume(Some(tip))).await.unwrap();
    assert_goes_on(staged, &bytes).await;
}

pub(crate) async fn a_session_is_gone_on_with_through_another_handle(fixture: &Fixture) {
    let keys = session("1");
    let bytes = content(1_000, 1);
    drop(session_of(&*fixture.backend, &keys, &bytes).await);
    let other = fixture.reopen();
    assert_goes_on(resume(&*other, &keys).await, &bytes).await;
    assert_goes_on(resume(&*fixture.backend, &keys).await, &bytes).await;
}

pub(crate) async fn a_session_without_bytes_is_gone_on_with(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    drop(session_of(backend, &keys, &Bytes::new()).await);
    assert_goes_on(resume(backend, &keys).await, &Bytes::new()).await;
}

pub(crate) async fn what_was_not_persisted_is_lost_or_kept_but_never_different(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    let all = content(30_000, 1);
    let mut staged = session_of(backend, &keys, &all.slice(..10_000)).await;
    staged.append(all.slice(10_000..)).await.unwrap();
    drop(staged);
    let mut staged = resume(backend, &keys).await;
    let offset = staged.offset();
    assert!((10_000..=30_000).contains(&offset), "{offset}");
    let found = staged_bytes(&mut *staged).await;
    assert_same(&found, &all[..offset as usize]);
    assert_eq!(staged.note(offset).await.unwrap(), Some((10_000, note(10_000))));
}

pub(crate) async fn a_session_that_is_not_there_is_not_found(fixture: &Fixture) {
    let outcome = open(&*fixture.backend, &session("1"), OpenSession::Resume(None)).await;
    assert_eq!(kind(outcome), ErrorKind::NotFound);
    // And looking for it has not made it.
    assert_nothing_is_left(fixture).await;
}

pub(crate) async fn appending_nothing_changes_nothing(fixture: &Fixture) {
    let keys = session("1");
    let mut staged = session_of(&*fixture.backend, &keys, &"bytes".into()).await;
    staged.append(Bytes::new()).await.unwrap();
    assert_eq!(staged.offset(), 5);
    assert_eq!(staged.note(5).await.unwrap(), Some((5, note(5))));
}

pub(crate) async fn many_small_appends_are_one_line_of_bytes(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    let bytes = content(2_000, 1);
    let mut staged = begin(backend, &keys).await;
    for at in (0..2_000).step_by(4) {
        staged.append(bytes.slice(at..at + 4)).await.unwrap();
    }
    staged.persist(note(2_000), &copy(&keys, 2_000)).await.unwrap();
    drop(staged);
    assert_goes_on(resume(backend, &keys).await, &bytes).await;
}

pub(crate) async fn big_appends_are_one_line_of_bytes(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    let bytes = content(9 * MIB + 3, 1);
    let mut staged = begin(backend, &keys).await;
    staged.append(bytes.slice(..1)).await.unwrap();
    staged.append(bytes.slice(1..5 * MIB)).await.unwrap();
    staged.append(bytes.slice(5 * MIB..)).await.unwrap();
    let length = bytes.len() as u64;
    let back = staged.read_back(4 * MIB as u64 + 1).await.unwrap();
    let back: Vec<Bytes> = back.try_collect().await.unwrap();
    assert_same(&back.concat(), &bytes[4 * MIB + 1..]);
    staged.persist(note(length), &copy(&keys, length)).await.unwrap();
    drop(staged);
    assert_goes_on(resume(backend, &keys).await, &bytes).await;
}

pub(crate) async fn a_session_grows_over_many_resumptions(fixture: &Fixture) {
    let keys = session("1");
    let bytes = content(20_000, 1);
    drop(session_of(&*fixture.backend, &keys, &Bytes::new()).await);
    for end in (1_000..=20_000).step_by(1_000) {
        let backend = if end % 2_000 == 0 { fixture.reopen() } else { fixture.backend.clone() };
        let mut staged = resume(&*backend, &keys).await;
        staged.append(bytes.slice(end - 1_000..end)).await.unwrap();
        staged.persist(note(end as u64), &copy(&keys, end as u64)).await.unwrap();
    }
    assert_goes_on(resume(&*fixture.backend, &keys).await, &bytes).await;
}

/// A session of ten bytes with notes at 0, 4 and 8.
async fn noted(backend: &dyn Backend, keys: &SessionKeys) -> Box<dyn Staged> {
    let mut staged = begin(backend, keys).await;
    for offset in [0, 4, 8] {
        staged.persist(note(offset), &copy(keys, offset)).await.unwrap();
        staged.append("1234".into()).await.unwrap();
    }
    staged
}

async fn assert_notes(staged: &mut dyn Staged, expected: &[(u64, Option<u64>)]) {
    for &(offset, kept_at) in expected {
        let expected = kept_at.map(|kept_at| (kept_at, note(kept_at)));
        assert_eq!(staged.note(offset).await.unwrap(), expected, "at {offset}");
    }
}

pub(crate) async fn the_latest_note_at_an_offset_or_below_is_found(fixture: &Fixture) {
    let mut staged = noted(&*fixture.backend, &session("1")).await;
    let expected = [
        (0, Some(0)),
        (3, Some(0)),
        (4, Some(4)),
        (7, Some(4)),
        (8, Some(8)),
        (12, Some(8)),
        (u64::MAX, Some(8)),
    ];
    assert_notes(&mut *staged, &expected).await;
}

pub(crate) async fn a_note_survives_the_handle(fixture: &Fixture) {
    let keys = session("1");
    drop(noted(&*fixture.backend, &keys).await);
    for backend in [fixture.backend.clone(), fixture.reopen()] {
        let mut staged = resume(&*backend, &keys).await;
        assert_notes(&mut *staged, &[(8, Some(8))]).await;
    }
}

pub(crate) async fn a_note_is_of_any_length(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    let mut staged = begin(backend, &keys).await;
    for (offset, length) in [(0, 0), (1, 1), (2, 108), (3, 5_000)] {
        let note = content(length, 1);
        staged.persist(note.clone(), &copy(&keys, offset)).await.unwrap();
        drop(staged);
        staged = resume(backend, &keys).await;
        assert_eq!(staged.note(offset).await.unwrap(), Some((offset, note)));
        staged.append("+".into()).await.unwrap();
    }
}

pub(crate) async fn a_note_is_replaced_by_a_later_one_at_the_same_offset(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    let mut staged = session_of(backend, &keys, &"bytes".into()).await;
    let later = content(108, 99);
    staged.persist(later.clone(), &copy(&keys, 5)).await.unwrap();
    assert_eq!(staged.note(5).await.unwrap(), Some((5, later.clone())));
    drop(staged);
    let mut staged = resume(backend, &keys).await;
    assert_eq!(staged.note(5).await.unwrap(), Some((5, later)));
}

pub(crate) async fn no_note_vouches_for_bytes_that_were_never_persisted(fixture: &Fixture) {
    let mut staged = begin(&*fixture.backend, &session("1")).await;
    staged.append("bytes".into()).await.unwrap();
    assert_notes(&mut *staged, &[(0, None), (5, None)]).await;
}

pub(crate) async fn rewind_cuts_the_bytes_back(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    let bytes = content(3 * MIB, 1);
    let mut staged = session_of(backend, &keys, &bytes).await;
    for offset in [3 * MIB - 1, MIB, 10, 0] {
        staged.rewind(offset as u64).await.unwrap();
        assert_eq!(staged.offset(), offset as u64);
        assert_same(&staged_bytes(&mut *staged).await, &bytes[..offset]);
    }
}

pub(crate) async fn a_rewound_session_is_gone_on_with_where_it_was_cut(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    let bytes = content(10_000, 1);
    let other = content(10_000, 2);
    let mut staged = session_of(backend, &keys, &bytes).await;
    staged.rewind(4_000).await.unwrap();
    staged.append(other.slice(..8_000)).await.unwrap();
    staged.persist(note(12_000), &copy(&keys, 12_000)).await.unwrap();
    drop(staged);
    let expected = [&bytes[..4_000], &other[..8_000]].concat().into();
    assert_goes_on(resume(backend, &keys).await, &expected).await;
}

pub(crate) async fn a_note_above_a_rewind_vouches_for_nothing(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    let mut staged = noted(backend, &keys).await;
    staged.rewind(6).await.unwrap();
    assert_notes(&mut *staged, &[(12, Some(4)), (6, Some(4))]).await;
    // Other bytes come in the place of those that the note at 8 vouched for.
    staged.append("abcdef".into()).await.unwrap();
    assert_notes(&mut *staged, &[(12, Some(4)), (8, Some(4)), (3, Some(0))]).await;
    staged.persist(note(12), &copy(&keys, 12)).await.unwrap();
    drop(staged);
    let mut staged = resume(backend, &keys).await;
    assert_notes(&mut *staged, &[(12, Some(12)), (11, Some(4))]).await;
    assert_eq!(staged_bytes(&mut *staged).await, "123412abcdef");
}

pub(crate) async fn a_rewind_to_the_offset_changes_nothing(fixture: &Fixture) {
    let mut staged = noted(&*fixture.backend, &session("1")).await;
    staged.rewind(12).await.unwrap();
    assert_eq!(staged.offset(), 12);
    assert_notes(&mut *staged, &[(12, Some(8))]).await;
    // A note at the very offset stays.
    staged.rewind(8).await.unwrap();
    assert_notes(&mut *staged, &[(8, Some(8))]).await;
}

pub(crate) async fn a_copy_holds_the_note(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    drop(noted(backend, &keys).await);
    for offset in [0, 4, 8] {
        let copy = copy(&keys, offset);
        // It is written only where other programs can go on with the session.
        if is_there(backend, &copy).await {
            assert_eq!(read(backend, &copy).await, note(offset));
        }
    }
}

pub(crate) async fn a_deleted_session_is_not_found(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    put(backend, &keys.root.child("startedat").unwrap(), "now").await;
    drop(session_of(backend, &keys, &"bytes".into()).await);
    fixture.reopen().delete_tree(&keys.root).await.unwrap();
    let outcome = open(backend, &keys, OpenSession::Resume(None)).await;
    assert_eq!(kind(outcome), ErrorKind::NotFound);
    assert_nothing_is_left(fixture).await;
}

pub(crate) async fn a_discarded_session_leaves_nothing(fixture: &Fixture) {
    let (backend, keys) = (&*fixture.backend, session("1"));
    noted(backend, &keys).await.discard().await.unwrap();
    assert_nothing_is_left(fixture).await;
    let outcome = open(backend, &keys, OpenSession::Resume(None)).await;
    assert_eq!(kind(outcome), ErrorKind::NotFound);
    drop(noted(backend, &keys).await);
    resume(backend, &keys).await.discard().await.unwrap();
    assert_nothing_is_left(fixture).await;
}

pub(crate) async fn two_sessions_do_not_touch_each_other(fixture: &Fixture) {
    let backend = &*fixture.backend;
    let (one, two) = (session("1"), session("1-a"));
    let mut first = session_of(backend, &one, &"first".into()).await;
    let mut second = session_of(backend, &two, &"second".into()).await;
    first.rewind(2).await.unwrap();
    second.append(" goes on".into()).await.unwrap();
    assert_eq!(staged_bytes(&mut *first).await, "fi");
    assert_eq!(staged_bytes(&mut *second).await, "second goes on");
    first.discard().await.unwrap();
    assert_eq!(staged_bytes(&mut *second).await, "second goes on");
    drop(second);
    let mut second = resume(backend, &two).await;
    assert_eq!(second.note(100).await.unwrap(), Some((6, note(6))));
}

#[derive(Clone, Debug)]
enum Step {
    Append(usize, u64),
    Persist(u64),
    Rewind(prop::sample::Index),
    /// Persists first: what was not persisted may go with the handle.
    Reopen(bool, u64),
    Look(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![3 => 0usize..50, 1 => 0usize..20_000];
    prop_oneof![
        3 => (length, any::<u64>()).prop_map(|(length, seed)| Step::Append(length, seed)),
        2 => any::<u64>().prop_map(Step::Persist),
        1 => any::<prop::sample::Index>().prop_map(Step::Rewind),
        1 => (any::<bool>(), any::<u64>()).prop_map(|(other, seed)| Step::Reopen(other, seed)),
        1 => any::<prop::sample::Index>().prop_map(Step::Look),
    ]
}

pub(crate) async fn any_steps_leave_what_a_vector_has(fixture: &Fixture) {
    let strategy = prop::collection::vec(step(), 1..25);
    check(fixture, 16, &strategy, async |steps| {
        let keys = session("1");
        let mut staged = begin(&*fixture.backend, &keys).await;
        let (mut bytes, mut notes) = (Vec::new(), BTreeMap::new());
        // A backend may forget old notes, but not the one that was kept last.
        let mut last = None;
        for step in steps {
            let length = bytes.len();
            match step {
                Step::Append(length, seed) => {
                    let part = content(length, seed);
                    bytes.extend_from_slice(&part);
                    staged.append(part).await.unwrap();
                }
                Step::Persist(seed) | Step::Reopen(_, seed) => {
                    let note = content(108, seed);
                    let copy = copy(&keys, length as u64);
                    let tip = staged.persist(note.clone(), &copy).await.unwrap();
                    prop_assert_eq!(tip.offset, length as u64);
                    notes.insert(length as u64, note);
                    last = Some(length as u64);
                    if let Step::Reopen(other, _) = step {
                        drop(staged);
                        let backend =
                            if other { fixture.reopen() } else { fixture.backend.clone() };
                        let resumed = OpenSession::Resume(Some(tip));
                        staged = open(&*backend, &keys, resumed).await.unwrap();
                    }
                }
                Step::Rewind(to) => {
                    let to = to.index(length + 1);
                    staged.rewind(to as u64).await.unwrap();
                    bytes.truncate(to);
                    notes.retain(|&kept_at, _| kept_at <= to as u64);
                    last = last.filter(|&last| last <= to as u64);
                }
                Step::Look(at) => {
                    let at = at.index(length + 1) as u64;
                    let found = staged.note(at).await.unwrap();
                    let kept_at = found.as_ref().map(|(kept_at, _)| *kept_at);
                    prop_assert!(kept_at >= last.filter(|&last| last <= at));
                    if let Some((kept_at, note)) = found {
                        prop_assert!(kept_at <= at);
                        prop_assert_eq!(Some(&note), notes.get(&kept_at));
                    }
                }
            }
            prop_assert_eq!(staged.offset(), bytes.len() as u64);
        }
        prop_assert!(staged_bytes(&mut *staged).await == bytes);
        drop(staged);
        Ok(())
    });
}
