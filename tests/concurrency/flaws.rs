//! What a backend gets wrong is found by the histories it makes.

use registry_tests::backends::Flaw;

use crate::memory::history;

/// Histories until it must have been found.
const MOST: u64 = 100;

fn is_found(flaw: Flaw) {
    let found = (1..MOST).find_map(|seed| Some((seed, history(seed, Some(flaw)).err()?)));
    let (seed, report) = found.unwrap_or_else(|| panic!("{flaw:?} was not found"));
    println!("{flaw:?}: seed {seed}: {report}");
}

#[test]
fn a_tag_that_is_served_from_a_cache_is_found() {
    is_found(Flaw::StaleTags);
}

#[test]
fn a_lock_that_excludes_nobody_is_found() {
    is_found(Flaw::NoLocks);
}

#[test]
fn a_tag_that_is_acknowledged_and_not_written_is_found() {
    is_found(Flaw::LostPoints);
}
