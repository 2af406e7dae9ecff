//! Opening a session (items 32 to 37).

use std::collections::BTreeSet;

use registry_http::{Locations, Options};
use registry_store::upload_id::UploadId;
use registry_tests::server::{Protocol, whole};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::registry::{BOTH, Registry, is, is_refused, leads_to, parts, sha256, sha512};

/// Sends these bytes and no more, and returns all that is answered.
pub(super) async fn exchange(registry: &Registry, sent: &str) -> String {
    let mut connection = TcpStream::connect(registry.server.address()).await.expect("it listens");
    connection.write_all(sent.as_bytes()).await.expect("a connection");
    let mut answered = Vec::new();
    connection.read_to_end(&mut answered).await.expect("an end without a reset");
    String::from_utf8(answered).expect("headers and JSON")
}

/// The id in a session's address.
fn id(location: &str) -> UploadId {
    let path = location.split_once('?').map_or(location, |(path, _)| path);
    let (_, id) = path.rsplit_once('/').expect("a path");
    id.parse().expect("a UUID")
}

#[tokio::test]
async fn item_032_every_post_is_answered_with_a_location_of_its_own() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        let mut ids = BTreeSet::new();
        for name in ["a", "a", "a/b", "a"] {
            let answer = registry.post(&format!("/v2/{name}/blobs/uploads/"), "").await;
            is(&answer, 202);
            assert_eq!(answer.header("content-length"), "0");
            let id = id(answer.header("location"));
            leads_to(&answer, &format!("/v2/{name}/blobs/uploads/{id}"));
            assert_eq!(answer.header("docker-upload-uuid"), id.to_string());
            assert!(ids.insert(id.to_string()), "{id} was given before");
            is(&registry.get(answer.header("location")).await, 204);
        }
    }
}

#[tokio::test]
async fn item_032_a_location_may_be_absolute_and_leads_there_all_the_same() {
    for locations in [Locations::FromRequest, Locations::Under("https://other.example.com".into())]
    {
        let options = Options { locations: locations.clone(), ..Options::default() };
        let mut registry = Registry::with(options, Protocol::Http1).await;
        let host = match locations {
            Locations::Under(host) => host,
            _ => format!("http://{}", registry.server.address()),
        };
        let location = registry.start("a").await;
        assert!(location.starts_with(&format!("{host}/v2/a/blobs/uploads/")), "{location}");
        let url = format!("{location}&digest={}", sha256(b"abc"));
        is(&registry.put(&url, "abc").await, 201);
    }
}

#[tokio::test]
async fn item_033_the_parameters_of_a_location_may_come_back_in_any_order_and_encoding() {
    let mut registry = Registry::new().await;
    let digest = sha256(b"abc");
    let escaped = digest.replace(':', "%3A");
    for rewrite in [
        "{path}?{query}&digest={digest}",
        "{path}?digest={digest}&{query}",
        "{path}?digest={escaped}&{query}&_state=",
        "{path}?%5Foffset={offset}&digest={escaped}",
        "{path}?_%6Fffset=%30&%64igest={digest}",
        "{path}?{query}&unknown=%20&digest={digest}&",
        "{path}/?{query}&digest={digest}",
        // Some clients throw the query away.
        "{path}?digest={digest}",
    ] {
        let location = registry.start("a").await;
        let (path, query) = location.split_once('?').expect("a query");
        let (_, offset) = query.split_once('=').expect("a parameter");
        let url = rewrite
            .replace("{path}", path)
            .replace("{query}", query)
            .replace("{offset}", offset)
            .replace("{digest}", &digest)
            .replace("{escaped}", &escaped);
        let answer = registry.put(&url, "abc").await;
        is(&answer, 201);
        leads_to(&answer, &format!("/v2/a/blobs/{digest}"));
    }
}

#[tokio::test]
async fn item_033_parameters_that_come_back_encoded_are_heeded() {
    let mut registry = Registry::new().await;
    let opened = registry.start("a").await;
    let stored = registry.patch(&opened, "0-2", "abc").await;
    is(&stored, 202);
    // The first Location is of a session without a byte, however it is written.
    for stale in [opened.clone(), opened.replace("?_offset=", "?%5Foffset=%30")] {
        let url = format!("{stale}&digest={}", sha256(b"abcdef"));
        is_refused(&registry.put(&url, "def").await, 416, "BLOB_UPLOAD_INVALID");
    }
    let url = format!("{}&digest={}", stored.header("location"), sha256(b"abcdef"));
    is(&registry.put(&url, "def").await, 201);
}

#[tokio::test]
async fn item_033_so_may_those_of_every_location_on_the_way() {
    let mut registry = Registry::new().await;
    let location = registry.start("a").await;
    let again = |answer: &registry_tests::server::Answer| {
        answer.header("location").replace('_', "%5F").replace('?', "?first=1&")
    };
    let opened = registry.get(&location).await;
    let first = registry.patch(&again(&opened), "0-2", "abc").await;
    is(&first, 202);
    let second = registry.stream(&again(&first), "def").await;
    is(&second, 202);
    let url = format!("{}&digest={}", again(&second), sha256(b"abcdef"));
    is(&registry.put(&url, "").await, 201);
}

#[tokio::test]
async fn item_035_there_is_no_least_size_of_a_chunk() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        let opened = registry.post("/v2/a/blobs/uploads/", "").await;
        is(&opened, 202);
        assert_eq!(opened.header("oci-chunk-min-length"), "");
        let mut location = opened.header("location").to_owned();
        for (number, byte) in ["a", "b", "c"].into_iter().enumerate() {
            let chunk = registry.patch(&location, &format!("{number}-{number}"), byte).await;
            is(&chunk, 202);
            assert_eq!(chunk.header("range"), format!("0-{number}"));
            chunk.header("location").clone_into(&mut location);
        }
        let url = format!("{location}&digest={}", sha256(b"abcd"));
        is(
            &registry.ask(&format!("PUT {url}"), &[("content-range", "3-3")], whole("d")).await,
            201,
        );
    }
}

#[tokio::test]
async fn item_036_the_algorithm_of_a_session_is_told_or_not() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        for told in ["", "?digest-algorithm=sha256", "?digest-algorithm=sha512"] {
            for digest in [sha256(b"abcdef"), sha512(b"abcdef")] {
                let opened = registry.post(&format!("/v2/a/blobs/uploads/{told}"), "").await;
                is(&opened, 202);
                let first = registry.stream(opened.header("location"), "abc").await;
                let url = format!("{}&digest={digest}", first.header("location"));
                let answer = registry.put(&url, "def").await;
                is(&answer, 201);
                leads_to(&answer, &format!("/v2/a/blobs/{digest}"));
                assert_eq!(answer.header("docker-content-digest"), digest);
                let pulled = registry.get(&format!("/v2/a/blobs/{digest}")).await;
                assert_eq!(pulled.body, "abcdef", "{told} and {digest}");
                is(&registry.delete(&format!("/v2/a/blobs/{digest}")).await, 202);
            }
        }
        for unknown in ["md5", "blake3", "SHA512", "sha3-256"] {
            let url = format!("/v2/a/blobs/uploads/?digest-algorithm={unknown}");
            is_refused(&registry.post(&url, "").await, 400, "DIGEST_INVALID");
        }
    }
}

#[tokio::test]
async fn item_037_a_session_is_opened_by_a_post_of_length_0_or_of_none() {
    for protocol in BOTH {
        let mut registry = Registry::over(protocol).await;
        let declared = [("content-length", "0")];
        is(&registry.ask("POST /v2/a/blobs/uploads/", &declared, whole("")).await, 202);
        // Chunked in HTTP/1.1, without a length in HTTP/2.
        is(&registry.ask("POST /v2/a/blobs/uploads/", &[], parts(&[])).await, 202);
    }
    let registry = Registry::new().await;
    for length in ["", "Content-Length: 0\r\n"] {
        let head = format!("Host: x\r\n{length}Connection: close\r\n\r\n");
        let sent = format!("POST /v2/a/blobs/uploads/ HTTP/1.1\r\n{head}");
        let answered = exchange(&registry, &sent).await;
        assert!(answered.starts_with("HTTP/1.1 202 "), "{answered}");
        assert!(
            answered.to_lowercase().contains("\r\nlocation: /v2/a/blobs/uploads/"),
            "{answered}"
        );
    }
}
