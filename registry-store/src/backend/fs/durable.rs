//! [`Durable`]: what makes bytes and names survive a loss of power; nothing else syncs.
//!
//! * Bytes are synced before they get a name: a name may reach the medium before what it names.
//! * A name is durable once its directory is synced, and that directory's own name once its parent is, and so
//!   on up to the root.
//! * What is visible need not be durable: whoever relies on a name that somebody else made settles it first.
//! * After a failed sync of a file the kernel takes its pages for written. So a file whose sync failed is given
//!   up by whoever staged it, and one that has a name already is never vouched for by this process again.
//!
//! Two memories spare syncs, both bounded, both checked against a fresh look at the file or directory:
//! directories whose *own* name is known to be durable (never their children), and objects of which both the
//! bytes and the name are.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::SystemTime;

use lru::LruCache;
use rustix::io::Errno;

use super::fault::{self, fault};
use super::system::{Kind, Open, Stat, System};
use crate::backend::{Key, Result};

/// How many directories, and how many objects, are remembered; about 200 bytes each.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");
/// How many syncs one operation has under way at a time. The kernel's journal makes one write of them.
const PARALLEL: usize = 16;
/// How often a thing is tried that a concurrent deleter can undo.
pub(super) const ATTEMPTS: usize = 16;

/// Makes bytes and names durable.
#[derive(Debug)]
pub(super) struct Durable<S: System> {
    system: S,
    root: PathBuf,
    /// Directories whose own name is durable, and the names of all directories above them.
    directories: Mutex<LruCache<DirectoryId, ()>>,
    /// Objects that are durable, name and bytes.
    objects: Mutex<LruCache<Key, FileId>>,
    /// Files with a name whose sync failed.
    doubtful: Mutex<LruCache<FileId, ()>>,
}

/// A directory, and not another one that got its number later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct DirectoryId {
    device: u64,
    inode: u64,
    created: SystemTime,
}

impl DirectoryId {
    /// `None` where the filesystem does not keep when it was made: then it cannot be recognised.
    fn of(stat: &Stat) -> Option<Self> {
        Some(Self { device: stat.device, inode: stat.inode, created: stat.created? })
    }
}

/// A file as it was last written, and not another one that got its number later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct FileId {
    device: u64,
    inode: u64,
    created: SystemTime,
    modified: Option<SystemTime>,
    size: u64,
}

impl FileId {
    fn of(stat: &Stat) -> Option<Self> {
        Some(Self {
            device: stat.device,
            inode: stat.inode,
            created: stat.created?,
            modified: stat.modified,
            size: stat.size,
        })
    }
}

/// The directories that an operation may make, and those it has made.
#[derive(Debug)]
pub(super) struct Parents {
    /// Neither this nor anything above it is made.
    base: PathBuf,
    made: HashSet<PathBuf>,
}

impl Parents {
    /// Directories below `base` may be made.
    pub(super) fn below(base: &Path) -> Self {
        Self { base: base.to_owned(), made: HashSet::new() }
    }
}

impl<S: System> Durable<S> {
    /// Nothing above `root` is ever synced.
    pub(super) fn new(system: S, root: PathBuf) -> Self {
        Self {
            system,
            root,
            directories: Mutex::new(LruCache::sparse(REMEMBERED)),
            objects: Mutex::new(LruCache::sparse(REMEMBERED)),
            doubtful: Mutex::new(LruCache::sparse(REMEMBERED)),
        }
    }

    /// Syncs the bytes of a file that is staged. If that fails its owner gives it up.
    pub(super) fn sync_file(&self, file: &S::File) -> io::Result<()> {
        self.system.sync_data(file)
    }

    /// Syncs the bytes of several files that are staged.
    pub(super) fn sync_files(&self, files: &[&S::File]) -> io::Result<()> {
        in_parallel(files, |file| self.system.sync_data(file))
    }

    /// Makes a directory and what is missing above it. They are durable only after
    /// [`Self::sync_directories`].
    pub(super) fn make_directories(
        &self,
        directory: &Path,
        parents: &mut Parents,
    ) -> io::Result<()> {
        for _ in 0..ATTEMPTS {
            if directory == parents.base || !directory.starts_with(&parents.base) {
                return Ok(());
            }
            match self.system.make_directory(directory) {
                Ok(()) => {
                    parents.made.insert(directory.to_owned());
                    return Ok(());
                }
                Err(error) if fault::exists(&error) => return Ok(()),
                Err(error) if fault::is(&error, &[Errno::NOENT]) => {
                    let above = directory.parent().unwrap_or(&self.root);
                    if above == parents.base {
                        return Err(error);
                    }
                    self.make_directories(above, parents)?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(Errno::NOENT.into())
    }

    /// Makes all names durable that were made in `directories`, and the names of those directories and of
    /// the ones above them where they are not known to be durable.
    ///
    /// A directory that is gone by now is passed over: it was empty, so what was made in it was deleted.
    pub(super) fn sync_directories(
        &self,
        directories: impl IntoIterator<Item = PathBuf>,
        parents: &Parents,
    ) -> io::Result<()> {
        let mut wanted = BTreeSet::new();
        let mut learned = HashSet::new();
        for directory in directories {
            let mut level = directory.as_path();
            wanted.insert(level.to_owned());
            while level != self.root {
                let id = match self.system.stat(level) {
                    Ok(stat) => DirectoryId::of(&stat),
                    Err(error) if fault::is_missing(&error) => None,
                    Err(error) => return Err(error),
                };
                if let Some(id) = id {
                    let known = !parents.made.contains(level) && self.knows_directory(id);
                    if known || !learned.insert(id) {
                        break;
                    }
                }
                let Some(above) = level.parent() else { break };
                wanted.insert(above.to_owned());
                level = above;
            }
        }
        let wanted: Vec<_> = wanted.into_iter().collect();
        in_parallel(&wanted, |directory| self.sync_directory(directory).map(|_| ()))?;
        let mut known = locked(&self.directories);
        for id in learned {
            known.put(id, ());
        }
        Ok(())
    }

    /// Makes it durable that names are gone from a directory. Where that is gone itself, the nearest one
    /// above it says so.
    pub(super) fn sync_removals(&self, directory: &Path) -> io::Result<()> {
        let mut level = directory;
        while !self.sync_directory(level)? && level != self.root {
            level = level.parent().unwrap_or(&self.root);
        }
        Ok(())
    }

    /// Makes durable whatever was done on the filesystem that a directory is on, unless that is one of those `synced`.
    ///
    /// Where it is gone, the nearest one above it says which filesystem that was. One that cannot be opened gives way to the
    /// nearest one above it that can, on the same filesystem: to that alone the sync is owed.
    pub(super) fn sync_filesystem_of(
        &self,
        directory: &Path,
        synced: &mut HashSet<u64>,
    ) -> io::Result<()> {
        let (nearest, device) = self.nearest(directory)?;
        if synced.contains(&device) {
            return Ok(());
        }
        let opened = self.open_on(device, nearest)?;
        self.system.sync_filesystem(&opened)?;
        synced.insert(device);
        Ok(())
    }

    /// A directory, or the nearest one above it that can be looked at, and the filesystem it is on.
    fn nearest<'p>(&self, directory: &'p Path) -> io::Result<(&'p Path, u64)> {
        for level in self.levels(directory) {
            match self.system.stat(level) {
                Ok(stat) if stat.kind == Kind::Directory => return Ok((level, stat.device)),
                Err(error) if level == self.root || !fault::is_out_of_sight(&error) => {
                    return Err(error);
                }
                _ => {}
            }
        }
        Err(fault::foreign("a directory"))
    }

    /// Opens a directory, or the nearest one above it that can be opened and is on the filesystem as well.
    ///
    /// Errors: why the first of them cannot be opened.
    fn open_on(&self, device: u64, directory: &Path) -> io::Result<S::File> {
        let mut refused = None;
        for level in self.levels(directory) {
            match self.system.open(level, Open::Directory) {
                Ok(opened) if self.system.stat_file(&opened)?.device == device => {
                    return Ok(opened);
                }
                Ok(_) => {}
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or_else(|| Errno::XDEV.into()))
    }

    /// A directory and those above it, up to the root.
    fn levels<'p>(&self, directory: &'p Path) -> impl Iterator<Item = &'p Path> + use<'_, 'p, S> {
        directory.ancestors().take_while(|level| level.starts_with(&self.root))
    }

    /// Removes a directory if it is empty; `false` if something is in it or it cannot be removed.
    ///
    /// Durable only once the directory above is synced; an empty directory that comes back does no harm.
    pub(super) fn remove_directory(&self, directory: &Path) -> io::Result<bool> {
        let id = match self.system.stat(directory) {
            Ok(stat) => DirectoryId::of(&stat),
            Err(error) if fault::is_missing(&error) => return Ok(true),
            Err(error) => return Err(error),
        };
        match self.system.remove_directory(directory) {
            Ok(()) => {
                if let Some(id) = id {
                    locked(&self.directories).pop(&id);
                }
                Ok(true)
            }
            Err(error) if fault::is(&error, &[Errno::NOENT]) => Ok(true),
            Err(error) if fault::is(&error, &IN_USE) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes the names of the directories durable that were made.
    pub(super) fn sync_made(&self, parents: &Parents) -> io::Result<()> {
        let above: BTreeSet<_> = parents.made.iter().filter_map(|made| made.parent()).collect();
        for directory in above {
            self.sync_directory(directory)?;
        }
        Ok(())
    }

    /// Looks at objects anew, syncs those that are there and not known to be durable, and adds their
    /// directories to those that are to be synced next.
    ///
    /// After that, [`Self::learn`] may be told of all that was found.
    pub(super) fn settle_files(
        &self,
        operation: &'static str,
        objects: &[(Key, PathBuf)],
        directories: &mut BTreeSet<PathBuf>,
    ) -> Result<Vec<Option<Stat>>> {
        let mut found = Vec::with_capacity(objects.len());
        let mut unknown = Vec::new();
        for (index, (key, path)) in objects.iter().enumerate() {
            let stat = self.look(path).map_err(|error| fault(operation, key, error))?;
            if let Some(stat) = stat.filter(|stat| !self.knows(key, stat)) {
                unknown.push((index, stat));
            }
            found.push(stat);
        }
        // Most are known, and then there is nothing to wait for.
        let found = Mutex::new(found);
        in_parallel(&unknown, |&(index, stat)| {
            let (key, path) = &objects[index];
            match self.sync_named(path, &stat) {
                Ok(()) => Ok(()),
                Err(error) if fault::is_missing(&error) => {
                    locked(&found)[index] = None;
                    Ok(())
                }
                Err(error) => Err(fault(operation, key, error)),
            }
        })?;
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        for ((key, path), stat) in objects.iter().zip(&found) {
            if stat.is_some_and(|stat| !self.knows(key, &stat)) {
                directories.extend(path.parent().map(Path::to_owned));
            }
        }
        Ok(found)
    }

    /// The object that has a name; `None` if there is none.
    fn look(&self, path: &Path) -> io::Result<Option<Stat>> {
        match self.system.stat(path) {
            Ok(stat) if stat.kind == Kind::File => Ok(Some(stat)),
            Ok(stat) if stat.kind == Kind::Directory => Ok(None),
            Ok(_) => Err(fault::foreign("a regular file")),
            Err(error) if fault::is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Is the object, as it looks now, known to be durable?
    pub(super) fn knows(&self, key: &Key, stat: &Stat) -> bool {
        FileId::of(stat).is_some_and(|id| locked(&self.objects).get(key) == Some(&id))
    }

    /// The object is durable: its bytes were synced, its directory and those above it too.
    pub(super) fn learn(&self, key: &Key, stat: &Stat) {
        if let Some(id) = FileId::of(stat) {
            locked(&self.objects).put(key.clone(), id);
        }
    }

    /// Are the names that are only replaced in a directory, the record's among them, known to be durable?
    pub(super) fn knows_listing(&self, record: &Key, directory: &Stat) -> bool {
        self.knows(record, &listing(directory))
    }

    /// The directory was synced since the record got its name.
    pub(super) fn learn_listing(&self, record: &Key, directory: &Stat) {
        self.learn(record, &listing(directory));
    }

    /// Syncs a file that has a name; never a second time if it failed once.
    fn sync_named(&self, path: &Path, stat: &Stat) -> io::Result<()> {
        let id = FileId::of(stat);
        if id.is_some_and(|id| locked(&self.doubtful).contains(&id)) {
            return Err(io::Error::other("an earlier sync of this file failed"));
        }
        let file = self.system.open(path, Open::Read)?;
        self.system.sync_data(&file).inspect_err(|_| {
            if let Some(id) = id {
                locked(&self.doubtful).put(id, ());
            }
        })
    }

    /// `false` if there is no such directory.
    fn sync_directory(&self, directory: &Path) -> io::Result<bool> {
        let opened = match self.system.open(directory, Open::Directory) {
            Ok(opened) => opened,
            Err(error) if fault::is_missing(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        self.system.sync_directory(&opened).map(|()| true)
    }

    fn knows_directory(&self, id: DirectoryId) -> bool {
        locked(&self.directories).get(&id).is_some()
    }
}

/// A directory, whatever was made in it since.
const fn listing(directory: &Stat) -> Stat {
    Stat { size: 0, modified: None, ..*directory }
}

/// Why a directory stays where it is without that being a fault.
const IN_USE: [Errno; 6] = [
    Errno::NOTEMPTY,
    Errno::EXIST,
    Errno::BUSY,
    Errno::NOTDIR, // a symbolic link to a directory
    Errno::ACCESS,
    Errno::PERM,
];

/// Does `work` for every item, on a few threads if there are several. The first error ends it.
fn in_parallel<T: Sync, E: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let share = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(item)?;
        }
        Ok(())
    };
    if items.len() < 2 {
        return share();
    }
    thread::scope(|scope| {
        // Where no further thread can be had this one does it all.
        let start = |_| thread::Builder::new().spawn_scoped(scope, share).ok();
        let helpers: Vec<_> = (1..items.len().min(PARALLEL)).filter_map(start).collect();
        let mut result = share();
        for helper in helpers {
            result = result.and(helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        result
    })
}

/// What these locks guard is whole after every statement, so a panic elsewhere has not broken it.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
