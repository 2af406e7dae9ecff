//! The blobs and manifests of which there may be any, by the names the model has for them.

use std::sync::LazyLock;

use registry_store::digest::{Algorithm, Digest};
use registry_store::manifest::Manifest;
use registry_tests::documents::{self, descriptor_of, image, image_document};

/// What a content, a repository or a tag is called here.
pub(crate) type Name = &'static str;

/// A part of a blob, at least; what is longer is uploaded in parts.
pub(crate) const PART: usize = 5 << 20;

/// The repositories.
pub(crate) const REPOSITORIES: [Name; 2] = ["a", "b"];
/// The tags.
pub(crate) const TAGS: [Name; 3] = ["latest", "v1", "v2"];

/// A blob that may be there.
pub(crate) struct Blob {
    pub(crate) name: Name,
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: Digest,
}

/// A manifest that may be there.
pub(crate) struct KnownManifest {
    pub(crate) name: Name,
    pub(crate) manifest: Manifest,
    pub(crate) digest: Digest,
}

/// Every blob.
pub(crate) static BLOBS: LazyLock<Vec<Blob>> = LazyLock::new(|| {
    let large: Vec<u8> = (0..PART as u32 / 4 + 50_000)
        .flat_map(|word| word.wrapping_mul(0x9e37_79b9).to_le_bytes())
        .collect();
    let contents: [(Name, Vec<u8>); 5] = [
        ("config", b"{}".to_vec()),
        ("base", b"what another image has".to_vec()),
        ("layer", b"a layer".to_vec()),
        ("sent in parts", b"hello, wonderful world".to_vec()),
        ("large", large),
    ];
    contents
        .into_iter()
        .map(|(name, bytes)| Blob { name, digest: Digest::sha256(&bytes), bytes })
        .collect()
});

/// Every manifest.
pub(crate) static MANIFESTS: LazyLock<Vec<KnownManifest>> = LazyLock::new(|| {
    let (config, base) = (&blob("config").bytes[..], &blob("base").bytes[..]);
    let first = image(config, &[]);
    let mut signature = image_document(config, &[]);
    signature["subject"] = descriptor_of(&first);
    let manifests: [(Name, Manifest); 4] = [
        ("index", documents::index(&[&first])),
        ("first", first),
        ("second", image(config, &[base])),
        ("signature", documents::manifest(&signature)),
    ];
    manifests
        .into_iter()
        .map(|(name, manifest)| {
            let digest = manifest.digest(Algorithm::Sha256);
            KnownManifest { name, manifest, digest }
        })
        .collect()
});

/// The blob of a name.
pub(crate) fn blob(name: Name) -> &'static Blob {
    BLOBS.iter().find(|blob| blob.name == name).expect("there is one of each name")
}

/// The manifest of a name.
pub(crate) fn manifest(name: Name) -> &'static KnownManifest {
    MANIFESTS.iter().find(|manifest| manifest.name == name).expect("there is one of each name")
}
