//! Scrub: is what is stored still what its digest says?
//!
//! [`Store::scrub`](crate::store::Store::scrub) reads and hashes every blob, and puts out of sight what does not match:
//! from then on it is not there, to everybody, so that clients push it again, which heals it. Nothing is deleted; an
//! operator finds it in the backend's quarantine. [`Store::scrub_links`](crate::store::Store::scrub_links) looks at the
//! links of every repository, and tells which are damaged; these are as good as not there already.
//!
//! Both run beside pushes and deletes, here and in other processes, and as often as one likes.

mod blobs;
mod links;
mod pace;

use std::num::NonZeroU64;

use crate::backend::{self, Key};
use crate::digest::Digest;

pub(crate) use blobs::blobs;
pub(crate) use links::links;

/// How many links a [`LinkReport`] names of each kind.
pub const NAMED: usize = 100;

/// How a scrub of blobs goes about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScrubOptions {
    /// Where one that was stopped had come to: blobs up to this digest, and it, are left out. It need not be there.
    pub after: Option<Digest>,
    /// How many bytes are read in a second at most. Default: as many as can be.
    pub bytes_per_second: Option<NonZeroU64>,
}

/// What a scrub found of one blob.
#[derive(Debug)]
pub struct ScrubbedBlob {
    /// The blob.
    pub digest: Digest,
    /// Its length in bytes as it was read; 0 if it could not be.
    pub size: u64,
    /// What it is like.
    pub finding: Finding,
}

/// What a blob was found to be.
#[derive(Debug)]
pub enum Finding {
    /// What its digest says.
    Good,
    /// Something else, twice. It is out of everybody's sight now. Where no lock reaches other processes, as on S3, one of
    /// them may have replaced it at that very moment.
    PutAside,
    /// Something else, and by the time it was to be put out of sight it was what its digest says, or gone, or another:
    /// it was pushed or deleted meanwhile. Or the medium does not read the same each time.
    Changed,
    /// Something else, twice; but it could not be put out of sight.
    Left(backend::Error),
    /// It could not be read. It stays where it is: a disk may fail to read what it can read later.
    Unreadable(backend::Error),
}

/// What a scrub found of the links of one repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkReport {
    /// Links that were read: of blobs, of manifests, and of tags to where they point.
    pub links: u64,
    /// Those of them that are empty, or hold no digest or that of something else. They stay, and a push of what they
    /// stand for puts them right.
    pub damaged: u64,
    /// Those that could not be read.
    pub unreadable: u64,
    /// The damaged ones that were met first, at most [`NAMED`].
    pub first_damaged: Vec<Key>,
    /// Those that could not be read and were met first, at most [`NAMED`]. Each is logged with the reason.
    pub first_unreadable: Vec<Key>,
}
