//! [`ReadRange`]: which bytes of an object are asked for.

use std::ops::Range;

/// Which bytes of an object are asked for, before its size is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadRange {
    /// All of it.
    #[default]
    Full,
    /// From an offset to the end.
    From(u64),
    /// From an offset, at most so many bytes.
    Bounded {
        /// The offset of the first byte.
        start: u64,
        /// The offset behind the last byte.
        end: u64,
    },
    /// The last so many bytes.
    Suffix(u64),
}

impl ReadRange {
    /// The bytes that exist of those asked for, in an object of `size` bytes.
    ///
    /// `None` if a part was asked for and not one byte of it exists (RFC 9110 §14.1.1: unsatisfiable). The
    /// whole of an empty object is the empty range.
    pub const fn within(self, size: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::Full => return Some(0..size),
            Self::From(start) => start..size,
            Self::Bounded { start, end } => start..if end < size { end } else { size },
            Self::Suffix(length) => size.saturating_sub(length)..size,
        };
        if range.start < range.end { Some(range) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_range_never_leaves_the_object(size in 0u64..50, a in 0u64..60, b in 0u64..60) {
            let ranges =
                [ReadRange::Full, ReadRange::From(a), ReadRange::Bounded { start: a, end: b }, ReadRange::Suffix(a)];
            for range in ranges {
                if let Some(found) = range.within(size) {
                    prop_assert!(found.start <= found.end && found.end <= size);
                    prop_assert!(range == ReadRange::Full || found.start < found.end);
                }
            }
        }
    }

    #[test]
    fn ends_beyond_the_object_are_clipped_and_starts_beyond_it_are_not_satisfiable() {
        assert_eq!(ReadRange::Bounded { start: 2, end: 99 }.within(10), Some(2..10));
        assert_eq!(ReadRange::From(10).within(10), None);
        assert_eq!(ReadRange::Suffix(99).within(10), Some(0..10));
        assert_eq!(ReadRange::Suffix(0).within(10), None);
        assert_eq!(ReadRange::Full.within(0), Some(0..0));
        assert_eq!(ReadRange::From(0).within(0), None);
    }
}
