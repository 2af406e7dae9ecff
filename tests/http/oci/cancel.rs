//! How sessions end that are not closed (items 53 and 54).

use std::time::Duration;

use registry_http::Options;
use registry_tests::server::Protocol;

use super::registry::{BOTH, Registry, is, is_refused, sha256};

#[tokio::test]
async fn item_053_a_session_can_be_cancelled_and_is_gone() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        let kept = registry.start("a").await;
        let empty = registry.start("a").await;
        let first = registry.start("a").await;
        let begun = registry.patch(&first, "0-2", "abc").await.header("location").to_owned();
        let path = registry.start("a").await.split('?').next().unwrap().to_owned();
        for location in [empty, begun, path] {
            let answer = registry.delete(&location).await;
            is(&answer, 204);
            assert_eq!(answer.body, "");
            is_refused(&registry.get(&location).await, 404, "BLOB_UPLOAD_UNKNOWN");
            is_refused(&registry.delete(&location).await, 404, "BLOB_UPLOAD_UNKNOWN");
        }
        is(&registry.head(&format!("/v2/a/blobs/{}", sha256(b"abc"))).await, 404);
        is(&registry.get(&kept).await, 204);
    }
}

#[tokio::test]
async fn item_053_also_where_content_cannot_be_deleted() {
    let options = Options { delete: false, ..Options::default() };
    let mut registry = Registry::with(options, Protocol::Http1).await;
    let location = registry.start("a").await;
    is(&registry.delete(&location).await, 204);
    is_refused(&registry.get(&location).await, 404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn item_054_a_session_that_is_not_finished_expires() {
    let mut registry = Registry::new().await;
    let week = Duration::from_hours(7 * 24);
    let old = registry.start("a").await;
    let begun = registry.patch(&old, "0-2", "abc").await.header("location").to_owned();
    registry.world.clock.advance(week - Duration::from_hours(1));
    let young = registry.start("a").await;
    // Not before its time.
    registry.world.store.purge_uploads(week).await.unwrap();
    is(&registry.get(&begun).await, 204);
    registry.world.clock.advance(Duration::from_hours(2));
    let report = registry.world.store.purge_uploads(week).await.unwrap();
    assert_eq!(report.uploads, 1);
    is_refused(&registry.get(&begun).await, 404, "BLOB_UPLOAD_UNKNOWN");
    let url = format!("{begun}&digest={}", sha256(b"abc"));
    is_refused(&registry.put(&url, "").await, 404, "BLOB_UPLOAD_UNKNOWN");
    is(&registry.get(&young).await, 204);
}

/// The same by itself, with the options a registry has by default.
#[tokio::test]
async fn item_054_maintenance_sees_to_it_without_being_asked() {
    let mut registry = Registry::new().await;
    let location = registry.start("a").await;
    registry.world.clock.advance(Duration::from_hours(8 * 24));
    let young = registry.start("a").await;
    let store = registry.world.store.clone();
    let maintenance = tokio::spawn(async move { store.maintenance().await });
    // Each question lets maintenance go on; its first round takes a few.
    let mut answer = registry.get(&location).await;
    for _ in 0..10_000 {
        if answer.status != 204 {
            break;
        }
        answer = registry.get(&location).await;
    }
    is_refused(&answer, 404, "BLOB_UPLOAD_UNKNOWN");
    is(&registry.get(&young).await, 204);
    maintenance.abort();
}
