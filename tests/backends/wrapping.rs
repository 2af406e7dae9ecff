//! What the wrappers of the test support do beyond forwarding.

use std::sync::Arc;

use registry_store::backend::{
    Backend, BackendExt as _, ErrorKind, LockMode, MemoryBackend, PutMode,
};
use registry_tests::backends::{
    CountedBackend, Fault, FaultyBackend, GatedBackend, Method, Moment, RecordedBackend,
};

use crate::common::{
    begin, copy, is_there, key, kind, listed, note, put, read, session, session_of,
};

#[tokio::test]
async fn calls_are_counted_by_their_method() {
    let backend = CountedBackend::new(Arc::new(MemoryBackend::new()));
    let staged = session_of(&backend, &session("1"), &"bytes".into()).await;
    staged.discard().await.unwrap();
    for _ in 0..3 {
        is_there(&backend, &key("a")).await;
    }
    let counts = backend.reset();
    let seen = [Method::Stage, Method::Append, Method::Persist, Method::Discard];
    assert!(seen.iter().all(|method| counts.of(*method) == 1));
    assert_eq!((counts.of(Method::Head), counts.total()), (3, 7));
    assert_eq!(backend.counts().total(), 0);
    assert_eq!(counts.of(Method::Read), 0);
}

#[tokio::test]
async fn the_chosen_call_of_the_chosen_method_fails_once() {
    let backend = FaultyBackend::new(Arc::new(MemoryBackend::new()));
    backend.arm(Fault {
        method: Some(Method::Head),
        call: 2,
        kind: ErrorKind::Unavailable,
        moment: Moment::Before,
    });
    put(&backend, &key("a"), "a").await;
    assert!(is_there(&backend, &key("a")).await);
    put(&backend, &key("b"), "b").await;
    let outcome = backend.head(&key("a")).await;
    assert_eq!(kind(outcome), ErrorKind::Unavailable);
    assert!(is_there(&backend, &key("a")).await);
    assert!(!backend.disarm(), "the fault was met");
}

#[tokio::test]
async fn a_call_that_fails_before_does_nothing_and_one_that_fails_after_does_all() {
    for (moment, expected) in [(Moment::Before, false), (Moment::After, true)] {
        let backend = FaultyBackend::new(Arc::new(MemoryBackend::new()));
        backend.arm(Fault { method: None, call: 1, kind: ErrorKind::Io, moment });
        let outcome = backend.put(&key("a"), "a".into(), PutMode::Create).await;
        assert_eq!(kind(outcome), ErrorKind::Io);
        assert_eq!(is_there(&backend, &key("a")).await, expected);
        assert_eq!(listed(&backend, &"docker".parse().unwrap()).await.len(), usize::from(expected));
    }
}

#[tokio::test]
async fn a_call_that_fails_half_way_has_done_a_part_and_one_without_parts_does_not_count() {
    let backend = FaultyBackend::new(Arc::new(MemoryBackend::new()));
    let arm = || {
        backend.arm(Fault { method: None, call: 1, kind: ErrorKind::Io, moment: Moment::Partway });
    };
    arm();
    put(&backend, &key("a"), "one put has no parts").await;
    let mut staged = begin(&backend, &session("1")).await;
    assert_eq!(kind(staged.append("whole".into()).await), ErrorKind::Io);
    assert_eq!(staged.offset(), 2);

    for name in ["x/1", "x/2", "x/3", "x/4"] {
        put(&backend, &key(name), name).await;
    }
    arm();
    let several = ["x/1", "x/2", "x/3"].map(key);
    assert_eq!(kind(backend.delete(&several).await), ErrorKind::Io);
    assert_eq!(listed(&backend, &key("x")).await.len(), 3);
    arm();
    assert_eq!(kind(backend.delete_tree(&key("x")).await), ErrorKind::Io);
    assert_eq!(listed(&backend, &key("x")).await.len(), 1);
    arm();
    assert_eq!(kind(backend.read_small(&key("a"), 100).await), ErrorKind::Io);
    assert_eq!(read(&backend, &key("a")).await, "one put has no parts");
}

#[tokio::test]
async fn a_call_is_stopped_by_its_number_whichever_it_is() {
    let backend = GatedBackend::new(Arc::new(MemoryBackend::new()));
    let three = async {
        put(&backend, &key("a"), "1").await;
        put(&backend, &key("b"), "1").await;
        put(&backend, &key("c"), "1").await;
    };
    let gate = backend.shut_at(Moment::Before, 2);
    gate.meanwhile(three, async {
        let there = [key("a"), key("b")].map(async |key| is_there(&backend, &key).await);
        assert_eq!(futures::future::join_all(there).await, [true, false]);
    })
    .await;
    let gate = backend.shut_at(Moment::Before, 2);
    let a = key("a");
    assert!(!gate.meanwhile_if_reached(put(&backend, &a, "2"), async {}).await.1);
}

#[tokio::test]
async fn every_call_of_an_operation_can_be_failed_in_turn() {
    let backend = FaultyBackend::new(Arc::new(MemoryBackend::new()));
    let keys = session("1");
    let mut failures = 0;
    for call in 1.. {
        backend.arm(Fault { method: None, call, kind: ErrorKind::Full, moment: Moment::After });
        let operation = async {
            let stage = registry_store::backend::Stage::Session {
                keys: &keys,
                open: registry_store::backend::OpenSession::New,
            };
            let mut staged = backend.stage(stage).await?;
            staged.append("bytes".into()).await?;
            staged.persist(note(5), &copy(&keys, 5)).await?;
            staged.promote(&key("to"), 5).await
        };
        let outcome = operation.await;
        if backend.disarm() {
            outcome.unwrap();
            break;
        }
        assert_eq!(kind(outcome), ErrorKind::Full);
        failures += 1;
        backend.delete_tree(&keys.root).await.unwrap();
        backend.delete(&[key("to")]).await.unwrap();
    }
    assert_eq!(failures, 4, "stage, append, persist and promote failed");
}

#[tokio::test]
async fn a_call_waits_at_its_gate_before_or_after_its_work_and_no_other_does() {
    for (moment, is_done) in [(Moment::Before, false), (Moment::After, true)] {
        let backend = GatedBackend::new(Arc::new(MemoryBackend::new()));
        let a = key("a");
        let gate = backend.shut(moment, Method::PutAll, &a);
        put(&backend, &key("b"), "b").await;
        let put_a = backend.put(&a, "1".into(), PutMode::Overwrite);
        let outcome = gate.meanwhile(put_a, async {
            assert_eq!(is_there(&backend, &a).await, is_done);
            // A gate stops one call: this one passes.
            put(&backend, &a, "2").await;
        });
        outcome.await.unwrap();
        let left = if is_done { "2" } else { "1" };
        assert_eq!(read(&backend, &a).await, left);
    }
}

#[tokio::test]
async fn what_is_done_to_a_staging_is_stopped_by_its_session_or_by_what_it_becomes() {
    let (keys, to) = (session("1"), key("to"));
    for (method, named) in [(Method::Append, &keys.root), (Method::Promote, &to)] {
        let backend = GatedBackend::new(Arc::new(MemoryBackend::new()));
        let gate = backend.shut(Moment::Before, method, named);
        let promoted = async {
            let mut staged = session_of(&backend, &keys, &"bytes".into()).await;
            staged.promote(&to, 5).await.unwrap();
        };
        gate.meanwhile(promoted, async { assert!(!is_there(&backend, &to).await) }).await;
        assert!(is_there(&backend, &to).await);
    }
}

#[tokio::test]
#[should_panic(expected = "without the call that was to be stopped")]
async fn an_operation_that_does_not_come_to_its_gate_is_found_out() {
    let backend = GatedBackend::new(Arc::new(MemoryBackend::new()));
    let gate = backend.shut(Moment::Before, Method::Head, &key("a"));
    gate.meanwhile(backend.head(&key("b")), async {}).await.unwrap();
}

#[tokio::test]
async fn effects_are_recorded_in_their_order_and_those_at_once_are_told() {
    let backend = RecordedBackend::new(Arc::new(MemoryBackend::new()));
    backend.name("below/a", "A");
    let (a, b) = ("below/a".parse().unwrap(), "below/b".parse().unwrap());
    let lock = backend.lock(&a, LockMode::Exclusive).await.unwrap();
    backend.put(&a, "1".into(), PutMode::Create).await.unwrap();
    backend.head(&a).await.unwrap();
    let (first, second) = futures::join!(
        backend.put(&b, "1".into(), PutMode::Overwrite),
        backend.delete(std::slice::from_ref(&a))
    );
    first.unwrap();
    second.unwrap();
    drop(lock);
    let effects =
        ["lock A, exclusive", "create A", "replace below/b", "meanwhile delete A", "unlock A"];
    assert_eq!(backend.effects(), effects);
    assert_eq!(backend.calls().len(), effects.len() + 1);
    backend.forget();
    assert!(backend.calls().is_empty());
}
