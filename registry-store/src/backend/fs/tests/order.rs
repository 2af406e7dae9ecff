//! The order of system calls, which is what durability rests on.

use std::time::{Duration, SystemTime};

use rustix::io::Errno;

use super::*;
use crate::backend::fs::remove::AT_ONCE;
use crate::backend::{ErrorKind, LockMode, Promotion};

/// The calls, those that may be made at the same time sorted among themselves.
fn calls(ground: &Ground) -> Vec<String> {
    let mut calls = ground.system.take_calls();
    for run in calls.chunk_by_mut(|one, next| {
        let verb = |call: &str| call.split(' ').next().map(str::to_owned);
        verb(one) == verb(next) && one.starts_with("sync_")
    }) {
        run.sort();
    }
    calls
}

#[tokio::test]
async fn a_new_object_is_synced_then_named_then_its_new_directories_are_synced() {
    let ground = Ground::used().await;
    ground.create("a/b/link", b"x").await.unwrap();
    let expected = [
        "write unnamed",
        "sync_data unnamed",
        "make_directory a",
        "make_directory a/b",
        "link_open_file unnamed -> a/b/link",
        "sync_directory a",
        "sync_directory a/b",
        "sync_directory root",
    ];
    assert_eq!(calls(&ground), expected);

    ground.create("a/b/other", b"x").await.unwrap();
    let expected = [
        "write unnamed",
        "sync_data unnamed",
        "link_open_file unnamed -> a/b/other",
        "sync_directory a/b",
    ];
    assert_eq!(calls(&ground), expected, "the directories are known by now");
}

#[tokio::test]
async fn a_batch_syncs_all_bytes_before_the_first_name_and_each_directory_once() {
    let ground = Ground::used().await;
    let puts = vec![
        put("a/2", b"2", PutMode::Create),
        put("a/1", b"1", PutMode::Create),
        put("first/one", b"!", PutMode::Overwrite),
    ];
    ground.backend.put_all(puts).await.unwrap();
    let expected = [
        "write unnamed",
        "write unnamed",
        "write temp",
        "sync_data temp",
        "sync_data unnamed",
        "sync_data unnamed",
        "make_directory a",
        "link_open_file unnamed -> a/2",
        "link_open_file unnamed -> a/1",
        "rename temp -> first/one",
        "sync_directory a",
        "sync_directory first",
        "sync_directory root",
    ];
    assert_eq!(calls(&ground), expected);
}

#[tokio::test]
async fn an_object_that_is_replaced_is_renamed_over_and_its_directory_synced() {
    let ground = Ground::used().await;
    ground.overwrite("first/one", b"22").await.unwrap();
    let expected =
        ["write temp", "sync_data temp", "rename temp -> first/one", "sync_directory first"];
    assert_eq!(calls(&ground), expected);
    assert_eq!(ground.content("first/one").await.unwrap(), "22");
}

#[tokio::test]
async fn an_object_that_somebody_else_made_is_synced_before_it_is_relied_on_and_only_once() {
    let ground = Ground::used().await;
    std::fs::create_dir_all(ground.root().join("x/y")).unwrap();
    std::fs::write(ground.root().join("x/y/link"), b"theirs").unwrap();
    assert_eq!(ground.create("x/y/link", b"ours").await.unwrap(), Put::Kept);
    let expected =
        ["sync_data x/y/link", "sync_directory root", "sync_directory x", "sync_directory x/y"];
    assert_eq!(calls(&ground), expected);

    assert_eq!(ground.create("x/y/link", b"ours").await.unwrap(), Put::Kept);
    let found = ground.backend.settle(&[k("x/y/link")]).await.unwrap();
    assert_eq!(found[0].unwrap().size, 6);
    assert_eq!(calls(&ground), [""; 0], "it is known by now");

    std::fs::write(ground.root().join("x/y/link"), b"again!").unwrap();
    ground.backend.settle(&[k("x/y/link")]).await.unwrap();
    let expected = ["sync_data x/y/link", "sync_directory x/y"];
    assert_eq!(calls(&ground), expected, "it was written anew");
}

#[tokio::test]
async fn what_was_written_here_needs_no_second_sync() {
    let ground = Ground::used().await;
    let found = ground.backend.settle(&[k("first/one")]).await.unwrap();
    assert_eq!(found[0].unwrap().size, 1);
    assert_eq!(calls(&ground), [""; 0]);
}

#[tokio::test]
async fn what_is_not_there_is_gone_for_good_once_the_nearest_directory_above_is_synced() {
    let ground = Ground::used().await;
    for (key, synced) in [("first/none", "first"), ("first", "root"), ("x/y/none", "root")] {
        assert_eq!(ground.backend.settle(&[k(key)]).await.unwrap(), [None]);
        assert_eq!(calls(&ground), [format!("sync_directory {synced}")], "{key}");
    }
}

#[tokio::test]
async fn all_of_several_places_is_settled_by_one_sync_of_the_filesystem_they_are_on() {
    let ground = Ground::used().await;
    let places = ["first", "none", "first/one", "none/below"].map(k);
    ground.backend.settle_all(&places).await.unwrap();
    assert_eq!(calls(&ground), ["sync_filesystem first"]);
    ground.backend.settle_all(&[]).await.unwrap();
    assert_eq!(calls(&ground), [""; 0]);
}

#[tokio::test]
async fn each_filesystem_that_places_are_on_is_synced_once() {
    let ground = Ground::used().await;
    for key in ["a/b/one", "a/c/one", "d/one"] {
        ground.create(key, b"1").await.unwrap();
    }
    ground.system.mount("a/b");
    calls(&ground);
    let places = ["a", "a/b", "a/c", "a/b/none", "d"].map(k);
    ground.backend.settle_all(&places).await.unwrap();
    assert_eq!(calls(&ground), ["sync_filesystem a", "sync_filesystem a/b"]);
}

#[tokio::test]
async fn a_directory_that_cannot_be_opened_is_settled_by_another_one_on_its_filesystem() {
    let ground = Ground::used().await;
    for key in ["a/b/one", "c/d/e/one", "c/f/one"] {
        ground.create(key, b"1").await.unwrap();
    }
    ground.system.mount("c");
    ground.system.close("a/b", Errno::ACCESS);
    ground.system.close("c/d/e", Errno::IO);
    ground.system.hide("c/f", Errno::LOOP);
    calls(&ground);
    let places = ["a/b", "c/d/e", "c/f"].map(k);
    ground.backend.settle_all(&places).await.unwrap();
    assert_eq!(calls(&ground), ["sync_filesystem a", "sync_filesystem c/d"]);
    ground.backend.settle_all(&places[2..]).await.unwrap();
    assert_eq!(calls(&ground), ["sync_filesystem c"]);
}

#[tokio::test]
async fn what_cannot_be_settled_is_named() {
    let ground = Ground::used().await;
    for key in ["a/b/one", "c/one"] {
        ground.create(key, b"1").await.unwrap();
    }
    ground.system.mount("a/b");
    calls(&ground);
    // No other directory is on its filesystem, or nobody knows on which it is.
    ground.system.close("a/b", Errno::ACCESS);
    ground.system.hide("c", Errno::STALE);
    for (place, kind) in [("a/b", ErrorKind::Denied), ("c", ErrorKind::Unavailable)] {
        let error = ground.backend.settle_all(&["a", place].map(k)).await.unwrap_err();
        assert_eq!((error.key(), error.kind()), (Some(&k(place)), kind), "{error}");
    }
    ground.system.refuse("sync_filesystem", Errno::IO);
    let error = ground.backend.settle_all(&["first", "a"].map(k)).await.unwrap_err();
    assert_eq!((error.key(), error.kind()), (Some(&k("first")), ErrorKind::Io), "{error}");
}

#[tokio::test]
async fn a_directory_that_was_removed_is_made_durable_anew() {
    let ground = Ground::used().await;
    ground.create("a/b/link", b"x").await.unwrap();
    ground.backend.delete(&[k("a/b/link")]).await.unwrap();
    calls(&ground);
    ground.create("a/b/link", b"x").await.unwrap();
    let synced = calls(&ground);
    for directory in ["root", "a", "a/b"] {
        assert!(synced.contains(&format!("sync_directory {directory}")));
    }
}

#[tokio::test]
async fn a_deletion_is_synced_before_its_empty_directories_go() {
    let ground = Ground::used().await;
    ground.create("a/b/link", b"x").await.unwrap();
    ground.create("a/c", b"x").await.unwrap();
    calls(&ground);
    let keys = [k("a/b/link"), k("a/c")];
    ground.backend.delete(&keys).await.unwrap();
    let expected = [
        "unlink a/b/link",
        "sync_directory a/b",
        "remove_directory a/b",
        "unlink a/c",
        "sync_directory a",
        "remove_directory a",
    ];
    assert_eq!(calls(&ground), expected);
    assert!(!ground.root().join("a").exists());
}

#[tokio::test]
async fn an_object_that_is_a_sessions_bytes_too_keeps_a_second_name_until_its_removal_is_synced() {
    let ground = Ground::used().await;
    let keys = session("s");
    let mut staged = begin(&ground.backend, &keys).await.unwrap();
    staged.append("abc".into()).await.unwrap();
    staged.promote(&k("blobs/x/data"), 3).await.unwrap();
    drop(staged);
    calls(&ground);
    ground.backend.delete(&[k("blobs/x/data")]).await.unwrap();
    let expected = [
        "rename blobs/x/data -> temp",
        "sync_directory blobs/x",
        "unlink temp",
        "remove_directory blobs/x",
        "remove_directory blobs",
    ];
    assert_eq!(calls(&ground), expected);
    assert_eq!(ground.temporaries(), [""; 0]);

    // The removal is there to stay, so the session can be gone on with.
    let mut staged = resume(&ground.backend, &keys).await.unwrap();
    staged.append("d".into()).await.unwrap();
    assert_eq!(bytes_of(staged.as_mut()).await, b"abcd");
}

/// A time at which all that was written is old.
fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(60)
}

/// Gives a file so many further names among the temporary ones.
fn set_aside(ground: &Ground, key: &str, names: usize) {
    let from = ground.root().join(key);
    for number in 0..names {
        let aside = ground.root().join(format!("_rs/tmp/{number}.tmp"));
        std::fs::hard_link(&from, aside).unwrap();
    }
}

#[tokio::test]
async fn what_is_set_aside_while_old_names_expire_is_not_among_those_that_were_synced() {
    let ground = Ground::used().await;
    for key in ["old/data", "blobs/x/data", "session/data"] {
        ground.create(key, b"1").await.unwrap();
    }
    set_aside(&ground, "old/data", 1);
    let (blob, session) = (ground.root().join("blobs/x/data"), ground.root().join("session/too"));
    std::fs::hard_link(blob, session).unwrap();
    calls(&ground);
    ground.system.rename_after_sync("blobs/x/data", "_rs/tmp/late.tmp");
    assert_eq!(ground.backend.expire_staged(later()).await.unwrap(), 1);
    assert_eq!(calls(&ground), ["sync_filesystem _rs/tmp", "unlink temp"]);
    assert_eq!(ground.temporaries(), ["late.tmp"]);
    assert_eq!(ground.backend.expire_staged(later()).await.unwrap(), 1);
    assert_eq!(calls(&ground), ["sync_filesystem _rs/tmp", "unlink temp"]);
}

#[tokio::test]
async fn each_part_of_many_old_names_is_synced_before_it_goes() {
    let ground = Ground::used().await;
    for key in ["old/data", "blobs/x/data"] {
        ground.create(key, b"1").await.unwrap();
    }
    set_aside(&ground, "old/data", AT_ONCE);
    calls(&ground);
    ground.system.rename_after_sync("blobs/x/data", "_rs/tmp/late.tmp");
    let late = ground.root().join("late");
    std::fs::hard_link(ground.root().join("blobs/x/data"), late).unwrap();
    let expired = ground.backend.expire_staged(later()).await.unwrap();
    assert_eq!(expired, u64::try_from(AT_ONCE).unwrap() + 1);
    let calls = calls(&ground);
    let is_sync = |call: &String| call.starts_with("sync_filesystem");
    assert!(is_sync(&calls[0]) && is_sync(&calls[AT_ONCE + 1]), "{calls:?}");
    assert_eq!(calls.iter().filter(|call| *call == "unlink temp").count(), AT_ONCE + 1);
    assert_eq!(calls.len(), AT_ONCE + 3);
}

#[tokio::test]
async fn old_names_stay_that_could_not_be_synced() {
    let ground = Ground::used().await;
    set_aside(&ground, "first/one", 2);
    calls(&ground);
    ground.system.refuse("sync_filesystem", Errno::IO);
    let error = ground.backend.expire_staged(later()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(calls(&ground), [""; 0]);
    assert_eq!(ground.temporaries().len(), 2);
}

#[tokio::test]
async fn a_tree_is_gone_for_good_once_the_directory_above_is_synced() {
    let ground = Ground::used().await;
    ground.create("a/b/c/link", b"x").await.unwrap();
    calls(&ground);
    ground.backend.delete_tree(&k("a/b")).await.unwrap();
    let expected =
        ["unlink a/b/c/link", "remove_directory a/b/c", "remove_directory a/b", "sync_directory a"];
    assert_eq!(calls(&ground), expected);
}

#[tokio::test]
async fn a_session_has_a_durable_record_before_its_first_byte() {
    let ground = Ground::used().await;
    let mut staged = begin(&ground.backend, &session("s")).await.unwrap();
    staged.append("abc".into()).await.unwrap();
    let expected = [
        "make_directory r",
        "make_directory r/_uploads",
        "make_directory r/_uploads/s",
        "write temp",
        "sync_data temp",
        "rename temp -> r/_uploads/s/_record",
        "sync_directory r",
        "sync_directory r/_uploads",
        "sync_directory r/_uploads/s",
        "sync_directory root",
        "write r/_uploads/s/data",
    ];
    assert_eq!(calls(&ground), expected);

    let tip = staged.persist("n".into(), &state("s", 3)).await.unwrap();
    assert_eq!(tip.offset, 3);
    let expected = [
        "write temp",
        "write temp",
        "sync_data temp",
        "sync_data temp",
        "make_directory r/_uploads/s/hashstates",
        "make_directory r/_uploads/s/hashstates/sha256",
        "rename temp -> r/_uploads/s/hashstates/sha256/3",
        "rename temp -> r/_uploads/s/_record",
    ];
    assert_eq!(calls(&ground), expected);
}

#[tokio::test]
async fn a_session_whose_directory_is_known_is_gone_on_with_at_the_price_of_its_record() {
    let ground = Ground::used().await;
    let mut staged = begin(&ground.backend, &session("s")).await.unwrap();
    staged.persist("0".into(), &state("s", 0)).await.unwrap();
    drop(staged);
    let mut staged = resume(&ground.backend, &session("s")).await.unwrap();
    calls(&ground);
    staged.append("abc".into()).await.unwrap();
    staged.persist("3".into(), &state("s", 3)).await.unwrap();
    let found = calls(&ground);
    assert_eq!(found[0], "write r/_uploads/s/data");
    assert!(!found.iter().any(|call| call.starts_with("sync_directory")), "{found:?}");
}

#[tokio::test]
async fn a_promoted_session_is_synced_then_named_then_its_directories_are_synced() {
    let ground = Ground::used().await;
    let mut staged = begin(&ground.backend, &session("s")).await.unwrap();
    staged.append("abc".into()).await.unwrap();
    calls(&ground);
    let promotion = staged.promote(&k("blobs/x/data"), 3).await.unwrap();
    assert_eq!(promotion, Promotion::Created);
    let expected = [
        "sync_data r/_uploads/s/data",
        "make_directory blobs",
        "make_directory blobs/x",
        "link_open_file r/_uploads/s/data -> blobs/x/data",
        "sync_directory blobs",
        "sync_directory blobs/x",
        "sync_directory root",
    ];
    assert_eq!(calls(&ground), expected);
    staged.discard().await.unwrap();
    assert_eq!(ground.files(), ["blobs/x/data", "first/one"]);
}

#[tokio::test]
async fn an_object_of_the_same_size_is_kept_and_made_durable() {
    let ground = Ground::used().await;
    std::fs::create_dir_all(ground.root().join("blobs/x")).unwrap();
    std::fs::write(ground.root().join("blobs/x/data"), b"xyz").unwrap();
    let mut staged = begin(&ground.backend, &session("s")).await.unwrap();
    staged.append("abc".into()).await.unwrap();
    calls(&ground);
    let promotion = staged.promote(&k("blobs/x/data"), 3).await.unwrap();
    assert_eq!(promotion, Promotion::Kept);
    let expected = [
        "sync_data blobs/x/data",
        "sync_data r/_uploads/s/data",
        "sync_directory blobs",
        "sync_directory blobs/x",
        "sync_directory root",
    ];
    assert_eq!(calls(&ground), expected);
    assert!(!staged.is_promoted());
    assert_eq!(ground.content("blobs/x/data").await.unwrap(), "xyz");
}

#[tokio::test]
async fn an_object_of_another_size_is_replaced_by_rename() {
    let ground = Ground::used().await;
    ground.create("blobs/x/data", b"torn!").await.unwrap();
    let mut staged = begin(&ground.backend, &session("s")).await.unwrap();
    staged.append("abc".into()).await.unwrap();
    calls(&ground);
    let promotion = staged.promote(&k("blobs/x/data"), 3).await.unwrap();
    assert_eq!(promotion, Promotion::Replaced { found: 5 });
    let expected = [
        "sync_data r/_uploads/s/data",
        "make_directory docker",
        "make_directory _rs/lock",
        "link_open_file r/_uploads/s/data -> temp",
        "rename temp -> blobs/x/data",
        "sync_directory blobs/x",
    ];
    assert_eq!(calls(&ground), expected);
    assert!(staged.is_promoted());
    assert_eq!(ground.content("blobs/x/data").await.unwrap(), "abc");
}

#[tokio::test]
async fn a_session_is_cut_only_after_its_notes_are() {
    let ground = Ground::used().await;
    let mut staged = begin(&ground.backend, &session("s")).await.unwrap();
    staged.append("abc".into()).await.unwrap();
    staged.persist("3".into(), &state("s", 3)).await.unwrap();
    staged.append("def".into()).await.unwrap();
    staged.persist("6".into(), &state("s", 6)).await.unwrap();
    calls(&ground);
    staged.rewind(4).await.unwrap();
    let expected = [
        "write temp",
        "sync_data temp",
        "rename temp -> r/_uploads/s/_record",
        "sync_directory r/_uploads/s",
        "truncate r/_uploads/s/data",
    ];
    assert_eq!(calls(&ground), expected);
    assert_eq!(staged.note(9).await.unwrap(), Some((3, "3".into())));
    assert_eq!(bytes_of(&mut *staged).await, b"abcd");
}

/// A crash could leave the session without its record else, and with bytes that never reached the medium.
#[tokio::test]
async fn the_mark_of_a_session_with_unsynced_bytes_is_durably_gone_before_its_record_goes() {
    let ground = Ground::used().await;
    let mut staged = begin(&ground.backend, &session("s")).await.unwrap();
    staged.append("abc".into()).await.unwrap();
    staged.persist("3".into(), &state("s", 3)).await.unwrap();
    ground.create("r/_uploads/s/startedat", b"now").await.unwrap();
    calls(&ground);
    staged.discard().await.unwrap();
    let found = calls(&ground);
    let first = ["unlink r/_uploads/s/startedat", "sync_directory r/_uploads/s"];
    assert_eq!(found[..2], first, "{found:?}");

    let mut staged = begin(&ground.backend, &session("t")).await.unwrap();
    staged.append("abc".into()).await.unwrap();
    staged.promote(&k("blobs/x/data"), 3).await.unwrap();
    calls(&ground);
    staged.discard().await.unwrap();
    let found = calls(&ground);
    let synced = found.iter().filter(|call| call.starts_with("sync"));
    assert_eq!(synced.collect::<Vec<_>>(), ["sync_directory r/_uploads"], "{found:?}");
}

#[tokio::test]
async fn opening_and_reading_write_nothing() {
    let ground = Ground::new();
    assert!(ground.content("a/b").await.is_none());
    ground.backend.delete_tree(&k("a")).await.unwrap();
    let page = ground.backend.list_children(&k("a"), None, 9).await.unwrap();
    assert_eq!(page.items, []);
    assert_eq!(std::fs::read_dir(ground.root()).unwrap().count(), 0);
    let _guard = ground.backend.lock(&k("a"), LockMode::Shared).await.unwrap();
    assert!(ground.root().join("_rs").exists());
}
