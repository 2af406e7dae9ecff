//! What is in `packaging/`, looked at by the programs that it is for.

mod configurations;
mod harbor;
mod image;
mod shells;
mod systemd;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use registry_tests::registry_process::without_variables;

pub(crate) fn of_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(of_repository(path)).unwrap()
}

/// Runs it to its end, in which it succeeds, and returns all that it printed.
pub(crate) fn well(command: &mut Command) -> String {
    let output = without_variables(command).output();
    let output = output.expect("bash, man-db, python3, systemd and tar are installed");
    let said = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    assert!(output.status.success(), "{command:?}\n{}\n{}", said[0], said[1]);
    said.concat()
}
