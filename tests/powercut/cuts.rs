//! [`cut`]: a client pushes; at the instant of an answer the power goes; what it was told is looked for.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use registry_tests::acknowledged::{After, Check, Cut, Cutting, Figures, Pusher, Scope, Way};

use crate::disk::{Disk, Filesystem, home, make};

/// Cuts where nobody says how many.
const CUTS: usize = 10;
/// So many cuts hit one disk; then a new one is made.
const CUTS_OF_A_DISK: usize = 10;
/// The contents of no two filesystems are the same: what each is given begins so far apart.
const APART: usize = 1_000_000;
/// The longest blob.
const LARGEST: usize = 1 << 20;

/// What the filesystem did before the last request, the one whose answer is the promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing that it was not asked for.
    JustWritten,
    /// Everything was committed, so that the last request can rely on nothing of what the filesystem still had to do.
    LongCommitted,
}

/// Cuts the power so many times, and fails if anything acknowledged is lost.
#[expect(clippy::print_stdout, reason = "how much was tried is worth to be known")]
pub(crate) fn cut(filesystem: Filesystem, before: Before) {
    let cuts = env::var("POWER_CUTS").map_or(CUTS, |cuts| cuts.parse().unwrap());
    let mut figures = Figures::default();
    let mut done = 0;
    while done < cuts {
        let home = home();
        let image = make(filesystem, home.path());
        let end = cuts.min(done + CUTS_OF_A_DISK);
        let (copies, pushed) = push(filesystem, before, &image, done..end);
        figures += pushed;
        for copy in copies {
            let said = format!("{filesystem:?}, {before:?}, cut {} at {}", copy.number, copy.at);
            let (losses, found) = look(filesystem, copy);
            assert!(losses.is_empty(), "{said}: {losses:#?}");
            figures += found;
        }
        done = end;
    }
    println!("{filesystem:?}, {before:?}: {cuts} cuts, nothing lost\n{figures}");
}

/// What a device had when the power went, and what its client had been told by then.
pub(crate) struct Copy {
    pub(crate) image: PathBuf,
    pub(crate) told: Pusher,
    pub(crate) number: usize,
    pub(crate) at: &'static str,
}

/// Pushes to a `registry` on the disk, and copies the device after each of these cuts' operations.
fn push(
    filesystem: Filesystem,
    before: Before,
    image: &Path,
    cuts: impl Iterator<Item = usize>,
) -> (Vec<Copy>, Figures) {
    let disk = Disk::start(filesystem, image);
    let workload = filesystem as usize * 2 + before as usize;
    let mut cuts = cuts.peekable();
    let seed = workload * APART + *cuts.peek().unwrap();
    let mut client = Pusher::new(1, seed as u64, LARGEST);
    let cutting = match before {
        Before::JustWritten => Cutting::default(),
        Before::LongCommitted => {
            let mounted = File::open(disk.path()).unwrap();
            Cutting::with_before_last(move || rustix::fs::syncfs(&mounted).unwrap())
        }
    };
    client.speak_to(&[disk.address()], 0, &Arc::new(cutting));
    let copies = cuts.map(|number| {
        let at = operation(&mut client, workload + number).expect("nobody kills the server");
        let image = image.with_extension(format!("cut-{number}"));
        disk.copy(&image);
        Copy { image, told: client.again(After::Power), number, at }
    });
    let copies: Vec<Copy> = copies.collect();
    // Its losses would be those of a server that was not cut off.
    assert!(client.losses.is_empty(), "{:?}", client.losses);
    let figures = client.figures.clone();
    // What it holds open of the disk keeps that in use.
    drop(client);
    disk.end();
    (copies, figures)
}

/// What is cut behind: one after the other, and others before them so that they have something to work on.
fn operation(client: &mut Pusher, number: usize) -> Result<&'static str, Cut> {
    if client.ledger.is_empty() {
        for _ in 0..3 {
            client.push_image()?;
        }
    }
    let (name, content) = (client.name(), client.layer());
    match number % 10 {
        0 => client.push_blob(&name, content, &Way::Patched(2)).map(|()| "POST, PATCH, PUT"),
        1 => client.push_blob(&name, content, &Way::Put).map(|()| "POST, PUT"),
        2 => {
            client.push_blob("elsewhere/app", content, &Way::Patched(1))?;
            let mounted = client.mount(&name, content, "elsewhere/app")?;
            assert!(mounted, "it was pushed there");
            Ok("mount")
        }
        3 => client.push_image().map(|()| "manifest by tag"),
        4 => client.move_tag().map(|()| "tag moved"),
        5 => client.delete_tag().map(|()| "tag deleted"),
        6 => client.delete_manifest().map(|()| "manifest deleted"),
        7 => client.push_referrer().map(|()| "referrer"),
        8 => {
            client.park()?;
            client.begin_to_append();
            Ok("session")
        }
        _ => match number / 10 % 3 {
            0 => client.push_blob_and_delete_it().map(|()| "blob deleted"),
            1 => client.push_blob(&name, content, &Way::Whole).map(|()| "POST"),
            _ => client.push_index().map(|()| "index"),
        },
    }
}

/// Starts a `registry` on what the device had, and looks for what the client was told.
pub(crate) fn look(filesystem: Filesystem, copy: Copy) -> (Vec<String>, Figures) {
    let disk = Disk::start(filesystem, &copy.image);
    let mut client = copy.told;
    client.speak_to(&[disk.address()], 0, &Arc::default());
    Check::run(&mut client, Scope::Everything);
    let log = disk.end();
    if log.contains("damaged") {
        client.losses.push(log);
    }
    fs::remove_file(&copy.image).unwrap();
    (client.losses, client.figures)
}
