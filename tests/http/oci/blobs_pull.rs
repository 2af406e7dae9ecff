//! Pulling blobs (items 25 to 31).

use bytes::Bytes;

use super::registry::{BOTH, Registry, is, is_refused, sha256, sha512};

/// Three million bytes, no two stretches of which are alike.
fn large() -> Bytes {
    (0u32..750_000).flat_map(u32::to_be_bytes).collect::<Vec<u8>>().into()
}

#[tokio::test]
async fn item_025_a_blob_is_read_whole_and_one_that_is_not_there_is_not_found() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        for content in [&b""[..], b"x", b"hello world", b"{}", &large()] {
            let digest = registry.push("a", content).await;
            let answer = registry.get(&format!("/v2/a/blobs/{digest}")).await;
            is(&answer, 200);
            assert!(answer.body == content, "{digest} was changed");
        }
        let of_b = registry.push("b", b"only there").await;
        for url in [
            format!("/v2/a/blobs/{}", sha256(b"never pushed")),
            format!("/v2/a/blobs/{}", sha512(b"never pushed")),
            format!("/v2/a/blobs/{of_b}"),
            format!("/v2/none/blobs/{of_b}"),
        ] {
            let answer = registry.get(&url).await;
            is_refused(&answer, 404, "BLOB_UNKNOWN");
            assert_eq!(answer.json()["errors"][0]["detail"], url.rsplit('/').next().unwrap());
        }
    }
}

#[tokio::test]
async fn item_026_get_tells_the_digest_of_what_it_answers() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        for content in ["", "hello world"] {
            for digest in [sha256(content.as_bytes()), sha512(content.as_bytes())] {
                let url = format!("/v2/a/blobs/uploads/?digest={digest}");
                is(&registry.post(&url, content).await, 201);
                let answer = registry.get(&format!("/v2/a/blobs/{digest}")).await;
                assert_eq!(answer.header("docker-content-digest"), digest);
                assert_eq!(answer.body, content);
            }
        }
        let missing = registry.get(&format!("/v2/a/blobs/{}", sha256(b"missing"))).await;
        assert_eq!(missing.header("docker-content-digest"), "");
    }
}

#[tokio::test]
async fn item_027_head_tells_size_and_digest_and_has_no_body() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        for content in [&b""[..], b"hello world", &large()] {
            let digest = registry.push("a", content).await;
            let answer = registry.head(&format!("/v2/a/blobs/{digest}")).await;
            is(&answer, 200);
            assert_eq!(answer.header("content-length"), content.len().to_string());
            assert_eq!(answer.header("docker-content-digest"), digest);
            assert_eq!(answer.body, "");
        }
        let other = registry.push("b", b"only there").await;
        for digest in [sha256(b"missing"), other] {
            let answer = registry.head(&format!("/v2/a/blobs/{digest}")).await;
            is(&answer, 404);
            assert_eq!((answer.header("docker-content-digest"), answer.body.len()), ("", 0));
        }
    }
}

#[tokio::test]
async fn item_028_a_range_is_answered_with_these_bytes_and_no_others() {
    let content = large();
    let size = content.len();
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        let url = format!("/v2/a/blobs/{}", registry.push("a", &content).await);
        assert_eq!(registry.get(&url).await.header("accept-ranges"), "bytes");
        for (range, start, end) in [
            ("bytes=0-0".to_owned(), 0, 1),
            ("bytes=10-19".to_owned(), 10, 20),
            (format!("bytes={}-{}", size - 1, size - 1), size - 1, size),
            (format!("bytes=0-{}", size - 1), 0, size),
            // To the end.
            ("bytes=0-".to_owned(), 0, size),
            ("bytes=1234567-".to_owned(), 1_234_567, size),
            // From the end; more than there is is all.
            ("bytes=-1".to_owned(), size - 1, size),
            ("bytes=-1000000".to_owned(), size - 1_000_000, size),
            ("bytes=-4000000".to_owned(), 0, size),
            // An end behind the blob's is the blob's.
            (format!("bytes=7-{size}"), 7, size),
            ("bytes=2999999-99999999999999999999999".to_owned(), 2_999_999, size),
        ] {
            let answer = registry.get_range(&url, &range).await;
            is(&answer, 206);
            let found = format!("bytes {start}-{}/{size}", end - 1);
            assert_eq!(answer.header("content-range"), found, "{range}");
            assert_eq!(answer.header("content-length"), (end - start).to_string(), "{range}");
            assert!(answer.body == content.slice(start..end), "{range} is other bytes");
        }
    }
}

#[tokio::test]
async fn item_028_a_range_that_starts_behind_the_end_cannot_be_had() {
    let mut registry = Registry::new().await;
    let hello = format!("/v2/a/blobs/{}", registry.push("a", b"hello world").await);
    let nothing = format!("/v2/a/blobs/{}", registry.push("a", b"").await);
    for (url, range) in [
        (&hello, "bytes=11-"),
        (&hello, "bytes=11-20"),
        (&hello, "bytes=99999999999999999999999-"),
        (&hello, "bytes=-0"),
        (&nothing, "bytes=0-"),
        (&nothing, "bytes=0-0"),
    ] {
        is_refused(&registry.get_range(url, range).await, 416, "SIZE_INVALID");
    }
    let missing = format!("/v2/a/blobs/{}", sha256(b"missing"));
    is_refused(&registry.get_range(&missing, "bytes=0-0").await, 404, "BLOB_UNKNOWN");
}

#[tokio::test]
async fn item_028_what_is_no_single_range_of_bytes_is_answered_with_the_whole() {
    let mut registry = Registry::new().await;
    let url = format!("/v2/a/blobs/{}", registry.push("a", b"hello world").await);
    for range in ["lines=0-1", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=0-1,4-5", "0-4"] {
        let answer = registry.get_range(&url, range).await;
        is(&answer, 200);
        assert_eq!(
            (answer.header("content-range"), &*answer.body),
            ("", &b"hello world"[..]),
            "{range}"
        );
    }
}

#[tokio::test]
async fn item_029_a_range_that_ends_before_it_starts_cannot_be_had() {
    let mut registry = Registry::new().await;
    let url = format!("/v2/a/blobs/{}", registry.push("a", b"hello world").await);
    for range in ["bytes=500-0", "bytes=5-4", "bytes=1-0"] {
        is_refused(&registry.get_range(&url, range).await, 416, "SIZE_INVALID");
    }
    let missing = format!("/v2/a/blobs/{}", sha256(b"missing"));
    is_refused(&registry.get_range(&missing, "bytes=5-4").await, 404, "BLOB_UNKNOWN");
}

#[tokio::test]
async fn item_030_a_416_is_as_long_as_it_says_and_tells_the_size_of_the_blob() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        for content in [&b""[..], b"hello world"] {
            let url = format!("/v2/a/blobs/{}", registry.push("a", content).await);
            for range in ["bytes=11-", "bytes=99-100", "bytes=500-0", "bytes=-0"] {
                let answer = registry.get_range(&url, range).await;
                is_refused(&answer, 416, "SIZE_INVALID");
                assert_eq!(answer.header("content-range"), format!("bytes */{}", content.len()));
                assert_eq!(answer.header("content-length"), answer.body.len().to_string());
                assert!(!answer.body.is_empty());
                // The connection has not lost its place.
                assert_eq!(registry.get(&url).await.body, content);
            }
        }
    }
}

#[tokio::test]
async fn item_031_a_blob_comes_with_its_length_and_not_chunked_the_empty_one_too() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        for content in [&b""[..], b"x", &large()] {
            let url = format!("/v2/a/blobs/{}", registry.push("a", content).await);
            let answer = registry.get(&url).await;
            is(&answer, 200);
            assert_eq!(answer.header("content-length"), content.len().to_string());
            assert_eq!(answer.header("transfer-encoding"), "");
            assert_eq!(answer.body.len(), content.len());
        }
    }
}
