//! [`Inputs`]: bytes made from a corpus, the same in every run.

/// Endless inputs: noise, and entries of a corpus cut, joined and changed in a few places.
#[derive(Debug)]
pub(crate) struct Inputs {
    corpus: Vec<Vec<u8>>,
    state: u64,
}

/// What grammars turn on: signs, ends of ranges, and what looks like something else.
const WORDS: [&[u8]; 24] = [
    b"/",
    b"//",
    b":",
    b".",
    b"..",
    b"_",
    b"__",
    b"-",
    b"--",
    b"@",
    b"%2F",
    b"%00",
    b"%",
    b"?",
    b"&n=",
    b"+",
    b"0",
    b"A",
    b"\n",
    b" ",
    b"\0",
    b"\xff",
    b"sha256:",
    "\u{e9}".as_bytes(),
];

impl From<Vec<Vec<u8>>> for Inputs {
    /// There is at least one entry.
    fn from(corpus: Vec<Vec<u8>>) -> Self {
        assert!(!corpus.is_empty(), "inputs are made from something");
        Self { corpus, state: 0x9e37_79b9_7f4a_7c15 }
    }
}

impl Iterator for Inputs {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.below(8) == 0 {
            let length = self.below(300);
            return Some((0..length).map(|_| self.byte()).collect());
        }
        let mut input = self.entry();
        for _ in 0..=self.below(4) {
            self.change(&mut input);
        }
        Some(input)
    }
}

impl Inputs {
    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let end = (at + self.below(9)).min(input.len());
        match self.below(6) {
            0 => drop(input.drain(at..end)),
            1 => {
                let word = WORDS[self.below(WORDS.len())];
                input.splice(at..end, word.iter().copied());
            }
            2 => {
                let word = WORDS[self.below(WORDS.len())];
                input.splice(at..at, word.iter().copied());
            }
            3 => {
                let repeated = input[at..end].repeat(self.below(40));
                input.splice(at..at, repeated);
            }
            4 => {
                let other = self.entry();
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => {
                let byte = self.byte();
                if let Some(changed) = input.get_mut(at) {
                    *changed = byte;
                }
            }
        }
    }

    fn entry(&mut self) -> Vec<u8> {
        let index = self.below(self.corpus.len());
        self.corpus[index].clone()
    }

    fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }

    /// A number smaller than `limit`, which is not nought.
    fn below(&mut self, limit: usize) -> usize {
        // splitmix64: every seed gives a sequence of full length.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_the_same_in_every_run_and_differ_among_themselves() {
        let inputs = || Inputs::from(vec![b"a/b:c".to_vec()]).take(200).collect::<Vec<_>>();
        assert_eq!(inputs(), inputs());
        let mut distinct = inputs();
        distinct.sort();
        distinct.dedup();
        assert!(distinct.len() > 150, "{}", distinct.len());
    }
}
