//! [`Seen`]: all that can be seen of a storage, to be compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use futures::TryStreamExt as _;
use registry_store::backend::{Backend, Key, ReadRange};
use registry_store::digest::Digest;

/// Where something is, and what it is. Of a directory on which nobody may write anything but what is ours, locks are
/// left out: they are made when first asked for, and stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen(BTreeMap<String, String>);

impl Seen {
    /// Everything below a directory: files, directories, symbolic links and whatever else has a name.
    pub(crate) fn below(directory: &Path) -> Self {
        Self::below_but(directory, "")
    }

    /// The same without what lies below one of its directories.
    pub(crate) fn below_but(directory: &Path, but: &str) -> Self {
        let mut seen = Self(BTreeMap::new());
        seen.add(directory, "", but);
        seen
    }

    /// Every object of a backend.
    pub(crate) async fn on(backend: &dyn Backend) -> Self {
        let mut seen = BTreeMap::new();
        for top in ["docker", "_rs"] {
            let top: Key = top.parse().expect("of a key's grammar");
            let keys: Vec<Key> = backend.list(&top, None).try_collect().await.expect("a listing");
            for key in keys {
                let object = backend.read(&key, ReadRange::Full).await.expect("it was listed");
                let parts: Vec<_> = object.into_stream().try_collect().await.expect("its bytes");
                seen.insert(key.to_string(), content(&parts.concat()));
            }
        }
        Self(seen)
    }

    /// What only one of the two has, and what they have otherwise; empty if they are the same.
    pub(crate) fn changes(&self, later: &Self) -> String {
        let mut report = String::new();
        for (path, before) in &self.0 {
            match later.0.get(path) {
                None => writeln!(report, "gone:    {path} ({before})"),
                Some(after) if after != before => {
                    writeln!(report, "changed: {path} ({before}, now {after})")
                }
                Some(_) => Ok(()),
            }
            .expect("a string takes all text");
        }
        for (path, after) in later.0.iter().filter(|(path, _)| !self.0.contains_key(*path)) {
            writeln!(report, "new:     {path} ({after})").expect("a string takes all text");
        }
        report
    }

    /// The same without what has this in its path.
    pub(crate) fn without(mut self, part: &str) -> Self {
        self.0.retain(|path, _| !path.contains(part));
        self
    }

    fn add(&mut self, directory: &Path, prefix: &str, but: &str) {
        for entry in fs::read_dir(directory).expect("a directory can be read") {
            let entry = entry.expect("a directory can be read");
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type().expect("an entry has a type");
            if path.ends_with("_rs/lock") || path == but {
                continue;
            }
            if kind.is_dir() {
                // The backend's own places are made when they are first needed.
                if !path.ends_with("_rs") && !path.ends_with("_rs/tmp") {
                    self.0.insert(path.clone(), "a directory".to_owned());
                }
                self.add(&entry.path(), &format!("{path}/"), but);
                continue;
            }
            let found = if kind.is_symlink() {
                let to = fs::read_link(entry.path()).expect("a link can be read");
                format!("a link to {}", to.display())
            } else if kind.is_file() {
                content(&fs::read(entry.path()).expect("a file can be read"))
            } else {
                "neither file nor directory".to_owned()
            };
            self.0.insert(path, found);
        }
    }
}

fn content(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.len() <= 100 => format!("{text:?}"),
        _ => format!("{} bytes, {}", bytes.len(), Digest::sha256(bytes)),
    }
}
