//! What is in the place of the root is told from the root.

use std::fs;
use std::path::{Path, PathBuf};

use futures::future::BoxFuture;

use super::*;
use crate::backend::{ErrorKind, LockMode, ReadRange};
use crate::layout;

/// A root that can be moved away, with something in it, and its backend.
struct Moved {
    above: TempDir,
    backend: FilesystemBackend,
}

impl Moved {
    async fn new() -> Self {
        let above = tempfile::tempdir().unwrap();
        fs::create_dir(above.path().join("data")).unwrap();
        let backend = FilesystemBackend::open(above.path().join("data")).unwrap();
        backend.put(&k("a/b"), "ab".into(), PutMode::Create).await.unwrap();
        Self { above, backend }
    }

    fn root(&self) -> PathBuf {
        self.above.path().join("data")
    }

    fn elsewhere(&self) -> PathBuf {
        self.above.path().join("elsewhere")
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

type Asked<'a> = BoxFuture<'a, Result<()>>;

/// Everything that makes or removes a name, or says that something is not there.
fn operations(backend: &FilesystemBackend) -> Vec<(&'static str, Asked<'_>)> {
    use futures::FutureExt as _;
    vec![
        ("head", async { backend.head(&k("x/y")).await.map(drop) }.boxed()),
        ("read", async { backend.read(&k("x/y"), ReadRange::Full).await.map(drop) }.boxed()),
        ("settle", async { backend.settle(&[k("x/y")]).await.map(drop) }.boxed()),
        ("settle all", async { backend.settle_all(&[k("x/y")]).await }.boxed()),
        ("children", async { backend.list_children(&k("x"), None, 1).await.map(drop) }.boxed()),
        (
            "list",
            async { backend.list(&k("x"), None).try_for_each(async |_| Ok(())).await }.boxed(),
        ),
        ("left out", async { backend.left_out(&k("x"), &[]).await.map(drop) }.boxed()),
        (
            "put",
            async { backend.put(&k("x/z"), "z".into(), PutMode::Create).await.map(drop) }.boxed(),
        ),
        ("delete", async { backend.delete(&[k("x/y")]).await }.boxed()),
        ("delete tree", async { backend.delete_tree(&k("x")).await }.boxed()),
        ("expire", async { backend.expire_staged(std::time::UNIX_EPOCH).await.map(drop) }.boxed()),
        ("stage", async { backend.stage(Stage::Final { key: &k("x/y") }).await.map(drop) }.boxed()),
        (
            "lock",
            async { backend.lock(&layout::writers(), LockMode::Shared).await.map(drop) }.boxed(),
        ),
    ]
}

async fn assert_nothing_is_done(backend: &FilesystemBackend) {
    for (name, operation) in operations(backend) {
        let error = operation.await.expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{name}: {error}");
        assert!(error.to_string().contains("opened at start"), "{name}: {error}");
    }
}

#[tokio::test]
async fn while_the_root_is_away_nothing_is_said_to_be_missing_and_nothing_is_written() {
    let ground = Moved::new().await;
    fs::rename(ground.root(), ground.elsewhere()).unwrap();
    assert_nothing_is_done(&ground.backend).await;
    assert!(!ground.root().exists());
    fs::rename(ground.elsewhere(), ground.root()).unwrap();
    assert!(ground.backend.head(&k("x/y")).await.unwrap().is_none());
    assert_eq!(ground.backend.read_small(&k("a/b"), 9).await.unwrap().unwrap(), "ab");
    ground.backend.put(&k("x/y"), "xy".into(), PutMode::Create).await.unwrap();
}

#[tokio::test]
async fn nothing_is_written_to_another_directory_in_the_place_of_the_root() {
    let ground = Moved::new().await;
    let _writes = ground.backend.lock(&layout::writers(), LockMode::Shared).await.unwrap();
    fs::rename(ground.root(), ground.elsewhere()).unwrap();
    copy(&ground.elsewhere(), &ground.root());
    // The lock is with the old one, so nobody keeps a collection of the new one away.
    let collecting = FilesystemBackend::open(ground.root()).unwrap();
    let _alone = collecting.lock(&layout::writers(), LockMode::Exclusive).await.unwrap();
    assert_nothing_is_done(&ground.backend).await;
    assert!(!ground.root().join("x").exists() && !ground.elsewhere().join("x").exists());
}

#[tokio::test]
async fn a_directory_that_was_made_anew_is_not_the_root() {
    let ground = Moved::new().await;
    fs::remove_dir_all(ground.root()).unwrap();
    fs::create_dir(ground.root()).unwrap();
    assert_nothing_is_done(&ground.backend).await;
    assert_eq!(fs::read_dir(ground.root()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_was_staged_before_the_root_went_away_is_not_promoted_elsewhere() {
    let ground = Moved::new().await;
    let mut staged = ground.backend.stage(Stage::Final { key: &k("x/y") }).await.unwrap();
    staged.append("xy".into()).await.unwrap();
    fs::rename(ground.root(), ground.elsewhere()).unwrap();
    copy(&ground.elsewhere(), &ground.root());
    let error = staged.promote(&k("x/y"), 2).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(!ground.root().join("x").exists());
}
