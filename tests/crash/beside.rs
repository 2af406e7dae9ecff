//! Each operation with another process's request between any two of its system calls.

use super::alone::{BEGUN, BOTH, IMAGE, expect_no_loss};
use super::disk::Refused;
use super::explore::{Cuts, Report, Seen, explore, is_full};
use super::record::{Recording, Scenario};
use super::step::Step::{self, *};
use super::step::Which::{Day, Night, Signature};

/// A session with some bytes of a content that another repository has.
const BEGUN_OF_EXISTING: &[Step] = &[Push(0, 0), Push(1, 1), Start(0, 0), Append(0, 0, b"hello")];
/// An image, and its signature.
const SIGNED: &[Step] = &[Push(0, 0), Push(0, 1), Put(0, Day, Some(0)), Put(0, Signature, Some(1))];

const COMMIT: Step = Commit(0, b", world", 1);

/// What it follows, the operation, and what other processes ask for meanwhile.
const MEETINGS: &[(&[Step], Step, &[Step])] = &[
    (
        BEGUN,
        COMMIT,
        &[Append(0, 5, b"XXXX"), Append(0, 12, b"!"), COMMIT, Cancel(0), Push(0, 1), Push(1, 1)],
    ),
    (BEGUN_OF_EXISTING, COMMIT, &[Append(0, 5, b"XXXX"), Push(0, 1), DeleteBlob(1, 1)]),
    (BEGUN, Append(0, 5, b", wor"), &[Append(0, 5, b"XXXX"), Cancel(0), COMMIT]),
    (BEGUN, Cancel(0), &[Append(0, 5, b", wor"), COMMIT]),
    (&[], Push(0, 1), &[Push(0, 1), Push(1, 1)]),
    (IMAGE, Push(1, 1), &[DeleteBlob(0, 1), Mount(1, 0, 1)]),
    (IMAGE, Mount(1, 0, 1), &[Mount(1, 0, 1), Push(1, 1), DeleteBlob(0, 1)]),
    (
        BOTH,
        Put(0, Night, Some(0)),
        &[
            Put(0, Night, Some(0)),
            Put(0, Day, Some(0)),
            Put(0, Night, Some(1)),
            DeleteTag(0, 0),
            DeleteManifest(0, Day),
            DeleteBlob(0, 2),
        ],
    ),
    (IMAGE, Put(0, Day, Some(1)), &[DeleteManifest(0, Day), DeleteTag(0, 0)]),
    (IMAGE, Put(0, Signature, None), &[DeleteManifest(0, Day), Put(0, Signature, Some(1))]),
    (BOTH, DeleteTag(0, 0), &[Put(0, Day, Some(0)), Put(0, Night, Some(0)), DeleteTag(0, 0)]),
    (
        BOTH,
        DeleteManifest(0, Day),
        &[
            Put(0, Day, Some(1)),
            Put(0, Night, Some(0)),
            Put(0, Signature, None),
            DeleteTag(0, 0),
            DeleteManifest(0, Day),
        ],
    ),
    (SIGNED, DeleteManifest(0, Signature), &[Put(0, Signature, None), DeleteManifest(0, Day)]),
    (IMAGE, DeleteBlob(0, 1), &[Push(0, 1), Mount(1, 0, 1), Put(0, Day, Some(1))]),
];

/// Lets `other` come before every call of an operation, and stops both: after each effect in the full form, and where
/// either was acknowledged in the short one, which passes over calls too.
fn meeting(scenario: &Scenario, other: Step, seen: &mut Seen) -> Report {
    let (stride, cuts) = if is_full() { (1, Cuts::All) } else { (4, Cuts::Turns) };
    let mut report = Report::default();
    let mut after = 0;
    while let Some(recording) = Recording::beside(scenario, other, after) {
        report += explore(&recording, scenario.refused, cuts, seen);
        after += stride;
    }
    assert!(after > 3, "{:?} makes calls", scenario.step);
    report
}

#[test]
fn no_request_of_another_process_between_two_calls_makes_an_operation_lose_anything() {
    let (mut report, mut seen) = (Report::default(), Seen::default());
    for (before, step, others) in MEETINGS {
        for other in *others {
            let scenario = Scenario::new(before, *step);
            report += meeting(&scenario, *other, &mut seen);
        }
    }
    expect_no_loss("each with another beside it", &report);
}

#[test]
fn nor_does_one_where_a_file_has_one_name_only() {
    let refused = Refused { unnamed: true, links: true, ..Refused::default() };
    let (mut report, mut seen) = (Report::default(), Seen::default());
    for (before, step, others) in &MEETINGS[..5] {
        for other in *others {
            let scenario = Scenario { refused, ..Scenario::new(before, *step) };
            report += meeting(&scenario, *other, &mut seen);
        }
    }
    expect_no_loss("each with another beside it, without links", &report);
}
