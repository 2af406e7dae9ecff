//! Directories to test on: as they are, and with what some filesystems refuse refused.
//!
//! They are made where `TMPDIR` says. In a filesystem in memory most tests run faster and none can tell.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use registry_store::backend::fs::FilesystemBackend;
use registry_store::backend::fs::system::{Entries, Open, OperatingSystem, Stat, System};
use registry_store::backend::{Backend, LockMode};
use tempfile::TempDir;

use crate::backends::Fixture;

/// A directory.
pub fn filesystem() -> Fixture {
    directory(|root| Arc::new(FilesystemBackend::open(root).expect("it can be opened")))
}

/// A directory on a filesystem that has no files without a name.
pub fn filesystem_with_named_temps() -> Fixture {
    limited(Limited { unnamed_files: false, ..Limited::default() })
}

/// A directory on a filesystem that has neither files without a name nor files with two.
pub fn filesystem_without_hard_links() -> Fixture {
    limited(Limited { unnamed_files: false, hard_links: false, ..Limited::default() })
}

/// This directory, on a disk without space for anything new once `is_full`.
pub fn on_a_disk_that_fills_up(root: &Path, is_full: Arc<AtomicBool>) -> Arc<dyn Backend> {
    let system = Limited { is_full, ..Limited::default() };
    Arc::new(FilesystemBackend::with_system(root, system).expect("it can be opened"))
}

/// A handle to a directory where nobody is told which boot it is.
pub fn open_where_the_boot_is_hidden(root: &Path) -> Arc<dyn Backend> {
    let system = Limited { boot_id: false, ..Limited::default() };
    Arc::new(FilesystemBackend::with_system(root, system).expect("it can be opened"))
}

fn limited(system: Limited) -> Fixture {
    directory(move |root| {
        let opened = FilesystemBackend::with_system(root, system.clone());
        Arc::new(opened.expect("it can be opened"))
    })
}

fn directory(open: impl Fn(&Path) -> Arc<dyn Backend> + Send + Sync + 'static) -> Fixture {
    let directory = Arc::new(TempDir::new().expect("a temporary directory can be made"));
    let (opened, looked_at) = (directory.clone(), directory.clone());
    Fixture::new(directory, move || open(opened.path()))
        .with_litter(move || litter(looked_at.path()))
}

/// Files that are neither in quarantine nor locks.
fn litter(root: &Path) -> Vec<String> {
    let mut files = Vec::new();
    collect_files(root, &mut files);
    let kept = ["_rs/lock/", "_rs/quarantine/"];
    let shown = files.iter().filter_map(|file| file.strip_prefix(root).ok()?.to_str());
    shown
        .filter(|file| !kept.iter().any(|place| file.starts_with(place)))
        .map(str::to_owned)
        .collect()
}

fn collect_files(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory can be read") {
        let path = entry.expect("a directory can be read").path();
        if path.is_dir() {
            collect_files(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// The operating system without some of its abilities.
#[derive(Clone, Debug)]
struct Limited {
    unnamed_files: bool,
    hard_links: bool,
    boot_id: bool,
    /// There is space for nothing new: no file, no directory, no bytes, no name in another directory.
    is_full: Arc<AtomicBool>,
}

impl Default for Limited {
    fn default() -> Self {
        Self { unnamed_files: true, hard_links: true, boot_id: true, is_full: Arc::default() }
    }
}

impl Limited {
    /// Comes before what takes space, unless that is there already.
    fn takes_space(&self, is_there: impl FnOnce() -> bool) -> io::Result<()> {
        if self.is_full.load(Ordering::SeqCst) && !is_there() {
            return Err(io::Error::from_raw_os_error(NO_SPACE));
        }
        Ok(())
    }
}

const SYSTEM: OperatingSystem = OperatingSystem;

fn refused<T>() -> io::Result<T> {
    Err(io::Error::from_raw_os_error(OPERATION_NOT_SUPPORTED))
}

const NO_SPACE: i32 = 28;
const OPERATION_NOT_SUPPORTED: i32 = if cfg!(target_os = "linux") { 95 } else { 102 };

impl System for Limited {
    type File = File;
    type Entries = Entries;

    fn open(&self, path: &Path, how: Open) -> io::Result<File> {
        if how == Open::Unnamed && !self.unnamed_files {
            return refused();
        }
        match how {
            Open::New | Open::Unnamed => self.takes_space(|| false)?,
            Open::ReadWrite => self.takes_space(|| path.exists())?,
            Open::Read | Open::Existing | Open::Directory => {}
        }
        SYSTEM.open(path, how)
    }

    fn read_at(&self, file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        SYSTEM.read_at(file, buffer, offset)
    }

    fn read_at_nowait(
        &self,
        file: &File,
        buffer: &mut [u8],
        offset: u64,
    ) -> io::Result<Option<usize>> {
        SYSTEM.read_at_nowait(file, buffer, offset)
    }

    fn write_all_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.takes_space(|| false)?;
        SYSTEM.write_all_at(file, bytes, offset)
    }

    fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        SYSTEM.truncate(file, length)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        SYSTEM.stat(path)
    }

    fn stat_file(&self, file: &File) -> io::Result<Stat> {
        SYSTEM.stat_file(file)
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        SYSTEM.sync_data(file)
    }

    fn sync_directory(&self, directory: &File) -> io::Result<()> {
        SYSTEM.sync_directory(directory)
    }

    fn sync_filesystem(&self, on: &File) -> io::Result<()> {
        SYSTEM.sync_filesystem(on)
    }

    fn start_writeback(&self, file: &File, offset: u64, length: u64) -> io::Result<()> {
        SYSTEM.start_writeback(file, offset, length)
    }

    fn link_open_file(&self, file: &File, to: &Path) -> io::Result<()> {
        self.takes_space(|| false)?;
        if self.hard_links { SYSTEM.link_open_file(file, to) } else { refused() }
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.takes_space(|| false)?;
        if self.hard_links { SYSTEM.hard_link(from, to) } else { refused() }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.takes_space(|| from.parent() == to.parent())?;
        SYSTEM.rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.takes_space(|| from.parent() == to.parent())?;
        SYSTEM.rename_new(from, to)
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        self.takes_space(|| path.exists())?;
        SYSTEM.make_directory(path)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        SYSTEM.unlink(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        SYSTEM.remove_directory(path)
    }

    fn read_directory(&self, path: &Path) -> io::Result<Entries> {
        SYSTEM.read_directory(path)
    }

    fn try_lock(&self, file: &File, mode: LockMode) -> io::Result<bool> {
        SYSTEM.try_lock(file, mode)
    }

    fn boot_id(&self) -> Option<String> {
        SYSTEM.boot_id().filter(|_| self.boot_id)
    }

    fn random_name(&self) -> String {
        SYSTEM.random_name()
    }
}
