//! [`of_manifest`]: what a manifest refers to, for `includereferences`.

use async_trait::async_trait;
use bytes::Bytes;
use registry_store::digest::Digest;
use registry_store::error::Error;
use registry_store::name::RepositoryName;
use registry_store::reference::Reference;
use registry_store::store::Store;
use serde_json::{Map, Value};

use super::envelope::Envelope;

/// Where manifests are.
#[async_trait]
pub(super) trait Manifests: Send + Sync + 'static {
    /// What a manifest is. `None` if it is not there any more.
    async fn read(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Bytes>, Error>;
}

#[async_trait]
impl Manifests for Store {
    async fn read(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Bytes>, Error> {
        let manifests = self.repository(repository).manifests();
        match manifests.get(&Reference::Digest(*digest)).await {
            Ok(manifest) => Ok(Some(manifest.bytes)),
            Err(Error::ManifestUnknown { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The descriptors in a manifest, as it has them: an image's config, then its layers; an index's manifests. None if it
/// is not there any more.
pub(super) async fn of_manifest(
    manifests: &dyn Manifests,
    repository: &RepositoryName,
    digest: &Digest,
    envelope: Envelope,
) -> Result<Vec<Value>, Error> {
    let bytes = manifests.read(repository, digest).await?;
    Ok(bytes.map_or_else(Vec::new, |bytes| in_document(&bytes, envelope)))
}

fn in_document(bytes: &[u8], envelope: Envelope) -> Vec<Value> {
    let Ok(Value::Object(mut document)) = serde_json::from_slice(bytes) else { return Vec::new() };
    let config = document.remove("config");
    let lists = ["layers", "manifests"].into_iter().filter_map(|name| document.remove(name));
    let listed = lists.flat_map(|list| match list {
        Value::Array(items) => items,
        _ => Vec::new(),
    });
    config.into_iter().chain(listed).filter_map(|item| descriptor(item, envelope)).collect()
}

/// With the fields that Distribution passes on, and no others.
fn descriptor(item: Value, envelope: Envelope) -> Option<Value> {
    let Value::Object(fields) = item else { return None };
    let known = envelope.descriptor_fields();
    let fields: Map<String, Value> =
        fields.into_iter().filter(|(name, _)| known.contains(&name.as_str())).collect();
    Some(Value::Object(fields))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(document: &Value, envelope: Envelope) -> Vec<Value> {
        in_document(document.to_string().as_bytes(), envelope)
    }

    #[test]
    fn a_config_comes_before_the_layers_and_an_index_has_its_manifests() {
        let image = json!({
            "config": {"digest": "c", "size": 1, "mediaType": "t", "artifactType": "a", "x": 1},
            "layers": [{"digest": "l1"}, {"digest": "l2", "urls": ["u"]}],
            "subject": {"digest": "s"},
        });
        assert_eq!(
            found(&image, Envelope::V1),
            [
                json!({"digest": "c", "size": 1, "mediaType": "t"}),
                json!({"digest": "l1"}),
                json!({"digest": "l2", "urls": ["u"]}),
            ]
        );
        assert_eq!(found(&image, Envelope::V2)[0]["artifactType"], "a");
        let index = json!({"manifests": [{"digest": "m", "platform": {"os": "linux"}}]});
        assert_eq!(
            found(&index, Envelope::V1),
            [json!({"digest": "m", "platform": {"os": "linux"}})]
        );
    }

    #[test]
    fn what_is_no_manifest_refers_to_nothing() {
        for document in [json!([]), json!({"layers": 1}), json!({"config": "x", "manifests": [2]})]
        {
            assert!(found(&document, Envelope::V1).is_empty(), "{document}");
        }
        assert!(in_document(b"{", Envelope::V1).is_empty());
    }
}
