//! What each backend keeps of a session for itself, read without it: a bucket's client need not be fuzzed.

use bytes::Bytes;

#[path = "../../../registry-store/src/backend/s3/record.rs"]
#[allow(dead_code, reason = "the backend needs more of it")]
mod of_s3;

#[path = "../../../registry-store/src/backend/fs/record.rs"]
#[allow(dead_code, reason = "the backend needs more of it")]
mod of_fs;

/// A record of the filesystem's: bytes are refused, or are what would be written.
pub fn of_a_filesystem(bytes: &[u8]) {
    let Some(record) = of_fs::Record::parse(bytes) else { return };
    let text = record.to_text();
    assert_eq!(text.as_bytes(), bytes, "what parses is what would be written");
    assert_eq!(of_fs::Record::parse(text.as_bytes()).as_ref(), Some(&record));
    let durable = record.durable();
    for offset in [0, durable, durable.saturating_add(1), u64::MAX] {
        let note = record.note(offset);
        assert!(note.is_none_or(|(at, _)| at <= offset), "a note for bytes that are not there");
        let mut cut = record.clone();
        cut.cut(offset);
        assert!(cut.durable() <= offset.min(durable));
        assert_eq!(cut.note(u64::MAX), record.note(offset), "what is cut vouches for nothing more");
        cut.add(offset, false, None);
        assert_eq!(of_fs::Record::parse(cut.to_text().as_bytes()).as_ref(), Some(&cut));
    }
}

/// A record of a bucket's: bytes are refused, or are read back as they were understood. No number in it is too great
/// to go on from.
pub fn of_a_bucket(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let Some((record, start)) = of_s3::Record::parse(&bytes) else { return };
    assert_eq!(bytes.slice(usize::try_from(start).expect("it is within")..), record.inline);
    let (again, start) = record.to_bytes();
    let end = record.end();
    assert_eq!(of_s3::Record::parse(&again), Some((record.clone(), start)));
    for piece in &record.pieces {
        assert!(piece.start.checked_add(piece.length).is_some_and(|_| piece.length <= end));
    }
    let name = of_s3::record_name(record.depth, end, [0; 16]);
    assert_eq!(of_s3::record_of(of_s3::token_of(&name)), Some(name));
}
