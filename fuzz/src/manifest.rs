//! Manifests: any bytes are refused, or kept as they are and understood in one way.

use bytes::Bytes;
use registry_store::digest::{Algorithm, AnyDigest, Digest};
use registry_store::manifest::{
    Content, Dependency, MAX_MANIFEST_SIZE, Manifest, stored_media_type,
};
use registry_store::media_type::MediaType;

/// The bytes are a manifest.
pub fn manifest(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let stored = stored_media_type(data);
    let Ok(manifest) = Manifest::parse(None, bytes.clone()) else {
        refused_under_every_type(&bytes);
        return;
    };
    assert!(data.len() <= MAX_MANIFEST_SIZE);
    assert_eq!(manifest.bytes(), &bytes, "the bytes are kept as they are");
    assert_eq!(manifest.digest(Algorithm::Sha256), Digest::sha256(data));
    assert_eq!(stored, Ok(manifest.media_type().clone()), "what was accepted is read back as such");
    is_of_one_type(&manifest, &bytes);
    has_sound_dependencies(&manifest);
}

const TYPES: [&str; 4] = [
    MediaType::OCI_MANIFEST,
    MediaType::OCI_INDEX,
    MediaType::DOCKER_MANIFEST,
    MediaType::DOCKER_LIST,
];

fn types() -> impl Iterator<Item = MediaType> {
    TYPES.into_iter().map(|text| text.parse().expect("a constant is a media type"))
}

/// What does not say its type may need the client to; what then parses is of the type that was said.
fn refused_under_every_type(bytes: &Bytes) {
    for media_type in types() {
        if let Ok(manifest) = Manifest::parse(Some(&media_type), bytes.clone()) {
            assert_eq!(*manifest.media_type(), media_type);
            has_sound_dependencies(&manifest);
        }
    }
}

/// A client that names its type gets the same; whether one that names another is refused is up to the document.
fn is_of_one_type(manifest: &Manifest, bytes: &Bytes) {
    let own = manifest.media_type();
    assert!(TYPES.contains(&own.as_str()), "{own}");
    let again = Manifest::parse(Some(own), bytes.clone()).expect("its own type fits it");
    assert_eq!(again.media_type(), own);
    assert_eq!(again.subject(), manifest.subject());
    assert_eq!(again.artifact_type(), manifest.artifact_type());
    assert!(again.dependencies().eq(manifest.dependencies()));
}

fn has_sound_dependencies(manifest: &Manifest) {
    for dependency in manifest.dependencies() {
        match (dependency, manifest.content()) {
            (Dependency::Blob(_), Content::Image(_)) => {}
            (Dependency::Blob(entry), Content::Index(_)) => {
                assert!(!entry.media_type.is_manifest());
            }
            (Dependency::Manifest(entry), Content::Index(_)) => {
                assert!(entry.media_type.is_manifest());
            }
            (dependency, Content::Image(_)) => unreachable!("an image needs blobs: {dependency:?}"),
        }
        let digest = &dependency.descriptor().digest;
        assert_eq!(digest.to_string().parse::<AnyDigest>().as_ref(), Ok(digest));
    }
}
