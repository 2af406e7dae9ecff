//! [`Journal`]: the files that a queue survives in.
//!
//! ```text
//! <endpoint>/<slot>/
//!   lock                          held by the process whose queue this is
//!   position                      the number of the last record that was delivered or dropped
//!   <first number>-<try>.events   records, one a line, appended to until it is long enough
//! ```
//!
//! A slot is one process's: a second process on the same directory, such as one that starts while the other ends, or
//! another replica, takes the next. What it finds in slots that nobody holds, it takes over.
//!
//! # Order of writes, and what a crash leaves
//!
//! Records are appended and synced together, as many as came in while the last were written; a new file's name is synced
//! before anything is in it. Files are never opened again to append: so a torn line is only ever the last of its file.
//! The position is written in place and not synced; a file goes when all that is in it lies before the position. A
//! process that is killed loses nothing that was appended. A power cut loses nothing that was synced, but may take the
//! position back, by a file at the most: what was delivered since is delivered again.
#![expect(clippy::disallowed_methods, reason = "the one home of the files of queues")]

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::record::{self, Record};

/// A file of records that is this long, in bytes, is followed by another.
const SEGMENT: u64 = 1024 * 1024;

/// How many processes can use one directory at once.
const SLOTS: u32 = 1000;

const LOCK: &str = "lock";
const POSITION: &str = "position";
const ENDING: &str = ".events";

/// The files of one queue. Nothing in it is async: it is called where blocking is fine.
#[derive(Debug)]
pub(super) struct Journal {
    directory: PathBuf,
    /// Held as long as this is there.
    _lock: File,
    /// Files that are not written any more, and the last number in each.
    done: VecDeque<(u64, PathBuf)>,
    current: Option<Segment>,
    position: u64,
    position_file: Option<File>,
    segment_length: u64,
}

#[derive(Debug)]
struct Segment {
    file: File,
    path: PathBuf,
    last: u64,
    length: u64,
}

/// A queue as its files had it.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) journal: Journal,
    /// What was not delivered.
    pub(super) left: Vec<Record>,
    /// All numbers so far are below this.
    pub(super) next: u64,
    /// How many lines are not as they were written.
    pub(super) damaged: u64,
}

impl Journal {
    /// Opens the queue in `directory`, which is made if it is not there.
    ///
    /// Order, for what is taken over from slots that nobody holds: it is appended to ours and synced → it is removed
    /// there. Between the two it is in both, and may be delivered twice.
    pub(super) fn open(directory: &Path) -> io::Result<Opened> {
        Self::open_with(directory, SEGMENT)
    }

    fn open_with(directory: &Path, segment_length: u64) -> io::Result<Opened> {
        make(directory)?;
        let (slot, lock) = own_slot(directory)?;
        let own = directory.join(slot.to_string());
        let found = Found::read(&own)?;
        let mut journal = Self {
            directory: own,
            _lock: lock,
            done: found.segments.into(),
            current: None,
            position: found.position,
            position_file: None,
            segment_length,
        };
        let (mut left, mut damaged) = (found.records, found.damaged);
        let mut next = found.last.max(found.position) + 1;
        journal.remove_delivered()?;
        for slot in slots(directory)?.into_iter().filter(|other| *other != slot) {
            let other = directory.join(slot.to_string());
            // Nobody else takes from it meanwhile.
            let Some(_lock) = try_lock(&other)? else { continue };
            let found = Found::read(&other)?;
            damaged += found.damaged;
            let taken: Vec<Record> = (next..)
                .zip(found.records)
                .map(|(number, record)| Record { number, ..record })
                .collect();
            next += taken.len() as u64;
            journal.append(&taken)?;
            left.extend(taken);
            for (_, segment) in found.segments {
                fs::remove_file(segment)?;
            }
        }
        Ok(Opened { journal, left, next, damaged })
    }

    /// Appends records, in the order of their numbers, and syncs them.
    ///
    /// If that fails, any of them may have been written; they can be appended again.
    pub(super) fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(()) };
        // Put back when all went well: behind a failure there may be half a line.
        let mut segment = match self.current.take() {
            Some(current) if current.length < self.segment_length => current,
            full => {
                self.done.extend(full.map(|full| (full.last, full.path)));
                self.begin(first.number)?
            }
        };
        let lines: String = records.iter().map(Record::line).collect();
        let outcome =
            segment.file.write_all(lines.as_bytes()).and_then(|()| segment.file.sync_data());
        if let Err(error) = outcome {
            self.done.push_back((last.number, segment.path));
            return Err(error);
        }
        segment.length += lines.len() as u64;
        segment.last = last.number;
        self.current = Some(segment);
        Ok(())
    }

    /// Notes that all up to `position` are delivered, or dropped.
    pub(super) fn advance(&mut self, position: u64) -> io::Result<()> {
        if position <= self.position {
            return Ok(());
        }
        let file = match self.position_file.take() {
            Some(file) => file,
            None => OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(self.directory.join(POSITION))?,
        };
        (&file).seek(SeekFrom::Start(0))?;
        (&file).write_all(record::position_line(position).as_bytes())?;
        self.position_file = Some(file);
        self.position = position;
        self.remove_delivered()
    }

    /// A file that nothing is in yet.
    fn begin(&self, first: u64) -> io::Result<Segment> {
        for attempt in 0..10_000 {
            let path = self.directory.join(format!("{first:020}-{attempt:04}{ENDING}"));
            match OpenOptions::new().create_new(true).append(true).open(&path) {
                Ok(file) => {
                    sync_directory(&self.directory)?;
                    return Ok(Segment { file, path, last: first, length: 0 });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("expected to write a file in less than 10000 tries"))
    }

    fn remove_delivered(&mut self) -> io::Result<()> {
        while let Some((last, path)) = self.done.front()
            && *last <= self.position
        {
            match fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => self.done.pop_front(),
            };
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
            if let Some(_lock) = try_lock(&slot)? {
                events += Found::read(&slot)?.records.len();
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
struct Found {
    /// What lies behind the position.
    records: Vec<Record>,
    /// The last number of any record, 0 if there is none.
    last: u64,
    position: u64,
    /// The files, with the last number in each.
    segments: Vec<(u64, PathBuf)>,
    damaged: u64,
}

impl Found {
    fn read(directory: &Path) -> io::Result<Self> {
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
        for path in paths {
            found.take(&fs::read(&path)?);
            found.segments.push((found.last, path));
        }
        Ok(found)
    }

    /// Takes the records of a file. What was written twice, as its first writing failed, counts once.
    fn take(&mut self, bytes: &[u8]) {
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match Record::read(line) {
                None => self.damaged += 1,
                Some(record) if record.number <= self.last => {}
                Some(record) => {
                    self.last = record.number;
                    if record.number > self.position {
                        self.records.push(record);
                    }
                }
            }
        }
    }
}

fn is_segment(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ENDING))
}

/// The first slot that nobody holds, made if need be.
fn own_slot(directory: &Path) -> io::Result<(u32, File)> {
    for slot in 0..SLOTS {
        let path = directory.join(slot.to_string());
        make(&path)?;
        if let Some(lock) = try_lock(&path)? {
            return Ok((slot, lock));
        }
    }
    Err(io::Error::other(format!("expected fewer than {SLOTS} processes that use it")))
}

/// The slots that were ever made, in order.
fn slots(directory: &Path) -> io::Result<Vec<u32>> {
    let mut slots = Vec::new();
    for entry in fs::read_dir(directory)? {
        slots.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    slots.sort_unstable();
    Ok(slots)
}

/// Locks a slot, unless somebody has. It is free when the file is closed, if only by the end of a process.
fn try_lock(slot: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(slot.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Makes a directory, and those above it, so that a power cut does not take them.
fn make(directory: &Path) -> io::Result<()> {
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

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use tempfile::TempDir;

    use super::*;

    fn records(numbers: RangeInclusive<u64>) -> Vec<Record> {
        numbers
            .map(|number| Record { number, text: format!("{{\"at\":{number}}}").into() })
            .collect()
    }

    fn numbers(records: &[Record]) -> Vec<u64> {
        records.iter().map(|record| record.number).collect()
    }

    fn segments(directory: &Path, slot: &str) -> Vec<PathBuf> {
        Found::read(&directory.join(slot))
            .unwrap()
            .segments
            .into_iter()
            .map(|(_, path)| path)
            .collect()
    }

    #[test]
    fn what_was_appended_and_not_delivered_is_found_again_in_order() {
        let directory = TempDir::new().unwrap();
        let place = directory.path().join("a/b");
        let mut opened = Journal::open(&place).unwrap();
        assert_eq!((opened.left.len(), opened.next), (0, 1));
        opened.journal.append(&records(1..=3)).unwrap();
        opened.journal.append(&records(4..=5)).unwrap();
        opened.journal.advance(2).unwrap();
        drop(opened);

        let opened = Journal::open(&place).unwrap();
        assert_eq!(opened.left, records(3..=5));
        assert_eq!((opened.next, opened.damaged), (6, 0));
    }

    #[test]
    fn numbers_go_on_though_all_was_delivered() {
        let directory = TempDir::new().unwrap();
        let mut opened = Journal::open(directory.path()).unwrap();
        opened.journal.append(&records(1..=3)).unwrap();
        opened.journal.advance(3).unwrap();
        drop(opened);
        let opened = Journal::open(directory.path()).unwrap();
        assert_eq!((opened.left.len(), opened.next), (0, 4));
        assert!(segments(directory.path(), "0").is_empty(), "what was delivered is not kept");
    }

    #[test]
    fn a_torn_tail_and_a_damaged_line_cost_no_record_beside_them() {
        let directory = TempDir::new().unwrap();
        let mut opened = Journal::open(directory.path()).unwrap();
        opened.journal.append(&records(1..=4)).unwrap();
        drop(opened);
        let path = segments(directory.path(), "0").remove(0);
        let whole = fs::read(&path).unwrap();
        let length = whole.len() / 4;
        for cut in 0..length {
            // The last record loses its end, and the second a bit.
            let mut torn = whole[..whole.len() - cut].to_vec();
            torn[length + 12] ^= 1;
            fs::write(&path, &torn).unwrap();
            let opened = Journal::open(directory.path()).unwrap();
            let expected: &[u64] = if cut <= 1 { &[1, 3, 4] } else { &[1, 3] };
            assert_eq!(numbers(&opened.left), expected, "{cut}");
            assert_eq!(opened.damaged, if cut <= 1 { 1 } else { 2 });
        }
        // A file that the power cut filled with nothing.
        fs::write(&path, vec![0; 4096]).unwrap();
        let mut opened = Journal::open(directory.path()).unwrap();
        assert_eq!((opened.left.len(), opened.damaged), (0, 1));
        let more = records(opened.next..=opened.next);
        opened.journal.append(&more).unwrap();
        drop(opened);
        assert_eq!(Journal::open(directory.path()).unwrap().left, more);
    }

    #[test]
    fn a_position_that_is_not_whole_delivers_again_rather_than_lose() {
        let directory = TempDir::new().unwrap();
        let mut opened = Journal::open(directory.path()).unwrap();
        opened.journal.append(&records(1..=3)).unwrap();
        opened.journal.advance(2).unwrap();
        drop(opened);
        for position in ["", "1", "00000000 00000000000000000003\n"] {
            fs::write(directory.path().join("0/position"), position).unwrap();
            assert_eq!(numbers(&Journal::open(directory.path()).unwrap().left), [1, 2, 3]);
        }
    }

    #[test]
    fn files_go_when_all_in_them_is_delivered() {
        let directory = TempDir::new().unwrap();
        let mut journal = Journal::open_with(directory.path(), 1).unwrap().journal;
        for number in 1..=4 {
            journal.append(&records(number..=number)).unwrap();
        }
        assert_eq!(segments(directory.path(), "0").len(), 4);
        journal.advance(3).unwrap();
        assert_eq!(segments(directory.path(), "0").len(), 1);
    }

    #[test]
    fn what_was_written_twice_counts_once() {
        let directory = TempDir::new().unwrap();
        let mut opened = Journal::open(directory.path()).unwrap();
        opened.journal.append(&records(1..=2)).unwrap();
        // As after a write that failed when it was done.
        let half = opened.journal.current.take().unwrap();
        opened.journal.done.push_back((half.last, half.path));
        opened.journal.append(&records(1..=3)).unwrap();
        drop(opened);
        assert_eq!(Journal::open(directory.path()).unwrap().left, records(1..=3));
    }

    #[test]
    fn processes_keep_apart_and_what_one_leaves_another_takes_over() {
        let directory = TempDir::new().unwrap();
        let mut one = Journal::open(directory.path()).unwrap();
        let mut other = Journal::open(directory.path()).unwrap();
        one.journal.append(&records(1..=2)).unwrap();
        other.journal.append(&records(1..=3)).unwrap();
        other.journal.advance(1).unwrap();
        let third = Journal::open(directory.path()).unwrap();
        assert!(third.left.is_empty(), "theirs is theirs while they live");
        drop((one, other, third));

        let opened = Journal::open(directory.path()).unwrap();
        let texts: Vec<&str> = opened.left.iter().map(|record| &*record.text).collect();
        assert_eq!(texts, ["{\"at\":1}", "{\"at\":2}", "{\"at\":2}", "{\"at\":3}"]);
        assert_eq!(numbers(&opened.left), [1, 2, 3, 4]);
        assert!(segments(directory.path(), "1").is_empty());
        drop(opened);
        assert_eq!(Journal::open(directory.path()).unwrap().left.len(), 4, "it is ours now");
    }
}
