//! `Store::try_out` and `Store::look`: what readiness asks the storage.

use bytes::Bytes;
use futures::TryStreamExt as _;
use registry_store::backend::{Backend, BackendExt as _, ErrorKind, Key, PutMode};
use registry_store::error::{Error, Result};
use registry_tests::backends::{
    CountedBackend, Fault, FaultyBackend, GatedBackend, Method, Moment, YieldingBackend,
};
use registry_tests::polls::drop_after_polls;
use registry_tests::world::{World, push};

use crate::collecting::objects;

on_every_backend!(
    a_storage_that_works_is_tried_out_and_nothing_stays,
    an_empty_storage_is_tried_out_and_looked_at,
    of_many_that_try_out_at_once_none_is_in_anothers_way,
    a_trial_is_a_write_a_read_and_a_delete,
    a_look_writes_nothing,
    whichever_call_of_a_trial_fails_its_error_is_told,
    a_trial_that_cannot_read_back_removes_what_it_wrote,
    a_look_that_fails_tells_why,
    a_trial_goes_on_beside_pushes,
    other_bytes_that_come_back_are_told_of,
);

/// What is in the place of trials.
async fn left(backend: &dyn Backend) -> Vec<Key> {
    backend.list(&"_rs/trial".parse().unwrap(), None).try_collect().await.unwrap()
}

fn told(outcome: Result<()>) -> ErrorKind {
    match outcome {
        Err(Error::Storage(error)) => error.kind(),
        other => panic!("expected a fault of the storage, found {other:?}"),
    }
}

async fn a_storage_that_works_is_tried_out_and_nothing_stays(world: World) {
    push(&world.repository("a"), b"hello").await;
    let before = objects(&*world.backend).await;
    for _ in 0..3 {
        world.store.try_out().await.unwrap();
    }
    assert_eq!(objects(&*world.backend).await, before);
    assert!(left(&*world.backend).await.is_empty());
}

async fn an_empty_storage_is_tried_out_and_looked_at(world: World) {
    world.store.look().await.unwrap();
    world.store.try_out().await.unwrap();
    world.store.look().await.unwrap();
    assert!(left(&*world.backend).await.is_empty());
}

async fn of_many_that_try_out_at_once_none_is_in_anothers_way(world: World) {
    let stores = [world.store.clone(), world.another_process()];
    let trials = (0..8).map(|number| stores[number % 2].try_out());
    for outcome in futures::future::join_all(trials).await {
        outcome.unwrap();
    }
    assert!(left(&*world.backend).await.is_empty());
}

async fn a_trial_is_a_write_a_read_and_a_delete(world: World) {
    let counted = CountedBackend::new(world.backend.clone());
    let store = world.over(counted.clone());
    store.try_out().await.unwrap();
    let counts = counted.counts();
    for method in [Method::PutAll, Method::Read, Method::Delete] {
        assert_eq!(counts.of(method), 1, "{method:?}");
    }
    assert_eq!(counts.total(), 3, "it is bounded: {counts:?}");
}

async fn a_look_writes_nothing(world: World) {
    let counted = CountedBackend::new(world.backend.clone());
    world.over(counted.clone()).look().await.unwrap();
    let counts = counted.counts();
    assert_eq!((counts.of(Method::ListChildren), counts.total()), (1, 1), "{counts:?}");
}

async fn whichever_call_of_a_trial_fails_its_error_is_told(world: World) {
    let faulty = FaultyBackend::new(world.backend.clone());
    let store = world.over(faulty.clone());
    for kind in [ErrorKind::Io, ErrorKind::Full, ErrorKind::Unavailable, ErrorKind::Denied] {
        for moment in [Moment::Before, Moment::After] {
            for call in 1..=3 {
                faulty.arm(Fault { method: None, call, kind, moment });
                assert_eq!(told(store.try_out().await), kind, "{moment:?} at call {call}");
            }
        }
        faulty.arm(Fault { method: None, call: 4, kind, moment: Moment::Before });
        store.try_out().await.unwrap();
        assert!(faulty.disarm(), "there is no fourth call");
    }
    // What a trial could not remove is a few bytes below a place of its own, which the next one takes away.
    store.try_out().await.unwrap();
    assert!(left(&*world.backend).await.is_empty());
}

async fn a_trial_that_cannot_read_back_removes_what_it_wrote(world: World) {
    let faulty = FaultyBackend::new(world.backend.clone());
    let store = world.over(faulty.clone());
    for moment in [Moment::Before, Moment::After, Moment::Partway] {
        let kind = ErrorKind::Io;
        faulty.arm(Fault { method: Some(Method::Read), call: 1, kind, moment });
        assert_eq!(told(store.try_out().await), kind);
        assert!(left(&*world.backend).await.is_empty(), "{moment:?}");
    }
}

async fn a_look_that_fails_tells_why(world: World) {
    let faulty = FaultyBackend::new(world.backend.clone());
    let (kind, moment) = (ErrorKind::Unavailable, Moment::Before);
    faulty.arm(Fault { method: None, call: 1, kind, moment });
    assert_eq!(told(world.over(faulty).look().await), kind);
}

async fn a_trial_goes_on_beside_pushes(world: World) {
    let held = world.store.hold_off_collection().await.unwrap();
    world.store.try_out().await.unwrap();
    let repository = world.repository("a");
    let (pushed, tried) = futures::join!(push(&repository, b"hello"), world.store.try_out());
    tried.unwrap();
    drop(held);
    assert_eq!(repository.blobs().size(&pushed).await.unwrap(), 5);
}

async fn other_bytes_that_come_back_are_told_of(world: World) {
    let gated = GatedBackend::new(world.backend.clone());
    let store = world.over(gated.clone());
    let gate = gated.shut_at(Moment::After, 1);
    let outcome = gate.meanwhile(store.try_out(), async {
        for key in left(&*world.backend).await {
            let other = Bytes::from_static(b"of somebody else");
            world.backend.put(&key, other, PutMode::Overwrite).await.unwrap();
        }
    });
    assert_eq!(told(outcome.await), ErrorKind::Io);
    assert!(left(&*world.backend).await.is_empty());
}

#[tokio::test]
async fn a_trial_that_is_dropped_goes_on_to_its_end_and_harms_not_the_next() {
    let world = World::memory();
    let store = world.over(YieldingBackend::new(world.backend.clone(), || 1));
    for polls in 0.. {
        let has_ended = drop_after_polls(polls, store.try_out()).await.is_some();
        store.try_out().await.unwrap();
        store.finish_detached().await;
        assert!(left(&*world.backend).await.is_empty(), "dropped after {polls} polls");
        if has_ended {
            assert!(polls > 0);
            break;
        }
    }
}
