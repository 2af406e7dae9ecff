//! [`Found`] and [`Abandoned`]: what is in a slot, ours or another's, and who has it. [`journal`](super::journal) says what
//! a slot is.
#![expect(clippy::disallowed_methods, reason = "the files of queues, with the journal")]

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::queue::Limits;
use super::record::{self, Record};

/// How many processes can use one directory at once.
const SLOTS: u32 = 1000;

const LOCK: &str = "lock";
const POSITION: &str = "position";
pub(super) const ENDING: &str = ".events";

/// A slot of a process that has ended. Nobody else takes from it while this is there.
#[derive(Debug)]
pub(super) struct Abandoned {
    /// What was not delivered, from the oldest on, with the numbers that it has there.
    pub(super) records: Vec<Record>,
    /// How many lines are not as they were written.
    pub(super) damaged: u64,
    pub(super) slot: u32,
    directory: PathBuf,
    segments: VecDeque<(u64, PathBuf)>,
    has_more: bool,
    _lock: File,
}

impl Abandoned {
    /// `None` if somebody has it, or there is nothing in it.
    pub(super) fn open(slot: u32, directory: &Path, room: Limits) -> io::Result<Option<Self>> {
        let Some(lock) = try_lock_existing(directory)? else { return Ok(None) };
        let Found { records, segments, damaged, has_more, .. } =
            Found::read(directory, Some(room))?;
        if segments.is_empty() {
            return Ok(None);
        }
        let directory = directory.to_owned();
        Ok(Some(Self { records, damaged, slot, directory, segments, has_more, _lock: lock }))
    }

    /// Is that all there is in it?
    pub(super) fn is_whole(&self, taken: usize) -> bool {
        taken == self.records.len() && !self.has_more
    }

    pub(super) fn remove(self, taken: usize) -> io::Result<()> {
        if let Some(last) = taken.checked_sub(1).and_then(|at| self.records.get(at)) {
            write_position(&position_file(&self.directory)?, last.number)?;
        }
        if self.is_whole(taken) {
            for (_, segment) in &self.segments {
                fs::remove_file(segment)?;
            }
        }
        Ok(())
    }
}

/// The queues in `directory` but for those of these names, in which events wait that nobody delivers, and how many.
pub(super) fn waiting(directory: &Path, names: &[String]) -> io::Result<Vec<(PathBuf, usize)>> {
    let mut waiting = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let is_ours =
            entry.file_name().to_str().is_some_and(|name| names.iter().any(|it| it == name));
        if is_ours || !entry.file_type()?.is_dir() {
            continue;
        }
        let mut events = 0;
        for slot in slots(&entry.path())? {
            let slot = entry.path().join(slot.to_string());
            if let Some(_lock) = try_lock_existing(&slot)? {
                events += Found::read(&slot, None)?.records.len();
            }
        }
        if events > 0 {
            waiting.push((entry.path(), events));
        }
    }
    Ok(waiting)
}

/// What a slot holds.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What lies behind the position.
    pub(super) records: Vec<Record>,
    /// The last number of any record, 0 if there is none.
    pub(super) last: u64,
    pub(super) position: u64,
    /// The files, with the last number in each.
    pub(super) segments: VecDeque<(u64, PathBuf)>,
    pub(super) damaged: u64,
    /// There are more records behind those.
    pub(super) has_more: bool,
}

impl Found {
    /// Takes records from the first on, as long as there is room for them, but one in any case.
    pub(super) fn read(directory: &Path, room: Option<Limits>) -> io::Result<Self> {
        // Without it, or with one that is not whole, all that is there counts as not delivered.
        let position = match fs::read(directory.join(POSITION)) {
            Ok(line) => record::read_position(&line).unwrap_or(0),
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        let mut found = Self { position, ..Self::default() };
        let mut paths: Vec<PathBuf> = fs::read_dir(directory)?
            .map(|entry| entry.map(|entry| entry.path()))
            .filter(|path| path.as_ref().map_or(true, |path| is_segment(path)))
            .collect::<io::Result<_>>()?;
        paths.sort();
        let mut bytes = 0;
        for path in paths {
            if !found.has_more {
                found.take(&fs::read(&path)?, room, &mut bytes);
            }
            found.segments.push_back((found.last, path));
        }
        Ok(found)
    }

    /// Takes the records of a file. What was written twice, as its first writing failed, counts once.
    fn take(&mut self, file: &[u8], room: Option<Limits>, bytes: &mut usize) {
        for line in file.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let Some(record) = Record::read(line) else {
                self.damaged += 1;
                continue;
            };
            if record.number <= self.last.max(self.position) {
                self.last = self.last.max(record.number);
                continue;
            }
            *bytes += record.text.len();
            let is_full =
                room.is_some_and(|room| self.records.len() >= room.events || *bytes > room.bytes);
            if is_full && !self.records.is_empty() {
                self.has_more = true;
                return;
            }
            self.last = record.number;
            self.records.push(record);
        }
    }
}

fn is_segment(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ENDING))
}

/// The first slot that nobody holds, made if need be.
pub(super) fn own_slot(directory: &Path) -> io::Result<(u32, File)> {
    for slot in 0..SLOTS {
        let path = directory.join(slot.to_string());
        make(&path)?;
        match try_lock(&path.join(LOCK), OpenOptions::new().create(true).truncate(false)) {
            Ok(Some(lock)) => return Ok((slot, lock)),
            Ok(None) => {}
            // Another user's.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!("expected fewer than {SLOTS} processes that use it")))
}

/// The slots that were ever made, in order.
pub(super) fn slots(directory: &Path) -> io::Result<Vec<u32>> {
    let mut slots = Vec::new();
    for entry in fs::read_dir(directory)? {
        slots.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    slots.sort_unstable();
    Ok(slots)
}

/// Locks a slot that is another's, unless somebody has, or it is none: nothing is made there.
fn try_lock_existing(slot: &Path) -> io::Result<Option<File>> {
    match try_lock(&slot.join(LOCK), &mut OpenOptions::new()) {
        Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => {
            Ok(None)
        }
        outcome => outcome,
    }
}

/// It is free when the file is closed, if only by the end of a process.
fn try_lock(path: &Path, options: &mut OpenOptions) -> io::Result<Option<File>> {
    let file = options.write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

pub(super) fn position_file(directory: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).open(directory.join(POSITION))
}

pub(super) fn write_position(mut file: &File, position: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(record::position_line(position).as_bytes())
}

/// Makes a directory, and those above it, so that a power cut does not take them.
pub(super) fn make(directory: &Path) -> io::Result<()> {
    let Some(above) = directory.parent().filter(|above| !above.as_os_str().is_empty()) else {
        return match fs::create_dir(directory) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        };
    };
    match fs::create_dir(directory) {
        Ok(()) => sync_directory(above),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make(above)?;
            make(directory)
        }
        Err(error) => Err(error),
    }
}

pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
