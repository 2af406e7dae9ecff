//! [`Content`]: bytes of any size that take no memory and are nobody else's.

use std::sync::LazyLock;

use bytes::Bytes;
use registry_store::digest::{Algorithm, Digest, Hasher};

/// The bytes of one part: what a server gets from a socket at once.
const PART: usize = 64 * 1024;

/// Noise that every content is cut from.
static NOISE: LazyLock<Bytes> = LazyLock::new(|| {
    let mut state = 1_u64;
    let words = (0..PART as u64 / 8).flat_map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state ^ (state >> 29)).to_le_bytes()
    });
    words.collect::<Vec<u8>>().into()
});

/// So many bytes, told apart from others by a number.
#[derive(Clone, Copy, Debug)]
pub struct Content {
    /// No two contents of one number and size are pushed to one store.
    pub number: u64,
    /// In bytes.
    pub size: u64,
}

impl Content {
    /// The bytes, in parts of at most 64 KiB. Only the first is copied.
    pub fn parts(self) -> impl Iterator<Item = Bytes> + Send + 'static {
        let parts = self.size.div_ceil(PART as u64);
        (0..parts).map(move |part| {
            let rest = self.size - part * PART as u64;
            let length = rest.min(PART as u64) as usize;
            if part > 0 {
                return NOISE.slice(..length);
            }
            let mut first = NOISE[..length].to_vec();
            let marked = length.min(8);
            first[..marked].copy_from_slice(&self.number.to_le_bytes()[..marked]);
            first.into()
        })
    }

    /// Its SHA-256 digest.
    pub fn digest(self) -> Digest {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        self.parts().for_each(|part| hasher.update(&part));
        hasher.finish()
    }
}
