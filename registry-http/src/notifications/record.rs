//! [`Record`]: an event in a queue, and the line of a file that holds it.

use std::sync::Arc;

/// An event that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Its place in the queue: greater than that of every one before it, from 1.
    pub(super) number: u64,
    /// The JSON of its [`Note`](super::note::Note), in one line.
    pub(super) text: Arc<str>,
}

impl Record {
    /// What the rest hashes to by CRC-32, in hex; the number; the text; a newline.
    pub(super) fn line(&self) -> String {
        let rest = format!("{} {}", self.number, self.text);
        format!("{:08x} {rest}\n", crc32fast::hash(rest.as_bytes()))
    }

    /// Reads a line, without the newline at its end. `None` if it is not as it was written.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        let rest = checked(line)?;
        let (number, text) = rest.split_once(' ')?;
        Some(Self { number: number.parse().ok()?, text: text.into() })
    }
}

/// How far a queue has got, as a line of the same form.
pub(super) fn position_line(position: u64) -> String {
    let rest = format!("{position:020}");
    format!("{:08x} {rest}\n", crc32fast::hash(rest.as_bytes()))
}

/// Reads such a line. `None` if it is not as it was written.
pub(super) fn read_position(line: &[u8]) -> Option<u64> {
    checked(line.strip_suffix(b"\n")?)?.parse().ok()
}

/// What follows a sum that is right.
fn checked(line: &[u8]) -> Option<&str> {
    let (sum, rest) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    let is_right =
        sum.len() == 8 && u32::from_str_radix(sum, 16).ok()? == crc32fast::hash(rest.as_bytes());
    is_right.then_some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_record_is_read_as_it_was_written(number: u64, text in "[^\n]{0,200}") {
            let record = Record { number, text: text.into() };
            let line = record.line();
            prop_assert_eq!(line.matches('\n').count(), 1);
            prop_assert_eq!(Record::read(line.trim_end_matches('\n').as_bytes()), Some(record));
        }

        #[test]
        fn a_record_with_a_byte_changed_or_an_end_torn_off_is_none(
            text in "[a-z\"{}:]{1,60}", at: prop::sample::Index, flip in 1..=255_u8,
        ) {
            let line = Record { number: 7, text: text.into() }.line();
            let line = line.trim_end().as_bytes();
            let mut changed = line.to_vec();
            let at = at.index(changed.len());
            changed[at] ^= flip;
            // The case of a digit of the sum says nothing.
            if !changed.eq_ignore_ascii_case(line) || at > 8 {
                prop_assert_eq!(Record::read(&changed), None);
            }
            prop_assert_eq!(Record::read(&line[..at]), None);
        }

        #[test]
        fn a_position_is_read_as_it_was_written(position: u64) {
            prop_assert_eq!(read_position(position_line(position).as_bytes()), Some(position));
        }
    }

    #[test]
    fn what_is_no_record_is_none() {
        for line in
            ["", " ", "x", "00000000 ", "00000000 1 {}", "zzzzzzzz 1 {}", "\0\0\0\0\0\0\0\0\0"]
        {
            assert_eq!(Record::read(line.as_bytes()), None, "{line:?}");
        }
        assert_eq!(read_position(b""), None);
        assert_eq!(read_position(b"00000000 00000000000000000001\n"), None);
    }
}
