//! [`Call`]: what a client asks for, of few repositories, tags, manifests and blobs, so that clients meet.

use std::sync::LazyLock;

use registry_store::digest::{Algorithm, Digest};
use registry_store::manifest::Manifest;
use registry_tests::documents::image;

pub(crate) const REPOSITORIES: usize = 2;
pub(crate) const TAGS: usize = 2;
pub(crate) const MANIFESTS: usize = 3;
pub(crate) const BLOBS: usize = 2;

/// Something a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Put { repository: usize, manifest: usize, tag: Option<usize>, asks: Asks },
    DeleteTag { repository: usize, tag: usize, asks: Asks },
    DeleteManifest { repository: usize, manifest: usize },
    ReadTag { repository: usize, tag: usize },
    ReadManifest { repository: usize, manifest: usize },
    ListTags { repository: usize },
    PutBlob { repository: usize, blob: usize },
    Mount { repository: usize, from: usize, blob: usize },
    DeleteBlob { repository: usize, blob: usize },
    ReadBlob { repository: usize, blob: usize },
}

/// What a tag must be for a call to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    Nothing,
    Absent,
    /// On this manifest.
    Is(usize),
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Absent,
    /// It is there; of a manifest, which.
    Found(usize),
    Tags(Vec<usize>),
    /// Something is not as the call asks.
    Refused,
    /// No answer came, or one that leaves open what was done.
    Unknown,
}

impl Outcome {
    pub(crate) const fn found(&self) -> Option<usize> {
        match self {
            Self::Found(found) => Some(*found),
            _ => None,
        }
    }

    pub(crate) fn listed(&self) -> &[usize] {
        match self {
            Self::Tags(tags) => tags,
            _ => &[],
        }
    }
}

/// Chance that is the same in every run with one seed (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let bound = u64::try_from(bound).expect("a number of this machine");
        usize::try_from(mixed % bound).expect("it is less than the bound")
    }

    /// Something to ask for. Of manifests and tags more often than of blobs.
    pub(crate) fn call(&mut self) -> Call {
        let repository = self.below(REPOSITORIES);
        let (tag, manifest) = (self.below(TAGS), self.below(MANIFESTS));
        let (blob, from) = (self.below(BLOBS), (repository + 1) % REPOSITORIES);
        let unconditional = Asks::Nothing;
        match self.below(20) {
            0..=2 => Call::Put { repository, manifest, tag: Some(tag), asks: unconditional },
            3 => Call::Put { repository, manifest, tag: Some(tag), asks: Asks::Absent },
            4 => {
                let asks = Asks::Is(self.below(MANIFESTS));
                Call::Put { repository, manifest, tag: Some(tag), asks }
            }
            5 => Call::Put { repository, manifest, tag: None, asks: unconditional },
            6 => Call::DeleteTag { repository, tag, asks: unconditional },
            7 => Call::DeleteTag { repository, tag, asks: Asks::Is(manifest) },
            8 | 9 => Call::DeleteManifest { repository, manifest },
            10..=12 => Call::ReadTag { repository, tag },
            13 => Call::ReadManifest { repository, manifest },
            14 | 15 => Call::ListTags { repository },
            16 => Call::PutBlob { repository, blob },
            17 => Call::Mount { repository, from, blob },
            18 => Call::DeleteBlob { repository, blob },
            _ => Call::ReadBlob { repository, blob },
        }
    }
}

pub(crate) fn repository_name(repository: usize) -> String {
    format!("r{repository}")
}

pub(crate) fn tag_name(tag: usize) -> String {
    format!("t{tag}")
}

/// Which tag has this name.
pub(crate) fn tag_of(name: &str) -> usize {
    (0..TAGS).find(|tag| tag_name(*tag) == name).expect("nobody makes other tags")
}

/// The content of a blob that no manifest names.
pub(crate) fn blob(blob: usize) -> Vec<u8> {
    format!("blob {blob}").repeat(200).into_bytes()
}

/// The content of the blob that a manifest names beside its config, which is `{}`. Nobody deletes them.
pub(crate) fn layer(manifest: usize) -> Vec<u8> {
    format!("layer {manifest}").into_bytes()
}

static IMAGES: LazyLock<Vec<(Manifest, Digest)>> = LazyLock::new(|| {
    let image = |at| image(b"{}", &[&layer(at)]);
    let named = |manifest: Manifest| (manifest.clone(), manifest.digest(Algorithm::Sha256));
    (0..MANIFESTS).map(image).map(named).collect()
});

pub(crate) fn manifest(manifest: usize) -> &'static (Manifest, Digest) {
    &IMAGES[manifest]
}

/// Which manifest these bytes are; they must be those of one.
pub(crate) fn manifest_of(bytes: &[u8]) -> usize {
    let digest = Digest::sha256(bytes);
    let found = IMAGES.iter().position(|(_, known)| *known == digest);
    found.unwrap_or_else(|| panic!("{digest} is the digest of none of what was pushed"))
}
