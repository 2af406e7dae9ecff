//! Deleting (items 90 to 95).

use registry_http::Options;
use registry_tests::server::whole;
use serde_json::json;

use super::registry::{BOTH, Registry, described, image, index, is, is_refused, sha256, sha512};

#[tokio::test]
async fn item_090_deletion_may_be_switched_off_and_is_not_allowed_then() {
    let mut registry = Registry::new().await;
    let digest = registry.push_image("a", Some("v1"), &[b"layer"]).await;
    let options = Options { delete: false, ..Options::default() };
    let mut registry = registry.restarted(options).await;
    let layer = sha256(b"layer");
    for url in [
        "/v2/a/manifests/v1".to_owned(),
        "/v2/a/manifests/none".to_owned(),
        format!("/v2/a/manifests/{digest}"),
        format!("/v2/a/blobs/{layer}"),
        format!("/v2/none/blobs/{layer}"),
    ] {
        let answer = registry.delete(&url).await;
        is_refused(&answer, 405, "UNSUPPORTED");
        assert!(!answer.header("allow").contains("DELETE"), "{answer:?}");
        assert!(answer.header("allow").contains("GET"), "{answer:?}");
    }
    assert_eq!(registry.tags("/v2/a/tags/list").await, json!(["v1"]));
    is(&registry.get("/v2/a/manifests/v1").await, 200);
    is(&registry.get(&format!("/v2/a/blobs/{layer}")).await, 200);
}

#[tokio::test]
async fn item_091_a_tag_goes_and_its_manifest_stays() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        let digest = registry.push_image("a", Some("v1"), &[]).await;
        registry.push_manifest("a", Some("v2"), &image(&[])).await;
        is(&registry.delete("/v2/a/manifests/v1").await, 202);
        let gone = registry.get("/v2/a/manifests/v1").await;
        is_refused(&gone, 404, "MANIFEST_UNKNOWN");
        is(&registry.head("/v2/a/manifests/v1").await, 404);
        for reference in ["v2", &digest] {
            is(&registry.get(&format!("/v2/a/manifests/{reference}")).await, 200);
        }
        assert_eq!(registry.tags("/v2/a/tags/list").await, json!(["v2"]));
        // Once; and it can be pushed again.
        is_refused(&registry.delete("/v2/a/manifests/v1").await, 404, "MANIFEST_UNKNOWN");
        registry.push_manifest("a", Some("v1"), &image(&[])).await;
        is(&registry.get("/v2/a/manifests/v1").await, 200);
    }
}

#[tokio::test]
async fn item_091_a_tag_that_was_moved_goes_from_where_it_is() {
    let mut registry = Registry::new().await;
    let first = registry.push_image("a", Some("v1"), &[]).await;
    let second = registry.push_image("a", Some("v1"), &[b"layer"]).await;
    is(&registry.delete("/v2/a/manifests/v1").await, 202);
    is(&registry.get("/v2/a/manifests/v1").await, 404);
    for digest in [first, second] {
        is(&registry.get(&format!("/v2/a/manifests/{digest}")).await, 200);
    }
}

#[tokio::test]
async fn item_092_a_manifest_goes_with_every_tag_on_it_and_no_other() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        let other = registry.push_image("a", Some("other"), &[b"layer"]).await;
        let text = image(&[]).to_string();
        for digest in [sha256(text.as_bytes()), sha512(text.as_bytes())] {
            is(
                &registry
                    .put_manifest("a", &format!("{digest}?tag=v1&tag=v2&tag=moved"), &text)
                    .await,
                201,
            );
            registry.push_manifest("a", Some("moved"), &image(&[b"layer"])).await;
            let url = format!("/v2/a/manifests/{digest}");
            is(&registry.delete(&url).await, 202);
            is_refused(&registry.get(&url).await, 404, "MANIFEST_UNKNOWN");
            for tag in ["v1", "v2"] {
                is(&registry.get(&format!("/v2/a/manifests/{tag}")).await, 404);
            }
            for reference in ["other", "moved", &other] {
                is(&registry.get(&format!("/v2/a/manifests/{reference}")).await, 200);
            }
            assert_eq!(registry.tags("/v2/a/tags/list").await, json!(["moved", "other"]));
            is_refused(&registry.delete(&url).await, 404, "MANIFEST_UNKNOWN");
        }
    }
}

#[tokio::test]
async fn item_092_what_is_not_there_cannot_be_deleted() {
    let mut registry = Registry::new().await;
    let digest = registry.push_image("a", Some("v1"), &[b"layer"]).await;
    for url in [
        format!("/v2/none/manifests/{digest}"),
        "/v2/none/manifests/v1".to_owned(),
        "/v2/a/manifests/v2".to_owned(),
        format!("/v2/a/manifests/{}", sha256(b"never pushed")),
        format!("/v2/a/manifests/{}", sha256(b"layer")),
    ] {
        is_refused(&registry.delete(&url).await, 404, "MANIFEST_UNKNOWN");
    }
    // The same manifest in another repository is another.
    registry.push_image("b", Some("v1"), &[b"layer"]).await;
    is(&registry.delete(&format!("/v2/a/manifests/{digest}")).await, 202);
    is(&registry.get("/v2/b/manifests/v1").await, 200);
}

#[tokio::test]
async fn item_093_a_blob_goes_from_its_repository_and_no_other() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        for digest in [sha256(b"abc"), sha512(b"abc")] {
            for name in ["a", "b"] {
                let url = format!("/v2/{name}/blobs/uploads/?digest={digest}");
                is(&registry.post(&url, "abc").await, 201);
            }
            let url = format!("/v2/a/blobs/{digest}");
            is(&registry.delete(&url).await, 202);
            is_refused(&registry.get(&url).await, 404, "BLOB_UNKNOWN");
            is(&registry.head(&url).await, 404);
            is_refused(&registry.delete(&url).await, 404, "BLOB_UNKNOWN");
            assert_eq!(registry.get(&format!("/v2/b/blobs/{digest}")).await.body, "abc");
            is_refused(
                &registry.delete(&format!("/v2/none/blobs/{digest}")).await,
                404,
                "BLOB_UNKNOWN",
            );
        }
        let missing = format!("/v2/a/blobs/{}", sha256(b"never pushed"));
        is_refused(&registry.delete(&missing).await, 404, "BLOB_UNKNOWN");
        is_refused(&registry.delete("/v2/a/blobs/sha256:abc").await, 400, "DIGEST_INVALID");
    }
}

#[tokio::test]
async fn item_094_a_blob_that_was_deleted_can_be_pushed_again_at_once_and_each_way() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        for content in ["{}", "", "abc"] {
            let digest = sha256(content.as_bytes());
            let url = format!("/v2/a/blobs/{digest}");
            registry.push("kept", content.as_bytes()).await;
            for way in ["POST", "PUT", "PATCH", "mount", "POST", "PUT"] {
                let answer = match way {
                    "POST" => {
                        registry
                            .post(&format!("/v2/a/blobs/uploads/?digest={digest}"), content)
                            .await
                    }
                    "mount" => {
                        let mount = format!("/v2/a/blobs/uploads/?mount={digest}&from=kept");
                        registry.post(&mount, "").await
                    }
                    "PUT" => {
                        let location = registry.start("a").await;
                        registry.put(&format!("{location}&digest={digest}"), content).await
                    }
                    _ => {
                        let location = registry.start("a").await;
                        let streamed = registry.stream(&location, content).await;
                        let url = format!("{}&digest={digest}", streamed.header("location"));
                        registry.put(&url, "").await
                    }
                };
                is(&answer, 201);
                let pulled = registry.get(&url).await;
                is(&pulled, 200);
                assert_eq!(pulled.body, content, "{way}");
                is(&registry.delete(&url).await, 202);
                is(&registry.head(&url).await, 404);
            }
        }
    }
}

#[tokio::test]
async fn item_094_so_can_a_manifest_whose_blobs_were_deleted() {
    let mut registry = Registry::new().await;
    for _ in 0..3 {
        let digest = registry.push_image("a", Some("v1"), &[b""]).await;
        is(&registry.get("/v2/a/manifests/v1").await, 200);
        is(&registry.delete(&format!("/v2/a/manifests/{digest}")).await, 202);
        for content in [&b"{}"[..], b""] {
            is(&registry.delete(&format!("/v2/a/blobs/{}", sha256(content))).await, 202);
        }
        let text = image(&[b""]).to_string();
        let answer = registry.put_manifest("a", "v1", &text).await;
        is_refused(&answer, 400, "MANIFEST_BLOB_UNKNOWN");
    }
}

#[tokio::test]
async fn item_095_a_manifest_that_was_pushed_is_found_by_a_teardown_whatever_went_before() {
    for manifest_first in [true, false] {
        for by_tag_first in [true, false] {
            let mut registry = Registry::new().await;
            let digest = registry.push_image("a", Some("v1"), &[b"layer"]).await;
            let list = index(&[described(&image(&[b"layer"]))]);
            let list = registry.push_manifest("a", Some("all"), &list).await;
            let mut manifests: Vec<String> = vec![digest, list];
            if by_tag_first {
                manifests.splice(0..0, ["v1".to_owned(), "all".to_owned()]);
            }
            let manifests = manifests.into_iter().map(|reference| format!("manifests/{reference}"));
            let blobs = [&b"{}"[..], b"layer"].map(|content| format!("blobs/{}", sha256(content)));
            let all: Vec<String> = match manifest_first {
                true => manifests.chain(blobs).collect(),
                false => blobs.into_iter().chain(manifests).collect(),
            };
            for path in all {
                let answer = registry.ask(&format!("DELETE /v2/a/{path}"), &[], whole("")).await;
                is(&answer, 202);
            }
        }
    }
}

#[tokio::test]
async fn item_095_a_tag_whose_manifest_was_deleted_before_has_gone_with_it() {
    let mut registry = Registry::new().await;
    let digest = registry.push_image("a", Some("v1"), &[b"layer"]).await;
    is(&registry.delete(&format!("/v2/a/manifests/{digest}")).await, 202);
    is_refused(&registry.delete("/v2/a/manifests/v1").await, 404, "MANIFEST_UNKNOWN");
    is_refused(&registry.get("/v2/a/manifests/v1").await, 404, "MANIFEST_UNKNOWN");
    for content in [&b"{}"[..], b"layer"] {
        is(&registry.delete(&format!("/v2/a/blobs/{}", sha256(content))).await, 202);
    }
}
