//! Every system call of every operation fails once: the error tells, and nothing half-made is left.

use rustix::io::Errno;

use super::*;
use crate::backend::ErrorKind;

const FAULTS: [(Errno, ErrorKind); 2] =
    [(Errno::NOSPC, ErrorKind::Full), (Errno::IO, ErrorKind::Io)];

/// Runs `operation` on fresh ground with the first call failing, then with the second, until none fails.
///
/// `sound` looks at what is left each time, `again` does it once more without faults, and `whole` looks at
/// the result.
async fn at_every_call(
    prepare: impl AsyncFn(&Ground),
    operation: impl AsyncFn(&Ground) -> Result<()>,
    sound: impl AsyncFn(&Ground),
    whole: impl AsyncFn(&Ground),
) {
    for (error, kind) in FAULTS {
        for calls in 0.. {
            let ground = Ground::used().await;
            prepare(&ground).await;
            ground.system.fail_after(calls, error);
            let result = operation(&ground).await;
            let has_failed = ground.system.has_failed();
            match result {
                Ok(()) => whole(&ground).await,
                Err(found) => {
                    assert!(has_failed, "{found}");
                    assert_eq!(found.kind(), kind, "call {calls}: {found}");
                    sound(&ground).await;
                    operation(&ground).await.unwrap();
                    whole(&ground).await;
                }
            }
            if !has_failed {
                assert!(calls > 2, "nothing was tried");
                break;
            }
        }
    }
}

/// No temporary file lies beside objects.
fn assert_no_litter(ground: &Ground) {
    let files = ground.files();
    assert!(!files.iter().any(|file| file.contains(".tmp")), "{files:?}");
}

#[tokio::test]
async fn new_objects_are_whole_or_absent() {
    let puts =
        || vec![put("a/b/one", b"one", PutMode::Create), put("a/c/two", b"two", PutMode::Create)];
    at_every_call(
        async |_| {},
        async |ground| ground.backend.put_all(puts()).await.map(|_| ()),
        async |ground| {
            let (one, two) = (ground.content("a/b/one").await, ground.content("a/c/two").await);
            assert!(one.as_ref().is_none_or(|one| one == "one"));
            assert!(two.as_ref().is_none_or(|two| two == "two"));
            assert!(one.is_some() || two.is_none(), "names are made in the order given");
            assert_no_litter(ground);
        },
        async |ground| {
            assert_eq!(ground.content("a/b/one").await.unwrap(), "one");
            assert_eq!(ground.content("a/c/two").await.unwrap(), "two");
            assert_eq!(ground.files(), ["a/b/one", "a/c/two", "first/one"]);
            assert_eq!(ground.temporaries(), [""; 0]);
        },
    )
    .await;
}

#[tokio::test]
async fn a_replaced_object_is_the_old_or_the_new() {
    at_every_call(
        async |_| {},
        async |ground| ground.overwrite("first/one", b"new").await.map(|_| ()),
        async |ground| {
            let content = ground.content("first/one").await.unwrap();
            assert!(content == "1" || content == "new", "{content:?}");
            assert_no_litter(ground);
        },
        async |ground| assert_eq!(ground.content("first/one").await.unwrap(), "new"),
    )
    .await;
}

#[tokio::test]
async fn a_put_of_what_is_there_never_changes_it() {
    at_every_call(
        async |ground| {
            std::fs::create_dir_all(ground.root().join("x")).unwrap();
            std::fs::write(ground.root().join("x/theirs"), b"theirs").unwrap();
        },
        async |ground| {
            match ground.create("x/theirs", b"ours").await {
                // The sync of this file failed before, so this process never vouches for it.
                Err(error) if error.to_string().contains("earlier sync") => Ok(()),
                result => result.map(|put| assert_eq!(put, Put::Kept)),
            }
        },
        async |ground| assert_eq!(ground.content("x/theirs").await.unwrap(), "theirs"),
        async |ground| assert_eq!(ground.content("x/theirs").await.unwrap(), "theirs"),
    )
    .await;
}

#[tokio::test]
async fn deleted_objects_are_whole_or_gone() {
    at_every_call(
        async |ground| {
            ground.create("a/b/c", b"abc").await.unwrap();
            ground.create("a/d", b"ad").await.unwrap();
        },
        async |ground| ground.backend.delete(&[k("a/b/c"), k("a/d")]).await,
        async |ground| {
            let (first, second) = (ground.content("a/b/c").await, ground.content("a/d").await);
            assert!(first.is_none() || second.is_some(), "deleted in the order given");
        },
        async |ground| assert_eq!(ground.files(), ["first/one"]),
    )
    .await;
}

#[tokio::test]
async fn a_tree_is_deleted_at_last() {
    at_every_call(
        async |ground| {
            ground.create("a/b/c", b"abc").await.unwrap();
            ground.create("a/b/d/e", b"abde").await.unwrap();
        },
        async |ground| ground.backend.delete_tree(&k("a/b")).await,
        async |_| {},
        async |ground| {
            assert_eq!(ground.files(), ["first/one"]);
            assert!(!ground.root().join("a/b").exists());
        },
    )
    .await;
}

#[tokio::test]
async fn what_is_put_into_quarantine_is_at_one_of_two_places() {
    let quarantined = |ground: &Ground| {
        let mut files = Vec::new();
        collect(ground.root(), &ground.root().join("_rs"), &mut files);
        files.retain(|file| file.ends_with("/first/one"));
        files
    };
    at_every_call(
        async |_| {},
        async |ground| ground.backend.quarantine(&k("first/one"), None).await,
        async |ground| {
            let places = ground.files().len() + quarantined(ground).len();
            assert_eq!(places, 1);
        },
        async |ground| {
            assert_eq!(ground.files(), [""; 0]);
            assert_eq!(quarantined(ground).len(), 1);
        },
    )
    .await;
}

/// A whole upload in one session, begun or gone on with, by a client that tries again.
async fn upload(ground: &Ground) -> Result<()> {
    let keys = session("s");
    let has_begun = ground.root().join(keys.data.as_str()).exists();
    let mut staged = if has_begun {
        resume(&ground.backend, &keys).await?
    } else {
        begin(&ground.backend, &keys).await?
    };
    if !staged.is_promoted() {
        staged.rewind(0).await?;
        staged.append("abc".into()).await?;
        staged.persist("3".into(), &state("s", 3)).await?;
        staged.append("def".into()).await?;
    }
    staged.promote(&k("blobs/x/data"), 6).await?;
    staged.discard().await
}

#[tokio::test]
async fn an_upload_is_whole_or_absent_and_can_be_tried_again() {
    at_every_call(
        async |_| {},
        upload,
        async |ground| {
            let content = ground.content("blobs/x/data").await;
            assert!(content.is_none_or(|content| content == "abcdef"));
            assert_no_litter(ground);
        },
        async |ground| {
            assert_eq!(ground.content("blobs/x/data").await.unwrap(), "abcdef");
            assert_eq!(ground.files(), ["blobs/x/data", "first/one"]);
            assert_eq!(ground.temporaries(), [""; 0]);
        },
    )
    .await;
}

#[tokio::test]
async fn a_damaged_object_stays_until_it_is_replaced_by_a_whole_one() {
    at_every_call(
        async |ground| {
            ground.create("blobs/x/data", b"torn").await.unwrap();
        },
        async |ground| {
            let key = k("blobs/x/data");
            let stage = Stage::Final { key: &key };
            let mut staged = ground.backend.stage(stage).await?;
            staged.append("abcdef".into()).await?;
            staged.promote(&key, 6).await?;
            staged.discard().await
        },
        async |ground| {
            let content = ground.content("blobs/x/data").await.unwrap();
            assert!(content == "torn" || content == "abcdef", "{content:?}");
            assert_no_litter(ground);
        },
        async |ground| {
            assert_eq!(ground.content("blobs/x/data").await.unwrap(), "abcdef");
        },
    )
    .await;
}

#[tokio::test]
async fn a_session_whose_sync_failed_is_gone() {
    let ground = Ground::used().await;
    let keys = session("s");
    let mut staged = begin(&ground.backend, &keys).await.unwrap();
    staged.append("abc".into()).await.unwrap();
    staged.persist("3".into(), &state("s", 3)).await.unwrap();
    // The look at the root and the checks of the file come first, then its sync.
    ground.system.fail_after(2, Errno::IO);
    let error = staged.promote(&k("blobs/x/data"), 3).await.unwrap_err();
    assert!(ground.system.has_failed());
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(ground.files(), ["first/one"]);
    let error = staged.append("d".into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    drop(staged);
    let error = resume(&ground.backend, &keys).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_file_whose_sync_failed_is_never_vouched_for_again() {
    let ground = Ground::used().await;
    std::fs::write(ground.root().join("first/theirs"), b"theirs").unwrap();
    // A look, an opening, the sync.
    ground.system.fail_after(2, Errno::IO);
    let keys = [k("first/theirs")];
    assert!(ground.backend.settle(&keys).await.is_err());
    assert!(ground.system.has_failed());
    ground.system.take_calls();
    let error = ground.backend.settle(&keys).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(ground.system.take_calls(), [""; 0], "it is not synced again");
}

#[tokio::test]
async fn after_a_failed_append_the_session_is_opened_anew() {
    let ground = Ground::used().await;
    let keys = session("s");
    let mut staged = begin(&ground.backend, &keys).await.unwrap();
    staged.append("abc".into()).await.unwrap();
    ground.system.fail_after(1, Errno::NOSPC);
    let error = staged.append("defghi".into()).await.unwrap_err();
    assert!(ground.system.has_failed());
    assert_eq!(error.kind(), ErrorKind::Full);
    assert!(staged.append("d".into()).await.is_err());
    assert!(staged.promote(&k("blobs/x/data"), 3).await.is_err());
    drop(staged);
    let mut staged = resume(&ground.backend, &keys).await.unwrap();
    assert_eq!(bytes_of(&mut *staged).await, b"abcdef", "half of it was written");
}
