//! Orders that are wrong on purpose: the exploration finds what each of them loses.

use std::io;
use std::path::Path;

use registry_store::backend::fs::system::{Open, System as _};
use registry_store::digest::Digest;
use registry_store::layout::{self, RepositoryLayout};

use super::alone::{BEGUN, IMAGE};
use super::check::at;
use super::disk::{Fault, SimulatedSystem};
use super::explore::{Cuts, Report, Seen, explore};
use super::record::{Recording, Scenario};
use super::step::Step::{self, *};
use super::step::Which::Day;
use super::step::{CONTENTS, REPOSITORIES, Sessions, tag};

fn explored(scenario: &Scenario) -> Report {
    let recording = Recording::of(scenario);
    explore(&recording, scenario.refused, Cuts::Extremes, &mut Seen::default())
}

/// Is this among what was found wrong?
#[track_caller]
pub(crate) fn expect_loss(report: &Report, loss: &str) {
    let is_found = report.losses.iter().any(|found| found.contains(loss));
    let shown: Vec<_> = report.losses.iter().take(3).map(String::as_str).collect();
    assert!(is_found, "expected a loss as {loss:?}, found {report}:\n\n{}", shown.join("\n\n"));
}

fn with(fault: Fault, before: &'static [Step], step: Step) -> Report {
    explored(&Scenario { fault, ..Scenario::new(before, step) })
}

#[test]
fn without_the_sync_of_directories_an_acknowledged_blob_is_lost() {
    let lost = "layer (0, 1) is not there";
    expect_loss(&with(Fault::NoDirectorySync, &[], Push(0, 1)), lost);
    expect_loss(&with(Fault::NoDirectorySync, BEGUN, Commit(0, b", world", 1)), lost);
}

#[test]
fn without_the_sync_of_those_above_new_directories_it_is_lost_too() {
    expect_loss(&with(Fault::NoParentSync, &[], Push(0, 1)), "layer (0, 1) is not there");
    let mounted = with(Fault::NoParentSync, IMAGE, Mount(1, 0, 1));
    expect_loss(&mounted, "layer (1, 1) is not there");
}

#[test]
fn without_the_sync_of_files_names_of_torn_bytes_are_visible() {
    expect_loss(&with(Fault::NoFileSync, &[], Push(0, 1)), "data holds \"\"");
    let blobs = &[Push(0, 0), Push(0, 1)];
    expect_loss(&with(Fault::NoFileSync, blobs, Put(0, Day, Some(0))), "link holds \"\"");
}

#[test]
fn without_the_sync_of_what_another_process_named_its_crash_loses_what_was_acknowledged() {
    let scenario =
        Scenario { fault: Fault::NoDirectorySyncBeside, ..Scenario::new(&[], Push(0, 1)) };
    let (mut report, mut after) = (Report::default(), 0);
    while let Some(recording) = Recording::beside(&scenario, Push(1, 1), after) {
        report += explore(&recording, scenario.refused, Cuts::Extremes, &mut Seen::default());
        after += 1;
    }
    expect_loss(&report, "layer (1, 1) is not there");
}

/// A file whose bytes are durable, by a name of its own and then by this one; as Distribution 3.1 writes links.
fn put_renamed(system: &SimulatedSystem, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap();
    make_directories(system, directory)?;
    let temp = path.with_extension("tmp");
    let file = system.open(&temp, Open::New)?;
    system.write_all_at(&file, bytes, 0)?;
    system.sync_data(&file)?;
    system.rename(&temp, path)?;
    system.sync_directory(&system.open(directory, Open::Directory)?)
}

fn make_directories(system: &SimulatedSystem, directory: &Path) -> io::Result<()> {
    let above: Vec<_> = directory.ancestors().collect();
    for level in above.into_iter().rev().filter(|level| system.stat(level).is_err()) {
        system.make_directory(level)?;
    }
    Ok(())
}

fn of(name: usize) -> RepositoryLayout {
    RepositoryLayout::new(&REPOSITORIES[name].parse().unwrap())
}

/// As Distribution moves an upload to where the blob is to be: the directory it comes to is not synced.
fn renames_without_sync(system: &SimulatedSystem, sessions: &Sessions) -> io::Result<()> {
    let (_, name, id) = sessions.all()[0];
    let digest = Digest::sha256(CONTENTS[1]);
    let data = at(&of(name).session(id).data);
    let file = system.open(&data, Open::ReadWrite)?;
    system.write_all_at(&file, b", world", 5)?;
    system.sync_data(&file)?;
    let blob = at(&layout::blob(&digest));
    make_directories(system, blob.parent().unwrap())?;
    system.rename(&data, &blob)?;
    put_renamed(system, &at(&of(name).layer_link(&digest)), digest.to_string().as_bytes())
}

#[test]
fn the_order_of_distribution_loses_an_acknowledged_blob() {
    let commit = Scenario::new(BEGUN, Commit(0, b", world", 1));
    let report = explored(&Scenario { instead: Some(renames_without_sync), ..commit });
    expect_loss(&report, "layer (0, 1) is not there");
}

/// Makes a blob where it is to be, and writes and syncs it there.
fn writes_in_place(system: &SimulatedSystem, _: &Sessions) -> io::Result<()> {
    let digest = Digest::sha256(CONTENTS[1]);
    let blob = at(&layout::blob(&digest));
    make_directories(system, blob.parent().unwrap())?;
    let file = system.open(&blob, Open::New)?;
    system.write_all_at(&file, CONTENTS[1], 0)?;
    system.sync_data(&file)?;
    put_renamed(system, &at(&of(0).layer_link(&digest)), digest.to_string().as_bytes())
}

#[test]
fn a_blob_that_is_written_in_place_is_seen_before_its_bytes() {
    let scenario = Scenario::new(&[Push(0, 0)], Push(0, 1));
    let report = explored(&Scenario { instead: Some(writes_in_place), ..scenario });
    expect_loss(&report, "data holds \"\"");
}

/// Puts a manifest under a tag, the tag first.
fn tags_first(system: &SimulatedSystem, _: &Sessions) -> io::Result<()> {
    let (digest, latest) = (Day.digest(), tag(0));
    let text = digest.to_string();
    put_renamed(system, &at(&of(0).tag_index_link(&latest, &digest)), text.as_bytes())?;
    put_renamed(system, &at(&of(0).tag_current_link(&latest)), text.as_bytes())?;
    put_renamed(system, &at(&of(0).revision_link(&digest)), text.as_bytes())?;
    put_renamed(system, &at(&layout::blob(&digest)), Day.manifest().bytes())
}

#[test]
fn a_tag_that_is_written_before_its_manifest_is_seen_pointing_nowhere() {
    let scenario = Scenario::new(&[Push(0, 0), Push(0, 1)], Put(0, Day, Some(0)));
    let report = explored(&Scenario { instead: Some(tags_first), ..scenario });
    expect_loss(&report, "tag (0, 0) is Day, which is not there");
}
