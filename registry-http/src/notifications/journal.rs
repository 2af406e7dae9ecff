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
//! another replica, takes the next. What is in slots that nobody holds, at its start or later, it takes over.
//!
//! # Order of writes, and what a crash leaves
//!
//! Records are appended and synced together, as many as came in while the last were written; a new file's name is synced
//! before anything is in it. Files are never opened again to append: so a torn line is only ever the last of its file.
//! The position is written in place and not synced; a file goes when all that is in it lies before the position. A
//! process that is killed loses nothing that was appended. A power cut loses nothing that was synced, but may take
//! positions and removals back: what was delivered since is delivered again.
//!
//! What is taken over is appended to ours and synced → it is removed, or the position is moved past it, where it was.
//! Between the two it is in both, and may be delivered twice.
//!
//! A write that failed is undone, so that it can be made again and again: a disk that is full is not filled by that.
#![expect(clippy::disallowed_methods, reason = "the one home of the files of queues")]

use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::queue::Limits;
use super::record::Record;
use super::slot::{self, Abandoned, ENDING, Found};

/// The most bytes in a file of records, unless it is one record.
const SEGMENT: u64 = 1024 * 1024;

/// The files of one queue. Nothing in it is async: it is called where blocking is fine.
#[derive(Debug)]
pub(super) struct Journal {
    /// Where the slots are.
    place: PathBuf,
    slot: u32,
    directory: PathBuf,
    /// Held as long as this is there.
    _lock: File,
    /// Files that are not written any more, and the last number in each.
    done: VecDeque<(u64, PathBuf)>,
    current: Option<Segment>,
    position: u64,
    position_written: u64,
    position_file: Option<File>,
    segment_length: u64,
    /// Makes a file that is not there yet, to append to.
    create: fn(&Path) -> io::Result<File>,
    /// Slots that are not looked at any more, as that failed.
    passed_over: BTreeSet<u32>,
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

/// What is in the files after a write.
#[derive(Debug)]
pub(super) struct Written {
    /// All up to this number is in the files, or need not be; 0 if that is not known.
    pub(super) last: u64,
    /// The position in them is this, or further; 0 if that is not known.
    pub(super) position: u64,
    /// Whether all that was to be written is.
    pub(super) outcome: io::Result<()>,
}

/// A search for what others left.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// Some of it.
    pub(super) found: Option<Abandoned>,
    /// What could not be looked at; it is not tried again.
    pub(super) failed: Vec<(PathBuf, io::Error)>,
}

impl Journal {
    /// Opens the queue in `directory`, which is made if it is not there.
    pub(super) fn open(directory: &Path) -> io::Result<Opened> {
        slot::make(directory)?;
        let (slot, lock) = slot::own_slot(directory)?;
        let own = directory.join(slot.to_string());
        let found = Found::read(&own, None)?;
        let mut journal = Self {
            place: directory.to_owned(),
            slot,
            directory: own,
            _lock: lock,
            done: found.segments,
            current: None,
            position: found.position,
            position_written: found.position,
            position_file: None,
            segment_length: SEGMENT,
            create,
            passed_over: BTreeSet::new(),
        };
        let next = found.last.max(found.position) + 1;
        journal.remove_delivered()?;
        Ok(Opened { journal, left: found.records, next, damaged: found.damaged })
    }

    /// From now on it makes files so, and of this length.
    #[cfg(test)]
    pub(super) fn create_by(&mut self, create: fn(&Path) -> io::Result<File>, length: u64) {
        (self.create, self.segment_length) = (create, length);
    }

    /// Notes that all up to `position` are delivered, or dropped; then appends records, in the order of their numbers, and
    /// syncs them. If one of them fails, the other is done all the same; both can be asked for again.
    pub(super) fn write(&mut self, records: &[Record], position: u64) -> Written {
        // First what makes room.
        let advanced = self.advance(position);
        let mut last = 0;
        let appended = self.append(records, &mut last);
        if records.is_empty() {
            last = position;
        }
        let position = if advanced.is_ok() { position } else { 0 };
        Written { last, position, outcome: appended.and(advanced) }
    }

    fn append(&mut self, records: &[Record], last: &mut u64) -> io::Result<()> {
        let mut rest = records;
        while !rest.is_empty() {
            let count = self.append_to_one(rest)?;
            *last = rest[count - 1].number;
            rest = &rest[count..];
        }
        Ok(())
    }

    /// Appends as many as go into one file, but one in any case, and syncs them. Returns how many.
    fn append_to_one(&mut self, records: &[Record]) -> io::Result<usize> {
        let first = records.first().map_or(0, |first| first.number);
        // Put back when all went well.
        let mut segment = match self.current.take() {
            Some(current) if current.length < self.segment_length => current,
            full => {
                self.done.extend(full.map(|full| (full.last, full.path)));
                self.begin(first)?
            }
        };
        let (mut lines, mut count, mut last) = (String::new(), 0, first);
        for record in records {
            let line = record.line();
            let length = segment.length + (lines.len() + line.len()) as u64;
            if count > 0 && length > self.segment_length {
                break;
            }
            lines.push_str(&line);
            count += 1;
            last = record.number;
        }
        let outcome =
            segment.file.write_all(lines.as_bytes()).and_then(|()| segment.file.sync_data());
        if let Err(error) = outcome {
            self.undo(segment, last);
            return Err(error);
        }
        segment.length += lines.len() as u64;
        segment.last = last;
        self.current = Some(segment);
        Ok(count)
    }

    /// Takes back what a failed write of records up to `last` may have left. The file is not written any more.
    fn undo(&mut self, segment: Segment, last: u64) {
        let Segment { path, length, .. } = segment;
        let undone = match length {
            0 => fs::remove_file(&path),
            _ => OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(length)),
        };
        match undone {
            Ok(()) if length == 0 => {}
            Ok(()) => self.done.push_back((segment.last, path)),
            // Any of them may be there; they count once when they are written again.
            Err(_) => self.done.push_back((last, path)),
        }
    }

    /// Notes that all up to `position` are delivered, or dropped.
    fn advance(&mut self, position: u64) -> io::Result<()> {
        self.position = self.position.max(position);
        let written = self.write_position();
        // Whatever became of that: they need not be kept.
        self.remove_delivered().and(written)
    }

    fn write_position(&mut self) -> io::Result<()> {
        if self.position == self.position_written {
            return Ok(());
        }
        let file = match self.position_file.take() {
            Some(file) => file,
            None => slot::position_file(&self.directory)?,
        };
        slot::write_position(&file, self.position)?;
        self.position_file = Some(file);
        self.position_written = self.position;
        Ok(())
    }

    /// Looks for what processes that ended have left, and reads as much of one's as there is room for.
    pub(super) fn search(&mut self, room: Limits) -> Search {
        let mut search = Search::default();
        let slots = match slot::slots(&self.place) {
            Ok(slots) => slots,
            Err(error) => {
                search.failed.push((self.place.clone(), error));
                return search;
            }
        };
        for slot in slots {
            if slot == self.slot || self.passed_over.contains(&slot) {
                continue;
            }
            let directory = self.place.join(slot.to_string());
            match Abandoned::open(slot, &directory, room) {
                Ok(None) => {}
                Ok(found) => {
                    search.found = found;
                    break;
                }
                Err(error) => {
                    self.passed_over.insert(slot);
                    search.failed.push((directory, error));
                }
            }
        }
        search
    }

    /// So many records of it, from the first on, are in our files, synced: they are removed where they were.
    pub(super) fn leave_behind(&mut self, abandoned: Abandoned, taken: usize) -> io::Result<()> {
        let slot = abandoned.slot;
        let outcome = abandoned.remove(taken);
        if outcome.is_err() {
            // Else it would be taken over again and again.
            self.passed_over.insert(slot);
        }
        outcome
    }

    /// A file that nothing is in yet.
    fn begin(&self, first: u64) -> io::Result<Segment> {
        for attempt in 0..10_000 {
            let path = self.directory.join(format!("{first:020}-{attempt:04}{ENDING}"));
            match (self.create)(&path) {
                Ok(file) => {
                    if let Err(error) = slot::sync_directory(&self.directory) {
                        // It is of no use. What became of it does not matter: it is empty.
                        let _ = fs::remove_file(&path);
                        return Err(error);
                    }
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

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().create_new(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use tempfile::TempDir;

    use super::*;
    use crate::notifications::slot::waiting;

    fn records(numbers: RangeInclusive<u64>) -> Vec<Record> {
        numbers
            .map(|number| Record { number, text: format!("{{\"at\":{number}}}").into() })
            .collect()
    }

    fn numbers(records: &[Record]) -> Vec<u64> {
        records.iter().map(|record| record.number).collect()
    }

    fn segments(directory: &Path, slot: &str) -> Vec<PathBuf> {
        Found::read(&directory.join(slot), None)
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
        opened.journal.write(&records(1..=3), 0).outcome.unwrap();
        opened.journal.write(&records(4..=5), 0).outcome.unwrap();
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
        opened.journal.write(&records(1..=3), 0).outcome.unwrap();
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
        opened.journal.write(&records(1..=4), 0).outcome.unwrap();
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
        opened.journal.write(&more, 0).outcome.unwrap();
        drop(opened);
        assert_eq!(Journal::open(directory.path()).unwrap().left, more);
    }

    #[test]
    fn a_position_that_is_not_whole_delivers_again_rather_than_lose() {
        let directory = TempDir::new().unwrap();
        let mut opened = Journal::open(directory.path()).unwrap();
        opened.journal.write(&records(1..=3), 0).outcome.unwrap();
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
        let mut journal = Journal::open(directory.path()).unwrap().journal;
        journal.create_by(create, 1);
        for number in 1..=4 {
            journal.write(&records(number..=number), 0).outcome.unwrap();
        }
        assert_eq!(segments(directory.path(), "0").len(), 4);
        journal.advance(3).unwrap();
        assert_eq!(segments(directory.path(), "0").len(), 1);
    }

    #[test]
    fn what_was_written_twice_counts_once() {
        let directory = TempDir::new().unwrap();
        let mut opened = Journal::open(directory.path()).unwrap();
        opened.journal.write(&records(1..=2), 0).outcome.unwrap();
        // As after a write that failed when it was done.
        let half = opened.journal.current.take().unwrap();
        opened.journal.done.push_back((half.last, half.path));
        opened.journal.write(&records(1..=3), 0).outcome.unwrap();
        drop(opened);
        assert_eq!(Journal::open(directory.path()).unwrap().left, records(1..=3));
    }

    const ROOM: Limits = Limits { events: 100, bytes: 10_000 };

    #[test]
    fn processes_keep_apart_and_what_one_leaves_another_takes_over() {
        let directory = TempDir::new().unwrap();
        let mut one = Journal::open(directory.path()).unwrap();
        let mut other = Journal::open(directory.path()).unwrap();
        one.journal.write(&records(1..=2), 0).outcome.unwrap();
        other.journal.write(&records(1..=3), 1).outcome.unwrap();
        let mut third = Journal::open(directory.path()).unwrap();
        let search = third.journal.search(ROOM);
        assert!(search.found.is_none() && search.failed.is_empty(), "theirs is theirs");
        drop((one, other, third));

        let mut opened = Journal::open(directory.path()).unwrap();
        assert_eq!(numbers(&opened.left), [1, 2]);
        let found = opened.journal.search(ROOM).found.unwrap();
        assert_eq!(found.records, records(2..=3));
        assert!(found.is_whole(2) && !found.is_whole(1));
        opened.journal.leave_behind(found, 2).unwrap();
        assert!(segments(directory.path(), "1").is_empty());
        assert!(opened.journal.search(ROOM).found.is_none());
    }

    #[test]
    fn what_there_is_no_room_for_stays_where_it_is() {
        let directory = TempDir::new().unwrap();
        let mut ours = Journal::open(directory.path()).unwrap().journal;
        let mut other = Journal::open(directory.path()).unwrap().journal;
        other.create_by(create, 60);
        other.write(&records(1..=5), 0).outcome.unwrap();
        drop(other);
        for (room, expected, taken) in [
            (Limits { events: 2, bytes: 1000 }, records(1..=2), 1),
            (Limits { events: 9, bytes: 16 }, records(2..=3), 2),
            (Limits { events: 9, bytes: 1 }, records(4..=4), 1),
            (ROOM, records(5..=5), 1),
        ] {
            let found = ours.search(room).found.unwrap();
            assert_eq!(found.records, expected);
            ours.leave_behind(found, taken).unwrap();
        }
        assert!(ours.search(ROOM).found.is_none());
        assert!(segments(directory.path(), "1").is_empty());
    }

    #[test]
    fn what_cannot_be_looked_at_fails_nothing_else_and_what_is_no_slot_stays_as_it_is() {
        let directory = TempDir::new().unwrap();
        let mut ours = Journal::open(directory.path()).unwrap().journal;
        let others = [(); 2].map(|()| Journal::open(directory.path()).unwrap().journal);
        for mut other in others {
            other.write(&records(1..=1), 0).outcome.unwrap();
        }
        fs::create_dir(directory.path().join("1/position")).unwrap();
        fs::create_dir(directory.path().join("7")).unwrap();
        fs::write(directory.path().join("8"), "").unwrap();

        let search = ours.search(ROOM);
        assert_eq!(search.failed.len(), 1, "{:?}", search.failed);
        assert_eq!(search.failed[0].0, directory.path().join("1"));
        ours.leave_behind(search.found.unwrap(), 1).unwrap();
        let search = ours.search(ROOM);
        assert!(search.failed.is_empty() && search.found.is_none(), "told of once");
        assert!(!directory.path().join("7/lock").exists());
    }

    #[test]
    fn what_only_looks_like_the_queue_of_an_endpoint_stays_as_it_is() {
        let directory = TempDir::new().unwrap();
        fs::create_dir_all(directory.path().join("photos/2024")).unwrap();
        assert!(waiting(directory.path(), &[]).unwrap().is_empty());
        assert_eq!(fs::read_dir(directory.path().join("photos/2024")).unwrap().count(), 0);
    }

    #[test]
    fn a_batch_that_is_long_is_split_and_no_file_is_longer_than_it_may_be() {
        let directory = TempDir::new().unwrap();
        let mut journal = Journal::open(directory.path()).unwrap().journal;
        journal.create_by(create, 60);
        // Of 20 bytes each.
        let written = journal.write(&records(1..=7), 0);
        assert_eq!(written.last, 7);
        written.outcome.unwrap();
        assert_eq!(segments(directory.path(), "0").len(), 3);
        for path in segments(directory.path(), "0") {
            assert!(fs::metadata(&path).unwrap().len() <= 60);
        }
        journal.write(&[], 3).outcome.unwrap();
        assert_eq!(segments(directory.path(), "0").len(), 2);
    }

    /// As a disk on which the second file finds no room.
    fn fails_at_four(path: &Path) -> io::Result<File> {
        let file = create(path)?;
        let is_it = path.to_str().is_some_and(|path| path.contains("0000004-"));
        if is_it { OpenOptions::new().append(true).open("/dev/full") } else { Ok(file) }
    }

    #[test]
    fn what_of_a_batch_was_written_before_it_failed_is_known_and_not_written_again() {
        let directory = TempDir::new().unwrap();
        let mut journal = Journal::open(directory.path()).unwrap().journal;
        journal.create_by(fails_at_four, 60);
        for _ in 0..3 {
            let written = journal.write(&records(1..=7), 0);
            assert_eq!((written.last, written.outcome.is_err()), (3, true));
            drop(journal);
            assert_eq!(segments(directory.path(), "0").len(), 1);
            let opened = Journal::open(directory.path()).unwrap();
            assert_eq!(opened.left, records(1..=3));
            fs::remove_file(&segments(directory.path(), "0")[0]).unwrap();
            journal = opened.journal;
            journal.create_by(fails_at_four, 60);
        }
    }

    #[test]
    fn half_a_write_is_taken_back_and_what_was_before_it_stays() {
        let directory = TempDir::new().unwrap();
        let mut journal = Journal::open(directory.path()).unwrap().journal;
        journal.write(&records(1..=2), 0).outcome.unwrap();
        let current = journal.current.as_mut().unwrap();
        // So far it got.
        current.file.write_all(b"0123").unwrap();
        current.file = OpenOptions::new().append(true).open("/dev/full").unwrap();
        assert!(journal.write(&records(3..=4), 1).outcome.is_err());
        assert_eq!(segments(directory.path(), "0").len(), 1);
        assert_eq!(journal.done.front().unwrap().0, 2);
        journal.write(&records(3..=4), 1).outcome.unwrap();
        drop(journal);
        let opened = Journal::open(directory.path()).unwrap();
        assert_eq!((opened.left, opened.damaged), (records(2..=4), 0));
    }
}
