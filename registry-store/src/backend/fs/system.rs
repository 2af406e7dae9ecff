//! [`System`]: the system calls the filesystem backend makes, and nothing else makes.
//!
//! One method per call, no policy: what a refusal means is decided by the callers. Tests put a recording or a
//! failing system in the place of [`OperatingSystem`].
#![expect(clippy::disallowed_methods, reason = "the one place with system calls")]

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{AtFlags, CWD, Dir, FileType, FlockOperation, OFlags};
use rustix::io::Errno;

use crate::backend::LockMode;

/// The system calls of the filesystem backend.
///
/// Paths are absolute. Errors carry the number the operating system gave, so that callers can tell them apart.
pub trait System: Clone + Send + Sync + fmt::Debug + 'static {
    /// An open file or directory; closed when it is dropped.
    type File: fmt::Debug + Send + Sync + 'static;
    /// The entries of a directory, read in batches as they are asked for; `.` and `..` are left out.
    type Entries: Iterator<Item = io::Result<Entry>>;

    /// Opens a file or a directory.
    fn open(&self, path: &Path, how: Open) -> io::Result<Self::File>;
    /// Reads some bytes; 0 at the end of the file.
    fn read_at(&self, file: &Self::File, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Reads the bytes that are in memory; 0 at the end of the file, `None` if it would have to wait for the
    /// first of them, or if that cannot be asked.
    fn read_at_nowait(
        &self,
        file: &Self::File,
        buffer: &mut [u8],
        offset: u64,
    ) -> io::Result<Option<usize>>;
    /// Writes all of the bytes.
    fn write_all_at(&self, file: &Self::File, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Sets the length of a file.
    fn truncate(&self, file: &Self::File, length: u64) -> io::Result<()>;
    /// Looks at what has a name, through symbolic links.
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// Looks at an open file.
    fn stat_file(&self, file: &Self::File) -> io::Result<Stat>;
    /// Waits until the bytes and the length of a file are on the medium. After an error they are uncertain
    /// for ever: the kernel forgets which of them it could not write.
    fn sync_data(&self, file: &Self::File) -> io::Result<()>;
    /// Waits until the names in a directory are on the medium.
    fn sync_directory(&self, directory: &Self::File) -> io::Result<()>;
    /// Waits until all that was done on the filesystem of an open file or directory, by whomever, is on the medium.
    fn sync_filesystem(&self, on: &Self::File) -> io::Result<()>;
    /// Makes the kernel begin to write a part of a file out, without waiting.
    fn start_writeback(&self, file: &Self::File, offset: u64, length: u64) -> io::Result<()>;
    /// Gives an open file, which may have no name, a name that nothing has.
    fn link_open_file(&self, file: &Self::File, to: &Path) -> io::Result<()>;
    /// Gives a file a further name, one that nothing has.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Renames, in the place of whatever has the name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Renames to a name that nothing has.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes a directory.
    fn make_directory(&self, path: &Path) -> io::Result<()>;
    /// Removes a name of a file.
    fn unlink(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_directory(&self, path: &Path) -> io::Result<()>;
    /// Reads the names in a directory.
    fn read_directory(&self, path: &Path) -> io::Result<Self::Entries>;
    /// Locks an open file until it is closed; `false` if another holder is in the way.
    fn try_lock(&self, file: &Self::File, mode: LockMode) -> io::Result<bool>;
    /// Names the time since the machine was started: what a write left in memory is there as long as it lasts. `None`
    /// where that cannot be told.
    fn boot_id(&self) -> Option<String>;
    /// A name that nobody guesses and nothing has: 32 hexadecimal digits.
    fn random_name(&self) -> String;
}

/// How a file is opened. Files are made with mode 0666 less the umask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// A file that exists, for reading.
    Read,
    /// A file for reading and writing, made if nothing has the name.
    ReadWrite,
    /// A file that exists, for reading and writing.
    Existing,
    /// A new file for reading and writing, under a name that nothing has.
    New,
    /// A file without a name, on the filesystem of the directory that the path names.
    Unnamed,
    /// A directory that exists.
    Directory,
}

/// What is known of a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Its length in bytes.
    pub size: u64,
    /// How many names it has.
    pub links: u64,
    /// The filesystem it is on.
    pub device: u64,
    /// Its number there. Given to another file once this one is gone.
    pub inode: u64,
    /// When it was made, where the filesystem keeps that.
    pub created: Option<SystemTime>,
    /// When it was last written.
    pub modified: Option<SystemTime>,
}

impl Stat {
    /// Are both of the same file?
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link; only in [`Entry`], as [`System::stat`] follows them.
    Link,
    /// A socket, a pipe, a device.
    Other,
    /// The filesystem does not say; only in [`Entry`].
    Unknown,
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: OsString,
    /// What has it.
    pub kind: Kind,
}

/// The operating system itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct OperatingSystem;

impl System for OperatingSystem {
    type File = File;
    type Entries = Entries;

    fn open(&self, path: &Path, how: Open) -> io::Result<File> {
        let mut options = OpenOptions::new();
        // Without NONBLOCK the opening of a pipe that lies where a file should be would wait for a writer.
        let flags = match how {
            Open::Read => OFlags::NONBLOCK | OFlags::NOCTTY,
            Open::ReadWrite | Open::Existing => {
                OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW
            }
            Open::New => OFlags::NOCTTY,
            Open::Unnamed => UNNAMED,
            Open::Directory => OFlags::DIRECTORY,
        };
        match how {
            Open::Read | Open::Directory => options.read(true),
            Open::ReadWrite => options.read(true).write(true).create(true),
            Open::New => options.read(true).write(true).create_new(true),
            Open::Unnamed if UNNAMED.is_empty() => return Err(Errno::OPNOTSUPP.into()),
            Open::Existing | Open::Unnamed => options.read(true).write(true),
        };
        let flags = i32::try_from(flags.bits()).expect("the flags of open are bits of an int");
        options.custom_flags(flags).mode(0o666).open(path)
    }

    fn read_at(&self, file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn read_at_nowait(
        &self,
        file: &File,
        buffer: &mut [u8],
        offset: u64,
    ) -> io::Result<Option<usize>> {
        read_at_nowait(file, buffer, offset)
    }

    fn write_all_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        file.set_len(length)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        fs::metadata(path).map(|metadata| stat(&metadata))
    }

    fn stat_file(&self, file: &File) -> io::Result<Stat> {
        file.metadata().map(|metadata| stat(&metadata))
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        // Here the standard library knows each platform's way, F_FULLFSYNC among them.
        file.sync_data()
    }

    fn sync_directory(&self, directory: &File) -> io::Result<()> {
        directory.sync_all()
    }

    fn sync_filesystem(&self, on: &File) -> io::Result<()> {
        sync_filesystem(on)
    }

    fn start_writeback(&self, file: &File, offset: u64, length: u64) -> io::Result<()> {
        start_writeback(file, offset, length)
    }

    fn link_open_file(&self, file: &File, to: &Path) -> io::Result<()> {
        link_open_file(file, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        Ok(rustix::fs::linkat(CWD, from, CWD, to, AtFlags::empty())?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        Ok(rustix::fs::renameat_with(CWD, from, CWD, to, flags)?)
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn read_directory(&self, path: &Path) -> io::Result<Entries> {
        Ok(Entries(Dir::new(self.open(path, Open::Directory)?)?))
    }

    fn try_lock(&self, file: &File, mode: LockMode) -> io::Result<bool> {
        let operation = match mode {
            LockMode::Shared => FlockOperation::NonBlockingLockShared,
            LockMode::Exclusive | LockMode::ToDelete => FlockOperation::NonBlockingLockExclusive,
        };
        match rustix::fs::flock(file, operation) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn boot_id(&self) -> Option<String> {
        // Nothing else names a boot: a clock less the uptime is the same again where each boot sets it alike.
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim().to_owned()).filter(|id| !id.is_empty())
    }

    fn random_name(&self) -> String {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)
            .expect("the operating system has random numbers once it has booted");
        hex::encode(bytes)
    }
}

/// The entries of a directory of the operating system.
#[derive(Debug)]
pub struct Entries(Dir);

impl Iterator for Entries {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<io::Result<Entry>> {
        loop {
            let entry = match self.0.next()? {
                Ok(entry) => entry,
                Err(error) => return Some(Err(error.into())),
            };
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            return Some(Ok(Entry {
                name: OsString::from_vec(name.to_vec()),
                kind: match entry.file_type() {
                    FileType::RegularFile => Kind::File,
                    FileType::Directory => Kind::Directory,
                    FileType::Symlink => Kind::Link,
                    FileType::Unknown => Kind::Unknown,
                    _ => Kind::Other,
                },
            }));
        }
    }
}

fn stat(metadata: &fs::Metadata) -> Stat {
    Stat {
        kind: if metadata.is_file() {
            Kind::File
        } else if metadata.is_dir() {
            Kind::Directory
        } else {
            Kind::Other
        },
        size: metadata.len(),
        links: metadata.nlink(),
        device: metadata.dev(),
        inode: metadata.ino(),
        created: metadata.created().ok(),
        modified: metadata.modified().ok(),
    }
}

#[cfg(target_os = "linux")]
const UNNAMED: OFlags = OFlags::TMPFILE;
#[cfg(not(target_os = "linux"))]
const UNNAMED: OFlags = OFlags::empty();

#[cfg(target_os = "linux")]
fn read_at_nowait(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
    use rustix::io::{ReadWriteFlags, preadv2};
    use std::io::IoSliceMut;

    let mut buffers = [IoSliceMut::new(buffer)];
    match preadv2(file, &mut buffers, offset, ReadWriteFlags::NOWAIT) {
        Ok(count) => Ok(Some(count)),
        Err(Errno::AGAIN | Errno::INTR | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn read_at_nowait(_: &File, _: &mut [u8], _: u64) -> io::Result<Option<usize>> {
    Ok(None)
}

/// Unlike `sync`, this waits for one filesystem alone, and tells what goes wrong.
#[cfg(target_os = "linux")]
fn sync_filesystem(on: &File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(on)?)
}

/// The sync of a file makes the medium write what it still holds itself.
#[cfg(not(target_os = "linux"))]
fn sync_filesystem(on: &File) -> io::Result<()> {
    rustix::fs::sync();
    on.sync_all()
}

/// `sync_file_range` needs `unsafe`; to be told that written pages are not needed makes Linux begin to write
/// them out in the same way. Pages under write are not dropped, so they can still be read from memory.
#[cfg(target_os = "linux")]
fn start_writeback(file: &File, offset: u64, length: u64) -> io::Result<()> {
    let length = std::num::NonZeroU64::new(length);
    Ok(rustix::fs::fadvise(file, offset, length, rustix::fs::Advice::DontNeed)?)
}

#[cfg(not(target_os = "linux"))]
fn start_writeback(_: &File, _: u64, _: u64) -> io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
fn link_open_file(file: &File, to: &Path) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;

    let from = format!("/proc/self/fd/{}", file.as_raw_fd());
    match rustix::fs::linkat(CWD, &from, CWD, to, AtFlags::SYMLINK_FOLLOW) {
        // Which of the two is missing?
        Err(Errno::NOENT) if fs::symlink_metadata(&from).is_err() => Err(Errno::OPNOTSUPP.into()),
        result => Ok(result?),
    }
}

#[cfg(not(target_os = "linux"))]
fn link_open_file(_: &File, _: &Path) -> io::Result<()> {
    Err(Errno::OPNOTSUPP.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_file_is_not_mistaken_for_a_read_that_would_wait() {
        let directory = tempfile::tempdir().unwrap();
        let system = OperatingSystem;
        let file = system.open(&directory.path().join("a"), Open::New).unwrap();
        system.write_all_at(&file, b"abc", 0).unwrap();
        let mut buffer = [0; 8];
        assert!(matches!(system.read_at_nowait(&file, &mut buffer, 0).unwrap(), None | Some(3)));
        assert!(matches!(system.read_at_nowait(&file, &mut buffer, 3).unwrap(), None | Some(0)));
    }

    #[cfg(target_os = "linux")] // rustix makes pipes nowhere else
    #[test]
    fn a_pipe_in_the_place_of_a_file_does_not_hold_anybody_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
        let system = OperatingSystem;
        let file = system.open(&path, Open::Read).unwrap();
        assert_eq!(system.stat_file(&file).unwrap().kind, Kind::Other);
    }

    #[test]
    fn a_lock_excludes_another_opening_of_the_same_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let system = OperatingSystem;
        let open = || system.open(&path, Open::ReadWrite).unwrap();
        let (first, second) = (open(), open());
        assert!(system.try_lock(&first, LockMode::Exclusive).unwrap());
        assert!(!system.try_lock(&second, LockMode::Shared).unwrap());
        drop(first);
        assert!(system.try_lock(&second, LockMode::Shared).unwrap());
    }
}
