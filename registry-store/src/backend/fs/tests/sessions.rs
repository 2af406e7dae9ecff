//! Upload sessions over processes and boots.

use futures::poll;

use super::*;
use crate::backend::{ErrorKind, Promotion};

/// The same directory after the machine was started anew.
fn rebooted(ground: &Ground) -> FilesystemBackend<Scripted> {
    FilesystemBackend::with_system(ground.root(), ground.system.rebooted()).unwrap()
}

fn path(ground: &Ground, key: &Key) -> std::path::PathBuf {
    ground.root().join(key.as_str())
}

/// A session of three bytes with a note, three more bytes and no note for them.
async fn begun(backend: &dyn Backend, keys: &SessionKeys) {
    let mut staged = begin(backend, keys).await.unwrap();
    staged.persist("at 0".into(), &state("s", 0)).await.unwrap();
    staged.append("abc".into()).await.unwrap();
    staged.persist("at 3".into(), &state("s", 3)).await.unwrap();
    staged.append("def".into()).await.unwrap();
}

#[tokio::test]
async fn under_the_same_boot_a_session_keeps_its_length_and_its_notes() {
    let (ground, keys) = (Ground::used().await, session("s"));
    begun(&ground.backend, &keys).await;
    let other = ground.another_process();
    let mut staged = resume(&other, &keys).await.unwrap();
    assert_eq!(staged.offset(), 6);
    assert!(!staged.is_promoted());
    assert_eq!(staged.note(6).await.unwrap(), Some((3, "at 3".into())));
    assert_eq!(staged.note(2).await.unwrap(), Some((0, "at 0".into())));
    assert_eq!(bytes_of(&mut *staged).await, b"abcdef");
    let copy = ground.content(state("s", 3).as_str()).await.unwrap();
    assert_eq!(copy, "at 3");
}

#[tokio::test]
async fn after_another_boot_a_session_is_cut_to_what_was_synced() {
    let (ground, keys) = (Ground::used().await, session("s"));
    begun(&ground.backend, &keys).await;
    let other = rebooted(&ground);
    let mut staged = resume(&other, &keys).await.unwrap();
    assert_eq!(staged.offset(), 0);
    assert_eq!(staged.note(6).await.unwrap(), Some((0, "at 0".into())));
    staged.append("xyz!".into()).await.unwrap();
    drop(staged);
    let mut staged = resume(&other, &keys).await.unwrap();
    assert_eq!(staged.offset(), 4, "the record is of this boot now");
    assert_eq!(staged.note(9).await.unwrap(), Some((0, "at 0".into())));
    assert_eq!(bytes_of(&mut *staged).await, b"xyz!");
}

/// In a container, or under a unit of systemd, that hides it.
#[tokio::test]
async fn where_the_boot_is_not_told_another_process_finds_what_was_persisted() {
    let (ground, keys) = (Ground::used().await, session("s"));
    let system = ground.system.hiding_its_boot();
    let open = || FilesystemBackend::with_system(ground.root(), system.sibling()).unwrap();
    begun(&FilesystemBackend::with_system(ground.root(), system.clone()).unwrap(), &keys).await;
    let synced = system.take_calls().iter().filter(|it| it.starts_with("sync_data r/")).count();
    assert_eq!(synced, 1, "no sync where nothing was added");
    let mut staged = resume(&open(), &keys).await.unwrap();
    assert_eq!(staged.offset(), 3);
    assert_eq!(staged.note(6).await.unwrap(), Some((3, "at 3".into())));
    staged.append("xyz".into()).await.unwrap();
    staged.persist("at 6".into(), &state("s", 6)).await.unwrap();
    drop(staged);
    let mut staged = resume(&open(), &keys).await.unwrap();
    assert_eq!(staged.note(6).await.unwrap(), Some((6, "at 6".into())));
    assert_eq!(bytes_of(&mut *staged).await, b"abcxyz");
}

#[tokio::test]
async fn what_was_synced_outlives_the_boot() {
    let (ground, keys) = (Ground::used().await, session("s"));
    let mut staged = begin(&ground.backend, &keys).await.unwrap();
    let megabyte = Bytes::from(vec![7; 1 << 20]);
    for _ in 0..64 {
        staged.append(megabyte.clone()).await.unwrap();
    }
    ground.system.take_calls();
    let full = 64 << 20;
    staged.persist("full".into(), &state("s", full)).await.unwrap();
    let calls = ground.system.take_calls();
    assert_eq!(calls[0], "sync_data r/_uploads/s/data");
    staged.append("tail".into()).await.unwrap();
    staged.persist("tail".into(), &state("s", full + 4)).await.unwrap();
    drop(staged);
    let mut staged = resume(&rebooted(&ground), &keys).await.unwrap();
    assert_eq!(staged.offset(), full);
    assert_eq!(staged.note(full + 4).await.unwrap(), Some((full, "full".into())));
}

#[tokio::test]
async fn bytes_are_written_back_as_they_come() {
    let (ground, keys) = (Ground::used().await, session("s"));
    let mut staged = begin(&ground.backend, &keys).await.unwrap();
    let megabyte = Bytes::from(vec![7; 1 << 20]);
    for _ in 0..24 {
        staged.append(megabyte.clone()).await.unwrap();
    }
    let calls = ground.system.take_calls();
    let started = calls.iter().filter(|call| call.starts_with("start_writeback"));
    assert_eq!(started.count(), 3);
}

#[tokio::test]
async fn a_session_of_other_software_keeps_its_length_and_has_no_notes() {
    let (ground, keys) = (Ground::used().await, session("s"));
    std::fs::create_dir_all(path(&ground, &keys.root)).unwrap();
    std::fs::write(path(&ground, &keys.data), b"other").unwrap();
    let mut staged = resume(&ground.backend, &keys).await.unwrap();
    assert_eq!(staged.offset(), 5);
    assert_eq!(staged.note(5).await.unwrap(), None);
    ground.system.take_calls();
    staged.append("ours".into()).await.unwrap();
    assert_eq!(
        ground.system.take_calls()[0],
        "sync_data r/_uploads/s/data",
        "what was there is synced before a record speaks of it"
    );
    drop(staged);
    let mut staged = resume(&rebooted(&ground), &keys).await.unwrap();
    assert_eq!(staged.offset(), 5);
    assert_eq!(staged.note(5).await.unwrap(), None);
    assert_eq!(bytes_of(&mut *staged).await, b"other");
}

#[tokio::test]
async fn a_session_of_other_software_without_bytes_is_gone_on_with() {
    let (ground, keys) = (Ground::used().await, session("s"));
    let error = resume(&ground.backend, &keys).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "there is no session");
    ground.create("r/_uploads/s/startedat", b"now").await.unwrap();
    let mut staged = resume(&ground.backend, &keys).await.unwrap();
    assert_eq!(staged.offset(), 0);
    staged.append("abc".into()).await.unwrap();
}

#[tokio::test]
async fn a_damaged_record_vouches_for_nothing() {
    for record in ["", "nonsense", "registry-store session 1\nboot boot-1\nat x\n"] {
        let (ground, keys) = (Ground::used().await, session("s"));
        begun(&ground.backend, &keys).await;
        std::fs::write(path(&ground, &keys.record), record).unwrap();
        let mut staged = resume(&ground.backend, &keys).await.unwrap();
        assert_eq!(staged.offset(), 0, "{record:?}");
        assert_eq!(staged.note(9).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_note_beyond_the_bytes_is_never_used_again() {
    let (ground, keys) = (Ground::used().await, session("s"));
    begun(&ground.backend, &keys).await;
    std::fs::write(path(&ground, &keys.data), b"a").unwrap();
    let mut staged = resume(&ground.backend, &keys).await.unwrap();
    assert_eq!(staged.offset(), 1);
    staged.append("xxxx".into()).await.unwrap();
    drop(staged);
    let mut staged = resume(&ground.backend, &keys).await.unwrap();
    assert_eq!(staged.note(9).await.unwrap(), Some((0, "at 0".into())));
}

#[tokio::test]
async fn a_session_is_begun_once() {
    let (ground, keys) = (Ground::used().await, session("s"));
    begun(&ground.backend, &keys).await;
    let error = begin(&ground.backend, &keys).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Foreign);
    assert_eq!(resume(&ground.backend, &keys).await.unwrap().offset(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_another_process_holds_is_busy_after_five_seconds() {
    let (ground, keys) = (Ground::used().await, session("s"));
    let _held = begin(&ground.backend, &keys).await.unwrap();
    let other = ground.another_process();
    let begin = tokio::time::Instant::now();
    let error = resume(&other, &keys).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(begin.elapsed().as_secs_f32() >= 5.0);
    assert!(begin.elapsed().as_secs_f32() < 6.0);
}

#[tokio::test(start_paused = true)]
async fn a_session_is_taken_over_as_soon_as_it_is_let_go_of() {
    let (ground, keys) = (Ground::used().await, session("s"));
    let mut held = begin(&ground.backend, &keys).await.unwrap();
    held.append("abc".into()).await.unwrap();
    let other = ground.another_process();
    let waiting =
        tokio::spawn(async move { resume(&other, &session("s")).await.map(|s| s.offset()) });
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    held.append("def".into()).await.unwrap();
    drop(held);
    assert_eq!(waiting.await.unwrap().unwrap(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_while_it_is_waited_for_is_not_found() {
    let (ground, keys) = (Ground::used().await, session("s"));
    let held = begin(&ground.backend, &keys).await.unwrap();
    let other = ground.another_process();
    let waiting =
        tokio::spawn(async move { resume(&other, &session("s")).await.map(|s| s.offset()) });
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    held.discard().await.unwrap();
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(ground.files(), ["first/one"]);
}

#[tokio::test(start_paused = true)]
async fn an_append_whose_future_is_dropped_ends_before_the_lock_does() {
    let (ground, keys) = (Ground::used().await, session("s"));
    let mut staged = begin(&ground.backend, &keys).await.unwrap();
    staged.append("abc".into()).await.unwrap();
    {
        let mut append = staged.append(Bytes::from(vec![b'x'; 1 << 20]));
        // Whether it has ended by now or goes on, nobody waits for it any more.
        let _ = poll!(&mut append);
    }
    drop(staged);
    let other = ground.another_process();
    let staged = resume(&other, &keys).await.unwrap();
    assert_eq!(staged.offset(), 3 + (1 << 20));
}

#[tokio::test]
async fn a_promoted_session_is_one_for_every_process_and_is_never_added_to() {
    let (ground, keys, to) = (Ground::used().await, session("s"), k("blobs/x/data"));
    begun(&ground.backend, &keys).await;
    let mut staged = resume(&ground.backend, &keys).await.unwrap();
    assert_eq!(staged.promote(&to, 6).await.unwrap(), Promotion::Created);
    assert!(staged.is_promoted());
    drop(staged);
    let mut staged = resume(&rebooted(&ground), &keys).await.unwrap();
    assert!(staged.is_promoted());
    assert_eq!(staged.offset(), 6, "nothing is cut, whatever the record says");
    let missing = |result: Result<()>| assert_eq!(result.unwrap_err().kind(), ErrorKind::NotFound);
    missing(staged.append("x".into()).await);
    missing(staged.rewind(0).await);
    missing(staged.promote(&k("blobs/y/data"), 6).await.map(|_| ()));
    assert_eq!(staged.promote(&to, 6).await.unwrap(), Promotion::Kept);
    staged.discard().await.unwrap();
    assert_eq!(ground.content("blobs/x/data").await.unwrap(), "abcdef");
}

#[tokio::test]
async fn a_session_is_promoted_with_the_size_it_has() {
    let (ground, keys, to) = (Ground::used().await, session("s"), k("blobs/x/data"));
    begun(&ground.backend, &keys).await;
    let mut staged = resume(&ground.backend, &keys).await.unwrap();
    let error = staged.promote(&to, 5).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(ground.content("blobs/x/data").await, None);
    assert!(staged.rewind(7).await.is_err());
    staged.rewind(5).await.unwrap();
    assert_eq!(staged.promote(&to, 5).await.unwrap(), Promotion::Created);
}

#[tokio::test]
async fn a_session_whose_object_exists_is_kept_and_can_be_gone_on_with() {
    let (ground, keys, to) = (Ground::used().await, session("s"), k("blobs/x/data"));
    ground.create(to.as_str(), b"ABCDEF").await.unwrap();
    begun(&ground.backend, &keys).await;
    let mut staged = resume(&ground.backend, &keys).await.unwrap();
    assert_eq!(staged.promote(&to, 6).await.unwrap(), Promotion::Kept);
    staged.append("g".into()).await.unwrap();
    assert_eq!(bytes_of(&mut *staged).await, b"abcdefg");
}

#[tokio::test]
async fn a_session_that_was_deleted_beside_us_is_not_found_and_not_made_again() {
    let (ground, keys) = (Ground::used().await, session("s"));
    let mut staged = begin(&ground.backend, &keys).await.unwrap();
    staged.append("abc".into()).await.unwrap();
    ground.another_process().delete_tree(&keys.root).await.unwrap();
    let error = staged.persist("3".into(), &state("s", 3)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = staged.promote(&k("blobs/x"), 3).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    staged.discard().await.unwrap();
    assert_eq!(ground.files(), ["first/one"]);
}

#[tokio::test]
async fn an_object_of_a_known_name_that_is_given_up_leaves_nothing() {
    let ground = Ground::used().await;
    let key = k("blobs/x/data");
    let mut staged = ground.backend.stage(Stage::Final { key: &key }).await.unwrap();
    staged.append("abc".into()).await.unwrap();
    let error = staged.promote(&k("blobs/y/data"), 3).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    staged.rewind(1).await.unwrap();
    assert_eq!(bytes_of(&mut *staged).await, b"a");
    drop(staged);
    assert_eq!(ground.files(), ["first/one"]);
    assert_eq!(ground.temporaries(), [""; 0]);
}
