//! The crate `oci-client` pushes, pulls, lists and asks, on memory in this process, and on the program `registry`.

use std::net::SocketAddr;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use oci_client::client::{BlobResponse, ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::errors::{OciDistributionError as Error, OciErrorCode};
use oci_client::manifest::{OCI_IMAGE_INDEX_MEDIA_TYPE, OciImageManifest, OciManifest};
use oci_client::secrets::RegistryAuth::Anonymous;
use oci_client::{Client, Reference};
use registry_http::{Options, service};
use registry_store::digest::Digest;
use registry_tests::image::noise;
use registry_tests::registry_process::RegistryProcess;
use registry_tests::server::Server;
use registry_tests::world::World;
use serde_json::json;

/// Larger than the client's chunks of 4 MiB, and no multiple of them.
const LARGE: usize = (9 << 20) + 7;

/// Runs every test on memory in this process and on the program.
macro_rules! on_each {
    ($($test:ident)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $test() {
                let store = super::World::memory().store;
                let server = super::Server::start(super::service(store, super::Options::default())).await;
                super::$test(super::Bench::new(server.address())).await;
            })*
        }

        mod program {
            $(#[tokio::test]
            async fn $test() {
                let root = tempfile::TempDir::new().expect("a temporary directory can be made");
                let registry = super::RegistryProcess::start(root.path());
                super::$test(super::Bench::new(registry.address())).await;
            })*
        }
    };
}

on_each! {
    an_image_comes_back_however_it_is_pushed
    a_stream_is_pushed_in_chunks_and_in_one_piece
    a_blob_is_mounted_and_nothing_is_where_there_is_none
    parts_of_a_blob_are_pulled
    an_index_comes_back_and_leads_to_the_image_of_a_platform
    a_manifest_is_asked_for_its_digest
    referrers_are_found_by_the_api_and_filtered
    tags_and_repositories_are_listed_in_pages
    what_is_unknown_or_wrong_is_named
}

/// A client, and where the registry is.
struct Bench {
    client: Client,
    chunked: Client,
    address: SocketAddr,
}

impl Bench {
    fn new(address: SocketAddr) -> Self {
        Self { client: client(true), chunked: client(false), address }
    }

    fn reference(&self, name: &str) -> Reference {
        format!("{}/{name}", self.address).parse().expect("a test's names are of the grammar")
    }

    async fn push_blob(&self, repository: &str, content: &[u8]) -> Digest {
        let digest = Digest::sha256(content);
        let reference = self.reference(repository);
        let pushed = self.client.push_blob(&reference, content.to_vec(), &digest.to_string()).await;
        pushed.expect("the blob is taken");
        digest
    }

    /// Pushes an image of one layer, and returns its digest.
    async fn push_image(&self, name: &str, content: &[u8]) -> Digest {
        let reference = self.reference(name);
        let layers = [ImageLayer::oci_v1(content.to_vec(), None)];
        let config = Config::oci_v1(b"{}".as_slice(), None);
        let pushed = self.client.push(&reference, &layers, config, &Anonymous, None).await;
        let url = pushed.expect("the image is taken").manifest_url;
        digest_at_the_end_of(&url)
    }

    async fn pull_blob(&self, repository: &str, digest: &Digest) -> Result<Vec<u8>, Error> {
        let mut content = Vec::new();
        let digest = digest.to_string();
        self.client.pull_blob(&self.reference(repository), digest.as_str(), &mut content).await?;
        Ok(content)
    }

    async fn tags(&self, repository: &str, n: Option<usize>, last: Option<&str>) -> Vec<String> {
        let reference = self.reference(repository);
        let listed = self.client.list_tags(&reference, &Anonymous, n, last).await;
        listed.expect("a list").tags
    }

    async fn repositories(&self, n: Option<usize>, last: Option<&str>) -> Vec<String> {
        let listed = self.client.catalog(&self.reference("any"), &Anonymous, n, last).await;
        listed.expect("a list").repositories
    }
}

/// A client that pushes a blob in one piece, or in chunks.
fn client(use_monolithic_push: bool) -> Client {
    // It needs one to be made, even if it speaks no TLS. All tests of the process share it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::try_from(ClientConfig {
        protocol: ClientProtocol::Http,
        // Else it has to find the certificates of the system.
        accept_invalid_certificates: true,
        use_monolithic_push,
        platform_resolver: Some(Box::new(oci_client::client::linux_amd64_resolver)),
        ..ClientConfig::default()
    })
    .expect("nothing in it can be refused")
}

fn digest_at_the_end_of(url: &str) -> Digest {
    let digest = url.rsplit('/').next().expect("there is a last part");
    digest.parse().unwrap_or_else(|_| panic!("expected a digest at the end of {url}"))
}

/// The first error of the registry's answer.
fn code<T>(result: Result<T, Error>) -> OciErrorCode {
    match result.err() {
        Some(Error::RegistryError { mut envelope, .. }) => envelope.errors.remove(0).code,
        other => panic!("expected an answer that names an error, found {other:?}"),
    }
}

async fn an_image_comes_back_however_it_is_pushed(bench: Bench) {
    let content = noise(LARGE);
    for (client, repository) in [(&bench.client, "whole"), (&bench.chunked, "chunks")] {
        let reference = bench.reference(&format!("{repository}:1"));
        let layers = [&content[..], b"a small one"]
            .map(|content| ImageLayer::oci_v1(content.to_vec(), None));
        let config = Config::oci_v1(b"{}".as_slice(), None);
        let pushed = client.push(&reference, &layers, config, &Anonymous, None).await;
        let digest = digest_at_the_end_of(&pushed.expect("the image is taken").manifest_url);

        let accepted = vec!["application/vnd.oci.image.layer.v1.tar"];
        let pulled = client.pull(&reference, &Anonymous, accepted).await.expect("it is there");
        assert_eq!(pulled.digest, Some(digest.to_string()));
        assert_eq!(&pulled.config.data[..], b"{}");
        let mut sizes: Vec<usize> = pulled.layers.iter().map(|layer| layer.data.len()).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [11, LARGE]);
        assert!(pulled.layers.iter().any(|layer| layer.data == content), "{repository}");
    }
}

async fn a_stream_is_pushed_in_chunks_and_in_one_piece(bench: Bench) {
    let content = noise(LARGE);
    let (reference, digest) = (bench.reference("app"), Digest::sha256(&content));
    let parts = |content: &[u8]| {
        let parts: Vec<_> = content.chunks(1 << 20).map(|part| Ok(part.to_vec().into())).collect();
        stream::iter(parts)
    };
    let pushed = bench.chunked.push_blob_stream_chunked(&reference, parts(&content)).await;
    let pushed = pushed.expect("the blob is taken");
    assert_eq!((pushed.blob_digest, pushed.size), (digest.to_string(), LARGE as u64));
    assert_eq!(digest_at_the_end_of(&pushed.blob_url), digest);
    assert!(bench.pull_blob("app", &digest).await.expect("it is there") == content);

    let other = &content[1..];
    let (size, digest) = (Some(other.len() as u64), Digest::sha256(other));
    let pushed =
        bench.client.push_blob_stream(&reference, parts(other), &digest.to_string(), size).await;
    assert_eq!(digest_at_the_end_of(&pushed.expect("the blob is taken")), digest);
    assert!(bench.pull_blob("app", &digest).await.expect("it is there") == other);
}

async fn a_blob_is_mounted_and_nothing_is_where_there_is_none(bench: Bench) {
    let digest = bench.push_blob("one", b"content").await;
    let [one, other] = ["one", "team/other"].map(|name| bench.reference(name));
    let text = digest.to_string();
    assert!(!bench.client.blob_exists(&other, &text).await.expect("an answer"));
    bench.client.mount_blob(&other, &one, &text).await.expect("it is there to be mounted");
    assert!(bench.client.blob_exists(&other, &text).await.expect("an answer"));
    assert_eq!(bench.pull_blob("team/other", &digest).await.expect("it is there"), b"content");

    let missing = Digest::sha256(b"never pushed").to_string();
    let refused = bench.client.mount_blob(&other, &one, &missing).await;
    // The answer is a session to push it by.
    assert!(matches!(refused, Err(Error::SpecViolationError(_))), "{refused:?}");
}

async fn parts_of_a_blob_are_pulled(bench: Bench) {
    let digest = bench.push_blob("app", b"0123456789").await.to_string();
    let reference = bench.reference("app");
    for (offset, length, expected) in
        [(0, Some(1), "0"), (3, Some(4), "3456"), (7, None, "789"), (8, Some(100), "89")]
    {
        let client = &bench.client;
        let part =
            client.pull_blob_stream_partial(&reference, digest.as_str(), offset, length).await;
        let Ok(BlobResponse::Partial(part)) = part else { panic!("expected a part") };
        assert_eq!(part.content_length, Some(expected.len() as u64));
        let bytes: Vec<_> = part.try_collect().await.expect("it is sent to its end");
        assert_eq!(bytes.concat(), expected.as_bytes());
    }
    let all =
        bench.client.pull_blob_stream(&reference, digest.as_str()).await.expect("it is there");
    assert_eq!(all.content_length, Some(10));
    let bytes: Vec<_> = all.map(|part| part.expect("it is sent to its end")).collect().await;
    assert_eq!(bytes.concat(), b"0123456789");

    let beyond = bench.client.pull_blob_stream_partial(&reference, digest.as_str(), 10, None).await;
    assert!(beyond.is_err());
}

async fn an_index_comes_back_and_leads_to_the_image_of_a_platform(bench: Bench) {
    let mut entries = Vec::new();
    for architecture in ["arm64", "amd64"] {
        let name = format!("app:{architecture}");
        let digest = bench.push_image(&name, architecture.as_bytes()).await;
        let (raw, _) = bench
            .client
            .pull_manifest_raw(&bench.reference(&name), &Anonymous, &["*/*"])
            .await
            .expect("it was pushed");
        entries.push(json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest.to_string(),
            "size": raw.len(),
            "platform": { "architecture": architecture, "os": "linux" },
        }));
    }
    let index = json!({
        "schemaVersion": 2, "mediaType": OCI_IMAGE_INDEX_MEDIA_TYPE, "manifests": entries,
    });
    let index = serde_json::from_value(index).expect("it has all an index needs");
    let reference = bench.reference("app:1");
    let url = bench.client.push_manifest_list(&reference, &Anonymous, index).await;
    let digest = digest_at_the_end_of(&url.expect("the index is taken"));

    let (pulled, found) =
        bench.client.pull_manifest(&reference, &Anonymous).await.expect("it is there");
    assert_eq!(found, digest.to_string());
    let OciManifest::ImageIndex(pulled) = pulled else { panic!("expected an index") };
    let digests: Vec<_> = pulled.manifests.iter().map(|entry| &entry.digest).collect();
    assert_eq!(digests, [&entries[0]["digest"], &entries[1]["digest"]]);

    let image = bench.client.pull_image_manifest_and_list_digest(&reference, &Anonymous).await;
    let (_, image, list) = image.expect("one of the images is for amd64");
    assert_eq!((&image, list), (digests[1], Some(found)));
}

async fn a_manifest_is_asked_for_its_digest(bench: Bench) {
    let digest = bench.push_image("app:1", b"content").await;
    for name in ["app:1".to_owned(), format!("app@{digest}")] {
        let found = bench.client.fetch_manifest_digest(&bench.reference(&name), &Anonymous).await;
        assert_eq!(found.expect("it is there"), digest.to_string());
    }
    let missing = bench.client.fetch_manifest_digest(&bench.reference("app:2"), &Anonymous).await;
    // A HEAD without a digest in its answer is asked again as a GET, whose answer says what is the matter.
    assert_eq!(code(missing), OciErrorCode::ManifestUnknown);
}

async fn referrers_are_found_by_the_api_and_filtered(bench: Bench) {
    let digest = bench.push_image("app:1", b"content").await;
    let about = bench.reference(&format!("app@{digest}"));
    let none = bench.client.pull_referrers(&about, None).await.expect("a list");
    assert_eq!(none.manifests.len(), 0);

    let (image, _) = bench
        .client
        .pull_image_manifest(&bench.reference("app:1"), &Anonymous)
        .await
        .expect("it was pushed");
    let subject = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest.to_string(),
        "size": 1,
    });
    let mut referrers = Vec::new();
    for kind in ["signature", "sbom"] {
        let manifest = OciManifest::Image(OciImageManifest {
            subject: Some(serde_json::from_value(subject.clone()).expect("a descriptor")),
            artifact_type: Some(format!("application/vnd.example.{kind}")),
            ..image.clone()
        });
        let reference = bench.reference(&format!("app:{kind}"));
        let url = bench.client.push_manifest(&reference, &manifest).await;
        referrers.push(digest_at_the_end_of(&url.expect("the referrer is taken")));
    }

    let mut found: Vec<String> = Vec::new();
    for entry in bench.client.pull_referrers(&about, None).await.expect("a list").manifests {
        assert!(
            entry.artifact_type.is_some_and(|kind| kind.starts_with("application/vnd.example."))
        );
        found.push(entry.digest);
    }
    found.sort();
    let mut expected = referrers.iter().map(ToString::to_string).collect::<Vec<_>>();
    expected.sort();
    assert_eq!(found, expected);

    let kind = Some("application/vnd.example.sbom");
    let filtered = bench.client.pull_referrers(&about, kind).await.expect("a list").manifests;
    let digests: Vec<_> = filtered.iter().map(|entry| entry.digest.clone()).collect();
    assert_eq!(digests, [referrers[1].to_string()]);
}

async fn tags_and_repositories_are_listed_in_pages(bench: Bench) {
    for name in ["app:c", "app:a", "app:b", "team/tool:1", "zoo:1"] {
        bench.push_image(name, b"content").await;
    }
    assert_eq!(bench.tags("app", None, None).await, ["a", "b", "c"]);
    assert_eq!(bench.tags("app", Some(2), None).await, ["a", "b"]);
    assert_eq!(bench.tags("app", Some(2), Some("b")).await, ["c"]);
    assert_eq!(bench.repositories(None, None).await, ["app", "team/tool", "zoo"]);
    assert_eq!(bench.repositories(Some(1), Some("app")).await, ["team/tool"]);
    assert_eq!(bench.repositories(Some(1), Some("zoo")).await, [""; 0]);
}

async fn what_is_unknown_or_wrong_is_named(bench: Bench) {
    bench.push_image("app:1", b"content").await;
    let client = &bench.client;
    for name in ["app:2", "no/such/repository:1"] {
        let pulled = client.pull_manifest(&bench.reference(name), &Anonymous).await;
        assert_eq!(code(pulled), OciErrorCode::ManifestUnknown, "{name}");
    }
    let missing = Digest::sha256(b"never pushed");
    assert_eq!(code(bench.pull_blob("app", &missing).await), OciErrorCode::BlobUnknown);
    let nowhere = bench.reference("no/such/repository");
    let listed = client.list_tags(&nowhere, &Anonymous, None, None).await;
    assert_eq!(code(listed), OciErrorCode::NameUnknown);

    // What answers a push, the client gives as it came.
    let (app, digest) = (bench.reference("app"), missing.to_string());
    let pushed = client.push_blob(&app, &b"other"[..], &digest).await;
    let Err(Error::ServerError { code: 400, message, .. }) = pushed else {
        panic!("expected the digest to be refused")
    };
    assert!(message.contains("DIGEST_INVALID"), "{message}");
}
