//! Manifests for tests.

use registry_store::digest::Digest;
use registry_store::manifest::Manifest;
use registry_store::media_type::MediaType;
use registry_store::repository::Repository;
use serde_json::{Value, json};

use crate::world::push;

/// A descriptor of content of this type.
pub fn descriptor(media_type: &str, digest: &Digest, size: usize) -> Value {
    json!({"mediaType": media_type, "digest": digest.to_string(), "size": size})
}

/// A descriptor of a manifest.
pub fn descriptor_of(manifest: &Manifest) -> Value {
    let digest = Digest::sha256(manifest.bytes());
    descriptor(manifest.media_type().as_str(), &digest, manifest.bytes().len())
}

/// An OCI image manifest with these contents as config and layers.
pub fn image_document(config: &[u8], layers: &[&[u8]]) -> Value {
    let blob = |media_type: &str, content: &[u8]| {
        descriptor(media_type, &Digest::sha256(content), content.len())
    };
    let layer = "application/vnd.oci.image.layer.v1.tar";
    json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": blob("application/vnd.oci.image.config.v1+json", config),
        "layers": layers.iter().map(|content| blob(layer, content)).collect::<Vec<_>>(),
    })
}

/// Parses a document that is known to be a good manifest.
pub fn manifest(document: &Value) -> Manifest {
    Manifest::parse(None, document.to_string().into()).expect("a test's documents are good")
}

/// An OCI image manifest with these contents as config and layers.
pub fn image(config: &[u8], layers: &[&[u8]]) -> Manifest {
    manifest(&image_document(config, layers))
}

/// An OCI index of these manifests.
pub fn index(manifests: &[&Manifest]) -> Manifest {
    manifest(&json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX,
        "manifests": manifests.iter().map(|manifest| descriptor_of(manifest)).collect::<Vec<_>>(),
    }))
}

/// Pushes an image with these contents under a tag, and returns the manifest's digest.
pub async fn push_image(
    repository: &Repository,
    config: &[u8],
    layers: &[&[u8]],
    tag: &str,
) -> Digest {
    for content in layers.iter().chain([&config]) {
        push(repository, content).await;
    }
    push_manifest(repository, &image(config, layers), &[tag]).await
}

/// Puts a manifest that is known to be good, and returns its digest.
pub async fn push_manifest(repository: &Repository, manifest: &Manifest, tags: &[&str]) -> Digest {
    let digest = Digest::sha256(manifest.bytes());
    let tags: Vec<_> =
        tags.iter().map(|tag| tag.parse().expect("a test's tags are of the grammar")).collect();
    repository.manifests().put(manifest, &digest, &tags).await.expect("a good manifest");
    digest
}
