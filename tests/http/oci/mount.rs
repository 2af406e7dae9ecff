//! Mounting blobs (items 55 to 58).

use registry_http::Options;
use registry_tests::server::Protocol;

use super::registry::{BOTH, Registry, is, is_refused, leads_to, sha256, sha512};

#[tokio::test]
async fn item_055_a_mounted_blob_is_in_the_target_repository_at_once() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        for digest in [sha256(b"abc"), sha512(b"abc")] {
            is(
                &registry.post(&format!("/v2/a/b/blobs/uploads/?digest={digest}"), "abc").await,
                201,
            );
            // The order of the parameters and their encoding do not matter.
            for (number, query) in [
                format!("mount={digest}&from=a/b"),
                format!("from=a%2Fb&mount={}", digest.replace(':', "%3A")),
            ]
            .into_iter()
            .enumerate()
            {
                let target = format!("target/{number}");
                is(&registry.head(&format!("/v2/{target}/blobs/{digest}")).await, 404);
                let answer =
                    registry.post(&format!("/v2/{target}/blobs/uploads/?{query}"), "").await;
                is(&answer, 201);
                leads_to(&answer, &format!("/v2/{target}/blobs/{digest}"));
                let pulled = registry.get(answer.header("location")).await;
                is(&pulled, 200);
                assert_eq!(pulled.body, "abc");
            }
        }
    }
}

#[tokio::test]
async fn item_055_a_manifest_may_refer_to_what_was_mounted() {
    let mut registry = Registry::new().await;
    registry.push_image("a", None, &[b"layer"]).await;
    for content in [&b"{}"[..], b"layer"] {
        let url = format!("/v2/b/blobs/uploads/?mount={}&from=a", sha256(content));
        is(&registry.post(&url, "").await, 201);
    }
    registry.push_manifest("b", Some("v1"), &super::registry::image(&[b"layer"])).await;
}

#[tokio::test]
async fn item_056_a_mount_that_is_not_possible_is_a_session() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        let digest = registry.push("a", b"abc").await;
        let deleted = registry.push("a", b"deleted").await;
        is(&registry.delete(&format!("/v2/a/blobs/{deleted}")).await, 202);
        for query in [
            format!("mount={}&from=a", sha256(b"missing")),
            format!("mount={digest}&from=none"),
            format!("mount={digest}&from=a/b"),
            format!("mount={digest}&from=NO"),
            format!("mount={digest}&from=.."),
            format!("mount={deleted}&from=a"),
            "mount=sha256:abc&from=a".to_owned(),
            "mount=md5:abc&from=a".to_owned(),
            "mount=latest".to_owned(),
            format!("mount={}", sha256(b"missing")),
        ] {
            let answer = registry.post(&format!("/v2/b/blobs/uploads/?{query}"), "").await;
            is(&answer, 202);
            assert!(answer.header("location").starts_with("/v2/b/blobs/uploads/"), "{answer:?}");
            assert_eq!(answer.header("range"), "0-0");
            let url = format!("{}&digest={}", answer.header("location"), sha256(b"pushed"));
            is(&registry.put(&url, "pushed").await, 201);
        }
        is(&registry.head(&format!("/v2/b/blobs/{digest}")).await, 404);
    }
}

#[tokio::test]
async fn item_057_a_mount_that_names_no_source_finds_the_blob_anywhere() {
    let mut registry = Registry::new().await;
    for digest in [sha256(b"abc"), sha512(b"abc")] {
        is(&registry.post(&format!("/v2/a/blobs/uploads/?digest={digest}"), "abc").await, 201);
        for (number, query) in ["", "&from="].into_iter().enumerate() {
            let url = format!("/v2/b{number}/blobs/uploads/?mount={digest}{query}");
            let answer = registry.post(&url, "").await;
            is(&answer, 201);
            leads_to(&answer, &format!("/v2/b{number}/blobs/{digest}"));
            assert_eq!(registry.get(answer.header("location")).await.body, "abc");
        }
    }
}

#[tokio::test]
async fn item_057_unless_that_is_switched_off() {
    let options = Options { mount_from_anywhere: false, ..Options::default() };
    let mut registry = Registry::with(options, Protocol::Http1).await;
    let digest = registry.push("a", b"abc").await;
    is(&registry.post(&format!("/v2/b/blobs/uploads/?mount={digest}"), "").await, 202);
    is(&registry.post(&format!("/v2/b/blobs/uploads/?mount={digest}&from=a"), "").await, 201);
}

#[tokio::test]
async fn item_058_a_mounted_blob_stays_when_its_source_is_deleted() {
    let mut registry = Registry::new().await;
    for digest in [sha256(b"abc"), sha512(b"abc")] {
        is(&registry.post(&format!("/v2/a/blobs/uploads/?digest={digest}"), "abc").await, 201);
        let mount = format!("/v2/b/blobs/uploads/?mount={digest}&from=a");
        is(&registry.post(&mount, "").await, 201);
        is(&registry.delete(&format!("/v2/a/blobs/{digest}")).await, 202);
        is_refused(&registry.get(&format!("/v2/a/blobs/{digest}")).await, 404, "BLOB_UNKNOWN");
        assert_eq!(registry.get(&format!("/v2/b/blobs/{digest}")).await.body, "abc");
        // And can be mounted from there.
        is(&registry.post(&format!("/v2/c/blobs/uploads/?mount={digest}&from=b"), "").await, 201);
    }
}
