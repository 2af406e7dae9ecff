//! [`Content`]: bytes that are shared, not copied.

use std::iter;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

/// Zeros are read in pieces of this size.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// The bytes of an object or part: what arrived, piece by piece. Pieces of zeros are kept as their length, so that a
/// test can put gigabytes of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pieces: Vec<Piece>,
    length: u64,
}

#[derive(Clone, Debug)]
enum Piece {
    Bytes(Bytes),
    Zeros(u64),
}

impl Content {
    pub(super) const fn new() -> Self {
        Self { pieces: Vec::new(), length: 0 }
    }

    pub(super) const fn len(&self) -> u64 {
        self.length
    }

    pub(super) fn push(&mut self, bytes: Bytes) {
        let length = bytes.len() as u64;
        self.length += length;
        if bytes.iter().any(|byte| *byte != 0) {
            self.pieces.push(Piece::Bytes(bytes));
        } else if let Some(Piece::Zeros(zeros)) = self.pieces.last_mut() {
            *zeros += length;
        } else {
            self.pieces.push(Piece::Zeros(length));
        }
    }

    pub(super) fn append(&mut self, other: &Self) {
        self.pieces.extend_from_slice(&other.pieces);
        self.length += other.length;
    }

    /// A range of it, which has to lie inside.
    pub(super) fn slice(&self, range: Range<u64>) -> Self {
        let mut slice = Self { pieces: Vec::new(), length: range.end - range.start };
        let mut at = 0;
        for piece in &self.pieces {
            let (start, end) =
                (range.start.clamp(at, at + piece.len()), range.end.clamp(at, at + piece.len()));
            if start < end {
                slice.pieces.push(piece.slice(start - at..end - at));
            }
            at += piece.len();
        }
        slice
    }

    /// The bytes, piece by piece.
    pub(super) fn into_pieces(self) -> impl Iterator<Item = Bytes> + Send {
        self.pieces.into_iter().flat_map(Piece::into_bytes)
    }

    /// The bytes in one piece.
    pub(super) fn to_bytes(&self) -> Bytes {
        let mut all = BytesMut::new();
        self.clone().into_pieces().for_each(|piece| all.extend_from_slice(&piece));
        all.freeze()
    }
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        let mut content = Self::default();
        content.push(bytes);
        content
    }
}

impl Piece {
    const fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Zeros(length) => *length,
        }
    }

    fn slice(&self, range: Range<u64>) -> Self {
        let index = |at| usize::try_from(at).expect("inside of what is in memory");
        match self {
            Self::Bytes(bytes) => Self::Bytes(bytes.slice(index(range.start)..index(range.end))),
            Self::Zeros(_) => Self::Zeros(range.end - range.start),
        }
    }

    fn into_bytes(self) -> impl Iterator<Item = Bytes> + Send {
        let (mut bytes, mut zeros) = match self {
            Self::Bytes(bytes) => (Some(bytes), 0),
            Self::Zeros(length) => (None, length),
        };
        iter::from_fn(move || {
            let next = usize::try_from(zeros).unwrap_or(usize::MAX).min(ZEROS.len());
            zeros -= next as u64;
            bytes.take().or_else(|| (next > 0).then(|| Bytes::from_static(&ZEROS[..next])))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_range_is_what_a_slice_has() {
        let mut content = Content::default();
        for piece in [&b"abc"[..], b"\0\0", b"\0", b"", b"def"] {
            content.push(Bytes::copy_from_slice(piece));
        }
        let whole = b"abc\0\0\0def";
        for start in 0..=whole.len() {
            for end in start..=whole.len() {
                let slice = content.slice(start as u64..end as u64);
                assert_eq!(slice.to_bytes(), whole[start..end], "{start}..{end}");
                assert_eq!(slice.len(), (end - start) as u64);
            }
        }
    }

    #[test]
    fn zeros_take_no_room() {
        let mut content = Content::default();
        (0..1000).for_each(|_| content.push(Bytes::from_static(&ZEROS)));
        assert_eq!(content.pieces.len(), 1);
        assert_eq!(content.into_pieces().map(|piece| piece.len()).sum::<usize>(), 1000 << 16);
    }
}
