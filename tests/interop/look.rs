//! What a registry has, as skopeo sees it.

use registry_store::digest::Digest;
use registry_tests::peers::Skopeo;
use serde_json::Value;

/// The manifest under a name such as `repository:tag`, its digest and what it says. Panics if there is none.
pub(crate) fn manifest(registry: &str, name: &str) -> (Digest, Value) {
    let reference = format!("docker://{registry}/{name}");
    let raw = Skopeo::new().run(&["inspect", "--tls-verify=false", "--raw", &reference]);
    (Digest::sha256(&raw), serde_json::from_slice(&raw).unwrap())
}

/// Deletes the manifest under a name, and all its tags with it.
pub(crate) fn delete(registry: &str, name: &str) {
    let reference = format!("docker://{registry}/{name}");
    Skopeo::new().run(&["delete", "--tls-verify=false", &reference]);
}
