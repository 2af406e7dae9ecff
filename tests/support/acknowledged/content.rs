//! [`Content`]: the bytes of a blob, told by two numbers.

use std::sync::LazyLock;

use registry_store::digest::Digest;

use crate::image::noise;

/// The longest a content may be.
const LONGEST: usize = 8 << 20;

static NOISE: LazyLock<Vec<u8>> = LazyLock::new(|| noise(2 * LONGEST));

/// Bytes that nothing compresses, other ones for each seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Content {
    /// At least 8, at most 8 MiB.
    pub length: usize,
    /// What tells it from others.
    pub seed: u64,
}

impl Content {
    /// What it is, byte for byte.
    pub fn bytes(self) -> Vec<u8> {
        let from = (self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 41) as usize % LONGEST;
        let mut bytes = NOISE[from..from + self.length].to_vec();
        bytes[..8].copy_from_slice(&self.seed.to_le_bytes());
        bytes
    }

    /// Its name.
    pub fn digest(self) -> Digest {
        Digest::sha256(&self.bytes())
    }
}
