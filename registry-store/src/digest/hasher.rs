//! [`Hasher`]: an incremental hash whose state can be saved and taken up by another process.

use std::fmt;

use sha2::digest::Digest as _;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Sha256, Sha512};
use thiserror::Error;

use crate::digest::{Algorithm, Digest};

/// Hashes content as it arrives.
///
/// The saved state is that of Go's `crypto/sha256` and `crypto/sha512` (`encoding.BinaryMarshaler`), which
/// CNCF Distribution keeps in `hashstates/`: magic, the chaining values as big-endian words, the pending
/// block padded with zeros, and the number of bytes hashed as a big-endian `u64`.
#[derive(Clone)]
pub struct Hasher {
    inner: Inner,
    hashed: u64,
}

#[derive(Clone)]
enum Inner {
    Sha256(Sha256),
    Sha512(Sha512),
}

/// Where things lie in a saved state, and in the state `sha2` serialises.
///
/// `sha2`: chaining words little-endian | block count, little-endian | pending block, its first byte the
/// number of bytes that follow it. Both forms hold the same facts, so either can be made from the other.
struct Shape {
    magic: &'static [u8; 4],
    word: usize,
    block: usize,
    /// Bytes of `sha2`'s block counter.
    counter: usize,
}

impl Shape {
    const fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self { magic: b"sha\x03", word: 4, block: 64, counter: 8 },
            Algorithm::Sha512 => Self { magic: b"sha\x07", word: 8, block: 128, counter: 16 },
        }
    }

    /// Bytes of the eight chaining words.
    const fn words(&self) -> usize {
        self.word * 8
    }

    /// Bytes of a saved state: 108 for SHA-256, 204 for SHA-512.
    const fn saved(&self) -> usize {
        self.magic.len() + self.words() + self.block + 8
    }
}

/// Why bytes are not a saved state.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "expected a saved {algorithm} state of {expected} bytes, found {found} bytes that are none"
)]
pub struct HasherStateError {
    /// The algorithm the state should be of.
    pub algorithm: Algorithm,
    /// How long its saved state is.
    pub expected: usize,
    /// How many bytes were given.
    pub found: usize,
}

impl Hasher {
    /// A hasher that has seen nothing yet.
    pub fn new(algorithm: Algorithm) -> Self {
        let inner = match algorithm {
            Algorithm::Sha256 => Inner::Sha256(Sha256::new()),
            Algorithm::Sha512 => Inner::Sha512(Sha512::new()),
        };
        Self { inner, hashed: 0 }
    }

    /// What it hashes with.
    pub const fn algorithm(&self) -> Algorithm {
        match self.inner {
            Inner::Sha256(_) => Algorithm::Sha256,
            Inner::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// How many bytes it has seen.
    pub const fn hashed(&self) -> u64 {
        self.hashed
    }

    /// Hashes the next bytes of the content.
    pub fn update(&mut self, content: &[u8]) {
        match &mut self.inner {
            Inner::Sha256(hash) => hash.update(content),
            Inner::Sha512(hash) => hash.update(content),
        }
        self.hashed += content.len() as u64;
    }

    /// The digest of all that was seen.
    pub fn finish(self) -> Digest {
        match self.inner {
            Inner::Sha256(hash) => Digest::from_hash(Algorithm::Sha256, &hash.finalize()),
            Inner::Sha512(hash) => Digest::from_hash(Algorithm::Sha512, &hash.finalize()),
        }
    }

    /// The state as Go writes it: 108 bytes for SHA-256, 204 for SHA-512.
    pub fn save(&self) -> Vec<u8> {
        match &self.inner {
            Inner::Sha256(hash) => self.to_go(hash.serialize().as_ref()),
            Inner::Sha512(hash) => self.to_go(hash.serialize().as_ref()),
        }
    }

    /// The hasher a saved state stands for.
    ///
    /// The check is of form alone: magic, length, and zeros where the pending block ends. No check can tell
    /// whether the chaining words are those of any particular content.
    pub fn restore(algorithm: Algorithm, saved: &[u8]) -> Result<Self, HasherStateError> {
        let shape = Shape::of(algorithm);
        let error = || HasherStateError { algorithm, expected: shape.saved(), found: saved.len() };
        let (state, hashed) = from_go(&shape, saved).ok_or_else(error)?;
        let inner = match algorithm {
            Algorithm::Sha256 => deserialize(&state).map(Inner::Sha256),
            Algorithm::Sha512 => deserialize(&state).map(Inner::Sha512),
        };
        Ok(Self { inner: inner.ok_or_else(error)?, hashed })
    }

    fn to_go(&self, state: &[u8]) -> Vec<u8> {
        let shape = Shape::of(self.algorithm());
        let mut saved = Vec::with_capacity(shape.saved());
        saved.extend_from_slice(shape.magic);
        for word in state[..shape.words()].chunks(shape.word) {
            saved.extend(word.iter().rev());
        }
        let buffer = &state[shape.words() + shape.counter..];
        let pending = usize::from(buffer[0]);
        saved.extend_from_slice(&buffer[1..1 + pending]);
        saved.resize(shape.saved() - 8, 0);
        saved.extend_from_slice(&self.hashed.to_be_bytes());
        saved
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hasher({} after {} bytes)", self.algorithm(), self.hashed)
    }
}

/// `sha2`'s state and the number of bytes hashed, or `None` if `saved` is not of Go's form.
fn from_go(shape: &Shape, saved: &[u8]) -> Option<(Vec<u8>, u64)> {
    let body = saved.strip_prefix(shape.magic)?;
    if saved.len() != shape.saved() {
        return None;
    }
    let (words, rest) = body.split_at(shape.words());
    let (block, count) = rest.split_at(shape.block);
    let hashed = u64::from_be_bytes(count.try_into().ok()?);
    let pending = (hashed % shape.block as u64) as usize;
    if block[pending..].iter().any(|&byte| byte != 0) {
        return None;
    }

    let mut state = Vec::with_capacity(shape.words() + shape.counter + shape.block);
    for word in words.chunks(shape.word) {
        state.extend(word.iter().rev());
    }
    state.extend_from_slice(&(hashed / shape.block as u64).to_le_bytes());
    state.resize(shape.words() + shape.counter, 0);
    state.push(pending as u8);
    state.extend_from_slice(&block[..pending]);
    state.resize(shape.words() + shape.counter + shape.block, 0);
    Some((state, hashed))
}

fn deserialize<H: SerializableState>(bytes: &[u8]) -> Option<H> {
    let mut state = SerializedState::<H>::default();
    if state.len() != bytes.len() {
        return None;
    }
    state.copy_from_slice(bytes);
    H::deserialize(&state).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_saved_hasher_goes_on_as_if_never_saved(
            before in prop::collection::vec(any::<u8>(), 0..700),
            after in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            for algorithm in Algorithm::ALL {
                let mut hasher = Hasher::new(algorithm);
                hasher.update(&before);
                let mut restored = Hasher::restore(algorithm, &hasher.save()).unwrap();
                prop_assert_eq!(restored.hashed(), before.len() as u64);
                prop_assert_eq!(restored.save(), hasher.save());
                restored.update(&after);
                let whole = [before.as_slice(), after.as_slice()].concat();
                prop_assert_eq!(restored.finish(), Digest::of(algorithm, &whole));
            }
        }

        #[test]
        fn arbitrary_bytes_never_restore_to_something_that_saves_differently(
            bytes in prop::collection::vec(any::<u8>(), 0..210), magic: bool,
        ) {
            for algorithm in Algorithm::ALL {
                let shape = Shape::of(algorithm);
                let mut bytes = bytes.clone();
                if magic {
                    bytes.resize(shape.saved(), 0);
                    bytes[..4].copy_from_slice(shape.magic);
                }
                if let Ok(hasher) = Hasher::restore(algorithm, &bytes) {
                    prop_assert_eq!(hasher.save(), bytes);
                }
            }
        }
    }

    #[test]
    fn the_state_of_nothing_is_the_one_go_writes() {
        let words = "6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19";
        let expected = format!("73686103{words}{}", "00".repeat(72));
        assert_eq!(hex::encode(Hasher::new(Algorithm::Sha256).save()), expected);
    }

    #[test]
    fn the_states_of_a_few_bytes_are_the_ones_go_writes() {
        // Golden: a new major version of sha2 must not change what lies in somebody's directory.
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(b"ab");
        let saved = hasher.save();
        assert_eq!(saved.len(), 108);
        assert_eq!(&saved[36..38], b"ab");
        assert_eq!(&saved[100..], &2u64.to_be_bytes());

        let mut hasher = Hasher::new(Algorithm::Sha512);
        hasher.update(&[7; 130]);
        let saved = hasher.save();
        assert_eq!(saved.len(), 204);
        assert_eq!(&saved[..4], b"sha\x07");
        assert_eq!(&saved[68..71], &[7, 7, 0]);
        assert_eq!(&saved[196..], &130u64.to_be_bytes());
    }

    #[test]
    fn a_state_with_litter_behind_its_pending_bytes_is_refused() {
        let mut saved = Hasher::new(Algorithm::Sha256).save();
        saved[40] = 1;
        assert!(Hasher::restore(Algorithm::Sha256, &saved).is_err());
    }

    #[test]
    fn a_state_of_another_algorithm_is_refused() {
        let saved = Hasher::new(Algorithm::Sha512).save();
        assert!(Hasher::restore(Algorithm::Sha256, &saved).is_err());
    }
}
