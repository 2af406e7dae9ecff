//! [`Record`]: how far an upload session has come, as it is stored: written once, never changed.
//!
//! Sessions are chains. A request that adds bytes to a session begins at a record, writes its bytes to objects of
//! their own, and then a record that says: all that the record before me has, and these; with the state of the hash
//! over just these bytes. Two requests that begin at one record make two branches, which share nothing that either
//! changes; the client goes on with the one it was told of. So no state of a hash can come to stand for bytes of
//! another request, and nothing needs a lock.
//!
//! A record is a line of JSON, and behind it the bytes that were too few for an object of their own.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// How far a session has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The name of the record before it, below the session's place for records.
    pub(super) parent: Option<String>,
    /// How many records are before it.
    pub(super) depth: u32,
    /// What the engine has kept here.
    pub(super) note: Bytes,
    /// Where the bytes are, in order.
    pub(super) pieces: Vec<Piece>,
    /// Bytes behind those, that are stored with the record itself.
    pub(super) inline: Bytes,
}

/// Bytes of a session, in one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Piece {
    /// The object's name, below the session's place for records.
    pub(super) object: String,
    /// Where in the object they begin.
    pub(super) start: u64,
    /// How many they are.
    pub(super) length: u64,
    /// The object must be this one still.
    pub(super) etag: String,
    /// It has no other bytes.
    pub(super) whole: bool,
}

#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    parent: Option<String>,
    depth: u32,
    note: String,
    pieces: Vec<Piece>,
    inline: u64,
}

const VERSION: u32 = 1;

/// Can the bytes be counted? Those of a session that was really written can.
fn is_countable(pieces: &[Piece], inline: u64) -> bool {
    let mut pieces_within = pieces.iter().map(|piece| piece.start.checked_add(piece.length));
    let length = pieces.iter().try_fold(inline, |sum, piece| sum.checked_add(piece.length));
    length.is_some() && pieces_within.all(|end| end.is_some())
}

impl Record {
    /// The number of bytes of the session so far.
    pub(super) fn end(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.length).sum::<u64>() + self.inline.len() as u64
    }

    /// As it is stored, and at which of its bytes those begin that are stored with it.
    pub(super) fn to_bytes(&self) -> (Bytes, u64) {
        let head = Head {
            version: VERSION,
            parent: self.parent.clone(),
            depth: self.depth,
            note: hex::encode(&self.note),
            pieces: self.pieces.clone(),
            inline: self.inline.len() as u64,
        };
        let mut bytes = serde_json::to_vec(&head).expect("text and numbers can be written as JSON");
        bytes.push(b'\n');
        let start = bytes.len() as u64;
        bytes.extend_from_slice(&self.inline);
        (bytes.into(), start)
    }

    /// What is stored, and at which byte the inline ones begin; `None` if it is no record of ours.
    pub(super) fn parse(bytes: &Bytes) -> Option<(Self, u64)> {
        let line = bytes.iter().position(|byte| *byte == b'\n')?;
        let head: Head = serde_json::from_slice(&bytes[..line]).ok()?;
        let inline = bytes.slice(line + 1..);
        let is_whole = head.version == VERSION && head.inline == inline.len() as u64;
        let note = hex::decode(head.note).ok()?.into();
        let Head { parent, depth, pieces, .. } = head;
        let is_sound = is_whole && is_countable(&pieces, head.inline);
        is_sound.then_some((Self { parent, depth, note, pieces, inline }, line as u64 + 1))
    }
}

/// What the names of records begin with.
pub(super) const RECORDS: &str = "r-";
/// What the names of other objects of a session begin with.
pub(super) const SEGMENTS: &str = "s-";

/// The name of a record: of the latest first, and of those the one with the most bytes first.
pub(super) fn record_name(depth: u32, end: u64, random: [u8; 16]) -> String {
    format!("{RECORDS}{:08x}-{:016x}-{}", !depth, !end, hex::encode(random))
}

/// What a client is given to come back to a record.
pub(super) fn token_of(record: &str) -> &str {
    record.strip_prefix(RECORDS).unwrap_or(record)
}

/// The name of the record that a client comes back to; `None` if it was never given such a token.
pub(super) fn record_of(token: &str) -> Option<String> {
    let lengths: Vec<usize> = token.split('-').map(str::len).collect();
    let is_ours = lengths == [8, 16, 32]
        && token.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    is_ours.then(|| format!("{RECORDS}{token}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces() -> impl Strategy<Value = Vec<Piece>> {
        let texts = ("s-[a-f0-9]{1,8}", "\"[a-f0-9-]{0,40}\"");
        let piece = (texts, any::<u32>(), any::<u32>(), any::<bool>()).prop_map(
            |((object, etag), start, length, whole)| Piece {
                object,
                start: start.into(),
                length: length.into(),
                etag,
                whole,
            },
        );
        prop::collection::vec(piece, 0..5)
    }

    #[test]
    fn a_record_of_more_bytes_than_can_be_counted_is_none() {
        let piece = |start, length| {
            let (object, etag) = ("s-1".to_owned(), String::new());
            Piece { object, start, length, etag, whole: true }
        };
        let read = |pieces: Vec<Piece>| {
            let (note, inline) = (Bytes::new(), Bytes::from_static(b"abc"));
            let record = Record { parent: None, depth: 0, note, pieces, inline };
            Record::parse(&record.to_bytes().0).map(|(record, _)| record.end())
        };
        assert_eq!(read(vec![piece(0, u64::MAX - 3)]), Some(u64::MAX));
        assert_eq!(read(vec![piece(0, u64::MAX - 2)]), None);
        assert_eq!(read(vec![piece(0, u64::MAX - 4), piece(0, 2)]), None);
        assert_eq!(read(vec![piece(u64::MAX, 1)]), None);
    }

    proptest! {
        #[test]
        fn a_record_is_read_as_it_was_written(
            parent in prop::option::of("r-[a-f0-9-]{1,20}"), depth: u32, note: Vec<u8>,
            pieces in pieces(), inline: Vec<u8>,
        ) {
            let (note, inline) = (note.into(), Bytes::from(inline));
            let record = Record { parent, depth, note, pieces, inline: inline.clone() };
            let (bytes, start) = record.to_bytes();
            prop_assert_eq!(&bytes[start as usize..], &inline);
            prop_assert_eq!(Record::parse(&bytes), Some((record, start)));
            // One that was cut is none.
            if !bytes.is_empty() {
                prop_assert_eq!(Record::parse(&bytes.slice(..bytes.len() - 1)), None);
            }
        }

        #[test]
        fn whatever_is_stored_there_is_no_fault(bytes: Vec<u8>) {
            let _ = Record::parse(&bytes.into());
        }

        #[test]
        fn later_records_come_first_and_of_them_the_longest(
            depth in 0..u32::MAX, end in 0..u64::MAX, random: [u8; 16], other: [u8; 16],
        ) {
            let name = record_name(depth, end, random);
            prop_assert!(record_name(depth + 1, 0, other) < name);
            prop_assert!(record_name(depth, end + 1, other) < name);
            prop_assert_eq!(record_of(token_of(&name)), Some(name));
        }

        #[test]
        fn a_token_is_never_another_path(token in ".{0,70}") {
            if let Some(name) = record_of(&token) {
                prop_assert!(!name.contains('/') && !name.contains(".."));
            }
        }
    }
}
