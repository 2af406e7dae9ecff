//! Collection where a directory holds what listings do not show: then something is kept, never lost.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use registry_store::backend::ErrorKind;
use registry_store::digest::Digest;
use registry_store::error::Error;
use registry_store::gc::{CollectOptions, Step};
use registry_store::layout::{self, RepositoryLayout};
use registry_tests::documents::push_image;
use registry_tests::tree::Tree;
use registry_tests::world::{World, push};
use tempfile::TempDir;

use crate::collecting::collect;

/// A registry in a directory, with an image in `team/a` and a blob that nothing refers to in `b`.
async fn filled() -> (World, PathBuf, Digest) {
    let directory = TempDir::new().unwrap();
    let root = directory.path().to_owned();
    let world = World::in_directory(directory);
    push_image(&world.repository("team/a"), b"{}", &[b"layer"], "v1").await;
    let loose = push(&world.repository("b"), b"loose").await;
    (world, root, loose)
}

fn at(root: &Path, path: &str) -> PathBuf {
    root.join(layout::repositories().as_str()).join(path)
}

async fn assert_refused(world: &World, root: &Path, named: &str) {
    // The rest has links that lead nowhere, which cannot be read.
    let data = root.join(layout::top().as_str()).join("blobs");
    let before = Tree::read(&data);
    for dry_run in [true, false] {
        let options = CollectOptions { dry_run, ..CollectOptions::default() };
        let failed = world.store.collect(options, &mut |_| {}).await;
        let Err(Error::Storage(error)) = failed else { panic!("{named}: {failed:?}") };
        assert_eq!(error.kind(), ErrorKind::Foreign, "{error}");
        assert!(error.to_string().contains(named), "{named}: {error}");
    }
    assert!(Tree::read(&data) == before, "{named}: nothing is taken");
}

#[tokio::test]
async fn a_link_to_a_disk_that_is_not_there_keeps_everything() {
    for path in ["team", "team/a", "team/a/_manifests"] {
        let (world, root, loose) = filled().await;
        let (here, disk) = (at(&root, path), TempDir::new().unwrap());
        let there = disk.path().join("moved");
        // Across filesystems a rename does not go; a test has one.
        fs::rename(&here, root.join("moved")).unwrap();
        symlink(&there, &here).unwrap();
        assert_refused(&world, &root, here.file_name().unwrap().to_str().unwrap()).await;
        // Nor is one that leads below a file.
        fs::remove_file(&here).unwrap();
        fs::write(disk.path().join("file"), "").unwrap();
        symlink(disk.path().join("file/moved"), &here).unwrap();
        assert_refused(&world, &root, here.file_name().unwrap().to_str().unwrap()).await;
        // When it is there again, it counts.
        fs::remove_file(&here).unwrap();
        symlink(root.join("moved"), &here).unwrap();
        let (collected, steps) = collect(&world.store, CollectOptions::default()).await;
        assert_eq!((collected.repositories, collected.removed_blobs), (2, 1), "{steps:?}");
        assert!(!root.join(layout::blob(&loose).as_str()).exists());
    }
}

#[tokio::test]
async fn repositories_that_are_not_there_keep_everything() {
    let (world, root, _) = filled().await;
    let here = at(&root, "");
    fs::rename(&here, root.join("moved")).unwrap();
    assert_refused(&world, &root, "found none").await;
    symlink(root.join("nowhere"), root.join(layout::repositories().as_str())).unwrap();
    assert_refused(&world, &root, "repositories").await;
}

#[tokio::test]
async fn a_link_that_leads_nowhere_in_a_repository_keeps_all_of_it() {
    let name = "team/a".parse().unwrap();
    let links = RepositoryLayout::new(&name);
    let image = registry_tests::documents::image(b"{}", &[b"layer"]);
    let digest = image.digest(registry_store::digest::Algorithm::Sha256);
    let revision = links.revision_link(&digest);
    for place in [
        links.all_revisions(),
        links.revisions(digest.algorithm()),
        revision.parent().unwrap(),
        revision,
    ] {
        let (world, root, loose) = filled().await;
        let here = root.join(place.as_str());
        fs::rename(&here, root.join("moved")).unwrap();
        symlink(root.join("nowhere"), &here).unwrap();
        let (collected, steps) = collect(&world.store, CollectOptions::default()).await;
        assert!(collected.damaged > 0, "{place}: {steps:?}");
        let layer = root.join(layout::blob(&Digest::sha256(b"layer")).as_str());
        assert!(layer.exists(), "{place}: {steps:?}");
        assert!(!root.join(layout::blob(&loose).as_str()).exists(), "{place}");
    }
}

#[tokio::test]
async fn copies_made_by_hand_keep_everything_whatever_they_are_called() {
    for name in ["app (copy)", "app~", "app@old", "_app", "team/a (copy)", "app (copy)/deep/er"] {
        let (world, root, _) = filled().await;
        let copy = at(&root, name).join("_manifests/tags");
        fs::create_dir_all(&copy).unwrap();
        fs::write(copy.join("x"), "").unwrap();
        let named = if name.contains("/deep") { "app (copy)" } else { name };
        assert_refused(&world, &root, named.rsplit('/').next().unwrap()).await;
    }
}

#[tokio::test]
async fn what_a_system_keeps_in_every_directory_is_no_copy() {
    let (world, root, _) = filled().await;
    for name in ["@eaDir", "team/@eaDir", "team/a/_manifests/revisions/sha256/@eaDir"] {
        fs::create_dir_all(at(&root, name).join("thumbs")).unwrap();
        fs::write(at(&root, name).join("thumbs/file (1).txt"), "").unwrap();
    }
    let (collected, steps) = collect(&world.store, CollectOptions::default()).await;
    assert_eq!((collected.damaged, collected.removed_blobs), (0, 1), "{steps:?}");
    assert!(!steps.iter().any(|step| matches!(step, Step::Damaged { .. })));
}

#[tokio::test]
async fn what_cannot_be_looked_at_stays_and_the_rest_goes() {
    let (world, root, loose) = filled().await;
    let odd = layout::blob(&Digest::sha256(b"odd"));
    let path = root.join(odd.as_str());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink("data", &path).unwrap();
    let (collected, steps) = collect(&world.store, CollectOptions::default()).await;
    assert_eq!((collected.left, collected.removed_blobs), (1, 1), "{steps:?}");
    assert!(steps.iter().any(|step| matches!(step, Step::Left { what } if what.key == odd)));
    assert!(!root.join(layout::blob(&loose).as_str()).exists() && path.is_symlink());
}

#[tokio::test]
async fn tags_that_nobody_can_open_do_not_keep_anything_of_other_repositories() {
    let (world, root, loose) = filled().await;
    push_image(&world.repository("c"), b"{}", &[b"layer"], "v1").await;
    let tags = at(&root, "c/_manifests/tags");
    fs::rename(&tags, root.join("moved")).unwrap();
    // Rights would not keep root out.
    symlink("tags", &tags).unwrap();
    let (collected, steps) = collect(&world.store, CollectOptions::default()).await;
    assert_eq!((collected.left, collected.removed_blobs), (0, 1), "{steps:?}");
    assert!(!root.join(layout::blob(&loose).as_str()).exists());
}
