//! [`Record`]: which bytes of an upload session can be trusted, as kept in a file of the session.
//!
//! Text, one fact a line:
//!
//! ```text
//! registry-store session 1
//! boot <id>
//! at <offset> <durable|written> <note in hexadecimal, or ->
//! ```
//!
//! The bytes before a `durable` offset were synced before the record was; those before a `written` one are
//! there as long as the machine runs. What follows from that for a session that is opened again:
//!
//! * a record of this boot: its length is kept;
//! * a record of another boot, or one that is no record: it is cut to the greatest durable offset;
//! * no record: other software keeps this session; its length is kept and nothing vouches for it.

use bytes::Bytes;

/// How many offsets are kept, besides the greatest durable one.
const KEPT: usize = 4;
const TITLE: &str = "registry-store session 1";
/// The longest text that is taken for a record, in bytes.
pub(super) const MAX_LENGTH: u64 = 64 << 10;

/// Which bytes of a session can be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    boot: String,
    /// In the order of offsets, each once.
    entries: Vec<Entry>,
}

/// What vouches for the bytes before an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    offset: u64,
    durable: bool,
    note: Option<Bytes>,
}

impl Record {
    /// A record that vouches for nothing.
    pub(super) fn new(boot: &str) -> Self {
        Self { boot: boot.to_owned(), entries: Vec::new() }
    }

    /// A record as it is kept; `None` if the text is none, be it that it only spells one in another way.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut lines = text.strip_suffix('\n')?.split('\n');
        if lines.next()? != TITLE {
            return None;
        }
        let boot = lines.next()?.strip_prefix("boot ")?.to_owned();
        let entries: Vec<_> = lines.map(Entry::parse).collect::<Option<_>>()?;
        let ordered = entries.is_sorted_by(|one, next| one.offset < next.offset);
        let record = Self { boot, entries };
        (ordered && record.to_text() == text).then_some(record)
    }

    /// The record as it is kept.
    pub(super) fn to_text(&self) -> String {
        let lines = self.entries.iter().map(Entry::to_line);
        let lines: String = lines.collect();
        format!("{TITLE}\nboot {}\n{lines}", self.boot)
    }

    /// Was it written since the machine was started?
    pub(super) fn is_of(&self, boot: &str) -> bool {
        self.boot == boot
    }

    /// The greatest offset before which everything is on the medium.
    pub(super) fn durable(&self) -> u64 {
        let mut durable = self.entries.iter().rev().filter(|entry| entry.durable);
        durable.next().map_or(0, |entry| entry.offset)
    }

    /// The latest note at `offset` or below it.
    pub(super) fn note(&self, offset: u64) -> Option<(u64, Bytes)> {
        let mut entries = self.entries.iter().rev();
        entries.find_map(|entry| {
            let note = entry.note.as_ref().filter(|_| entry.offset <= offset)?;
            Some((entry.offset, note.clone()))
        })
    }

    /// Adds what vouches for the bytes before `offset`, which is not below any other; the oldest goes.
    pub(super) fn add(&mut self, offset: u64, durable: bool, note: Option<Bytes>) {
        self.cut(offset);
        if self.entries.last().is_some_and(|last| last.offset == offset) {
            self.entries.pop();
        }
        self.entries.push(Entry { offset, durable, note });
        let durable = self.durable();
        if self.entries.len() > KEPT {
            // The oldest that is not the greatest durable one.
            let oldest = usize::from(self.entries[0].offset == durable && self.entries[0].durable);
            self.entries.remove(oldest);
        }
    }

    /// Forgets what is above `offset`; `false` if there was nothing.
    pub(super) fn cut(&mut self, offset: u64) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.offset <= offset);
        self.entries.len() < before
    }

    /// The same, as of this boot.
    pub(super) fn taken_over(mut self, boot: &str) -> Self {
        boot.clone_into(&mut self.boot);
        self
    }
}

impl Entry {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("at ")?.split(' ');
        let entry = Self {
            offset: words.next()?.parse().ok()?,
            durable: match words.next()? {
                "durable" => true,
                "written" => false,
                _ => return None,
            },
            note: match words.next()? {
                "-" => None,
                note => Some(hex::decode(note).ok()?.into()),
            },
        };
        words.next().is_none().then_some(entry)
    }

    fn to_line(&self) -> String {
        let how = if self.durable { "durable" } else { "written" };
        let note = self.note.as_ref().map_or_else(|| "-".into(), hex::encode);
        format!("at {} {how} {note}\n", self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn note(text: &str) -> Option<Bytes> {
        Some(Bytes::copy_from_slice(text.as_bytes()))
    }

    proptest! {
        #[test]
        fn a_record_survives_its_text_form(steps in prop::collection::vec((0u64..9, any::<bool>(), any::<Option<Vec<u8>>>()), 0..12)) {
            let mut record = Record::new("b");
            let mut offset = 0;
            for (step, durable, note) in steps {
                offset += step;
                record.add(offset, durable, note.map(Bytes::from));
            }
            prop_assert_eq!(Record::parse(record.to_text().as_bytes()), Some(record));
        }

        #[test]
        fn no_text_is_read_with_a_panic(text: Vec<u8>) {
            let _ = Record::parse(&text);
        }
    }

    #[test]
    fn the_greatest_durable_offset_is_never_forgotten() {
        let mut record = Record::new("b");
        record.add(10, true, note("ten"));
        for offset in 11..40 {
            record.add(offset, false, note("x"));
        }
        assert_eq!(record.durable(), 10);
        assert_eq!(record.entries.len(), KEPT);
        assert_eq!(record.note(39), Some((39, Bytes::from_static(b"x"))));
        assert_eq!(record.note(12), Some((10, Bytes::from_static(b"ten"))));
        assert_eq!(record.note(9), None);
    }

    #[test]
    fn an_empty_note_is_a_note_and_no_note_is_not() {
        let mut record = Record::new("b");
        record.add(5, true, None);
        assert_eq!(record.note(9), None);
        record.add(6, false, Some(Bytes::new()));
        let record = Record::parse(record.to_text().as_bytes()).unwrap();
        assert_eq!(record.note(9), Some((6, Bytes::new())));
        assert_eq!(record.durable(), 5);
    }

    #[test]
    fn a_record_in_another_spelling_is_none() {
        let kept = "registry-store session 1\nboot b\nat 5 durable ab\n";
        assert!(Record::parse(kept.as_bytes()).is_some());
        for (good, other) in [("at 5", "at +5"), ("at 5", "at 05"), ("ab\n", "AB\n")] {
            let text = kept.replace(good, other);
            assert_eq!(Record::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_torn_record_is_none() {
        let mut record = Record::new("b");
        record.add(5, true, note("five"));
        let text = record.to_text();
        for length in 0..text.len() {
            let torn = Record::parse(&text.as_bytes()[..length]);
            assert!(torn.is_none_or(|torn| torn.entries.is_empty()), "{length}");
        }
    }
}
