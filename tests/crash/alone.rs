//! Each operation alone.

use std::io::{self, Write as _};

use super::disk::Refused;
use super::explore::{Cuts, Report, Seen, explore, is_full};
use super::record::{Recording, Scenario};
use super::step::Step::{self, *};
use super::step::Which::{Day, Night, Signature};

/// An image, its blobs before it.
pub(crate) const IMAGE: &[Step] = &[Push(0, 0), Push(0, 1), Put(0, Day, Some(0))];
/// What another image needs as well.
pub(crate) const BOTH: &[Step] = &[Push(0, 0), Push(0, 1), Push(0, 2), Put(0, Day, Some(0))];
/// A session with some bytes of the second content.
pub(crate) const BEGUN: &[Step] = &[Push(0, 0), Start(0, 0), Append(0, 0, b"hello")];

/// An image, what it has in common with another repository, and what nothing refers to.
pub(crate) const LOOSE: &[Step] =
    &[Push(0, 0), Push(0, 1), Put(0, Day, Some(0)), Push(1, 1), Push(1, 2)];
/// A tag that was moved from one image to another, and a signature of the first.
pub(crate) const UNTAGGED: &[Step] = &[
    Push(0, 0),
    Push(0, 1),
    Push(0, 2),
    Put(0, Day, Some(0)),
    Put(0, Signature, None),
    Put(0, Night, Some(0)),
];

/// Every operation: what it follows, and the request.
const OPERATIONS: &[(&[Step], Step)] = &[
    (&[], Push(0, 1)),
    (IMAGE, Push(0, 1)),
    (IMAGE, Push(1, 1)),
    (&[], Start(0, 0)),
    (&[Start(0, 0)], Append(0, 0, b"hello")),
    (BEGUN, Append(0, 5, b", wor")),
    (BEGUN, Commit(0, b", world", 1)),
    (&[Start(0, 0)], Commit(0, b"hello, world", 1)),
    (&[Push(0, 1), Start(0, 0), Append(0, 0, b"hello")], Commit(0, b", world", 1)),
    (&[Push(1, 1), Start(0, 0), Append(0, 0, b"hello, world")], Commit(0, b"", 1)),
    (BEGUN, Cancel(0)),
    (IMAGE, Mount(1, 0, 1)),
    (&[Push(0, 0), Push(0, 1)], Put(0, Day, None)),
    (&[Push(0, 0), Push(0, 1)], Put(0, Day, Some(0))),
    (IMAGE, Put(0, Day, Some(0))),
    (BOTH, Put(0, Night, Some(0))),
    (IMAGE, Put(0, Day, Some(1))),
    (IMAGE, Put(0, Signature, None)),
    (IMAGE, DeleteTag(0, 0)),
    (IMAGE, DeleteManifest(0, Day)),
    (
        &[Push(0, 0), Push(0, 1), Put(0, Day, Some(0)), Put(0, Signature, Some(1))],
        DeleteManifest(0, Signature),
    ),
    (IMAGE, DeleteBlob(0, 1)),
    (LOOSE, Collect(false)),
    (UNTAGGED, Collect(true)),
];

/// Stops every operation on such a filesystem: after each of its effects, or only where it was acknowledged.
fn on(refused: Refused, cuts: Cuts) -> Report {
    let (mut report, mut seen) = (Report::default(), Seen::default());
    for (before, step) in OPERATIONS {
        let scenario = Scenario { refused, ..Scenario::new(before, *step) };
        report += explore(&Recording::of(&scenario), refused, cuts, &mut seen);
    }
    report
}

/// Where operations are cut on the filesystems that are met less often.
fn short() -> Cuts {
    if is_full() { Cuts::All } else { Cuts::Turns }
}

/// Tells what was explored, though it is well, and fails if anything was wrong with it.
#[track_caller]
pub(crate) fn expect_no_loss(what: &str, report: &Report) {
    // What the macros print is shown of tests that fail only.
    let mut output = io::stdout();
    writeln!(output, "crash: {what}: {report}").unwrap();
    let shown: Vec<_> = report.losses.iter().take(3).map(String::as_str).collect();
    assert!(report.losses.is_empty(), "{report}:\n\n{}", shown.join("\n\n"));
}

#[test]
fn no_operation_loses_what_was_acknowledged_wherever_it_is_stopped() {
    let report = on(Refused::default(), Cuts::All);
    expect_no_loss("each operation alone", &report);
    assert!(report.effects > 10 * OPERATIONS.len(), "they do something: {report}");
    assert!(report.states > 2 * report.effects, "and are stopped within it: {report}");
}

#[test]
fn nor_does_it_where_files_without_a_name_are_refused() {
    let refused = Refused { unnamed: true, ..Refused::default() };
    expect_no_loss("each without O_TMPFILE", &on(refused, short()));
}

#[test]
fn nor_where_a_file_has_one_name_only() {
    let refused = Refused { unnamed: true, links: true, ..Refused::default() };
    expect_no_loss("each without links", &on(refused, short()));
    let refused = Refused { unnamed: true, links: true, rename_new: true, ..Refused::default() };
    expect_no_loss("each without links or RENAME_NOREPLACE", &on(refused, short()));
}

#[test]
fn nor_where_nobody_is_told_which_boot_it_is() {
    let refused = Refused { boot: true, ..Refused::default() };
    expect_no_loss("each without the id of the boot", &on(refused, short()));
}
