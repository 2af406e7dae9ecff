//! Blobs and manifests that fit together.

use std::sync::LazyLock;

use bytes::Bytes;
use registry_store::digest::{Algorithm, Digest};
use registry_store::manifest::{Dependency, Manifest};
use registry_store::media_type::MediaType;

/// The content of blobs.
pub const CONTENTS: [&[u8]; 4] = [b"{}", b"", b"hello, world", &[b'x'; 3000]];

/// Images, indexes of them, and what refers to one: each can be put when those before it are there.
pub fn manifests() -> &'static [Manifest] {
    &MANIFESTS
}

/// All that has to be in a repository before a manifest can be: blobs and manifests.
pub fn needs(manifest: &Manifest) -> impl Iterator<Item = (Digest, bool)> {
    manifest.dependencies().filter_map(|dependency| {
        let digest = *dependency.descriptor().digest.known()?;
        Some((digest, matches!(dependency, Dependency::Manifest(_))))
    })
}

static MANIFESTS: LazyLock<Vec<Manifest>> = LazyLock::new(|| {
    let [config, nothing, layer, large] = CONTENTS.map(blob);
    let small = image(&config, &[], "");
    let full = image(&config, &[&nothing, &layer, &large, &layer], "");
    let by_sha512 = descriptor(MediaType::OCI_MANIFEST, &small, Algorithm::Sha512);
    let by_sha256 = descriptor(MediaType::OCI_MANIFEST, &small, Algorithm::Sha256);
    let signature = image(&config, &[&layer], &subject(&by_sha256));
    let other_signature = image(&nothing, &[], &subject(&by_sha512));
    let both = index(&[&small, &full], "");
    let nested = index(&[&both], &subject(&by_sha256));
    let all = [small, image(&nothing, &[], ""), full, signature, other_signature, both, nested];
    all.map(|json| Manifest::parse(None, json.into()).expect("it is made as manifests are")).into()
});

fn blob(content: &[u8]) -> String {
    descriptor("application/vnd.oci.image.layer.v1.tar", content, Algorithm::Sha256)
}

fn descriptor(media_type: &str, content: impl AsRef<[u8]>, algorithm: Algorithm) -> String {
    let content = content.as_ref();
    let (digest, size) = (Digest::of(algorithm, content), content.len());
    format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
}

fn subject(descriptor: &str) -> String {
    format!(r#","subject":{descriptor}"#)
}

fn image(config: &str, layers: &[&str], more: &str) -> String {
    let (media_type, layers) = (MediaType::OCI_MANIFEST, layers.join(","));
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{media_type}","config":{config},"layers":[{layers}]{more}}}"#
    )
}

fn index(manifests: &[&str], more: &str) -> String {
    let entry = |json: &&str| {
        let media_type = Manifest::parse(None, Bytes::copy_from_slice(json.as_bytes()))
            .map(|manifest| manifest.media_type().to_string())
            .expect("it is made as manifests are");
        descriptor(&media_type, json, Algorithm::Sha256)
    };
    let (media_type, entries) = (MediaType::OCI_INDEX, manifests.iter().map(entry));
    let entries = entries.collect::<Vec<_>>().join(",");
    format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":[{entries}]{more}}}"#)
}
