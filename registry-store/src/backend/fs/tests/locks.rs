//! Locks where there is no space for their files, between processes that have space and such as have none.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, select_all};
use rustix::io::Errno;
use tokio::time::timeout;

use super::*;
use crate::backend::LockMode::{Exclusive, Shared, ToDelete};
use crate::backend::{ErrorKind, LockGuard, LockMode};
use crate::digest::Digest;
use crate::layout;

/// A process that has no space, on data of another registry.
fn full() -> Ground {
    let ground = Ground::new();
    std::fs::create_dir(ground.root().join("docker")).unwrap();
    ground.system.refuse("make_directory", Errno::NOSPC);
    ground
}

/// Another process that has none.
fn another_full(ground: &Ground) -> FilesystemBackend<Scripted> {
    FilesystemBackend::with_system(ground.root(), ground.system.clone()).unwrap()
}

fn lock<'b>(
    backend: &'b FilesystemBackend<Scripted>,
    scope: &str,
    mode: LockMode,
) -> BoxFuture<'b, LockGuard> {
    let scope = k(scope);
    async move { backend.lock(&scope, mode).await.unwrap() }.boxed()
}

async fn assert_waits(waiting: &mut BoxFuture<'_, LockGuard>, why: &str) {
    assert!(timeout(Duration::from_secs(60), waiting).await.is_err(), "{why}");
}

#[tokio::test(start_paused = true)]
async fn who_deletes_without_space_keeps_everybody_out_who_has_it() {
    for mode in [Shared, Exclusive, ToDelete] {
        let ground = full();
        let other = ground.another_process();
        let held = lock(&ground.backend, "r/a", ToDelete).await;
        assert!(!ground.root().join("_rs").exists());
        let mut waiting = lock(&other, "r/a", mode);
        assert_waits(&mut waiting, "the lock is held without a file").await;
        drop(held);
        // From here on there is a file, and both know of it.
        let held = waiting.await;
        let mut waiting = lock(&ground.backend, "r/a", ToDelete);
        assert_waits(&mut waiting, "the lock is held by its file").await;
        drop(held);
        let _held = waiting.await;
        drop(lock(&other, "r/b", Exclusive).await);
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_delete_without_space_keep_each_other_out() {
    let ground = full();
    let other = another_full(&ground);
    for scope in ["r/a", "r/b"] {
        let held = lock(&ground.backend, "r/a", ToDelete).await;
        let mut waiting = lock(&other, scope, ToDelete);
        assert_waits(&mut waiting, scope).await;
        drop(held);
        waiting.await;
    }
    // And in one process.
    let held = lock(&ground.backend, "r/a", ToDelete).await;
    let mut waiting = lock(&ground.backend, "r/b", ToDelete);
    assert_waits(&mut waiting, "one process").await;
    drop(held);
    waiting.await;
}

#[tokio::test(start_paused = true)]
async fn who_finds_a_file_waits_for_nobody_who_has_none() {
    let ground = full();
    let other = ground.another_process();
    drop(lock(&other, "r/a", Shared).await);
    let _held = lock(&ground.backend, "r/b", ToDelete).await;
    for mode in [Shared, Exclusive, ToDelete] {
        drop(lock(&other, "r/a", mode).await);
        drop(lock(&ground.backend, "r/a", mode).await);
    }
}

#[tokio::test(start_paused = true)]
async fn of_who_deletes_and_who_has_got_space_one_waits_for_the_other() {
    let ground = full();
    let (deletes, writes) = (another_full(&ground), ground.another_process());
    let held = lock(&ground.backend, "r/b", ToDelete).await;
    let mut deleting = lock(&deletes, "r/a", ToDelete);
    assert_waits(&mut deleting, "another deletes without a file").await;
    let mut writing = lock(&writes, "r/a", Exclusive);
    assert_waits(&mut writing, "no file is made meanwhile").await;
    drop(held);
    let (first, _, mut others) = select_all([deleting, writing]).await;
    assert_waits(&mut others[0], "whichever came first").await;
    drop(first);
    others.remove(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_made_meanwhile_is_the_one_that_is_locked() {
    let ground = full();
    let deletes = another_full(&ground);
    let held = lock(&ground.backend, "r/b", ToDelete).await;
    let mut deleting = lock(&deletes, "r/a", ToDelete);
    assert_waits(&mut deleting, "another deletes without a file").await;
    // As if it had been before `held`, and after the look of who waits.
    let file = Digest::sha256(b"r/a").hex();
    std::fs::create_dir_all(ground.root().join("_rs/lock")).unwrap();
    std::fs::write(ground.root().join("_rs/lock").join(file), "").unwrap();
    let by_file = lock(&ground.backend, "r/a", Shared).await;
    drop(held);
    assert_waits(&mut deleting, "the lock is held by its file").await;
    drop(lock(&ground.backend, "r/c", ToDelete).await);
    drop(by_file);
    deleting.await;
}

#[tokio::test]
async fn who_is_to_write_is_told_that_there_is_no_space() {
    for error in [Errno::NOSPC, Errno::DQUOT] {
        let ground = full();
        ground.system.refuse("make_directory", error);
        for mode in [Shared, Exclusive] {
            let refused = ground.backend.lock(&k("r/a"), mode).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Full, "{refused}");
        }
    }
}

#[tokio::test]
async fn who_may_not_make_the_file_does_not_go_without_it() {
    let ground = full();
    ground.system.refuse("open", Errno::ACCESS);
    let refused = ground.backend.lock(&k("r/a"), ToDelete).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Denied, "{refused}");
}

/// Neither its lock nor that of the directory, which it may have had by then.
#[tokio::test]
async fn who_gives_up_leaves_nobody_waiting() {
    let ground = full();
    let other = ground.another_process();
    for polls in 0..8 {
        let scope = format!("r/{polls}");
        let mut waiting = lock(&other, &scope, Shared);
        for _ in 0..polls {
            let _ = futures::poll!(&mut waiting);
            tokio::task::yield_now().await;
        }
        drop(waiting);
        drop(lock(&ground.backend, &scope, ToDelete).await);
    }
}

#[tokio::test]
async fn the_directory_that_stands_for_files_stays_when_all_is_deleted() {
    let ground = Ground::new();
    let key = layout::top().child("a").unwrap();
    ground.create(key.as_str(), b"a").await.unwrap();
    ground.backend.delete(&[key]).await.unwrap();
    assert_eq!(std::fs::read_dir(ground.root().join("docker")).unwrap().count(), 0);
}
