//! [`Input`]: the bytes of a fuzzer, taken as choices.

use bytes::Bytes;

/// Bytes that are taken from the front. When they have ended, every choice is the first.
#[derive(Debug)]
pub struct Input<'d> {
    rest: &'d [u8],
}

impl<'d> Input<'d> {
    /// All of `data` is still to be taken.
    pub const fn new(data: &'d [u8]) -> Self {
        Self { rest: data }
    }

    /// Nothing is left.
    pub const fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        first
    }

    /// A number smaller than `limit`, which is between 1 and 256.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit
    }

    /// Yes or no.
    pub fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    /// One of these, of which there is at least one and at most 256.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// At most `longest` bytes, which is at most 255, as they are.
    pub fn bytes(&mut self, longest: usize) -> &'d [u8] {
        let length = self.below(longest + 1).min(self.rest.len());
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    /// The same, as text: bytes that are none become characters.
    pub fn text(&mut self, longest: usize) -> String {
        String::from_utf8_lossy(self.bytes(longest)).into_owned()
    }

    /// `whole` in up to four parts.
    pub fn parts(&mut self, whole: &Bytes) -> Vec<Bytes> {
        let mut rest = whole.clone();
        let mut parts = Vec::new();
        for _ in 0..self.below(4) {
            let at = usize::from(self.byte()).min(rest.len());
            parts.push(rest.split_to(at));
        }
        parts.push(rest);
        parts
    }
}
