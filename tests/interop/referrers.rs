//! Referrers that were pushed to Distribution, which keeps no records of them.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use registry_store::digest::{Algorithm, Digest};
use registry_store::manifest::Manifest;
use registry_tests::documents::{descriptor_of, image, image_document, index, manifest};
use registry_tests::peers::Distribution;
use registry_tests::plain_http::{request, send};
use registry_tests::registry_process::{RegistryProcess, program};
use serde_json::{Value, json};
use tempfile::TempDir;

const CONFIG: &[u8] = b"{}";

fn push_blob(address: SocketAddr, repository: &str, content: &[u8]) {
    let begun = request(address, "POST", &format!("/v2/{repository}/blobs/uploads/"));
    assert_eq!(begun.status, 202);
    let location = begun.header("location").unwrap();
    let path = location.strip_prefix(&format!("http://{address}")).unwrap_or(location);
    let target = format!("{path}&digest={}", Digest::sha256(content));
    let pushed = send(address, "PUT", &target, "application/octet-stream", content);
    assert_eq!(pushed.status, 201, "{}", String::from_utf8_lossy(&pushed.body));
}

/// Pushes a manifest under a tag, or its digest, and returns its digest.
fn push_manifest(
    address: SocketAddr,
    repository: &str,
    of: &Manifest,
    tag: Option<&str>,
) -> Digest {
    let digest = of.digest(Algorithm::Sha256);
    let reference = tag.map_or_else(|| digest.to_string(), str::to_owned);
    let target = format!("/v2/{repository}/manifests/{reference}");
    let pushed = send(address, "PUT", &target, of.media_type().as_str(), of.bytes());
    assert_eq!(pushed.status, 201, "{}", String::from_utf8_lossy(&pushed.body));
    digest
}

fn signature_of(subject: &Manifest, note: &str) -> Manifest {
    let mut document = image_document(CONFIG, &[]);
    document["subject"] = descriptor_of(subject);
    document["artifactType"] = "application/vnd.example.signature".into();
    document["annotations"] = json!({ "note": note });
    manifest(&document)
}

fn listed(address: SocketAddr, repository: &str, subject: &Digest) -> Vec<String> {
    let answer = request(address, "GET", &format!("/v2/{repository}/referrers/{subject}"));
    assert_eq!(answer.status, 200);
    let list: Value = serde_json::from_slice(&answer.body).unwrap();
    let listed = list["manifests"].as_array().unwrap();
    listed.iter().map(|found| found["digest"].as_str().unwrap().to_owned()).collect()
}

fn sorted(digests: impl IntoIterator<Item = Digest>) -> Vec<String> {
    let mut digests: Vec<Digest> = digests.into_iter().collect();
    digests.sort();
    digests.iter().map(Digest::to_string).collect()
}

/// Two signatures of one image are under the tag that clients keep where there is no referrers API; a third, and
/// the only one of another image, are under none.
#[test]
fn referrers_pushed_to_distribution_are_listed_under_their_tag_at_once_and_the_others_when_rebuilt()
{
    let root = TempDir::new().unwrap();
    let (one, other) = (image(CONFIG, &[]), image(CONFIG, &[b"layer"]));
    let [one_digest, other_digest] = [&one, &other].map(|of| of.digest(Algorithm::Sha256));
    let repository = "library/signed";

    let distribution = Distribution::start(root.path());
    let theirs = distribution.address();
    push_blob(theirs, repository, CONFIG);
    push_blob(theirs, repository, b"layer");
    push_manifest(theirs, repository, &one, Some("one"));
    push_manifest(theirs, repository, &other, Some("other"));
    let signatures = ["1", "2", "3"].map(|note| signature_of(&one, note));
    let signed = [&signatures[0], &signatures[1], &signatures[2]]
        .map(|of| push_manifest(theirs, repository, of, None));
    let unlisted = push_manifest(theirs, repository, &signature_of(&other, "only"), None);
    let fallback = format!("sha256-{}", one_digest.hex());
    push_manifest(theirs, repository, &index(&[&signatures[0], &signatures[1]]), Some(&fallback));
    drop(distribution);

    let registry = RegistryProcess::start(root.path());
    let ours = registry.address();
    assert_eq!(listed(ours, repository, &one_digest), sorted(signed[..2].iter().copied()));
    assert_eq!(listed(ours, repository, &other_digest), [""; 0]);

    let rebuilt = Command::new(program())
        .args(["referrers", "rebuild", "--root"])
        .arg(root.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(rebuilt.status.success(), "{rebuilt:?}");
    let said = String::from_utf8(rebuilt.stdout).unwrap();
    let line = "library/signed: manifests read: 7, referrers recorded: 4, recorded already: 0";
    assert!(said.starts_with(line), "{said}");
    assert_eq!(listed(ours, repository, &one_digest), sorted(signed));
    assert_eq!(listed(ours, repository, &other_digest), sorted([unlisted]));
    drop(registry);

    // What was recorded is out of Distribution's way.
    let distribution = Distribution::start(root.path());
    let catalog = request(distribution.address(), "GET", "/v2/_catalog");
    let catalog: Value = serde_json::from_slice(&catalog.body).unwrap();
    assert_eq!(catalog, json!({ "repositories": [repository] }));
}
