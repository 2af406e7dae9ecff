//! Filesystems that refuse files without names, links of open files, hard links, or renames across them.

use rustix::io::Errno;

use super::*;
use crate::backend::Promotion;

/// What a filesystem refuses, and by which error.
type Refusals = &'static [(&'static str, Errno)];

const REFUSALS: [Refusals; 6] = [
    &[("open_unnamed", Errno::OPNOTSUPP)],
    &[("open_unnamed", Errno::ISDIR)],
    &[("link_open_file", Errno::OPNOTSUPP)],
    &[("link_open_file", Errno::OPNOTSUPP), ("hard_link", Errno::PERM)],
    &[
        ("open_unnamed", Errno::OPNOTSUPP),
        ("link_open_file", Errno::OPNOTSUPP),
        ("hard_link", Errno::PERM),
        ("rename_new", Errno::INVAL),
    ],
    &[
        ("link_open_file", Errno::OPNOTSUPP),
        ("hard_link", Errno::PERM),
        ("rename_new", Errno::NOSYS),
    ],
];
/// Which directories are on another filesystem than the root.
const MOUNTS: [&[&str]; 4] = [&[], &["blobs"], &["r"], &["_rs"]];

/// Does something on every kind of ground.
async fn everywhere(work: impl AsyncFn(&Ground)) {
    for refusals in REFUSALS.iter().copied().chain([&[][..]]) {
        for mounts in MOUNTS {
            let ground = Ground::new();
            for &(call, error) in refusals {
                ground.system.refuse(call, error);
            }
            for mount in mounts {
                ground.system.mount(mount);
            }
            work(&ground).await;
            assert_eq!(ground.temporaries(), [""; 0], "{refusals:?} {mounts:?}");
            let files = ground.files();
            assert!(
                !files.iter().any(|file| file.contains(".tmp")),
                "{refusals:?} {mounts:?} {files:?}"
            );
        }
    }
}

#[tokio::test]
async fn objects_are_made_kept_and_replaced_on_every_filesystem() {
    everywhere(async |ground| {
        for key in ["blobs/x", "r/x", "x"] {
            assert_eq!(ground.create(key, b"one").await.unwrap(), Put::Written);
            assert_eq!(ground.create(key, b"two").await.unwrap(), Put::Kept);
            assert_eq!(ground.content(key).await.unwrap(), "one");
            assert_eq!(ground.overwrite(key, b"three").await.unwrap(), Put::Written);
            assert_eq!(ground.content(key).await.unwrap(), "three");
        }
    })
    .await;
}

#[tokio::test]
async fn one_of_two_that_create_a_name_at_once_wins_on_every_filesystem() {
    everywhere(async |ground| {
        let puts =
            vec![put("blobs/x", b"one", PutMode::Create), put("blobs/x", b"two", PutMode::Create)];
        let outcomes = ground.backend.put_all(puts).await.unwrap();
        assert_eq!(outcomes, [Put::Written, Put::Kept]);
        assert_eq!(ground.content("blobs/x").await.unwrap(), "one");
    })
    .await;
}

#[tokio::test]
async fn sessions_are_promoted_on_every_filesystem() {
    everywhere(async |ground| {
        let (keys, to) = (session("s"), k("blobs/x/data"));
        let mut staged = begin(&ground.backend, &keys).await.unwrap();
        staged.append("abc".into()).await.unwrap();
        staged.persist("3".into(), &state("s", 3)).await.unwrap();
        assert_eq!(staged.promote(&to, 3).await.unwrap(), Promotion::Created);
        drop(staged);
        let mut staged = resume(&ground.backend, &keys).await.unwrap();
        assert_eq!(staged.promote(&to, 3).await.unwrap(), Promotion::Kept);
        staged.discard().await.unwrap();
        assert_eq!(ground.files(), ["blobs/x/data"]);
        assert_eq!(ground.content("blobs/x/data").await.unwrap(), "abc");

        let mut staged = begin(&ground.backend, &keys).await.unwrap();
        staged.append("longer".into()).await.unwrap();
        let promotion = staged.promote(&to, 6).await.unwrap();
        assert_eq!(promotion, Promotion::Replaced { found: 3 });
        staged.discard().await.unwrap();
        assert_eq!(ground.content("blobs/x/data").await.unwrap(), "longer");
    })
    .await;
}

#[tokio::test]
async fn objects_of_known_names_are_promoted_on_every_filesystem() {
    everywhere(async |ground| {
        let key = k("blobs/x/data");
        let stage = Stage::Final { key: &key };
        let mut staged = ground.backend.stage(stage.clone()).await.unwrap();
        staged.append("abc".into()).await.unwrap();
        assert_eq!(staged.promote(&key, 3).await.unwrap(), Promotion::Created);
        assert_eq!(staged.promote(&key, 3).await.unwrap(), Promotion::Kept);
        staged.discard().await.unwrap();
        assert_eq!(ground.content("blobs/x/data").await.unwrap(), "abc");

        let mut staged = ground.backend.stage(stage).await.unwrap();
        staged.append("longer".into()).await.unwrap();
        let promotion = staged.promote(&key, 6).await.unwrap();
        assert_eq!(promotion, Promotion::Replaced { found: 3 });
        staged.discard().await.unwrap();
        assert_eq!(ground.content("blobs/x/data").await.unwrap(), "longer");
    })
    .await;
}

#[tokio::test]
async fn objects_are_put_out_of_sight_on_every_filesystem() {
    everywhere(async |ground| {
        ground.create("blobs/x/data", b"bad").await.unwrap();
        ground.backend.quarantine(&k("blobs/x/data"), None).await.unwrap();
        assert_eq!(ground.content("blobs/x/data").await, None);
        ground.backend.quarantine(&k("blobs/x/data"), None).await.unwrap();
    })
    .await;
}
