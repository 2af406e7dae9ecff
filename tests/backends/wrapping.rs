//! What the wrappers of the test support do beyond forwarding.

use std::sync::Arc;

use registry_store::backend::{Backend, BackendExt as _, ErrorKind, MemoryBackend, PutMode};
use registry_tests::backends::{CountedBackend, Fault, FaultyBackend, Method, Moment};

use crate::common::{copy, is_there, key, kind, listed, note, put, session, session_of};

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
