//! Objects as files: reading, locks, modes, and roots that are refused.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use futures::{FutureExt as _, poll};
use rustix::io::Errno;

use super::*;
use crate::backend::{ErrorKind, LockMode, ReadRange};

#[tokio::test]
async fn an_open_object_stays_readable_unchanged_when_it_is_replaced_or_deleted() {
    let ground = Ground::used().await;
    ground.create("a", b"old").await.unwrap();
    let open = || async { ground.backend.read(&k("a"), ReadRange::Full).await.unwrap() };
    let (one, two) = (open().await, open().await);
    ground.overwrite("a", b"newer").await.unwrap();
    let parts: Vec<_> = one.into_stream().try_collect().await.unwrap();
    assert_eq!(parts.concat(), b"old");
    ground.backend.delete(&[k("a")]).await.unwrap();
    let parts: Vec<_> = two.into_stream().try_collect().await.unwrap();
    assert_eq!(parts.concat(), b"old");
}

#[tokio::test]
async fn an_object_is_read_in_parts_whether_it_is_in_memory_or_not() {
    let content: Vec<u8> = (0..3_500_000u32).map(|i| (i % 251) as u8).collect();
    for waits in [false, true] {
        let ground = Ground::used().await;
        if waits {
            ground.system.refuse("read_at_nowait", Errno::AGAIN);
        }
        std::fs::write(ground.root().join("big"), &content).unwrap();
        let range = ReadRange::Bounded { start: 17, end: 3_400_000 };
        let object = ground.backend.read(&k("big"), range).await.unwrap();
        assert_eq!(object.size, 3_500_000);
        let parts: Vec<_> = object.into_stream().try_collect().await.unwrap();
        assert!(parts.iter().all(|part| part.len() <= 1 << 20));
        assert!(parts.concat() == content[17..3_400_000]);
    }
}

#[tokio::test]
async fn a_file_that_ends_early_is_an_error_and_never_a_short_body() {
    for waits in [false, true] {
        let ground = Ground::used().await;
        if waits {
            ground.system.refuse("read_at_nowait", Errno::AGAIN);
        }
        let path = ground.root().join("a");
        std::fs::write(&path, b"whole").unwrap();
        let object = ground.backend.read(&k("a"), ReadRange::Full).await.unwrap();
        std::fs::write(&path, b"who").unwrap();
        let result: Result<Vec<_>> = object.into_stream().try_collect().await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Io);
    }
}

#[tokio::test]
async fn what_is_no_object_is_not_found_or_foreign() {
    let ground = Ground::used().await;
    let kind = async |key: &str, range| {
        let result = ground.backend.read(&k(key), range).await;
        result.map(|_| ()).map_err(|error| error.kind())
    };
    assert_eq!(kind("first", ReadRange::Full).await, Err(ErrorKind::NotFound));
    assert_eq!(kind("first/two", ReadRange::Full).await, Err(ErrorKind::NotFound));
    assert_eq!(kind("first/one/x", ReadRange::Full).await, Err(ErrorKind::NotFound));
    let beyond = ReadRange::From(1);
    assert_eq!(kind("first/one", beyond).await, Err(ErrorKind::RangeNotSatisfiable));
    let socket = std::os::unix::net::UnixListener::bind(ground.root().join("socket")).unwrap();
    let error = ground.backend.head(&k("socket")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Foreign);
    drop(socket);

    for key in ["first", "first/one/x"] {
        let error = ground.create(key, b"").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Foreign, "{key}");
        let error = ground.overwrite(key, b"").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Foreign, "{key}");
    }
    let keys = [k("first"), k("first/one/x"), k("none/at/all")];
    ground.backend.delete(&keys).await.unwrap();
    assert_eq!(ground.files(), ["first/one", "socket"]);
}

#[tokio::test]
async fn a_symbolic_link_that_leads_nowhere_is_not_taken_for_an_object() {
    let ground = Ground::used().await;
    std::os::unix::fs::symlink("nowhere", ground.root().join("broken")).unwrap();
    let error = ground.create("broken", b"x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Foreign);
    assert!(!ground.root().join("nowhere").exists());
}

#[tokio::test]
async fn files_and_directories_have_the_modes_the_umask_leaves() {
    let ground = Ground::used().await;
    let mode = |path: &str| {
        let metadata = std::fs::metadata(ground.root().join(path)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    std::fs::write(ground.root().join("usual"), b"").unwrap();
    std::fs::create_dir(ground.root().join("usual-directory")).unwrap();
    let mut staged = begin(&ground.backend, &session("s")).await.unwrap();
    staged.persist("0".into(), &state("s", 0)).await.unwrap();
    ground.overwrite("a/over", b"").await.unwrap();
    let key = k("a/final");
    let mut fin = ground.backend.stage(Stage::Final { key: &key }).await.unwrap();
    fin.promote(&key, 0).await.unwrap();
    let files = ["first/one", "a/over", "a/final", "r/_uploads/s/data", "r/_uploads/s/_record"];
    for file in files {
        assert_eq!(mode(file), mode("usual"), "{file}");
    }
    for directory in ["first", "a", "r/_uploads/s", "_rs/tmp"] {
        assert_eq!(mode(directory), mode("usual-directory"), "{directory}");
    }
}

#[tokio::test]
async fn a_root_that_cannot_be_one_is_refused() {
    let ground = Ground::used().await;
    let kind = |path: &str| {
        let opened = FilesystemBackend::open(ground.root().join(path));
        opened.map(|_| ()).map_err(|error| error.kind())
    };
    assert_eq!(kind("none"), Err(ErrorKind::NotFound));
    assert_eq!(kind("first/one"), Err(ErrorKind::Foreign));
    assert_eq!(kind("first"), Ok(()));
    let made = ground.root().join("new/and/deep");
    let backend = FilesystemBackend::create(&made).unwrap();
    assert_eq!(std::fs::read_dir(&made).unwrap().count(), 0);
    assert_eq!(backend.head(&k("a")).await.unwrap(), None);
}

#[tokio::test]
async fn a_root_that_takes_upper_case_for_lower_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        let system = Scripted::folding_case(directory.path());
        FilesystemBackend::with_system(directory.path(), system)
    };
    let backend = open().unwrap();
    let refused = backend.put(&k("a"), Bytes::new(), PutMode::Create).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(!directory.path().join("a").exists());
    assert_eq!(open().unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_link_that_leads_in_a_circle_does_not_keep_old_temporary_files_from_expiring() {
    let ground = Ground::used().await;
    let temporaries = ground.root().join("_rs/tmp");
    std::os::unix::fs::symlink("circle", temporaries.join("circle")).unwrap();
    std::fs::write(temporaries.join("old.tmp"), "old").unwrap();
    let before = SystemTime::now() + Duration::from_secs(60);
    assert_eq!(ground.backend.expire_staged(before).await.unwrap(), 1);
    assert!(temporaries.join("circle").is_symlink());
}

#[tokio::test]
async fn old_temporary_files_expire_and_young_ones_stay() {
    let ground = Ground::used().await;
    let (old, young) = (ground.root().join("_rs/tmp/old"), ground.root().join("_rs/tmp/young"));
    std::fs::write(&young, b"").unwrap();
    let file = std::fs::File::create(&old).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let before = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    assert_eq!(ground.backend.expire_staged(before).await.unwrap(), 1);
    assert!(young.exists() && !old.exists());
    assert_eq!(Ground::new().backend.expire_staged(before).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lock_holds_between_processes() {
    let ground = Ground::used().await;
    let other = ground.another_process();
    let scope = k("r/some/repository");
    let shared = ground.backend.lock(&scope, LockMode::Shared).await.unwrap();
    let beside = other.lock(&scope, LockMode::Shared).await.unwrap();
    let _elsewhere = other.lock(&k("r/other"), LockMode::Exclusive).await.unwrap();
    let mut waiting = other.lock(&scope, LockMode::Exclusive).boxed();
    drop(beside);
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("the lock is held"),
        () = tokio::time::sleep(Duration::from_secs(60)) => {}
    }
    drop(shared);
    let exclusive = waiting.await.unwrap();
    let mut waiting = ground.backend.lock(&scope, LockMode::Shared).boxed();
    assert!(poll!(&mut waiting).is_pending());
    drop(exclusive);
    waiting.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_writes_is_known_without_space_without_rights_and_without_the_file() {
    let scope = crate::layout::writers();
    for error in [Errno::NOSPC, Errno::DQUOT, Errno::ACCESS, Errno::ROFS] {
        let ground = Ground::new();
        ground.system.refuse("make_directory", error);
        let held = ground.backend.lock(&scope, LockMode::Shared).await.unwrap();
        assert!(!ground.root().join("_rs").exists());
        let other = ground.another_process();
        let mut waiting = other.lock(&scope, LockMode::Exclusive).boxed();
        let wait = tokio::time::timeout(Duration::from_secs(60), &mut waiting);
        assert!(wait.await.is_err(), "{error:?}: the lock is held");
        drop((waiting, held));
        // One that may not make the file cannot tell of other machines; where there is no space nobody made it.
        let collecting =
            FilesystemBackend::with_system(ground.root(), ground.system.clone()).unwrap();
        let alone = collecting.lock(&scope, LockMode::Exclusive).await;
        let is_full = matches!(error, Errno::NOSPC | Errno::DQUOT);
        assert_eq!(alone.is_ok(), is_full, "{error:?}: {alone:?}");
    }
    let ground = Ground::new();
    let held = ground.backend.lock(&scope, LockMode::Shared).await.unwrap();
    std::fs::remove_dir_all(ground.root().join("_rs")).unwrap();
    let other = ground.another_process();
    let mut waiting = other.lock(&scope, LockMode::Exclusive).boxed();
    let wait = tokio::time::timeout(Duration::from_secs(60), &mut waiting);
    assert!(wait.await.is_err(), "the lock is held");
    drop(held);
    waiting.await.unwrap();
}

#[tokio::test]
async fn nothing_is_lost_when_directories_come_and_go() {
    let ground = std::sync::Arc::new(Ground::used().await);
    let worker = |name: &'static str| {
        let ground = std::sync::Arc::clone(&ground);
        tokio::spawn(async move {
            let key = k(&format!("a/b/c/{name}"));
            for _ in 0..200 {
                let put = ground.backend.put(&key, "x".into(), PutMode::Create).await;
                assert_eq!(put.unwrap(), Put::Written);
                assert!(ground.backend.head(&key).await.unwrap().is_some());
                ground.backend.delete(std::slice::from_ref(&key)).await.unwrap();
            }
        })
    };
    for worker in ["one", "two", "three"].map(worker) {
        worker.await.unwrap();
    }
    assert_eq!(ground.files(), ["first/one"]);
}
