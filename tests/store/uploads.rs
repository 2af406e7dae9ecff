//! Upload sessions: begun, added to, taken up by another process, committed, cancelled, expired.

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _, stream};
use registry_store::backend::{BackendExt as _, ErrorKind, PutMode, Tip};
use registry_store::digest::{Algorithm, Digest};
use registry_store::error::Error;
use registry_store::layout::RepositoryLayout;
use registry_store::options::StoreOptions;
use registry_store::store::Store;
use registry_store::uploads::ResumeAt;
use registry_tests::backends::{CountedBackend, Fault, FaultyBackend, Method, Moment};
use registry_tests::world::{World, body, broken_body, no_body, pull, push, repository};

on_every_backend!(
    a_session_in_parts_becomes_a_blob,
    a_session_may_get_all_its_bytes_with_the_commit,
    the_algorithm_may_show_only_at_the_end,
    a_session_hashed_with_sha512_becomes_a_blob,
    a_session_is_gone_after_the_commit,
    another_process_goes_on_with_a_session,
    a_session_whose_record_is_lost_is_hashed_anew,
    a_request_that_begins_elsewhere_is_refused_and_changes_nothing,
    a_part_sent_twice_is_not_appended_twice,
    a_body_that_breaks_off_leaves_what_arrived,
    a_request_that_is_dropped_leaves_a_session_that_goes_on,
    a_wrong_digest_leaves_the_session_as_it_was,
    a_newer_request_takes_the_place_of_an_older,
    a_cancelled_session_is_gone,
    sessions_of_another_repository_are_unknown,
    a_session_does_not_make_a_repository,
    sessions_expire_by_their_age,
    what_is_left_of_a_session_without_a_mark_expires,
    a_session_with_a_mark_and_nothing_else_expires,
    a_session_that_cannot_be_opened_does_not_keep_others_from_expiring,
    a_session_that_another_program_takes_away_is_unknown,
    asking_for_an_unknown_session_writes_nothing,
);

// What was acknowledged is there for the next process, whether that knows that the machine has gone on or not.
stamp!(filesystem_without_boot_id {
    a_session_in_parts_becomes_a_blob
    another_process_goes_on_with_a_session
    a_session_whose_record_is_lost_is_hashed_anew
    a_body_that_breaks_off_leaves_what_arrived
    a_wrong_digest_leaves_the_session_as_it_was
});

fn at(tip: &Tip) -> ResumeAt {
    ResumeAt { tip: Some(tip.clone()), offset: None }
}

fn anywhere() -> ResumeAt {
    ResumeAt::default()
}

async fn a_session_in_parts_becomes_a_blob(world: World) {
    let repository = world.repository("a/b");
    let uploads = repository.uploads();
    let mut status = uploads.start(Algorithm::Sha256).await.unwrap();
    assert_eq!(status.tip.offset, 0);
    for (part, offset) in [("hel", 3), ("", 3), ("lo, ", 7)] {
        status = uploads.append(status.id, at(&status.tip), body(&[part])).await.unwrap();
        assert_eq!(status.tip.offset, offset);
        assert_eq!(uploads.status(status.id).await.unwrap().tip.offset, offset);
    }
    let digest = Digest::sha256(b"hello, world");
    let size = uploads.commit(status.id, at(&status.tip), &digest, body(&["world"])).await.unwrap();
    assert_eq!(size, 12);
    assert_eq!(pull(&repository, &digest).await.unwrap(), b"hello, world");
}

async fn a_session_may_get_all_its_bytes_with_the_commit(world: World) {
    let repository = world.repository("a");
    for content in [&b""[..], b"x", &[7; 1_500_000]] {
        let id = repository.uploads().start(Algorithm::Sha256).await.unwrap().id;
        let digest = Digest::sha256(content);
        repository.uploads().commit(id, anywhere(), &digest, body(&[content])).await.unwrap();
        assert!(pull(&repository, &digest).await.unwrap() == content);
    }
}

async fn the_algorithm_may_show_only_at_the_end(world: World) {
    let repository = world.repository("a");
    let status = repository.uploads().start(Algorithm::Sha256).await.unwrap();
    repository.uploads().append(status.id, anywhere(), body(&["hello"])).await.unwrap();
    let digest = Digest::of(Algorithm::Sha512, b"hello");
    repository.uploads().commit(status.id, anywhere(), &digest, no_body()).await.unwrap();
    assert_eq!(pull(&repository, &digest).await.unwrap(), b"hello");
}

async fn a_session_hashed_with_sha512_becomes_a_blob(world: World) {
    let repository = world.repository("a");
    let id = repository.uploads().start(Algorithm::Sha512).await.unwrap().id;
    repository.uploads().append(id, anywhere(), body(&["hel"])).await.unwrap();
    let other = registry_tests::world::repository(&world.another_process(), "a");
    let digest = Digest::of(Algorithm::Sha512, b"hello");
    other.uploads().commit(id, anywhere(), &digest, body(&["lo"])).await.unwrap();
    assert_eq!(pull(&repository, &digest).await.unwrap(), b"hello");
}

async fn a_session_is_gone_after_the_commit(world: World) {
    let repository = world.repository("a");
    let id = repository.uploads().start(Algorithm::Sha256).await.unwrap().id;
    let digest = Digest::sha256(b"x");
    repository.uploads().commit(id, anywhere(), &digest, body(&["x"])).await.unwrap();
    let error = repository.uploads().status(id).await.unwrap_err();
    assert!(matches!(error, Error::UploadUnknown { .. }));
    let below = RepositoryLayout::new(repository.name()).uploads();
    assert_eq!(world.backend.list(&below, None).count().await, 0);
}

async fn another_process_goes_on_with_a_session(world: World) {
    let content: Vec<u8> = (0..2_000_000u32).map(|n| (n % 253) as u8).collect();
    let uploads = world.repository("a").uploads();
    let mut status = uploads.start(Algorithm::Sha256).await.unwrap();
    for part in content.chunks(300_007) {
        let other = repository(&world.another_process(), "a");
        let appended = other.uploads().append(status.id, at(&status.tip), body(&[part])).await;
        status = appended.unwrap();
    }
    let digest = Digest::sha256(&content);
    let other = repository(&world.another_process(), "a");
    other.uploads().commit(status.id, at(&status.tip), &digest, no_body()).await.unwrap();
    assert!(pull(&world.repository("a"), &digest).await.unwrap() == content);
}

async fn a_session_whose_record_is_lost_is_hashed_anew(world: World) {
    let repository = world.repository("a");
    let id = repository.uploads().start(Algorithm::Sha256).await.unwrap().id;
    repository.uploads().append(id, anywhere(), body(&["hel"])).await.unwrap();
    let keys = RepositoryLayout::new(repository.name()).session(id);
    world.backend.delete(&[keys.record]).await.unwrap();
    let digest = Digest::sha256(b"hello");
    repository.uploads().commit(id, anywhere(), &digest, body(&["lo"])).await.unwrap();
    assert_eq!(pull(&repository, &digest).await.unwrap(), b"hello");
}

async fn a_request_that_begins_elsewhere_is_refused_and_changes_nothing(world: World) {
    let uploads = world.repository("a").uploads();
    let id = uploads.start(Algorithm::Sha256).await.unwrap().id;
    uploads.append(id, anywhere(), body(&["hello"])).await.unwrap();
    for offset in [0, 4, 6] {
        let elsewhere = ResumeAt { tip: None, offset: Some(offset) };
        let error = uploads.append(id, elsewhere.clone(), body(&["x"])).await.unwrap_err();
        assert!(
            matches!(error, Error::UploadOffset { status, found } if status.tip.offset == 5 && found == offset)
        );
        let digest = Digest::sha256(b"hello");
        let error = uploads.commit(id, elsewhere, &digest, body(&["x"])).await.unwrap_err();
        assert!(matches!(error, Error::UploadOffset { status, .. } if status.tip.offset == 5));
    }
    uploads.commit(id, anywhere(), &Digest::sha256(b"hello"), no_body()).await.unwrap();
}

async fn a_part_sent_twice_is_not_appended_twice(world: World) {
    let uploads = world.repository("a").uploads();
    let begun = uploads.start(Algorithm::Sha256).await.unwrap();
    uploads.append(begun.id, at(&begun.tip), body(&["hello"])).await.unwrap();
    // It is refused, or written anew behind the same bytes as the first.
    let tip = match uploads.append(begun.id, at(&begun.tip), body(&["hello"])).await {
        Ok(again) => again.tip,
        Err(Error::UploadOffset { status, found: 0 }) => status.tip,
        Err(error) => panic!("{error}"),
    };
    assert_eq!(tip.offset, 5);
    let digest = Digest::sha256(b"hello");
    uploads.commit(begun.id, at(&tip), &digest, no_body()).await.unwrap();
}

async fn a_body_that_breaks_off_leaves_what_arrived(world: World) {
    let repository = world.repository("a");
    let uploads = repository.uploads();
    let id = uploads.start(Algorithm::Sha256).await.unwrap().id;
    let error = uploads.append(id, anywhere(), broken_body(b"hel")).await.unwrap_err();
    assert!(matches!(error, Error::Body(_)));
    assert_eq!(uploads.status(id).await.unwrap().tip.offset, 3);
    let digest = Digest::sha256(b"hello, world");
    let error = uploads.commit(id, anywhere(), &digest, broken_body(b"lo, ")).await.unwrap_err();
    assert!(matches!(error, Error::Body(_)));
    assert_eq!(uploads.status(id).await.unwrap().tip.offset, 7);
    uploads.commit(id, anywhere(), &digest, body(&["world"])).await.unwrap();
    assert_eq!(pull(&repository, &digest).await.unwrap(), b"hello, world");
}

async fn a_request_that_is_dropped_leaves_a_session_that_goes_on(world: World) {
    let repository = world.repository("a");
    let uploads = repository.uploads();
    let id = uploads.start(Algorithm::Sha256).await.unwrap().id;
    let content = vec![5u8; 3_000_000];
    // Sends all it has, then waits for ever; dropped after some polls, at some point of storing it.
    let parts: Vec<_> = content.chunks(100_000).map(|part| Ok(part.to_vec().into())).collect();
    let endless = stream::iter(parts).chain(stream::pending());
    let mut request = Box::pin(uploads.append(id, anywhere(), endless));
    for _ in 0..20 {
        assert!(request.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    drop(request);

    let reached = uploads.status(id).await.unwrap().tip.offset as usize;
    assert!(reached <= content.len());
    let digest = Digest::sha256(&content);
    uploads.commit(id, anywhere(), &digest, body(&[&content[reached..]])).await.unwrap();
    assert!(pull(&repository, &digest).await.unwrap() == content);
}

async fn a_wrong_digest_leaves_the_session_as_it_was(world: World) {
    let repository = world.repository("a");
    let uploads = repository.uploads();
    let id = uploads.start(Algorithm::Sha256).await.unwrap().id;
    uploads.append(id, anywhere(), body(&["hel"])).await.unwrap();
    for wrong in [Digest::sha256(b"other"), Digest::of(Algorithm::Sha512, b"other")] {
        let error = uploads.commit(id, anywhere(), &wrong, body(&["p!"])).await.unwrap_err();
        assert!(matches!(error, Error::DigestMismatch { expected, .. } if expected == wrong));
        assert_eq!(uploads.status(id).await.unwrap().tip.offset, 3);
    }
    let digest = Digest::sha256(b"hello");
    uploads.commit(id, anywhere(), &digest, body(&["lo"])).await.unwrap();
    assert_eq!(pull(&repository, &digest).await.unwrap(), b"hello");
}

async fn a_newer_request_takes_the_place_of_an_older(world: World) {
    let repository = world.repository("a");
    let uploads = repository.uploads();
    let id = uploads.start(Algorithm::Sha256).await.unwrap().id;
    let hanging = body(&["hel"]).chain(stream::pending());
    let (older, newer) = futures::join!(uploads.append(id, anywhere(), hanging), async {
        tokio::task::yield_now().await;
        uploads.status(id).await
    },);
    assert!(matches!(older, Err(Error::UploadSuperseded { .. })), "{older:?}");
    let reached = newer.unwrap().tip.offset as usize;
    assert!(reached == 0 || reached == 3);
    let digest = Digest::sha256(b"hello");
    uploads.commit(id, anywhere(), &digest, body(&[&"hello"[reached..]])).await.unwrap();
    assert_eq!(pull(&repository, &digest).await.unwrap(), b"hello");
}

async fn a_cancelled_session_is_gone(world: World) {
    let uploads = world.repository("a").uploads();
    let id = uploads.start(Algorithm::Sha256).await.unwrap().id;
    uploads.append(id, anywhere(), body(&["hello"])).await.unwrap();
    uploads.cancel(id).await.unwrap();
    assert!(matches!(uploads.cancel(id).await, Err(Error::UploadUnknown { .. })));
    let error = uploads.append(id, anywhere(), body(&["hello"])).await.unwrap_err();
    assert!(matches!(error, Error::UploadUnknown { .. }));
    let everything = "docker".parse().unwrap();
    assert_eq!(world.backend.list(&everything, None).count().await, 0);
}

async fn sessions_of_another_repository_are_unknown(world: World) {
    let id = world.repository("a").uploads().start(Algorithm::Sha256).await.unwrap().id;
    for name in ["b", "a/b"] {
        let error = world.repository(name).uploads().status(id).await.unwrap_err();
        assert!(matches!(error, Error::UploadUnknown { .. }));
    }
}

async fn a_session_does_not_make_a_repository(world: World) {
    let repository = world.repository("a");
    repository.uploads().start(Algorithm::Sha256).await.unwrap();
    assert!(!repository.exists().await.unwrap());
    assert!(world.store.repositories(None, 10).await.unwrap().items.is_empty());
}

async fn sessions_expire_by_their_age(world: World) {
    let uploads = world.repository("a/b").uploads();
    let day = Duration::from_hours(24);
    let old = uploads.start(Algorithm::Sha256).await.unwrap().id;
    world.clock.advance(day);
    let young = uploads.start(Algorithm::Sha256).await.unwrap().id;
    world.clock.advance(day);

    assert_eq!(world.store.purge_uploads(day * 3).await.unwrap().uploads, 0);
    assert_eq!(world.store.purge_uploads(day + day / 2).await.unwrap().uploads, 1);
    assert!(matches!(uploads.status(old).await, Err(Error::UploadUnknown { .. })));
    uploads.status(young).await.unwrap();
    assert_eq!(world.store.purge_uploads(day / 2).await.unwrap().uploads, 1);
    push(&world.repository("a/b"), b"still works").await;
}

async fn what_is_left_of_a_session_without_a_mark_expires(world: World) {
    let repository = world.repository("a");
    let id = repository.uploads().start(Algorithm::Sha256).await.unwrap().id;
    let keys = RepositoryLayout::new(repository.name()).session(id);
    world.backend.delete(std::slice::from_ref(&keys.mark)).await.unwrap();
    let litter = keys.root.child("litter").unwrap();
    world.backend.put(&litter, "x".into(), PutMode::Create).await.unwrap();
    let hour = Duration::from_hours(1);
    assert_eq!(world.store.purge_uploads(hour).await.unwrap().litter, 0);
    world.clock.advance(hour * 2);
    assert_eq!(world.store.purge_uploads(hour).await.unwrap().litter, 1);
    assert_eq!(world.backend.list(&keys.root, None).count().await, 0);
}

/// One that a program broke off, or keeps elsewhere, as Distribution in a bucket.
async fn a_session_with_a_mark_and_nothing_else_expires(world: World) {
    let repository = world.repository("a");
    let id = "0b7a6d2e-3f0c-4d5c-9f3e-0d6a5e1c2b3a".parse().unwrap();
    let keys = RepositoryLayout::new(repository.name()).session(id);
    let mark = "2020-01-01T00:00:00Z";
    world.backend.put(&keys.mark, mark.into(), PutMode::Create).await.unwrap();
    let report = world.store.purge_uploads(Duration::from_hours(1)).await.unwrap();
    assert_eq!((report.uploads, report.litter), (1, 0));
    assert_eq!(world.backend.list(&keys.root, None).count().await, 0);
}

async fn a_session_that_cannot_be_opened_does_not_keep_others_from_expiring(world: World) {
    let (first, second) = (world.repository("a"), world.repository("b"));
    let stuck = first.uploads().start(Algorithm::Sha256).await.unwrap().id;
    let other = second.uploads().start(Algorithm::Sha256).await.unwrap().id;
    world.clock.advance(Duration::from_hours(2));
    let backend = FaultyBackend::new(world.backend.clone());
    let denied = Fault {
        method: Some(Method::Stage),
        call: 1,
        kind: ErrorKind::Denied,
        moment: Moment::Before,
    };
    backend.arm(denied);
    let options = StoreOptions { clock: world.clock.clone(), ..StoreOptions::default() };
    let store = Store::new(Arc::new(backend), options);
    let hour = Duration::from_hours(1);
    store.purge_uploads(hour).await.unwrap_err();
    assert!(second.uploads().status(other).await.is_err());
    first.uploads().status(stuck).await.unwrap();
    assert_eq!(store.purge_uploads(hour).await.unwrap().uploads, 1);
}

async fn a_session_that_another_program_takes_away_is_unknown(world: World) {
    let uploads = world.repository("a").uploads();
    let id = uploads.start(Algorithm::Sha256).await.unwrap().id;
    let root = RepositoryLayout::new(world.repository("a").name()).session(id).root;
    let backend = world.backend.clone();
    let taken_away = stream::once(async move {
        backend.delete_tree(&root).await.unwrap();
        Ok("hello".into())
    });
    // Where another process can end a session under a request, the request may not learn of it; the next one does.
    let ended = uploads.append(id, anywhere(), taken_away).await;
    let next = uploads.append(id, anywhere(), body(&["more"])).await;
    assert!(matches!(ended, Ok(_) | Err(Error::UploadUnknown { .. })), "{ended:?}");
    assert!(matches!(next, Err(Error::UploadUnknown { .. })), "{next:?}");
}

async fn asking_for_an_unknown_session_writes_nothing(world: World) {
    let id = "0b7a6d2e-3f0c-4d5c-9f3e-0d6a5e1c2b3a".parse().unwrap();
    let repository = world.repository("a");
    let counted = CountedBackend::new(world.backend.clone());
    let store = Store::new(Arc::new(counted.clone()), StoreOptions::default());
    let asked = store.repository(repository.name()).uploads().status(id).await;
    assert!(matches!(asked, Err(Error::UploadUnknown { .. })));
    assert_eq!(counted.counts().of(Method::Stage), 0);
    assert_eq!(counted.counts().total(), 1);
}

/// An object below the name of a file is, on a filesystem, a directory in its place.
#[tokio::test]
async fn on_a_filesystem_a_session_that_cannot_be_opened_is_cancelled_mark_first() {
    let world = World::filesystem();
    let uploads = world.repository("a").uploads();
    let layout = RepositoryLayout::new(world.repository("a").name());
    for file in ["_record", "data"] {
        let id = uploads.start(Algorithm::Sha256).await.unwrap().id;
        let keys = layout.session(id);
        let foreign = keys.root.child(file).unwrap();
        world.backend.delete(std::slice::from_ref(&foreign)).await.unwrap();
        let below = foreign.child("what").unwrap();
        world.backend.put(&below, "is this?".into(), PutMode::Create).await.unwrap();
        let is_foreign = |error: &Error| matches!(error, Error::Storage(error) if error.kind() == ErrorKind::Foreign);
        let told = uploads.status(id).await.unwrap_err();
        assert!(is_foreign(&told), "{file}: {told}");

        // Cut where a crash could: the session is gone by then, and what is left is litter.
        let backend = FaultyBackend::new(world.backend.clone());
        backend.arm(Fault {
            method: Some(Method::DeleteTree),
            call: 1,
            kind: ErrorKind::Io,
            moment: Moment::Before,
        });
        let cut = Store::new(Arc::new(backend), StoreOptions::default());
        cut.repository(layout.name()).uploads().cancel(id).await.unwrap_err();
        assert_eq!(world.backend.head(&keys.mark).await.unwrap(), None, "{file}");
        let gone = uploads.status(id).await.unwrap_err();
        assert!(matches!(gone, Error::UploadUnknown { .. }), "{file}: {gone}");
        world
            .backend
            .put(&keys.mark, "2020-01-01T00:00:00Z".into(), PutMode::Create)
            .await
            .unwrap();

        uploads.cancel(id).await.unwrap();
        assert_eq!(world.backend.list(&keys.root, None).count().await, 0, "{file}");
        let again = uploads.cancel(id).await.unwrap_err();
        assert!(matches!(again, Error::UploadUnknown { .. }), "{file}: {again}");
    }
    push(&world.repository("a"), b"still works").await;
}
