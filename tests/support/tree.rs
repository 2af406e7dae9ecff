//! [`Tree`]: what lies below a directory, to be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// The files and the empty directories below a directory, by their paths relative to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// Path and content.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Directories with nothing in them.
    pub empty_directories: BTreeSet<String>,
}

impl Tree {
    /// Reads it. A directory that is not there is an empty tree.
    pub fn read(root: &Path) -> Self {
        let mut tree = Self::default();
        if root.is_dir() {
            tree.add(root, "");
        }
        tree
    }

    /// What one tree has and the other has not, or has otherwise; empty if their files are the same.
    pub fn difference_of_files(&self, other: &Self) -> String {
        let mut report = String::new();
        for (path, content) in &self.files {
            match other.files.get(path) {
                None => writeln!(report, "only in the first:  {path}"),
                Some(found) if found != content => writeln!(report, "differs:            {path}"),
                Some(_) => Ok(()),
            }
            .expect("a string takes all text");
        }
        for path in other.files.keys().filter(|path| !self.files.contains_key(*path)) {
            writeln!(report, "only in the second: {path}").expect("a string takes all text");
        }
        report
    }

    fn add(&mut self, directory: &Path, prefix: &str) {
        let mut empty = true;
        for entry in fs::read_dir(directory).expect("the directory can be read") {
            let entry = entry.expect("the directory can be read");
            empty = false;
            let name = entry.file_name().into_string().expect("names are text");
            let path = format!("{prefix}{name}");
            if entry.file_type().expect("an entry has a type").is_dir() {
                self.add(&entry.path(), &format!("{path}/"));
            } else {
                let content = fs::read(entry.path()).expect("the file can be read");
                self.files.insert(path, content);
            }
        }
        if empty {
            self.empty_directories.insert(prefix.trim_end_matches('/').to_owned());
        }
    }
}
