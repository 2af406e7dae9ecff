//! Power cuts on real filesystems: what was acknowledged is there when the machine is back.
//!
//! Needs root, loop devices, and mkfs of e2fsprogs, xfsprogs and btrfs-progs; what is missing makes it fail.
//! `POWER_CUTS` says how many times each test cuts.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod cuts;
mod disk;
mod losing;

use cuts::{Before, cut};
use disk::Filesystem::{Btrfs, Ext4, Xfs};

#[test]
fn on_ext4_what_was_acknowledged_survives_when_its_data_were_just_written() {
    cut(Ext4, Before::JustWritten);
}

#[test]
fn on_ext4_what_was_acknowledged_survives_when_its_data_were_long_committed() {
    cut(Ext4, Before::LongCommitted);
}

#[test]
fn on_xfs_what_was_acknowledged_survives_when_its_data_were_just_written() {
    cut(Xfs, Before::JustWritten);
}

#[test]
fn on_xfs_what_was_acknowledged_survives_when_its_data_were_long_committed() {
    cut(Xfs, Before::LongCommitted);
}

#[test]
fn on_btrfs_what_was_acknowledged_survives_when_its_data_were_just_written() {
    cut(Btrfs, Before::JustWritten);
}

#[test]
fn on_btrfs_what_was_acknowledged_survives_when_its_data_were_long_committed() {
    cut(Btrfs, Before::LongCommitted);
}
