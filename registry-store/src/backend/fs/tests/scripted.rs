//! [`Scripted`]: a system that writes down what it is asked for, and fails where a test wants it to.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustix::io::Errno;

use crate::backend::LockMode;
use crate::backend::fs::durable::locked;
use crate::backend::fs::system::{self, Entry, Open, OperatingSystem, Stat, System};

/// The operating system, watched.
#[derive(Clone, Debug)]
pub(super) struct Scripted(Arc<Script>);

#[derive(Debug)]
struct Script {
    root: PathBuf,
    boot: Option<&'static str>,
    /// Calls that change or sync something, in order, with paths below the root.
    calls: Mutex<Vec<String>>,
    /// After how many calls of any kind one fails, and how.
    fault: Mutex<Option<(usize, Errno)>>,
    /// Calls that always fail.
    refused: Mutex<Vec<(&'static str, Errno)>>,
    /// Directories that always fail to be opened, and those that fail to be looked at too.
    closed: Mutex<Vec<(PathBuf, Errno)>>,
    hidden: Mutex<Vec<(PathBuf, Errno)>>,
    /// Directories below which another filesystem begins.
    mounts: Mutex<Vec<PathBuf>>,
    /// What is renamed right after the next sync of a filesystem, and to what.
    renamed_after_sync: Mutex<Option<(PathBuf, PathBuf)>>,
    /// Upper case is taken for lower.
    folds_case: bool,
}

/// An open file, and by which name it was opened.
#[derive(Debug)]
pub(super) struct Opened {
    file: File,
    path: PathBuf,
    has_name: bool,
}

impl Scripted {
    pub(super) fn new(root: &Path) -> Self {
        Self::of(root, Some("boot-1"), false)
    }

    pub(super) fn folding_case(root: &Path) -> Self {
        Self::of(root, Some("boot-1"), true)
    }

    /// The system after the machine was started anew.
    pub(super) fn rebooted(&self) -> Self {
        Self::of(&self.0.root, Some("boot-2"), false)
    }

    /// The system where nobody is told of boots.
    pub(super) fn hiding_its_boot(&self) -> Self {
        Self::of(&self.0.root, None, false)
    }

    /// The system as another process of the same boot has it.
    pub(super) fn sibling(&self) -> Self {
        Self::of(&self.0.root, self.0.boot, false)
    }

    fn of(root: &Path, boot: Option<&'static str>, folds_case: bool) -> Self {
        Self(Arc::new(Script {
            root: root.to_owned(),
            boot,
            calls: Mutex::default(),
            fault: Mutex::default(),
            refused: Mutex::default(),
            closed: Mutex::default(),
            hidden: Mutex::default(),
            mounts: Mutex::default(),
            renamed_after_sync: Mutex::default(),
            folds_case,
        }))
    }

    /// What was called since the last time.
    pub(super) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut locked(&self.0.calls))
    }

    /// Lets so many calls succeed and one fail.
    pub(super) fn fail_after(&self, calls: usize, error: Errno) {
        *locked(&self.0.fault) = Some((calls, error));
    }

    /// Did a call fail? From now on none does.
    pub(super) fn has_failed(&self) -> bool {
        locked(&self.0.fault).take().is_none()
    }

    /// Lets every call of a name fail.
    pub(super) fn refuse(&self, call: &'static str, error: Errno) {
        locked(&self.0.refused).push((call, error));
    }

    /// Lets a directory fail to be opened.
    pub(super) fn close(&self, directory: &str, error: Errno) {
        locked(&self.0.closed).push((self.0.root.join(directory), error));
    }

    /// Lets a directory fail to be opened and to be looked at.
    pub(super) fn hide(&self, directory: &str, error: Errno) {
        self.close(directory, error);
        locked(&self.0.hidden).push((self.0.root.join(directory), error));
    }

    /// Puts everything below a directory on another filesystem.
    pub(super) fn mount(&self, directory: &str) {
        let directory = self.0.root.join(directory);
        locked(&self.0.mounts).push(directory);
    }

    /// Lets somebody else rename a file right after the next sync of a filesystem.
    pub(super) fn rename_after_sync(&self, from: &str, to: &str) {
        let paths = (self.0.root.join(from), self.0.root.join(to));
        *locked(&self.0.renamed_after_sync) = Some(paths);
    }

    /// Fails where the script wants it.
    fn call(&self, call: &'static str) -> io::Result<()> {
        let refused = locked(&self.0.refused);
        if let Some((_, error)) = refused.iter().find(|(name, _)| *name == call) {
            return Err((*error).into());
        }
        let mut fault = locked(&self.0.fault);
        if let Some((left, error)) = *fault {
            *fault = left.checked_sub(1).map(|left| (left, error));
            if left == 0 {
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Does what the script lets succeed, and writes it down if it did.
    fn watch(
        &self,
        call: &'static str,
        what: &str,
        action: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        self.call(call)?;
        action()?;
        locked(&self.0.calls).push(format!("{call} {what}"));
        Ok(())
    }

    fn name(&self, path: &Path) -> String {
        match path.strip_prefix(&self.0.root) {
            Ok(path) if path.starts_with("_rs/tmp/") && path != Path::new("_rs/tmp") => {
                "temp".into()
            }
            Ok(path) if path.as_os_str().is_empty() => "root".into(),
            Ok(path) if path.extension().is_some_and(|extension| extension == "tmp") => {
                format!("temp-in {}", path.parent().unwrap().display())
            }
            Ok(path) => path.display().to_string(),
            Err(_) => path.display().to_string(),
        }
    }

    fn file(&self, file: &Opened) -> String {
        if file.has_name { self.name(&file.path) } else { "unnamed".into() }
    }

    fn check_mounts(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.mount_of(from) == self.mount_of(to) { Ok(()) } else { Err(Errno::XDEV.into()) }
    }

    /// By which directory another filesystem begins that a path is on; 0 is the one of the root.
    fn mount_of(&self, path: &Path) -> u64 {
        let mounts = locked(&self.0.mounts);
        mounts.iter().zip(1..).find(|(mount, _)| path.starts_with(mount)).map_or(0, |it| it.1)
    }

    fn on_its_mount(&self, path: &Path, stat: Stat) -> Stat {
        Stat { device: stat.device + (self.mount_of(path) << 32), ..stat }
    }
}

/// Fails if the path is one of these.
fn expect_none(of: &Mutex<Vec<(PathBuf, Errno)>>, path: &Path) -> io::Result<()> {
    let of = locked(of);
    of.iter().find(|(refused, _)| refused == path).map_or(Ok(()), |(_, error)| Err((*error).into()))
}

/// The entries of a directory; those that come while it is read, too.
#[derive(Debug)]
pub(super) struct Entries {
    path: PathBuf,
    told: HashSet<OsString>,
    rest: system::Entries,
}

impl Iterator for Entries {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<io::Result<Entry>> {
        let is_new = |entry: &io::Result<Entry>| {
            entry.as_ref().map_or(true, |entry| !self.told.contains(&entry.name))
        };
        let found = self.rest.find(is_new).or_else(|| {
            self.rest = OperatingSystem.read_directory(&self.path).ok()?;
            self.rest.find(is_new)
        });
        self.told.extend(found.iter().flatten().map(|entry| entry.name.clone()));
        found
    }
}

impl System for Scripted {
    type File = Opened;
    type Entries = Entries;

    fn open(&self, path: &Path, how: Open) -> io::Result<Opened> {
        let call = match how {
            Open::Unnamed => "open_unnamed",
            _ => "open",
        };
        self.call(call)?;
        expect_none(&self.0.closed, path)?;
        let file = OperatingSystem.open(path, how)?;
        Ok(Opened { file, path: path.to_owned(), has_name: how != Open::Unnamed })
    }

    fn read_at(&self, file: &Opened, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.call("read_at")?;
        OperatingSystem.read_at(&file.file, buffer, offset)
    }

    fn read_at_nowait(
        &self,
        file: &Opened,
        buffer: &mut [u8],
        offset: u64,
    ) -> io::Result<Option<usize>> {
        if self.call("read_at_nowait").is_err() {
            return Ok(None);
        }
        OperatingSystem.read_at_nowait(&file.file, buffer, offset)
    }

    fn write_all_at(&self, file: &Opened, bytes: &[u8], offset: u64) -> io::Result<()> {
        let write = |bytes| OperatingSystem.write_all_at(&file.file, bytes, offset);
        // What a full disk does: some of the bytes are there.
        self.watch("write", &self.file(file), || write(bytes))
            .or_else(|error| write(&bytes[..bytes.len() / 2]).and(Err(error)))
    }

    fn truncate(&self, file: &Opened, length: u64) -> io::Result<()> {
        self.watch("truncate", &self.file(file), || OperatingSystem.truncate(&file.file, length))
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.call("stat")?;
        expect_none(&self.0.hidden, path)?;
        if self.0.folds_case
            && let Ok(below) = path.strip_prefix(&self.0.root)
        {
            let folded = below.to_str().unwrap().to_lowercase();
            return OperatingSystem.stat(&self.0.root.join(folded));
        }
        OperatingSystem.stat(path).map(|stat| self.on_its_mount(path, stat))
    }

    fn stat_file(&self, file: &Opened) -> io::Result<Stat> {
        self.call("stat_file")?;
        OperatingSystem.stat_file(&file.file).map(|stat| self.on_its_mount(&file.path, stat))
    }

    fn sync_data(&self, file: &Opened) -> io::Result<()> {
        // Nothing here survives a loss of power anyway.
        self.watch("sync_data", &self.file(file), || Ok(()))
    }

    fn sync_directory(&self, directory: &Opened) -> io::Result<()> {
        self.watch("sync_directory", &self.file(directory), || Ok(()))
    }

    fn sync_filesystem(&self, on: &Opened) -> io::Result<()> {
        self.watch("sync_filesystem", &self.file(on), || Ok(()))?;
        let renamed = locked(&self.0.renamed_after_sync).take();
        renamed.map_or(Ok(()), |(from, to)| OperatingSystem.rename(&from, &to))
    }

    fn start_writeback(&self, file: &Opened, offset: u64, length: u64) -> io::Result<()> {
        self.watch("start_writeback", &self.file(file), || {
            OperatingSystem.start_writeback(&file.file, offset, length)
        })
    }

    fn link_open_file(&self, file: &Opened, to: &Path) -> io::Result<()> {
        let what = format!("{} -> {}", self.file(file), self.name(to));
        self.watch("link_open_file", &what, || {
            self.check_mounts(&file.path, to)?;
            OperatingSystem.link_open_file(&file.file, to)
        })
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let what = format!("{} -> {}", self.name(from), self.name(to));
        self.watch("hard_link", &what, || {
            self.check_mounts(from, to)?;
            OperatingSystem.hard_link(from, to)
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let what = format!("{} -> {}", self.name(from), self.name(to));
        self.watch("rename", &what, || {
            self.check_mounts(from, to)?;
            OperatingSystem.rename(from, to)
        })
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        let what = format!("{} -> {}", self.name(from), self.name(to));
        self.watch("rename_new", &what, || {
            self.check_mounts(from, to)?;
            OperatingSystem.rename_new(from, to)
        })
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        self.watch("make_directory", &self.name(path), || OperatingSystem.make_directory(path))
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.watch("unlink", &self.name(path), || OperatingSystem.unlink(path))
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.watch("remove_directory", &self.name(path), || OperatingSystem.remove_directory(path))
    }

    fn read_directory(&self, path: &Path) -> io::Result<Entries> {
        self.call("read_directory")?;
        let rest = OperatingSystem.read_directory(path)?;
        Ok(Entries { path: path.to_owned(), told: HashSet::new(), rest })
    }

    fn try_lock(&self, file: &Opened, mode: LockMode) -> io::Result<bool> {
        self.call("try_lock")?;
        OperatingSystem.try_lock(&file.file, mode)
    }

    fn boot_id(&self) -> Option<String> {
        self.0.boot.map(str::to_owned)
    }

    fn random_name(&self) -> String {
        OperatingSystem.random_name()
    }
}
