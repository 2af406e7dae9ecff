//! A scrub that is stopped between any two of its calls, while another process pushes, heals or scrubs.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use registry_store::backend::BackendExt as _;
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::Error;
use registry_store::layout;
use registry_store::scrub::Finding;
use registry_store::store::Store;
use registry_tests::backends::{Gate, GatedBackend, Method, Moment};
use registry_tests::documents::push_image;
use registry_tests::world::{World, body, pull, push, repository, store_on};

use crate::scrubbing::{put, scrub};

on_every_backend_of_ours!(
    a_push_between_any_two_calls_of_a_scrub_is_never_put_aside,
    a_blob_that_is_healed_before_it_is_put_aside_stays,
);

const GOOD: &[u8] = b"hello, world";

/// The calls of a scrub that meets a damaged blob, each with its number among those of its method: read, looked at, read
/// again; and under the lock looked at again and put aside.
const CALLS: &[(Method, u64)] = &[
    (Method::Read, 1),
    (Method::Head, 1),
    (Method::Read, 2),
    (Method::Lock, 1),
    (Method::Head, 2),
    (Method::Quarantine, 1),
];

/// What another process does meanwhile.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    Push,
    Session,
    /// It finds the damage itself, and pushes.
    ScrubAndPush,
}

/// Shuts the way of the `number`th call of a method about the blob.
fn shut(gates: &GatedBackend, moment: Moment, (method, number): (Method, u64)) -> Gate {
    let digest = Digest::sha256(GOOD);
    let (blob, shard) = (layout::blob(&digest), layout::blob_shard(&digest));
    let met = AtomicU64::new(0);
    gates.shut_where(moment, method, move |key| {
        let is_about = *key == blob || *key == shard;
        is_about && met.fetch_add(1, Ordering::Relaxed) + 1 == number
    })
}

/// Does the scrub hold the lock here, under which nobody else names the blob?
fn is_locked(moment: Moment, (method, number): (Method, u64)) -> bool {
    match (method, number) {
        (Method::Lock, _) => moment == Moment::After,
        (Method::Head, 2) | (Method::Quarantine, _) => true,
        _ => false,
    }
}

async fn act(store: Store, meanwhile: Meanwhile) {
    let repository = repository(&store, "a");
    match meanwhile {
        Meanwhile::Push => {
            push(&repository, GOOD).await;
        }
        Meanwhile::Session => {
            let uploads = repository.uploads();
            let id = uploads.start(Algorithm::Sha256).await.unwrap().id;
            let digest = Digest::sha256(GOOD);
            uploads.commit(id, Default::default(), &digest, body(&[GOOD])).await.unwrap();
        }
        Meanwhile::ScrubAndPush => {
            scrub(&store).await;
            push(&repository, GOOD).await;
        }
    }
}

async fn a_push_between_any_two_calls_of_a_scrub_is_never_put_aside(world: World) {
    let digest = push(&world.repository("a"), GOOD).await;
    let blob = layout::blob(&digest);
    let mut aside = Vec::new();
    for damage in ["hello, worle", "hello"] {
        for meanwhile in [Meanwhile::Push, Meanwhile::Session, Meanwhile::ScrubAndPush] {
            for call in CALLS {
                for moment in [Moment::Before, Moment::After] {
                    put(&world, &blob, damage).await;
                    let found = stopped(&world, moment, *call, meanwhile).await;
                    let context = format!("{damage:?} {meanwhile:?} {moment:?} {call:?} {found:?}");

                    // Whatever the order was: what is there is good, and what was put aside was not.
                    let stored = world.backend.read_small(&blob, 100).await.unwrap();
                    assert!(stored.as_ref().is_none_or(|bytes| bytes == GOOD), "{context}");
                    let before = aside.len();
                    aside = world.quarantined().await;
                    assert!(aside.iter().all(|bytes| bytes != GOOD), "{context}");
                    let was_put_aside = matches!(found, Some(Finding::PutAside));
                    assert!(aside.len() - before <= 1, "{context}");
                    // Without locks between processes a push may come first, and then nothing is put aside.
                    let is_exact = world.backend.medium().locks_reach_processes;
                    assert!(!is_exact || !was_put_aside || aside.len() == before + 1, "{context}");
                    // A push that finds the damaged blob of its own size keeps it; else it is there.
                    let is_kept = damage.len() == GOOD.len() && was_put_aside;
                    assert!(stored.is_some() || is_kept, "{context}");

                    let pulled = pull(&world.repository("a"), &digest).await;
                    assert!(matches!(pulled, Ok(_) | Err(Error::BlobUnknown { .. })), "{context}");
                    push(&world.repository("a"), GOOD).await;
                    assert_eq!(pull(&world.repository("a"), &digest).await.unwrap(), GOOD);
                }
            }
        }
    }
}

/// What a scrub finds of the blob that is stopped at a call, while another process does something.
async fn stopped(
    world: &World,
    moment: Moment,
    call: (Method, u64),
    meanwhile: Meanwhile,
) -> Option<Finding> {
    let gates = GatedBackend::new(world.backend.clone());
    let store = store_on(gates.clone());
    let other = world.another_process();
    let waits = is_locked(moment, call) && world.backend.medium().locks_reach_processes;
    let gate = shut(&gates, moment, call);
    let mut task = None;
    let found = gate
        .meanwhile(scrub(&store), async {
            let acting = tokio::spawn(act(other, meanwhile));
            if waits {
                // It does when the lock is let go of.
                task = Some(acting);
            } else {
                acting.await.unwrap();
            }
        })
        .await;
    if let Some(task) = task {
        task.await.unwrap();
    }
    found.into_iter().next().map(|blob| blob.finding)
}

async fn a_blob_that_is_healed_before_it_is_put_aside_stays(world: World) {
    let repository = world.repository("a");
    push_image(&repository, b"{}", &[GOOD], "v1").await;
    let blob = layout::blob(&Digest::sha256(GOOD));
    // Of the same size, and all in the same moment: neither tells them apart.
    put(&world, &blob, "hello, worle").await;
    let gates = GatedBackend::new(world.backend.clone());
    let store = store_on(gates.clone());
    let gate = shut(&gates, Moment::Before, (Method::Lock, 1));
    let healing = act(world.another_process(), Meanwhile::ScrubAndPush);
    let found = gate.meanwhile(scrub(&store), healing).await;
    let damaged = found.iter().find(|blob| blob.digest == Digest::sha256(GOOD)).unwrap();
    assert!(matches!(damaged.finding, Finding::Changed), "{damaged:?}");
    assert_eq!(pull(&repository, &Digest::sha256(GOOD)).await.unwrap(), GOOD);
    assert_eq!(world.quarantined().await, [Bytes::from_static(b"hello, worle")]);
}

#[tokio::test]
async fn a_file_that_was_healed_is_not_put_aside_for_one_of_the_same_size_and_time() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(layout::blob(&Digest::sha256(GOOD)).as_str());
    let world = World::in_directory(directory);
    let digest = push(&world.repository("a"), GOOD).await;
    put(&world, &layout::blob(&digest), "hello, worle").await;
    let judged = std::fs::metadata(&file).unwrap().modified().unwrap();
    let gates = GatedBackend::new(world.backend.clone());
    let store = store_on(gates.clone());
    let gate = shut(&gates, Moment::Before, (Method::Lock, 1));
    let other = world.another_process();
    let found = gate
        .meanwhile(scrub(&store), async {
            act(other, Meanwhile::ScrubAndPush).await;
            let healed = std::fs::File::options().write(true).open(&file).unwrap();
            healed.set_modified(judged).unwrap();
        })
        .await;
    assert!(matches!(found[0].finding, Finding::Changed), "{found:?}");
    assert_eq!(pull(&world.repository("a"), &digest).await.unwrap(), GOOD);
}
