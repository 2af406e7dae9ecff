//! [`Marks`]: which digests are marked, of as many of all there may be as fit.

use std::ops::RangeInclusive;

use crate::digest::Digest;

/// The least number that is worked with, whatever was asked for.
const LEAST: usize = 4;

/// The marks of a range of digests, 16 bytes each, never more than were allowed.
///
/// A digest is known by the first 16 bytes of its hash. Two that have them in common are marked together: so one could
/// be kept for the other's sake, and none is taken.
///
/// Where more are marked than may be held, the upper half of the range is let go of: what is in it is the next round's.
#[derive(Debug)]
pub(crate) struct Marks {
    /// The digests that this round is about.
    range: RangeInclusive<u128>,
    marks: Vec<u128>,
    /// They stand in order, each once.
    is_sorted: bool,
    limit: usize,
}

impl Marks {
    /// No marks yet, of all digests that there may be; never more than `limit` are held.
    pub(crate) fn new(limit: usize) -> Self {
        Self::of(0..=u128::MAX, limit.max(LEAST))
    }

    fn of(range: RangeInclusive<u128>, limit: usize) -> Self {
        Self { range, marks: Vec::new(), is_sorted: true, limit }
    }

    /// Marks a digest, if this round is about it.
    pub(crate) fn add(&mut self, digest: &Digest) {
        if !self.are_about(digest) {
            return;
        }
        if self.marks.len() == self.marks.capacity() {
            self.make_room();
        }
        // The half it is in may have been let go of.
        if self.are_about(digest) {
            self.marks.push(short(digest));
            self.is_sorted = false;
        }
    }

    /// Is this round about the digest?
    pub(crate) fn are_about(&self, digest: &Digest) -> bool {
        self.range.contains(&short(digest))
    }

    /// Puts them in order, so that they can be asked.
    pub(crate) fn settle(&mut self) {
        if !self.is_sorted {
            self.marks.sort_unstable();
            self.marks.dedup();
            self.is_sorted = true;
        }
    }

    /// Is the digest one that this round is about, and not marked? Only of those that are settled.
    pub(crate) fn are_without(&self, digest: &Digest) -> bool {
        debug_assert!(self.is_sorted, "marks are settled before they are asked");
        self.are_about(digest) && self.marks.binary_search(&short(digest)).is_err()
    }

    /// How the hashes begin that this round is about.
    pub(crate) fn first_bytes(&self) -> RangeInclusive<u8> {
        self.range.start().to_be_bytes()[0]..=self.range.end().to_be_bytes()[0]
    }

    /// How many there are. Only of those that are settled.
    pub(crate) fn len(&self) -> u64 {
        self.marks.len() as u64
    }

    /// None yet, of the digests behind those that this round was about; `None` if there are no more.
    pub(crate) fn of_the_rest(self) -> Option<Self> {
        let next = self.range.end().checked_add(1)?;
        Some(Self::of(next..=u128::MAX, self.limit))
    }

    fn make_room(&mut self) {
        self.settle();
        let (held, room) = (self.marks.len(), self.marks.capacity());
        if held < room / 4 * 3 {
            return;
        }
        if room < self.limit {
            let wanted = (room * 2).clamp(LEAST, self.limit);
            self.marks.reserve_exact(wanted - held);
        } else {
            // They differ, so none is the least there may be but the first.
            let middle = held / 2;
            self.range = *self.range.start()..=self.marks[middle] - 1;
            self.marks.truncate(middle);
        }
    }
}

fn short(digest: &Digest) -> u128 {
    let mut first = [0; 16];
    first.copy_from_slice(&digest.as_bytes()[..16]);
    u128::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::digest::Algorithm;

    fn digest(number: u16) -> Digest {
        let algorithm =
            if number.is_multiple_of(3) { Algorithm::Sha512 } else { Algorithm::Sha256 };
        Digest::of(algorithm, &number.to_be_bytes())
    }

    /// Marks in as many rounds as it takes. Returns which of all digests are without a mark, and how many rounds.
    fn unmarked(marked: &[u16], all: u16, limit: usize) -> (BTreeSet<u16>, usize) {
        let (mut marks, mut found, mut rounds) = (Marks::new(limit), BTreeSet::new(), 0);
        loop {
            rounds += 1;
            for &number in marked {
                marks.add(&digest(number));
                assert!(marks.marks.capacity() <= limit.max(LEAST), "no more is held than may be");
            }
            marks.settle();
            let without = (0..all).filter(|&number| marks.are_without(&digest(number)));
            for number in without {
                assert!(found.insert(number), "each is one round's");
            }
            match marks.of_the_rest() {
                Some(rest) => marks = rest,
                None => return (found, rounds),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_not_marked_is_found_whatever_may_be_held(
            marked in prop::collection::vec(0u16..300, 0..400),
            limit in 0usize..64,
        ) {
            let expected: BTreeSet<u16> = (0..300).filter(|number| !marked.contains(number)).collect();
            let (found, rounds) = unmarked(&marked, 300, limit);
            prop_assert_eq!(found, expected);
            let differ = marked.iter().collect::<BTreeSet<_>>().len();
            prop_assert!(rounds <= 2 + 4 * differ / limit.max(LEAST));
        }
    }

    #[test]
    fn one_round_is_enough_for_those_that_fit_however_often_they_are_marked() {
        let marked: Vec<u16> = (0..70).cycle().take(10_000).collect();
        assert_eq!(unmarked(&marked, 100, 100), ((70..100).collect(), 1));
    }
}
