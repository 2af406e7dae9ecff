//! The checksums of S3, and [`Hasher`] for each.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// A checksum that a request may bring. S3 has others too (SHA1, and more); this one says 501 to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64nvme,
    Sha256,
}

/// The checksum of something, in base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checksum {
    pub(super) algorithm: Algorithm,
    pub(super) value: String,
    pub(super) kind: Kind,
}

/// What a checksum is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Of the bytes.
    FullObject,
    /// Of the checksums of the parts.
    Composite,
}

impl Algorithm {
    pub(super) const ALL: [Self; 4] = [Self::Crc32, Self::Crc32c, Self::Crc64nvme, Self::Sha256];

    /// As `x-amz-checksum-algorithm` and documents have it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64nvme => "CRC64NVME",
            Self::Sha256 => "SHA256",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// The header, or trailer, that carries one.
    pub(super) const fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64nvme => "x-amz-checksum-crc64nvme",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// The element that carries one.
    pub(super) const fn element(self) -> &'static str {
        match self {
            Self::Crc32 => "ChecksumCRC32",
            Self::Crc32c => "ChecksumCRC32C",
            Self::Crc64nvme => "ChecksumCRC64NVME",
            Self::Sha256 => "ChecksumSHA256",
        }
    }

    pub(super) const fn length(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64nvme => 8,
            Self::Sha256 => 32,
        }
    }
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::FullObject => "FULL_OBJECT",
            Self::Composite => "COMPOSITE",
        }
    }
}

/// Computes a checksum while bytes go by.
#[derive(Clone, Debug)]
pub(super) enum Hasher {
    Crc { algorithm: Algorithm, table: &'static [u64; 256], state: u64, ones: u64 },
    Sha256(Sha256),
}

impl Hasher {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        let crc = |table, ones| Self::Crc { algorithm, table, state: ones, ones };
        match algorithm {
            Algorithm::Crc32 => crc(&CRC32, u64::from(u32::MAX)),
            Algorithm::Crc32c => crc(&CRC32C, u64::from(u32::MAX)),
            Algorithm::Crc64nvme => crc(&CRC64NVME, u64::MAX),
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc { table, state, .. } => {
                *state = bytes.iter().fold(*state, |state, byte| {
                    let [low, ..] = state.to_le_bytes();
                    table[usize::from(low ^ byte)] ^ (state >> 8)
                });
            }
            Self::Sha256(hash) => hash.update(bytes),
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        match self {
            Self::Crc { algorithm, state, ones, .. } => {
                (state ^ ones).to_be_bytes()[8 - algorithm.length()..].to_vec()
            }
            Self::Sha256(hash) => hash.finalize().to_vec(),
        }
    }
}

/// The checksum of bytes that are all there, in base64.
pub(super) fn of<'b>(algorithm: Algorithm, pieces: impl IntoIterator<Item = &'b [u8]>) -> String {
    let mut hasher = Hasher::new(algorithm);
    pieces.into_iter().for_each(|piece| hasher.update(piece));
    STANDARD.encode(hasher.finish())
}

static CRC32: [u64; 256] = table(0xedb8_8320);
static CRC32C: [u64; 256] = table(0x82f6_3b78);
static CRC64NVME: [u64; 256] = table(0x9a6c_9329_ac4b_c9b5);

/// The table of a polynomial whose bits are reflected.
const fn table(polynomial: u64) -> [u64; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u64;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ polynomial } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_what_its_catalogue_says() {
        let expected = ["cbf43926", "e3069283", "ae8b14860a799888"];
        for (algorithm, expected) in Algorithm::ALL.into_iter().zip(expected) {
            let mut hasher = Hasher::new(algorithm);
            hasher.update(b"12345");
            hasher.update(b"6789");
            assert_eq!(hex::encode(hasher.finish()), expected, "{algorithm:?}");
        }
        let empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        assert_eq!(of(Algorithm::Sha256, []), empty);
    }

    #[test]
    fn lengths_are_those_of_what_is_computed() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Hasher::new(algorithm).finish().len(), algorithm.length());
        }
    }
}
