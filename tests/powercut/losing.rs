//! That a loss is seen: the same cuts and the same look, at what others do that lose something.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use registry_tests::acknowledged::{After, Content, Fact, Pusher};

use crate::cuts::{Copy, look};
use crate::disk::Filesystem::{self, Btrfs, Ext4, Xfs};
use crate::disk::{Disk, home, make};

const NAME: &str = "library/app";

#[test]
fn a_rename_without_a_sync_of_its_directory_is_seen_to_lose_long_committed_data_on_btrfs() {
    let losses = losses(Btrfs, |root, content| {
        let (data, blob) = staged(root, content);
        File::open(&data).unwrap().sync_all().unwrap();
        commit(root);
        // As Distribution up to 3.1 does: the blob is renamed and that is all; the link is synced with its directory.
        fs::rename(data, blob).unwrap();
        write_link(root, content, true);
    });
    assert!(losses.len() == 1 && losses[0].contains("is told There"), "{losses:?}");
}

#[test]
fn what_is_never_synced_is_seen_to_be_lost() {
    for filesystem in [Ext4, Xfs, Btrfs] {
        let losses = losses(filesystem, |root, content| {
            let (data, blob) = staged(root, content);
            fs::rename(data, blob).unwrap();
            write_link(root, content, false);
        });
        assert!(losses.len() == 1 && losses[0].contains("is told There"), "{losses:?}");
    }
}

#[test]
fn a_link_that_is_renamed_before_its_bytes_are_written_is_seen_to_be_half_made() {
    let losses = losses(Ext4, |root, content| {
        let (data, blob) = staged(root, content);
        File::open(&data).unwrap().sync_all().unwrap();
        fs::rename(data, blob).unwrap();
        let link = link(root, content);
        File::create(&link).unwrap();
        commit(root);
        fs::write(&link, content.digest().to_string()).unwrap();
    });
    assert!(losses.iter().any(|loss| loss.contains("is told There")), "{losses:?}");
    assert!(losses.iter().any(|loss| loss.contains("damaged")), "{losses:?}");
}

#[test]
fn what_is_synced_with_all_its_directories_is_seen_to_be_there() {
    for filesystem in [Ext4, Xfs, Btrfs] {
        let losses = losses(filesystem, |root, content| {
            let (data, blob) = staged(root, content);
            File::open(&data).unwrap().sync_all().unwrap();
            fs::rename(data, &blob).unwrap();
            write_link(root, content, true);
            for synced in [blob, link(root, content)] {
                let above = synced.ancestors().skip(1).take_while(|above| above.starts_with(root));
                above.for_each(|above| File::open(above).unwrap().sync_all().unwrap());
            }
        });
        assert!(losses.is_empty(), "{losses:?}");
    }
}

/// What is found missing, where `write` writes a blob and its link below a root, and is believed to have done so.
fn losses(filesystem: Filesystem, write: impl FnOnce(&Path, Content)) -> Vec<String> {
    let home = home();
    let image = make(filesystem, home.path());
    let disk = Disk::start(filesystem, &image);
    let mut client = Pusher::new(1, 1, 1 << 20);
    client.speak_to(&[disk.address()], 0, &Arc::default());
    client.push_image().expect("nobody kills the server");
    let content = Content { length: 100_003, seed: 1 << 40 };
    let root = disk.path().join("registry");
    commit(&root);
    write(&root, content);
    client.ledger.blob(NAME, content.digest(), Fact::There);
    let copied = image.with_extension("cut");
    disk.copy(&copied);
    disk.end();
    let told = client.again(After::Power);
    look(filesystem, Copy { image: copied, told, number: 0, at: "a loss" }).0
}

/// The whole filesystem, as it commits after a while by itself.
fn commit(root: &Path) {
    rustix::fs::syncfs(File::open(root).unwrap()).unwrap();
}

/// Writes the bytes where uploads are. Returns where they are, and where they are to be renamed to.
fn staged(root: &Path, content: Content) -> (PathBuf, PathBuf) {
    let digest = content.digest();
    let uploads = repository(root).join("_uploads/0b9bb3d6-a3a6-4a48-9b46-3f5b1d2c6c33");
    let blob = root.join("docker/registry/v2/blobs/sha256");
    let blob = blob.join(&digest.hex()[..2]).join(digest.hex());
    for directory in [&uploads, &blob] {
        fs::create_dir_all(directory).unwrap();
    }
    let data = uploads.join("data");
    fs::write(&data, content.bytes()).unwrap();
    (data, blob.join("data"))
}

fn write_link(root: &Path, content: Content, synced: bool) {
    let link = link(root, content);
    let made = link.with_extension("tmp");
    fs::write(&made, content.digest().to_string()).unwrap();
    if synced {
        File::open(&made).unwrap().sync_all().unwrap();
    }
    fs::rename(made, &link).unwrap();
    if synced {
        File::open(link.parent().unwrap()).unwrap().sync_all().unwrap();
    }
}

fn link(root: &Path, content: Content) -> PathBuf {
    let digest = content.digest();
    let directory = repository(root).join("_layers/sha256").join(digest.hex());
    fs::create_dir_all(&directory).unwrap();
    directory.join("link")
}

fn repository(root: &Path) -> PathBuf {
    root.join("docker/registry/v2/repositories").join(NAME)
}
