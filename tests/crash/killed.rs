//! A process that is killed at any of its effects, another one that goes on with what it finds, and the power cut then.
//!
//! What the first has done is seen by the second, and may not be durable: what it took away may come back, also after the
//! second has built on its absence.

use std::io;

use registry_store::backend::fs::system::System as _;
use registry_store::digest::Digest;
use registry_store::layout;

use super::alone::{BEGUN, BOTH, IMAGE, LOOSE, UNTAGGED, expect_no_loss};
use super::broken::expect_loss;
use super::check::at;
use super::disk::{Fault, SimulatedSystem};
use super::explore::{Cuts, Report, Seen, explore, is_full};
use super::record::{Recording, Scenario};
use super::step::Step::{self, *};
use super::step::Which::{Day, Night};
use super::step::{CONTENTS, Sessions};

/// What it follows, the request whose process is killed, and those that others make of what they find.
type Killing = (&'static [Step], Step, &'static [Step]);

/// Collections, and what is asked for then.
const COLLECTIONS: &[Killing] = &[
    (LOOSE, Collect(false), &[Push(1, 2), Push(0, 2), Mount(0, 1, 2), Collect(false)]),
    (UNTAGGED, Collect(true), &[Collect(true), Collect(false), Push(0, 1)]),
];

/// What leaves something to be collected, or takes that back.
const BEFORE_COLLECTIONS: &[Killing] = &[
    (IMAGE, DeleteTag(0, 0), &[Collect(true)]),
    (IMAGE, DeleteManifest(0, Day), &[Collect(false), Collect(true)]),
    (IMAGE, DeleteBlob(0, 1), &[Collect(false)]),
    (BOTH, Put(0, Night, Some(0)), &[Collect(false), Collect(true)]),
];

/// What a manifest is deleted beside, though it has not come to its end.
const BEFORE_DELETES: &[Killing] = &[
    (IMAGE, DeleteTag(0, 0), &[DeleteManifest(0, Day)]),
    (BOTH, Put(0, Night, Some(0)), &[DeleteManifest(0, Day), DeleteTag(0, 0)]),
    (IMAGE, DeleteManifest(0, Day), &[Put(0, Day, Some(1)), DeleteTag(0, 0)]),
];

/// Kills it at every effect, lets each of the others find that, and cuts the power when that one has been answered.
fn killed(scenario: &Scenario, others: &[Step], seen: &mut Seen) -> Report {
    let first = Recording::of(scenario);
    let mut report = Report::default();
    for effects in first.cuts() {
        report += gone_on_with(&first, effects, scenario, others, seen);
    }
    report
}

fn gone_on_with(
    first: &Recording,
    effects: usize,
    scenario: &Scenario,
    others: &[Step],
    seen: &mut Seen,
) -> Report {
    let mut report = Report::default();
    let cuts = if is_full() { Cuts::All } else { Cuts::Turns };
    for then in others {
        let second = first.killed(effects, *then, scenario);
        report += explore(&second, scenario.refused, cuts, seen);
    }
    report
}

fn all(fault: Fault, killings: &[Killing]) -> Report {
    let (mut report, mut seen) = (Report::default(), Seen::default());
    for (before, step, others) in killings {
        let scenario = Scenario { fault, ..Scenario::new(before, *step) };
        report += killed(&scenario, others, &mut seen);
    }
    report
}

#[test]
fn nothing_is_built_on_what_a_killed_collection_has_not_taken_away_for_good() {
    expect_no_loss("collections, killed, and others then", &all(Fault::None, COLLECTIONS));
}

#[test]
fn no_collection_takes_what_comes_back_with_what_a_killed_process_had_taken_away() {
    expect_no_loss("others, killed, and collections then", &all(Fault::None, BEFORE_COLLECTIONS));
}

#[test]
fn no_manifest_is_deleted_at_which_a_tag_points_again_that_a_killed_process_had_moved() {
    expect_no_loss("others, killed, and deletes then", &all(Fault::None, BEFORE_DELETES));
}

/// Kills a commit where the blob has its name and the session its own, and then a collection at every effect.
fn twice(fault: Fault, others: &[Step]) -> Report {
    let scenario = Scenario { fault, ..Scenario::new(BEGUN, Commit(0, b", world", 1)) };
    let commit = Recording::of(&scenario);
    let promoted = commit.promoted();
    // Where the session is still one, and where it is not.
    let stride = if is_full() { 1 } else { 8 };
    let (mut report, mut seen) = (Report::default(), Seen::default());
    for effects in promoted.iter().step_by(stride) {
        let collected = commit.killed(*effects, Collect(false), &scenario);
        for effects in collected.cuts() {
            report += gone_on_with(&collected, effects, &scenario, others, &mut seen);
        }
    }
    report
}

#[test]
fn no_session_is_added_to_that_may_be_the_blob_again_that_a_killed_collection_took_away() {
    let others = &[Append(0, 12, b"!"), Push(1, 1), Cancel(0), Commit(0, b"", 1)];
    expect_no_loss("a commit and a collection, killed", &twice(Fault::None, others));
}

#[test]
fn without_the_sync_of_all_that_was_done_before_a_collection_leaves_what_lacks_something() {
    let report = all(Fault::NoFilesystemSync, BEFORE_COLLECTIONS);
    expect_loss(&report, "tag (0, 0) is Day, which is not there");
    let report = all(Fault::NoFilesystemSync, COLLECTIONS);
    expect_loss(&report, "when it was asked again: manifest (0, Day) is there");
}

/// Takes the blob's name away, whatever other names it has, and is killed before it syncs.
fn unlinks(system: &SimulatedSystem, _: &Sessions) -> io::Result<()> {
    system.unlink(&at(&layout::blob(&Digest::sha256(CONTENTS[1]))))
}

#[test]
fn a_blob_that_is_unlinked_while_it_is_a_sessions_too_comes_back_with_what_was_added_to_that() {
    let scenario = Scenario::new(BEGUN, Commit(0, b", world", 1));
    let commit = Recording::of(&scenario);
    let effects = commit.promoted()[0];
    let scenario = Scenario { instead: Some(unlinks), ..scenario };
    let unlinked = commit.killed(effects, Collect(false), &scenario);
    let added = gone_on_with(
        &unlinked,
        *unlinked.cuts().end(),
        &Scenario { instead: None, ..scenario },
        &[Append(0, 12, b"!")],
        &mut Seen::default(),
    );
    expect_loss(&added, "data holds \"hello, world!\"");
}
